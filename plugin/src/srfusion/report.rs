//! What is told of a run: the statistics and the provider, which outlive it so that they can be read at its end, and the engine's
//! notices as messages.

use std::sync::Arc;
use std::time::Duration;

use gst::prelude::*;
use parking_lot::Mutex;
use srfusion::{ModelReport, Notice, ObjectKind, Severity, Stats};

/// What runs the models: which provider, and how pictures get to it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Providers {
    /// One name if it is the same for all models, else each with its models.
    pub(super) provider: Option<String>,
    /// Likewise.
    pub(super) transfer: Option<String>,
}

impl Providers {
    pub(super) fn of(models: &[ModelReport]) -> Self {
        Self {
            provider: by_model(models, ", ", |model| model.provider.name().to_owned()),
            transfer: by_model(models, "; ", |model| model.transfer.to_string()),
        }
    }
}

/// What `word` says of the models: once if it is the same for all, else of each.
fn by_model(
    models: &[ModelReport],
    between: &str,
    word: impl Fn(&ModelReport) -> String,
) -> Option<String> {
    let first = word(models.first()?);
    if models.iter().all(|model| word(model) == first) {
        return Some(first);
    }
    let each: Vec<_> = models
        .iter()
        .map(|model| format!("{} ({})", word(model), model.role))
        .collect();
    Some(each.join(between))
}

#[derive(Debug, Default)]
struct ReportState {
    /// Number of the run.
    generation: u64,
    stats: Stats,
    providers: Providers,
    /// The kinds of objects.
    kinds: Option<Arc<[ObjectKind]>>,
    /// Most frames under way at a time.
    depth: usize,
    /// Whether the models are open.
    active: bool,
}

/// What is told of the run, now or after its end.
#[derive(Debug, Default)]
pub(super) struct Report(Mutex<ReportState>);

impl Report {
    /// The run `generation` begins.
    pub(super) fn begin(&self, generation: u64) {
        *self.0.lock() = ReportState {
            generation,
            ..ReportState::default()
        };
    }

    /// The models of run `generation` are open. Returns whether it still is the current one: what comes late of an earlier one is not
    /// told of another.
    pub(super) fn opened(
        &self,
        generation: u64,
        stats: Stats,
        providers: Providers,
        depth: usize,
    ) -> bool {
        let mut state = self.0.lock();
        if state.generation != generation {
            return false;
        }
        *state = ReportState {
            generation,
            stats,
            providers,
            kinds: None,
            depth,
            active: true,
        };
        true
    }

    /// The kinds of objects of the run whose models are open.
    pub(super) fn set_kinds(&self, kinds: Arc<[ObjectKind]>) {
        self.0.lock().kinds = Some(kinds);
    }

    /// Numbers after a frame.
    pub(super) fn count(&self, stats: Stats, depth: usize) {
        let mut state = self.0.lock();
        (state.stats, state.depth) = (stats, depth);
    }

    /// A model runs elsewhere.
    pub(super) fn moved(&self, providers: Providers) {
        self.0.lock().providers = providers;
    }

    /// The run ends. Returns whether models were open.
    pub(super) fn end(&self) -> bool {
        let mut state = self.0.lock();
        // Of no run: what comes later comes too late.
        state.generation = 0;
        std::mem::take(&mut state.active)
    }

    /// What computes the networks now.
    pub(super) fn active_provider(&self) -> Option<String> {
        let state = self.0.lock();
        state.providers.provider.clone().filter(|_| state.active)
    }

    /// Frames that were finished in this run.
    pub(super) fn frames_out(&self) -> u64 {
        self.0.lock().stats.frames_out
    }

    /// What the property `stats` gives. Stages are means over the frames finished.
    pub(super) fn structure(&self) -> gst::Structure {
        let state = self.0.lock();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let stats = &state.stats;
        let frames = stats.frames_out.max(1) as f64;
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let mean = |duration: Duration| ms(duration) / frames;
        let share = |tiles: u64| tiles as f64 / stats.tiles_total.max(1) as f64;
        let late = stats.tiles_fast + stats.tiles_late;
        let mut structure = gst::Structure::builder("srfusion-stats")
            .field("frames-in", stats.frames_in)
            .field("frames-out", stats.frames_out)
            .field("frames-repeated", stats.frames_repeated)
            .field("deadline-missed", stats.deadline_missed)
            .field("pixels-late", stats.pixels_late)
            .field("tiles-late", stats.tiles_late)
            .field("tiles-fast", stats.tiles_fast)
            .field(
                "share-full",
                share(stats.tiles_total - late.min(stats.tiles_total)),
            )
            .field("share-fast", share(stats.tiles_fast))
            .field("share-interpolated", share(stats.tiles_late))
            .field("objects-at-full-quality", stats.objects)
            .field("faces", stats.faces)
            .field("tiles-total", stats.tiles_total)
            .field("tiles-run", stats.tiles_run)
            .field("tiles-reused", stats.tiles_reused)
            .field("frames-with-faces", stats.frames_with_faces)
            .field("detections", stats.detections)
            .field("face-pixels", stats.face_pixels)
            .field("identity-runs", stats.embeddings)
            .field("faces-lowered", stats.faces_lowered)
            .field("detect-ms", mean(stats.detect))
            .field("plan-ms", mean(stats.plan))
            .field("general-ms", mean(stats.general))
            .field("face-ms", mean(stats.face))
            .field("fuse-ms", mean(stats.fuse))
            .field("identity-ms", mean(stats.identity))
            .field("total-ms", mean(stats.total))
            .field("last-ms", ms(stats.last))
            .field("provider", text(&state.providers.provider))
            .field("transfer", text(&state.providers.transfer))
            .field("frames-in-flight", state.depth as u64)
            .build();
        // Those of faces have names of their own.
        let kinds = state.kinds.iter().flat_map(|kinds| kinds.iter());
        for (kind, of) in kinds.zip(&stats.kinds).filter(|(kind, _)| !kind.is_faces()) {
            let name = |field: &str| format!("kind-{}-{field}", kind.subject);
            structure.set(name("objects"), of.objects);
            structure.set(name("frames"), of.frames);
            structure.set(name("detections"), of.detections);
            structure.set(name("pixels"), of.pixels);
            structure.set(name("ms"), mean(of.time));
        }
        structure
    }
}

