//! `srfusion upscale` on pictures of every kind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use image::{
    ColorType, DynamicImage, GrayAlphaImage, GrayImage, ImageBuffer, Luma, Rgb, RgbImage, Rgba,
    RgbaImage,
};

mod support;
use support::{BICUBIC, FACES, Folder, assert_fails, run, runtime, upscale};

/// A picture with a gradient in each direction.
fn colours() -> RgbImage {
    RgbImage::from_fn(24, 16, |x, y| Rgb([(x * 10) as u8, (y * 15) as u8, 128]))
}

fn mean(picture: &DynamicImage) -> [f64; 3] {
    let rgb = picture.to_rgb8();
    let mut sums = [0.0; 3];
    rgb.pixels()
        .for_each(|pixel| (0..3).for_each(|i| sums[i] += f64::from(pixel.0[i])));
    sums.map(|sum| sum / f64::from(rgb.width() * rgb.height()))
}

#[track_caller]
fn assert_alike(a: &DynamicImage, b: &DynamicImage, tolerance: f64) {
    let (a, b) = (mean(a), mean(b));
    assert!(
        (0..3).all(|i| (a[i] - b[i]).abs() < tolerance),
        "{a:?} and {b:?}"
    );
}

#[test]
fn pictures_keep_their_kind() {
    if !runtime() {
        return;
    }
    let folder = Folder::new("kinds");
    let deep: ImageBuffer<Rgb<u16>, Vec<u16>> =
        ImageBuffer::from_fn(9, 7, |x, y| Rgb([x as u16 * 7000, y as u16 * 9000, 777]));
    let deep_grey: ImageBuffer<Luma<u16>, Vec<u16>> =
        ImageBuffer::from_fn(9, 7, |x, y| Luma([(x * 7 + y) as u16 * 900]));
    let cases: Vec<(&str, DynamicImage)> = vec![
        ("rgb.png", colours().into()),
        (
            "grey.png",
            GrayImage::from_fn(11, 13, |x, y| Luma([(x * 20 + y) as u8])).into(),
        ),
        (
            "clear.png",
            RgbaImage::from_fn(8, 8, |x, y| Rgba([9, 90, (y * 30) as u8, (x * 36) as u8])).into(),
        ),
        (
            "clear-grey.png",
            GrayAlphaImage::from_fn(8, 8, |x, _| image::LumaA([80, (x * 36) as u8])).into(),
        ),
        ("deep.png", deep.clone().into()),
        ("deep.tiff", deep.into()),
        ("deep-grey.png", deep_grey.into()),
        ("rgb.bmp", colours().into()),
        ("rgb.webp", colours().into()),
    ];
    for (name, picture) in cases {
        let (input, output) = (folder.file(name), folder.file(&format!("out-{name}")));
        picture.save(&input).unwrap();
        let summary = upscale(&input, &output, BICUBIC);
        assert_eq!(summary["kind"], "picture");
        let result = image::open(&output).unwrap();
        assert_eq!(
            (result.width(), result.height()),
            (picture.width() * 4, picture.height() * 4),
            "{name}"
        );
        assert_eq!(summary["width"], result.width());
        assert_eq!(result.color(), picture.color(), "{name}");
        assert_alike(&picture, &result, 2.0);
        if picture.color().has_alpha() {
            let alpha = |picture: &DynamicImage| {
                DynamicImage::from(GrayImage::from_fn(
                    picture.width(),
                    picture.height(),
                    |x, y| Luma([picture.to_rgba8().get_pixel(x, y).0[3]]),
                ))
            };
            assert_alike(&alpha(&picture), &alpha(&result), 2.0);
        }
        // BMP has no place for the mark that says what drew it.
        let told = summary["warnings"].as_array().unwrap().len();
        assert_eq!(
            told,
            usize::from(name.ends_with(".bmp")),
            "{name}: {summary}"
        );
    }
}

