//! What is in a file, as ffprobe tells it: streams, chapters, tags, and the time of every packet.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::bounds;
use crate::failure::{Failure, Result};
use crate::video::tools;

/// Tags by name.
pub type Tags = BTreeMap<String, String>;

/// A file.
#[derive(Debug)]
pub struct Input {
    /// Where it lies.
    pub path: PathBuf,
    /// The container.
    pub format: Format,
    /// Every stream in the order of the file.
    pub streams: Vec<Stream>,
    /// Chapters.
    pub chapters: Vec<Chapter>,
    /// Packets of each stream, in the order of the file.
    pub packets: Vec<Vec<Packet>>,
    /// What ffprobe complained of.
    pub messages: Vec<String>,
}

/// A container.
#[derive(Debug, Default, Deserialize)]
pub struct Format {
    /// Names of the format, separated by commas.
    #[serde(default)]
    pub format_name: String,
    duration: Option<String>,
    /// Tags of the whole file.
    #[serde(default)]
    pub tags: Tags,
}

/// A chapter.
#[derive(Debug, Deserialize)]
pub struct Chapter {}

/// A stream.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Stream {
    /// Number in the file.
    pub index: usize,
    /// Codec as ffmpeg names it; empty where it does not know it.
    pub codec_name: String,
    /// `video`, `audio`, `subtitle`, `attachment` or `data`.
    pub codec_type: String,
    /// Four letters of the codec in the container.
    pub codec_tag_string: String,
    /// Unit of time, `1/90000`.
    pub time_base: String,
    /// Frames in a second, on average.
    pub avg_frame_rate: String,
    /// Frames in a second, by the file's word.
    pub r_frame_rate: String,
    /// Frames, by the file's word.
    pub nb_frames: Option<String>,
    /// Time of its first packet in seconds.
    pub start_time: Option<String>,
    /// Length in seconds, by the file's word.
    pub duration: Option<String>,
    /// Channels of sound.
    pub channels: u32,
    /// Samples of sound in a second.
    pub sample_rate: Option<String>,
    /// Whether it is the default, a cover picture and so on, 0 or 1.
    pub disposition: BTreeMap<String, u8>,
    /// Tags of the stream.
    pub tags: Tags,
    /// What lies beside the pixels: rotation, HDR.
    pub side_data_list: Vec<SideData>,
}

/// What lies beside the pixels.
pub type SideData = BTreeMap<String, serde_json::Value>;

/// A packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Time in units of the stream, if it has one.
    pub pts: Option<i64>,
    /// Length in the same units.
    pub duration: i64,
    /// Bytes.
    pub size: u64,
    /// Whether decoding can begin with it, by the file's word.
    pub key: bool,
    /// Whether it is decoded for the sake of others only.
    pub discarded: bool,
    /// Whether the demuxer found it damaged.
    pub corrupt: bool,
}

/// A decoded frame as ffprobe describes it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct FrameFacts {
    /// Width in pixels before any turning.
    pub width: u32,
    /// Height in pixels before any turning.
    pub height: u32,
    /// Format of the samples.
    pub pix_fmt: String,
    /// Shape of a pixel, `4:3`.
    pub sample_aspect_ratio: Option<String>,
    /// `tv` or `pc`.
    pub color_range: Option<String>,
    /// Matrix.
    pub color_space: Option<String>,
    /// Primaries.
    pub color_primaries: Option<String>,
    /// Transfer function.
    pub color_transfer: Option<String>,
    /// Where chroma lies.
    pub chroma_location: Option<String>,
    /// HDR fields.
    pub side_data_list: Vec<SideData>,
}

/// A unit of time: `num / den` seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, Deserialize)]
pub struct TimeBase {
    /// Numerator.
    pub num: u32,
    /// Denominator.
    pub den: u32,
}

impl TimeBase {
    /// Reads `1/90000`.
    pub fn read(text: &str) -> Option<Self> {
        let (num, den) = text.split_once('/')?;
        let (num, den) = (num.parse().ok()?, den.parse().ok()?);
        (num > 0 && den > 0).then_some(Self { num, den })
    }

