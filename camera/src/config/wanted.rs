//! What can be asked for: the page, the gallery, cameras and what comes out of them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::secret::Secret;
use super::source::{Source, Transport};
use crate::link::DELAYS;

/// Port of the page where nothing else is asked for.
pub const HTTP_PORT: u16 = 8022;
/// Port of the RTSP server where nothing else is asked for.
pub const RTSP_PORT: u16 = 8554;

/// Everything that the program does.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The page, health and metrics; `None` for no HTTP at all.
    pub http: Option<Http>,
    /// Address of the RTSP server, which runs where a camera has an `rtsp` output.
    pub rtsp: SocketAddr,
    /// Snapshots of faces; off by default.
    pub gallery: Option<GalleryConfig>,
    /// Cameras, at least one, each of another name.
    pub cameras: Vec<CameraConfig>,
}

/// The page, health and metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// Address and port; loopback unless told otherwise.
    pub listen: SocketAddr,
    /// What has to be shown to see anything but `/healthz` and `/readyz`.
    pub token: Option<Secret>,
}

/// Snapshots of faces.
#[derive(Debug, Clone, PartialEq)]
pub struct GalleryConfig {
    /// Folder of pictures and of `gallery.sqlite`.
    pub folder: PathBuf,
    /// How long and how much is kept.
    pub keep: Keep,
}

/// How long and how much is kept; `None` for no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Keep {
    /// Oldest age.
    pub age: Option<Duration>,
    /// Most bytes.
    pub size: Option<u64>,
}

/// A camera and what becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraConfig {
    /// Name, in addresses, labels and files: letters, digits, `-` and `_`.
    pub name: String,
    /// Where the pictures come from.
    pub source: Source,
    /// How RTP is carried.
    pub transport: Transport,
    /// How long late packets are waited for.
    pub latency: Duration,
    /// Waits before the first, second and further attempts to connect; the last one for ever.
    pub reconnect: Vec<Duration>,
    /// User name for the source.
    pub user: Option<String>,
    /// Password for the source.
    pub password: Option<Secret>,
    /// Whether sound is copied.
    pub sound: bool,
    /// Width and height of what comes out; `None` for four times the first frame's.
    pub size: Option<(u32, u32)>,
    /// Constant quality of the encoder: x264's quantizer, 1 to 50, less is better.
    pub quality: u32,
    /// Bit rate in kbit/s instead of a constant quality.
    pub bitrate: Option<u32>,
    /// Properties of the element `srfusion`, in their written form.
    pub engine: Vec<(String, String)>,
    /// Path at the RTSP server, beginning with a slash.
    pub rtsp: Option<String>,
    /// HTTP Live Streaming.
    pub hls: Option<Hls>,
    /// Recordings.
    pub record: Option<Record>,
    /// Whether faces go into the gallery, where there is one.
    pub gallery: bool,
}

/// HTTP Live Streaming: `index.m3u8` and its segments in a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Hls {
    /// Folder, made if it is missing.
    pub folder: PathBuf,
    /// Length of a segment, whole seconds.
    pub segment: Duration,
    /// Segments in the playlist.
    pub length: u32,
}

/// Recordings in files of one length.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Folder, made if it is missing.
    pub folder: PathBuf,
    /// Length of a file.
    pub segment: Duration,
    /// How long and how much is kept.
    pub keep: Keep,
}

impl CameraConfig {
    /// A camera of defaults, without an output.
    pub fn new(name: &str, source: Source) -> Self {
        Self {
            name: name.to_owned(),
            source,
            transport: Transport::Auto,
            latency: Duration::from_millis(200),
            reconnect: DELAYS.to_vec(),
            user: None,
            password: None,
            sound: true,
            size: None,
            quality: 23,
            bitrate: None,
            engine: vec![],
            rtsp: None,
            hls: None,
            record: None,
            gallery: true,
        }
    }

    /// What goes wrong with this camera's settings as a whole.
    ///
    /// # Errors
    /// The reason, for the user.
    pub fn check(&self) -> Result<(), String> {
        if self.password.is_some() && self.user.is_none() {
            return Err("there is a password without a user; add user = \"...\"".into());
        }
        if (self.user.is_some() || self.password.is_some()) && !self.source.has_credentials() {
            return Err(format!(
                "{} takes neither user nor password",
                self.source.shown()
            ));
        }
        Ok(())
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, HTTP_PORT).into(),
            token: None,
        }
    }
}

/// The RTSP server's address where nothing else is asked for.
pub fn default_rtsp() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, RTSP_PORT).into()
}
