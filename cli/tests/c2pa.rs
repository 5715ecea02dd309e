//! Signed outputs, with the feature `c2pa`: checked by the library's own reader, and by a script that takes boxes, hashes and signature
//! apart by itself.

#![cfg(feature = "c2pa")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

mod support;
use support::media::{make, ready};
use support::python::{compute, python};
use support::{BICUBIC, FACES, Folder, assert_fails, run, upscale};

#[track_caller]
fn openssl(folder: &Folder, arguments: &str) {
    let ran = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder.file("."))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "openssl {arguments}: {errors}");
}

/// What openssl calls a key of P-256.
const P256: &str = "ec -pkeyopt ec_paramgen_curve:prime256v1";

/// A chain of two certificates made here, as C2PA wants them, and the signer's key, of the given kind.
fn credentials(folder: &Folder, kind: &str) -> (PathBuf, PathBuf) {
    std::fs::write(
        folder.file("signer.cnf"),
        "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection\n\
         subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n",
    )
    .unwrap();
    let key = format!("-newkey {kind} -nodes");
    openssl(
        folder,
        &format!("req -x509 {key} -days 30 -subj /O=Tests/CN=Root -keyout root.key -out root.pem"),
    );
    openssl(
        folder,
        &format!("req {key} -subj /O=Tests/CN=Signer -keyout signer.key -out signer.csr"),
    );
    openssl(
        folder,
        "x509 -req -in signer.csr -CA root.pem -CAkey root.key -CAcreateserial -days 20 -extfile signer.cnf -out signer.pem",
    );
    let chain = ["signer.pem", "root.pem"].map(|name| std::fs::read(folder.file(name)).unwrap());
    std::fs::write(folder.file("chain.pem"), chain.concat()).unwrap();
    (folder.file("chain.pem"), folder.file("signer.key"))
}

fn sum(path: &Path) -> String {
    let ran = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(ran.stdout).unwrap()[..64].to_owned()
}

/// The library's own reader: nothing is wrong but that nobody knows these certificates.
#[track_caller]
fn assert_valid(path: &Path) {
    let reader = c2pa::Reader::default().with_file(path).unwrap();
    assert_eq!(reader.validation_state(), c2pa::ValidationState::Valid);
    let report: Value = serde_json::from_str(&reader.json()).unwrap();
    let failures = report["validation_results"]["activeManifest"]["failure"].as_array();
    let codes: Vec<_> = failures
        .into_iter()
        .flatten()
        .map(|failure| &failure["code"])
        .collect();
    assert_eq!(codes, ["signingCredential.untrusted"], "{path:?}");
}

