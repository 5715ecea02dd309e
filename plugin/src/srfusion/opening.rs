//! Opening the models: what can be checked at once, and the thread that does the rest and says so with progress messages.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gst::prelude::*;
use srfusion::{Canceller, Config, Error, Flight, LoadStep, Settings, Upscaler};

use super::flow::{Engine, Flow};
use super::report::Providers;
use super::settings::PROP_ACTIVE_PROVIDER;
use crate::error::to_error_message;
use crate::log::{CAT, connect_runtime};

/// Code of the progress messages.
const PROGRESS: &str = "open";

/// How long a stop waits for a loader thread that was told to stop. A model that is being opened cannot be interrupted, and
/// a stop must not hang; but a program that ends right after it should not pull the rug from under the thread.
const LOADER_GRACE: Duration = Duration::from_millis(500);

/// Earliest time after the start at which a failure to open the models is posted. gst-launch-1.0 of GStreamer 1.22 looks
/// at the bus once right after it has set the state, and if it finds an error there it waits for ever.
const EARLIEST_FAILURE: Duration = Duration::from_millis(200);

fn progress(element: &gst_base::BaseTransform, type_: gst::ProgressType, text: &str) {
    gst::debug!(CAT, obj = element, "Progress {type_:?}: {text}");
    let message = gst::message::Progress::builder(type_, PROGRESS, text)
        .src(element)
        .build();
    // Without a bus nobody wants to know.
    let _ = element.post_message(message);
}

/// The configuration to open, with what follows from other settings filled in. Models are looked for beside `plugin`.
fn config(settings: &Settings, plugin: Option<PathBuf>) -> Config {
    let mut config = settings.config.clone();
    if settings.stream.use_roi_meta {
        config.given_objects = true;
    }
    if settings.stream.deadline != 0 {
        config
            .general_fast_model
            .clone_from(&settings.stream.general_fast_model);
    }
    config.near = plugin;
    config
}

/// NULL to READY: what can be checked at once.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn check(settings: &Settings, plugin: Option<PathBuf>) -> Result<(), Error> {
    connect_runtime();
    settings.validate()?;
    Upscaler::check(&config(settings, plugin))
}

/// One run's loader thread.
struct Loader {
    flow: Arc<Flow>,
    element: gst::glib::WeakRef<gst_base::BaseTransform>,
    generation: u64,
    depth: usize,
    started: Instant,
}

/// However the thread ends, whoever waits for it is told.
impl Drop for Loader {
    fn drop(&mut self) {
        self.flow.slot.left();
    }
}

/// READY to PAUSED: starts the loader thread of a new run.
///
/// # Errors
/// There is no thread to be had.
pub(super) fn load(
    flow: &Arc<Flow>,
    element: &gst_base::BaseTransform,
    settings: &Settings,
    plugin: Option<PathBuf>,
) -> Result<(), gst::ErrorMessage> {
    let (generation, canceller) = flow.slot.begin();
    flow.report.begin(generation);
    progress(element, gst::ProgressType::Start, "Opening models");
    let loader = Loader {
        flow: flow.clone(),
        element: element.downgrade(),
        generation,
        depth: settings.stream.frames_in_flight,
        started: Instant::now(),
    };
    let settings = Settings {
        config: config(settings, plugin),
        ..settings.clone()
    };
    let thread = std::thread::Builder::new()
        .name("srfusion-load".to_owned())
        .spawn(move || loader.run(settings, &canceller));
    match thread {
        Ok(_) => Ok(()),
        Err(error) => {
            flow.slot.end();
            Err(gst::error_msg!(
                gst::CoreError::Thread,
                ("The thread that opens the models cannot start: {error}")
            ))
        }
    }
}

/// The run ends: the engine goes, and what is still being opened is not waited for.
pub(super) fn end(flow: &Flow, element: &gst_base::BaseTransform) {
    if flow.slot.end() {
        progress(
            element,
            gst::ProgressType::Canceled,
            "Opening models was canceled",
        );
    }
    if !flow.slot.wait_for_loaders(LOADER_GRACE) {
        gst::info!(
            CAT,
            obj = element,
            "A model is still being opened; it is dropped when that ends"
        );
    }
    if flow.report.end() {
        element.notify(PROP_ACTIVE_PROVIDER);
    }
}

