//! The way out: what networks have drawn, or interpolation, as samples of a frame of any format. Pure.
//!
//! Where the output's colours are coded as the input's, luma of a network of luma is written as it comes, and colour differences are the
//! input's, interpolated on their own grid. Everything else goes by red, green and blue. A sample of colour difference that pixels share is
//! their mean, or, where it lies on the first of them, the mean weighted by distance, for which a network's context is one pixel larger.

mod bytes;
mod rows;

use self::bytes::{ByteRow, ByteRows, takes_bytes};
use self::rows::{add_rows, codes_of_two, gather, write_means, write_pair};
use super::excess::{self, Excess};
use super::fuse;
use super::pass::DrawnTile;
use crate::SCALE;
use crate::picture::colour;
use crate::picture::interpolate::{GridAxis, Interpolator};
use crate::picture::tensor::{LUMA_MATRIX, all_finite};
use crate::picture::vector::pack_bytes;
use crate::picture::{
    Channels, ColourFamily, Component, Format, Frame, FrameMut, PixelFormat, Rect,
};

/// Output pixels before a core that samples of colour difference are made of.
const MARGIN: usize = SCALE;

/// Row buffers and interpolators, reused from tile to tile.
#[derive(Debug, Default)]
pub struct WriteRows {
    /// Red, green and blue, or luma, of a row.
    colours: [Vec<f32>; 3],
    codes: Vec<f32>,
    /// Colours of the row before, their sums over the rows that share samples, and their means.
    before: [Vec<f32>; 3],
    sums: [Vec<f32>; 3],
    means: [Vec<f32>; 3],
    /// Of the input's components: the last is alpha.
    interpolators: [Interpolator; 4],
    grey: Vec<f32>,
    by_bytes: ByteRows,
    shared: colour::RowScratch,
    source: [Vec<f32>; 3],
    excess: Excess,
}

/// Where a row of colours comes from.
#[derive(Clone, Copy)]
enum Colours<'a> {
    /// A network.
    Drawn(&'a DrawnTile<'a>),
    /// The input, interpolated.
    Interpolated,
}

/// Writes the core of a tile into `picture`, and into `second` as well if there is one, of the same size and format. `origin` is where the
/// pictures lie in the frame, in input pixels; `input` is the frame that the tile was drawn of. Returns whether every value was a finite
/// number.
pub fn write_tile(
    picture: &mut FrameMut<'_>,
    origin: Rect,
    second: Option<&mut FrameMut<'_>>,
    drawn: &DrawnTile<'_>,
    input: &Frame<'_>,
    scratch: &mut WriteRows,
) -> bool {
    let (core, window) = (drawn.tile.core, drawn.tile.window);
    let mut piece = Piece::new(
        input,
        *picture.format(),
        core,
        window,
        Colours::Drawn(drawn),
    );
    piece.write(picture, origin, second, scratch)
}

/// Writes the input, interpolated, into `area` (input pixels) of `output`.
pub fn write_bicubic(
    input: &Frame<'_>,
    area: Rect,
    output: &mut FrameMut<'_>,
    scratch: &mut WriteRows,
) {
    write_bicubic_at(input, area, output, Rect::whole(input.size()), scratch);
}

/// The same with an output that holds no more than `origin` of the frame, in input pixels.
pub fn write_bicubic_at(
    input: &Frame<'_>,
    area: Rect,
    output: &mut FrameMut<'_>,
    origin: Rect,
    scratch: &mut WriteRows,
) {
    let whole = Rect::whole(input.size());
    let mut piece = Piece::new(input, *output.format(), area, whole, Colours::Interpolated);
    piece.write(output, origin, None, scratch);
}

/// A piece of a picture that is written.
struct Piece<'a> {
    input: &'a Frame<'a>,
    from: Format,
    to: Format,
    /// What is written, output pixels, and what is known around it.
    core: Rect,
    window: Rect,
    colours: Colours<'a>,
    /// Whether luma alone comes, with colour differences of the input.
    is_luma: bool,
    /// Whether it is written as it comes.
    direct: bool,
    /// Whether planes of bytes become samples of bytes in one step.
    by_bytes: bool,
    /// Whether something of the input was cut off, and is to be added.
    exceeds: bool,
    finite: bool,
}