    /// Nanoseconds of `units`, rounded.
    pub fn nanoseconds(self, units: i64) -> i64 {
        let exact = i128::from(units) * i128::from(self.num) * 1_000_000_000;
        let den = i128::from(self.den);
        i64::try_from((exact + den / 2).div_euclid(den)).unwrap_or(i64::MAX)
    }

    /// Units of `nanoseconds`, rounded.
    pub fn units(self, nanoseconds: i64) -> i64 {
        let exact = i128::from(nanoseconds) * i128::from(self.den);
        let unit = i128::from(self.num) * 1_000_000_000;
        i64::try_from((exact + unit / 2).div_euclid(unit)).unwrap_or(i64::MAX)
    }

    /// Seconds of `units`.
    pub fn seconds(self, units: i64) -> f64 {
        units as f64 * f64::from(self.num) / f64::from(self.den)
    }
}

impl Stream {
    /// Whether it has the flag `name`.
    pub fn is(&self, name: &str) -> bool {
        self.disposition.get(name).is_some_and(|&flag| flag > 0)
    }

    /// Its unit of time, microseconds where it has none.
    pub fn unit(&self) -> TimeBase {
        TimeBase::read(&self.time_base).unwrap_or(TimeBase {
            num: 1,
            den: 1_000_000,
        })
    }

    /// How it is to be turned to stand upright, in degrees.
    pub fn rotation(&self) -> i64 {
        let value = self
            .side_data_list
            .iter()
            .find_map(|data| data.get("rotation"));
        value
            .and_then(|value| value.as_f64())
            .map_or(0, |angle| angle as i64)
    }

    /// Frames in a second, if the file says so.
    pub fn rate(&self) -> Option<TimeBase> {
        TimeBase::read(&self.avg_frame_rate).or_else(|| TimeBase::read(&self.r_frame_rate))
    }

    /// What people call it: `sound 0:1 (aac)`.
    pub fn name(&self) -> String {
        let kind = match self.codec_type.as_str() {
            "audio" => "sound",
            "subtitle" => "text",
            "" => "unknown",
            other => other,
        };
        let codec = match self.codec_name.as_str() {
            "" | "unknown" => self.codec_tag_string.trim(),
            codec => codec,
        };
        format!("{kind} 0:{} ({codec})", self.index)
    }

    /// Time of its first packet in microseconds, by ffmpeg's reckoning.
    pub fn start(&self) -> Option<i64> {
        let seconds: f64 = self.start_time.as_deref()?.parse().ok()?;
        Some((seconds * 1e6).round() as i64)
    }

    /// Length by the file's word, in seconds.
    pub fn said_duration(&self) -> Option<f64> {
        let said = self.duration.as_deref().and_then(|text| text.parse().ok());
        said.or_else(|| self.tags.get("DURATION").and_then(|text| clock_time(text)))
    }
}

/// Reads `00:00:04.023000000`, in seconds.
fn clock_time(text: &str) -> Option<f64> {
    let mut seconds = 0.0;
    for part in text.split(':') {
        seconds = seconds * 60.0 + part.trim().parse::<f64>().ok()?;
    }
    Some(seconds)
}

#[derive(Debug, Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Answer {
    streams: Vec<Stream>,
    chapters: Vec<Chapter>,
    format: Format,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Frames {
    frames: Vec<FrameFacts>,
}

