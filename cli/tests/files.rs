//! `srfusion upscale` on files as people really have them, and jobs that are ended and go on. The files are made with ffmpeg.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

mod support;
use support::{
    BICUBIC, Folder, assert_fails, command, has, lines, run, run_within, runtime, upscale,
};

/// Whether everything is there that these tests need.
fn ready() -> bool {
    let found = |name: &str| Command::new(name).arg("-version").output().is_ok();
    if !found("ffmpeg") || !found("ffprobe") {
        eprintln!("skipped: no ffmpeg");
        return false;
    }
    runtime() && has(&["x264enc", "h264parse", "mp4mux"])
}

/// Makes `path` by ffmpeg's arguments, which have words without spaces.
#[track_caller]
fn make(path: &Path, arguments: &str) {
    let mut all: Vec<&str> = vec!["-v", "error", "-nostdin", "-y"];
    all.extend(arguments.split_whitespace());
    let result = Command::new("ffmpeg").args(all).arg(path).output().unwrap();
    assert!(
        result.status.success(),
        "{}",
        String::from_utf8_lossy(&result.stderr)
    );
}

/// What ffprobe prints.
fn probe(path: &Path, arguments: &str) -> String {
    let result = Command::new("ffprobe")
        .args(["-v", "error"])
        .args(arguments.split_whitespace())
        .arg(path)
        .output()
        .unwrap();
    String::from_utf8_lossy(&result.stdout).into_owned()
}

/// Times of the packets of a stream in order, in microseconds.
fn times(path: &Path, stream: &str) -> Vec<i64> {
    let text = probe(
        path,
        &format!("-select_streams {stream} -show_entries packet=pts_time -of csv=p=0"),
    );
    let mut times: Vec<i64> = text
        .lines()
        .filter_map(|line| line.trim_matches(',').parse::<f64>().ok())
        .map(|seconds| (seconds * 1e6).round() as i64)
        .collect();
    times.sort_unstable();
    times
}

const VIDEO: &str = "-f lavfi -i testsrc2=s=64x48:r=25:d=2";
const SOUND: &str = "-f lavfi -i sine=440:d=2:r=48000";
const H264: &str = "-c:v libx264 -pix_fmt yuv420p";

#[test]
fn every_packet_keeps_its_time() {
    if !ready() {
        return;
    }
    let folder = Folder::new("packets");
    for (name, arguments) in [
        (
            "b-frames.mp4",
            format!("{VIDEO} {SOUND} {H264} -bf 3 -c:a aac"),
        ),
        (
            "late.mp4",
            format!("-itsoffset 0.35 {VIDEO} {SOUND} -map 0 -map 1 {H264} -c:a aac"),
        ),
        (
            "late.mkv",
            format!(
                "-itsoffset 0.35 {VIDEO} {SOUND} -map 0 -map 1 {H264} -c:a aac -output_ts_offset 100"
            ),
        ),
        (
            "uneven.mp4",
            format!(
                "{VIDEO} -vf setpts=PTS+0.013*mod(N\\,3)/TB -vsync passthrough -video_track_timescale 90000 {H264}"
            ),
        ),
    ] {
        let input = folder.file(name);
        make(&input, &arguments);
        for extension in ["mp4", "mkv", "mov"] {
            let output = folder.file(&format!("out.{extension}"));
            let summary = upscale(&input, &output, BICUBIC);
            assert_eq!(summary["warnings"], serde_json::json!([]), "{name}");
            let slack = if extension == "mkv" || name.ends_with("mkv") {
                1_000
            } else {
                20
            };
            for stream in ["v:0", "a:0"] {
                let (before, after) = (times(&input, stream), times(&output, stream));
                assert_eq!(before.len(), after.len(), "{name} to {extension}, {stream}");
                for (a, b) in before.iter().zip(&after) {
                    assert!(
                        a.abs_diff(*b) <= slack,
                        "{name} to {extension}, {stream}: {a} {b}"
                    );
                }
            }
        }
    }
}

