//! `srfusion upscale --plan-segments` and `--segment N`: segments made apart from one another, in any order and twice, become the same
//! file as one made in one go.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Stdio};

mod support;
use support::{
    BICUBIC, FACES, Folder, assert_fails, command, has, last_line, reseal, run, runtime, upscale,
};

fn ready() -> bool {
    runtime() && has(&["x264enc", "h264parse", "mp4mux"])
}

#[track_caller]
fn film(path: &Path, coding: &str) {
    let made = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-nostdin",
            "-y",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=s=64x64:r=8:d=4",
        ])
        .args([
            "-f",
            "lavfi",
            "-i",
            "sine=440:d=4",
            "-c:a",
            "aac",
            "-pix_fmt",
            "yuv420p",
        ])
        .args(coding.split_whitespace())
        .arg(path)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

const GROUPS: &str = "-c:v libx264 -g 6 -keyint_min 6 -sc_threshold 0 -bf 2";

#[test]
fn segments_made_apart_are_those_made_in_one_go() {
    if !ready() {
        return;
    }
    for (networks, broken) in [(FACES, false), (BICUBIC, true)] {
        let folder = Folder::new(if broken { "pieces-broken" } else { "pieces" });
        let (input, whole, output) = (
            folder.file("in.mkv"),
            folder.file("whole.mp4"),
            folder.file("out.mp4"),
        );
        film(&input, GROUPS);
        let options = [networks, &["--segment-time", "1s"]].concat();
        let wanted = upscale(&input, &whole, &options);
        let (from, to) = (input.to_str().unwrap(), output.to_str().unwrap());
        let with = |more: &[&str]| command(&[&["upscale", from, to], &options[..], more].concat());
        let json = |more: &[&str]| last_line(&with(more).output().unwrap());
        let plan = json(&["--plan-segments"]);
        let numbers: Vec<_> = plan["segments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| part["number"].as_u64().unwrap())
            .collect();
        assert_eq!(
            (&numbers[..], &plan["frames"]),
            (&[0, 1, 2, 3][..], &32.into())
        );

        // Two at a time, one of them twice.
        let children: Vec<_> = ["2", "2", "0", "3", "1"]
            .chunks(2)
            .flat_map(|pair| {
                let start = |number: &&str| {
                    let mut command = with(&["--segment", number]);
                    command.stdout(Stdio::piped()).spawn().unwrap()
                };
                let started: Vec<_> = pair.iter().map(start).collect();
                let ended = started
                    .into_iter()
                    .map(|child| child.wait_with_output().unwrap());
                ended.collect::<Vec<_>>()
            })
            .collect();
        for result in &children {
            assert!(result.status.success(), "{result:?}");
            let made = last_line(result);
            assert_eq!(
                (&made["event"], &made["frames"]),
                (&"segment".into(), &8.into())
            );
            // The group of pictures before and the segment itself, or one group more, where ffmpeg begins earlier.
            assert!(
                made["frames_decoded"].as_u64().unwrap() <= 8 + 8 + 6 + 6 + 3,
                "{made}"
            );
        }
        let again = json(&["--segment", "1"]);
        assert_eq!(
            (&again["reused"], &again["frames_decoded"]),
            (&true.into(), &0.into())
        );
        let plan = json(&["--plan-segments"]);
        assert!(
            plan["segments"]
                .as_array()
                .unwrap()
                .iter()
                .all(|part| part["done"] == true)
        );

        let names = folder.names();
        let work = names
            .iter()
            .find(|name| name.starts_with(".srfusion-"))
            .unwrap();
        if broken {
            // Made behind other frames than those with which the one before it ends.
            let path = folder.file(work).join("000002.json");
            reseal(&path, |record| record["seen"]["lead"][3] = "other".into());
        }
        let joined = upscale(&input, &output, &options);
        let reused = if broken { 24 } else { 32 };
        assert_eq!(
            (&joined["frames"], &joined["frames_reused"]),
            (&32.into(), &reused.into())
        );
        assert_eq!(joined["frames_with_faces"], wanted["frames_with_faces"]);
        assert_eq!(joined["warnings"], wanted["warnings"]);
        assert!(
            std::fs::read(&whole).unwrap() == std::fs::read(&output).unwrap(),
            "other bytes"
        );
        assert_eq!(folder.names(), ["in.mkv", "out.mp4", "whole.mp4"]);
    }
}

#[test]
fn what_cannot_be_made_apart_is_told() {
    if !ready() {
        return;
    }
    let folder = Folder::new("pieces-told");
    let (input, other, output) = (
        folder.file("in.mp4"),
        folder.file("in.avi"),
        folder.file("out.mp4"),
    );
    film(&input, GROUPS);
    film(&other, "-c:v mjpeg");
    let typed = |input: &Path, more: &[&str]| {
        let names = ["upscale", input.to_str().unwrap(), output.to_str().unwrap()];
        run(&[&names[..], BICUBIC, &["--segment-time", "1s"], more].concat())
    };
    assert_fails(
        &typed(&input, &["--segment", "0"]),
        1,
        &["no segments are planned", "--plan-segments"],
    );
    let plan = last_line(&typed(&other, &["--plan-segments"]));
    assert_eq!(plan["segments"], serde_json::json!([]));
    assert!(plan["reason"].as_str().unwrap().contains("no index"));
    assert!(typed(&input, &["--plan-segments"]).status.success());
    for (more, status, words) in [
        (&["--segment", "9"][..], 2, &["--segment 9", "0 to 3"][..]),
        (
            &["--segment", "1", "--quality", "30"][..],
            1,
            &["other settings", "--quality"][..],
        ),
        (
            &["--segment", "1", "--start-over"][..],
            2,
            &["--start-over"][..],
        ),
    ] {
        assert_fails(&typed(&input, more), status, words);
    }
    film(&input, "-c:v libx264 -g 3");
    assert_fails(
        &typed(&input, &["--segment", "1"]),
        1,
        &["another than when"],
    );
}
