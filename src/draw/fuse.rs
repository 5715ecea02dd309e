//! Writes pictures: tiles as samples, and equation (1), `I_fusion = w * I_face + (1 - w) * I_general`, over the mask's support. Pure.
//!
//! Both pictures are rounded to samples, and so cut to the range from black to white, before they are fused: where no face is the
//! general one is the result, and both are kept from frame to frame as samples. The fused one is rounded again, so it is within 1
//! sample of (1).

use super::pass::{DrawnTile, as_samples};
use crate::SCALE;
use crate::mask::{Mask, OPAQUE};
use crate::picture::Rect;
use crate::picture::vector::widest;
use crate::picture::{Frame, FrameMut, Sample};

/// Row buffers, reused from row to row.
#[derive(Debug, Default)]
pub struct Scratch {
    w: Vec<f32>,
    /// The fused row's colours.
    fused: [Vec<f32>; 3],
}

/// Writes the core of a tile into `picture` as samples, and into `second` as well if there is one, of the same size. `origin` is where
/// the pictures lie in the frame, in input pixels. Returns whether every value was a finite number.
pub fn write_tile<S: Sample>(
    picture: &mut FrameMut<'_, S>,
    origin: Rect,
    mut second: Option<&mut FrameMut<'_, S>>,
    drawn: &DrawnTile<'_>,
) -> bool {
    let (core, origin) = (drawn.tile.core.scaled(SCALE), origin.scaled(SCALE));
    // Values become samples as value * gain + shift.
    let gain = S::MAX / (drawn.encoding.white - drawn.encoding.black);
    let shift = -drawn.encoding.black * gain;
    let samples = (core.x - origin.x) * 3..(core.right() - origin.x) * 3;
    let mut finite = true;
    for y in core.y..core.bottom() {
        let line = y - origin.y;
        let pixels = &mut picture.row_mut(line)[samples.clone()];
        if let Some(bytes) = drawn.core_bytes(y) {
            match as_samples(bytes) {
                Some(row) => pixels.copy_from_slice(row),
                None => {
                    for (sample, byte) in pixels.iter_mut().zip(bytes) {
                        *sample = S::from_f32(f32::from(*byte) * (S::MAX / 255.0));
                    }
                }
            }
        } else {
            let colours = [0, 1, 2].map(|channel| drawn.core_row(channel, y));
            finite &= S::pack(colours, gain, shift, pixels);
        }
        // Row by row, while the row is in the nearest cache.
        if let Some(second) = &mut second {
            second.row_mut(line)[samples.clone()].copy_from_slice(pixels);
        }
    }
    finite
}

/// Copies `area` (input pixels) of `picture` to the same place of `output`.
pub fn copy<S: Sample>(picture: &Frame<'_, S>, area: Rect, output: &mut FrameMut<'_, S>) {
    let area = area.scaled(SCALE);
    let samples = area.x * 3..area.right() * 3;
    for y in area.y..area.bottom() {
        output.row_mut(y)[samples.clone()].copy_from_slice(&picture.row(y)[samples.clone()]);
    }
}

/// Fuses `face`, an expert's picture that lies at `rect` of the frame, into `output`, which holds the general picture, over
/// `support`, a part of the mask's. Rectangles are in input pixels; `rect` contains `support`.
pub fn blend<S: Sample>(
    output: &mut FrameMut<'_, S>,
    face: &Frame<'_, S>,
    rect: Rect,
    support: Rect,
    mask: &Mask,
    scratch: &mut Scratch,
) {
    let (area, rect) = (support.scaled(SCALE), rect.scaled(SCALE));
    scratch.w.resize(area.width, 0.0);
    scratch
        .fused
        .iter_mut()
        .for_each(|plane| plane.resize(area.width, 0.0));
    for y in area.y..area.bottom() {
        if !mask.row(area.x, y, &mut scratch.w) {
            continue;
        }
        let face = &face.row(y - rect.y)[(area.x - rect.x) * 3..(area.right() - rect.x) * 3];
        let pixels = &mut output.row_mut(y)[area.x * 3..area.right() * 3];
        // Planes of their own are fused many pixels at a time, and packed as tiles are.
        let Scratch { w, fused } = &mut *scratch;
        widest(
            #[inline(always)]
            || {
                let [red, green, blue] = fused;
                let planes = red.iter_mut().zip(green.iter_mut()).zip(blue.iter_mut());
                let pairs = pixels
                    .as_chunks::<3>()
                    .0
                    .iter()
                    .zip(face.as_chunks::<3>().0);
                for (((general, face), w), ((r, g), b)) in pairs.zip(w.iter()).zip(planes) {
                    // Where the face's picture is taken alone, the general one need not have been drawn.
                    let w = if *w >= OPAQUE { 1.0 } else { *w };
                    let fuse = |i: usize| w * face[i].to_f32() + (1.0 - w) * general[i].to_f32();
                    (*r, *g, *b) = (fuse(0), fuse(1), fuse(2));
                }
            },
        );
        S::pack(
            scratch.fused.each_ref().map(Vec::as_slice),
            1.0,
            0.0,
            pixels,
        );
    }
}

