//! Every encoder that is here writes its kinds of files: frames at their times, the coding and depth that were asked for, colours kept,
//! and nothing in them that does not decode.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

mod support;
use support::{BICUBIC, Folder, runtime, upscale};

/// What is written: codec, encoder, bits, kinds of files, ffprobe's name of the coding and of the samples.
type Row = (
    &'static str,
    &'static str,
    u32,
    &'static [&'static str],
    &'static str,
    &'static str,
);

const ROWS: &[Row] = &[
    ("h264", "x264enc", 10, &["mp4"], "h264", "yuv420p10le"),
    ("h264", "openh264enc", 8, &["mp4"], "h264", "yuv420p"),
    ("h265", "x265enc", 8, &["mp4", "mov"], "hevc", "yuv420p"),
    ("h265", "x265enc", 10, &["mkv"], "hevc", "yuv420p10le"),
    (
        "av1",
        "av1enc",
        8,
        &["mp4", "mkv", "webm"],
        "av1",
        "yuv420p",
    ),
    ("vp9", "vp9enc", 8, &["webm", "mp4"], "vp9", "yuv420p"),
    ("vp9", "vp9enc", 10, &["mkv"], "vp9", "yuv420p10le"),
    (
        "prores",
        "avenc_prores_ks",
        10,
        &["mov", "mkv"],
        "prores",
        "yuv422p10le",
    ),
    ("ffv1", "avenc_ffv1", 8, &["mkv"], "ffv1", "yuv444p"),
    ("ffv1", "avenc_ffv1", 10, &["mkv"], "ffv1", "yuv444p10le"),
];

/// What a command prints; its errors must be none.
#[track_caller]
fn said(name: &str, arguments: &[&str], path: &Path) -> String {
    let mut command = Command::new(name);
    command.args(["-v", "error"]).args(arguments);
    let path = path.to_str().unwrap();
    command.args(if name == "ffmpeg" {
        vec!["-i", path, "-map", "0:v", "-f", "framemd5", "-"]
    } else {
        vec![path]
    });
    let result = command.output().unwrap();
    let errors = String::from_utf8_lossy(&result.stderr);
    assert!(
        result.status.success() && errors.is_empty(),
        "{path}: {errors}"
    );
    String::from_utf8(result.stdout).unwrap()
}

/// Times of a video's packets in milliseconds.
fn times(path: &Path) -> Vec<i64> {
    let options = [
        "-select_streams",
        "v:0",
        "-show_entries",
        "packet=pts_time",
        "-of",
        "csv=p=0",
    ];
    let text = said("ffprobe", &options, path);
    let mut times: Vec<i64> = text
        .lines()
        .filter_map(|line| line.trim_matches(',').parse::<f64>().ok())
        .map(|seconds| (seconds * 1000.0).round() as i64)
        .collect();
    times.sort_unstable();
    times
}

/// The value of a field of a video's stream.
fn field(path: &Path, name: &str) -> String {
    let entry = format!("stream={name}");
    let options = [
        "-select_streams",
        "v:0",
        "-show_entries",
        &entry,
        "-of",
        "csv=p=0",
    ];
    said("ffprobe", &options, path)
        .trim()
        .trim_matches(',')
        .to_owned()
}

/// The mean of each of red, green and blue over all frames.
fn mean(path: &Path) -> [f64; 3] {
    let result = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        // Through 16 bits: the direct way is off by a level or two.
        .args([
            "-map",
            "0:v",
            "-vf",
            "scale=flags=accurate_rnd+full_chroma_int",
            "-pix_fmt",
            "gbrp16le",
        ])
        .args(["-f", "rawvideo", "-"])
        .output()
        .unwrap();
    let size: Vec<usize> = ["width", "height"]
        .map(|name| field(path, name).parse().unwrap())
        .to_vec();
    let area = size[0] * size[1];
    let mut sums = [0.0; 3];
    let mut count = 0.0;
    for frame in result.stdout.chunks_exact(area * 6) {
        for (plane, samples) in frame.chunks_exact(area * 2).enumerate() {
            let samples = samples.chunks_exact(2);
            sums[plane] += samples
                .map(|sample| f64::from(u16::from_le_bytes([sample[0], sample[1]])))
                .sum::<f64>();
        }
        count += area as f64;
    }
    sums.map(|sum| sum / count / 257.0)
}

