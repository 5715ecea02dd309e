//! What the tests of the daemon share: cameras that can be killed, the daemon itself, and a viewer of what it serves.

#![allow(dead_code, reason = "each test program uses its own part")]

#[path = "../../../cli/tests/support/browser.rs"]
pub mod browser;
#[path = "../../../cli/tests/support/python.rs"]
pub mod python;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gst::prelude::*;

/// How long anything may take on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until `what` is so; `tell` says in which state it was not.
#[track_caller]
pub fn wait(what: &str, tell: impl Fn() -> String, is_so: impl FnMut() -> bool) {
    wait_for(PATIENCE, what, tell, is_so);
}

/// The same with its own patience.
#[track_caller]
pub fn wait_for(
    patience: Duration,
    what: &str,
    tell: impl Fn() -> String,
    mut is_so: impl FnMut() -> bool,
) {
    let start = Instant::now();
    while !is_so() {
        assert!(
            start.elapsed() < patience,
            "not within {patience:?}: {what}\n{}",
            tell()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The tiny networks that stand in for real ones.
pub fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tiny")
}

/// Whether ONNX Runtime and what a camera is made of are there; says so if not.
pub fn ready() -> bool {
    gst::init().unwrap();
    if let Err(error) = srfusion::runtime::library::load(None) {
        eprintln!("skipped: {error}");
        return false;
    }
    let check = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer";
    let tried = Command::new("/usr/bin/python3")
        .args(["-c", check])
        .output();
    if !tried.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no gir1.2-gst-rtsp-server-1.0; scripts/setup tests installs it");
        return false;
    }
    true
}

/// A camera on this machine, which ends when it is dropped.
pub struct RtspCamera {
    child: Child,
    pub port: u16,
}

impl Drop for RtspCamera {
    fn drop(&mut self) {
        // As by pulling its plug.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl RtspCamera {
    /// Switches one on at `port` (0: any), with further arguments of `rtsp_camera.py`.
    #[track_caller]
    pub fn on(port: u16, arguments: &[&str]) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/rtsp_camera.py");
        let mut child = Command::new("/usr/bin/python3")
            .arg(program)
            .args(["--port", &port.to_string()])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let bound = line
            .trim()
            .parse()
            .expect("the camera did not say its port");
        if port != 0 {
            assert_eq!(bound, port, "the port is taken");
        }
        Self { child, port: bound }
    }

    pub fn address(&self) -> String {
        format!("rtsp://127.0.0.1:{}/stream", self.port)
    }

    /// Tells it something.
    #[track_caller]
    pub fn tell(&mut self, command: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        writeln!(input, "{command}").unwrap();
    }
}

/// A port that nobody listens at.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The daemon at work, which ends when it is dropped.
pub struct Daemon {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The engine's settings for tests: bicubic interpolation, no faces.
pub const BICUBIC: &str = "
[camera.engine]
general-model = \"bicubic-x4\"
face-model = \"none\"
detector-model = \"none\"
";

/// The same with faces: the one in the middle, its colours inverted.
pub const FACES: &str = "
[camera.engine]
general-model = \"bicubic-x4\"
face-model = \"inverted-x4\"
detector-model = \"centre-face\"
";

impl Daemon {
    /// The program with `arguments`.
    pub fn command(arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_srfusion-camera"));
        command
            .args(arguments)
            .env("SRFUSION_MODELS", tiny())
            .env_remove("JOURNAL_STREAM");
        command
    }

    /// Starts the program with a configuration, both of whose ports are free ones.
    #[track_caller]
    pub fn start(folder: &Path, cameras: &str) -> Self {
        Self::start_with(folder, cameras, &[])
    }

    /// The same with variables of the environment.
    #[track_caller]
    pub fn start_with(folder: &Path, cameras: &str, variables: &[(&str, &str)]) -> Self {
        let file = folder.join("cameras.toml");
        std::fs::write(&file, configuration(cameras)).unwrap();
        let mut command = Self::command(&[file.to_str().unwrap()]);
        command.envs(variables.iter().copied());
        Self::spawn(command)
    }

    #[track_caller]
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let lines = BufReader::new(child.stderr.take().unwrap());
        let kept = log.clone();
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut log = kept.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let daemon = Self { child, log };
        daemon.wait_log("serving http://");
        daemon
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    #[track_caller]
    pub fn wait_log(&self, part: &str) {
        wait(
            &format!("the log says '{part}'"),
            || self.log(),
            || self.log().contains(part),
        );
    }

    /// The port that stands behind `before` in the log.
    fn port_after(&self, before: &str) -> u16 {
        let log = self.log();
        let rest = log.split(before).nth(1).unwrap_or_else(|| panic!("{log}"));
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    }

    pub fn http_port(&self) -> u16 {
        self.port_after("serving http://127.0.0.1:")
    }

    pub fn rtsp(&self, path: &str) -> String {
        let port = self.port_after("serving rtsp://127.0.0.1:");
        format!("rtsp://127.0.0.1:{port}{path}")
    }

    /// An answer of its page.
    #[track_caller]
    pub fn get(&self, path: &str) -> (u16, String) {
        browser::http(self.http_port(), "GET", path, "").unwrap()
    }

    /// What it says of its cameras.
    #[track_caller]
    pub fn cameras(&self) -> serde_json::Value {
        let (status, body) = self.get("/cameras");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Waits until its only, or its `place`th, camera is in `state`.
    #[track_caller]
    pub fn wait_state(&self, place: usize, state: &str) {
        wait(
            &format!("camera {place} is {state}"),
            || format!("{}\n{}", self.cameras(), self.log()),
            || self.cameras()[place]["state"] == state,
        );
    }

    /// A number of its metrics, of the camera `door`.
    #[track_caller]
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (status, body) = self.get("/metrics");
        assert_eq!(status, 200);
        let line = body.lines().find(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('{') && rest.contains("=\"door\""))
        })?;
        line.rsplit(' ').next()?.parse().ok()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, by `kill`'s name of it.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Ends it as systemd does.
    #[track_caller]
    pub fn end(mut self) -> (ExitStatus, String) {
        self.signal("TERM");
        let log = self.log.clone();
        let tell = || log.lock().unwrap().clone();
        wait("the daemon ends", tell, || {
            self.child.try_wait().unwrap().is_some()
        });
        let status = self.child.wait().unwrap();
        (status, self.log())
    }

    /// Memory that it holds, in bytes.
    pub fn memory(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = text.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        let number = line.split_whitespace().nth(1).unwrap();
        number.parse::<u64>().unwrap() * 1024
    }
}

/// A configuration with free ports.
pub fn configuration(cameras: &str) -> String {
    format!("[http]\nlisten = \"127.0.0.1:0\"\n[rtsp]\nlisten = \"127.0.0.1:0\"\n{cameras}")
}

/// A frame that a viewer has seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// Its time in the viewer's pipeline.
    pub time: Duration,
    /// When it was decoded.
    pub at: Instant,
    /// Width and height.
    pub size: (u32, u32),
    /// Luma of its upper left corner.
    pub top: u8,
    /// Luma of its lower left corner, where a notice's bar is.
    pub bottom: u8,
}

