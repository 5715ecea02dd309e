//! The way out from planes of bytes to samples of bytes, in one step. Pure.

use super::rows::write_means;
use crate::draw::excess::Excess;
use crate::picture::byte_colours;
use crate::picture::vector::pack_planes;
use crate::picture::{ColourFamily, Format, Frame, FrameMut, PixelFormat};

/// Row buffers, reused from row to row.
#[derive(Debug, Default)]
pub struct ByteRows {
    luma: Vec<u8>,
    codes: Vec<f32>,
    means: [Vec<f32>; 3],
    differences: Vec<f32>,
}

/// A row of planes of bytes and its place.
pub struct ByteRow<'a> {
    /// Red, green and blue: `margin` pixels before those that are written, and these.
    pub colours: [&'a [u8]; 3],
    /// The same of the row above, where rows share samples and this is the last of those that do.
    pub above: [&'a [u8]; 3],
    /// See `colours`.
    pub margin: usize,
    /// Where the first pixel is in the picture that is written.
    pub place: (usize, usize),
    /// Which row of the frame it is.
    pub number: usize,
}

/// Writes `row`, and the colour differences that it completes, into `picture`, whose format is one that [`takes_bytes`]; what was cut off of the
/// input is added.
pub fn write(
    picture: &mut FrameMut<'_>,
    row: &ByteRow<'_>,
    cut_off: Option<(&Frame<'_>, &mut Excess)>,
    scratch: &mut ByteRows,
) {
    let format = *picture.format();
    let (layout, margin, (x, line)) = (format.layout(), row.margin, row.place);
    let inner = row.colours.map(|colour| &colour[margin..]);
    let width = inner[0].len();
    if format.pixels == PixelFormat::Rgb {
        pack_planes(inner, &mut picture.row_mut(line)[3 * x..3 * (x + width)]);
        return;
    }
    if layout.family == ColourFamily::Rgb {
        for (index, row) in inner.into_iter().enumerate() {
            picture.write_codes(index, line, x, row);
        }
        return;
    }
    let ByteRows {
        luma,
        codes,
        means,
        differences,
    } = scratch;
    let q = format.quantiser(0);
    let mut cut_off = cut_off;
    if let Some((input, excess)) = &mut cut_off {
        codes.resize(width, 0.0);
        byte_colours::luma_codes(format.matrix, q, inner, codes);
        excess.add(input, 0, row.number, q.scale, codes);
        picture.write(0, line, x, codes);
    } else {
        luma.resize(width, 0);
        byte_colours::luma(format.matrix, q, inner, luma);
        picture.write_codes(0, line, x, luma);
    }
    if layout.family != ColourFamily::Yuv {
        return;
    }
    let component = layout.components()[1];
    let (x_share, y_share) = (1usize << component.x_shift, 1usize << component.y_shift);
    if row.number % y_share != y_share - 1 {
        return;
    }
    let left = component.x_shift > 0 && format.site.left;
    for ((mean, upper), lower) in means.iter_mut().zip(row.above).zip(row.colours) {
        mean.resize(width / x_share, 0.0);
        byte_colours::means((upper, lower), margin, (x_share, left), mean);
    }
    let means = means.each_ref().map(Vec::as_slice);
    let add = |index: usize, gain: f32, differences: &mut [f32]| {
        if let Some((input, excess)) = &mut cut_off {
            excess.add(input, index, row.number / y_share, gain, differences);
        }
    };
    let place = (x / x_share, line / y_share);
    write_means(picture, place, means, differences, add);
}

/// Whether planes of bytes become samples of `format` in one step: where these are bytes of full range or have luma, and no sample lies between
/// rows of which one is in another piece.
pub fn takes_bytes(format: &Format) -> bool {
    let layout = format.layout();
    let components = layout.colours();
    let plain = components
        .iter()
        .all(|c| (c.word, c.depth, c.shift) == (1, 8, 0));
    let fits = match layout.family {
        ColourFamily::Rgb => (0..components.len()).all(|index| {
            let q = format.quantiser(index);
            (q.offset, q.scale) == (0.0, 255.0)
        }),
        ColourFamily::Gray => true,
        ColourFamily::Yuv => {
            let (x, y) = layout.subsampling();
            x <= 1 && y <= 1 && !(y > 0 && format.site.top)
        }
    };
    plain && fits
}
