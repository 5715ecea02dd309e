//! `srfusion upscale --compare`: the right frame, the three columns beside one another, and no half file.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;
use support::{FACES, Folder, assert_fails, at, has, play, run, runtime};

fn compare(input: &std::path::Path, output: &std::path::Path) -> serde_json::Value {
    let (input, output) = (input.to_str().unwrap(), output.to_str().unwrap());
    let arguments = [&["upscale", input, "--compare", output, "--json"], FACES].concat();
    let result = run(&arguments);
    let errors = String::from_utf8_lossy(&result.stderr);
    assert!(result.status.success(), "{errors}");
    serde_json::from_slice(&result.stdout).unwrap()
}

/// Mean of one column of the whole picture, far from its label.
fn level(picture: &image::RgbImage, column: u32) -> f64 {
    let part = image::imageops::crop_imm(picture, column * 640 + 200, 200, 240, 200).to_image();
    let sum: f64 = part.as_raw().iter().map(|sample| f64::from(*sample)).sum();
    sum / part.as_raw().len() as f64
}

#[test]
fn a_picture_shows_bicubic_fused_and_mask() {
    if !runtime() {
        return;
    }
    let folder = Folder::new("compare-picture");
    let (input, output) = (folder.file("in.png"), folder.file("out.png"));
    image::RgbImage::from_pixel(64, 48, image::Rgb([60, 60, 60]))
        .save(&input)
        .unwrap();
    let report = compare(&input, &output);
    assert_eq!(report["kind"], "comparison");
    assert_eq!(
        (
            &report["frames"],
            &report["frames_with_faces"],
            &report["frame"]
        ),
        (&1.into(), &1.into(), &0.into())
    );
    let face: Vec<u64> = serde_json::from_value(report["face"].clone()).unwrap();
    // The tiny detector finds one in the middle.
    assert!(
        (face[0] + face[2] / 2).abs_diff(128) <= 2 && (face[1] + face[3] / 2).abs_diff(96) <= 2,
        "{face:?}"
    );
    let picture = image::open(&output).unwrap().to_rgb8();
    assert_eq!(picture.dimensions(), (1920, 960));
    // The tiny face network inverts: equation (1) between 60 and 195, with the mask that the third column shows.
    let mask = level(&picture, 2) / 255.0;
    assert!(mask > 0.3, "{mask}");
    for (column, expected) in [(0, 60.0), (1, 60.0 + 135.0 * mask)] {
        let found = level(&picture, column);
        assert!(
            (found - expected).abs() < 2.0,
            "column {column}: {found}, expected {expected}"
        );
    }
    assert_eq!(folder.names(), ["in.png", "out.png"]);
}

#[test]
fn of_a_video_the_frame_is_one_that_has_the_face() {
    if !runtime()
        || !has(&[
            "x264enc",
            "h264parse",
            "matroskamux",
            "avdec_h264",
            "deinterlace",
        ])
    {
        return;
    }
    let folder = Folder::new("compare-video");
    let (input, output) = (folder.file("in.mkv"), folder.file("out.jpg"));
    // Frame n is grey of level 16 + 20 n: what is shown says which frame it is. The tiny detector finds no face in the dark first two.
    play(
        "videotestsrc num-buffers=6 ! video/x-raw,format=I420,width=64,height=48,framerate=10/1 ! identity name=change \
         ! x264enc pass=qual quantizer=1 ! h264parse ! matroskamux ! filesink name=out",
        |pipeline| {
            use gst::prelude::*;
            pipeline
                .by_name("out")
                .unwrap()
                .set_property("location", &input);
            at(pipeline, "change", "sink", |number, buffer| {
                let mut map = buffer.map_writable().unwrap();
                let (luma, chroma) = map.split_at_mut(64 * 48);
                luma.fill(16 + 20 * number as u8);
                chroma.fill(128);
                true
            });
        },
    );
    let report = compare(&input, &output);
    assert_eq!(report["frames"], 6);
    assert_eq!(report["frames_with_faces"], 4);
    let frame = report["frame"].as_u64().unwrap();
    assert!((2..6).contains(&frame), "{frame}");
    let picture = image::open(&output).unwrap().to_rgb8();
    let expected = 20.0 * frame as f64 * 255.0 / 219.0;
    let found = level(&picture, 0);
    assert!(
        (found - expected).abs() < 6.0,
        "frame {frame}: {found}, expected {expected}"
    );
}

#[test]
fn what_cannot_be_compared_is_said() {
    let folder = Folder::new("compare-faults");
    let (input, nonsense) = (folder.file("in.png"), folder.file("nonsense.mkv"));
    image::RgbImage::new(8, 8).save(&input).unwrap();
    std::fs::write(&nonsense, "no video").unwrap();
    let (input, nonsense) = (input.to_str().unwrap(), nonsense.to_str().unwrap());
    let out = folder.file("out.png");
    let out = out.to_str().unwrap();
    let video = folder.file("out.mp4");
    assert_fails(
        &run(&["upscale", input, "--compare", video.to_str().unwrap()]),
        2,
        &["out.mp4", ".png"],
    );
    if runtime() && has(&["decodebin", "deinterlace"]) {
        let result = run(&[&["upscale", nonsense, "--compare", out], FACES].concat());
        assert_fails(&result, 1, &["nonsense.mkv", "cannot read the video"]);
    }
    assert_eq!(folder.names(), ["in.png", "nonsense.mkv"]);
}
