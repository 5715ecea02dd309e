//! Counters of all cameras as Prometheus takes them.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// How the text is announced.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds of the time that a frame takes, in seconds.
const SECONDS: [f64; 12] = [
    0.005, 0.01, 0.02, 0.04, 0.07, 0.1, 0.2, 0.4, 0.7, 1.0, 2.0, 5.0,
];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    camera_name: String,
}

type Number = Gauge<f64, AtomicU64>;

/// What a camera shows at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Snapshot {
    /// Frames a second that come from the camera.
    pub fps: f64,
    /// Frames a second that are drawn.
    pub process_fps: f64,
    /// Frames a second that come and are not drawn.
    pub skipped_fps: f64,
    /// Connections after the first.
    pub reconnects: u64,
    /// When the last frame came, in seconds since 1970; `None` if none has.
    pub last_frame: Option<f64>,
    /// Frames that took longer than the camera's time from frame to frame.
    pub deadline_missed: u64,
    /// Faces in the last frame.
    pub objects: u64,
    /// Whether frames come.
    pub up: bool,
}

/// All cameras' counters.
pub struct Metrics {
    registry: Registry,
    fps: Family<Labels, Number>,
    process_fps: Family<Labels, Number>,
    skipped_fps: Family<Labels, Number>,
    seconds: Family<Labels, Histogram>,
    reconnects: Family<Labels, Counter>,
    last_frame: Family<Labels, Number>,
    deadline_missed: Family<Labels, Counter>,
    objects: Family<Labels, Gauge>,
    up: Family<Labels, Gauge>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("srfusion_camera");
        let seconds = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> _);
        macro_rules! register {
            ($($name:ident: $metric:literal, $help:literal);* $(;)?) => {
                $(let $name = Family::default();
                registry.register($metric, $help, Family::clone(&$name));)*
                registry.register("inference_seconds", "Time that drawing a frame takes", seconds.clone());
                Self { $($name,)* seconds, registry }
            };
        }
        register! {
            fps: "fps", "Frames a second from the camera, over ten seconds";
            process_fps: "process_fps", "Frames a second that are drawn, over ten seconds";
            skipped_fps: "skipped_fps", "Frames a second that come and are not drawn, over ten seconds";
            reconnects: "reconnects", "Connections after the first";
            last_frame: "last_frame_timestamp_seconds", "When the last frame came, in seconds since 1970";
            deadline_missed: "deadline_missed", "Frames that took longer than the camera's time from frame to frame";
            objects: "objects", "Faces in the last frame";
            up: "up", "Whether frames come";
        }
    }
}

impl Metrics {
    /// Where a camera counts how long its frames take.
    pub fn seconds(&self, camera: &str) -> Histogram {
        self.seconds.get_or_create_owned(&labels(camera))
    }

    /// Forgets a camera.
    pub fn forget(&self, camera: &str) {
        let labels = labels(camera);
        self.fps.remove(&labels);
        self.process_fps.remove(&labels);
        self.skipped_fps.remove(&labels);
        self.seconds.remove(&labels);
        self.reconnects.remove(&labels);
        self.last_frame.remove(&labels);
        self.deadline_missed.remove(&labels);
        self.objects.remove(&labels);
        self.up.remove(&labels);
    }

    /// The text, after each camera's numbers were brought up to date.
    pub fn text(&self, cameras: impl IntoIterator<Item = (String, Snapshot)>) -> String {
        for (name, now) in cameras {
            let labels = labels(&name);
            self.fps.get_or_create(&labels).set(now.fps);
            self.process_fps.get_or_create(&labels).set(now.process_fps);
            self.skipped_fps.get_or_create(&labels).set(now.skipped_fps);
            self.up.get_or_create(&labels).set(now.up.into());
            let objects = i64::try_from(now.objects).unwrap_or(i64::MAX);
            self.objects.get_or_create(&labels).set(objects);
            let reconnects = self.reconnects.get_or_create(&labels);
            reconnects.inner().store(now.reconnects, Ordering::Relaxed);
            let missed = self.deadline_missed.get_or_create(&labels);
            missed.inner().store(now.deadline_missed, Ordering::Relaxed);
            // Before the first frame there is no time to tell.
            if let Some(time) = now.last_frame {
                self.last_frame.get_or_create(&labels).set(time);
            }
        }
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn labels(camera: &str) -> Labels {
    Labels {
        camera_name: camera.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_is_counted_and_forgotten() {
        let metrics = Metrics::default();
        metrics.seconds("door").observe(0.03);
        let now = Snapshot {
            fps: 12.5,
            reconnects: 3,
            last_frame: Some(1_000.5),
            objects: 2,
            ..Snapshot::default()
        };
        let text = metrics.text([("door".to_owned(), now)]);
        for line in [
            "srfusion_camera_fps{camera_name=\"door\"} 12.5",
            "srfusion_camera_reconnects_total{camera_name=\"door\"} 3",
            "srfusion_camera_last_frame_timestamp_seconds{camera_name=\"door\"} 1000.5",
            "srfusion_camera_inference_seconds_bucket{le=\"0.04\",camera_name=\"door\"} 1",
            "srfusion_camera_inference_seconds_count{camera_name=\"door\"} 1",
            "srfusion_camera_deadline_missed_total{camera_name=\"door\"} 0",
            "srfusion_camera_objects{camera_name=\"door\"} 2",
            "srfusion_camera_up{camera_name=\"door\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        metrics.forget("door");
        assert!(!metrics.text([]).contains("door"));
    }
}
