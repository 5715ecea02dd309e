//! The files that a video can be written to: extension, ffmpeg's muxer, and which codings of video, sound and text it holds.

use crate::failure::{Failure, Result};
use crate::video::encoder::{Codec, Encoder};

/// A kind of video file.
#[derive(Debug)]
pub struct Container {
    extensions: &'static [&'static str],
    /// ffmpeg's muxer.
    pub muxer: &'static str,
    /// Codings of the video that it holds, the usual one first.
    pub codecs: &'static [Codec],
    /// Codings of further video tracks that are copied.
    pub videos: &'static [&'static str],
    /// Codings of sound that are copied; a name that ends with `_` stands for all that begin so.
    sound: &'static [&'static str],
    /// ffmpeg's encoders for other sound: for that which is stored without loss, and for the rest.
    pub sound_encoders: [&'static str; 2],
    /// Codings of text that are copied.
    text: &'static [&'static str],
    /// What other text becomes, if it is text and no picture.
    pub text_encoder: &'static str,
    /// Coding in which it holds transparent pictures, as people call it, and the options that ask for it, if it is written.
    pub transparent: Option<(&'static str, Option<&'static str>)>,
    /// Whether it holds attached files.
    pub attachments: bool,
    /// Whether it holds cover pictures.
    pub covers: bool,
}

const MP4_VIDEOS: &[&str] = &[
    "h264",
    "hevc",
    "av1",
    "vp9",
    "mpeg4",
    "mpeg2video",
    "mpeg1video",
    "mjpeg",
];

const CONTAINERS: &[Container] = &[
    Container {
        extensions: &["mp4", "m4v"],
        muxer: "mp4",
        codecs: &[Codec::H264, Codec::H265, Codec::Av1, Codec::Vp9],
        videos: MP4_VIDEOS,
        sound: &[
            "aac", "mp3", "mp2", "ac3", "eac3", "opus", "flac", "alac", "dts",
        ],
        sound_encoders: ["aac", "aac"],
        text: &["mov_text", "dvd_subtitle"],
        text_encoder: "mov_text",
        transparent: None,
        attachments: false,
        covers: true,
    },
    Container {
        extensions: &["mov"],
        muxer: "mov",
        codecs: &[Codec::H264, Codec::H265, Codec::ProRes],
        videos: &[
            "h264",
            "hevc",
            "prores",
            "mpeg4",
            "mpeg2video",
            "mjpeg",
            "dvvideo",
            "dnxhd",
            "png",
        ],
        sound: &[
            "aac",
            "mp3",
            "ac3",
            "eac3",
            "alac",
            "pcm_s16le",
            "pcm_s16be",
            "pcm_s24le",
            "pcm_s24be",
            "pcm_s32le",
            "pcm_s32be",
            "pcm_f32le",
            "pcm_f32be",
            "pcm_f64le",
            "pcm_f64be",
            "pcm_alaw",
            "pcm_mulaw",
            "pcm_s8",
            "pcm_u8",
        ],
        sound_encoders: ["pcm_s24le", "aac"],
        text: &["mov_text"],
        text_encoder: "mov_text",
        transparent: Some(("ProRes 4444", Some("--codec prores"))),
        attachments: false,
        covers: true,
    },
    Container {
        extensions: &["mkv"],
        muxer: "matroska",
        codecs: &[
            Codec::H264,
            Codec::H265,
            Codec::Av1,
            Codec::Vp9,
            Codec::Ffv1,
            Codec::ProRes,
        ],
        videos: &[
            "h264",
            "hevc",
            "av1",
            "vp8",
            "vp9",
            "mpeg4",
            "mpeg2video",
            "mpeg1video",
            "mjpeg",
            "ffv1",
            "prores",
            "theora",
            "huffyuv",
            "dirac",
            "vc1",
            "wmv3",
            "msmpeg4v3",
            "rv40",
            "dvvideo",
            "h263",
        ],
        sound: &[
            "aac",
            "mp3",
            "mp2",
            "ac3",
            "eac3",
            "opus",
            "vorbis",
            "flac",
            "alac",
            "dts",
            "truehd",
            "mlp",
            "wavpack",
            "tta",
            "wmav2",
            "wmapro",
            "pcm_s16le",
            "pcm_s16be",
            "pcm_s24le",
            "pcm_s24be",
            "pcm_s32le",
            "pcm_s32be",
            "pcm_f32le",
            "pcm_f64le",
            "pcm_u8",
            "pcm_alaw",
            "pcm_mulaw",
            "adpcm_ms",
            "adpcm_ima_wav",
        ],
        sound_encoders: ["flac", "aac"],
        text: &[
            "subrip",
            "srt",
            "ass",
            "ssa",
            "webvtt",
            "hdmv_pgs_subtitle",
            "dvd_subtitle",
            "dvb_subtitle",
            "text",
        ],
        text_encoder: "srt",
        transparent: Some(("FFV1", Some("--codec ffv1"))),
        attachments: true,
        covers: true,
    },
    Container {
        extensions: &["webm"],
        muxer: "webm",
        codecs: &[Codec::Vp9, Codec::Av1],
        videos: &["vp8", "vp9", "av1"],
        sound: &["opus", "vorbis"],
        sound_encoders: ["libopus", "libopus"],
        text: &["webvtt"],
        text_encoder: "webvtt",
        transparent: Some(("VP9", None)),
        attachments: false,
        covers: false,
    },
];

