//! Row buffers of a drawer, and how a tile of the general picture is written with them.

use super::halftone::Halftone;
use super::pass::DrawnTile;
use super::{bands, fuse, write};
use crate::SCALE;
use crate::error::Result;
use crate::keep::cells::Cells;
use crate::picture::{Frame, FrameMemory, FrameMut, Rect};

/// Row buffers.
#[derive(Default)]
pub struct RowBuffers {
    pub write: write::WriteRows,
    /// Of each thread that writes large tiles.
    writers: Vec<write::WriteRows>,
    pub fuse: fuse::FuseRows,
    halftone: Halftone,
    /// A tile, interpolated.
    interpolated: FrameMemory,
    /// Whether a picture depends on its input as far around as dots are looked for: what is kept is compared no farther.
    pub looks_for_dots: bool,
}

impl RowBuffers {
    /// Of so many threads.
    pub fn for_threads(threads: usize) -> Self {
        let mut buffers = Self::default();
        buffers.writers.resize_with(threads, Default::default);
        buffers
    }

    /// Writes a tile of the general picture into `picture`, a whole frame, and into `second` as well if there is one. Returns whether every value was a
    /// finite number.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] where the system has none to look for dots in.
    pub fn write_general(
        &mut self,
        picture: &mut FrameMut<'_>,
        mut second: Option<&mut FrameMut<'_>>,
        drawn: &DrawnTile<'_>,
        input: &Frame<'_>,
    ) -> Result<bool> {
        let core = drawn.tile.core;
        let other = second.as_deref_mut();
        let finite = bands::write(picture, other, drawn, input, &mut self.writers);
        if self.interpolate_dots(input, core, picture)?
            && let Some(second) = second
        {
            fuse::copy(&picture.as_frame(), core, second);
        }
        Ok(finite)
    }

    /// Writes the input, interpolated, and copies what stands still; see [`bands::interpolate`].
    pub fn interpolate(
        &mut self,
        picture: &mut FrameMut<'_>,
        output: Option<&mut FrameMut<'_>>,
        (interpolated, still): (&Cells, &Cells),
        input: &Frame<'_>,
    ) {
        let cells = (interpolated, still);
        bands::interpolate(picture, output, cells, input, &mut self.writers);
    }

    /// Has the general picture in `core` of `picture`, a whole frame, give way to interpolation where the input is made of dots. Returns whether it
    /// does anywhere.
    fn interpolate_dots(
        &mut self,
        input: &Frame<'_>,
        core: Rect,
        picture: &mut FrameMut<'_>,
    ) -> Result<bool> {
        if !self.looks_for_dots || !self.halftone.find(input, core)? {
            return Ok(false);
        }
        let (format, size) = (*picture.format(), core.scaled(SCALE).size());
        self.interpolated.try_fit(&format, size)?;
        let mut tile = self.interpolated.frame(format, size)?;
        write::write_bicubic_at(input, core, &mut tile, core, &mut self.write);
        let weights = |x, y, w: &mut [f32]| self.halftone.row(x, y, w);
        fuse::blend(
            picture,
            &tile.as_frame(),
            core,
            core,
            weights,
            &mut self.fuse,
        );
        Ok(true)
    }
}
