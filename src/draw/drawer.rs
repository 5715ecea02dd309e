//! Draws what was planned: runs the generators, fuses their pictures and keeps them for the frames to come. Plans nothing.

use std::time::{Duration, Instant};

use super::fuse;
use super::generator::{Generator, GeneratorRole};
use super::pass::{DrawnTile, TileMemory, run_all};
use super::transfer::Transfer;
use crate::SCALE;
use crate::cancel::Canceller;
use crate::error::{Error, Result};
use crate::keep::store::Store;
use crate::notice::Notice;
use crate::picture::resample::{Kernel, Resampler};
use crate::picture::typed_memory::TypedMemory;
use crate::picture::{Frame, FrameMut, Rect, Sample};
use crate::plan::Plan;
use crate::plan::cost::Traits;
use crate::plan::runs::Run;
use crate::settings::{Provider, View};

/// What drawing took, for counters and for what runs are thought to cost. Times and pixels are sums.
#[derive(Debug, Clone, Default)]
pub struct Work {
    /// Input pixels and time of each run.
    pub runs: Vec<(GeneratorRole, usize, Duration)>,
    /// Output pixels that the face generator's picture was fused into.
    pub face_pixels: u64,
    /// Time in the general generator, in the face generator, and fusing and writing samples.
    pub general: Duration,
    /// See `general`.
    pub face: Duration,
    /// See `general`.
    pub fuse: Duration,
}

/// What became of a plan.
#[derive(Debug)]
pub enum Outcome {
    /// It is drawn.
    Complete,
    /// It counts on pictures that are not there, because a frame before it failed or a generator has changed over to another
    /// provider, which rounds otherwise. Nothing was drawn.
    Stale,
    /// Memory did not suffice for the largest of these runs, of so many input pixels.
    OutOfMemory {
        /// Whose runs.
        role: GeneratorRole,
        /// Input pixels of the largest.
        pixels: usize,
        /// The runtime's words.
        error: Error,
    },
}

/// News of a generator.
#[derive(Debug, Clone)]
pub struct Update {
    /// Which.
    pub role: GeneratorRole,
    /// The better provider that it has changed over to, if it has, and what it says of itself since.
    pub adopted: Option<(Provider, Traits)>,
    /// As [`Generator::refused`].
    pub refused: Vec<(Provider, String)>,
    /// What a user should be told.
    pub notices: Vec<Notice>,
    /// How pictures get to it and back.
    pub transfer: Transfer,
}

/// What is kept of frames with samples `S`.
struct PictureMemory<S: Sample> {
    resampler: Resampler<S>,
    store: Store<S>,
}

impl<S: Sample> Default for PictureMemory<S> {
    fn default() -> Self {
        Self {
            resampler: Resampler::default(),
            store: Store::default(),
        }
    }
}

/// Draws one frame after the other.
pub struct Drawer {
    general: Box<dyn Generator>,
    face: Option<Box<dyn Generator>>,
    canceller: Canceller,
    tiles: TileMemory,
    fuse: fuse::Scratch,
    /// A `PictureMemory` of the sample type in use.
    memory: TypedMemory,
    /// Whether what is kept is of a provider that is no longer used.
    outdated: bool,
}

/// What `generator` says of itself.
pub fn traits(generator: &dyn Generator) -> Traits {
    Traits {
        name: generator.name().to_owned(),
        radius: generator.radius(),
        stride: generator.stride(),
        fixed_tile: generator.fixed_tile(),
    }
}

impl Drawer {
    /// Nothing is kept yet. Work ends early once `canceller` says so.
    pub fn new(
        general: Box<dyn Generator>,
        face: Option<Box<dyn Generator>>,
        canceller: Canceller,
    ) -> Self {
        Self {
            general,
            face,
            canceller,
            tiles: TileMemory::default(),
            fuse: fuse::Scratch::default(),
            memory: TypedMemory::default(),
            outdated: false,
        }
    }

