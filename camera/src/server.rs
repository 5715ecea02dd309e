//! The RTSP server: one for all cameras. A camera's clients share one media, which is fed from its hub.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gst::glib;
use gst::prelude::*;
use gst_rtsp_server::prelude::*;

use crate::hub::{Hub, Outlet, description};

/// The server, in a thread of its own.
#[derive(Debug)]
pub struct Server {
    server: gst_rtsp_server::RTSPServer,
    context: glib::MainContext,
    ended: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        self.context.wakeup();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Payloader for sound, with the parser that it needs.
fn payloader(sound: &gst::Caps) -> Option<&'static str> {
    let structure = sound.structure(0)?;
    Some(match structure.name().as_str() {
        "audio/mpeg" if structure.get::<i32>("mpegversion") == Ok(1) => {
            "mpegaudioparse ! rtpmpapay"
        }
        "audio/mpeg" => "aacparse ! rtpmp4gpay",
        "audio/x-opus" => "rtpopuspay",
        "audio/x-alaw" => "rtppcmapay",
        "audio/x-mulaw" => "rtppcmupay",
        _ => return None,
    })
}

/// The description of a camera's media.
fn launch(sound: Option<&gst::Caps>) -> String {
    let mut text = format!(
        "( {} ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1",
        description("video")
    );
    if let Some(payloader) = sound.and_then(payloader) {
        text += &format!(" {} ! {payloader} name=pay1 pt=97", description("sound"));
    }
    text + " )"
}

impl Server {
    /// Listens.
    ///
    /// # Errors
    /// If the address cannot be had.
    pub fn start(listen: SocketAddr) -> Result<Self, String> {
        let context = glib::MainContext::new();
        let server = gst_rtsp_server::RTSPServer::new();
        server.set_address(&listen.ip().to_string());
        server.set_service(&listen.port().to_string());
        server
            .attach(Some(&context))
            .map_err(|_| format!("cannot serve RTSP at {listen}: is another program there?"))?;
        let ended = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new()
            .name("rtsp".into())
            .spawn({
                let (context, ended) = (context.clone(), ended.clone());
                let sessions = server.session_pool();
                move || {
                    let _ = context.with_thread_default(|| {
                        // Clients that are gone without a word are forgotten after a minute.
                        if let Some(sessions) = sessions {
                            let source = glib::timeout_source_new_seconds(
                                10,
                                None,
                                glib::Priority::DEFAULT,
                                move || {
                                    sessions.cleanup();
                                    glib::ControlFlow::Continue
                                },
                            );
                            source.attach(Some(&context));
                        }
                        // Not a main loop: one that is ended before it runs, runs for ever.
                        while !ended.load(Ordering::Relaxed) {
                            context.iteration(true);
                        }
                    });
                }
            })
            .map_err(|error| format!("no thread for the RTSP server: {error}"))?;
        Ok(Self {
            server,
            context,
            ended,
            thread: Some(thread),
        })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        u16::try_from(self.server.bound_port()).unwrap_or_default()
    }

    /// Serves what `hub` passes on at `path`, until the mount is dropped.
    pub fn mount(&self, path: &str, hub: &Arc<Hub>) -> Option<Mount> {
        let mounts = self.server.mount_points()?;
        let factory = gst_rtsp_server::RTSPMediaFactory::new();
        factory.set_shared(true);
        factory.set_latency(0);
        factory.set_suspend_mode(gst_rtsp_server::RTSPSuspendMode::None);
        factory.set_launch(&launch(hub.sound_caps().as_ref()));
        let weak = Arc::downgrade(hub);
        factory.connect_media_configure(move |_, media| {
            if let Some(hub) = weak.upgrade() {
                feed(media, &hub);
            }
        });
        mounts.add_factory(path, factory.clone());
        Some(Mount {
            mounts,
            factory,
            path: path.to_owned(),
        })
    }
}

/// Has `hub` feed a media while it is prepared.
fn feed(media: &gst_rtsp_server::RTSPMedia, hub: &Arc<Hub>) {
    let Ok(bin) = media.element().downcast::<gst::Bin>() else {
        return;
    };
    let source = |name| {
        let element = bin.by_name(name)?;
        element.downcast::<gst_app::AppSrc>().ok()
    };
    let Some(video) = source("video") else { return };
    let sound = source("sound");
    if let (Some(sound), Some(caps)) = (&sound, hub.sound_caps()) {
        sound.set_caps(Some(&caps));
    }
    let outlet = Outlet::new(video, sound, true);
    hub.join(outlet.clone());
    let hub = Arc::downgrade(hub);
    media.connect_unprepared(move |_| {
        if let Some(hub) = hub.upgrade() {
            hub.leave(&outlet);
        }
    });
}

/// A camera's place at the server.
#[derive(Debug)]
pub struct Mount {
    mounts: gst_rtsp_server::RTSPMountPoints,
    factory: gst_rtsp_server::RTSPMediaFactory,
    path: String,
}

impl Mount {
    /// Gives those who come first from now on this sound too.
    pub fn sound(&self, sound: &gst::Caps) {
        self.factory.set_launch(&launch(Some(sound)));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.mounts.remove_factory(&self.path);
    }
}
