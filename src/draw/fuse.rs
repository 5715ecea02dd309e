//! Puts pictures together, sample by sample: equation (1), `I_fusion = w * I_face + (1 - w) * I_general`, over the mask's support. Pure.
//!
//! Both pictures are rounded to the output's own samples, and so cut to its range, before they are fused: where no face is the
//! general one is the result, and both are kept from frame to frame as samples. The fused one is rounded again, so it is within 1
//! sample of (1). Of colour differences that pixels share, `w` is the mean over those pixels.

use crate::SCALE;
use crate::mask::{Mask, OPAQUE};
use crate::picture::samples::nearest;
use crate::picture::vector::widest;
use crate::picture::{ColourFamily, Component, Frame, FrameMut, PixelLayout, Rect};

/// Row buffers, reused from row to row.
#[derive(Debug, Default)]
pub struct FuseRows {
    /// `w` of the pixels, and of the samples that pixels share.
    w: Vec<f32>,
    shared: Vec<f32>,
    general: Vec<f32>,
    face: Vec<f32>,
    /// `w` of the kinds before the one that is fused, and of those after it; of the pixels, and of the samples that pixels share.
    rivals: [Vec<f32>; 2],
    shared_rivals: [Vec<f32>; 2],
    /// `w` of each byte of a plane's row.
    spread: Vec<f32>,
}

/// Copies `area` (input pixels) of `picture` to the same place of `output`, a frame of the same format.
pub fn copy(picture: &Frame<'_>, area: Rect, output: &mut FrameMut<'_>) {
    copy_pixels(picture, area.scaled(SCALE), output);
}

/// The same with an area in pixels of the pictures, whose sides are multiples of four.
pub fn copy_pixels(picture: &Frame<'_>, area: Rect, output: &mut FrameMut<'_>) {
    let layout = picture.format().layout();
    for plane in 0..layout.planes {
        let (from, to) = (
            layout.bytes_to(plane, area.x),
            layout.bytes_to(plane, area.right()),
        );
        let shift = layout.plane_shift(plane);
        for y in area.y >> shift..area.bottom() >> shift {
            output.plane_row_mut(plane, y)[from..to]
                .copy_from_slice(&picture.plane_row(plane, y)[from..to]);
        }
    }
}

/// Writes the mean of two pictures into `area` (input pixels) of `output`; all are of the same format and size.
pub fn mean(
    first: &Frame<'_>,
    second: &Frame<'_>,
    area: Rect,
    output: &mut FrameMut<'_>,
    scratch: &mut FuseRows,
) {
    let area = area.scaled(SCALE);
    let FuseRows { general, face, .. } = scratch;
    for (index, c) in output.format().layout().components().iter().enumerate() {
        let (x, width) = (area.x >> c.x_shift, area.width.div_ceil(1 << c.x_shift));
        for row in [&mut *general, &mut *face] {
            row.resize(width, 0.0);
        }
        for y in area.y >> c.y_shift..area.bottom().div_ceil(1 << c.y_shift) {
            first.read(index, y, x, general);
            second.read(index, y, x, face);
            let pairs = general.iter_mut().zip(face.iter());
            pairs.for_each(|(first, second)| *first = (*first + second) / 2.0);
            output.write(index, y, x, general);
        }
    }
}

/// Weights of other kinds in the pixels of a row: of those that come before a kind, and of those after it.
type NoRivals = fn(usize, usize, [&mut [f32]; 2]);

/// Fuses `expert`, another picture that lies at `rect` of the frame, into `output`, which holds the general picture, over `support`. `weights`
/// gives `w` in the pixels of a row, as [`Mask::row`] does. Rectangles are in input pixels; `rect` contains `support`; formats are the same.
pub fn blend(
    output: &mut FrameMut<'_>,
    expert: &Frame<'_>,
    rect: Rect,
    support: Rect,
    weights: impl Fn(usize, usize, &mut [f32]) -> bool,
    scratch: &mut FuseRows,
) {
    let among = (weights, None::<NoRivals>);
    blend_rows(output, expert, rect, support, among, scratch);
}

/// The same where objects of other kinds reach into `support`: of the experts' pictures each sample takes the one whose weight is the largest, and
/// where two are alike that of the kind that comes first. `rivals` gives, in the pixels of a row, the weights of the kinds before and after.
pub fn blend_among(
    output: &mut FrameMut<'_>,
    expert: &Frame<'_>,
    rect: Rect,
    support: Rect,
    (weights, rivals): (
        impl Fn(usize, usize, &mut [f32]) -> bool,
        impl Fn(usize, usize, [&mut [f32]; 2]),
    ),
    scratch: &mut FuseRows,
) {
    let among = (weights, Some(rivals));
    blend_rows(output, expert, rect, support, among, scratch);
}

/// Where an expert's picture is taken alone, the general one need not have been drawn.
fn snap(w: &mut [f32]) {
    widest(
        #[inline(always)]
        || {
            for w in w.iter_mut() {
                *w = if *w >= OPAQUE { 1.0 } else { *w };
            }
        },
    );
}

