//! Writing what is large by several threads: each a band of its rows. What a row is made of does not depend on the band, so that nothing of the picture
//! does.

use super::fuse;
use super::pass::DrawnTile;
use super::write::{WriteRows, write_bicubic_at, write_tile};
use crate::SCALE;
use crate::keep::cells::{CELL, Cells};
use crate::picture::{Frame, FrameMut, Rect, Size};
use crate::plan::tiles::Tile;

/// Input pixels that are written from which on a further thread is worth its start.
const LEAST: usize = 32 * 1024;

/// Pixels that are copied in the time in which one is interpolated.
const COPIES: usize = 4;

/// Rows of the frame, and of the pictures that they are written into.
struct Band<'a> {
    /// Where they lie in the frame, input pixels.
    rows: Rect,
    picture: FrameMut<'a>,
    second: Option<FrameMut<'a>>,
}

/// Writes `drawn` into `picture`, a whole frame, and into `second` as well if there is one, by as many threads as there are `writers`, if it is large.
/// Returns as [`write_tile`] does.
pub fn write(
    picture: &mut FrameMut<'_>,
    second: Option<&mut FrameMut<'_>>,
    drawn: &DrawnTile<'_>,
    input: &Frame<'_>,
    writers: &mut [WriteRows],
) -> bool {
    let core = drawn.tile.core;
    let count = writers.len().min(core.width * core.height / LEAST).max(1);
    let cuts = (1..count).map(|index| core.y + core.height * index / count);
    let bands = split(picture, second, cuts, input.size());
    by_threads(bands, writers, |band, writer| {
        let core = core.intersection(band.rows).unwrap_or_default();
        let tile = Tile { core, ..drawn.tile };
        let part = DrawnTile { tile, ..*drawn };
        let second = band.second.as_mut();
        write_tile(&mut band.picture, band.rows, second, &part, input, writer)
    })
}

/// Writes the input, interpolated, into the cells `interpolated` of `picture`, a whole frame. Where there is an `output`, it gets a copy of these and of the
/// cells that stand `still`. By as many threads as there are `writers`, if it is much.
pub fn interpolate(
    picture: &mut FrameMut<'_>,
    output: Option<&mut FrameMut<'_>>,
    (interpolated, still): (&Cells, &Cells),
    input: &Frame<'_>,
    writers: &mut [WriteRows],
) {
    let copies = output.is_some();
    let mut costs = vec![0; interpolated.rows()];
    let mut add = |cells: &Cells, cost: usize| {
        for stretch in cells.stretches() {
            if let Some(sum) = costs.get_mut(stretch.y / CELL) {
                *sum += cost * stretch.size().area();
            }
        }
    };
    add(interpolated, COPIES);
    if copies {
        add(still, 1);
    }
    let total: usize = costs.iter().sum();
    let count = writers.len().min(total / (COPIES * LEAST)).max(1);
    // Bands that take about as long as each other.
    let (mut cuts, mut sum) = (Vec::new(), 0);
    for (row, cost) in costs.iter().enumerate() {
        if sum * count >= total * (cuts.len() + 1) && cuts.len() + 1 < count {
            cuts.push(row * CELL);
        }
        sum += cost;
    }
    let bands = split(picture, output, cuts.into_iter(), input.size());
    by_threads(bands, writers, |band, writer| {
        for stretch in interpolated.stretches_in(band.rows) {
            write_bicubic_at(input, stretch, &mut band.picture, band.rows, writer);
        }
        if let Some(output) = &mut band.second {
            let cells = [still, interpolated].map(|cells| cells.stretches_in(band.rows));
            for stretch in cells.into_iter().flatten() {
                let area = Rect {
                    y: stretch.y - band.rows.y,
                    ..stretch
                };
                fuse::copy(&band.picture.as_frame(), area, output);
            }
        }
        true
    });
}

