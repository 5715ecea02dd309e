//! A camera at work: the connection is opened, watched and opened again; the middle and what comes out live on. Two threads: one looks after
//! all of these, the other keeps the output going.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver as Inbox, RecvTimeoutError, Sender, SyncSender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use prometheus_client::metrics::histogram::Histogram;

use crate::clock::Clock;
use crate::config::CameraConfig as Config;
use crate::elements::Ending;
use crate::engine::{Engine, Pair, Watcher};
use crate::legs::{Kind, Leg};
use crate::link::{Backoff, Order};
use crate::log::{error, info, warning};
use crate::output::show;
use crate::retention;
use crate::server::{Mount, Server};
use crate::source::{Input, Receiver};
use crate::view::{TICK, View};

/// A camera that is not there within this time gets an output of the usual size.
const FIRST: Duration = Duration::from_secs(5);
/// That size.
const USUAL: (u32, u32) = (1280, 720);
/// How often the element is asked for its counters.
const COUNT_EVERY: Duration = Duration::from_secs(1);
/// How often recordings are looked through for what is too old or too much.
const TIDY_EVERY: Duration = Duration::from_secs(20);

/// What the threads of a camera's pipelines tell the one that looks after them. Numbers tell connections, and middles, apart.
enum Event {
    Arrived(u64),
    Ended(u64, Ending),
    EngineFailed(u64, String),
    LegFailed(usize, u64, String),
}

/// Hears a connection.
struct Ears {
    view: Arc<View>,
    events: Sender<Event>,
    engine: Arc<Mutex<Option<Arc<Engine>>>>,
    number: u64,
}

impl Receiver for Ears {
    fn arrived(&self) {
        let _ = self.events.send(Event::Arrived(self.number));
    }

    fn video(&self, caps: &gst::Caps, buffer: gst::Buffer) {
        let side = |name| {
            let structure = caps.structure(0)?;
            u32::try_from(structure.get::<i32>(name).ok()?).ok()
        };
        let (Some(width), Some(height)) = (side("width"), side("height")) else {
            return;
        };
        {
            let mut status = self.view.status.lock();
            let now = self.view.clock.now();
            status.fps.count(now);
            if status.input != Some((width, height)) {
                let name = &self.view.config.name;
                info!("{name}: its pictures are {width}x{height}");
                status.input = Some((width, height));
            }
        }
        let size = self.view.size_for((width, height));
        let engine = self.engine.lock().clone();
        if let Some(engine) = engine {
            engine.push(caps, buffer, size);
        }
    }

    fn sound(&self, caps: &gst::Caps, buffer: gst::Buffer) {
        self.view.hub.sound(caps, &buffer);
    }

    fn ended(&self, ending: Ending) {
        let _ = self.events.send(Event::Ended(self.number, ending));
    }
}

/// Hears the middle.
struct Eyes {
    view: Arc<View>,
    events: Sender<Event>,
    frames: Sender<gst::Buffer>,
    number: u64,
}

impl Watcher for Eyes {
    fn taken(&self) {
        let now = self.view.clock.now();
        self.view.status.lock().taken.count(now);
    }

    fn drawn(&self, took: Duration, pair: Pair) {
        self.view.seconds.observe(took.as_secs_f64());
        {
            let mut status = self.view.status.lock();
            status.drawn.count(self.view.clock.now());
            status.begun = true;
            status.faces = pair.faces.len();
            if status
                .link
                .interval()
                .is_some_and(|interval| took > interval)
            {
                status.missed += 1;
            }
        }
        let pair = Arc::new(pair);
        if let Some(gallery) = &self.view.gallery {
            // One that is busy misses a frame; the next is as good.
            let _ = gallery.try_send((self.view.config.name.clone(), pair.clone()));
        }
        self.view.pairs.send_replace(Some(pair));
    }

    fn fitted(&self, buffer: gst::Buffer) {
        let _ = self.frames.send(buffer);
    }

    fn failed(&self, reason: String) {
        let _ = self.events.send(Event::EngineFailed(self.number, reason));
    }
}

/// A camera at work. Dropping it ends it and its files properly.
#[derive(Debug)]
pub struct Camera {
    /// What is known of it.
    pub view: Arc<View>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.stop();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Camera {
    /// Begins.
    ///
    /// # Errors
    /// If the system has no thread for it.
    pub fn start(
        config: Config,
        clock: &Clock,
        seconds: Histogram,
        server: Option<&Server>,
        gallery: Option<SyncSender<(String, Arc<Pair>)>>,
    ) -> Result<Self, String> {
        let view = View::new(config, clock, seconds, gallery);
        view.beat(0);
        view.beat(1);
        let (events, inbox) = channel();
        let (frames, drawn) = channel();
        let mount = match (server, &view.config.rtsp) {
            (Some(server), Some(path)) => server.mount(path, &view.hub),
            _ => None,
        };
        let mut keeper = Keeper::new(view.clone(), events, inbox, frames, mount);
        let mut camera = Self {
            view: view.clone(),
            threads: vec![],
        };
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new()
                .name(name.into())
                .spawn(work)
                .map_err(|error| format!("no thread for a camera: {error}"))
        };
        camera
            .threads
            .push(spawn("output", Box::new(move || show(&view, &drawn)))?);
        camera
            .threads
            .push(spawn("camera", Box::new(move || keeper.run()))?);
        Ok(camera)
    }

