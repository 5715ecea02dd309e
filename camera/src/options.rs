//! What can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

use crate::config::{
    CameraConfig, Config, HTTP_PORT, Hls, Http, Keep, Record, Secret, Source, Transport,
    default_rtsp, parse_sides, parse_size, parse_time,
};

/// Watch cameras for months: upscale what they show, serve it, record it, and show it on a page.
#[derive(Debug, Parser)]
#[command(
    name = "srfusion-camera",
    version,
    after_help = "\
With CONFIG.toml, everything else is in the file, and SIGHUP reads it again. With the address of a camera, a device or a video file, that one is \
watched: --rtsp, --hls and --record say what comes out (by default RTSP).

Exit status: 0 ended by a signal, or the file is in order; 1 failed; 2 wrong usage, or a file that is not in order."
)]
pub struct Options {
    /// Configuration, or one camera: rtsp://HOST/PATH, http://HOST/PATH, /dev/videoN or a video file in its place.
    #[arg(value_name = "CONFIG.toml|SOURCE")]
    pub source: String,
    /// Read the configuration, say what is wrong with each of its lines, and end.
    #[arg(long)]
    pub check_config: bool,
    /// The camera's name.
    #[arg(long, value_name = "NAME", default_value = "camera")]
    pub name: String,
    /// User name at the camera.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// File that holds the password at the camera.
    #[arg(long, value_name = "FILE", conflicts_with = "password_env")]
    pub password_file: Option<PathBuf>,
    /// Environment variable that holds the password at the camera.
    #[arg(long, value_name = "VARIABLE")]
    pub password_env: Option<String>,
    /// How RTP is carried: auto, udp or tcp.
    #[arg(long, value_name = "TRANSPORT", default_value = "auto", value_parser = |text: &str| {
        Transport::parse(text).ok_or_else(|| format!("expected {}", Transport::NAMES))
    })]
    pub transport: Transport,
    /// Leave the camera's sound out.
    #[arg(long)]
    pub no_sound: bool,
    /// Width and height of the output [default: four times the first frame's].
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = parse_sides)]
    pub size: Option<(u32, u32)>,
    /// A property of the element srfusion, such as general-model=general-x4-camera. May be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    pub engine: Vec<String>,
    /// Serve RTSP at this address [default: 127.0.0.1:8554, unless --hls or --record is given].
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub rtsp: Option<SocketAddr>,
    /// Write HTTP Live Streaming into this folder.
    #[arg(long, value_name = "FOLDER")]
    pub hls: Option<PathBuf>,
    /// Record into this folder.
    #[arg(long, value_name = "FOLDER")]
    pub record: Option<PathBuf>,
    /// Length of a recording's file.
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = parse_time)]
    pub segment: std::time::Duration,
    /// Delete recordings that are older.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub keep: Option<std::time::Duration>,
    /// Delete the oldest recordings when there is more than this.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub keep_size: Option<u64>,
    /// Address of the page, of health and metrics; port 0 takes one that is free.
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = SocketAddr::from(([127, 0, 0, 1], HTTP_PORT)))]
    pub http: SocketAddr,
}

impl Options {
    /// The configuration's path, if it is one.
    pub fn file(&self) -> Option<PathBuf> {
        let path = PathBuf::from(&self.source);
        let toml = path
            .extension()
            .is_some_and(|extension| extension == "toml");
        (toml && !self.source.contains("://")).then_some(path)
    }

    /// The configuration of the one camera that was typed.
    ///
    /// # Errors
    /// What was expected.
    pub fn config(&self) -> Result<Config, String> {
        let (source, user, password) = Source::parse(&self.source)?;
        let mut camera = CameraConfig::new(&self.name, source);
        crate::config::parse_name(&self.name).map_err(|reason| format!("--name: {reason}"))?;
        camera.transport = self.transport;
        camera.user = self.user.clone().or(user);
        camera.password = password;
        if let Some(path) = &self.password_file {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            camera.password = Some(Secret::new(text.trim_end_matches(['\r', '\n'])));
        }
        if let Some(name) = &self.password_env {
            let text = std::env::var(name);
            let text = text.map_err(|_| format!("the environment has no variable {name}"))?;
            camera.password = Some(Secret::new(text));
        }
        camera.check()?;
        camera.sound = !self.no_sound;
        camera.size = self.size;
        for pair in &self.engine {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| format!("--engine: expected NAME=VALUE, found '{pair}'"))?;
            let setting = srfusion::settings::setting(name)
                .ok_or_else(|| format!("--engine: the element srfusion has no setting {name}"))?;
            let value = setting.parse(value).map_err(|error| error.to_string())?;
            camera.engine.push((name.to_owned(), value.to_string()));
        }
        camera.hls = self.hls.clone().map(|folder| Hls {
            folder,
            segment: std::time::Duration::from_secs(4),
            length: 6,
        });
        camera.record = self.record.clone().map(|folder| Record {
            folder,
            segment: self.segment,
            keep: Keep {
                age: self.keep,
                size: self.keep_size,
            },
        });
        if self.rtsp.is_some() || (self.hls.is_none() && self.record.is_none()) {
            camera.rtsp = Some(format!("/{}", self.name));
        }
        Ok(Config {
            http: Some(Http {
                listen: self.http,
                token: None,
            }),
            rtsp: self.rtsp.unwrap_or_else(default_rtsp),
            gallery: None,
            cameras: vec![camera],
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn typed(text: &str) -> Options {
        Options::try_parse_from(text.split(' ')).unwrap()
    }

    #[test]
    fn the_definition_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn a_camera_is_typed_or_a_file() {
        let options = typed("srfusion-camera /etc/srfusion/cameras.toml --check-config");
        assert_eq!(options.file(), Some("/etc/srfusion/cameras.toml".into()));
        let options = typed(
            "srfusion-camera rtsp://u:p@h/s --transport tcp --engine hold-time=1s --record /tmp/r --keep 2d",
        );
        assert_eq!(options.file(), None);
        let config = options.config().unwrap();
        let camera = &config.cameras[0];
        assert_eq!(camera.user.as_deref(), Some("u"));
        assert_eq!(camera.engine[0].1, "1000000000");
        assert!(camera.rtsp.is_none());
        let alone = typed("srfusion-camera clip.mp4").config().unwrap();
        assert_eq!(alone.cameras[0].rtsp.as_deref(), Some("/camera"));
        assert_eq!(alone.rtsp.port(), 8554);
        let wrong = typed("srfusion-camera clip.mp4 --engine threads=many").config();
        assert!(wrong.unwrap_err().contains("threads"));
        assert!(typed("srfusion-camera clip.mp4 --user u").config().is_err());
    }
}
