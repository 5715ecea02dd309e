//! What comes from outside is bounded: pictures that are too large are refused before anything is done, nothing is taken from the current
//! folder by accident, and nothing goes over the network.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

mod support;
use support::{BICUBIC, Folder, assert_fails, command, has, play, run, runtime, upscale};

/// A PNG of a few bytes that says it is of `width` and `height`: no picture follows its head.
fn claim(path: &Path, width: u32, height: u32) {
    let mut head = b"IHDR".to_vec();
    head.extend([width.to_be_bytes(), height.to_be_bytes()].concat());
    head.extend([8, 2, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    file.extend(&head);
    file.extend(crc32(&head).to_be_bytes());
    file.extend(b"\0\0\0\x01IDAT\x78");
    file.extend(crc32(b"IDAT\x78").to_be_bytes());
    std::fs::write(path, file).unwrap();
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |mut sum, byte| {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
        sum
    })
}

/// A clip of `frames` frames of 64x48, in Motion JPEG.
fn clip(path: &Path, frames: u32) {
    let text = format!(
        "videotestsrc num-buffers={frames} ! video/x-raw,width=64,height=48,framerate=25/1 ! jpegenc ! matroskamux \
         ! filesink name=out"
    );
    play(&text, |pipeline| {
        use gst::prelude::*;
        let sink = pipeline.by_name("out").unwrap();
        sink.set_property("location", path.to_str().unwrap());
    });
}

#[test]
fn a_picture_that_says_it_is_huge_is_refused_at_once() {
    let folder = Folder::new("huge");
    let (input, output) = (folder.file("in.png"), folder.file("out.png"));
    let (from, to) = (input.to_str().unwrap(), output.to_str().unwrap());
    claim(&input, 60_000, 60_000);
    for further in [&[][..], &["--compare"]] {
        let all = [&["upscale", from, to], further].concat();
        let size = [
            "in.png",
            "60000x60000",
            "3600000000",
            "268435456",
            "--max-pixels",
        ];
        assert_fails(&run(&all), 1, &size);
    }
    // The largest that a file can claim does not overflow.
    claim(&input, i32::MAX as u32, i32::MAX as u32);
    assert_fails(&run(&["upscale", from, to]), 1, &["in.png"]);
    // One that is meant, but not allowed, and the other way round.
    image::RgbImage::new(20, 10).save(&input).unwrap();
    let most = |most: &str| {
        run(&[
            "upscale",
            from,
            to,
            "--max-pixels",
            most,
            BICUBIC[0],
            BICUBIC[1],
            BICUBIC[2],
            BICUBIC[3],
        ])
    };
    assert_fails(&most("199"), 1, &["20x10", "200", "199"]);
    assert_fails(&most("0"), 2, &["--max-pixels"]);
    assert!(!output.exists());
    if runtime() {
        assert!(most("200").status.success());
        assert!(output.exists());
    }
}

#[test]
fn a_video_of_frames_that_are_too_large_is_refused() {
    if !has(&["jpegenc", "matroskamux"]) {
        return;
    }
    let folder = Folder::new("large-frames");
    let (input, output) = (folder.file("in.mkv"), folder.file("out.mkv"));
    clip(&input, 3);
    let (from, to) = (input.to_str().unwrap(), output.to_str().unwrap());
    let picture = folder.file("out.png");
    for further in [&[to][..], &[picture.to_str().unwrap(), "--compare"]] {
        let all = [
            &["upscale", from],
            further,
            BICUBIC,
            &["--max-pixels", "3071"],
        ]
        .concat();
        assert_fails(
            &run(&all),
            1,
            &["in.mkv", "64x48", "3072", "3071", "--max-pixels"],
        );
    }
    assert_eq!(folder.names(), ["in.mkv"]);
    if runtime() {
        let options = [BICUBIC, &["--max-pixels", "3072"]].concat();
        assert_eq!(upscale(&input, &output, &options)["frames"], 3);
    }
}

/// A playlist is a file that has others read, from anywhere.
#[test]
fn no_file_has_anything_fetched_over_the_network() {
    let folder = Folder::new("network");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let lists = [
        ("list.m3u8", format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://{address}/a.ts\n#EXT-X-ENDLIST\n")),
        ("list.ffconcat", format!("ffconcat version 1.0\nfile http://{address}/a.ts\n")),
        ("list.mp4", format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\ntcp://{address}\n#EXT-X-ENDLIST\n")),
        (
            "list.sdp",
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n".to_owned(),
        ),
    ];
    for (name, text) in lists {
        let (input, output) = (folder.file(name), folder.file("out.mp4"));
        std::fs::write(&input, text).unwrap();
        let all = ["upscale", input.to_str().unwrap(), output.to_str().unwrap()];
        let result = run(&[&all, BICUBIC].concat());
        assert_fails(&result, 1, &[name]);
        assert!(listener.accept().is_err(), "{name} had something fetched");
        assert!(!output.exists());
    }
}

/// Files of the names that are looked for lie in the current folder: a library that ends the process, models that are none, commands.
#[test]
fn nothing_is_taken_from_the_current_folder() {
    if !runtime() {
        return;
    }
    let folder = Folder::new("current");
    let here = folder.file("here");
    std::fs::create_dir_all(here.join("models")).unwrap();
    for name in [
        "models/models.toml",
        "models.toml",
        "general-x4",
        "bicubic-x4",
        "libonnxruntime.so",
        "libonnxruntime.so.1",
    ] {
        std::fs::write(here.join(name), "this is no such file").unwrap();
    }
    for name in ["ffmpeg", "ffprobe"] {
        let script = format!("#!/bin/sh\ntouch {}/$0-was-run\nexit 7\n", here.display());
        std::fs::write(here.join(name), script).unwrap();
        let made = Command::new("chmod")
            .arg("+x")
            .arg(here.join(name))
            .status();
        assert!(made.unwrap().success());
    }
    let input = folder.file("in.png");
    image::RgbImage::new(20, 10).save(&input).unwrap();
    // An empty entry of PATH is the current folder.
    let path = format!(".::{}:", std::env::var("PATH").unwrap());
    let (from, picture, video) = (
        input.to_str().unwrap(),
        folder.file("out.png"),
        folder.file("out.mp4"),
    );
    let upscaled = command(&[
        "upscale",
        from,
        picture.to_str().unwrap(),
        "--general-model",
        "bicubic-x4",
        "--face-model",
        "none",
    ])
    .current_dir(&here)
    .env("PATH", &path)
    .output()
    .unwrap();
    let errors = String::from_utf8_lossy(&upscaled.stderr);
    assert!(upscaled.status.success(), "{errors}");
    // With no folder of models named, those that came with the program are found, not these.
    let verified = command(&["models", "verify"])
        .current_dir(&here)
        .env_remove("SRFUSION_MODELS")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success(), "{errors}");
    // A bare name is the system's to find, whatever lies here.
    let named = || {
        let (library, picture) = ("libonnxruntime.so.99", picture.to_str().unwrap());
        command(&["upscale", from, picture, "--runtime-library", library])
            .current_dir(&here)
            .output()
            .unwrap()
    };
    assert_fails(&named(), 1, &["libonnxruntime.so.99"]);
    std::fs::write(here.join("libonnxruntime.so.99"), "this is no library").unwrap();
    assert_fails(&named(), 1, &["libonnxruntime.so.99", "No such file"]);
    let _ = command(&["upscale", from, video.to_str().unwrap()])
        .current_dir(&here)
        .env("PATH", &path)
        .output()
        .unwrap();
    let names = std::fs::read_dir(&here).unwrap();
    for name in names.map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
        assert!(!name.ends_with("-was-run"), "{name}");
    }
}

/// What never ends is not read to its end.
#[test]
fn a_model_that_never_ends_is_refused_at_once() {
    let folder = Folder::new("endless");
    let input = folder.file("in.png");
    image::RgbImage::new(20, 10).save(&input).unwrap();
    let output = folder.file("out.png");
    let pipe = folder.file("pipe.onnx");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let sparse = folder.file("sparse.onnx");
    std::fs::File::create(&sparse)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    for (model, found) in [
        ("/dev/zero", "a device"),
        (pipe.to_str().unwrap(), "pipe"),
        (folder.file("").to_str().unwrap(), "a folder"),
        (sparse.to_str().unwrap(), "1099511627776"),
    ] {
        let started = Instant::now();
        let all = [
            "upscale",
            input.to_str().unwrap(),
            output.to_str().unwrap(),
            "--general-model",
            model,
        ];
        let result = support::run_within(&all, Duration::from_secs(60));
        assert_fails(&result, 1, &["general model", model, found]);
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}

/// Damaged models through everything that opens one, with a limit on memory: a line that says why, or a network that opens.
#[test]
fn damaged_models_are_refused_or_opened() {
    use srfusion::testing::{ByteChange, Random, changed};
    if !runtime() {
        return;
    }
    let folder = Folder::new("damaged-models");
    let originals = [
        "bicubic-x4",
        "centre-face",
        "window-x4",
        "luma-x4",
        "half-x4",
    ]
    .map(|name| std::fs::read(support::tiny().join(format!("{name}.onnx"))).unwrap());
    let file = folder.file("damaged.onnx");
    let mut random = Random(0x5eed_0abc);
    let mut refused = 0;
    for number in 0..40 {
        let mut any = || random.below(usize::MAX) as u64;
        let changes: Vec<ByteChange> = (0..1 + any() % 5)
            .map(|_| (any() as u8, any() as u32, any() as u32, any()))
            .collect();
        let damaged = changed(&originals[number % originals.len()], &changes);
        std::fs::write(&file, &damaged).unwrap();
        // 6 GB of addresses, and a minute of one processor's time.
        let probe = format!(
            "ulimit -v 6000000; ulimit -t 60; exec {} models probe {} --cache-dir {}",
            env!("CARGO_BIN_EXE_srfusion"),
            file.display(),
            folder.file("cache").display()
        );
        let result = Command::new("sh").args(["-c", &probe]).output().unwrap();
        let said = String::from_utf8_lossy(&result.stderr);
        assert!(!said.contains("panicked"), "{number} {changes:?}: {said}");
        match result.status.code() {
            Some(0) => {}
            Some(1) => {
                refused += 1;
                // A model that opens and serves nothing is told on standard output.
                let told = said
                    .lines()
                    .filter(|line| line.starts_with("srfusion: "))
                    .count();
                assert!(told <= 1, "{number} {changes:?}: {said}");
                assert!(
                    told == 1 || !result.stdout.is_empty(),
                    "{number} {changes:?}: nothing was said"
                );
            }
            other => panic!(
                "{number} {changes:?}: {other:?}, {:?}: {said}",
                result.status
            ),
        }
    }
    assert!(refused > 10, "{refused}");
}
