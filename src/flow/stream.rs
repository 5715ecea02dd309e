//! Everything of an upscaler but the drawing: decides, knows what runs where and what it costs, and keeps count.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::decide::{Decider, FrameInfo, GivenDetection};
use super::detail::DetailControl;
use super::neighbours::{self, Neighbour};
use super::report::{ModelReport, Recorded};
use super::stats::Stats;
use crate::SCALE;
use crate::cancel::Canceller;
use crate::draw::GeneratorRole;
use crate::draw::drawer::{Outcome, Update, Work};
use crate::error::{Error, Result};
use crate::notice::Notice;
use crate::origin::Origins;
use crate::picture::{Format, Frame, Size};
use crate::plan::budget::{Budget, seconds};
use crate::plan::cost::{Profiler, USUAL_SECONDS};
use crate::plan::estimate::Estimate;
use crate::plan::{Plan, Profiles};
use crate::settings::{
    FAST, GENERAL, MAX_KINDS, ObjectKind, Provider, detector_role, generator_role,
};

/// Share of a frame's time that is planned with: the rest is for what no estimate knows.
const USABLE: f64 = 0.70;

/// Seconds that drawing takes beside networks for a pixel of the output where nothing was measured yet: on two slow cores, in memory that is touched for
/// the first time.
const USUAL_WRITING: f64 = 2.5e-9;

/// One stream's state.
pub struct Stream {
    pub(super) decider: Decider,
    pub(super) canceller: Canceller,
    pub(super) stats: Stats,
    general: Profiler,
    fast: Option<Profiler>,
    /// Of each kind's expert, where it has one.
    experts: Vec<Option<Profiler>>,
    kinds: Arc<[ObjectKind]>,
    reports: Vec<ModelReport>,
    /// Whether nothing is learnt from how long runs take.
    pub(super) deterministic: bool,
    /// Seconds that drawing a frame takes beside its networks.
    writing: Estimate,
    /// Seconds that it takes to decide what is to be drawn.
    deciding: Estimate,
    /// Those of the process that draw frames by the same processors.
    neighbour: Neighbour,
    /// Where parts of frames come from, if somebody asks.
    pub(super) origins: Option<Origins>,
    /// What a user should be told.
    notices: Vec<Notice>,
    /// How much of the natural look generators have.
    pub(super) detail: DetailControl,
}

/// Whether `output` has the size that an `input` of this size has drawn.
pub fn check_sizes(input: Size, output: Size) -> Result<()> {
    let expected = input.scaled(SCALE);
    if output == expected {
        return Ok(());
    }
    Err(Error::Shape {
        what: "output frame".into(),
        expected: expected.to_string(),
        found: output.to_string(),
    })
}

/// Seconds that the networks of `plan` are thought to take, and those that they would take if nothing were left out for lack of time.
fn expected(plan: &Plan, profiles: &Profiles, budget: &Budget) -> (f64, f64) {
    let mut sum = seconds(&plan.general, &profiles.general, budget.general);
    if let Some(fast) = &profiles.fast {
        sum += seconds(&plan.fast, fast, budget.fast);
    }
    let experts = plan.experts.iter().zip(&profiles.experts);
    for ((runs, profile), per_pixel) in experts.zip(budget.experts) {
        if let Some(profile) = profile {
            sum += seconds(runs, profile, per_pixel);
        }
    }
    (sum, sum + budget.general_cells(plan.left_out))
}

impl Stream {
    /// A stream before its first frame.
    pub fn new(
        decider: Decider,
        general: Profiler,
        fast: Option<Profiler>,
        experts: Vec<Option<Profiler>>,
        canceller: Canceller,
        reports: Vec<ModelReport>,
    ) -> Self {
        Self {
            kinds: decider.kinds().cloned().collect(),
            decider,
            canceller,
            stats: Stats::default(),
            general,
            fast,
            experts,
            reports,
            deterministic: false,
            writing: Estimate::default(),
            deciding: Estimate::default(),
            neighbour: neighbours::PROCESS.join(Instant::now()),
            origins: None,
            notices: Vec::new(),
            detail: DetailControl::default(),
        }
    }

