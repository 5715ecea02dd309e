//! All cameras of the program: begun, changed and ended as the configuration says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use parking_lot::Mutex;

use crate::camera::Camera;
use crate::clock::Clock;
use crate::config::{Config, GalleryConfig};
use crate::engine::Pair;
use crate::gallery::Gallery;
use crate::log::{info, warning};
use crate::metrics::Metrics;
use crate::server::Server;
use crate::view::View;

/// All cameras, and what they share.
#[derive(Debug)]
pub struct Station {
    clock: Clock,
    /// Counters of all cameras.
    pub metrics: Metrics,
    cameras: Mutex<BTreeMap<String, Camera>>,
    server: Mutex<Option<Server>>,
    gallery: Mutex<Option<Gallery>>,
    config: Mutex<Option<Config>>,
}

impl Station {
    /// A station without cameras.
    pub fn new() -> Self {
        Self {
            clock: Clock::start(),
            metrics: Metrics::default(),
            cameras: Mutex::default(),
            server: Mutex::default(),
            gallery: Mutex::default(),
            config: Mutex::default(),
        }
    }

    /// Does what `config` says from now on: cameras that are as they were go on untouched, the others end, change or begin.
    ///
    /// # Errors
    /// An address that cannot be had, a gallery that cannot be opened, a camera that cannot be begun. The others are at work then.
    pub fn apply(&self, config: &Config) -> Result<(), String> {
        let before = self.config.lock().replace(config.clone());
        let mut faults = vec![];
        let served = config.cameras.iter().any(|camera| camera.rtsp.is_some());
        let anew = before
            .as_ref()
            .is_some_and(|before| before.rtsp != config.rtsp || before.gallery != config.gallery);
        if anew {
            // Both are shared by all cameras.
            self.end_all();
            *self.server.lock() = None;
            *self.gallery.lock() = None;
        }
        if served && self.server.lock().is_none() {
            match Server::start(config.rtsp) {
                Ok(server) => {
                    info!("serving rtsp://{}:{}", config.rtsp.ip(), server.port());
                    if !config.rtsp.ip().is_loopback() {
                        warning!("whoever reaches {} can see the pictures", config.rtsp);
                    }
                    *self.server.lock() = Some(server);
                }
                Err(reason) => faults.push(reason),
            }
        }
        if let Some(wanted) = &config.gallery
            && self.gallery.lock().is_none()
        {
            match Gallery::open(wanted) {
                Ok(gallery) => *self.gallery.lock() = Some(gallery),
                Err(reason) => faults.push(reason),
            }
        }
        let gone: Vec<_> = {
            let mut cameras = self.cameras.lock();
            let same = |camera: &Camera| config.cameras.contains(&camera.view.config);
            let names: Vec<_> = cameras
                .iter()
                .filter(|(_, camera)| !same(camera))
                .map(|(name, _)| name.clone())
                .collect();
            names
                .into_iter()
                .filter_map(|name| cameras.remove_entry(&name))
                .collect()
        };
        end(&self.metrics, gone);
        for camera in &config.cameras {
            if self.cameras.lock().contains_key(&camera.name) {
                continue;
            }
            info!("{}: watching {}", camera.name, camera.source.shown());
            let seconds = self.metrics.seconds(&camera.name);
            let started = Camera::start(
                camera.clone(),
                &self.clock,
                seconds,
                self.server.lock().as_ref(),
                self.faces(),
            );
            match started {
                Ok(started) => {
                    self.cameras.lock().insert(camera.name.clone(), started);
                }
                Err(reason) => faults.push(reason),
            }
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults.join("; "))
        }
    }

    /// Where frames with faces go.
    fn faces(&self) -> Option<SyncSender<(String, Arc<Pair>)>> {
        self.gallery.lock().as_ref().and_then(Gallery::sender)
    }

    /// Ends every camera, their files properly.
    pub fn end_all(&self) {
        let cameras = std::mem::take(&mut *self.cameras.lock());
        end(&self.metrics, cameras.into_iter().collect());
    }

    /// Ends everything.
    pub fn end(&self) {
        self.end_all();
        *self.server.lock() = None;
        *self.gallery.lock() = None;
    }

    /// What is known of each camera, by name.
    pub fn views(&self) -> Vec<Arc<View>> {
        let cameras = self.cameras.lock();
        cameras.values().map(|camera| camera.view.clone()).collect()
    }

    /// What is known of one.
    pub fn view(&self, name: &str) -> Option<Arc<View>> {
        let cameras = self.cameras.lock();
        cameras.get(name).map(|camera| camera.view.clone())
    }

    /// Where the gallery is, if there is one.
    pub fn gallery(&self) -> Option<GalleryConfig> {
        self.config.lock().as_ref()?.gallery.clone()
    }
}

/// Ends cameras, all at the same time.
fn end(metrics: &Metrics, cameras: Vec<(String, Camera)>) {
    cameras.iter().for_each(|(_, camera)| camera.stop());
    for (name, camera) in cameras {
        drop(camera);
        metrics.forget(&name);
    }
}
