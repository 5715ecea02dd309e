//! Jobs of `srfusion upscale` that are ended and go on, and what they tell meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

mod support;
use support::media::{H264, SOUND, make, ready, times};
use support::{BICUBIC, Folder, SLOW, assert_fails, command, lines, reseal, run, upscale};

/// Starts a slow job and waits until a segment is finished.
fn begin(input: &Path, output: &Path, folder: &Folder, more: &[&str]) -> std::process::Child {
    let arguments = [
        &["upscale", input.to_str().unwrap(), output.to_str().unwrap()],
        SLOW,
        more,
    ]
    .concat();
    let child = command(&arguments)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let finished = || {
        let work = folder
            .names()
            .into_iter()
            .find(|name| name.starts_with(".srfusion-"));
        work.is_some_and(|work| folder.file(&work).join("000000.json").exists())
    };
    while !finished() {
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "no segment is finished"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

#[test]
fn a_job_that_was_killed_goes_on() {
    if !ready() {
        return;
    }
    let folder = Folder::new("killed");
    let (input, whole, output) = (
        folder.file("in.mp4"),
        folder.file("whole.mp4"),
        folder.file("out.mp4"),
    );
    make(
        &input,
        &format!("-f lavfi -i testsrc2=s=64x66:r=2:d=4 {SOUND} {H264} -c:a aac"),
    );
    let wanted = upscale(&input, &whole, SLOW);
    assert_eq!(
        (&wanted["segments"], &wanted["frames"]),
        (&4.into(), &8.into())
    );
    let mut child = begin(&input, &output, &folder, &[]);
    child.kill().unwrap();
    child.wait().unwrap();
    // Another quality would make another film.
    let other = run(&[
        &["upscale", input.to_str().unwrap(), output.to_str().unwrap()],
        SLOW,
        &["--quality", "30"],
    ]
    .concat());
    assert_fails(&other, 1, &["--quality: 17 then, 30 now", "--start-over"]);
    let summary = upscale(&input, &output, SLOW);
    assert!(summary["frames_reused"].as_u64().unwrap() >= 2, "{summary}");
    assert_eq!(summary["frames"], 8);
    assert_eq!(
        std::fs::read(&whole).unwrap(),
        std::fs::read(&output).unwrap()
    );
    assert_eq!(folder.names(), ["in.mp4", "out.mp4", "whole.mp4"]);
}

/// The record of the first finished segment of the job in `folder`.
fn first_record(folder: &Folder) -> std::path::PathBuf {
    let names = folder.names();
    let work = names.iter().find(|name| name.starts_with(".srfusion-"));
    folder.file(work.unwrap()).join("000000.json")
}

#[test]
fn going_on_decodes_from_the_key_frame_before() {
    if !ready() {
        return;
    }
    let film = format!("-f lavfi -i testsrc2=s=64x66:r=2:d=4 {SOUND} {H264} -c:a aac");
    let groups = "-g 2 -keyint_min 2 -sc_threshold 0 -bf 1";
    for (name, more, sought) in [
        ("start.mkv", "-output_ts_offset 100", true),
        // Pictures before a key frame that need those behind it, and no key frame of the strict kind but the first.
        ("open.mp4", "-x264-params open-gop=1", true),
        // Not a frame like those that were there.
        ("changed.mp4", "", false),
    ] {
        let folder = Folder::new("seek");
        let (input, whole, output) = (
            folder.file(name),
            folder.file("whole.mp4"),
            folder.file("out.mp4"),
        );
        make(&input, &format!("{film} {groups} {more}"));
        upscale(&input, &whole, SLOW);
        let mut child = begin(&input, &output, &folder, &[]);
        let second = first_record(&folder).with_file_name("000001.json");
        let start = Instant::now();
        while !second.exists() {
            assert!(start.elapsed() < Duration::from_secs(120), "{name}");
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if name == "changed.mp4" {
            reseal(&second, |record| record["seen"]["tail"][1] = "0".into());
        }
        let summary = upscale(&input, &output, SLOW);
        let reused = summary["frames_reused"].as_u64().unwrap();
        let found = summary["frames_decoded"].as_u64().unwrap();
        assert!(reused >= 4, "{name}: {summary}");
        // Of eight frames, two that were there are decoded to compare them, where ffmpeg goes to the very key frame (it begins a group
        // of pictures earlier in Matroska); or some and then all.
        let wanted = match (sought, name) {
            (true, "start.mkv") => 6..=8,
            (true, _) => 2..=6,
            (false, _) => 9..=16,
        };
        assert!(wanted.contains(&found), "{name}: {summary}");
        assert!(
            std::fs::read(&whole).unwrap() == std::fs::read(&output).unwrap(),
            "{name}: other bytes"
        );
    }
}

/// Processes that `parent` has started and that are called `name`.
fn children(parent: u32, name: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_child = |number: &String| {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        let fields: Vec<_> = stat.split_whitespace().collect();
        fields.len() > 3 && fields[1] == format!("({name})") && fields[3] == parent.to_string()
    };
    numbers.filter(is_child).collect()
}

#[test]
fn a_decoder_that_is_killed_is_no_end_of_the_film() {
    if !ready() {
        return;
    }
    let folder = Folder::new("decoder");
    let (input, output) = (folder.file("in.mp4"), folder.file("out.mp4"));
    make(
        &input,
        &format!("-f lavfi -i testsrc2=s=480x272:r=25:d=12 {H264} -preset ultrafast"),
    );
    let typed = ["upscale", input.to_str().unwrap(), output.to_str().unwrap()];
    let options = ["--segment-time", "500ms", "--preset", "ultrafast"];
    let child = command(&[&typed[..], BICUBIC, &options].concat())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let made = || {
        let names = folder.names();
        let work = names.iter().find(|name| name.starts_with(".srfusion-"));
        work.is_some_and(|work| folder.file(work).join("000001.json").exists())
    };
    while !made() {
        assert!(start.elapsed() < Duration::from_secs(120));
        std::thread::sleep(Duration::from_millis(10));
    }
    for number in children(child.id(), "ffmpeg") {
        let killed = Command::new("kill").args(["-9", &number]).status();
        assert!(killed.unwrap().success());
    }
    let result = child.wait_with_output().unwrap();
    assert_fails(&result, 1, &["signal 9", "the same command goes on"]);
    assert!(!output.exists() && made());
}

#[test]
fn an_interrupted_job_says_how_to_go_on() {
    if !ready() {
        return;
    }
    let folder = Folder::new("partial");
    let (input, output) = (folder.file("in.mp4"), folder.file("out.mp4"));
    make(
        &input,
        &format!("-f lavfi -i testsrc2=s=64x66:r=2:d=8 {SOUND} {H264} -c:a aac"),
    );
    let mut child = begin(&input, &output, &folder, &["--partial"]);
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    if !sent.is_ok_and(|status| status.success()) {
        let _ = child.kill();
        child.wait().unwrap();
        eprintln!("skipped: no kill command");
        return;
    }
    let result = child.wait_with_output().unwrap();
    assert_fails(
        &result,
        1,
        &[
            "interrupted",
            "goes on: ",
            "--partial",
            "what is finished is in",
        ],
    );
    let left = times(&output, "v:0");
    assert!(left.len() >= 2 && left.len() < 16, "{left:?}");

    // And with nothing but a signal it ends within a second. In a folder of its own: the first job's segments are still beside it.
    let folder = Folder::new("signal");
    let other = folder.file("other.mp4");
    let child = begin(&input, &other, &folder, &[]);
    let asked = Instant::now();
    Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    let result = child.wait_with_output().unwrap();
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "{:?}",
        asked.elapsed()
    );
    assert_fails(&result, 1, &["interrupted", "goes on: "]);
    assert!(!other.exists());
}

#[test]
fn progress_is_told_in_lines() {
    if !ready() {
        return;
    }
    let folder = Folder::new("lines");
    let (input, output) = (folder.file("in.mp4"), folder.file("out.mp4"));
    make(
        &input,
        &format!("-f lavfi -i testsrc2=s=64x66:r=2:d=4 {H264}"),
    );
    let typed = ["upscale", input.to_str().unwrap(), output.to_str().unwrap()];
    let result = run(&[&typed[..], SLOW, &["--json"]].concat());
    let found = lines(&result);
    let (summary, told) = found.split_last().unwrap();
    assert_eq!(
        (&summary["event"], &summary["frames"]),
        (&"summary".into(), &8.into())
    );
    assert!(told.iter().all(|line| line["event"] == "progress"));
    let doing: Vec<_> = told.iter().map(|line| line["doing"].clone()).collect();
    for stage in [
        "reading the input",
        "upscaling",
        "putting the output together",
    ] {
        assert!(doing.contains(&stage.into()), "{stage}: {doing:?}");
    }
    let frames: Vec<_> = told
        .iter()
        .map(|line| line["frames"].as_u64().unwrap())
        .collect();
    assert!(
        frames.is_sorted() && *frames.last().unwrap() <= 8,
        "{frames:?}"
    );
    // A second for each frame: there is a speed, and an end in sight.
    let on_the_way: Vec<_> = told
        .iter()
        .filter(|line| line["doing"] == "upscaling" && !line["seconds_left"].is_null())
        .collect();
    assert!(!on_the_way.is_empty(), "{told:?}");
    for line in on_the_way {
        let number = |name: &str| line[name].as_f64().unwrap();
        let left = (8.0 - number("frames")) / number("frames_per_second");
        assert!((number("seconds_left") - left).abs() < 1e-6, "{line}");
        assert_eq!(
            (&line["frames_total"], &line["provider"]),
            (&8.into(), &"cpu".into())
        );
    }

    // One line where only the result is wanted, and an error is a line too.
    let result = run(&[&typed[..], BICUBIC, &["--json", "--quiet"]].concat());
    assert_eq!(lines(&result).len(), 1);
    let result = run(&[&typed[..], BICUBIC, &["--json", "--codec", "vp8"]].concat());
    let last = lines(&result).pop().unwrap();
    assert!(last["event"] == "error" && last["error"].as_str().unwrap().contains("vp8"));
}