/// Has `work` done on every band, each on a thread of its own, the last on this one. Returns whether it always returned true.
fn by_threads<'a>(
    mut bands: Vec<Band<'a>>,
    writers: &mut [WriteRows],
    work: impl Fn(&mut Band<'a>, &mut WriteRows) -> bool + Sync,
) -> bool {
    let work = &work;
    let Some((own, others)) = writers.split_first_mut() else {
        return true;
    };
    std::thread::scope(|scope| {
        let Some(mut last) = bands.pop() else {
            return true;
        };
        let mut threads = Vec::new();
        let mut left = Vec::new();
        for (mut band, writer) in bands.into_iter().zip(others) {
            // Handed over by a channel, so that it comes back where there is no thread to be had.
            let (sender, taken) = std::sync::mpsc::channel::<(Band<'a>, &mut WriteRows)>();
            let thread = std::thread::Builder::new()
                .name("srfusion-write".into())
                .spawn_scoped(scope, move || {
                    let Ok((mut band, writer)) = taken.recv() else {
                        return true;
                    };
                    work(&mut band, writer)
                });
            match thread {
                Ok(thread) => {
                    // Cannot fail: the thread waits for it.
                    let _ = sender.send((band, writer));
                    threads.push(thread);
                }
                Err(_) => left.push(work(&mut band, writer)),
            }
        }
        let mut good = work(&mut last, own) && left.into_iter().all(|good| good);
        for thread in threads {
            match thread.join() {
                Ok(found) => good &= found,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        good
    })
}

/// Bands of a frame of `size`, each with its rows of the pictures, that meet at the rows `cuts`, input pixels, in order.
fn split<'a>(
    picture: &'a mut FrameMut<'_>,
    second: Option<&'a mut FrameMut<'_>>,
    cuts: impl Iterator<Item = usize>,
    size: Size,
) -> Vec<Band<'a>> {
    let mut rest = (picture.reborrow(), second.map(FrameMut::reborrow));
    let (mut bands, mut begin) = (Vec::new(), 0);
    let rows = |y: usize, end: usize| Rect {
        y,
        height: end - y,
        ..Rect::whole(size)
    };
    for end in cuts {
        let at = (end - begin) * SCALE;
        let (upper, lower) = rest.0.split_at_row(at);
        let (second, other) = rest.1.map(|whole| whole.split_at_row(at)).unzip();
        bands.push(Band {
            rows: rows(begin, end),
            picture: upper,
            second,
        });
        (rest, begin) = ((lower, other), end);
    }
    bands.push(Band {
        rows: rows(begin, size.height),
        picture: rest.0,
        second: rest.1,
    });
    bands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{FrameInfo, Upscaler};
    use crate::picture::{ChromaSite, Format, FrameMemory, PixelFormat, Range};
    use crate::settings::{Parameters, Reuse};
    use crate::testing::Bicubic;

    use std::time::Duration;

    const SIZE: Size = Size::new(416, 237);

    /// Two frames, of which the second differs a little from the first, with a `budget` of time or without.
    fn frames(
        format: Format,
        threads: usize,
        reuse: Reuse,
        budget: Option<Duration>,
    ) -> Vec<Vec<u8>> {
        let generator = Box::new(Bicubic::new(0.0));
        let mut upscaler = Upscaler::with_networks(generator, None, None, 0, None).unwrap();
        upscaler.set_threads(threads);
        let parameters = Parameters {
            reuse,
            ..Parameters::default()
        };
        upscaler.set_parameters(parameters).unwrap();
        let (layout, out) = (format.layout(), SIZE.scaled(SCALE));
        let mut drawn = Vec::new();
        for number in 0..2 {
            let (mut input, mut output) = (FrameMemory::default(), FrameMemory::default());
            input.fit(&format, SIZE);
            output.fit(&format, out);
            let mut frame = input.frame(format, SIZE).unwrap();
            for plane in 0..layout.planes {
                for y in 0..layout.rows(plane, SIZE.height) {
                    for (x, byte) in frame.plane_row_mut(plane, y).iter_mut().enumerate() {
                        let moved = if y > 150 { number * 40 } else { 0 };
                        *byte = (x * 7 + y * 13 + moved + (x * y) % 29) as u8;
                    }
                }
            }
            let mut target = output.frame(format, out).unwrap();
            let info = FrameInfo {
                budget,
                ..FrameInfo::default()
            };
            upscaler
                .process(frame.as_frame(), &info, &mut target)
                .unwrap();
            let target = target.as_frame();
            let rows = (0..layout.planes)
                .flat_map(|plane| (0..layout.rows(plane, out.height)).map(move |y| (plane, y)));
            drawn.push(
                rows.flat_map(|(plane, y)| target.plane_row(plane, y).to_vec())
                    .collect(),
            );
        }
        drawn
    }

    #[test]
    fn the_picture_does_not_depend_on_the_threads() {
        let mut formats = vec![Format::RGB];
        for (pixels, top) in [
            (PixelFormat::Nv12, false),
            (PixelFormat::I420, true),
            (PixelFormat::P010Le, true),
        ] {
            formats.push(Format {
                range: Range::Limited,
                site: ChromaSite { left: true, top },
                ..Format::rgb(pixels)
            });
        }
        for format in formats {
            for reuse in [Reuse::None, Reuse::Exact] {
                // Without any time everything is interpolated.
                for budget in [None, Some(Duration::ZERO)] {
                    let alone = frames(format, 1, reuse, budget);
                    let together = frames(format, 9, reuse, budget);
                    assert!(together == alone, "{format:?} {reuse:?} {budget:?}");
                }
            }
        }
    }
}
