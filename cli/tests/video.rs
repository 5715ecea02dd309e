//! `srfusion upscale` on videos: every frame at its time, the sound untouched, the colours where they were, and no half
//! file whatever happens.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use gst::prelude::*;

mod support;
use support::{
    BICUBIC, FACES, Folder, Seen, assert_fails, assert_same_times, at, command, frames, has,
    last_line, play, run, run_within, runtime, sound, upscale,
};

/// Whether everything is there that the clips of these tests are made with and read by.
fn ready() -> bool {
    runtime()
        && has(&[
            "x264enc",
            "h264parse",
            "mp4mux",
            "matroskamux",
            "avdec_h264",
            "videotestsrc",
        ])
}

/// Makes a clip of a test picture; `raw` are caps fields, `between` elements before the encoder.
fn clip(path: &Path, count: usize, raw: &str, muxer: &str) {
    changed_clip(path, count, raw, muxer, |_, _| true);
}

/// The same, with every frame handed to `change` before it is encoded.
fn changed_clip(
    path: &Path,
    count: usize,
    raw: &str,
    muxer: &str,
    change: impl Fn(usize, &mut gst::BufferRef) -> bool + Send + Sync + 'static,
) {
    let description = format!(
        "videotestsrc num-buffers={count} pattern=smpte75 ! video/x-raw,format=I420,{raw} ! identity name=change ! identity drop-buffer-flags=droppable \
         ! x264enc pass=qual quantizer=10 ! h264parse ! {muxer} ! filesink name=out"
    );
    play(&description, |pipeline| {
        pipeline
            .by_name("out")
            .unwrap()
            .set_property("location", path);
        at(pipeline, "change", "sink", change);
    });
}

/// A time that grows by an uneven number of milliseconds, the same for a number every time.
fn uneven(number: usize) -> gst::ClockTime {
    gst::ClockTime::from_mseconds((number * 40 + (number * 7919) % 31) as u64)
}

#[test]
fn every_frame_keeps_its_time() {
    if !ready() {
        return;
    }
    let folder = Folder::new("times");
    let size = "width=64,height=48";
    // Even frames, in units that no power of ten divides.
    let even = folder.file("even.mp4");
    clip(&even, 40, &format!("{size},framerate=30000/1001"), "mp4mux");
    // Frames dropped before the encoder, and B-frames: an edit list at the start.
    let gaps = folder.file("gaps.mp4");
    changed_clip(
        &gaps,
        40,
        &format!("{size},framerate=30000/1001"),
        "mp4mux",
        |number, _| number % 5 != 3,
    );
    // Times all over the place, in whole milliseconds.
    let jitter = folder.file("jitter.mkv");
    changed_clip(
        &jitter,
        30,
        &format!("{size},framerate=25/1"),
        "matroskamux",
        |number, buffer| {
            buffer.set_pts(uneven(number));
            true
        },
    );
    for (input, count) in [(&even, 40), (&gaps, 32), (&jitter, 30)] {
        let before = frames(input);
        // The muxer that made the input cuts off a B-frame at its end now and then.
        assert!(
            before.len() == count || before.len() + 1 == count,
            "{}",
            before.len()
        );
        let count = before.len();
        for (extension, tolerance) in [("mp4", 1_000), ("mov", 1_000), ("mkv", 500_000)] {
            let output = folder.file(&format!("out.{extension}"));
            let summary = upscale(input, &output, BICUBIC);
            assert_eq!(summary["frames"], count);
            assert_eq!(
                (&summary["width"], &summary["height"]),
                (&256.into(), &192.into())
            );
            assert_eq!(summary["provider"], "cpu");
            assert!(summary["frames_per_second"].as_f64().unwrap() > 0.0);
            let after = frames(&output);
            assert_same_times(&before, &after, tolerance);
            assert!(
                after
                    .iter()
                    .all(|frame| (frame.width, frame.height) == (256, 192))
            );
        }
    }
}