#[test]
fn outputs_are_signed_and_tell_what_they_were_made_of() {
    let Some(python) = python(&["json"]).filter(|_| ready()) else {
        return;
    };
    let folder = Folder::new("c2pa");
    let (chain, key) = credentials(&folder, P256);
    let signing = [
        "--c2pa",
        chain.to_str().unwrap(),
        "--c2pa-key",
        key.to_str().unwrap(),
    ];
    for (input, output, options, term) in [
        (
            "in.mp4",
            "faces.mp4",
            FACES,
            "compositeWithTrainedAlgorithmicMedia",
        ),
        ("in.mp4", "general.mov", BICUBIC, "algorithmicallyEnhanced"),
        // A kind of file that C2PA does not know.
        (
            "in.mkv",
            "other.mp4",
            FACES,
            "compositeWithTrainedAlgorithmicMedia",
        ),
    ] {
        let (input, output) = (folder.file(input), folder.file(output));
        make(
            &input,
            "-f lavfi -i color=0x909090:s=64x64:r=25:d=1 -f lavfi -i sine=440:d=1 -c:v libx264 -pix_fmt yuv420p -c:a aac",
        );
        upscale(&input, &output, &[options, &signing].concat());
        let found = compute(&python, "c2pa_boxes.py", &[&output]);
        let name = output.display();
        assert_eq!(
            (&found["signature"], &found["content"]),
            (&true.into(), &true.into()),
            "{name}: {found}"
        );
        let assertions = found["assertions"].as_object().unwrap();
        assert!(
            assertions.len() >= 4 && assertions.values().all(|good| good == true),
            "{name}: {found}"
        );
        assert!(
            found["subject"].as_str().unwrap().contains("Signer"),
            "{name}"
        );
        let actions: Vec<_> = found["actions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|action| action["action"].as_str().unwrap())
            .collect();
        assert_eq!(actions, ["c2pa.opened", "c2pa.resized"], "{name}");
        let source = format!("http://cv.iptc.org/newscodes/digitalsourcetype/{term}");
        assert_eq!(found["actions"][1]["digitalSourceType"], source, "{name}");
        let title = input.file_name().unwrap().to_str().unwrap();
        assert_eq!(
            found["ingredient"],
            serde_json::json!([title, "parentOf"]),
            "{name}"
        );
        assert_eq!(found["upscale"]["input_sha256"], sum(&input), "{name}");
        assert_valid(&output);
        // It still plays.
        let frames = support::media::times(&output, "v:0").len();
        assert_eq!(frames, 25, "{name}");
        // One bit of the picture: it is no longer what was signed.
        let mut data = std::fs::read(&output).unwrap();
        let media = data.windows(4).position(|kind| kind == b"mdat").unwrap();
        data[media + 100] ^= 1;
        let changed = folder.file("changed.mp4");
        std::fs::write(&changed, data).unwrap();
        let found = compute(&python, "c2pa_boxes.py", &[&changed]);
        assert_eq!(
            (&found["signature"], &found["content"]),
            (&true.into(), &false.into()),
            "{name}"
        );
        // A signed file made larger again names it with its own manifest.
        if title == "in.mp4" && options == FACES {
            let again = folder.file("again.mp4");
            upscale(&output, &again, &[BICUBIC, &signing].concat());
            let reader = c2pa::Reader::default().with_file(&again).unwrap();
            assert_eq!(reader.iter_manifests().count(), 2);
        }
    }
}

#[test]
fn keys_of_every_kind_sign() {
    if !ready() {
        return;
    }
    let folder = Folder::new("c2pa-keys");
    let input = folder.file("in.mp4");
    make(
        &input,
        "-f lavfi -i color=gray:s=64x64:r=25:d=0.2 -c:v libx264",
    );
    for (name, kind) in [
        ("p384.mp4", "ec -pkeyopt ec_paramgen_curve:secp384r1"),
        ("p521.mp4", "ec -pkeyopt ec_paramgen_curve:secp521r1"),
        ("ed25519.mp4", "ed25519"),
        ("rsa.mp4", "rsa:2048"),
    ] {
        let (chain, key) = credentials(&folder, kind);
        let (chain, key) = (chain.to_str().unwrap(), key.to_str().unwrap());
        let signing = ["--c2pa", chain, "--c2pa-key", key];
        let output = folder.file(name);
        upscale(&input, &output, &[BICUBIC, &signing].concat());
        assert_valid(&output);
    }
}

#[test]
fn what_cannot_be_signed_is_refused_before_any_work() {
    if !ready() {
        return;
    }
    let folder = Folder::new("c2pa-refused");
    let (chain, key) = credentials(&folder, P256);
    let input = folder.file("in.mp4");
    make(
        &input,
        "-f lavfi -i color=gray:s=64x64:r=25:d=1 -c:v libx264",
    );
    let (chain, key) = (chain.to_str().unwrap(), key.to_str().unwrap());
    let (other, of_another) = (folder.file("signer.cnf"), folder.file("root.key"));
    for (output, certificates, key, status, words) in [
        ("out.mkv", chain, key, 2, &["--c2pa", ".mov"][..]),
        ("out.png", chain, key, 2, &["--c2pa", ".mov"]),
        ("out.mp4", "/nonexistent.pem", key, 1, &["/nonexistent.pem"]),
        (
            "out.mp4",
            chain,
            other.to_str().unwrap(),
            1,
            &["private key", "signer.cnf"],
        ),
        // A good key, but of another certificate than the first.
        (
            "out.mp4",
            chain,
            of_another.to_str().unwrap(),
            1,
            &["chain.pem", "root.key", "key of the first"],
        ),
    ] {
        let output = folder.file(output);
        let words_typed = [
            &[
                "upscale",
                input.to_str().unwrap(),
                output.to_str().unwrap(),
                "--c2pa",
                certificates,
                "--c2pa-key",
                key,
            ],
            BICUBIC,
        ];
        assert_fails(&run(&words_typed.concat()), status, words);
        assert!(!output.exists());
    }
}