impl Seen {
    /// Whether it has a notice.
    pub fn notice(&self) -> bool {
        self.bottom < 40
    }

    /// Whether it is the white picture of the tests' camera, with or without a notice.
    pub fn white(&self) -> bool {
        self.top > 200
    }
}

/// One who watches what the daemon serves, without ever connecting anew.
pub struct Viewer {
    pipeline: gst::Pipeline,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

impl Viewer {
    /// Begins to watch.
    #[track_caller]
    pub fn watch(address: &str) -> Self {
        gst::init().unwrap();
        let description = format!(
            "rtspsrc location={address} protocols=tcp latency=0 ! rtph264depay ! h264parse ! avdec_h264 \
             ! appsink name=sink sync=false caps=video/x-raw,format=I420"
        );
        let pipeline = gst::parse::launch(&description)
            .unwrap()
            .downcast::<gst::Pipeline>()
            .unwrap();
        let sink = pipeline
            .by_name("sink")
            .unwrap()
            .downcast::<gst_app::AppSink>()
            .unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let info = gst_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
            let frame =
                gst_video::VideoFrameRef::from_buffer_ref_readable(sample.buffer().unwrap(), &info)
                    .unwrap();
            use gst_video::prelude::*;
            let (stride, height) = (frame.plane_stride()[0] as usize, info.height() as usize);
            let luma = frame.plane_data(0).unwrap();
            kept.lock().unwrap().push(Seen {
                time: sample.buffer().unwrap().pts().unwrap().into(),
                at: Instant::now(),
                size: (info.width(), info.height()),
                top: luma[2 * stride + 2],
                bottom: luma[(height - 2) * stride + 2],
            });
            Ok(gst::FlowSuccess::Ok)
        });
        sink.set_callbacks(callbacks.build());
        pipeline.set_state(gst::State::Playing).unwrap();
        Self { pipeline, seen }
    }

    /// Everything that was seen.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits for a frame after the first `from` for which `is_so`; returns its number.
    #[track_caller]
    pub fn wait(&self, what: &str, from: usize, is_so: impl Fn(&Seen) -> bool) -> usize {
        let found = || {
            let seen = self.seen.lock().unwrap();
            (from..seen.len()).find(|number| is_so(&seen[*number]))
        };
        let tell = || {
            let error = self
                .pipeline
                .bus()
                .unwrap()
                .pop_filtered(&[gst::MessageType::Error, gst::MessageType::Eos]);
            let seen = self.seen();
            format!("{} frames, last {:?}, {error:?}", seen.len(), seen.last())
        };
        wait(what, tell, || found().is_some());
        found().unwrap()
    }

    /// Asserts that the connection is still the one that was begun with.
    #[track_caller]
    pub fn assert_unbroken(&self) {
        let ended = self
            .pipeline
            .bus()
            .unwrap()
            .pop_filtered(&[gst::MessageType::Error, gst::MessageType::Eos]);
        assert!(ended.is_none(), "{ended:?}");
    }
}