#[test]
fn every_encoder_here_writes_its_files() {
    if !runtime() {
        return;
    }
    gst::init().unwrap();
    let folder = Folder::new("encoders");
    let input = folder.file("in.mkv");
    // Uneven times, a matrix that nobody would guess, two segments.
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-f", "lavfi", "-i"])
        .arg("testsrc2=s=80x64:r=10:d=1.2,setpts=PTS+0.013*mod(N\\,3)/TB,scale=out_color_matrix=bt709:flags=accurate_rnd")
        .args(["-fps_mode", "passthrough", "-c:v", "ffv1", "-pix_fmt", "yuv420p", "-color_range", "tv"])
        .args(["-colorspace", "bt709", "-color_primaries", "bt2020", "-color_trc", "smpte2084"])
        .arg(&input)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let (wanted, colours) = (times(&input), mean(&input));
    let mut written = 0;
    for (codec, encoder, bits, kinds, name, samples) in ROWS {
        if gst::ElementFactory::find(encoder).is_none() {
            continue;
        }
        for kind in *kinds {
            let output = folder.file(&format!("{codec}-{encoder}-{bits}.{kind}"));
            let bits = bits.to_string();
            let options = [
                "--codec",
                codec,
                "--encoder",
                encoder,
                "--bits",
                &bits,
                "--segment-time",
                "500ms",
                "--quality",
                "8",
            ];
            let summary = upscale(&input, &output, &[BICUBIC, &options].concat());
            let what = output.file_name().unwrap().to_string_lossy().into_owned();
            assert_eq!(summary["encoder"], *encoder, "{what}");
            assert_eq!(summary["segments"], 3, "{what}");
            assert_eq!(summary["warnings"], serde_json::json!([]), "{what}");
            assert_eq!(times(&output), wanted, "{what}");
            for (entry, expected) in [
                ("codec_name", *name),
                ("pix_fmt", *samples),
                ("color_range", "tv"),
                ("color_space", "bt709"),
                ("width", "320"),
            ] {
                assert_eq!(field(&output, entry), expected, "{what}: {entry}");
            }
            // VP9 has a field for the matrix alone; where the file has one for the others they are kept.
            if *codec != "vp9" {
                assert_eq!(field(&output, "color_primaries"), "bt2020", "{what}");
                assert_eq!(field(&output, "color_transfer"), "smpte2084", "{what}");
            }
            let frames = said("ffmpeg", &[], &output);
            let frames = frames.lines().filter(|line| !line.starts_with('#')).count();
            assert_eq!(frames, wanted.len(), "{what}");
            let found = mean(&output);
            for channel in 0..3 {
                assert!(
                    (found[channel] - colours[channel]).abs() < 1.5,
                    "{what}: {colours:?} {found:?}"
                );
            }
            written += 1;
        }
    }
    assert!(
        written > 0,
        "GStreamer has none of the encoders that are known"
    );
}

#[test]
fn what_is_said_of_hdr_is_kept_or_named() {
    if !runtime() {
        return;
    }
    gst::init().unwrap();
    let folder = Folder::new("hdr");
    let input = folder.file("in.mp4");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=0.5"])
        .args(["-pix_fmt", "yuv420p10le", "-color_primaries", "bt2020", "-color_trc", "smpte2084"])
        .args(["-colorspace", "bt2020nc", "-c:v", "libx265", "-x265-params"])
        .arg("log-level=none:hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400")
        .arg(&input)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    for (encoder, codec, bits, kind, kept) in [
        ("x264enc", "h264", "10", "mp4", true),
        ("x264enc", "h264", "8", "mkv", true),
        ("x265enc", "h265", "10", "mp4", true),
        ("av1enc", "av1", "8", "mp4", true),
        ("av1enc", "av1", "8", "mkv", true),
        ("vp9enc", "vp9", "10", "webm", true),
        ("x265enc", "h265", "10", "mov", true),
        // GStreamer's Matroska muxer, through which this goes, writes wrong numbers.
        ("avenc_ffv1", "ffv1", "10", "mkv", false),
    ] {
        if gst::ElementFactory::find(encoder).is_none() {
            continue;
        }
        let output = folder.file(&format!("{codec}.{kind}"));
        let options = ["--codec", codec, "--encoder", encoder, "--bits", bits];
        let summary = upscale(&input, &output, &[BICUBIC, &options].concat());
        let warnings = summary["warnings"].to_string();
        assert_eq!(
            warnings.contains("mastering display and light level"),
            !kept,
            "{codec}.{kind}: {warnings}"
        );
        let found = said(
            "ffprobe",
            &["-select_streams", "v:0", "-show_streams"],
            &output,
        );
        let number = |name: &str| -> Option<f64> {
            let line = found.lines().find_map(|line| line.strip_prefix(name))?;
            let (a, b) = line.split_once('/').unwrap_or((line, "1"));
            Some(a.parse::<f64>().unwrap() / b.parse::<f64>().unwrap())
        };
        let wanted = |value: f64| kept.then_some(value);
        let near = |found: Option<f64>, wanted: Option<f64>| match (found, wanted) {
            (Some(found), Some(wanted)) => (found - wanted).abs() <= wanted * 1e-3,
            (None, None) => true,
            _ => false,
        };
        for (name, value) in [
            ("max_luminance=", 1000.0),
            ("min_luminance=", 0.005),
            ("red_x=", 0.68),
            ("green_y=", 0.69),
            ("blue_x=", 0.15),
            ("white_point_y=", 0.329),
            ("max_content=", 1000.0),
            ("max_average=", 400.0),
        ] {
            assert!(
                near(number(name), wanted(value)),
                "{codec}.{kind}: {name} {:?}",
                number(name)
            );
        }
    }
}
