//! Draws what was planned: runs the generators, fuses their pictures and keeps them for the frames to come. Plans nothing.

use std::time::{Duration, Instant};

use super::buffers::RowBuffers;
use super::compare::Comparer;
use super::file::NetworkFile;
use super::generator::{Generator, GeneratorRole};
use super::halftone;
use super::identity::Embedder;
use super::pass::{DrawnTile, TileMemory, run_all};
use super::transfer::Transfer;
use super::{colours, fuse, write};
use crate::SCALE;
use crate::cancel::Canceller;
use crate::error::{Error, Result};
use crate::follow::guard::Likeness;
use crate::keep::regions::Part;
use crate::keep::store::Store;
use crate::mask::OPAQUE;
use crate::notice::Notice;
use crate::picture::{Format, Frame, FrameMut, Rect};
use crate::plan::Plan;
use crate::plan::cost::Traits;
use crate::plan::runs::Run;
use crate::plan::tiles::Tile;
use crate::settings::{MAX_KINDS, Provider, View};

/// What drawing took, for counters and for what runs are thought to cost. Times and pixels are sums.
#[derive(Debug, Clone, Default)]
pub struct Work {
    /// Input pixels and time of each run.
    pub runs: Vec<(GeneratorRole, usize, Duration)>,
    /// Output pixels that each kind's expert's picture was fused into.
    pub expert_pixels: [u64; MAX_KINDS],
    /// Time in the general and the fast generator, in each kind's expert, and fusing and writing samples.
    pub general: Duration,
    /// See `general`.
    pub experts: [Duration; MAX_KINDS],
    /// See `general`.
    pub fuse: Duration,
    /// How like the input's faces are that were drawn, as far as they were compared.
    pub likenesses: Vec<Likeness>,
    /// Runs of the network that compares them, and their time.
    pub embeddings: u64,
    /// See `embeddings`.
    pub identity: Duration,
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
    /// The file that it runs, where that is another.
    pub file: Option<NetworkFile>,
}

/// Most threads that write a tile: memory is no faster for more.
const MAX_WRITERS: usize = 4;

/// Draws one frame after the other.
pub struct Drawer {
    general: Box<dyn Generator>,
    fast: Option<Box<dyn Generator>>,
    /// Of each kind, where it has one.
    experts: Vec<Option<Box<dyn Generator>>>,
    comparer: Option<Comparer>,
    canceller: Canceller,
    tiles: TileMemory,
    scratch: RowBuffers,
    store: Store,
    /// Whether what is kept is of a provider that is no longer used.
    outdated: bool,
}

/// What `generator` says of itself.
pub fn traits(generator: &dyn Generator) -> Traits {
    Traits {
        name: generator.name().to_owned(),
        radius: generator.radius(),
        near_radius: generator.near_radius(),
        stride: generator.stride(),
        load: generator.load(),
        fixed_tile: generator.fixed_tile(),
        channels: generator.encoding().channels,
    }
}

impl Drawer {
    /// Nothing is kept yet. Work ends early once `canceller` says so.
    pub fn new(
        general: Box<dyn Generator>,
        fast: Option<Box<dyn Generator>>,
        experts: Vec<Option<Box<dyn Generator>>>,
        embedder: Option<Box<dyn Embedder>>,
        canceller: Canceller,
    ) -> Self {
        Self {
            general,
            fast,
            experts,
            comparer: embedder.map(Comparer::new),
            canceller,
            tiles: TileMemory::default(),
            scratch: RowBuffers::for_threads(1),
            store: Store::default(),
            outdated: false,
        }
    }

    /// Has large tiles written by so many threads, one at least, at the same time.
    pub fn set_threads(&mut self, threads: usize) {
        let count = threads.clamp(1, MAX_WRITERS);
        self.scratch = RowBuffers::for_threads(count);
    }