    /// Takes better providers into use that have become ready; to be called between frames. After a change nothing that is kept
    /// is used until a plan draws everything anew: another provider rounds otherwise, which must not show as a seam.
    pub fn adopt_better(&mut self) -> Vec<Update> {
        let mut updates = Vec::new();
        let generators = [
            (GeneratorRole::General, Some(&mut self.general)),
            (GeneratorRole::Face, self.face.as_mut()),
        ];
        for (role, generator) in generators {
            let Some(generator) = generator else { continue };
            let provider = generator.adopt_better();
            let notices = generator.take_notices();
            self.outdated |= provider.is_some();
            if provider.is_some() || !notices.is_empty() {
                updates.push(Update {
                    role,
                    adopted: provider.map(|provider| (provider, traits(generator.as_ref()))),
                    refused: generator.refused().to_vec(),
                    notices,
                    transfer: generator.transfer(),
                });
            }
        }
        updates
    }

    /// Draws `plan` of `input` into `output`, and notes in `work` what that took.
    ///
    /// # Errors
    /// [`Error::Cancelled`] and the generators'; the output is then undefined, and so is it after an outcome that is not
    /// [`Outcome::Complete`].
    pub fn draw<S: Sample>(
        &mut self,
        plan: &Plan,
        input: &Frame<'_, S>,
        output: &mut FrameMut<'_, S>,
        work: &mut Work,
    ) -> Result<Outcome> {
        self.canceller.check()?;
        let mut memory = self.memory.take::<PictureMemory<S>>();
        if std::mem::take(&mut self.outdated) {
            memory.store.end(None);
        }
        // Until it is done: what a failure, or a panic, leaves behind is in no known state.
        if !memory.store.begin(plan.epoch, &plan.parts) {
            self.memory.put(memory);
            return Ok(Outcome::Stale);
        }
        let drawn = self.draw_view(plan, input, output, &mut memory, work);
        if matches!(drawn, Ok(Outcome::Complete)) {
            memory.store.end(plan.epoch);
        }
        self.memory.put(memory);
        drawn
    }

    fn draw_view<S: Sample>(
        &mut self,
        plan: &Plan,
        input: &Frame<'_, S>,
        output: &mut FrameMut<'_, S>,
        memory: &mut PictureMemory<S>,
        work: &mut Work,
    ) -> Result<Outcome> {
        let whole = Rect::whole(input.size());
        if !plan.area.is_empty() {
            // First: it is drawn in whole cells, which may reach out of its area.
            let general = self.draw_general(plan, input, output, memory, work);
            if let Some(outcome) = unfinished(general, GeneratorRole::General, &plan.general)? {
                return Ok(outcome);
            }
            let faces = self.draw_faces(plan, input, output, memory, work);
            if let Some(outcome) = unfinished(faces, GeneratorRole::Face, &plan.face)? {
                return Ok(outcome);
            }
        }
        match plan.view {
            View::Fused | View::General => {}
            View::Face if !plan.area.is_empty() => {}
            View::Face => {
                let shown = self.run_face(input, &plan.face, work, |_, drawn| {
                    fuse::write_tile(output, whole, None, drawn)
                });
                if let Some(outcome) = unfinished(shown, GeneratorRole::Face, &plan.face)? {
                    return Ok(outcome);
                }
            }
            View::Mask => fuse::write_mask(output, whole, &plan.mask, &mut self.fuse),
            View::Bicubic => draw_bicubic(input, whole, output, memory, work)?,
            View::Split => {
                let left = Rect {
                    width: plan.area.x,
                    ..whole
                };
                draw_bicubic(input, left, output, memory, work)?;
                for y in 0..output.size().height {
                    let column = (left.width * SCALE * 3).min(output.size().width * 3 - 3);
                    output.row_mut(y)[column..column + 3].fill(S::from_f32(S::MAX));
                }
            }
        }
        Ok(Outcome::Complete)
    }

    /// The general picture, what holds of it taken from what is kept.
    fn draw_general<S: Sample>(
        &mut self,
        plan: &Plan,
        input: &Frame<'_, S>,
        output: &mut FrameMut<'_, S>,
        memory: &mut PictureMemory<S>,
        work: &mut Work,
    ) -> Result<()> {
        let whole = Rect::whole(input.size());
        if plan.epoch.is_none() {
            return self.run_general(input, &plan.general, work, |drawn| {
                fuse::write_tile(output, whole, None, drawn)
            });
        }
        let mut picture = memory.store.picture(output.size())?;
        self.run_general(input, &plan.general, work, |drawn| {
            fuse::write_tile(&mut picture, whole, Some(output), drawn)
        })?;
        let start = Instant::now();
        for stretch in plan.still.stretches() {
            fuse::copy(&picture.as_frame(), stretch, output);
        }
        work.fuse += start.elapsed();
        Ok(())
    }