/// Posts a notice: one message whose text says it, a warning only where something is worse than it was or was asked for.
pub(super) fn post(element: &impl IsA<gst::Element>, notice: &Notice) {
    let text = &notice.text;
    match notice.severity {
        Severity::Worse => {
            gst::element_warning!(element, gst::LibraryError::Settings, ("{text}"));
        }
        Severity::Better | Severity::Info => {
            gst::element_info!(element, gst::LibraryError::Settings, ("{text}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn model(role: &'static str, provider: srfusion::Provider) -> ModelReport {
        ModelReport {
            role,
            name: role.to_owned(),
            path: PathBuf::new(),
            provider,
            refused: Vec::new(),
            receptive_radius: 0,
            transfer: Default::default(),
            origin: Default::default(),
        }
    }

    #[test]
    fn provider_is_one_name_where_it_is_one_provider() {
        use srfusion::Provider::{Cpu, Cuda};
        assert_eq!(Providers::of(&[]), Providers::default());
        let same = [model("general model", Cpu), model("face detector", Cpu)];
        assert_eq!(Providers::of(&same).provider.as_deref(), Some("cpu"));
        let mut mixed = [model("general model", Cuda), model("face detector", Cpu)];
        let told = Providers::of(&mixed);
        assert_eq!(
            told.provider.as_deref(),
            Some("cuda (general model), cpu (face detector)")
        );
        assert_eq!(told.transfer.as_deref(), Some("floats"));
        mixed[0].transfer.bytes = true;
        assert_eq!(
            Providers::of(&mixed).transfer.as_deref(),
            Some("bytes (general model); floats (face detector)")
        );
    }

    fn on(provider: &str) -> Providers {
        Providers {
            provider: Some(provider.to_owned()),
            transfer: Some("floats".to_owned()),
        }
    }

    #[test]
    fn stages_are_means_over_frames() {
        gst::init().unwrap();
        let stats = Stats {
            frames_in: 5,
            frames_out: 4,
            detect: Duration::from_millis(10),
            last: Duration::from_millis(3),
            ..Stats::default()
        };
        let report = Report::default();
        report.begin(1);
        // No frame yet is no division by zero.
        assert_eq!(report.structure().get::<f64>("total-ms"), Ok(0.0));
        assert!(report.opened(1, stats, on("cpu"), 2));
        let structure = report.structure();
        assert_eq!(structure.get::<&str>("transfer"), Ok("floats"));
        assert_eq!(structure.get::<u64>("frames-in-flight"), Ok(2));
        assert_eq!(structure.get::<f64>("detect-ms"), Ok(2.5));
        assert_eq!(structure.get::<f64>("last-ms"), Ok(3.0));
        assert_eq!(structure.get::<u64>("frames-in"), Ok(5));
        assert_eq!(structure.get::<&str>("provider"), Ok("cpu"));
    }

    #[test]
    fn late_loader_of_an_ended_run_tells_nothing_of_another() {
        gst::init().unwrap();
        let report = Report::default();
        let stats = Stats {
            frames_in: 7,
            ..Stats::default()
        };
        report.begin(1);
        report.end();
        assert!(!report.opened(1, stats, on("cuda"), 2));
        report.begin(2);
        assert!(!report.opened(1, stats, on("cuda"), 2));
        assert_eq!(report.active_provider(), None);
        assert_eq!(report.structure().get::<u64>("frames-in"), Ok(0));
        assert!(report.opened(2, Stats::default(), on("cpu"), 1));
        assert_eq!(report.active_provider().as_deref(), Some("cpu"));
        assert!(report.end());
        assert_eq!(report.active_provider(), None);
        // What was remains to be read.
        assert_eq!(report.structure().get::<&str>("provider"), Ok("cpu"));
    }

    #[test]
    fn notice_is_one_message_whose_text_says_it() {
        gst::init().unwrap();
        let bin = gst::Bin::new();
        let bus = gst::Bus::new();
        bin.set_bus(Some(&bus));
        let text = "general-x4 now runs on cuda";
        post(&bin, &Notice::better(text));
        post(&bin, &Notice::info(text));
        post(&bin, &Notice::worse(text));
        let messages: Vec<_> = bus.iter().collect();
        let types: Vec<_> = messages.iter().map(|message| message.type_()).collect();
        use gst::MessageType::{Info, Warning};
        assert_eq!(types, [Info, Info, Warning]);
        for message in &messages {
            let error = match message.view() {
                gst::MessageView::Info(info) => info.error(),
                gst::MessageView::Warning(warning) => warning.error(),
                _ => unreachable!(),
            };
            assert_eq!(error.message(), text);
        }
        bin.set_bus(None);
    }
}
