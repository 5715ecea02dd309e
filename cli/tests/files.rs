//! `srfusion upscale` on files as people really have them, made with ffmpeg.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

mod support;
use support::media::{H264, SOUND, VIDEO, make, probe, ready, times};
use support::{BICUBIC, Folder, assert_fails, lines, run, run_within, upscale};

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

/// Shrunk again, the transparency of the output is the input's, wherever that lay, and nothing is said of it.
#[test]
fn transparency_is_kept_where_it_can_be_written() {
    if !ready() {
        return;
    }
    let folder = Folder::new("alpha-kept");
    let source = "-f lavfi -i testsrc2=s=64x48:r=10:d=0.3,format=rgba,geq=r=r(X\\,Y):g=g(X\\,Y):b=b(X\\,Y):a=4*X";
    for (name, coding, output, codec) in [
        ("qtrle.mov", "-c:v qtrle -pix_fmt argb", "out.mkv", "ffv1"),
        (
            "ffv1.mkv",
            "-c:v ffv1 -pix_fmt yuva420p",
            "out.mov",
            "prores",
        ),
        (
            "prores.mov",
            "-c:v prores_ks -pix_fmt yuva444p10le",
            "out.mkv",
            "ffv1",
        ),
        (
            "vp9.webm",
            "-c:v libvpx-vp9 -cpu-used 8 -crf 10 -b:v 0 -pix_fmt yuva420p",
            "out.mov",
            "prores",
        ),
    ] {
        let (input, output) = (folder.file(name), folder.file(output));
        make(&input, &format!("{source} {coding}"));
        let summary = upscale(&input, &output, &[BICUBIC, &["--codec", codec]].concat());
        let warnings = summary["warnings"].to_string();
        assert!(!warnings.contains("transparency"), "{name}: {warnings}");
        assert_eq!(times(&output, "v:0").len(), 3, "{name}");
        let shrunk = folder.file("alpha.gray");
        make(
            &shrunk,
            &format!(
                "-i {} -vf alphaextract,scale=64:48:flags=area:in_range=full:out_range=full,format=gray -f rawvideo",
                output.display()
            ),
        );
        let found = std::fs::read(&shrunk).unwrap();
        assert_eq!(found.len(), 3 * 64 * 48, "{name}");
        for (at, alpha) in found.iter().enumerate() {
            let expected = 4.0 * (at % 64) as f32;
            assert!(
                (f32::from(*alpha) - expected).abs() <= 6.0,
                "{name}: {at}: {alpha} {expected}"
            );
        }
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