    /// What runs where.
    pub fn models(&self) -> &[ModelReport] {
        &self.reports
    }

    /// The kinds of objects.
    pub fn kinds(&self) -> &Arc<[ObjectKind]> {
        &self.kinds
    }

    /// What happened since the last call that a user should be told.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Adds to what a user should be told.
    pub fn notify(&mut self, notices: Vec<Notice>) {
        self.notices.extend(notices);
    }

    /// As [`super::Upscaler::set_detail`].
    pub fn set_detail(&mut self, detail: f64) -> Result<()> {
        let told = self.detail.set(detail)?;
        self.notices.extend(told);
        Ok(())
    }

    fn profiles(&self, to: &Format) -> Profiles {
        let reuse = self.decider.parameters().reuse;
        Profiles {
            general: self.general.profile(to, reuse),
            fast: self.fast.as_ref().map(|fast| fast.profile(to, reuse)),
            experts: self
                .experts
                .iter()
                .map(|expert| Some(expert.as_ref()?.profile(to, reuse)))
                .collect(),
            faces: self.decider.faces_kind(),
        }
    }

    /// What may be reckoned with of the time for a frame of `size` pixels.
    fn budget(&self, time: Duration, size: Size) -> Budget {
        let general = self.general.seconds_per_pixel();
        // Until it has run: it is there because it takes less, how much less is known only then.
        let usual_fast = (general / 2.0).min(USUAL_SECONDS);
        let usual = USUAL_WRITING * size.scaled(SCALE).area() as f64;
        let mut experts = [0.0; MAX_KINDS];
        for (price, expert) in experts.iter_mut().zip(&self.experts) {
            *price = expert.as_ref().map_or(0.0, Profiler::seconds_per_pixel);
        }
        Budget {
            seconds: time.as_secs_f64() * USABLE,
            writing: self.writing.safe(usual),
            general,
            fast: self
                .fast
                .as_ref()
                .map_or(0.0, |fast| fast.seconds_per_pixel_or(usual_fast)),
            experts,
        }
    }

    fn profiler(&mut self, role: GeneratorRole) -> Option<&mut Profiler> {
        match role {
            GeneratorRole::General => Some(&mut self.general),
            GeneratorRole::Fast => self.fast.as_mut(),
            GeneratorRole::Expert(kind) => self.experts.get_mut(kind)?.as_mut(),
        }
    }

