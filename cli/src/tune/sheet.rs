//! The contact sheet: a part of a frame from each place, as bicubic interpolation and each pair of networks draw it.

use std::time::{Duration, Instant};

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use srfusion::{
    BBox, Config, Detection, Error, Frame, FrameInfo, FrameMut, Parameters, Rect, Reuse, SCALE,
    Size, Upscaler, View,
};

use super::measure::{Footage, within};
use crate::failure::{Failure, Result};
use crate::{interrupt, label};

/// Width and height of a cell in pixels: a part of 120x90 input pixels at full size.
const CELL: (u32, u32) = (480, 360);
/// Height of a face's surroundings as a multiple of its own.
const AROUND: f32 = 1.6;
/// Side of a letter in pixels.
const LETTER: u32 = 16;

/// A part of a frame, with the faces in it.
#[derive(Debug)]
struct SheetPart {
    samples: Vec<u8>,
    size: Size,
    faces: Vec<Detection>,
}

/// A column: what it is called and how it is drawn.
#[derive(Debug)]
pub struct Column {
    /// Heading.
    pub title: String,
    /// With which settings.
    pub config: Config,
    /// What is drawn.
    pub view: View,
}

/// Draws the sheet; columns for which no time is left are not in it, but the first two. Gives the picture and how many columns it has.
///
/// # Errors
/// Those of the engine, [`Failure::Interrupted`].
pub fn draw(
    footage: &Footage,
    columns: &[Column],
    parameters: &Parameters,
    until: Instant,
) -> Result<(RgbImage, usize)> {
    let parts = parts(footage, columns, parameters)?;
    let mut drawn: Vec<(&str, Vec<RgbImage>)> = Vec::new();
    for (number, column) in columns.iter().enumerate() {
        // Small parts are soon drawn; the first two are what a sheet is for.
        let until = if number < 2 {
            until.max(Instant::now() + Duration::from_secs(60))
        } else {
            until
        };
        match within(until, |canceller| {
            let mut upscaler = Upscaler::open(&column.config, canceller, &mut |_| ())?;
            upscaler.set_parameters(alone(parameters, column.view))?;
            parts
                .iter()
                .map(|part| part.draw(&mut upscaler))
                .collect::<srfusion::Result<Vec<_>>>()
        }) {
            Ok(cells) => drawn.push((&column.title, cells)),
            Err(Error::Cancelled) if interrupt::interrupted() => return Err(Failure::Interrupted),
            Err(Error::Cancelled) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok((arrange(&drawn), drawn.len()))
}

/// The parameters for a frame by itself: nothing fades in, nothing is kept.
fn alone(parameters: &Parameters, view: View) -> Parameters {
    Parameters {
        view,
        fade_time: Duration::ZERO,
        reuse: Reuse::None,
        ..parameters.clone()
    }
}

/// The part of the middle frame of each scene that is worth looking at: the largest face, or where most happens.
fn parts(footage: &Footage, columns: &[Column], parameters: &Parameters) -> Result<Vec<SheetPart>> {
    let Some(first) = columns.first() else {
        return Ok(Vec::new());
    };
    let until = Instant::now() + Duration::from_secs(60);
    let found = within(until, |canceller| -> srfusion::Result<Vec<SheetPart>> {
        // The mask is drawn without a generator: faces are found in whole frames in no time.
        let mut upscaler = Upscaler::open(&first.config, canceller, &mut |_| ())?;
        upscaler.set_parameters(alone(parameters, View::Mask))?;
        let mut output: Vec<u8> = Vec::new();
        let mut found = Vec::new();
        for scene in &footage.scenes {
            let Some((_, frame)) = scene.get(scene.len() / 2) else {
                continue;
            };
            let (size, large) = (footage.frame, footage.frame.scaled(SCALE));
            output.resize(large.area() * 3, 0);
            let input = Frame::new(frame, size, size.width * 3)?;
            let mut picture = FrameMut::new(&mut output, large, large.width * 3)?;
            upscaler.reset();
            upscaler.process(input, &FrameInfo::default(), &mut picture)?;
            let faces: Vec<BBox> = upscaler.faces().iter().map(|face| face.bbox).collect();
            let place = place(size, &faces).unwrap_or_else(|| liveliest(size, frame));
            found.push(SheetPart {
                samples: footage.cut(frame, place),
                size: place.size(),
                faces: faces.iter().map(|face| moved(face, place)).collect(),
            });
        }
        Ok(found)
    });
    match found {
        Err(Error::Cancelled) => Err(Failure::Interrupted),
        other => Ok(other?),
    }
}

/// A face in pixels of the part at `place`.
fn moved(face: &BBox, place: Rect) -> Detection {
    let (x, y) = (place.x as f32, place.y as f32);
    Detection {
        bbox: BBox {
            x0: face.x0 - x,
            y0: face.y0 - y,
            x1: face.x1 - x,
            y1: face.y1 - y,
        },
        score: 1.0,
        points: None,
        mask: None,
    }
}

/// A rectangle of the cell's shape and at least its size, `high` input pixels high, around a point, as far as the frame goes.
fn around(frame: Size, centre: (usize, usize), high: usize) -> Rect {
    let high = high.max(CELL.1 as usize / SCALE).min(frame.height);
    let wide = (high * CELL.0 as usize / CELL.1 as usize)
        .max(1)
        .min(frame.width);
    let start = |centre: usize, side: usize, limit: usize| {
        centre.saturating_sub(side / 2).min(limit - side)
    };
    Rect {
        x: start(centre.0, wide, frame.width),
        y: start(centre.1, high, frame.height),
        width: wide,
        height: high,
    }
}

/// The surroundings of the largest face.
fn place(frame: Size, faces: &[BBox]) -> Option<Rect> {
    let area = |face: &BBox| (face.x1 - face.x0) * (face.y1 - face.y0);
    let face = faces.iter().max_by(|a, b| area(a).total_cmp(&area(b)))?;
    // As numbers of pixels, what lies outside being 0.
    let centre = (
        ((face.x0 + face.x1) / 2.0) as usize,
        ((face.y0 + face.y1) / 2.0) as usize,
    );
    Some(around(
        frame,
        centre,
        ((face.y1 - face.y0) * AROUND) as usize,
    ))
}

/// The part in which neighbours differ most.
fn liveliest(frame: Size, samples: &[u8]) -> Rect {
    /// Places tried along each side.
    const PLACES: usize = 4;
    let mut best = (0_u64, around(frame, (0, 0), 0));
    for at in 0..PLACES * PLACES {
        let centre = (
            frame.width * (2 * (at % PLACES) + 1) / (2 * PLACES),
            frame.height * (2 * (at / PLACES) + 1) / (2 * PLACES),
        );
        let part = around(frame, centre, 0);
        let row = |y: usize| {
            let start = (y * frame.width + part.x) * 3;
            &samples[start..start + part.width * 3]
        };
        let differences = (part.y..part.bottom()).map(|y| {
            let line = row(y);
            let pairs = line.iter().zip(&line[line.len().min(3)..]);
            pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>()
        });
        let sum = differences.sum();
        if sum > best.0 {
            best = (sum, part);
        }
    }
    best.1
}

impl SheetPart {
    fn draw(&self, upscaler: &mut Upscaler) -> srfusion::Result<RgbImage> {
        let large = self.size.scaled(SCALE);
        let mut data = vec![0; large.area() * 3];
        let input = Frame::new(&self.samples, self.size, self.size.width * 3)?;
        let mut output = FrameMut::new(&mut data, large, large.width * 3)?;
        upscaler.reset();
        let info = FrameInfo {
            faces: Some(&self.faces),
            ..FrameInfo::default()
        };
        upscaler.process(input, &info, &mut output)?;
        let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        let picture = RgbImage::from_raw(side(large.width), side(large.height), data);
        let picture = picture.unwrap_or_default();
        // At full size where it fits, else as large as it may be.
        let (width, height) = picture.dimensions();
        let scale = (f64::from(CELL.0) / f64::from(width.max(1)))
            .min(f64::from(CELL.1) / f64::from(height.max(1)));
        if (width, height) == CELL || scale <= 0.0 {
            return Ok(picture);
        }
        let scaled = |side: u32| ((f64::from(side) * scale) as u32).max(1);
        let (wide, high) = (scaled(width), scaled(height));
        Ok(imageops::resize(
            &picture,
            wide,
            high,
            FilterType::CatmullRom,
        ))
    }
}

/// Cells below their headings.
fn arrange(columns: &[(&str, Vec<RgbImage>)]) -> RgbImage {
    const HEADING: u32 = 2 * LETTER;
    let count = u32::try_from(columns.len()).unwrap_or(u32::MAX);
    let rows = columns.iter().map(|(_, cells)| cells.len()).max();
    let rows = u32::try_from(rows.unwrap_or_default()).unwrap_or(u32::MAX);
    let mut sheet = RgbImage::from_pixel(CELL.0 * count, HEADING + CELL.1 * rows, Rgb([24; 3]));
    for (column, (title, cells)) in (0..).zip(columns) {
        let left = column * CELL.0;
        for (row, cell) in (0..).zip(cells) {
            let top = i64::from(HEADING + row * CELL.1);
            imageops::replace(&mut sheet, cell, i64::from(left), top);
        }
        label::write(&mut sheet, title, (left + LETTER / 2, LETTER / 2), LETTER);
    }
    sheet
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_place_holds_the_face_and_lies_in_the_frame() {
        let face = |x0, y0, x1, y1| BBox { x0, y0, x1, y1 };
        for (frame, bbox) in [
            (Size::new(640, 360), face(600.0, 300.0, 650.0, 370.0)),
            (Size::new(640, 360), face(-20.0, -10.0, 30.0, 40.0)),
            (Size::new(1920, 1080), face(500.0, 100.0, 900.0, 700.0)),
            (Size::new(40, 30), face(1.0, 1.0, 3.0, 4.0)),
        ] {
            let found = place(frame, &[face(5.0, 5.0, 6.0, 6.0), bbox]).unwrap();
            assert!(found.x + found.width <= frame.width, "{found:?}");
            assert!(found.bottom() <= frame.height, "{found:?}");
            let centre = ((bbox.x0 + bbox.x1) / 2.0).clamp(0.0, frame.width as f32) as usize;
            assert!((found.x..=found.x + found.width).contains(&centre));
        }
        assert!(place(Size::new(10, 10), &[]).is_none());
    }

    #[test]
    fn the_liveliest_part_is_where_something_is() {
        let frame = Size::new(640, 360);
        let mut samples = vec![90; frame.area() * 3];
        for y in 250..330 {
            for x in (500..600).step_by(2) {
                samples[(y * frame.width + x) * 3] = 255;
            }
        }
        let found = liveliest(frame, &samples);
        assert!(found.x >= 400 && found.y >= 200, "{found:?}");
    }

    #[test]
    fn cells_stand_below_their_headings() {
        let grey = |level| RgbImage::from_pixel(CELL.0, CELL.1, Rgb([level; 3]));
        let columns = [
            ("bicubic", vec![grey(40), grey(60)]),
            ("general", vec![grey(80), grey(100)]),
        ];
        let sheet = arrange(&columns);
        assert_eq!(sheet.dimensions(), (960, 32 + 720));
        assert_eq!(sheet.get_pixel(240, 32 + 540).0, [60; 3]);
        assert_eq!(sheet.get_pixel(720, 32 + 180).0, [80; 3]);
        let heading = imageops::crop_imm(&sheet, 480, 0, 200, 32).to_image();
        assert!(heading.pixels().any(|pixel| pixel.0 == [255; 3]));
    }
}