#[test]
fn a_track_that_starts_late_starts_late() {
    if !ready() || !has(&["avenc_aac", "aacparse"]) {
        return;
    }
    let folder = Folder::new("late");
    for (muxer, extension) in [("mp4mux", "mp4"), ("matroskamux", "mkv")] {
        let input = folder.file(&format!("in.{extension}"));
        let description = format!(
            "videotestsrc num-buffers=20 ! video/x-raw,format=I420,width=64,height=48,framerate=20/1 ! identity name=change \
             ! x264enc bframes=0 ! h264parse ! queue ! mux. \
             audiotestsrc num-buffers=60 samplesperbuffer=1024 ! audio/x-raw,rate=44100,channels=1 ! avenc_aac \
             ! aacparse ! queue ! mux. {muxer} name=mux ! filesink name=out"
        );
        play(&description, |pipeline| {
            pipeline
                .by_name("out")
                .unwrap()
                .set_property("location", &input);
            at(pipeline, "change", "sink", |_, buffer| {
                buffer.set_pts(buffer.pts().unwrap() + gst::ClockTime::from_mseconds(350));
                true
            });
        });
        let before = frames(&input);
        let output = folder.file("out.mp4");
        upscale(&input, &output, BICUBIC);
        let after = frames(&output);
        assert_same_times(&before, &after, 1_000);
        assert_eq!(after[0].time / 1_000_000, 350);
    }
}

#[test]
fn sound_is_copied_bit_for_bit() {
    if !ready()
        || !has(&[
            "avenc_aac",
            "aacparse",
            "lamemp3enc",
            "mpegaudioparse",
            "opusenc",
            "opusparse",
            "flacenc",
        ])
    {
        return;
    }
    let folder = Folder::new("sound");
    for (coding, muxer, extension, output) in [
        ("avenc_aac ! aacparse", "mp4mux", "mp4", "mp4"),
        ("avenc_aac ! aacparse", "mp4mux", "mp4", "mkv"),
        ("avenc_aac ! aacparse", "matroskamux", "mkv", "mov"),
        ("lamemp3enc ! mpegaudioparse", "matroskamux", "mkv", "mp4"),
        (
            "audioresample ! audio/x-raw,rate=48000 ! opusenc ! opusparse",
            "matroskamux",
            "mkv",
            "mp4",
        ),
        ("flacenc ! flacparse", "matroskamux", "mkv", "mkv"),
    ] {
        let (input, output) = (
            folder.file(&format!("in.{extension}")),
            folder.file(&format!("out.{output}")),
        );
        let description = format!(
            "videotestsrc num-buffers=50 ! video/x-raw,format=I420,width=32,height=32,framerate=25/1 ! x264enc ! h264parse ! queue \
             ! mux. audiotestsrc num-buffers=80 samplesperbuffer=1024 ! audio/x-raw,rate=44100,channels=2 \
             ! audioconvert ! {coding} ! queue ! mux. {muxer} name=mux ! filesink name=out"
        );
        play(&description, |pipeline| {
            pipeline
                .by_name("out")
                .unwrap()
                .set_property("location", &input)
        });
        let summary = upscale(&input, &output, BICUBIC);
        assert_eq!(summary["sound"][0]["action"], "copied", "{coding}");
        assert_eq!(summary["warnings"], serde_json::json!([]));
        let (mut before, mut after) = (sound(&input), sound(&output));
        if coding.starts_with("flacenc") {
            // The muxer writes the headers anew; sound is in frames, which begin with their sync code (RFC 9639, section 9.1).
            for packets in [&mut before, &mut after] {
                packets.retain(|(_, packet)| packet.starts_with(&[0xff, 0xf8]));
            }
        }
        let label = format!("{coding} from {muxer} to {}", output.display());
        assert!(before.len() > 15, "{label}: {}", before.len());
        assert_eq!(before.len(), after.len(), "{label}");
        for (i, ((time_in, packet_in), (time_out, packet_out))) in
            before.iter().zip(&after).enumerate()
        {
            assert_eq!(packet_in, packet_out, "{label}: packet {i}");
            // The first packet of Opus begins before what is heard (312 samples of 48,000 a second); MP4 says so, and GStreamer then
            // places it before the file's beginning.
            let before_all = i == 0 && coding.contains("opusenc") && *time_out == u64::MAX;
            // Matroska counts in milliseconds.
            assert!(
                before_all || time_in.abs_diff(*time_out) <= 1_000_000,
                "{label}: packet {i} at {time_in}, then {time_out}"
            );
        }
        // And it is gone where the user wants it gone.
        let summary = upscale(&input, &output, &[BICUBIC, &["--no-sound"]].concat());
        assert_eq!(summary["sound"][0]["action"], "dropped");
        assert!(sound(&output).is_empty());
    }
}