    /// What the models of a kind are for.
    fn role(&self, kind: usize, role: fn(&str) -> &'static str) -> &'static str {
        self.kinds.get(kind).map_or("", |kind| role(&kind.subject))
    }

    /// Decides on a frame whose output is of format `to`; see [`Decider::decide`].
    pub fn decide(
        &mut self,
        input: &Frame<'_>,
        (info, objects): (&FrameInfo<'_>, Option<&[GivenDetection]>),
        to: &Format,
        plan: &mut Plan,
    ) -> Result<()> {
        self.canceller.check()?;
        self.stats.frames_in += 1;
        for news in self.decider.adopt_better() {
            let role = self.role(news.kind, detector_role);
            if !news.notices.is_empty() {
                self.refuse(role, news.refused);
            }
            self.notices.extend(news.notices);
            if let Some(provider) = news.adopted {
                self.report(role, provider);
            }
        }
        let profiles = self.profiles(to);
        let now = Instant::now();
        let mut budget = info.budget.map(|time| self.budget(time, input.size()));
        let mut window = 0.0;
        if let Some(budget) = &mut budget {
            // What is done beside networks is done by streams side by side.
            let beside = budget.writing + self.deciding.safe(0.0);
            window = (budget.seconds - beside).max(0.0);
            budget.seconds -= window - self.neighbour.share(now, window);
        } else {
            self.neighbour.waits();
        }
        let stats = &mut self.stats;
        self.decider.decide(
            input,
            (info, objects),
            &profiles,
            budget.as_ref(),
            plan,
            stats,
        )?;
        if let Some(budget) = &budget {
            let told = expected(plan, &profiles, budget);
            self.neighbour.planned(now, plan.number, window, told);
        }
        let left_out = plan.interpolated.count() > 0;
        if plan.general.is_empty() && (left_out || plan.fast_cells.count() > 0) {
            self.general.relax();
        }
        if let Some(fast) = self
            .fast
            .as_mut()
            .filter(|_| left_out && plan.fast.is_empty())
        {
            fast.relax();
        }
        Ok(())
    }

    /// Takes in what is new of the generators.
    pub fn update(&mut self, updates: Vec<Update>) {
        for update in updates {
            let role = match update.role {
                GeneratorRole::General => GENERAL,
                GeneratorRole::Fast => FAST,
                GeneratorRole::Expert(kind) => self.role(kind, generator_role),
            };
            self.notices.extend(update.notices);
            self.refuse(role, update.refused);
            for report in self.reports.iter_mut().filter(|report| report.role == role) {
                report.transfer = update.transfer;
                if let Some(file) = &update.file {
                    report.name.clone_from(&file.name);
                    report.path.clone_from(&file.path);
                    report.origin.clone_from(&file.origin);
                }
            }
            if let Some((provider, traits)) = update.adopted {
                self.report(role, provider);
                self.decider.forget_drawn();
                if let Some(profiler) = self.profiler(update.role) {
                    profiler.renew(traits);
                }
            }
        }
    }

    /// Plans a frame of `size` pixels anew, whose output is of format `to` and whose plan could not be drawn, as `outcome` says.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] where nothing smaller is left to try, or the size of tiles is the user's.
    pub fn replan(
        &mut self,
        plan: &mut Plan,
        size: Size,
        to: &Format,
        outcome: Outcome,
    ) -> Result<()> {
        if let Outcome::OutOfMemory {
            role,
            pixels,
            error,
        } = outcome
        {
            let Some(profiler) = self.profiler(role) else {
                return Err(error);
            };
            let Some(area) = profiler.shrink(pixels) else {
                return Err(error);
            };
            let notice = Notice::worse(format!(
                "model {}: memory did not suffice for {pixels} pixels at once; tiles of at most {area} pixels are used from now on",
                profiler.name()
            ));
            self.notices.push(notice);
        }
        let profiles = self.profiles(to);
        self.decider.replan(size, &profiles, plan);
        Ok(())
    }

    /// Takes in what drawing `plan` took and found out.
    pub fn account(&mut self, plan: &Plan, work: &Work) {
        for likeness in &work.likenesses {
            self.decider.tell(plan.number, *likeness);
        }
        self.stats.embeddings += work.embeddings;
        self.stats.identity += work.identity;
        for (index, &(role, pixels, _)) in work.runs.iter().enumerate() {
            let is_first = work.runs[..index].iter().all(|run| run.0 != role);
            let learns = is_first && !self.deterministic;
            if let Some(profiler) = self.profiler(role).filter(|_| learns) {
                let of_role = work.runs[index..].iter().filter(|run| run.0 == role);
                profiler.observe(of_role.map(|(_, pixels, time)| (*pixels, *time)));
            }
            self.stats.runs += 1;
            match role {
                GeneratorRole::General => self.stats.pixels_run += pixels as u64,
                GeneratorRole::Fast => self.stats.fast_pixels_run += pixels as u64,
                GeneratorRole::Expert(kind) => self.stats.kinds[kind].pixels_run += pixels as u64,
            }
        }
        for (kind, sum) in self.stats.kinds.iter_mut().enumerate() {
            sum.pixels += work.expert_pixels[kind];
            sum.time += work.experts[kind];
        }
        self.note_faces();
        self.stats.general += work.general;
        self.stats.fuse += work.fuse;
    }

    /// Takes in the time of a whole frame, of which deciding took what `plan` says and networks what `work` does, and what it might have
    /// taken.
    pub fn time(&mut self, total: Duration, plan: &Plan, work: &Work, budget: Option<Duration>) {
        let networks: Duration = work.runs.iter().map(|(_, _, time)| *time).sum();
        let writing = total.saturating_sub(networks + work.identity + plan.decided);
        self.writing.observe(writing.as_secs_f64());
        self.deciding.observe(plan.decided.as_secs_f64());
        self.stats.deadline_missed += u64::from(budget.is_some_and(|budget| total > budget));
    }

    /// Takes in what became of the frame of `plan`: whether it succeeded, and the time for all of it.
    pub fn settle<T>(&mut self, plan: &Plan, result: &Result<T>, time: Duration) {
        self.neighbour.done(plan.number);
        if result.is_err() {
            self.decider.forget_drawn();
            return;
        }
        self.stats.frames_out += 1;
        for (sum, objects) in self.stats.kinds.iter_mut().zip(&plan.objects) {
            sum.objects = objects.len() as u64;
            sum.frames += u64::from(!objects.is_empty());
            self.stats.objects += objects.len() as u64;
        }
        self.note_faces();
        self.stats.last = time;
        self.stats.total += time;
    }

    /// Counts of faces, which have names of their own.
    fn note_faces(&mut self) {
        let stats = &mut self.stats;
        if let Some(faces) = self.decider.faces_kind().map(|kind| stats.kinds[kind]) {
            stats.faces = faces.objects;
            stats.frames_with_faces = faces.frames;
            stats.face_pixels_run = faces.pixels_run;
            stats.face_pixels = faces.pixels;
            stats.face = faces.time;
        }
    }

    /// What is told of the frame that was drawn as `plan` says, if anything is; to be called frame by frame, in order.
    pub fn recorded(&mut self, plan: &Plan) -> Option<Recorded> {
        let frame = self.origins.as_mut()?.note(plan);
        let models = self.reports.clone();
        Some(Recorded {
            frame,
            models,
            kinds: self.kinds.clone(),
        })
    }

    fn refuse(&mut self, role: &str, refused: Vec<(Provider, String)>) {
        for report in self.reports.iter_mut().filter(|report| report.role == role) {
            report.refused.clone_from(&refused);
        }
    }

    fn report(&mut self, role: &str, provider: Provider) {
        for report in self.reports.iter_mut().filter(|report| report.role == role) {
            report.refused.retain(|(refused, _)| *refused != provider);
            report.provider = provider;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::draw::{Generator, Transfer};
    use crate::find::{Detection, Detector, InputSpec};
    use crate::flow::Upscaler;
    use crate::flow::{Expert, NetworkSet};
    use crate::picture::{Encoding, FrameMut};
    use crate::plan::cost::TileSettings;
    use crate::settings::{DETECTOR, FACE, Reuse};
    use crate::testing::{Bicubic, FixedFaces};

    /// A network for which a better provider was tried in the background, in vain: known after the first frame.
    struct Disappointed<T> {
        inner: T,
        frames: usize,
        refused: Vec<(Provider, String)>,
    }

    impl<T> Disappointed<T> {
        fn new(inner: T) -> Self {
            Self {
                inner,
                frames: 0,
                refused: Vec::new(),
            }
        }

        fn news(&mut self) -> Vec<Notice> {
            self.frames += 1;
            if self.frames != 2 {
                return Vec::new();
            }
            self.refused = vec![(Provider::TensorRt, "no room".into())];
            vec![Notice::worse("stays where it is")]
        }
    }

    impl Generator for Disappointed<Bicubic> {
        fn name(&self) -> &str {
            "disappointed"
        }
        fn radius(&self) -> usize {
            self.inner.radius()
        }
        fn encoding(&self) -> Encoding {
            self.inner.encoding()
        }
        fn refused(&self) -> &[(Provider, String)] {
            &self.refused
        }
        fn take_notices(&mut self) -> Vec<Notice> {
            self.news()
        }
        fn run(
            &mut self,
            input: &[f32],
            count: usize,
            size: Size,
            take: &mut dyn FnMut(&[f32]) -> Result<()>,
        ) -> Result<Duration> {
            self.inner.run(input, count, size, take)
        }
    }

    impl Detector for Disappointed<FixedFaces> {
        fn name(&self) -> &str {
            "disappointed"
        }
        fn input(&self) -> InputSpec {
            self.inner.input()
        }
        fn refused(&self) -> &[(Provider, String)] {
            &self.refused
        }
        fn take_notices(&mut self) -> Vec<Notice> {
            self.news()
        }
        fn run(
            &mut self,
            input: &[f32],
            size: Size,
            floor: f32,
            found: &mut Vec<Detection>,
        ) -> Result<()> {
            self.inner.run(input, size, floor, found)
        }
    }

    #[test]
    fn what_became_of_a_better_provider_is_in_the_report_and_in_a_notice() {
        let report = |role| ModelReport {
            role,
            name: String::new(),
            path: "model.onnx".into(),
            provider: Provider::Cpu,
            refused: Vec::new(),
            receptive_radius: 0,
            transfer: Transfer::default(),
            origin: Default::default(),
        };
        let mut upscaler = Upscaler::assemble(
            NetworkSet {
                experts: vec![Expert {
                    kind: ObjectKind::faces(),
                    generator: Some(Box::new(Disappointed::new(Bicubic::new(0.1)))),
                    detector: Some(Box::new(Disappointed::new(FixedFaces::default()))),
                }],
                ..NetworkSet::of(Box::new(Disappointed::new(Bicubic::new(0.0))))
            },
            TileSettings::default(),
            Canceller::new(),
            [GENERAL, FACE, DETECTOR].map(report).to_vec(),
        )
        .unwrap();
        let size = Size::new(16, 12);
        let input = vec![90_u8; 3 * size.area()];
        let mut output = vec![0_u8; 48 * size.area()];
        for frame in 1..=3 {
            upscaler
                .process(
                    Frame::new(&input, size, 48).unwrap(),
                    &FrameInfo::default(),
                    &mut FrameMut::new(&mut output, size.scaled(SCALE), 192).unwrap(),
                )
                .unwrap();
            let notices = upscaler.take_notices();
            assert_eq!(notices.len(), if frame == 2 { 3 } else { 0 });
            for model in upscaler.models() {
                let known: &[_] = if frame == 1 {
                    &[]
                } else {
                    &[(Provider::TensorRt, "no room".to_owned())]
                };
                assert_eq!(model.refused, known, "{} in frame {frame}", model.role);
            }
        }
    }

    #[test]
    fn nothing_is_learnt_where_results_must_repeat() {
        for deterministic in [false, true] {
            let general = Box::new(Bicubic::new(0.0));
            let mut upscaler = Upscaler::with_networks(general, None, None, 0, None).unwrap();
            let usual = upscaler
                .stream()
                .general
                .profile(&Format::RGB, Reuse::None)
                .per_run;
            upscaler.set_deterministic(deterministic);
            for i in 0..40 {
                // A microsecond a pixel, and five thousand more for each run.
                let pixels = 1000 + 700 * (i % 7);
                let time = Duration::from_micros(5000 + pixels as u64);
                let work = Work {
                    runs: vec![(GeneratorRole::General, pixels, time)],
                    ..Work::default()
                };
                upscaler.stream().account(&Plan::default(), &work);
            }
            let learnt = upscaler
                .stream()
                .general
                .profile(&Format::RGB, Reuse::None)
                .per_run
                != usual;
            assert_eq!(learnt, !deterministic);
        }
    }
}
