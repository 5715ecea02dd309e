//! Pictures for the page and the gallery: parts of frames as RGB, side by side, masked, as JPEG.

use image::RgbImage;

use crate::engine::{Pair, Picture};
use crate::mask::{self, Shape};

/// A rectangle of a frame: left, top, width, height.
pub type Part = (u32, u32, u32, u32);

/// Colour of the mask over a picture.
const TINT: [f32; 3] = [255.0, 40.0, 160.0];
/// How much of it there is at most.
const TINT_SHARE: f32 = 0.55;

/// A part of a frame, scaled to `size`.
pub fn part(picture: &Picture, part: Part, size: (u32, u32)) -> Option<RgbImage> {
    let (left, top, width, height) = part;
    let whole = (picture.info.width(), picture.info.height());
    if width == 0 || height == 0 || left + width > whole.0 || top + height > whole.1 {
        return None;
    }
    let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::Rgb, size.0, size.1)
        // The converter makes no other rate of it.
        .fps(picture.info.fps())
        .build()
        .ok()?;
    let side = |side: u32| i32::try_from(side).ok();
    let mut config = gst_video::VideoConverterConfig::new();
    config.set_src_x(side(left)?);
    config.set_src_y(side(top)?);
    config.set_src_width(Some(side(width)?));
    config.set_src_height(Some(side(height)?));
    config.set_resampler_method(gst_video::VideoResamplerMethod::Cubic);
    let converter = gst_video::VideoConverter::new(&picture.info, &info, Some(config)).ok()?;
    let source =
        gst_video::VideoFrameRef::from_buffer_ref_readable(&picture.buffer, &picture.info).ok()?;
    let mut buffer = gst::Buffer::with_size(info.size()).ok()?;
    {
        let buffer = buffer.get_mut()?;
        let mut target = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer, &info).ok()?;
        converter.frame_ref(&source, &mut target);
    }
    let map = buffer.map_readable().ok()?;
    let stride = usize::try_from(*info.stride().first()?).ok()?;
    let row = size.0 as usize * 3;
    let pixels = map
        .chunks(stride)
        .take(size.1 as usize)
        .flat_map(|line| line.get(..row).unwrap_or_default().iter().copied());
    RgbImage::from_raw(size.0, size.1, pixels.collect())
}

/// A frame before (left) and after (right), each as large as the drawn one but no wider than `widest`; with `mask`, the mask lies over the latter.
pub fn beside(pair: &Pair, widest: u32, mask: Option<Shape>) -> Option<RgbImage> {
    let whole = |picture: &Picture| (0, 0, picture.info.width(), picture.info.height());
    let (_, _, width, height) = whole(&pair.after);
    let shown = width.min(widest).max(1);
    let size = (shown, (height * shown / width.max(1)).max(1));
    let before = part(&pair.before, whole(&pair.before), size)?;
    let mut after = part(&pair.after, whole(&pair.after), size)?;
    if let Some(shape) = mask {
        let mask = mask::draw(&pair.faces, (width, height), size, shape);
        for (pixel, weight) in after.pixels_mut().zip(mask) {
            for (value, tint) in pixel.0.iter_mut().zip(TINT) {
                let share = weight * TINT_SHARE;
                *value = (f32::from(*value) * (1.0 - share) + tint * share).round() as u8;
            }
        }
    }
    let mut both = RgbImage::new(size.0 * 2, size.1);
    image::imageops::replace(&mut both, &before, 0, 0);
    image::imageops::replace(&mut both, &after, i64::from(size.0), 0);
    Some(both)
}

/// As JPEG of a quality from 1 to 100, with a comment in it.
pub fn jpeg(picture: &RgbImage, quality: u8, comment: &str) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut data, quality);
    encoder.encode_image(picture).ok()?;
    if !comment.is_empty() {
        // Right after the two bytes that every JPEG begins with.
        let length = u16::try_from(comment.len() + 2).ok()?.to_be_bytes();
        let segment = [0xff, 0xfe].iter().chain(&length).copied();
        data.splice(2..2, segment.chain(comment.bytes()));
    }
    Some(data)
}

/// How sharp a picture is: the variance of its Laplacian, in levels of 255.
pub fn sharpness(picture: &RgbImage) -> f64 {
    let (width, height) = picture.dimensions();
    let luma = |x: u32, y: u32| {
        let [r, g, b] = picture.get_pixel(x, y).0.map(f64::from);
        0.299 * r + 0.587 * g + 0.114 * b
    };
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            let value = luma(x - 1, y) + luma(x + 1, y) + luma(x, y - 1) + luma(x, y + 1)
                - 4.0 * luma(x, y);
            sum += value;
            squares += value * value;
            count += 1.0;
        }
    }
    if count == 0.0 {
        return 0.0;
    }
    squares / count - (sum / count) * (sum / count)
}