impl<'a> Piece<'a> {
    fn new(
        input: &'a Frame<'a>,
        to: Format,
        core: Rect,
        window: Rect,
        colours: Colours<'a>,
    ) -> Self {
        let from = *input.format();
        let is_rgb = from.layout().family == ColourFamily::Rgb;
        let is_luma = match colours {
            Colours::Drawn(drawn) => drawn.encoding.channels == Channels::Y,
            Colours::Interpolated => !is_rgb,
        };
        Self {
            input,
            from,
            to,
            core: core.scaled(SCALE),
            window: window.scaled(SCALE),
            colours,
            is_luma,
            direct: is_luma && !is_rgb && from.same_colours(&to),
            by_bytes: matches!(colours, Colours::Drawn(drawn) if drawn.is_byte_planes())
                && takes_bytes(&to),
            exceeds: matches!(colours, Colours::Drawn(drawn) if drawn.exceeds),
            finite: true,
        }
    }

    /// Columns of a row of colours, in output pixels: the core and what colour differences need before it.
    fn columns(&self) -> std::ops::Range<usize> {
        let needs = !self.direct && self.to.reaches_back();
        let margin = if needs {
            MARGIN.min(self.core.x - self.window.x)
        } else {
            0
        };
        self.core.x - margin..self.core.right()
    }

    fn write(
        &mut self,
        picture: &mut FrameMut<'_>,
        origin: Rect,
        mut second: Option<&mut FrameMut<'_>>,
        scratch: &mut WriteRows,
    ) -> bool {
        let origin = origin.scaled(SCALE);
        self.begin(scratch);
        let Rect { x, y, .. } = self.core;
        for band in (y..self.core.bottom()).step_by(SCALE) {
            for y in band..band + SCALE {
                self.write_row(picture, origin, y, scratch);
            }
            // Band by band, while it is in the nearest cache.
            if let Some(second) = &mut second {
                let area = Rect {
                    x: x - origin.x,
                    y: band - origin.y,
                    width: self.core.width,
                    height: SCALE,
                };
                fuse::copy_pixels(&picture.as_frame(), area, second);
            }
        }
        self.finite
    }

    /// Has the interpolators begin that are needed.
    fn begin(&self, scratch: &mut WriteRows) {
        let (from, to) = (self.from.layout(), self.to.layout());
        let size = self.input.size();
        let columns = self.columns();
        let mut begin = |index: usize, grid: (&Component, Format), target: (&Component, Format)| {
            let ((a, from), (b, to)) = (grid, target);
            let shift = b.x_shift;
            let wanted = (columns.start >> shift)..columns.end.div_ceil(1 << shift);
            scratch.interpolators[index].begin(
                GridAxis::across(a, from.site, b, to.site),
                GridAxis::down(a, from.site, b, to.site),
                (a.width(size.width), a.height(size.height)),
                wanted,
            );
        };
        let pixel = PixelFormat::Gray8.layout().components()[0];
        if from.alpha && to.alpha {
            let ends = (from.components().last(), to.components().last());
            if let (Some(a), Some(b)) = ends {
                begin(3, (a, self.from), (b, self.to));
            }
        }
        if let Colours::Interpolated = self.colours {
            begin(0, (&from.components()[0], self.from), (&pixel, self.to));
        }
        for index in 1..3 {
            match from.family {
                // Differences of the input's own codes, on the output's grid or at every pixel.
                ColourFamily::Yuv if self.is_luma => {
                    let target = if self.direct && to.family == ColourFamily::Yuv {
                        &to.components()[index]
                    } else {
                        &pixel
                    };
                    begin(
                        index,
                        (&from.components()[index], self.from),
                        (target, self.to),
                    );
                }
                // Differences that are made of the input's colours, or colours themselves.
                ColourFamily::Rgb
                    if self.is_luma || matches!(self.colours, Colours::Interpolated) =>
                {
                    begin(index, (&pixel, self.from), (&pixel, self.to));
                }
                _ => {}
            }
        }
        if self.exceeds {
            let columns = self.columns();
            scratch
                .excess
                .begin(self.input, &self.to, columns, !self.by_colours());
        }
    }

