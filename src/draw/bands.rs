//! Writing a tile by several threads: each a band of its rows. What a row is made of does not depend on the band, so that nothing of the picture
//! does.

use super::pass::DrawnTile;
use super::write::{WriteRows, write_tile};
use crate::SCALE;
use crate::picture::{Frame, FrameMut, Rect};
use crate::plan::tiles::Tile;

/// Input pixels of a tile from which on a further thread is worth its start.
const LEAST: usize = 32 * 1024;

/// A band of a tile and the rows of the pictures that it lies in.
struct Band<'a> {
    tile: Tile,
    /// Where the rows lie in the frame, input pixels.
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
    let count = writers.len().min(core.width * core.height / LEAST);
    let Some((own, others)) = writers.split_first_mut() else {
        return true;
    };
    if count < 2 {
        let whole = Rect::whole(input.size());
        return write_tile(picture, whole, second, drawn, input, own);
    }
    let mut bands = split(picture, second, drawn.tile, count, input);
    let write_band = |band: &mut Band<'_>, writer: &mut WriteRows| {
        let tile = DrawnTile {
            tile: band.tile,
            ..*drawn
        };
        let second = band.second.as_mut();
        write_tile(&mut band.picture, band.rows, second, &tile, input, writer)
    };
    let write_band = &write_band;
    std::thread::scope(|scope| {
        let Some(mut last) = bands.pop() else {
            return true;
        };
        let mut threads = Vec::new();
        let mut left = Vec::new();
        for (mut band, writer) in bands.into_iter().zip(others) {
            // Handed over by a channel, so that it comes back where there is no thread to be had.
            let (sender, taken) = std::sync::mpsc::channel::<(Band<'_>, &mut WriteRows)>();
            let thread = std::thread::Builder::new()
                .name("srfusion-write".into())
                .spawn_scoped(scope, move || {
                    let Ok((mut band, writer)) = taken.recv() else {
                        return true;
                    };
                    write_band(&mut band, writer)
                });
            match thread {
                Ok(thread) => {
                    // Cannot fail: the thread waits for it.
                    let _ = sender.send((band, writer));
                    threads.push(thread);
                }
                Err(_) => left.push(write_band(&mut band, writer)),
            }
        }
        let mut finite = write_band(&mut last, own) && left.into_iter().all(|finite| finite);
        for thread in threads {
            match thread.join() {
                Ok(found) => finite &= found,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        finite
    })
}

/// `count` bands of `tile`, each with its rows of the pictures.
fn split<'a>(
    picture: &'a mut FrameMut<'_>,
    second: Option<&'a mut FrameMut<'_>>,
    tile: Tile,
    count: usize,
    input: &Frame<'_>,
) -> Vec<Band<'a>> {
    let (core, size) = (tile.core, input.size());
    let mut rest = Some(picture.reborrow());
    let mut second_rest = second.map(FrameMut::reborrow);
    let mut bands = Vec::with_capacity(count);
    let (mut top, mut begin) = (core.y, 0);
    for index in 1..=count {
        let bottom = core.y + core.height * index / count;
        let end = if index == count { size.height } else { bottom };
        let take = |rest: &mut Option<FrameMut<'a>>| {
            let whole = rest.take()?;
            if index == count {
                return Some(whole);
            }
            let (upper, lower) = whole.split_at_row((end - begin) * SCALE);
            *rest = Some(lower);
            Some(upper)
        };
        let Some(picture) = take(&mut rest) else {
            break;
        };
        bands.push(Band {
            tile: Tile {
                core: Rect {
                    y: top,
                    height: bottom - top,
                    ..core
                },
                ..tile
            },
            rows: Rect {
                x: 0,
                y: begin,
                width: size.width,
                height: end - begin,
            },
            picture,
            second: take(&mut second_rest),
        });
        (top, begin) = (bottom, end);
    }
    bands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{FrameInfo, Upscaler};
    use crate::picture::{ChromaSite, Format, FrameMemory, PixelFormat, Range, Size};
    use crate::settings::{Parameters, Reuse};
    use crate::testing::Bicubic;

    const SIZE: Size = Size::new(416, 237);

    /// Two frames, of which the second differs a little from the first.
    fn frames(format: Format, threads: usize, reuse: Reuse) -> Vec<Vec<u8>> {
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
            upscaler
                .process(frame.as_frame(), &FrameInfo::default(), &mut target)
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
                let alone = frames(format, 1, reuse);
                assert!(frames(format, 9, reuse) == alone, "{format:?} {reuse:?}");
            }
        }
    }
}