/// Words in lines of at most `columns` signs. A word that is longer has a line of its own, and sticks out.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Adds a strip with words below a picture.
pub fn labelled(picture: &RgbImage, text: &str) -> RgbImage {
    use font8x8::UnicodeFonts;
    const LETTER: u32 = 8;
    let (width, height) = picture.dimensions();
    let letters = u32::try_from(text.chars().count())
        .unwrap_or(u32::MAX)
        .max(1);
    let dot = (width * 95 / 100 / LETTER.saturating_mul(letters)).clamp(1, 4);
    let lines = wrapped(text, (width / (LETTER * dot)).max(1) as usize);
    let strip = u32::try_from(lines.len()).unwrap_or(1) * LETTER * dot + 2 * dot;
    let mut whole = RgbImage::from_pixel(width, height + strip, image::Rgb([20, 20, 20]));
    image::imageops::replace(&mut whole, picture, 0, 0);
    for (row, line) in lines.iter().enumerate() {
        for (column, sign) in line.chars().enumerate() {
            let glyph = font8x8::BASIC_FONTS.get(sign).unwrap_or_default();
            for (y, bits) in glyph.iter().enumerate() {
                for x in (0..8).filter(|x| bits >> x & 1 == 1) {
                    let place = |cell: usize, dots: usize| {
                        u32::try_from(cell * 8 + dots)
                            .unwrap_or(u32::MAX)
                            .saturating_mul(dot)
                    };
                    let (left, top) = (place(column, x), height + dot + place(row, y));
                    for (dx, dy) in (0..dot).flat_map(|dy| (0..dot).map(move |dx| (dx, dy))) {
                        if let Some(pixel) = whole.get_pixel_mut_checked(left + dx, top + dy) {
                            *pixel = image::Rgb([235, 235, 235]);
                        }
                    }
                }
            }
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::FaceSeen;

    /// A picture of NV12, left half dark and right half bright.
    fn halves(width: u32, height: u32) -> Picture {
        gst::init().unwrap();
        let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::Nv12, width, height)
            .fps(gst::Fraction::new(25, 1))
            .build()
            .unwrap();
        let mut buffer = gst::Buffer::with_size(info.size()).unwrap();
        {
            let mut map = buffer.get_mut().unwrap().map_writable().unwrap();
            map.fill(128);
            let stride = info.stride()[0] as usize;
            for row in map.chunks_mut(stride).take(height as usize) {
                row[..width as usize / 2].fill(16);
                row[width as usize / 2..].fill(235);
            }
        }
        Picture { buffer, info }
    }

    #[test]
    fn a_part_of_any_format_becomes_rgb() {
        let picture = halves(64, 48);
        let right = part(&picture, (40, 8, 16, 16), (32, 32)).unwrap();
        assert_eq!(right.dimensions(), (32, 32));
        assert!(
            right
                .pixels()
                .all(|pixel| pixel.0.iter().all(|value| *value > 250))
        );
        let left = part(&picture, (0, 0, 16, 48), (16, 48)).unwrap();
        assert!(
            left.pixels()
                .all(|pixel| pixel.0.iter().all(|value| *value < 5))
        );
        assert!(part(&picture, (60, 0, 16, 16), (16, 16)).is_none());
        assert!(part(&picture, (0, 0, 0, 16), (16, 16)).is_none());
    }

    #[test]
    fn before_and_after_are_beside_each_other() {
        let face = FaceSeen {
            track: 1,
            rect: (16, 16, 32, 32),
            score: 0.9,
            weight: 1.0,
            held: false,
        };
        let pair = Pair {
            before: halves(32, 24),
            after: halves(128, 96),
            faces: vec![face],
        };
        let both = beside(&pair, 64, None).unwrap();
        assert_eq!(both.dimensions(), (128, 48));
        let grey = |x: u32| both.get_pixel(x, 24).0[1];
        assert!(grey(5) < 9 && grey(60) > 240 && grey(70) < 9 && grey(120) > 240);
        let shape = Shape {
            padding: 0.15,
            sigma: 0.1,
        };
        let masked = beside(&pair, 64, Some(shape)).unwrap();
        // In the face's middle on the right, and nowhere on the left.
        assert!(masked.get_pixel(64 + 16, 16).0[0] > 120);
        assert_eq!(masked.get_pixel(16, 16), both.get_pixel(16, 16));
        assert_eq!(masked.get_pixel(64 + 60, 44), both.get_pixel(64 + 60, 44));
    }

    #[test]
    fn a_jpeg_holds_its_comment() {
        let picture = RgbImage::from_pixel(40, 30, image::Rgb([200, 100, 50]));
        let data = jpeg(&picture, 90, "computed").unwrap();
        assert_eq!(&data[2..4], [0xff, 0xfe]);
        assert!(data.windows(8).any(|window| window == b"computed"));
        let read = image::load_from_memory(&data).unwrap().into_rgb8();
        assert_eq!(read.dimensions(), (40, 30));
        assert!(read.get_pixel(20, 15).0[0].abs_diff(200) < 6);
    }

    #[test]
    fn an_edge_is_sharper_than_a_slope() {
        let of = |value: fn(u32) -> u8| {
            sharpness(&RgbImage::from_fn(32, 32, |x, _| image::Rgb([value(x); 3])))
        };
        assert_eq!(of(|_| 100), 0.0);
        assert_eq!(sharpness(&RgbImage::new(2, 2)), 0.0);
        let (edge, slope) = (of(|x| if x < 16 { 0 } else { 255 }), of(|x| (x * 8) as u8));
        assert!(edge > 100.0 * slope.max(1.0), "{edge} {slope}");
    }

    #[test]
    fn words_stay_whole() {
        assert_eq!(
            wrapped("COMPUTED BY A NETWORK", 13),
            ["COMPUTED BY A", "NETWORK"]
        );
        assert_eq!(wrapped("COMPUTED BY", 4), ["COMPUTED", "BY"]);
    }

    #[test]
    fn a_label_is_below_the_picture_and_readable() {
        let picture = RgbImage::from_pixel(96, 40, image::Rgb([200, 100, 50]));
        let whole = labelled(&picture, "COMPUTED, NO EVIDENCE");
        assert_eq!(whole.width(), 96);
        assert!(whole.height() >= 40 + 2 * 8);
        assert_eq!(whole.get_pixel(5, 39).0, [200, 100, 50]);
        let bright = |from: u32, to: u32| {
            (from..to).any(|y| (0..96).any(|x| whole.get_pixel(x, y).0 == [235; 3]))
        };
        assert!(bright(40, whole.height()) && !bright(0, 40));
    }
}