    /// The faces, over the general picture.
    fn draw_faces<S: Sample>(
        &mut self,
        plan: &Plan,
        input: &Frame<'_, S>,
        output: &mut FrameMut<'_, S>,
        memory: &mut PictureMemory<S>,
        work: &mut Work,
    ) -> Result<()> {
        let fresh: Vec<usize> = plan
            .parts
            .iter()
            .filter(|part| part.fresh)
            .map(|part| part.place)
            .collect();
        let store = &mut memory.store;
        self.run_face(input, &plan.face, work, |index, drawn| {
            let region = fresh.get(index).map(|place| store.region(*place));
            match region {
                Some(Ok((rect, mut region))) => fuse::write_tile(&mut region, rect, None, drawn),
                // No part asked for it.
                _ => true,
            }
        })?;
        let start = Instant::now();
        for part in &plan.parts {
            let (rect, region) = store.region(part.place)?;
            let (region, scratch) = (region.as_frame(), &mut self.fuse);
            fuse::blend(output, &region, rect, part.support, &plan.mask, scratch);
            work.face_pixels += part.support.scaled(SCALE).size().area() as u64;
        }
        work.fuse += start.elapsed();
        Ok(())
    }

    /// Runs the general generator and hands each tile to `draw`.
    fn run_general<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        runs: &[Run],
        work: &mut Work,
        mut draw: impl FnMut(&DrawnTile<'_>) -> bool,
    ) -> Result<()> {
        let start = Instant::now();
        let mut writing = Duration::ZERO;
        run_all(
            self.general.as_mut(),
            input,
            runs,
            &mut self.tiles,
            &self.canceller,
            |pixels, time| work.runs.push((GeneratorRole::General, pixels, time)),
            |_, drawn| {
                let start = Instant::now();
                let finite = draw(drawn);
                writing += start.elapsed();
                finite
            },
        )?;
        work.general += start.elapsed().saturating_sub(writing);
        work.fuse += writing;
        Ok(())
    }

    /// Runs the face generator and hands each tile, with its index, to `draw`.
    fn run_face<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        runs: &[Run],
        work: &mut Work,
        draw: impl FnMut(usize, &DrawnTile<'_>) -> bool,
    ) -> Result<()> {
        let Some(face) = &mut self.face else {
            return Ok(());
        };
        let start = Instant::now();
        run_all(
            face.as_mut(),
            input,
            runs,
            &mut self.tiles,
            &self.canceller,
            |pixels, time| work.runs.push((GeneratorRole::Face, pixels, time)),
            draw,
        )?;
        work.face += start.elapsed();
        Ok(())
    }
}

/// The outcome of drawing that did not end well, where that is no error: memory did not suffice for one of `runs`.
fn unfinished(result: Result<()>, role: GeneratorRole, runs: &[Run]) -> Result<Option<Outcome>> {
    match result {
        Ok(()) => Ok(None),
        Err(error @ Error::OutOfMemory { .. }) => Ok(Some(Outcome::OutOfMemory {
            role,
            pixels: runs.iter().map(Run::pixels).max().unwrap_or(0),
            error,
        })),
        Err(error) => Err(error),
    }
}

/// The bicubic picture in `area`, input pixels.
fn draw_bicubic<S: Sample>(
    input: &Frame<'_, S>,
    area: Rect,
    output: &mut FrameMut<'_, S>,
    memory: &mut PictureMemory<S>,
    work: &mut Work,
) -> Result<()> {
    if area.is_empty() {
        return Ok(());
    }
    let start = Instant::now();
    let scaled = memory
        .resampler
        .resize(input, output.size(), Kernel::Bicubic)?;
    fuse::copy(&scaled, area, output);
    work.fuse += start.elapsed();
    Ok(())
}