#[test]
fn sound_and_picture_do_not_wait_for_each_other() {
    if !ready() || !has(&["avenc_aac", "aacparse"]) {
        return;
    }
    let folder = Folder::new("seldom");
    // Pictures so seldom that those an encoder holds last for many seconds; and sound or pictures that begin or end long before the
    // others do. Times in milliseconds: of a picture, of the first picture, of the sound, of its start.
    let clips = [
        ("seldom", 20, 1_000, 0, 20_000, 0),
        ("early sound", 20, 100, 6_000, 8_000, 0),
        ("late sound", 80, 100, 0, 2_000, 6_000),
        ("short sound", 80, 100, 0, 3_000, 0),
        ("long sound", 30, 100, 0, 9_000, 0),
    ];
    for (name, count, duration, first, length, start) in clips {
        for (muxer, extension) in [("mp4mux", "mp4"), ("matroskamux", "mkv")] {
            let (input, output) = (
                folder.file(&format!("in.{extension}")),
                folder.file("out.mp4"),
            );
            let blocks = length * 44_100 / 1024 / 1000;
            // One thread without lookahead, so that this pipeline does not hang itself.
            let description = format!(
                "videotestsrc num-buffers={count} timestamp-offset={first}000000 ! video/x-raw,format=I420,width=64,height=48,framerate=1000/{duration} \
                 ! x264enc bframes=0 tune=zerolatency threads=1 ! h264parse ! queue max-size-time=0 ! mux. \
                 audiotestsrc num-buffers={blocks} timestamp-offset={start}000000 ! audio/x-raw,rate=44100,channels=1 ! avenc_aac \
                 ! aacparse ! queue max-size-time=0 max-size-buffers=0 ! mux. {muxer} name=mux ! filesink name=out"
            );
            play(&description, |pipeline| {
                pipeline
                    .by_name("out")
                    .unwrap()
                    .set_property("location", &input)
            });
            let (a, b) = (input.to_str().unwrap(), output.to_str().unwrap());
            let arguments = [&["upscale", a, b, "--json"], BICUBIC].concat();
            let result = run_within(&arguments, Duration::from_secs(60));
            let errors = String::from_utf8_lossy(&result.stderr);
            assert!(
                result.status.success(),
                "{name}, {extension}: {:?} {errors}",
                result.status
            );
            assert_same_times(&frames(&input), &frames(&output), 1_000_000);
            let contents = |path: &Path| {
                let packets = sound(path);
                packets
                    .into_iter()
                    .map(|packet| packet.1)
                    .collect::<Vec<_>>()
            };
            let (before, after) = (contents(&input), contents(&output));
            assert_eq!(before.len(), after.len(), "{name}, {extension}");
            assert!(before == after, "{name}, {extension}: other packets");
        }
    }
}

#[test]
fn sound_that_does_not_fit_is_encoded_with_a_warning() {
    if !ready() || !has(&["vorbisenc", "avenc_aac", "vorbisdec"]) {
        return;
    }
    let folder = Folder::new("encoded");
    let (input, output) = (folder.file("in.mkv"), folder.file("out.mp4"));
    play(
        "videotestsrc num-buffers=25 ! video/x-raw,format=I420,width=32,height=32,framerate=25/1 ! x264enc ! h264parse ! queue ! mux. \
         audiotestsrc num-buffers=43 samplesperbuffer=1024 ! audioconvert ! audio/x-raw,rate=44100,channels=1 ! vorbisenc \
         ! queue ! mux. matroskamux name=mux ! filesink name=out",
        |pipeline| {
            pipeline
                .by_name("out")
                .unwrap()
                .set_property("location", &input)
        },
    );
    let summary = upscale(&input, &output, BICUBIC);
    assert_eq!(summary["sound"][0]["action"], "encoded");
    assert!(
        summary["warnings"][0]
            .as_str()
            .unwrap()
            .contains("audio/x-vorbis"),
        "{summary}"
    );
    assert!(sound(&output).len() > 40);
}

#[test]
fn colours_stay_where_they_were() {
    if !ready() {
        return;
    }
    let folder = Folder::new("colours");
    // Small pictures are taken for BT.601 where nothing is said, and their outputs, four times as high, for BT.709.
    for (colorimetry, height) in [
        ("bt601", 180),
        ("bt709", 180),
        ("1:4:0:0", 180),
        ("1:3:5:1", 180),
        ("bt709", 720),
    ] {
        let (input, output) = (folder.file("in.mp4"), folder.file("out.mp4"));
        let raw =
            format!("width=64,height={height},framerate=10/1,colorimetry=(string){colorimetry}");
        clip(&input, 3, &raw, "mp4mux");
        upscale(&input, &output, BICUBIC);
        let (before, after) = (frames(&input), frames(&output));
        assert_eq!(before.len(), 3);
        for (a, b) in before.iter().zip(&after) {
            let difference = (0..3)
                .map(|i| (a.mean[i] - b.mean[i]).abs())
                .fold(0.0, f64::max);
            assert!(
                difference < 1.0,
                "{colorimetry}: {:?} in, {:?} out",
                a.mean,
                b.mean
            );
            let kind = |seen: &Seen| {
                let c: gst_video::VideoColorimetry = seen.colorimetry.parse().unwrap();
                (c.matrix(), c.range())
            };
            assert_eq!(
                kind(a),
                kind(b),
                "{} in, {} out",
                a.colorimetry,
                b.colorimetry
            );
        }
    }
}

