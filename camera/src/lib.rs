//! Watches cameras for months: connects and connects again, upscales with the element `srfusion`, serves, records and shows what comes out.
//!
//! ```text
//! Input (made anew for every connection)            Engine                      Encoder            Hub
//! rtspsrc | souphttpsrc | v4l2src | filesrc          appsrc                      appsrc             |-- RTSP server
//!   ! decodebin ! appsink  -------------frames-----> ! srfusion ! appsink -----> ! x264enc  ------> |-- HLS
//!             `---- appsink  ---------------------------------- sound ----------------------------> |-- recordings
//! ```
//!
//! A camera has two threads of its own ([`camera`]): one looks after the connection, the middle and the files, the other keeps the output going,
//! with a notice where there is no picture. What they decide is in modules without threads, clocks or GStreamer: [`link`] (when to connect),
//! [`pace`] (what to show next), [`retention`] (what to delete), [`notice`], [`rate`] and [`config`].

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod camera;
mod clock;
mod config;
mod elements;
mod encoder;
mod engine;
mod gallery;
mod http;
mod hub;
mod legs;
mod link;
mod log;
mod mask;
mod metrics;
mod notice;
mod options;
mod output;
mod pace;
mod picture;
mod rate;
mod retention;
mod server;
mod source;
mod station;
mod view;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use config::{Config, Http};
use http::HttpServer;
use log::{error, info};
pub use options::Options;
use station::Station;

/// Why the program did not do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Failure {
    /// The arguments or the configuration are wrong, one line each; exit status 2.
    Usage(Vec<String>),
    /// The work could not be done; exit status 1.
    Failed(String),
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Failed(reason)
    }
}

/// Does what was typed. Returns when a signal ends it.
pub fn run(options: &Options) -> ExitCode {
    let outcome = if options.check_config {
        check(options)
    } else {
        watch(options)
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(lines)) => {
            lines.iter().for_each(|line| error!("{line}"));
            ExitCode::from(2)
        }
        Err(Failure::Failed(reason)) => {
            error!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// Reads what is to be done.
fn read(options: &Options) -> Result<Config, Failure> {
    let Some(path) = options.file() else {
        return options
            .config()
            .map_err(|reason| Failure::Usage(vec![reason]));
    };
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Failure::Usage(vec![format!("cannot read {}: {error}", path.display())])
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    config::read(&text, folder, |name| std::env::var(name).ok()).map_err(|faults| {
        let line = |fault: &config::Fault| format!("{}:{fault}", path.display());
        Failure::Usage(faults.iter().map(line).collect())
    })
}

/// Whether the models that a camera names are there.
fn models(config: &Config) -> Result<(), Failure> {
    let near = std::env::current_exe().ok();
    let faults: Vec<_> = config
        .cameras
        .iter()
        .filter_map(|camera| {
            let mut settings = srfusion::Settings::default();
            settings.config.near.clone_from(&near);
            for (name, text) in &camera.engine {
                // Was read as a value of this setting before.
                if let Some(setting) = srfusion::settings::setting(name)
                    && let Ok(value) = setting.parse(text)
                {
                    let _ = setting.set(&mut settings, value);
                }
            }
            let error = srfusion::models::resolve_all(&settings.config).err()?;
            Some(format!("camera '{}': {error}", camera.name))
        })
        .collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Failure::Usage(faults))
    }
}

fn check(options: &Options) -> Result<(), Failure> {
    let config = read(options)?;
    models(&config)?;
    let count = config.cameras.len();
    let cameras = if count == 1 { "camera" } else { "cameras" };
    println!("{}: in order, {count} {cameras}", options.source);
    Ok(())
}

/// Serves the page as `wanted` says; one that is as it was goes on.
fn serve(
    server: &mut Option<(Http, HttpServer)>,
    wanted: Option<&Http>,
    station: &Arc<Station>,
) -> Result<(), String> {
    if server.as_ref().map(|(config, _)| config) == wanted {
        return Ok(());
    }
    *server = None;
    if let Some(wanted) = wanted {
        let started = HttpServer::start(wanted, station.clone())?;
        *server = Some((wanted.clone(), started));
    }
    Ok(())
}

fn watch(options: &Options) -> Result<(), Failure> {
    let config = read(options)?;
    elements::init()?;
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|error| format!("signals cannot be caught: {error}"))?;
    let station = Arc::new(Station::new());
    let mut server = None;
    station.apply(&config)?;
    serve(&mut server, config.http.as_ref(), &station)?;
    // Without systemd nobody listens.
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    let watchdog = sd_notify::watchdog_enabled();
    let beat = watchdog.map_or(Duration::from_secs(1), |limit| limit / 3);
    loop {
        for signal in signals.pending() {
            if signal == SIGHUP {
                let _ = sd_notify::notify(&[NotifyState::Reloading]);
                reload(options, &station, &mut server);
                let _ = sd_notify::notify(&[NotifyState::Ready]);
            } else {
                info!("ending");
                let _ = sd_notify::notify(&[NotifyState::Stopping]);
                drop(server);
                station.end();
                return Ok(());
            }
        }
        if watchdog.is_some() && station.views().iter().all(|view| view.healthy()) {
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        }
        std::thread::sleep(beat.min(Duration::from_millis(200)));
    }
}

/// Reads the file again. One that is not in order changes nothing.
fn reload(options: &Options, station: &Arc<Station>, server: &mut Option<(Http, HttpServer)>) {
    match read(options) {
        Ok(config) => {
            let applied = station.apply(&config);
            let served = serve(server, config.http.as_ref(), station);
            for reason in [applied, served].into_iter().filter_map(Result::err) {
                error!("{reason}");
            }
            info!("the configuration was read again");
        }
        Err(Failure::Usage(lines)) => {
            lines.iter().for_each(|line| error!("{line}"));
            error!("the configuration is not in order; everything goes on as before");
        }
        Err(Failure::Failed(reason)) => error!("{reason}"),
    }
}