#[test]
fn everything_else_of_a_film_is_kept_or_named() {
    if !ready() {
        return;
    }
    let folder = Folder::new("film");
    let (input, chapters, text) = (
        folder.file("in.mkv"),
        folder.file("c.txt"),
        folder.file("s.srt"),
    );
    std::fs::write(&chapters, ";FFMETADATA1\ntitle=Holiday\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=One\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=1000\nEND=2000\ntitle=Two\n").unwrap();
    std::fs::write(&text, "1\n00:00:00,500 --> 00:00:01,500\nHello\n").unwrap();
    let (c, s) = (chapters.to_str().unwrap(), text.to_str().unwrap());
    make(
        &input,
        &format!(
            "{VIDEO} {SOUND} {SOUND} -i {s} -i {c} -map 0 -map 1 -map 2 -map 3 -map_metadata 4 -map_chapters 4 {H264} -c:a aac -c:s srt \
             -metadata:s:a:1 title=Commentary -metadata:s:a:1 language=fra -disposition:a:0 0 -disposition:a:1 default -attach {s} -metadata:s:t mimetype=text/plain"
        ),
    );
    let facts = "-show_chapters -show_entries format_tags:stream=codec_type:stream_tags:stream_disposition=default -of compact";
    let output = folder.file("out.mkv");
    let summary = upscale(&input, &output, BICUBIC);
    assert_eq!(summary["warnings"], serde_json::json!([]));
    let found = probe(&output, facts);
    assert_eq!(found.matches("chapter|").count(), 2, "{found}");
    for word in ["Holiday", "Commentary", "fra", "attachment", "subtitle"] {
        assert!(found.contains(word), "{word}: {found}");
    }
    let flags: Vec<_> = found
        .lines()
        .filter(|line| line.contains("codec_type=audio"))
        .map(|line| line.contains("default=1"))
        .collect();
    assert_eq!(flags, [false, true], "{found}");

    let output = folder.file("out.mp4");
    let summary = upscale(&input, &output, BICUBIC);
    let warnings = summary["warnings"].to_string();
    for word in ["attachment", "subrip", "mov_text"] {
        assert!(warnings.contains(word), "{word}: {warnings}");
    }
    let found = probe(&output, facts);
    assert_eq!(found.matches("chapter|").count(), 2, "{found}");
    assert!(
        found.contains("Commentary") && found.contains("Holiday"),
        "{found}"
    );
}

#[test]
fn what_is_missing_or_damaged_is_told_with_numbers() {
    if !ready() {
        return;
    }
    let folder = Folder::new("damaged");
    let (whole, cut, output) = (
        folder.file("whole.mkv"),
        folder.file("cut.mkv"),
        folder.file("out.mp4"),
    );
    make(&whole, &format!("{VIDEO} {SOUND} {H264} -g 10 -c:a aac"));
    let data = std::fs::read(&whole).unwrap();
    std::fs::write(&cut, &data[..data.len() / 2]).unwrap();
    let summary = upscale(&cut, &output, BICUBIC);
    let warnings = summary["warnings"].to_string();
    assert!(warnings.contains("of 2.0 s: it was cut off"), "{warnings}");
    assert!(summary["frames"].as_u64().unwrap() < 45);

    let changed = folder.file("changed.ts");
    let (a, b) = (folder.file("a.ts"), folder.file("b.ts"));
    make(&a, &format!("{VIDEO} {H264} -bf 0"));
    make(
        &b,
        &format!("-f lavfi -i testsrc2=s=96x64:r=25:d=1 {H264} -bf 0 -output_ts_offset 2"),
    );
    std::fs::write(
        &changed,
        [std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap()].concat(),
    )
    .unwrap();
    let summary = upscale(&changed, &output, BICUBIC);
    assert_eq!(summary["frames"], 75);
    let warnings = summary["warnings"].to_string();
    assert!(
        warnings.contains("64x48 (50 frames), 96x64 (25 frames)"),
        "{warnings}"
    );
    assert_eq!(times(&output, "v:0").len(), 75);
}