    /// Writes row `y` of the output: luma or colours, and colour differences where the row completes a row of theirs.
    fn write_row(
        &mut self,
        picture: &mut FrameMut<'_>,
        origin: Rect,
        y: usize,
        scratch: &mut WriteRows,
    ) {
        let to = self.to.layout();
        let (x, width, line) = (self.core.x - origin.x, self.core.width, y - origin.y);
        if self.direct {
            self.write_luma(picture, (x, line), y, scratch);
        } else if self.write_packed(picture.row_mut(line), (x, y)) {
            // It is done: the usual case of packed red, green and blue.
        } else if let Some(rows) = self.byte_rows(y) {
            let above = self.byte_rows(y.max(self.core.y + 1) - 1);
            let row = ByteRow {
                colours: rows,
                // Rows share samples by twos, and the core begins at a multiple of four: it has both.
                above: above.filter(|_| to.subsampling().1 > 0).unwrap_or(rows),
                margin: self.columns().len() - width,
                place: (x, line),
                number: y,
            };
            let cut_off = self.exceeds.then_some((self.input, &mut scratch.excess));
            bytes::write(picture, &row, cut_off, &mut scratch.by_bytes);
        } else if let Some(rows) = self.drawn_rows(y) {
            self.finite &= rows.iter().all(|row| all_finite(row));
            self.write_colours(picture, (x, line), y, rows, scratch);
        } else {
            self.colour_row(y, scratch);
            // Out of the way of the other buffers.
            let rows = std::mem::take(&mut scratch.colours);
            let slices = rows.each_ref().map(Vec::as_slice);
            self.write_colours(picture, (x, line), y, slices, scratch);
            scratch.colours = rows;
        }
        if let (true, Some(component)) = (to.alpha, to.components().last()) {
            let index = to.components().len() - 1;
            let alpha = &mut scratch.grey;
            alpha.resize(width, 0.0);
            if self.from.layout().alpha {
                let source = self.from.layout().components().len() - 1;
                let columns = self.columns();
                scratch.codes.resize(columns.len(), 0.0);
                self.interpolate(3, source, y, &mut scratch.interpolators, &mut scratch.codes);
                alpha.copy_from_slice(&scratch.codes[columns.len() - width..]);
                let gain = component.max() / self.from.layout().components()[source].max();
                colour::scale(alpha, gain, 0.0);
            } else {
                alpha.fill(component.max());
            }
            picture.write(index, line, x, alpha);
        }
        if let Some(place) = to.padding {
            for pixel in picture.row_mut(line)[4 * x..4 * (x + width)].chunks_exact_mut(4) {
                pixel[place] = 255;
            }
        }
    }

    /// Writes what is drawn of row `y` from pixel `x` of `row` on, where that is one step: from red, green and blue to packed bytes of them.
    /// Returns whether it is.
    fn write_packed(&mut self, row: &mut [u8], (x, y): (usize, usize)) -> bool {
        let (Colours::Drawn(drawn), PixelFormat::Rgb) = (self.colours, self.to.pixels) else {
            return false;
        };
        if self.exceeds {
            return false;
        }
        let pixels = &mut row[3 * x..3 * (x + self.core.width)];
        let bytes = drawn.packed_row(y).filter(|_| takes_bytes(&self.to));
        if let Some(bytes) = bytes {
            pixels.copy_from_slice(bytes);
        } else if let Some(rows) = drawn.float_rows(y, self.core.x..self.core.right()) {
            let (encoding, q) = (drawn.encoding, self.to.quantiser(0));
            let gain = q.scale / (encoding.white - encoding.black);
            self.finite &= pack_bytes(rows, gain, q.offset - encoding.black * gain, pixels);
        } else {
            return false;
        }
        true
    }

    /// Row `y` of all [`Piece::columns`], red, green and blue, if it was drawn as numbers of these: nothing is to be copied.
    fn drawn_rows(&self, y: usize) -> Option<[&'a [f32]; 3]> {
        match self.colours {
            Colours::Drawn(drawn) if (drawn.encoding.black, drawn.encoding.white) == (0.0, 1.0) => {
                drawn.float_rows(y, self.columns())
            }
            _ => None,
        }
    }

    /// Whether what was cut off is added colour by colour.
    fn by_colours(&self) -> bool {
        self.exceeds && !(self.by_bytes && excess::is_by_component(&self.to))
    }

    /// Row `y` of all [`Piece::columns`], red, green and blue, if it was drawn as planes of bytes and the output takes them.
    fn byte_rows(&self, y: usize) -> Option<[&'a [u8]; 3]> {
        match self.colours {
            Colours::Drawn(drawn) if self.by_bytes && !self.by_colours() => {
                drawn.byte_rows(y, self.columns())
            }
            _ => None,
        }
    }

    /// Row `y` of component `source` of the input, interpolated, as codes.
    fn interpolate(
        &self,
        slot: usize,
        source: usize,
        y: usize,
        interpolators: &mut [Interpolator; 4],
        to: &mut [f32],
    ) {
        let input = self.input;
        interpolators[slot].row(y, |row, first, to| input.read(source, row, first, to), to);
    }