#[test]
fn pixels_keep_their_shape_and_pictures_stand_upright() {
    if !ready() {
        return;
    }
    let folder = Folder::new("shape");
    let (input, output) = (folder.file("in.mp4"), folder.file("out.mp4"));
    clip(
        &input,
        3,
        "width=64,height=48,framerate=10/1,pixel-aspect-ratio=16/11",
        "mp4mux",
    );
    upscale(&input, &output, BICUBIC);
    assert!(
        frames(&output)
            .iter()
            .all(|frame| frame.aspect == gst::Fraction::new(16, 11))
    );

    // A telephone held upright: frames lie on their side, and the track's matrix says so.
    clip(&input, 3, "width=64,height=48,framerate=10/1", "mp4mux");
    let mut file = std::fs::read(&input).unwrap();
    // Behind the type and 40 bytes of version, times, number, duration and layer.
    let matrix = file.windows(4).position(|kind| kind == b"tkhd").unwrap() + 44;
    assert_eq!(file[matrix..][..4], [0, 1, 0, 0]);
    for (place, value) in [(0, 0_i32), (1, 0x1_0000), (3, -0x1_0000), (4, 0)] {
        file[matrix + place * 4..][..4].copy_from_slice(&value.to_be_bytes());
    }
    std::fs::write(&input, file).unwrap();
    let summary = upscale(&input, &output, BICUBIC);
    assert_eq!(
        (&summary["width"], &summary["height"]),
        (&192.into(), &256.into())
    );
    // Turned once: turning by the tag of the output must not turn again.
    play(
        "filesrc name=in ! decodebin ! videoconvert ! videoflip video-direction=auto ! video/x-raw,width=192,height=256 \
         ! fakesink",
        |pipeline| {
            pipeline
                .by_name("in")
                .unwrap()
                .set_property("location", &output)
        },
    );
}

#[test]
fn faces_are_counted_and_views_switched() {
    if !ready() {
        return;
    }
    let folder = Folder::new("faces");
    let (input, output) = (folder.file("in.mp4"), folder.file("out.mkv"));
    clip(&input, 4, "width=64,height=64,framerate=10/1", "mp4mux");
    let summary = upscale(&input, &output, FACES);
    assert_eq!(
        (&summary["frames_with_faces"], &summary["most_faces"]),
        (&4.into(), &1.into())
    );
    upscale(
        &input,
        &output,
        &[
            FACES,
            &["--view", "mask", "--smoothing", "0", "--hold-time", "10ms"],
        ]
        .concat(),
    );
    let mask = &frames(&output)[3];
    // A white patch in a black picture, grey all over.
    assert!(
        mask.mean[0] > 10.0 && mask.mean[0] < 128.0,
        "{:?}",
        mask.mean
    );
    assert!((mask.mean[0] - mask.mean[2]).abs() < 2.0);
}

#[test]
fn every_kind_of_file_and_encoder() {
    if !ready() {
        return;
    }
    let folder = Folder::new("kinds");
    let input = folder.file("in.mp4");
    clip(&input, 5, "width=64,height=48,framerate=10/1", "mp4mux");
    let before = frames(&input);
    for (extension, encoder) in [
        ("m4v", "x264enc"),
        ("mp4", "openh264enc"),
        ("webm", "vp9enc"),
    ] {
        if !has(&[encoder]) {
            continue;
        }
        let output = folder.file(&format!("out.{extension}"));
        let summary = upscale(
            &input,
            &output,
            &[BICUBIC, &["--encoder", encoder]].concat(),
        );
        assert_eq!(summary["encoder"], encoder);
        assert_same_times(&before, &frames(&output), 1_000_000);
    }
}

