//! What becomes of each stream of the input that is not the video to upscale: copied, encoded anew, or left out and named.

use crate::summary::SoundTrack;
use crate::video::container::Container;
use crate::video::probe::{Input, Stream};

/// What is done with a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The upscaled video takes its place.
    Upscaled,
    /// Every packet as it is.
    Copied,
    /// With an encoder of ffmpeg's and its options.
    Encoded(&'static str, Vec<String>),
    /// Not in the output.
    Left,
}

/// The plan for the streams of an input, in their order.
#[derive(Debug)]
pub struct Plan {
    /// One for each stream.
    pub actions: Vec<Action>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// What becomes of each sound track.
    pub sound: Vec<SoundTrack>,
}

/// Codings of text that are pictures, which no text can be made of.
const PICTURE_TEXT: &[&str] = &[
    "hdmv_pgs_subtitle",
    "dvd_subtitle",
    "dvb_subtitle",
    "xsub",
    "dvb_teletext",
];

/// GStreamer's media type of a sound coding, by which tracks were always named; ffmpeg's name for others.
fn media_type(codec: &str) -> String {
    let known = match codec {
        "aac" | "mp3" | "mp2" | "mp1" => "audio/mpeg",
        "opus" => "audio/x-opus",
        "vorbis" => "audio/x-vorbis",
        "flac" => "audio/x-flac",
        "ac3" => "audio/x-ac3",
        "eac3" => "audio/x-eac3",
        "dts" => "audio/x-dts",
        "alac" => "audio/x-alac",
        "pcm_alaw" => "audio/x-alaw",
        "pcm_mulaw" => "audio/x-mulaw",
        codec if codec.starts_with("pcm_") => "audio/x-raw",
        codec if codec.starts_with("amr") => "audio/AMR",
        codec if codec.starts_with("wma") => "audio/x-wma",
        codec => return codec.to_owned(),
    };
    known.to_owned()
}

/// Options of the encoder for a sound track.
fn sound_options(encoder: &str, stream: &Stream) -> Vec<String> {
    let channels = stream.channels.clamp(1, 8);
    match encoder {
        "aac" => vec!["-b:a".into(), format!("{}k", 96 * channels)],
        "libopus" => vec![
            "-b:a".into(),
            format!("{}k", (80 * channels).min(512)),
            // The encoder knows these arrangements of channels only.
            "-af".into(),
            "aformat=channel_layouts=7.1|5.1|5.0|quad|3.0|stereo|mono".into(),
        ],
        _ => Vec::new(),
    }
}

impl Plan {
    /// Decides for the streams of `input`, of which `video` is upscaled, in a file of `container`.
    pub fn make(input: &Input, video: usize, container: &Container, with_sound: bool) -> Self {
        let mut plan = Self {
            actions: Vec::new(),
            warnings: Vec::new(),
            sound: Vec::new(),
        };
        let mut left: Vec<String> = Vec::new();
        for stream in &input.streams {
            let action = if stream.index == video {
                Action::Upscaled
            } else {
                match stream.codec_type.as_str() {
                    "audio" => plan.sound(stream, container, with_sound),
                    "subtitle" => plan.text(stream, container),
                    "video" if stream.is("attached_pic") => take(container.covers),
                    "video" => take(container.videos.contains(&stream.codec_name.as_str())),
                    "attachment" => take(container.attachments),
                    // Titles of chapters: written anew from the chapters.
                    _ if stream.codec_tag_string == "text" && !input.chapters.is_empty() => {
                        plan.actions.push(Action::Left);
                        continue;
                    }
                    // The time of day of the first frame: written anew from the tag.
                    _ if stream.codec_tag_string == "tmcd" => {
                        plan.actions.push(Action::Left);
                        continue;
                    }
                    _ => Action::Left,
                }
            };
            let dropped_by_user = stream.codec_type == "audio" && !with_sound;
            if action == Action::Left && !dropped_by_user {
                left.push(stream.name());
            }
            plan.actions.push(action);
        }
        if !left.is_empty() {
            plan.warnings.push(format!(
                "the output's kind of file does not hold these streams; left out: {}",
                left.join(", ")
            ));
        }
        plan
    }