    /// Has it end, without waiting for it.
    pub fn stop(&self) {
        self.view.stop.store(true, Ordering::Relaxed);
    }
}

/// An output on disk and what is known of it.
struct Written {
    kind: Kind,
    leg: Option<Leg>,
    backoff: Backoff,
    next: Duration,
    started: Duration,
    number: u64,
}

/// Looks after a camera.
struct Keeper {
    view: Arc<View>,
    events: Sender<Event>,
    inbox: Inbox<Event>,
    frames: Sender<gst::Buffer>,
    mount: Option<Mount>,
    /// Sound that the mount knows of.
    mounted: Option<gst::Caps>,
    engine: Arc<Mutex<Option<Arc<Engine>>>>,
    engine_number: u64,
    engine_backoff: Backoff,
    engine_next: Duration,
    input: Option<Input>,
    input_number: u64,
    written: Vec<Written>,
    tidied: Option<Duration>,
    counted: Duration,
}

impl Keeper {
    fn new(
        view: Arc<View>,
        events: Sender<Event>,
        inbox: Inbox<Event>,
        frames: Sender<gst::Buffer>,
        mount: Option<Mount>,
    ) -> Self {
        let hls = view.config.hls.clone().map(Kind::Hls);
        let record = view.config.record.clone().map(Kind::Record);
        let written = hls.into_iter().chain(record).map(|kind| Written {
            kind,
            leg: None,
            backoff: Backoff::default(),
            next: Duration::ZERO,
            started: Duration::ZERO,
            number: 0,
        });
        Self {
            written: written.collect(),
            view,
            events,
            inbox,
            frames,
            mount,
            mounted: None,
            engine: Arc::default(),
            engine_number: 0,
            engine_backoff: Backoff::default(),
            engine_next: Duration::ZERO,
            input: None,
            input_number: 0,
            tidied: None,
            counted: Duration::ZERO,
        }
    }