#[test]
fn grey_stays_grey() {
    if !ready() {
        return;
    }
    let folder = Folder::new("grey");
    for format in ["gray", "gray10le", "gray16le", "yuv420p", "bgr0"] {
        let (input, output) = (folder.file("in.mkv"), folder.file("out.mp4"));
        make(
            &input,
            &format!("-f lavfi -i color=0x626262:s=64x48:r=10:d=0.3 -c:v ffv1 -pix_fmt {format}"),
        );
        upscale(&input, &output, BICUBIC);
        let mean = |path: &Path| {
            let result = Command::new("ffmpeg")
                .args(["-v", "error", "-i"])
                .arg(path)
                .args(["-frames:v", "1", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"])
                .output()
                .unwrap();
            let pixels = result.stdout;
            [0, 1, 2].map(|channel| {
                let samples = pixels.iter().skip(channel).step_by(3);
                samples.map(|sample| f64::from(*sample)).sum::<f64>() * 3.0 / pixels.len() as f64
            })
        };
        let (before, after) = (mean(&input), mean(&output));
        for channel in 0..3 {
            assert!(
                (before[channel] - after[channel]).abs() < 1.5,
                "{format}: {before:?} {after:?}"
            );
        }
    }
}

#[test]
fn transparency_is_named_wherever_it_lies() {
    if !ready() {
        return;
    }
    let folder = Folder::new("alpha");
    let source = "-f lavfi -i testsrc2=s=64x48:r=10:d=0.3,format=rgba,geq=r=r(X\\,Y):g=g(X\\,Y):b=b(X\\,Y):a=if(lt(X\\,20)\\,0\\,255)";
    let palette =
        "-filter_complex [0]split[a][b];[a]palettegen=reserve_transparent=1[p];[b][p]paletteuse";
    for (name, coding, output, word) in [
        // Beside the pictures, where ffmpeg's own decoders do not see it.
        (
            "vp9.webm",
            "-c:v libvpx-vp9 -cpu-used 8 -pix_fmt yuva420p",
            "out.webm",
            "VP9",
        ),
        (
            "vp8.webm",
            "-c:v libvpx -auto-alt-ref 0 -pix_fmt yuva420p",
            "out.mkv",
            "FFV1",
        ),
        (
            "prores.mov",
            "-c:v prores_ks -pix_fmt yuva444p10le",
            "out.mov",
            "ProRes 4444",
        ),
        (
            "png.mov",
            "-c:v png -pix_fmt rgba",
            "out.mp4",
            "does not hold it",
        ),
        ("qtrle.mov", "-c:v qtrle -pix_fmt argb", "out.mkv", "FFV1"),
        (
            "ffv1.mkv",
            "-c:v ffv1 -pix_fmt yuva420p",
            "out.mp4",
            "does not hold it",
        ),
        ("clear.gif", palette, "out.mp4", "does not hold it"),
        ("opaque.gif", "-pix_fmt rgb8", "out.mp4", ""),
    ] {
        let (input, output) = (folder.file(name), folder.file(output));
        make(&input, &format!("{source} {coding}"));
        let summary = upscale(&input, &output, BICUBIC);
        let warnings: Vec<_> = summary["warnings"].as_array().unwrap().iter().collect();
        let named: Vec<_> = warnings
            .iter()
            .filter(|text| text.as_str().unwrap().contains("transparency"))
            .collect();
        assert_eq!(
            named.len(),
            usize::from(!word.is_empty()),
            "{name}: {warnings:?}"
        );
        assert!(
            named.iter().all(|text| text.to_string().contains(word)),
            "{name}: {named:?}"
        );
        // Nor does the output claim to have it.
        let claimed = probe(&output, "-show_entries stream_tags -of compact").to_lowercase();
        assert!(!claimed.contains("alpha_mode"), "{name}: {claimed}");
        assert_eq!(times(&output, "v:0").len(), 3, "{name}");
    }
}

#[test]
fn limits_are_told_before_any_work() {
    if !ready() {
        return;
    }
    let folder = Folder::new("limits");
    let (input, output) = (folder.file("in.mkv"), folder.file("out.mp4"));
    for (size, large) in [("4200x16", "16800x64"), ("2x2", "8x8")] {
        make(
            &input,
            &format!("-f lavfi -i testsrc2=s={size}:r=10:d=0.2 -c:v ffv1 -pix_fmt bgr0"),
        );
        let result = run(&[
            &["upscale", input.to_str().unwrap(), output.to_str().unwrap()],
            BICUBIC,
        ]
        .concat());
        assert_fails(&result, 1, &[large, "16384"]);
    }
    make(&input, &format!("{VIDEO} {H264}"));
    for options in [
        ["--codec", "vp8"],
        ["--preset", "nonsense"],
        ["--encoder-args", "nothing=1"],
        ["--segment-time", "0s"],
    ] {
        let result = run(&[
            &["upscale", input.to_str().unwrap(), output.to_str().unwrap()],
            BICUBIC,
            &options,
        ]
        .concat());
        assert_fails(
            &result,
            2,
            &[options[1].split('=').next().unwrap().trim_end_matches('s')],
        );
    }
    assert_eq!(folder.names(), ["in.mkv"]);
    let pipe = folder.file("pipe.mkv");
    if !Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .is_ok_and(|status| status.success())
    {
        eprintln!("skipped: no mkfifo");
        return;
    }
    let arguments = ["upscale", pipe.to_str().unwrap(), output.to_str().unwrap()];
    // Whoever writes into it is not left waiting for a reader.
    let writer = {
        let pipe = pipe.clone();
        std::thread::spawn(move || std::fs::File::options().write(true).open(pipe).is_ok())
    };
    let start = Instant::now();
    while !writer.is_finished() {
        assert_fails(
            &run_within(&arguments, Duration::from_secs(20)),
            1,
            &["pipe", "regular file"],
        );
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "the writer waits"
        );
    }
    assert!(writer.join().unwrap());
}

/// Options of a job of one second for each segment and a second for each frame.
const SLOW: &[&str] = &[
    "--general-model",
    "slow-x4",
    "--face-model",
    "none",
    "--segment-time",
    "1s",
];

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
            let text = std::fs::read_to_string(&second).unwrap();
            let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
            record["seen"]["tail"][1] = "0".into();
            std::fs::write(&second, record.to_string()).unwrap();
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

#[test]
fn a_folder_is_done_file_by_file() {
    if !ready() {
        return;
    }
    let folder = Folder::new("folder");
    let (inputs, outputs) = (folder.file("in"), folder.file("out"));
    std::fs::create_dir_all(inputs.join("deep")).unwrap();
    make(
        &inputs.join("film.avi"),
        &format!("{VIDEO} -c:v mjpeg -pix_fmt yuvj420p"),
    );
    make(
        &inputs.join("deep/clip.mp4"),
        &format!("-f lavfi -i testsrc2=s=64x48:r=10:d=0.5 {H264}"),
    );
    make(
        &inputs.join("still.png"),
        "-f lavfi -i testsrc2=s=32x24 -frames:v 1",
    );
    make(&inputs.join("song.mka"), &format!("{SOUND} -c:a flac"));
    std::fs::write(inputs.join("notes.txt"), "nothing").unwrap();
    let all = || {
        run(&[
            &[
                "upscale",
                inputs.to_str().unwrap(),
                outputs.to_str().unwrap(),
            ],
            BICUBIC,
        ]
        .concat())
    };
    let result = all();
    assert!(
        result.status.success(),
        "{}",
        String::from_utf8_lossy(&result.stderr)
    );
    for name in ["film.mkv", "deep/clip.mp4", "still.png"] {
        assert!(outputs.join(name).exists(), "{name}");
    }
    let words = String::from_utf8_lossy(&all().stderr).into_owned();
    assert!(
        words.contains("0 files upscaled, 3 were there already, 2 are neither"),
        "{words}"
    );
    // One that fails does not keep the others, and is named in the lines of a program that reads them.
    std::fs::write(
        inputs.join("broken.png"),
        b"\x89PNG\r\n\x1a\n and nothing more",
    )
    .unwrap();
    let typed = [inputs.to_str().unwrap(), outputs.to_str().unwrap()];
    let result = run(&[&["upscale", typed[0], typed[1], "--json"], BICUBIC].concat());
    assert_fails(&result, 1, &["broken.png", "1 of the files"]);
    let told = lines(&result);
    let event = |name: &str| told.iter().find(|line| line["event"] == name).unwrap();
    let input = event("error")["input"].as_str().unwrap();
    assert!(input.ends_with("broken.png"), "{told:?}");
    assert_eq!(
        (&event("folder")["skipped"], &event("folder")["done"]),
        (&3.into(), &0.into())
    );
    let result = run(&[&["upscale", inputs.to_str().unwrap(), "out.mp4"], BICUBIC].concat());
    assert_fails(&result, 2, &["folder", "out.mp4"]);
}