    /// Takes better providers and other files into use that have become ready; to be called between frames. After a change nothing that is kept
    /// is used until a plan draws everything anew: another provider rounds otherwise, which must not show as a seam.
    pub fn adopt_better(&mut self) -> Vec<Update> {
        if let Some(comparer) = &mut self.comparer {
            comparer.embedder.adopt_better();
        }
        let mut updates = Vec::new();
        let experts = self.experts.iter_mut().enumerate();
        let experts = experts.filter_map(|(kind, expert)| {
            expert
                .as_mut()
                .map(|expert| (GeneratorRole::Expert(kind), expert))
        });
        let fast = self.fast.as_mut().map(|fast| (GeneratorRole::Fast, fast));
        let general = std::iter::once((GeneratorRole::General, &mut self.general));
        for (role, generator) in general.chain(fast).chain(experts) {
            let provider = generator.adopt_better();
            let (notices, file) = (generator.take_notices(), generator.take_file());
            self.outdated |= provider.is_some();
            if provider.is_some() || !notices.is_empty() {
                updates.push(Update {
                    role,
                    adopted: provider.map(|provider| (provider, traits(generator.as_ref()))),
                    refused: generator.refused().to_vec(),
                    notices,
                    transfer: generator.transfer(),
                    file,
                });
            }
        }
        updates
    }

    /// Draws `plan` of `input` into `output`, unless it repeats the frame before, and notes in `work` what that took.
    ///
    /// # Errors
    /// [`Error::Cancelled`] and the generators'; the output is then undefined, and so is it after an outcome that is not
    /// [`Outcome::Complete`].
    pub fn draw(
        &mut self,
        plan: &Plan,
        input: &Frame<'_>,
        output: &mut FrameMut<'_>,
        work: &mut Work,
    ) -> Result<Outcome> {
        self.canceller.check()?;
        if std::mem::take(&mut self.outdated) {
            self.store.forget();
        }
        let others = self
            .fast
            .iter_mut()
            .chain(self.experts.iter_mut().flatten());
        for generator in std::iter::once(&mut self.general).chain(others) {
            generator.set_due(plan.due);
        }
        let (format, size) = (*output.format(), output.size());
        // Until it is done: what a failure, or a panic, leaves behind is in no known state.
        if !self.store.begin(plan.epoch, &plan.parts, format, size)? {
            return Ok(Outcome::Stale);
        }
        if plan.repeats {
            // What it would be drawn from is here: whoever has the frame before has this one.
            self.store.end(plan.epoch);
            return Ok(Outcome::Complete);
        }
        let steady = plan
            .is_steady
            .then(|| plan.steady.view(*input.format(), input.size()))
            .transpose()?;
        let seen = steady.as_ref().unwrap_or(input);
        let mut store = std::mem::take(&mut self.store);
        let drawn = self.draw_view(plan, (input, seen), output, &mut store, work);
        if matches!(drawn, Ok(Outcome::Complete)) {
            store.end(plan.epoch);
        }
        self.store = store;
        drawn
    }

