//! The pictures of a report's frames: whole, made to fit a page, and a detail pixel by pixel; written as data URLs.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use serde::Serialize;
use srfusion::{SCALE, Size};

use super::faces::WeightMap;
use super::record::FaceRow;
use crate::failure::{Failure, Result};
use crate::metrics::{Luma, Picture, resize};

/// Quality of the JPEGs that whole frames and details become.
const WHOLE_QUALITY: u8 = 82;
const DETAIL_QUALITY: u8 = 90;
/// Least and greatest side of a detail in pixels of the output.
const DETAIL: (usize, usize) = (320, 512);
/// A detail's side in heights of the face that it shows.
const AROUND_FACE: f64 = 1.7;
/// Colour of the mask laid over a frame.
const MASK: [u8; 3] = [255, 64, 160];

/// A frame's pictures, data URLs.
#[derive(Debug, Serialize)]
pub struct Pictures {
    /// Input, its own size or less.
    pub input: String,
    /// Output, made smaller where it is too wide.
    pub output: String,
    /// The true frame, likewise.
    pub reference: Option<String>,
    /// w as the opacity of a colour; where there is a face.
    pub mask: Option<String>,
    /// A part pixel by pixel.
    pub detail: Detail,
}

/// A part of a frame, each pixel of the output one of the page.
#[derive(Debug, Serialize)]
pub struct Detail {
    /// Left, top, width, height in pixels of the output.
    pub place: [usize; 4],
    /// The input, enlarged bicubically.
    pub input: String,
    /// The output.
    pub output: String,
    /// The true frame.
    pub reference: Option<String>,
}

/// A frame in colour.
pub struct Frames {
    /// As it came.
    pub input: Picture,
    /// As it went.
    pub output: Picture,
    /// As it should be.
    pub reference: Option<Picture>,
    /// Where the face generator was used.
    pub mask: Option<WeightMap>,
    /// Luma of the input's frame before it, where it belongs to the same scene.
    pub before: Option<Luma>,
}

impl Frames {
    /// The pictures for a page that is `width` pixels wide; `faces` says where to look closely.
    ///
    /// # Errors
    /// [`Failure::Failed`] for pictures that cannot be encoded.
    pub fn encode(&self, faces: &[FaceRow], width: usize) -> Result<Pictures> {
        let whole = |picture: &Picture| -> Result<String> {
            let scale = width as f64 / picture.size.width as f64;
            if scale < 1.0 {
                jpeg(&resize(&picture.frame()?, scale)?, WHOLE_QUALITY)
            } else {
                jpeg(picture, WHOLE_QUALITY)
            }
        };
        let mask = self.mask.as_ref().filter(|mask| mask.mean() > 0.0);
        Ok(Pictures {
            input: whole(&self.input)?,
            output: whole(&self.output)?,
            reference: self.reference.as_ref().map(whole).transpose()?,
            mask: mask.map(png).transpose()?,
            detail: self.detail(faces)?,
        })
    }

    fn detail(&self, faces: &[FaceRow]) -> Result<Detail> {
        let (low, high) = (self.input.size, self.output.size);
        let (centre, side) = match largest(faces) {
            Some([x0, y0, x1, y1]) => {
                let height = f64::from(y1 - y0) * SCALE as f64 * AROUND_FACE;
                let side = (height as usize).clamp(DETAIL.0, DETAIL.1);
                (((x0 + x1) / 2.0, (y0 + y1) / 2.0), side)
            }
            None => (self.interesting(DETAIL.0 / SCALE), DETAIL.0),
        };
        // In pixels of the input, so that the enlarged input covers the same.
        let fit = |side: usize| side.min(low.width).min(low.height).max(1);
        let side = fit(side / SCALE);
        let start = |centre: f32, whole: usize| {
            let start = (centre - side as f32 / 2.0).round().max(0.0) as usize;
            start.min(whole - side)
        };
        let (left, top) = (start(centre.0, low.width), start(centre.1, low.height));
        // Enlarged with its surroundings, so that its border is not the picture's.
        let margin = 4;
        let (x0, y0) = (left.saturating_sub(margin), top.saturating_sub(margin));
        let (x1, y1) = (
            (left + side + margin).min(low.width),
            (top + side + margin).min(low.height),
        );
        let around = cut(&self.input, x0, y0, Size::new(x1 - x0, y1 - y0));
        let enlarged = resize(&around.frame()?, SCALE as f64)?;
        let part = Size::new(side, side).scaled(SCALE);
        let input = cut(&enlarged, (left - x0) * SCALE, (top - y0) * SCALE, part);
        let same = |picture: &Picture| {
            jpeg(
                &cut(picture, left * SCALE, top * SCALE, part),
                DETAIL_QUALITY,
            )
        };
        debug_assert!(left * SCALE + part.width <= high.width);
        Ok(Detail {
            place: [left * SCALE, top * SCALE, part.width, part.height],
            input: jpeg(&input, DETAIL_QUALITY)?,
            output: same(&self.output)?,
            reference: self.reference.as_ref().map(same).transpose()?,
        })
    }