/// Keeps of `w` what is larger than the weights of the kinds before, and no less than those of the kinds after.
fn keep_largest(w: &mut [f32], [before, after]: &[Vec<f32>; 2]) {
    for (w, (before, after)) in w.iter_mut().zip(before.iter().zip(after)) {
        *w = if *w > *before && *w >= *after {
            *w
        } else {
            0.0
        };
    }
}

/// Means of `rows` rows, added up in `shared` already, over the `1 << share` pixels that share a sample.
fn share_out(shared: &mut [f32], share: u32) {
    let part = 1.0 / (1 << share) as f32;
    for i in 0..shared.len() >> share {
        let mean = shared[i << share..(i + 1) << share].iter().sum::<f32>() * part;
        shared[i] = if mean >= OPAQUE { 1.0 } else { mean };
    }
}

/// As [`blend`], and as [`blend_among`] where there are rivals.
fn blend_rows(
    output: &mut FrameMut<'_>,
    expert: &Frame<'_>,
    rect: Rect,
    support: Rect,
    (weights, rivals): (
        impl Fn(usize, usize, &mut [f32]) -> bool,
        Option<impl Fn(usize, usize, [&mut [f32]; 2])>,
    ),
    scratch: &mut FuseRows,
) {
    let (area, rect) = (support.scaled(SCALE), rect.scaled(SCALE));
    let layout = output.format().layout();
    let components = layout.components();
    let FuseRows {
        w,
        shared,
        general,
        face,
        rivals: others,
        shared_rivals,
        spread,
    } = scratch;
    for row in [&mut *w, &mut *shared, &mut *general, &mut *face] {
        row.resize(area.width, 0.0);
    }
    if rivals.is_some() {
        for row in others.iter_mut().chain(&mut *shared_rivals) {
            row.resize(area.width, 0.0);
        }
    }
    let is_shared = is_subsampled(components);
    let rows = components.iter().map(|c| c.y_shift).max().unwrap_or(0);
    let part = 1.0 / (1 << rows) as f32;
    let add = |shared: &mut [f32], w: &[f32]| {
        widest(
            #[inline(always)]
            || {
                for (sum, w) in shared.iter_mut().zip(w) {
                    *sum += part * w;
                }
            },
        );
    };
    let mut blend_components = |shares: bool, y: usize, w: &[f32]| {
        let place = (area, rect);
        for plane in 0..layout.planes {
            let of_plane = || {
                let all = components.iter().enumerate();
                let is_so = move |c: &Component| (c.x_shift > 0 || c.y_shift > 0) == shares;
                all.filter(move |(_, c)| c.plane == plane && is_so(c))
            };
            if let Some((first, step)) = whole_bytes(layout, plane) {
                if of_plane().next().is_some() {
                    spread_weights(&w[..area.width >> first.x_shift], step, spread);
                    blend_bytes(output, expert, (&first, step), place, y, spread);
                }
                continue;
            }
            for (index, c) in of_plane() {
                blend_row(output, expert, (index, c), place, y, w, general, face);
            }
        }
    };
    for y in area.y..area.bottom() {
        let any = weights(area.x, y, w);
        // Means over the rows that share samples, which begin at multiples of their number.
        let begins = y % (1 << rows) == 0;
        if is_shared && begins {
            shared.fill(0.0);
        }
        if any {
            snap(w);
            if is_shared {
                add(shared, w);
            }
        }
        if let Some(rivals) = &rivals {
            let [before, after] = &mut *others;
            rivals(area.x, y, [before, after]);
            for (row, shared) in others.iter_mut().zip(shared_rivals.iter_mut()) {
                snap(row);
                if is_shared && begins {
                    shared.fill(0.0);
                }
                if is_shared {
                    add(shared, row);
                }
            }
            keep_largest(w, others);
        }
        if any {
            blend_components(false, y, w);
        }
        if !is_shared {
            continue;
        }
        if (y + 1) % (1 << rows) == 0 && shared.iter().any(|w| *w > 0.0) {
            let share = components.iter().map(|c| c.x_shift).max().unwrap_or(0);
            share_out(shared, share);
            if rivals.is_some() {
                shared_rivals
                    .iter_mut()
                    .for_each(|row| share_out(row, share));
                keep_largest(shared, shared_rivals);
            }
            blend_components(true, y, shared);
        }
    }
}

/// A component of `plane`, and the bytes of a row for each of its samples, if the plane holds nothing but bytes that have a place in common.
fn whole_bytes(layout: &PixelLayout, plane: usize) -> Option<(Component, usize)> {
    let mut components = layout.components().iter().filter(|c| c.plane == plane);
    let first = *components.next()?;
    let fits = |c: &Component| {
        (c.word, c.depth, c.shift) == (1, 8, 0)
            && c.step <= 4
            && (c.x_shift, c.y_shift, c.step) == (first.x_shift, first.y_shift, first.step)
    };
    (fits(&first) && components.all(fits)).then_some((first, first.step))
}