/// The words of a panic.
fn told(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or_default().to_owned()
}

impl Loader {
    fn run(self, settings: Settings, canceller: &Canceller) {
        // A panic must not end the thread silently: the first frame would wait for ever.
        let opened = catch_unwind(AssertUnwindSafe(|| self.open(settings, canceller)))
            .unwrap_or_else(|panic| {
                let text = format!("opening the models panicked: {}", told(panic.as_ref()));
                Err(Error::Internal(text))
            });
        // The last reference may have gone meanwhile; then nobody waits for the result.
        if let Some(element) = self.element.upgrade() {
            self.deliver(&element, opened);
        }
    }

    fn open(&self, settings: Settings, canceller: &Canceller) -> Result<Box<Engine>, Error> {
        let mut step = |step: &LoadStep| {
            if let Some(element) = self.element.upgrade()
                && self.flow.slot.is_loading(self.generation)
            {
                let text = format!(
                    "Opening {} {} ({} of {})",
                    step.role,
                    step.model,
                    step.index + 1,
                    step.count
                );
                progress(&element, gst::ProgressType::Continue, &text);
            }
        };
        let mut upscaler = Upscaler::open(&settings.config, canceller, &mut step)?;
        upscaler.set_parameters(settings.parameters)?;
        let mut engine = Box::new(Flight::new(upscaler));
        let outgoing = self.flow.outgoing.clone();
        engine.skip_repeats();
        if settings.stream.audit.is_some() {
            engine.keep_records();
        }
        engine.on_finished(move || outgoing.finished());
        // Nothing of the element is touched here: this run may be over.
        let depth = match self.depth {
            0 => engine.suggested_depth(),
            asked => asked,
        };
        engine.set_depth(depth)?;
        Ok(engine)
    }

    /// The models are open, or cannot be.
    fn deliver(&self, element: &gst_base::BaseTransform, opened: Result<Box<Engine>, Error>) {
        let (slot, report) = (&self.flow.slot, &self.flow.report);
        let took = self.started.elapsed();
        match opened {
            Ok(engine) => {
                say_where(element, &engine);
                let providers = Providers::of(engine.models());
                let (stats, depth) = (*engine.stats(), engine.depth());
                let kinds = engine.kinds().clone();
                if !slot.deliver(self.generation, Some(engine)) {
                    gst::debug!(
                        CAT,
                        obj = element,
                        "Models are open, but the run they were for is over"
                    );
                    return;
                }
                let text = format!(
                    "Models open on {} after {took:.1?}",
                    providers.provider.as_deref().unwrap_or("no provider")
                );
                if report.opened(self.generation, stats, providers, depth) {
                    report.set_kinds(kinds);
                    element.notify(PROP_ACTIVE_PROVIDER);
                    progress(element, gst::ProgressType::Complete, &text);
                }
                slot.reveal(self.generation);
            }
            Err(error) => {
                slot.linger(self.generation, EARLIEST_FAILURE.saturating_sub(took));
                if !slot.deliver(self.generation, None) {
                    gst::debug!(
                        CAT,
                        obj = element,
                        "Opening models ended with the run it was for: {error}"
                    );
                    return;
                }
                element.post_error_message(to_error_message(&error));
                progress(element, gst::ProgressType::Error, &error.to_string());
                slot.reveal(self.generation);
            }
        }
    }
}

/// Says in the log what runs where, and why not elsewhere.
fn say_where(element: &gst_base::BaseTransform, engine: &Engine) {
    for model in engine.models() {
        gst::info!(
            CAT,
            obj = element,
            "{} {} ({}) runs on {} ({}), receptive radius {}",
            model.role,
            model.name,
            model.path.display(),
            model.provider.name(),
            model.transfer,
            model.receptive_radius,
        );
        for (provider, reason) in &model.refused {
            gst::info!(
                CAT,
                obj = element,
                "{} does not run on {}: {reason}",
                model.name,
                provider.name()
            );
        }
    }
}