    /// Networks draw what is `seen`; what shows the input itself, interpolated, shows `input`.
    fn draw_view(
        &mut self,
        plan: &Plan,
        (input, seen): (&Frame<'_>, &Frame<'_>),
        output: &mut FrameMut<'_>,
        store: &mut Store,
        work: &mut Work,
    ) -> Result<Outcome> {
        let whole = Rect::whole(input.size());
        if !plan.area.is_empty() {
            self.keep_before(plan, store)?;
            // First: it is drawn in whole cells, which may reach out of its area.
            let general = self.draw_general(plan, seen, output, store, work);
            if let Some(outcome) = unfinished(general, GeneratorRole::General, &plan.general)? {
                return Ok(outcome);
            }
            let fast = self.draw_fast(plan, seen, output, store, work);
            if let Some(outcome) = unfinished(fast, GeneratorRole::Fast, &plan.fast)? {
                return Ok(outcome);
            }
            self.blend_raised(plan, output, store, work)?;
            for (kind, runs) in plan.experts.iter().enumerate() {
                let drawn = self.draw_objects(kind, plan, seen, output.format(), store, work);
                if let Some(outcome) = unfinished(drawn, GeneratorRole::Expert(kind), runs)? {
                    return Ok(outcome);
                }
            }
            self.fuse_objects(plan, output, store, work)?;
            self.compare_faces(plan, input, output, store, work)?;
        }
        match plan.view {
            View::Fused | View::General => {}
            View::Face if !plan.area.is_empty() => {}
            View::Face => {
                let (format, kind) = (*output.format(), plan.faces.unwrap_or_default());
                let runs = plan.experts.get(kind).map_or(&[][..], Vec::as_slice);
                let shown =
                    self.run_expert(kind, seen, &format, runs, work, |_, drawn, scratch| {
                        Ok(write::write_tile(output, whole, None, drawn, seen, scratch))
                    });
                if let Some(outcome) = unfinished(shown, GeneratorRole::Expert(kind), runs)? {
                    return Ok(outcome);
                }
            }
            View::Mask if plan.objects.len() > 1 => {
                colours::write_masks(output, input, plan, &mut self.scratch.write)?;
            }
            View::Mask => fuse::write_mask(output, whole, &plan.mask, &mut self.scratch.fuse),
            View::Bicubic => self.draw_bicubic(input, whole, output, work),
            View::Split => {
                let left = Rect {
                    width: plan.area.x,
                    ..whole
                };
                self.draw_bicubic(input, left, output, work);
                let last = output.size().width - SCALE;
                let line = (left.width * SCALE).min(last);
                fuse::write_line(output, line, &mut self.scratch.fuse);
            }
        }
        Ok(Outcome::Complete)
    }

    /// The general picture, what holds of it taken from what is kept.
    fn draw_general(
        &mut self,
        plan: &Plan,
        input: &Frame<'_>,
        output: &mut FrameMut<'_>,
        store: &mut Store,
        work: &mut Work,
    ) -> Result<()> {
        let (role, format) = (GeneratorRole::General, *output.format());
        if plan.epoch.is_none() {
            self.run_general(
                role,
                input,
                &format,
                &plan.general,
                work,
                |drawn, scratch| scratch.write_general(output, None, drawn, input),
            )?;
            let start = Instant::now();
            let cells = (&plan.interpolated, &plan.still);
            self.scratch.interpolate(output, None, cells, input);
            work.fuse += start.elapsed();
            return Ok(());
        }
        let mut picture = store.picture()?;
        self.run_general(
            role,
            input,
            &format,
            &plan.general,
            work,
            |drawn, scratch| scratch.write_general(&mut picture, Some(output), drawn, input),
        )?;
        let start = Instant::now();
        let cells = (&plan.interpolated, &plan.still);
        self.scratch
            .interpolate(&mut picture, Some(output), cells, input);
        work.fuse += start.elapsed();
        Ok(())
    }

    /// What the fast generator draws of the general picture: of its tiles no more than the cells that are its own, as around them lies
    /// what is better.
    fn draw_fast(
        &mut self,
        plan: &Plan,
        input: &Frame<'_>,
        output: &mut FrameMut<'_>,
        store: &mut Store,
        work: &mut Work,
    ) -> Result<()> {
        if plan.fast.is_empty() {
            return Ok(());
        }
        let format = *output.format();
        let mut kept = plan.epoch.map(|_| store.picture()).transpose()?;
        let fast = GeneratorRole::Fast;
        self.run_general(fast, input, &format, &plan.fast, work, |drawn, scratch| {
            let mut finite = true;
            for core in plan.fast_cells.stretches_in(drawn.tile.core) {
                let tile = Tile { core, ..drawn.tile };
                let part = DrawnTile { tile, ..*drawn };
                finite &= match &mut kept {
                    Some(picture) => scratch.write_general(picture, Some(output), &part, input)?,
                    None => scratch.write_general(output, None, &part, input)?,
                };
            }
            Ok(finite)
        })
    }

    /// Keeps what is drawn by more than before as it was.
    fn keep_before(&mut self, plan: &Plan, store: &mut Store) -> Result<()> {
        if plan.epoch.is_none() || plan.raised.count() == 0 {
            return Ok(());
        }
        let (picture, mut before) = store.picture_and_before()?;
        for stretch in plan.raised.stretches() {
            fuse::copy(&picture.as_frame(), stretch, &mut before);
        }
        Ok(())
    }