/// Writes `w` as grey into `area` (input pixels) of `output`.
pub fn write_mask<S: Sample>(
    output: &mut FrameMut<'_, S>,
    area: Rect,
    mask: &Mask,
    scratch: &mut Scratch,
) {
    let area = area.scaled(SCALE);
    scratch.w.resize(area.width, 0.0);
    for y in area.y..area.bottom() {
        mask.row(area.x, y, &mut scratch.w);
        let row = &mut output.row_mut(y)[area.x * 3..area.right() * 3];
        for (pixel, w) in row.chunks_exact_mut(3).zip(&scratch.w) {
            pixel.fill(S::from_f32(w * S::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Generator;
    use crate::find::{BBox, Detection};
    use crate::flow::{FrameInfo, Upscaler};
    use crate::picture::tensor;
    use crate::picture::{Frame, Size};
    use crate::settings::Parameters;
    use crate::testing::{Bicubic, FixedFaces};

    fn picture(size: Size) -> Vec<u8> {
        let value = |x: usize, y: usize, c: usize| ((x * 37 + y * 91 + c * 53) ^ (x * y)) as u8;
        (0..size.height)
            .flat_map(|y| (0..size.width).flat_map(move |x| (0..3).map(move |c| value(x, y, c))))
            .collect()
    }

    /// The whole picture through a generator, untiled, as f64 values from black 0 to white 1.
    fn whole(generator: &mut dyn Generator, data: &[u8], size: Size) -> Vec<f64> {
        let frame = Frame::new(data, size, size.width * 3).unwrap();
        let mut input = vec![0.0; 3 * size.area()];
        tensor::from_frame(&frame, Rect::whole(size), generator.encoding(), &mut input);
        let mut result = Vec::new();
        generator
            .run(&input, 1, size, &mut |values| {
                result = values
                    .iter()
                    .map(|v| f64::from(*v).clamp(0.0, 1.0))
                    .collect();
                Ok(())
            })
            .unwrap();
        result
    }

    /// (1) to (3) over whole pictures in f64, and the largest difference from the flow's result.
    fn compare(size: Size, boxes: &[BBox], tile_size: usize) -> f64 {
        let data = picture(size);
        let (mut general, mut face) = (Bicubic::new(0.0), Bicubic::new(0.25));
        let (i_general, i_face) = (
            whole(&mut general, &data, size),
            whole(&mut face, &data, size),
        );
        let faces: Vec<_> = boxes
            .iter()
            .map(|&bbox| Detection {
                bbox,
                score: 0.9,
                points: None,
            })
            .collect();
        let mut upscaler = Upscaler::with_networks(
            Box::new(general),
            Some(Box::new(face)),
            Some(Box::new(FixedFaces(faces))),
            tile_size,
            None,
        )
        .unwrap();
        let parameters = Parameters {
            min_face_size: 1.0,
            ..Parameters::default()
        };
        upscaler.set_parameters(parameters.clone()).unwrap();
        let out = size.scaled(SCALE);
        let stride = out.width * 3 + 5;
        let mut result = vec![7u8; stride * out.height];
        upscaler
            .process(
                Frame::new(&data, size, size.width * 3).unwrap(),
                &FrameInfo::default(),
                &mut FrameMut::new(&mut result, out, stride).unwrap(),
            )
            .unwrap();
        let curve = |u: f64, low: f64, high: f64, padding: f64, sigma: f64| {
            let (extent, cdf) = (high - low, crate::mask::cut_normal_cdf);
            let (low, high, sigma) = (
                low - padding * extent,
                high + padding * extent,
                sigma * extent,
            );
            cdf((u - low) / sigma) - cdf((u - high) / sigma)
        };
        let mut worst = 0.0f64;
        for y in 0..out.height {
            for x in 0..out.width {
                let (u, v) = ((x as f64 + 0.5) / 4.0, (y as f64 + 0.5) / 4.0);
                let w = boxes
                    .iter()
                    .map(|b| {
                        let (p, s) = (parameters.mask_padding, parameters.mask_sigma);
                        curve(u, b.x0.into(), b.x1.into(), p, s)
                            * curve(v, b.y0.into(), b.y1.into(), p, s)
                    })
                    .fold(0.0, f64::max);
                for c in 0..3 {
                    let i = c * out.area() + y * out.width + x;
                    let fused = (w * i_face[i] + (1.0 - w) * i_general[i]) * 255.0;
                    let found = f64::from(result[y * stride + x * 3 + c]);
                    worst = worst.max((fused.round().clamp(0.0, 255.0) - found).abs());
                }
            }
            assert!(
                result[y * stride..][out.width * 3..stride]
                    .iter()
                    .all(|v| *v == 7),
                "padding written"
            );
        }
        worst
    }

    #[test]
    fn equals_the_equations() {
        let at = |x0, y0, x1, y1| BBox { x0, y0, x1, y1 };
        let cases: [(&str, Vec<BBox>); 6] = [
            ("no face", vec![]),
            ("one face", vec![at(12.3, 8.9, 24.1, 22.2)]),
            (
                "cut by the edges",
                vec![at(-5.0, 18.0, 9.4, 40.0), at(30.0, -3.0, 44.0, 12.5)],
            ),
            (
                "overlapping",
                vec![at(6.0, 6.0, 18.0, 19.0), at(14.0, 9.0, 28.0, 24.0)],
            ),
            ("tiny", vec![at(20.2, 15.1, 22.0, 17.4)]),
            ("larger than the frame", vec![at(-50.0, -40.0, 90.0, 80.0)]),
        ];
        for (what, boxes) in cases {
            for (size, tile_size) in [
                (Size::new(41, 33), 0),
                (Size::new(41, 33), 17),
                (Size::new(37, 29), 12),
            ] {
                let worst = compare(size, &boxes, tile_size);
                assert!(
                    worst <= 1.0,
                    "{what}, {size}, tile size {tile_size}: {worst} of 255"
                );
            }
        }
    }
}