impl Container {
    /// The kind of file that `extension` (without its dot, lower case) stands for.
    pub fn by_extension(extension: &str) -> Option<&'static Self> {
        CONTAINERS
            .iter()
            .find(|container| container.extensions.contains(&extension))
    }

    /// Every extension, with its dot.
    pub fn extensions() -> Vec<String> {
        CONTAINERS
            .iter()
            .flat_map(|container| container.extensions)
            .map(|extension| format!(".{extension}"))
            .collect()
    }

    /// Whether sound coded as `codec` is copied into it.
    pub fn takes_sound(&self, codec: &str) -> bool {
        self.sound.contains(&codec)
    }

    /// Whether text coded as `codec` is copied into it.
    pub fn takes_text(&self, codec: &str) -> bool {
        self.text.contains(&codec)
    }

    /// Whether it counts time in whole milliseconds.
    pub fn in_milliseconds(&self) -> bool {
        matches!(self.muxer, "matroska" | "webm")
    }

    /// The encoder to use, see [`Encoder::find`], of the codec `codec` if one is named.
    ///
    /// # Errors
    /// [`Failure::Usage`] if this kind of file does not hold `codec`, and those of [`Encoder::find`].
    pub fn encoder(
        &self,
        codec: Option<&str>,
        element: Option<&str>,
        bits: u32,
    ) -> Result<&'static Encoder> {
        let Some(name) = codec else {
            return Encoder::find(element, self.codecs, bits);
        };
        let codec = self.codecs.iter().find(|codec| codec.name() == name);
        let codec = codec.ok_or_else(|| {
            let names: Vec<_> = self.codecs.iter().map(|codec| codec.name()).collect();
            Failure::Usage(format!(
                "--codec {name}: expected one of {} for .{}",
                names.join(", "),
                self.extensions.join(" and .")
            ))
        })?;
        Encoder::find(element, &[*codec], bits)
    }
}

/// The kinds of files with the first encoder of each that is installed, for `doctor`.
pub fn encoders_found() -> Vec<(String, Result<&'static Encoder>)> {
    CONTAINERS
        .iter()
        .map(|container| {
            let names: Vec<_> = container
                .extensions
                .iter()
                .map(|extension| format!(".{extension}"))
                .collect();
            (names.join(" "), container.encoder(None, None, 8))
        })
        .collect()
}