    /// Luma as it comes, and the input's own colour differences on the output's grid.
    fn write_luma(
        &mut self,
        picture: &mut FrameMut<'_>,
        (x, line): (usize, usize),
        y: usize,
        scratch: &mut WriteRows,
    ) {
        let (from, to) = (self.from.quantiser(0), self.to.quantiser(0));
        let (ratio, width) = (to.scale / from.scale, self.core.width);
        let depths = [self.from, self.to].map(|format| format.layout().components()[0]);
        let bytes = match self.colours {
            Colours::Drawn(drawn) if (depths[1].word, depths[1].step) == (1, 1) => {
                drawn.luma_bytes(y)
            }
            _ => None,
        };
        if let Some(bytes) = bytes {
            picture.plane_row_mut(depths[1].plane, line)[x..x + width].copy_from_slice(bytes);
        } else {
            let luma = &mut scratch.colours[0];
            luma.resize(width, 0.0);
            match self.colours {
                Colours::Drawn(drawn) => {
                    self.finite &= drawn.read(0, y, self.core.x..self.core.right(), luma);
                    let max = depths[0].max();
                    colour::scale(luma, max * ratio, to.offset - from.offset * ratio);
                }
                Colours::Interpolated => {
                    self.interpolate(0, 0, y, &mut scratch.interpolators, luma);
                    colour::scale(luma, ratio, to.offset - from.offset * ratio);
                }
            }
            picture.write(0, line, x, luma);
        }
        let layout = self.to.layout();
        if layout.family != ColourFamily::Yuv {
            return;
        }
        let component = layout.components()[1];
        if line % (1 << component.y_shift) != 0 {
            return;
        }
        let row = y >> component.y_shift;
        let mut codes = std::mem::take(&mut scratch.codes);
        let [cb, cr] = codes_of_two(&mut codes, width >> component.x_shift);
        for (index, row_codes) in [(1, &mut *cb), (2, &mut *cr)] {
            let to = self.to.quantiser(index);
            if self.from.layout().family != ColourFamily::Yuv {
                row_codes.fill(to.offset);
                continue;
            }
            self.interpolate(index, index, row, &mut scratch.interpolators, row_codes);
            let from = self.from.quantiser(index);
            let ratio = to.scale / from.scale;
            colour::scale(row_codes, ratio, to.offset - from.offset * ratio);
        }
        write_pair(
            picture,
            line >> component.y_shift,
            x >> component.x_shift,
            [cb, cr],
        );
        scratch.codes = codes;
    }

    /// Row `y` as numbers, red, green and blue, of all [`Piece::columns`].
    fn colour_row(&mut self, y: usize, scratch: &mut WriteRows) {
        let columns = self.columns();
        let WriteRows {
            colours,
            interpolators,
            source,
            shared,
            excess,
            ..
        } = scratch;
        colours
            .iter_mut()
            .for_each(|row| row.resize(columns.len(), 0.0));
        let from = self.from;
        let family = from.layout().family;
        match self.colours {
            Colours::Drawn(drawn) => {
                let count = drawn.encoding.channels.count();
                for (channel, row) in colours.iter_mut().enumerate().take(count) {
                    self.finite &= drawn.read(channel, y, columns.clone(), row);
                }
                if self.by_colours() {
                    for (index, row) in colours.iter_mut().enumerate() {
                        excess.add(self.input, index, y, 1.0, row);
                    }
                }
                if self.is_luma && family != ColourFamily::Rgb {
                    // Codes over the largest, as they went in.
                    let max = from.layout().components()[0].max();
                    colour::scale(&mut colours[0], max, 0.0);
                    colour::to_numbers(&from, 0, &mut colours[0]);
                }
            }
            Colours::Interpolated => {
                let count = if family == ColourFamily::Rgb { 3 } else { 1 };
                for (index, row) in colours.iter_mut().enumerate().take(count) {
                    self.interpolate(index, index, y, interpolators, row);
                    colour::to_numbers(&from, index, row);
                }
            }
        }
        if !self.is_luma {
            return;
        }
        let [first, second, third] = colours;
        match family {
            ColourFamily::Gray => {
                second.copy_from_slice(first);
                third.copy_from_slice(first);
            }
            ColourFamily::Yuv => {
                for (index, row) in [(1, &mut *second), (2, &mut *third)] {
                    self.interpolate(index, index, y, interpolators, row);
                    colour::to_numbers(&from, index, row);
                }
                colour::to_rgb(from.matrix, [first, second, third]);
            }
            ColourFamily::Rgb => {
                let input = self.input;
                for (index, row) in [(1, &mut *second), (2, &mut *third)] {
                    let read = |number: usize, begin: usize, to: &mut [f32]| {
                        source.iter_mut().for_each(|row| row.resize(to.len(), 0.0));
                        let [red, green, blue] = &mut *source;
                        let columns = begin..begin + to.len();
                        colour::rgb_row(
                            input,
                            number,
                            columns,
                            [&mut *red, &mut *green, &mut *blue],
                            shared,
                        );
                        colour::difference(LUMA_MATRIX, index, [red, green, blue], to);
                    };
                    interpolators[index].row(y, read, row);
                }
                colour::to_rgb(LUMA_MATRIX, [first, second, third]);
            }
        }
    }