    /// Shows what is drawn by more than before half as it was: a change of sharpness takes two frames. The picture that is kept is the new one.
    fn blend_raised(
        &mut self,
        plan: &Plan,
        output: &mut FrameMut<'_>,
        store: &mut Store,
        work: &mut Work,
    ) -> Result<()> {
        if plan.epoch.is_none() || plan.raised.count() == 0 {
            return Ok(());
        }
        let start = Instant::now();
        let (picture, before) = store.picture_and_before()?;
        let (picture, before) = (picture.as_frame(), before.as_frame());
        for stretch in plan.raised.stretches() {
            fuse::mean(&before, &picture, stretch, output, &mut self.scratch.fuse);
        }
        work.fuse += start.elapsed();
        Ok(())
    }

    /// The objects of a kind, each in a region of its expert's picture.
    fn draw_objects(
        &mut self,
        kind: usize,
        plan: &Plan,
        input: &Frame<'_>,
        to: &Format,
        store: &mut Store,
        work: &mut Work,
    ) -> Result<()> {
        let fresh: Vec<usize> = plan
            .parts
            .iter()
            .filter(|part| part.fresh && part.kind == kind)
            .map(|part| part.place)
            .collect();
        self.run_expert(
            kind,
            input,
            to,
            &plan.experts[kind],
            work,
            |index, drawn, scratch| {
                let region = fresh.get(index).map(|place| store.region(*place));
                match region {
                    Some(Ok((rect, mut region))) => Ok(write::write_tile(
                        &mut region,
                        rect,
                        None,
                        drawn,
                        input,
                        scratch,
                    )),
                    // No part asked for it.
                    _ => Ok(true),
                }
            },
        )
    }

    /// The regions of the experts' pictures, over the general one.
    fn fuse_objects(
        &mut self,
        plan: &Plan,
        output: &mut FrameMut<'_>,
        store: &mut Store,
        work: &mut Work,
    ) -> Result<()> {
        let start = Instant::now();
        let (mask, kinds) = (&plan.mask, plan.experts.len());
        for part in &plan.parts {
            let (rect, region) = store.region(part.place)?;
            let (region, scratch) = (region.as_frame(), &mut self.scratch.fuse);
            let (kind, support) = (part.kind, part.support);
            let weights = |x, y, w: &mut [f32]| mask.row_of(kind..kind + 1, x, y, w);
            if kinds > 1 && mask.has_rivals(kind, support) {
                let rivals = |x, y, [before, after]: [&mut [f32]; 2]| {
                    mask.row_of(0..kind, x, y, before);
                    mask.row_of(kind + 1..kinds, x, y, after);
                };
                let among = (weights, rivals);
                fuse::blend_among(output, &region, rect, support, among, scratch);
            } else {
                fuse::blend(output, &region, rect, support, weights, scratch);
            }
            work.expert_pixels[kind] += support.scaled(SCALE).size().area() as u64;
        }
        work.fuse += start.elapsed();
        Ok(())
    }

    /// Compares the faces that are to be compared with the input's.
    fn compare_faces(
        &mut self,
        plan: &Plan,
        input: &Frame<'_>,
        output: &FrameMut<'_>,
        store: &mut Store,
        work: &mut Work,
    ) -> Result<()> {
        let Some(comparer) = self.comparer.as_mut().filter(|_| !plan.compared.is_empty()) else {
            return Ok(());
        };
        let start = Instant::now();
        for face in plan
            .compared
            .iter()
            .filter_map(|place| plan.faces().get(*place))
        {
            self.canceller.check()?;
            let (x, y) = face.bbox.centre();
            let inside = |part: &&Part| {
                let centre = Rect {
                    x: x.max(0.0) as usize,
                    y: y.max(0.0) as usize,
                    width: 1,
                    height: 1,
                };
                Some(part.kind) == plan.faces && part.support.contains(centre)
            };
            let Some(part) = plan.parts.iter().find(inside) else {
                continue;
            };
            let (rect, region) = store.region(part.place)?;
            let rect = rect.scaled(SCALE);
            // Where the expert's picture is taken alone, it is what is shown.
            let shown = (face.weight < OPAQUE).then(|| output.as_frame());
            let region = (&region.as_frame(), (rect.x, rect.y));
            let found =
                comparer.compare(face, input, region, shown.as_ref(), &mut work.embeddings)?;
            work.likenesses.extend(found);
        }
        work.identity += start.elapsed();
        Ok(())
    }

