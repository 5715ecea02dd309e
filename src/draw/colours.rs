//! The masks of several kinds of objects as a picture: each kind in a colour of its own. Pure.

use super::pass::{DrawnTile, Pixels};
use super::write::{self, WriteRows};
use crate::SCALE;
use crate::error::Result;
use crate::memory;
use crate::picture::{Encoding, Frame, FrameMut, Rect};
use crate::plan::Plan;
use crate::plan::tiles::Tile;
use crate::settings::MAX_KINDS;

/// What stands for a weight of 1 of each kind, red, green and blue: faces are white as they are alone, the others as far apart as may be.
const COLOURS: [[f32; 3]; MAX_KINDS] = [
    [1.0, 1.0, 1.0],
    [1.0, 0.8, 0.0],
    [0.0, 0.7, 1.0],
    [1.0, 0.2, 0.6],
    [0.2, 0.9, 0.3],
    [0.6, 0.4, 1.0],
    [1.0, 0.5, 0.1],
    [0.0, 0.9, 0.8],
];
/// Input rows that are written at a time.
const BAND: usize = 8;

/// Writes each kind's `w`, in its colour, into `output`: where several reach, that of the larger.
///
/// # Errors
/// [`crate::Error::Memory`] where the system has none for a band of rows.
pub fn write_masks(
    output: &mut FrameMut<'_>,
    input: &Frame<'_>,
    plan: &Plan,
    scratch: &mut WriteRows,
) -> Result<()> {
    let size = input.size();
    let (mut weights, mut values) = (Vec::new(), Vec::new());
    for top in (0..size.height).step_by(BAND) {
        let core = Rect {
            x: 0,
            y: top,
            width: size.width,
            height: BAND.min(size.height - top),
        };
        // Samples of colour difference may be made of pixels around them.
        let window = core.grown(1, size);
        let (width, area) = (window.width * SCALE, window.scaled(SCALE).size().area());
        values.clear();
        memory::resize(&mut values, 3 * area, 0.0, "a band of the masks' picture")?;
        weights.resize(width, 0.0);
        let mut largest = vec![0.0f32; width];
        for row in 0..window.height * SCALE {
            largest.fill(0.0);
            for (kind, colour) in (0..plan.objects.len()).zip(COLOURS) {
                let y = window.y * SCALE + row;
                if !plan.mask.row_of(kind..kind + 1, 0, y, &mut weights) {
                    continue;
                }
                for (x, w) in weights.iter().enumerate() {
                    if *w > largest[x] {
                        largest[x] = *w;
                        for (plane, colour) in colour.iter().enumerate() {
                            values[plane * area + row * width + x] = w * colour;
                        }
                    }
                }
            }
        }
        let drawn = DrawnTile {
            exceeds: false,
            tile: Tile { window, core },
            pixels: Pixels::Floats(&values),
            encoding: Encoding::default(),
        };
        write::write_tile(output, Rect::whole(size), None, &drawn, input, scratch);
    }
    Ok(())
}
