//! What is known of a camera: shared by its threads, asked by the page.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use prometheus_client::metrics::histogram::Histogram;

use crate::clock::Clock;
use crate::config::CameraConfig as Config;
use crate::engine::Pair;
use crate::hub::Hub;
use crate::link::{Link, State};
use crate::metrics::Snapshot;
use crate::rate::Rate;

/// How often everything is looked at.
pub const TICK: Duration = Duration::from_millis(50);
/// Largest side that is encoded.
const LARGEST: u32 = 8_192;
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
    /// What changes all the time.
    pub status: Mutex<Status>,
    /// Width and height of the output, once they are fixed.
    pub size: OnceLock<(u32, u32)>,
    /// Time that frames take.
    pub seconds: Histogram,
    /// Who else sees every frame.
    pub gallery: Option<SyncSender<(String, Arc<Pair>)>>,
    /// Whether it is to end.
    pub stop: AtomicBool,
    /// Milliseconds at which each thread was last at work.
    pub beats: [AtomicU64; 2],
}

/// What changes of it all the time.
#[derive(Debug)]
pub struct Status {
    /// The connection.
    pub link: Link,
    /// Frames that come.
    pub fps: Rate,
    /// Frames that go into the element.
    pub taken: Rate,
    /// Frames that are drawn.
    pub drawn: Rate,
    /// Why the middle is not there.
    pub engine: Option<String>,
    /// Time of the last frame since 1970.
    pub last_frame: Option<SystemTime>,
    /// Whether a frame was drawn since the middle was made.
    pub begun: bool,
    /// Faces in the last frame.
    pub faces: usize,
    /// Frames that took longer than the camera's interval.
    pub missed: u64,
    /// Counted by the element itself, where it does.
    pub missed_by_element: Option<u64>,
    /// Width and height of the camera's frames.
    pub input: Option<(u32, u32)>,
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
    /// Of a camera that is just being begun.
    pub fn new(
        config: Config,
        clock: &Clock,
        seconds: Histogram,
        gallery: Option<SyncSender<(String, Arc<Pair>)>>,
    ) -> Arc<Self> {
        let size = config.size.map_or_else(OnceLock::new, OnceLock::from);
        let now = clock.now();
        let hub = Arc::new(Hub::default());
        Arc::new(Self {
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
                begun: false,
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
        })
    }

    /// Whether pictures come and are drawn.
    pub fn ready(&self) -> bool {
        let status = self.status.lock();
        status.engine.is_none() && status.begun && !status.link.lost(self.clock.now())
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
    pub fn notice(&self) -> String {
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

    pub fn lost(&self) -> bool {
        let status = self.status.lock();
        status.engine.is_some() || status.link.lost(self.clock.now())
    }

    pub fn beat(&self, thread: usize) {
        let now = u64::try_from(self.clock.now().as_millis()).unwrap_or(u64::MAX);
        self.beats[thread].store(now, Ordering::Relaxed);
    }

    /// The output's size, which is that of the first frame unless it is fixed.
    pub fn size_for(&self, input: (u32, u32)) -> (u32, u32) {
        *self.size.get_or_init(|| {
            let side = |side: u32| {
                let side = side.saturating_mul(srfusion::SCALE as u32);
                (side & !1).clamp(64, LARGEST)
            };
            (side(input.0), side(input.1))
        })
    }
}

impl View {
    /// A library's words without the password.
    pub fn redacted(&self, text: &str) -> String {
        match &self.config.password {
            Some(password) => text.replace(password.reveal(), "***"),
            None => text.to_owned(),
        }
    }
}