    /// Writes row `y` of colours, red, green and blue, all [`Piece::columns`] of it.
    fn write_colours(
        &self,
        picture: &mut FrameMut<'_>,
        (x, line): (usize, usize),
        y: usize,
        rows: [&[f32]; 3],
        scratch: &mut WriteRows,
    ) {
        let (format, layout, width) = (self.to, self.to.layout(), self.core.width);
        let margin = self.columns().len() - width;
        let inner = rows.map(|row| &row[margin..]);
        let q = format.quantiser(0);
        if format.pixels == PixelFormat::Rgb {
            let pixels = &mut picture.row_mut(line)[3 * x..3 * (x + width)];
            pack_bytes(inner, q.scale, q.offset, pixels);
            return;
        }
        let codes = &mut scratch.codes;
        codes.resize(width, 0.0);
        if layout.family == ColourFamily::Rgb {
            for (index, row) in inner.into_iter().enumerate() {
                codes.copy_from_slice(row);
                colour::scale(codes, q.scale, q.offset);
                picture.write(index, line, x, codes);
            }
            return;
        }
        colour::luma_codes(format.matrix, inner, q.scale, q.offset, codes);
        picture.write(0, line, x, codes);
        if layout.family == ColourFamily::Yuv {
            self.write_differences(picture, (x, line), y, rows, scratch);
        }
    }

    /// Adds the row's colours up and writes the colour differences that it completes: those of mean colours are the means of theirs.
    fn write_differences(
        &self,
        picture: &mut FrameMut<'_>,
        (x, line): (usize, usize),
        y: usize,
        rows: [&[f32]; 3],
        scratch: &mut WriteRows,
    ) {
        let (format, width) = (self.to, self.core.width);
        let component = format.layout().components()[1];
        let length = self.columns().len();
        let share = 1usize << component.y_shift;
        let from_first = component.y_shift > 0 && format.site.top;
        if from_first && y == self.core.y {
            self.begin_above(y, scratch);
        }
        let WriteRows {
            before,
            sums,
            means,
            codes,
            ..
        } = scratch;
        let phase = y % share;
        for ((sum, row), before) in sums.iter_mut().zip(rows).zip(before.iter_mut()) {
            sum.resize(length, 0.0);
            match (share, from_first, phase) {
                (1, ..) => continue,
                // A quarter of the row above, half of its own, a quarter of the next.
                (_, true, 0) => add_rows(sum, (0.25, Some(&*before)), (0.5, row)),
                (_, true, _) => add_rows(sum, (1.0, None), (0.25, row)),
                (_, false, 0) => add_rows(sum, (0.0, None), (1.0 / share as f32, row)),
                (_, false, _) => add_rows(sum, (1.0, None), (1.0 / share as f32, row)),
            }
            if from_first {
                before.clear();
                before.extend_from_slice(row);
            }
        }
        if phase != share - 1 {
            return;
        }
        let x_share = 1usize << component.x_shift;
        let left = component.x_shift > 0 && format.site.left;
        let (margin, count) = (length - width, width / x_share);
        for ((mean, sum), row) in means.iter_mut().zip(&*sums).zip(rows) {
            mean.resize(count, 0.0);
            let whole = if share == 1 { row } else { sum.as_slice() };
            gather(whole, margin, x_share, left, mean);
        }
        let means = means.each_ref().map(Vec::as_slice);
        let place = (x / x_share, line / share);
        write_means(picture, place, means, codes, |_, _, _| {});
    }

    /// Has the row above row `y`, the first of the core, count as the one before; above the frame there is none, and the first takes its
    /// place.
    fn begin_above(&self, y: usize, scratch: &mut WriteRows) {
        let above = if y > self.window.y { y - 1 } else { y };
        if let Some(rows) = self.drawn_rows(above) {
            for (before, row) in scratch.before.iter_mut().zip(rows) {
                before.clear();
                before.extend_from_slice(row);
            }
            return;
        }
        let mut piece = Self {
            finite: true,
            ..*self
        };
        // Interpolators hold rows by number, and go back as well.
        piece.colour_row(above, scratch);
        let WriteRows {
            colours, before, ..
        } = scratch;
        std::mem::swap(colours, before);
    }
}