    /// Runs the general generator, or the fast one in its place, and hands each tile to `draw`, for an output of format `to`.
    fn run_general(
        &mut self,
        role: GeneratorRole,
        input: &Frame<'_>,
        to: &Format,
        runs: &[Run],
        work: &mut Work,
        mut draw: impl FnMut(&DrawnTile<'_>, &mut RowBuffers) -> Result<bool>,
    ) -> Result<()> {
        let generator = match role {
            GeneratorRole::Fast => self.fast.as_mut(),
            GeneratorRole::General | GeneratorRole::Expert(_) => Some(&mut self.general),
        };
        let Some(generator) = generator else {
            return Ok(());
        };
        let start = Instant::now();
        let mut writing = Duration::ZERO;
        let scratch = &mut self.scratch;
        scratch.looks_for_dots = generator.radius() >= halftone::REACH;
        run_all(
            generator.as_mut(),
            input,
            bytes_suffice(input, to),
            runs,
            &mut self.tiles,
            &self.canceller,
            |pixels, time| work.runs.push((role, pixels, time)),
            |_, drawn| {
                let start = Instant::now();
                let finite = draw(drawn, scratch);
                writing += start.elapsed();
                finite
            },
        )?;
        work.general += start.elapsed().saturating_sub(writing);
        work.fuse += writing;
        Ok(())
    }

    /// Runs the expert of a kind and hands each tile, with its index, to `draw`, for an output of format `to`.
    fn run_expert(
        &mut self,
        kind: usize,
        input: &Frame<'_>,
        to: &Format,
        runs: &[Run],
        work: &mut Work,
        mut draw: impl FnMut(usize, &DrawnTile<'_>, &mut write::WriteRows) -> Result<bool>,
    ) -> Result<()> {
        let Some(Some(expert)) = self.experts.get_mut(kind) else {
            return Ok(());
        };
        let start = Instant::now();
        let scratch = &mut self.scratch.write;
        run_all(
            expert.as_mut(),
            input,
            bytes_suffice(input, to),
            runs,
            &mut self.tiles,
            &self.canceller,
            |pixels, time| work.runs.push((GeneratorRole::Expert(kind), pixels, time)),
            |index, drawn| draw(index, drawn, scratch),
        )?;
        work.experts[kind] += start.elapsed();
        Ok(())
    }

    /// The bicubic picture in `area`, input pixels.
    fn draw_bicubic(
        &mut self,
        input: &Frame<'_>,
        area: Rect,
        output: &mut FrameMut<'_>,
        work: &mut Work,
    ) {
        if area.is_empty() {
            return;
        }
        let start = Instant::now();
        write::write_bicubic(input, area, output, &mut self.scratch.write);
        work.fuse += start.elapsed();
    }
}

/// Whether pictures may go to a network and come back in 8 bits: neither side has more.
fn bytes_suffice(input: &Frame<'_>, to: &Format) -> bool {
    input.format().layout().depth().max(to.layout().depth()) <= 8
}

/// The outcome of drawing that did not end well, where that is no error: memory did not suffice for one of `runs`.
fn unfinished(result: Result<()>, role: GeneratorRole, runs: &[Run]) -> Result<Option<Outcome>> {
    match result {
        Ok(()) => Ok(None),
        Err(error @ (Error::OutOfMemory { .. } | Error::Memory { .. })) => {
            Ok(Some(Outcome::OutOfMemory {
                role,
                pixels: runs.iter().map(Run::pixels).max().unwrap_or(0),
                error,
            }))
        }
        Err(error) => Err(error),
    }
}