/// Each weight as often as its sample has bytes.
fn spread_weights(w: &[f32], step: usize, spread: &mut Vec<f32>) {
    spread.resize(step * w.len(), 0.0);
    match step {
        1 => spread.copy_from_slice(w),
        2 => repeat::<2>(w, spread),
        3 => repeat::<3>(w, spread),
        _ => repeat::<4>(w, spread),
    }
}

#[inline]
fn repeat<const STEP: usize>(w: &[f32], spread: &mut [f32]) {
    for (group, w) in spread.as_chunks_mut::<STEP>().0.iter_mut().zip(w) {
        *group = [*w; STEP];
    }
}

/// Fuses the row of a plane of bytes that pixels of row `y` have, with the weight of each byte.
fn blend_bytes(
    output: &mut FrameMut<'_>,
    face: &Frame<'_>,
    (component, step): (&Component, usize),
    (area, rect): (Rect, Rect),
    y: usize,
    weights: &[f32],
) {
    let (x_shift, y_shift) = (component.x_shift, component.y_shift);
    let from = step * ((area.x - rect.x) >> x_shift);
    let expert = &face.plane_row(component.plane, (y - rect.y) >> y_shift)[from..];
    let row = output.plane_row_mut(component.plane, y >> y_shift);
    let general = &mut row[step * (area.x >> x_shift)..][..weights.len()];
    let expert = &expert[..weights.len()];
    widest(
        #[inline(always)]
        || {
            for ((general, expert), w) in general.iter_mut().zip(expert).zip(weights) {
                let value = w * f32::from(*expert) + (1.0 - w) * f32::from(*general);
                *general = nearest(value, 255.0) as u8;
            }
        },
    );
}

fn is_subsampled(components: &[Component]) -> bool {
    components.iter().any(|c| c.x_shift > 0 || c.y_shift > 0)
}

/// Fuses the row of a component that pixels of row `y` have.
#[allow(
    clippy::too_many_arguments,
    reason = "the two pictures, a place, and memory"
)]
fn blend_row(
    output: &mut FrameMut<'_>,
    face: &Frame<'_>,
    (index, component): (usize, &Component),
    (area, rect): (Rect, Rect),
    y: usize,
    w: &[f32],
    general: &mut [f32],
    expert: &mut [f32],
) {
    let (x_shift, y_shift) = (component.x_shift, component.y_shift);
    let width = area.width >> x_shift;
    let (general, expert) = (&mut general[..width], &mut expert[..width]);
    let first = area.x >> x_shift;
    output.as_frame().read(index, y >> y_shift, first, general);
    face.read(
        index,
        (y - rect.y) >> y_shift,
        (area.x - rect.x) >> x_shift,
        expert,
    );
    widest(
        #[inline(always)]
        || {
            for ((general, expert), w) in general.iter_mut().zip(expert.iter()).zip(w) {
                *general = w * expert + (1.0 - w) * *general;
            }
        },
    );
    output.write(index, y >> y_shift, first, general);
}

/// Writes `w` as grey into `area` (input pixels) of `output`.
pub fn write_mask(output: &mut FrameMut<'_>, area: Rect, mask: &Mask, scratch: &mut FuseRows) {
    let area = area.scaled(SCALE);
    scratch.w.resize(area.width, 0.0);
    for y in area.y..area.bottom() {
        mask.row(area.x, y, &mut scratch.w);
        write_grey(output, area.x, y, &scratch.w, &mut scratch.general);
    }
}

/// Writes pixels from `x` on of row `y` in greys from black 0 to white 1; `x` is a multiple of four, or the format shares no samples.
fn write_grey(output: &mut FrameMut<'_>, x: usize, y: usize, greys: &[f32], codes: &mut Vec<f32>) {
    let format = *output.format();
    let layout = format.layout();
    let colours = layout.colours().len();
    for (index, component) in layout.components().iter().enumerate() {
        if !y.is_multiple_of(1 << component.y_shift) {
            continue;
        }
        let q = format.quantiser(index);
        codes.clear();
        if index >= colours {
            codes.resize(greys.len(), component.max());
        } else if layout.family == ColourFamily::Yuv && index > 0 {
            codes.resize(greys.len().div_ceil(1 << component.x_shift), q.offset);
        } else {
            codes.extend(greys.iter().map(|grey| grey * q.scale + q.offset));
        }
        output.write(index, y >> component.y_shift, x >> component.x_shift, codes);
    }
    if let Some(place) = layout.padding {
        let row = &mut output.row_mut(y)[4 * x..4 * (x + greys.len())];
        row.chunks_exact_mut(4).for_each(|pixel| pixel[place] = 255);
    }
}

/// Draws a white line down the output, one pixel wide, at output pixel `x`, a multiple of four.
pub fn write_line(output: &mut FrameMut<'_>, x: usize, scratch: &mut FuseRows) {
    for y in 0..output.size().height {
        write_grey(output, x, y, &[1.0], &mut scratch.general);
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
        tensor::from_frame(
            &frame,
            Rect::whole(size),
            generator.encoding(),
            &mut input,
            &mut tensor::TensorRows::default(),
        );
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
                mask: None,
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