impl Input {
    /// Looks at the file at `path`, without its packets.
    ///
    /// # Errors
    /// [`Failure::Failed`] if it is no file that ffprobe knows.
    pub fn open(path: &Path) -> Result<Self> {
        let (answer, messages) =
            tools::probe::<Answer>(path, &["-show_streams", "-show_format", "-show_chapters"])?;
        if answer.streams.is_empty() {
            let reason = messages.last().map_or("", |text| text);
            return Err(Failure::Failed(format!(
                "{}: neither a picture nor a video that ffmpeg knows{}{reason}",
                path.display(),
                if reason.is_empty() { "" } else { ": " }
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            format: answer.format,
            packets: vec![Vec::new(); answer.streams.len()],
            streams: answer.streams,
            chapters: answer.chapters,
            messages,
        })
    }

    /// Reads the time, size and flags of every packet, which takes a pass over the file.
    ///
    /// # Errors
    /// [`Failure::Failed`] if ffprobe cannot be run.
    pub fn read_packets(&mut self) -> Result<()> {
        let mut arguments: Vec<OsString> = [
            "-hide_banner",
            "-loglevel",
            "repeat+level+warning",
            "-show_entries",
            "packet=stream_index,pts,duration,size,flags",
            "-of",
            "csv=p=0",
        ]
        .map(Into::into)
        .to_vec();
        arguments.extend(tools::decoded(&self.path));
        let output = tools::output(tools::command("ffprobe", arguments))?;
        let words = String::from_utf8_lossy(&output.stderr);
        let faults = words.lines().filter(|line| tools::is_fault(line));
        self.messages.extend(faults.map(tools::clean));
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            if let Some((index, packet)) = packet(line)
                && let Some(packets) = self.packets.get_mut(index)
            {
                packets.push(packet);
            }
        }
        Ok(())
    }

    /// The stream to upscale: the default one of those that are no cover, or the first.
    ///
    /// # Errors
    /// [`Failure::Failed`] if there is none.
    pub fn video(&self) -> Result<&Stream> {
        let videos = || {
            self.streams.iter().filter(|stream| {
                stream.codec_type == "video"
                    && !stream.is("attached_pic")
                    && !stream.is("timed_thumbnails")
            })
        };
        videos()
            .find(|stream| stream.is("default"))
            .or_else(|| videos().next())
            .ok_or_else(|| Failure::Failed(format!("{}: no video in it", self.path.display())))
    }

    /// Whether the format counts time from an arbitrary start, which is taken off then: broadcasts do.
    pub fn starts_anywhere(&self) -> bool {
        self.format.format_name.split(',').any(|name| {
            matches!(
                name,
                "mpegts" | "mpeg" | "mpegvideo" | "rtp" | "rtsp" | "wtv"
            )
        })
    }

    /// Whether it is of a format with an index of key frames, in which ffmpeg goes where it is told to.
    pub fn has_index(&self) -> bool {
        self.format
            .format_name
            .split(',')
            .any(|name| matches!(name, "mov" | "matroska"))
    }

    /// Times of the packets of `stream` that are shown, in order, and whether decoding can begin with each; `None` where one has no time or
    /// two have the same.
    pub fn shown(&self, stream: &Stream) -> Option<Vec<(i64, bool)>> {
        let shown = self.packets[stream.index]
            .iter()
            .filter(|packet| !packet.discarded);
        let mut packets: Vec<_> = shown
            .map(|packet| Some((packet.pts?, packet.key)))
            .collect::<Option<_>>()?;
        packets.sort_unstable();
        let apart = packets.windows(2).all(|pair| pair[0].0 < pair[1].0);
        apart.then_some(packets)
    }

    /// Length by the file's word, in seconds.
    pub fn said_duration(&self) -> Option<f64> {
        self.format
            .duration
            .as_deref()
            .and_then(|text| text.parse().ok())
    }

    /// The first frame of `stream` that can be decoded.
    ///
    /// # Errors
    /// [`Failure::Failed`] if there is none, with the decoder's reason, or if it is too large.
    pub fn first_frame(&self, stream: &Stream) -> Result<FrameFacts> {
        let index = stream.index.to_string();
        let mut reason = String::new();
        // A file may begin in the middle of a group of pictures.
        for packets in ["%+#1", "%+#300"] {
            let options = [
                "-select_streams",
                &index,
                "-show_frames",
                "-read_intervals",
                packets,
            ];
            let (found, messages) = tools::probe::<Frames>(&self.path, &options)?;
            let whole = |facts: &FrameFacts| facts.width > 0 && facts.height > 0;
            if let Some(facts) = found.frames.into_iter().find(whole) {
                bounds::check(&self.path, facts.width.into(), facts.height.into())?;
                return Ok(facts);
            }
            if let Some((width, height)) = bounds::refused(&messages) {
                bounds::check(&self.path, width, height)?;
            }
            reason = messages
                .last()
                .map_or(String::new(), |text| format!(": {text}"));
        }
        Err(Failure::Failed(format!(
            "{}: not one frame could be decoded{reason}",
            self.path.display()
        )))
    }
}

impl Input {
    /// Whether the pictures of `stream`, of which `frame` is the first, may be transparent: their format has transparency, or the file
    /// says that it lies beside them, as in WebM, where ffmpeg's decoders do not look for it.
    ///
    /// # Errors
    /// [`Failure::Failed`] if ffmpeg cannot be run.
    pub fn is_transparent(&self, stream: &Stream, frame: &FrameFacts) -> Result<bool> {
        const FORMATS: [&str; 11] = [
            "yuva", "ya8", "ya16", "rgba", "bgra", "argb", "abgr", "gbrap", "ayuv", "vuya", "pal8",
        ];
        let beside = stream
            .tags
            .iter()
            .any(|(name, value)| name.eq_ignore_ascii_case("alpha_mode") && value == "1");
        let format = |name: &&str| frame.pix_fmt.starts_with(*name);
        if beside || !FORMATS.iter().any(&format) {
            return Ok(beside);
        }
        if stream.codec_name != "gif" && frame.pix_fmt != "pal8" {
            return Ok(true);
        }
        // Every GIF and every palette is decoded so, most of them without any transparency: looked for in the first frames.
        let mut arguments: Vec<OsString> = ["-v", "quiet"].map(Into::into).to_vec();
        arguments.extend(tools::decoded(&self.path));
        let map = format!("0:{}", stream.index);
        let alpha = "format=rgba,alphaextract,format=gray";
        let options = [
            "-map",
            &map,
            "-frames:v",
            "50",
            "-vf",
            alpha,
            "-f",
            "rawvideo",
            "pipe:1",
        ];
        arguments.extend(options.map(Into::into));
        let output = tools::output(tools::command("ffmpeg", arguments))?;
        Ok(output.stdout.iter().any(|alpha| *alpha < u8::MAX))
    }
}

/// Reads `0,3600,3600,1530,K_`: stream, time, length, bytes, flags.
fn packet(line: &str) -> Option<(usize, Packet)> {
    let mut fields = line.split(',');
    let index = fields.next()?.parse().ok()?;
    let pts = fields.next()?.parse().ok();
    let duration = fields.next()?.parse().unwrap_or(0);
    let size = fields.next()?.parse().unwrap_or(0);
    let flags = fields.next().unwrap_or_default();
    Some((
        index,
        Packet {
            pts,
            duration,
            size,
            key: flags.contains('K'),
            discarded: flags.contains('D'),
            corrupt: flags.contains('C'),
        },
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_read() {
        let (index, found) = packet("2,N/A,512,100,_D").unwrap();
        assert_eq!((index, found.pts, found.duration), (2, None, 512));
        assert!(found.discarded && !found.corrupt && !found.key);
        let (_, found) = packet("0,-1024,1024,7,K_C").unwrap();
        assert_eq!(
            (found.pts, found.corrupt, found.key),
            (Some(-1024), true, true)
        );
    }

    #[test]
    fn units_and_nanoseconds_agree() {
        for base in [
            (1, 1000),
            (1001, 30000),
            (1, 90000),
            (1, 10_000_000),
            (1, 44100),
        ] {
            let base = TimeBase {
                num: base.0,
                den: base.1,
            };
            for units in [-5_000, -1, 0, 1, 7, 1_000_003, 123_456_789] {
                assert_eq!(base.units(base.nanoseconds(units)), units, "{base:?}");
            }
        }
    }

    #[test]
    fn clock_times_are_read() {
        assert_eq!(clock_time("00:01:04.5"), Some(64.5));
    }
}
