//! A camera at work: the connection is opened, watched and opened again; the middle and what comes out live on. Two threads: one looks after
//! all of these, the other keeps the output going.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver as Inbox, RecvTimeoutError, Sender, SyncSender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use gst_video::prelude::*;
use parking_lot::Mutex;
use prometheus_client::metrics::histogram::Histogram;

use crate::clock::Clock;
use crate::config::Camera as Config;
use crate::elements::Ending;
use crate::encoder::Encoder;
use crate::engine::{Engine, Pair, Watcher, output_caps};
use crate::hub::Hub;
use crate::legs::{Kind, Leg};
use crate::link::{Backoff, Link, Order, State};
use crate::log::{error, info, warning};
use crate::metrics::Snapshot;
use crate::notice::{self, Planes};
use crate::pace::{Pace, Show};
use crate::rate::Rate;
use crate::retention;
use crate::server::{Mount, Server};
use crate::source::{Input, Receiver};

/// How often everything is looked at.
const TICK: Duration = Duration::from_millis(50);
/// A camera that is not there within this time gets an output of the usual size.
const FIRST: Duration = Duration::from_secs(5);
/// That size.
const USUAL: (u32, u32) = (1280, 720);
/// Largest side that is encoded.
const LARGEST: u32 = 8_192;
/// How often recordings are looked through for what is too old or too much.
const TIDY_EVERY: Duration = Duration::from_secs(20);
/// Without a sign of life from its threads for so long, a camera is not healthy.
const ALIVE: Duration = Duration::from_secs(60);

/// What is known of a camera, for those who ask.
#[derive(Debug)]
pub struct View {
    /// Its configuration.
    pub config: Config,
    /// The clock of its pipelines.
    pub clock: Clock,
    /// Where its output comes from.
    pub hub: Arc<Hub>,
    /// The newest frame before and after.
    pub pairs: tokio::sync::watch::Sender<Option<Arc<Pair>>>,
    status: Mutex<Status>,
    size: OnceLock<(u32, u32)>,
    seconds: Histogram,
    /// Who else sees every frame.
    gallery: Option<SyncSender<(String, Arc<Pair>)>>,
    stop: AtomicBool,
    /// Milliseconds at which each thread was last at work.
    beats: [AtomicU64; 2],
}

#[derive(Debug)]
struct Status {
    link: Link,
    fps: Rate,
    taken: Rate,
    drawn: Rate,
    /// Why the middle is not there.
    engine: Option<String>,
    /// Time of the last frame since 1970.
    last_frame: Option<SystemTime>,
    faces: usize,
    missed: u64,
    /// Counted by the element itself, where it does.
    missed_by_element: Option<u64>,
    input: Option<(u32, u32)>,
}

/// What the page shows of a camera.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Report {
    /// Name.
    pub name: String,
    /// Where its pictures come from, without credentials.
    pub source: String,
    /// `live`, `connecting`, `lost` or `failed`.
    pub state: &'static str,
    /// Why it is not live.
    pub reason: Option<String>,
    /// Seconds to the next attempt.
    pub next_attempt: Option<u64>,
    /// Width and height of its frames.
    pub input: Option<(u32, u32)>,
    /// Width and height of what comes out.
    pub output: Option<(u32, u32)>,
    /// Frames a second in.
    pub fps: f64,
    /// Frames a second drawn.
    pub process_fps: f64,
    /// Connections after the first.
    pub reconnects: u64,
    /// Faces in the last frame.
    pub objects: usize,
    /// When the last frame came, in seconds since 1970.
    pub last_frame: Option<f64>,
    /// Address of its RTSP output, without the host.
    pub rtsp: Option<String>,
}

