//! The part of the flow that draws what [`crate::flow::decide`] has decided: runs the generators, fuses their pictures and keeps them for
//! the frames to come.

use std::time::{Duration, Instant};

use super::faces::FaceLayer;
use super::fuse;
use super::generator::Generator;
use super::pass::{Drawn, Pass, TileLimits, run_areas};
use super::transfer::Transfer;
use crate::SCALE;
use crate::cancel::Canceller;
use crate::error::Result;
use crate::flow::Stats;
use crate::flow::decide::{Costs, Job, take_memory};
use crate::models;
use crate::notice::Notice;
use crate::picture::Rect;
use crate::picture::resample::{Kernel, Resampler};
use crate::picture::{Frame, FrameMut, Sample, Size};
use crate::settings::Provider;
use crate::settings::View;

/// What is kept of frames with samples `S`.
struct PerSample<S: Sample> {
    resampler: Resampler<S>,
    /// The general generator's picture, packed rows, output size.
    picture: Vec<S>,
}

impl<S: Sample> Default for PerSample<S> {
    fn default() -> Self {
        Self {
            resampler: Resampler::default(),
            picture: Vec::new(),
        }
    }
}

/// What was learnt from the generators: providers changed over to, each with the role of its model, and what a user should be told.
#[derive(Debug, Default)]
pub struct News {
    /// Better providers that are in use from now on.
    pub adopted: Vec<(&'static str, Provider)>,
    /// As [`Generator::take_notices`].
    pub notices: Vec<Notice>,
    /// How pictures get to those generators of which there is something to tell, and back.
    pub transfers: Vec<(&'static str, Transfer)>,
}

/// Draws one frame after the other.
pub struct Drawer {
    general: Box<dyn Generator>,
    face: Option<Box<dyn Generator>>,
    general_pass: Pass,
    face_pass: Pass,
    canceller: Canceller,
    layer: FaceLayer,
    tensor: Vec<f32>,
    fuse: fuse::Scratch,
    /// A `PerSample` of the sample type in use.
    memory: Box<dyn std::any::Any + Send>,
    /// Whether what is kept is what the decisions count on.
    trusted: bool,
}

impl Drawer {
    /// Nothing is kept yet. Work ends early once `canceller` says so.
    pub fn new(
        general: Box<dyn Generator>,
        face: Option<Box<dyn Generator>>,
        limits: TileLimits,
        overlap: Option<usize>,
        canceller: Canceller,
    ) -> Self {
        Self {
            general,
            face,
            general_pass: Pass::new(limits, overlap),
            face_pass: Pass::new(limits, overlap),
            canceller,
            layer: FaceLayer::default(),
            tensor: Vec::new(),
            fuse: fuse::Scratch::default(),
            memory: Box::new(()),
            trusted: true,
        }
    }

    /// What the generators cost, as far as has been learnt.
    pub fn costs(&self) -> Costs {
        Costs {
            general: self.general_pass.cost(self.general.as_ref()),
            face_context: self
                .face
                .as_ref()
                .map(|face| self.face_pass.cost(face.as_ref()).context),
        }
    }

    /// Takes better providers into use that have become ready; to be called between frames. After a change nothing that is kept
    /// is used until a job draws everything anew: another provider rounds otherwise, which must not show as a seam.
    pub fn adopt_better(&mut self) -> News {
        let mut news = News::default();
        let generators = [Some(&mut self.general), self.face.as_mut()];
        for (network, role) in generators.into_iter().zip([models::GENERAL, models::FACE]) {
            let Some(network) = network else { continue };
            news.adopted
                .extend(network.adopt_better().map(|provider| (role, provider)));
            let notices = network.take_notices();
            if !notices.is_empty() {
                news.transfers.push((role, network.transfer()));
            }
            news.notices.extend(notices);
        }
        self.trusted &= news.adopted.is_empty();
        news
    }

    /// generate -> fuse: draws `job` of `input` into `output`. Where it counts on something that is not there, because an earlier
    /// job failed, everything is drawn anew.
    ///
    /// # Errors
    /// [`crate::Error::Cancelled`] and the generators'; the output is then undefined.
    pub fn draw<S: Sample>(
        &mut self,
        job: &mut Job,
        input: &Frame<'_, S>,
        output: &mut FrameMut<'_, S>,
        stats: &mut Stats,
    ) -> Result<()> {
        self.canceller.check()?;
        // Until it is done: what a failure, or a panic, leaves behind is in no known state.
        let trusted = std::mem::take(&mut self.trusted);
        if !trusted && !job.fresh {
            job.renew(input.size(), self.general_pass.cost(self.general.as_ref()));
        }
        let mut memory = take_memory::<PerSample<S>>(&mut self.memory);
        let result = self.draw_view(job, input, output, &mut memory, stats);
        self.memory = memory;
        self.trusted = result.is_ok() && (trusted || job.fresh);
        result
    }

    fn draw_view<S: Sample>(
        &mut self,
        job: &Job,
        input: &Frame<'_, S>,
        output: &mut FrameMut<'_, S>,
        memory: &mut PerSample<S>,
        stats: &mut Stats,
    ) -> Result<()> {
        let whole = Rect::whole(input.size());
        if !job.area.is_empty() {
            // First: it is drawn in whole cells, which may reach out of its area.
            self.draw_general(job, input, output, memory, stats)?;
            self.draw_faces(job, input, output, stats)?;
        }
        match job.view {
            View::Fused | View::General => Ok(()),
            View::Face if !job.area.is_empty() => Ok(()),
            View::Face => self.run_face(input, &[whole], stats, |_, drawn| {
                fuse::write_tile(output, None, drawn)
            }),
            View::Mask => {
                fuse::write_mask(output, whole, &job.mask, &mut self.fuse);
                Ok(())
            }
            View::Bicubic => draw_bicubic(input, whole, output, memory, stats),
            View::Split => {
                let left = Rect {
                    width: job.area.x,
                    ..whole
                };
                draw_bicubic(input, left, output, memory, stats)?;
                for y in 0..output.size().height {
                    let column = (left.width * SCALE * 3).min(output.size().width * 3 - 3);
                    output.row_mut(y)[column..column + 3].fill(S::from_f32(S::MAX));
                }
                Ok(())
            }
        }
    }

    /// The general picture, what holds of it taken from what is kept.
    fn draw_general<S: Sample>(
        &mut self,
        job: &Job,
        input: &Frame<'_, S>,
        output: &mut FrameMut<'_, S>,
        memory: &mut PerSample<S>,
        stats: &mut Stats,
    ) -> Result<()> {
        if !job.keeps {
            // Nothing is kept: neither is its memory.
            memory.picture = Vec::new();
            return self.run_general(input, &job.areas, output, None, stats);
        }
        let mut picture = picture(&mut memory.picture, output.size())?;
        self.run_general(input, &job.areas, &mut picture, Some(output), stats)?;
        let start = Instant::now();
        for stretch in job.still.stretches() {
            fuse::copy(&picture.as_frame(), stretch, output);
        }
        stats.fuse += start.elapsed();
        Ok(())
    }

    /// The faces, over the general picture.
    fn draw_faces<S: Sample>(
        &mut self,
        job: &Job,
        input: &Frame<'_, S>,
        output: &mut FrameMut<'_, S>,
        stats: &mut Stats,
    ) -> Result<()> {
        if job.parts.is_empty() {
            return Ok(());
        }
        // Apart, so that both can be borrowed.
        let mut layer = std::mem::take(&mut self.layer);
        let areas = layer.begin(&job.parts).to_vec();
        let result = self.run_face(input, &areas, stats, |area, drawn| layer.draw(area, drawn));
        self.layer = layer;
        result?;
        let start = Instant::now();
        for (index, part) in job.parts.iter().enumerate() {
            let (support, scratch) = (part.support, &mut self.fuse);
            fuse::blend(output, &self.layer, index, support, &job.mask, scratch);
            stats.face_pixels += support.scaled(SCALE).size().area() as u64;
        }
        stats.fuse += start.elapsed();
        Ok(())
    }

    /// Runs the general generator over `areas` and writes them into `picture` and into `second`, if there is one.
    fn run_general<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        areas: &[Rect],
        picture: &mut FrameMut<'_, S>,
        mut second: Option<&mut FrameMut<'_, S>>,
        stats: &mut Stats,
    ) -> Result<()> {
        let start = Instant::now();
        let mut writing = Duration::ZERO;
        let work = run_areas(
            self.general.as_mut(),
            &mut self.general_pass,
            input,
            areas,
            &mut self.tensor,
            &self.canceller,
            |_, drawn| {
                let start = Instant::now();
                let finite = fuse::write_tile(picture, second.as_deref_mut(), drawn);
                writing += start.elapsed();
                finite
            },
        )?;
        stats.runs += work.runs;
        stats.pixels_run += work.pixels;
        stats.general += start.elapsed().saturating_sub(writing);
        stats.fuse += writing;
        Ok(())
    }

    /// Runs the face generator over `areas` and hands each tile, with the index of its area, to `draw`.
    fn run_face<S: Sample>(
        &mut self,
        input: &Frame<'_, S>,
        areas: &[Rect],
        stats: &mut Stats,
        draw: impl FnMut(usize, &Drawn<'_>) -> bool,
    ) -> Result<()> {
        let Some(face) = &mut self.face else {
            return Ok(());
        };
        let start = Instant::now();
        let work = run_areas(
            face.as_mut(),
            &mut self.face_pass,
            input,
            areas,
            &mut self.tensor,
            &self.canceller,
            draw,
        )?;
        stats.runs += work.runs;
        stats.face_pixels_run += work.pixels;
        stats.face += start.elapsed();
        Ok(())
    }
}

/// The picture in `memory`, of `size` output pixels.
fn picture<S: Sample>(memory: &mut Vec<S>, size: Size) -> Result<FrameMut<'_, S>> {
    // A picture of another size holds nothing that is counted on.
    memory.resize(3 * size.area(), S::from_f32(0.0));
    FrameMut::new(memory, size, size.width * 3)
}

/// The bicubic picture in `area`, input pixels.
fn draw_bicubic<S: Sample>(
    input: &Frame<'_, S>,
    area: Rect,
    output: &mut FrameMut<'_, S>,
    memory: &mut PerSample<S>,
    stats: &mut Stats,
) -> Result<()> {
    if area.is_empty() {
        return Ok(());
    }
    let start = Instant::now();
    let scaled = memory
        .resampler
        .resize(input, output.size(), Kernel::Bicubic)?;
    fuse::copy(&scaled, area, output);
    stats.fuse += start.elapsed();
    Ok(())
}