    /// The centre, in pixels of the input, of the square of `side` pixels in which most changes, or that has most structure.
    fn interesting(&self, side: usize) -> (f32, f32) {
        let Ok(frame) = self.input.frame() else {
            return (0.0, 0.0);
        };
        let luma = Luma::of(&frame);
        let Size { width, height } = luma.size();
        let energy = |x: usize, y: usize| -> u64 {
            let here = luma.row(y)[x];
            match &self.before {
                Some(before) => u64::from(here.abs_diff(before.row(y)[x])),
                None => {
                    let right = luma.row(y)[(x + 1).min(width - 1)];
                    let below = luma.row((y + 1).min(height - 1))[x];
                    u64::from(here.abs_diff(right)) + u64::from(here.abs_diff(below))
                }
            }
        };
        let step = (side / 4).max(1);
        let mut best = (0, (width as f32 / 2.0, height as f32 / 2.0));
        for top in (0..=height.saturating_sub(side)).step_by(step) {
            for left in (0..=width.saturating_sub(side)).step_by(step) {
                let rows = (top..(top + side).min(height)).step_by(2);
                let sum: u64 = rows
                    .map(|y| {
                        (left..(left + side).min(width))
                            .step_by(2)
                            .map(|x| energy(x, y))
                            .sum::<u64>()
                    })
                    .sum();
                if sum > best.0 {
                    let centre = |start: usize| start as f32 + side as f32 / 2.0;
                    best = (sum, (centre(left), centre(top)));
                }
            }
        }
        best.1
    }
}

/// The box of the face that is drawn largest; those that are found before those that are held.
fn largest(faces: &[FaceRow]) -> Option<[f32; 4]> {
    let size = |face: &FaceRow| face.weight * (face.bbox[3] - face.bbox[1]);
    let best = faces
        .iter()
        .max_by(|a, b| b.held.cmp(&a.held).then(size(a).total_cmp(&size(b))));
    best.map(|face| face.bbox)
}

/// The part of `picture` of `size` at `(left, top)`, which lies inside.
fn cut(picture: &Picture, left: usize, top: usize, size: Size) -> Picture {
    let rows = picture.samples.chunks_exact(picture.size.width * 3);
    let rows = rows.skip(top).take(size.height);
    let samples = rows.flat_map(|row| &row[left * 3..(left + size.width) * 3]);
    Picture {
        size,
        samples: samples.copied().collect(),
    }
}

fn jpeg(picture: &Picture, quality: u8) -> Result<String> {
    let mut data = Vec::new();
    JpegEncoder::new_with_quality(&mut data, quality)
        .write_image(
            &picture.samples,
            picture.size.width as u32,
            picture.size.height as u32,
            ExtendedColorType::Rgb8,
        )
        .map_err(|error| Failure::Failed(error.to_string()))?;
    Ok(url("image/jpeg", &data))
}

fn png(mask: &WeightMap) -> Result<String> {
    let [r, g, b] = MASK;
    let samples: Vec<u8> = mask.samples.iter().flat_map(|w| [r, g, b, *w]).collect();
    let mut data = Vec::new();
    PngEncoder::new(&mut data)
        .write_image(
            &samples,
            mask.size.width as u32,
            mask.size.height as u32,
            ExtendedColorType::Rgba8,
        )
        .map_err(|error| Failure::Failed(error.to_string()))?;
    Ok(url("image/png", &data))
}

fn url(kind: &str, data: &[u8]) -> String {
    format!("data:{kind};base64,{}", BASE64_STANDARD.encode(data))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn frames(size: Size) -> Frames {
        let picture = |size: Size| Picture {
            size,
            samples: (0..size.area() * 3).map(|i| (i % 251) as u8).collect(),
        };
        Frames {
            input: picture(size),
            output: picture(size.scaled(4)),
            reference: None,
            mask: None,
            before: None,
        }
    }

    #[test]
    fn details_lie_inside_and_about_the_face() {
        let face = |bbox| FaceRow {
            bbox,
            weight: 1.0,
            ..FaceRow::default()
        };
        let frames = frames(Size::new(200, 120));
        let near = frames
            .detail(&[
                face([0.0, 0.0, 9.0, 9.0]),
                face([150.0, 60.0, 190.0, 110.0]),
            ])
            .unwrap();
        assert_eq!(near.place, [460, 140, 340, 340]);
        let corner = frames
            .detail(&[face([190.0, 110.0, 210.0, 130.0])])
            .unwrap();
        assert_eq!(corner.place, [480, 160, 320, 320]);
        let small = self::frames(Size::new(9, 30)).detail(&[]).unwrap();
        assert_eq!((small.place[2], small.place[3]), (36, 36));
    }

    #[test]
    fn what_moves_is_looked_at() {
        let size = Size::new(400, 240);
        let mut frames = frames(size);
        let mut before = Luma::of(&frames.input.frame().unwrap()).samples().to_vec();
        for y in 150..180 {
            for x in 300..330 {
                before[y * 400 + x] ^= 0x40;
            }
        }
        frames.before = Some(Luma::new(before, size).unwrap());
        let [left, top, width, height] = frames.detail(&[]).unwrap().place;
        assert!(left <= 1200 && left + width >= 1320 && top <= 600 && top + height >= 720);
    }

    #[test]
    fn pictures_are_urls_of_the_page() {
        let pictures = frames(Size::new(64, 48)).encode(&[], 100).unwrap();
        assert!(pictures.output.starts_with("data:image/jpeg;base64,/9j/"));
        assert!(pictures.mask.is_none() && pictures.reference.is_none());
    }
}