#[test]
fn an_interruption_leaves_nothing_behind() {
    if !ready() {
        return;
    }
    let folder = Folder::new("interrupted");
    let (input, output) = (folder.file("in.mp4"), folder.file("out.mp4"));
    // Half a second for every row above 64: it would take hours.
    clip(&input, 100, "width=64,height=192,framerate=10/1", "mp4mux");
    let (a, b) = (input.to_str().unwrap(), output.to_str().unwrap());
    let arguments = [
        "upscale",
        a,
        b,
        "--general-model",
        "slow-x4",
        "--face-model",
        "none",
    ];
    let mut child = command(&arguments).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while folder.names().len() < 2 && started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    // It is at work, or about to be.
    std::thread::sleep(Duration::from_secs(2));
    let sent = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    if !sent.is_ok_and(|status| status.success()) {
        child.kill().unwrap();
        child.wait().unwrap();
        eprintln!("skipped: no kill command");
        return;
    }
    let result = child.wait_with_output().unwrap();
    assert_fails(&result, 1, &["interrupted"]);
    assert!(started.elapsed() < Duration::from_secs(90));
    assert_eq!(folder.names(), ["in.mp4"]);
}

#[test]
fn failures_are_told_and_leave_nothing_behind() {
    if !ready() {
        return;
    }
    let folder = Folder::new("failures");
    let (good, output) = (folder.file("good.mp4"), folder.file("out.mp4"));
    clip(&good, 3, "width=64,height=48,framerate=10/1", "mp4mux");
    let (good, output) = (good.to_str().unwrap(), output.to_str().unwrap());
    let text = folder.file("text.mp4");
    std::fs::write(&text, "not a film at all\n".repeat(100)).unwrap();
    let cut = folder.file("cut.mp4");
    let whole = std::fs::read(good).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let sound = folder.file("sound.mka");
    play(
        "audiotestsrc num-buffers=20 ! flacenc ! matroskamux ! filesink name=out",
        |pipeline| {
            pipeline
                .by_name("out")
                .unwrap()
                .set_property("location", &sound);
        },
    );
    let before = folder.names();
    let with = |input: &str, output: &str, options: &[&str]| {
        let result = run(&[&["upscale", input, output], BICUBIC, options].concat());
        assert_eq!(folder.names(), before);
        result
    };
    let missing = folder.file("missing.mp4");
    assert_fails(
        &with(missing.to_str().unwrap(), output, &[]),
        1,
        &["missing.mp4", "No such file"],
    );
    let elsewhere = folder.file("no-folder/out.mp4");
    assert_fails(
        &with(good, elsewhere.to_str().unwrap(), &[]),
        1,
        &["no-folder/out.mp4", "No such file"],
    );
    assert_fails(
        &with(text.to_str().unwrap(), output, &[]),
        1,
        &["text.mp4", "video"],
    );
    assert_fails(&with(cut.to_str().unwrap(), output, &[]), 1, &["cut.mp4"]);
    assert_fails(
        &with(sound.to_str().unwrap(), output, &[]),
        1,
        &["sound.mka", "no video"],
    );
    assert_fails(&with(good, good, &[]), 2, &["same file"]);
    assert_fails(
        &with(good, &format!("{good}.xyz"), &[]),
        2,
        &["xyz", ".mp4", ".png"],
    );
    assert_fails(
        &with(good, &format!("{good}.png"), &[]),
        2,
        &["good.mp4", "not a picture"],
    );
    assert_fails(
        &with(good, output, &["--encoder", "avenc_ffv1"]),
        2,
        &["avenc_ffv1", "x264enc"],
    );
    assert_fails(
        &with(good, output, &["--mask-sigma", "7"]),
        2,
        &["mask-sigma", "7"],
    );
    // The same option twice is what BICUBIC and these would be.
    let model = |name: &str| {
        let result = run(&[
            "upscale",
            good,
            output,
            "--general-model",
            name,
            "--face-model",
            "none",
            "--json",
        ]);
        assert_eq!(folder.names(), before);
        let json = last_line(&result);
        assert!(String::from_utf8_lossy(&result.stderr).contains(json["error"].as_str().unwrap()));
        result
    };
    assert_fails(
        &model("no-such-model"),
        1,
        &["general model", "no-such-model", "bicubic-x4"],
    );
    assert_fails(&model("damaged"), 1, &["sha256"]);
    assert_fails(&model("centre-face"), 1, &["centre-face", "generator"]);
    let result = run(&[
        "upscale",
        good,
        output,
        "--runtime-library",
        "/nowhere/libonnxruntime.so",
    ]);
    assert_fails(&result, 1, &["/nowhere/libonnxruntime.so"]);
}