    fn run(&mut self) {
        let begun = self.view.clock.now();
        while !self.view.stop.load(Ordering::Relaxed) {
            match self.inbox.recv_timeout(TICK) {
                Ok(event) => self.hear(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = self.view.clock.now();
            self.view.beat(0);
            self.keep_engine(now);
            self.keep_input(now);
            if now.saturating_sub(begun) >= FIRST && self.view.size.set(USUAL).is_ok() {
                let name = &self.view.config.name;
                warning!(
                    "{name}: no picture yet, so that the output is {}x{} from now on; `size` sets another",
                    USUAL.0,
                    USUAL.1
                );
            }
            self.keep_written(now, begun);
            if let (Some(mount), Some(sound)) = (&self.mount, self.view.hub.sound_caps())
                && self.mounted.as_ref() != Some(&sound)
            {
                mount.sound(&sound);
                self.mounted = Some(sound);
            }
            self.tidy(now);
        }
        self.input = None;
        *self.engine.lock() = None;
    }

    fn hear(&mut self, event: Event) {
        let now = self.view.clock.now();
        let name = &self.view.config.name;
        let mut status = self.view.status.lock();
        match event {
            Event::Arrived(number) if number == self.input_number => {
                status.last_frame = Some(SystemTime::now());
                if status.link.frame(now) {
                    info!("{name}: the camera is there");
                }
            }
            Event::Ended(number, ending) if number == self.input_number && self.input.is_some() => {
                match ending {
                    Ending::Eos
                        if matches!(self.view.config.source, crate::config::Source::File(_)) =>
                    {
                        status.link.ended(now);
                    }
                    Ending::Eos => status.link.failed(now, "the camera has ended the stream"),
                    Ending::Error(reason) => status.link.failed(now, self.view.redacted(&reason)),
                }
                if let Some(reason) = status.link.reason() {
                    warning!("{name}: {reason}");
                }
                drop(status);
                self.input = None;
            }
            Event::EngineFailed(number, reason) if number == self.engine_number => {
                drop(status);
                self.engine_failed(now, reason);
            }
            Event::LegFailed(place, number, reason) => {
                drop(status);
                if self.written[place].number == number {
                    self.leg_failed(place, now, &reason);
                }
            }
            // Of one that is no more.
            Event::Arrived(_) | Event::Ended(..) | Event::EngineFailed(..) => {}
        }
    }

    fn engine_failed(&mut self, now: Duration, reason: String) {
        let delay = self.engine_backoff.next();
        error!(
            "{}: the upscaler failed, next attempt in {} s: {reason}",
            self.view.config.name,
            delay.as_secs()
        );
        self.engine_next = now + delay;
        {
            let mut status = self.view.status.lock();
            status.engine = Some(reason);
            status.begun = false;
        }
        // What it tells while it ends is not heard any more.
        self.engine_number += 1;
        let engine = self.engine.lock().take();
        drop(engine);
    }

    fn keep_engine(&mut self, now: Duration) {
        let engine = self.engine.lock().clone();
        if let Some(engine) = engine {
            if now < self.counted + COUNT_EVERY {
                return;
            }
            self.counted = now;
            let missed = engine
                .stats()
                .and_then(|stats| stats.get::<u64>("deadline-missed").ok());
            self.view.status.lock().missed_by_element = missed;
            return;
        }
        if now < self.engine_next {
            return;
        }
        self.engine_number += 1;
        let eyes = Arc::new(Eyes {
            view: self.view.clone(),
            events: self.events.clone(),
            frames: self.frames.clone(),
            number: self.engine_number,
        });
        match Engine::start(&self.view.config, &self.view.clock, eyes) {
            Ok(engine) => {
                *self.engine.lock() = Some(Arc::new(engine));
                self.view.status.lock().engine = None;
            }
            Err(reason) => self.engine_failed(now, reason),
        }
    }

    fn keep_input(&mut self, now: Duration) {
        let mut status = self.view.status.lock();
        let order = status.link.tick(now);
        let reason = status.link.reason().map(str::to_owned);
        drop(status);
        match order {
            Some(Order::Close) => {
                let name = &self.view.config.name;
                warning!("{name}: {}", reason.unwrap_or_default());
                self.input = None;
            }
            Some(Order::Open) => {
                self.input_number += 1;
                let ears = Ears {
                    view: self.view.clone(),
                    events: self.events.clone(),
                    engine: self.engine.clone(),
                    number: self.input_number,
                };
                match Input::open(&self.view.config, &self.view.clock, ears) {
                    Ok(input) => self.input = Some(input),
                    Err(reason) => {
                        let name = &self.view.config.name;
                        let reason = self.view.redacted(&reason);
                        warning!("{name}: {reason}");
                        self.view.status.lock().link.failed(now, reason);
                    }
                }
            }
            None => {}
        }
    }

    fn leg_failed(&mut self, place: usize, now: Duration, reason: &str) {
        let written = &mut self.written[place];
        // Files that were written for a while were no failure from the start.
        if now.saturating_sub(written.started) > Duration::from_secs(60) {
            written.backoff.reset();
        }
        let delay = written.backoff.next();
        error!(
            "{}: {} failed, next attempt in {} s: {reason}",
            self.view.config.name,
            written.kind.name(),
            delay.as_secs()
        );
        written.next = now + delay;
        written.number += 1;
        written.leg = None;
    }

    fn keep_written(&mut self, now: Duration, begun: Duration) {
        // Whether there is sound is known once the camera is there; it is not waited for longer than the output's size is.
        if self.view.size.get().is_none() {
            return;
        }
        let known = !self.view.config.sound
            || self.view.hub.sound_caps().is_some()
            || now.saturating_sub(begun) >= FIRST;
        for place in 0..self.written.len() {
            let written = &mut self.written[place];
            if let Some(leg) = &written.leg {
                if leg.outdated(&written.kind) {
                    info!(
                        "{}: {} begins anew, with sound",
                        self.view.config.name,
                        written.kind.name()
                    );
                    written.leg = None;
                } else {
                    continue;
                }
            }
            if !known || now < written.next {
                continue;
            }
            written.number += 1;
            written.started = now;
            let (events, number) = (self.events.clone(), written.number);
            let failed = move |reason| {
                let _ = events.send(Event::LegFailed(place, number, reason));
            };
            let view = &self.view;
            match Leg::start(&written.kind, &view.config, &view.clock, &view.hub, failed) {
                Ok(leg) => written.leg = Some(leg),
                Err(reason) => self.leg_failed(place, now, &reason),
            }
        }
    }

    fn tidy(&mut self, now: Duration) {
        let Some(record) = &self.view.config.record else {
            return;
        };
        if self
            .tidied
            .is_some_and(|last| now.saturating_sub(last) < TIDY_EVERY)
        {
            return;
        }
        self.tidied = Some(now);
        let name = &self.view.config.name;
        let prefix = format!("{name}-");
        match retention::enforce(&record.folder, &prefix, ".mkv", record.keep) {
            Ok(0) => {}
            Ok(count) => info!("{name}: {count} old recordings were deleted"),
            Err(reason) => error!("{name}: {reason}"),
        }
    }
}