#[test]
fn what_a_format_cannot_hold_is_said() {
    if !runtime() {
        return;
    }
    let folder = Folder::new("losses");
    let input = folder.file("in.png");
    RgbaImage::from_pixel(8, 8, Rgba([200, 100, 50, 128]))
        .save(&input)
        .unwrap();
    let output = folder.file("out.jpg");
    let summary = upscale(&input, &output, BICUBIC);
    assert!(
        summary["warnings"][0]
            .as_str()
            .unwrap()
            .contains("transparency"),
        "{summary}"
    );
    assert_eq!(image::open(&output).unwrap().color(), ColorType::Rgb8);
    let deep: ImageBuffer<Luma<u16>, Vec<u16>> = ImageBuffer::from_pixel(8, 8, Luma([30_000]));
    deep.save(&input).unwrap();
    let summary = upscale(&input, &output, BICUBIC);
    assert!(
        summary["warnings"][0].as_str().unwrap().contains("8 bits"),
        "{summary}"
    );
    assert_eq!(image::open(&output).unwrap().color(), ColorType::L8);
}

/// A JPEG with an EXIF block that says how to turn it.
fn turned(path: &Path, orientation: u8) {
    colours().save(path).unwrap();
    let jpeg = std::fs::read(path).unwrap();
    // TIFF header, one directory of one entry: tag 0x0112, type short, one value.
    let tiff = [
        b"MM\0\x2a\0\0\0\x08".as_slice(),
        b"\0\x01",
        &[0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0],
        &[0; 4],
    ]
    .concat();
    let body = [b"Exif\0\0".as_slice(), &tiff].concat();
    let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
    let block = [&[0xff, 0xe1], length.as_slice(), &body].concat();
    std::fs::write(path, [&jpeg[..2], &block, &jpeg[2..]].concat()).unwrap();
}

#[test]
fn pictures_stand_upright() {
    if !runtime() {
        return;
    }
    let folder = Folder::new("turned");
    let (input, output) = (folder.file("in.jpg"), folder.file("out.png"));
    turned(&input, 6);
    upscale(&input, &output, BICUBIC);
    let result = image::open(&output).unwrap();
    assert_eq!((result.width(), result.height()), (64, 96));
    let expected = DynamicImage::from(colours()).rotate90().resize_exact(
        64,
        96,
        image::imageops::FilterType::CatmullRom,
    );
    assert_alike(
        &expected.crop_imm(0, 0, 64, 20),
        &result.crop_imm(0, 0, 64, 20),
        4.0,
    );
}

#[test]
fn a_face_is_drawn_by_the_face_network() {
    if !runtime() {
        return;
    }
    let folder = Folder::new("face");
    let (input, output) = (folder.file("in.png"), folder.file("out.png"));
    RgbImage::from_pixel(64, 64, Rgb([250, 200, 220]))
        .save(&input)
        .unwrap();
    let summary = upscale(&input, &output, FACES);
    assert_eq!(summary["most_faces"], 1);
    let result = image::open(&output).unwrap().to_rgb8();
    // The face network of this test gives the negative, at full weight in the middle and none in the corner.
    assert_eq!(result.get_pixel(2, 2).0, [250, 200, 220]);
    let centre = result.get_pixel(128, 128).0;
    assert!(
        centre
            .iter()
            .zip([5, 55, 35])
            .all(|(a, b)| a.abs_diff(b) <= 3),
        "{centre:?}"
    );
}

#[test]
fn failures_are_told() {
    if !runtime() {
        return;
    }
    let folder = Folder::new("failures");
    let input = folder.file("in.png");
    colours().save(&input).unwrap();
    let whole = std::fs::read(&input).unwrap();
    let cut = folder.file("cut.png");
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let before = folder.names();
    let path = |name: &str| folder.file(name).to_str().unwrap().to_owned();
    let with = |input: &str, output: &str| {
        run(&[&["upscale", &path(input), &path(output)], BICUBIC].concat())
    };
    assert_fails(&with("in.png", "out.gif"), 2, &["gif", ".png"]);
    assert_fails(&with("in.png", "out"), 2, &["extension"]);
    assert_fails(&with("in.png", "out.mp4"), 2, &["in.png", "is a picture"]);
    assert_fails(&with("cut.png", "out.png"), 1, &["cut.png"]);
    assert_fails(
        &with("missing.png", "out.png"),
        1,
        &["missing.png", "No such file"],
    );
    std::fs::create_dir(folder.file("folder.png")).unwrap();
    assert_fails(&with("in.png", "folder.png"), 1, &["folder.png", "folder"]);
    std::fs::remove_dir(folder.file("folder.png")).unwrap();
    assert_eq!(folder.names(), before);
}