    fn sound(&mut self, stream: &Stream, container: &Container, wanted: bool) -> Action {
        let codec = stream.codec_name.as_str();
        let format = media_type(codec);
        let (action, said) = if !wanted || codec.is_empty() || codec == "unknown" {
            (Action::Left, "dropped")
        } else if container.takes_sound(codec) {
            (Action::Copied, "copied")
        } else {
            let lossless = codec.starts_with("pcm_")
                || matches!(
                    codec,
                    "flac" | "alac" | "wavpack" | "tta" | "truehd" | "mlp" | "ape"
                );
            // Companded sound has no more than what 16 bits hold, and is not worth a file without loss.
            let [first, second] = container.sound_encoders;
            let encoder = if lossless { first } else { second };
            self.warnings.push(format!(
                "the output's kind of file does not take {} as {format}: it is encoded anew as {}",
                stream.name(),
                encoder.trim_start_matches("lib")
            ));
            (
                Action::Encoded(encoder, sound_options(encoder, stream)),
                "encoded",
            )
        };
        self.sound.push(SoundTrack {
            format,
            action: said,
        });
        action
    }

    fn text(&mut self, stream: &Stream, container: &Container) -> Action {
        let codec = stream.codec_name.as_str();
        if container.takes_text(codec) {
            return Action::Copied;
        }
        if codec.is_empty() || codec == "unknown" || PICTURE_TEXT.contains(&codec) {
            return Action::Left;
        }
        self.warnings.push(format!(
            "the output's kind of file does not take {}: it is written as {}; left out: text styles that this does not have",
            stream.name(),
            container.text_encoder
        ));
        Action::Encoded(container.text_encoder, Vec::new())
    }
}

fn take(it: bool) -> Action {
    if it { Action::Copied } else { Action::Left }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::video::probe::Format;

    fn stream(index: usize, kind: &str, codec: &str) -> Stream {
        Stream {
            index,
            codec_type: kind.to_owned(),
            codec_name: codec.to_owned(),
            channels: 2,
            ..Stream::default()
        }
    }

    fn input() -> Input {
        let mut cover = stream(6, "video", "mjpeg");
        cover.disposition.insert("attached_pic".to_owned(), 1);
        let streams = vec![
            stream(0, "video", "h264"),
            stream(1, "audio", "vorbis"),
            stream(2, "audio", "aac"),
            stream(3, "subtitle", "subrip"),
            stream(4, "subtitle", "hdmv_pgs_subtitle"),
            stream(5, "attachment", "ttf"),
            cover,
            stream(7, "data", "bin_data"),
        ];
        Input {
            path: "in".into(),
            format: Format::default(),
            packets: vec![Vec::new(); streams.len()],
            streams,
            chapters: Vec::new(),
            messages: Vec::new(),
        }
    }

    fn plan(extension: &str, sound: bool) -> Plan {
        Plan::make(
            &input(),
            0,
            Container::by_extension(extension).unwrap(),
            sound,
        )
    }

    #[test]
    fn what_a_file_holds_is_copied_and_the_rest_is_named() {
        let found = plan("mkv", true);
        assert_eq!(found.actions[1..7], vec![Action::Copied; 6]);
        assert_eq!(found.actions[7], Action::Left);
        assert_eq!(found.warnings.len(), 1);

        let found = plan("mp4", true);
        assert!(matches!(found.actions[1], Action::Encoded("aac", _)));
        assert_eq!(found.actions[2], Action::Copied);
        assert!(matches!(found.actions[3], Action::Encoded("mov_text", _)));
        assert_eq!(found.actions[4..6], vec![Action::Left; 2]);
        assert_eq!(found.actions[6], Action::Copied);
        let all = found.warnings.join("\n");
        for word in [
            "audio/x-vorbis",
            "0:3 (subrip)",
            "0:4 (hdmv_pgs_subtitle)",
            "0:5 (ttf)",
            "0:7",
        ] {
            assert!(all.contains(word), "{word}: {all}");
        }
    }

    #[test]
    fn sound_that_is_not_wanted_is_dropped_without_a_word() {
        let found = plan("mkv", false);
        assert_eq!(found.actions[1..3], vec![Action::Left; 2]);
        assert!(found.sound.iter().all(|track| track.action == "dropped"));
        assert!(!found.warnings[0].contains("sound"));
    }
}