/// Seconds since 1970.
fn since_1970(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

impl View {
    /// Whether pictures come and are drawn.
    pub fn ready(&self) -> bool {
        let status = self.status.lock();
        status.engine.is_none() && !status.link.lost(self.clock.now())
    }

    /// Whether its threads are at work.
    pub fn healthy(&self) -> bool {
        let now = self.clock.now();
        self.beats.iter().all(|beat| {
            let beat = Duration::from_millis(beat.load(Ordering::Relaxed));
            now.saturating_sub(beat) < ALIVE
        })
    }

    /// Numbers for Prometheus.
    pub fn snapshot(&self) -> Snapshot {
        let now = self.clock.now();
        let mut status = self.status.lock();
        let fps = status.fps.per_second(now);
        let taken = status.taken.per_second(now);
        Snapshot {
            fps,
            process_fps: status.drawn.per_second(now),
            skipped_fps: (fps - taken).max(0.0),
            reconnects: status.link.reconnects(),
            last_frame: status.last_frame.map(since_1970),
            deadline_missed: status.missed_by_element.unwrap_or(status.missed),
            objects: status.faces as u64,
            up: status.engine.is_none() && !status.link.lost(now),
        }
    }

    /// What the page shows.
    pub fn report(&self) -> Report {
        let now = self.clock.now();
        let mut status = self.status.lock();
        let lost = status.link.lost(now);
        let state = match status.link.state() {
            _ if status.engine.is_some() => "failed",
            State::Live(_) if !lost => "live",
            State::Connecting(_) => "connecting",
            _ if !lost => "live",
            _ => "lost",
        };
        let reason = status
            .engine
            .clone()
            .or_else(|| status.link.reason().map(str::to_owned));
        let next_attempt = match status.link.state() {
            State::Waiting(until) => Some(until.saturating_sub(now).as_secs()),
            _ => None,
        };
        Report {
            name: self.config.name.clone(),
            source: self.config.source.shown(),
            state,
            reason,
            next_attempt,
            input: status.input,
            output: self.size.get().copied(),
            fps: status.fps.per_second(now),
            process_fps: status.drawn.per_second(now),
            reconnects: status.link.reconnects(),
            objects: status.faces,
            last_frame: status.last_frame.map(since_1970),
            rtsp: self.config.rtsp.clone(),
        }
    }

    /// What the notice says.
    fn notice(&self) -> String {
        let status = self.status.lock();
        let now = self.clock.now();
        if status.engine.is_some() {
            return "UPSCALER FAILED".into();
        }
        match status.link.last_frame() {
            None => "NO PICTURE YET".into(),
            Some(_) if !status.link.lost(now) => "STARTING".into(),
            Some(last) => {
                let seconds = now.saturating_sub(last).as_secs_f64();
                let time = gst::glib::DateTime::now_local()
                    .and_then(|now| now.add_seconds(-seconds))
                    .and_then(|time| time.format("%H:%M:%S"));
                format!("NO PICTURE SINCE {}", time.as_deref().unwrap_or_default())
            }
        }
    }

    fn lost(&self) -> bool {
        let status = self.status.lock();
        status.engine.is_some() || status.link.lost(self.clock.now())
    }

    fn beat(&self, thread: usize) {
        let now = u64::try_from(self.clock.now().as_millis()).unwrap_or(u64::MAX);
        self.beats[thread].store(now, Ordering::Relaxed);
    }

    /// The output's size, which is that of the first frame unless it is fixed.
    fn size_for(&self, input: (u32, u32)) -> (u32, u32) {
        *self.size.get_or_init(|| {
            let side = |side: u32| {
                let side = side.saturating_mul(srfusion::SCALE as u32);
                (side & !1).clamp(64, LARGEST)
            };
            (side(input.0), side(input.1))
        })
    }
}

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
        let size = config.size.map_or_else(OnceLock::new, OnceLock::from);
        let now = clock.now();
        let hub = Arc::new(Hub::default());
        let view = Arc::new(View {
            gallery: gallery.filter(|_| config.gallery),
            clock: clock.clone(),
            hub,
            pairs: tokio::sync::watch::Sender::new(None),
            status: Mutex::new(Status {
                link: Link::new(now, &config.reconnect),
                fps: Rate::default(),
                taken: Rate::default(),
                drawn: Rate::default(),
                engine: None,
                last_frame: None,
                faces: 0,
                missed: 0,
                missed_by_element: None,
                input: None,
            }),
            size,
            seconds,
            stop: AtomicBool::new(false),
            beats: Default::default(),
            config,
        });
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
        self.view.status.lock().engine = Some(reason);
        // What it tells while it ends is not heard any more.
        self.engine_number += 1;
        let engine = self.engine.lock().take();
        drop(engine);
    }

    fn keep_engine(&mut self, now: Duration) {
        let engine = self.engine.lock().clone();
        if let Some(engine) = engine {
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

impl View {
    /// A library's words without the password.
    fn redacted(&self, text: &str) -> String {
        match &self.config.password {
            Some(password) => text.replace(password.reveal(), "***"),
            None => text.to_owned(),
        }
    }
}

/// Keeps the output going until the camera is stopped.
fn show(view: &Arc<View>, frames: &Inbox<gst::Buffer>) {
    let mut pace = Pace::default();
    let mut last: Option<gst::Buffer> = None;
    let mut encoder: Option<Encoder> = None;
    let mut backoff = Backoff::default();
    let mut next = Duration::ZERO;
    let failure: Arc<Mutex<Option<String>>> = Arc::default();
    let name = &view.config.name;
    while !view.stop.load(Ordering::Relaxed) {
        let frame = match frames.recv_timeout(TICK) {
            Ok(frame) => Some(frame),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        view.beat(1);
        let Some(size) = view.size.get().copied() else {
            continue;
        };
        let now = view.clock.now();
        if let Some(reason) = failure.lock().take() {
            encoder = None;
            let delay = backoff.next();
            next = now + delay;
            error!(
                "{name}: encoding failed, next attempt in {} s: {reason}",
                delay.as_secs()
            );
        }
        if encoder.is_none() && now >= next {
            let failure = failure.clone();
            let told = failure.clone();
            let failed = move |reason| {
                // The first reason is the cause of the others.
                failure.lock().get_or_insert(reason);
            };
            match Encoder::start(&view.config, &view.clock, size, &view.hub, failed) {
                Ok(started) => encoder = Some(started),
                Err(reason) => *told.lock() = Some(reason),
            }
        }
        let Some(encoder) = &mut encoder else {
            continue;
        };
        let lost = view.lost();
        let shown = match frame {
            Some(frame) => {
                let time = frame.pts().map_or(now, Duration::from);
                pace.drawn(now, time, lost).map(|time| {
                    last = Some(frame.clone());
                    (Some(frame), time)
                })
            }
            None => pace.idle(now, lost).map(|show| match show {
                Show::Again(time) => (last.clone(), time),
                Show::Notice(time) => (noticed(size, last.as_ref(), &view.notice()), time),
            }),
        };
        if let Some((Some(frame), time)) = shown
            && let Err(reason) = encoder.push(frame, time)
        {
            failure.lock().get_or_insert(reason);
        }
    }
}

/// The last picture, or an empty one, with a notice.
fn noticed(size: (u32, u32), last: Option<&gst::Buffer>, text: &str) -> Option<gst::Buffer> {
    let info = gst_video::VideoInfo::from_caps(&output_caps(size)).ok()?;
    let mut buffer = match last {
        Some(last) => last.copy_deep().ok()?,
        None => gst::Buffer::with_size(info.size()).ok()?,
    };
    {
        let buffer = buffer.get_mut()?;
        let mut frame = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer, &info).ok()?;
        let mut strides = [0; 3];
        for (stride, known) in strides.iter_mut().zip(frame.plane_stride()) {
            *stride = usize::try_from(*known).ok()?;
        }
        let [luma, blue, red, _] = frame.planes_data_mut();
        let mut planes = Planes {
            size: (size.0 as usize, size.1 as usize),
            data: [luma, blue, red],
            strides,
        };
        if last.is_none() {
            notice::blank(&mut planes);
        }
        notice::write(&mut planes, text);
    }
    Some(buffer)
}
