//! The files that a video can be written to: extension, muxer, encoders in the order of preference, and the sound that
//! the muxer takes.

use gst::prelude::*;

use crate::elements::{make, set};
use crate::failure::{Failure, Result};

/// A kind of video file.
#[derive(Debug)]
pub struct Container {
    extensions: &'static [&'static str],
    /// Muxer element.
    pub muxer: &'static str,
    /// Video encoders, best first.
    encoders: &'static [Encoder],
    /// Sound encoders for sound that cannot be copied, best first.
    pub sound_encoders: &'static [&'static str],
}

/// A video encoder with the settings that make its quality follow one number.
#[derive(Debug)]
pub struct Encoder {
    /// Element.
    pub element: &'static str,
    /// Debian's package of it.
    package: &'static str,
    /// Parser that goes between it and the muxer.
    pub parser: Option<&'static str>,
    /// Settings, in GStreamer's notation.
    settings: &'static [(&'static str, &'static str)],
    /// Setting that takes the quality, and the quality's scale in it.
    quality: (&'static str, fn(u32) -> String),
}

// No B-frames: with them the muxers of GStreamer 1.22 shift the first frame of a track that starts late. A short
// lookahead, because each frame that waits there takes sixteen times the input's memory.
const X264: Encoder = Encoder {
    element: "x264enc",
    package: "gstreamer1.0-plugins-ugly",
    parser: Some("h264parse"),
    settings: &[
        ("pass", "qual"),
        // Otherwise the element's default bit rate of 2 Mbit/s caps the quality asked for, and large frames come out in blocks.
        ("vbv-buf-capacity", "0"),
        ("speed-preset", "fast"),
        ("bframes", "0"),
        ("rc-lookahead", "10"),
    ],
    quality: ("quantizer", |quality| quality.to_string()),
};

const OPENH264: Encoder = Encoder {
    element: "openh264enc",
    package: "gstreamer1.0-plugins-bad",
    parser: Some("h264parse"),
    settings: &[("rate-control", "quality"), ("complexity", "high")],
    quality: ("qp-max", |quality| quality.max(1).to_string()),
};

const VP9: Encoder = Encoder {
    element: "vp9enc",
    package: "gstreamer1.0-plugins-good",
    parser: None,
    settings: &[
        ("end-usage", "cq"),
        ("target-bitrate", "400000000"),
        ("deadline", "1000000"),
        ("cpu-used", "4"),
        ("lag-in-frames", "0"),
        ("row-mt", "true"),
        ("threads", "8"),
    ],
    // VP9 counts to 63.
    quality: ("cq-level", |quality| (quality * 63 / 50).to_string()),
};

const CONTAINERS: &[Container] = &[
    Container {
        extensions: &["mp4", "m4v"],
        muxer: "mp4mux",
        encoders: &[X264, OPENH264],
        sound_encoders: &["avenc_aac", "fdkaacenc", "voaacenc"],
    },
    Container {
        extensions: &["mov"],
        muxer: "qtmux",
        encoders: &[X264, OPENH264],
        sound_encoders: &["avenc_aac", "fdkaacenc", "voaacenc"],
    },
    Container {
        extensions: &["mkv"],
        muxer: "matroskamux",
        encoders: &[X264, OPENH264],
        sound_encoders: &["flacenc", "avenc_aac", "opusenc"],
    },
    Container {
        extensions: &["webm"],
        muxer: "webmmux",
        encoders: &[VP9],
        sound_encoders: &["opusenc", "vorbisenc"],
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

    /// The first encoder that is installed, or the one called `wanted`.
    ///
    /// # Errors
    /// [`Failure::Usage`] if `wanted` is not one that this file can hold, [`Failure::Failed`] naming the packages if
    /// none is installed.
    pub fn encoder(&self, wanted: Option<&str>) -> Result<&'static Encoder> {
        let all = self.encoders;
        let names = || {
            all.iter()
                .map(|encoder| encoder.element)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let packages = |encoders: &[&Encoder]| {
            let each: Vec<_> = encoders
                .iter()
                .map(|encoder| format!("{} (Debian: {})", encoder.element, encoder.package))
                .collect();
            each.join(" or ")
        };
        if let Some(wanted) = wanted {
            let encoder = all
                .iter()
                .find(|encoder| encoder.element == wanted)
                .ok_or_else(|| {
                    Failure::Usage(format!(
                        "--encoder {wanted}: expected one of {} for this kind of file",
                        names()
                    ))
                })?;
            return if encoder.installed() {
                Ok(encoder)
            } else {
                Err(Failure::Failed(format!(
                    "the encoder is not installed: install {}",
                    packages(&[encoder])
                )))
            };
        }
        all.iter()
            .find(|encoder| encoder.installed())
            .ok_or_else(|| {
                Failure::Failed(format!(
                    "no encoder for the video is installed: install {}",
                    packages(&all.iter().collect::<Vec<_>>())
                ))
            })
    }
}

impl Encoder {
    /// Whether GStreamer has the element.
    pub fn installed(&self) -> bool {
        gst::ElementFactory::find(self.element).is_some()
    }

    /// The element, set to the quality `crf` (0 best, 50 worst).
    ///
    /// # Errors
    /// If the element cannot be made or does not know a setting.
    pub fn make(&self, crf: u32) -> Result<gst::Element> {
        let element = make(self.element)?;
        for (name, value) in self.settings {
            set(&element, name, value)?;
        }
        let (name, scale) = self.quality;
        let value = scale(crf);
        set(&element, name, &value)?;
        if self.element == OPENH264.element {
            // Both limits of what it may choose: constant quality.
            set(&element, "qp-min", &value)?;
        }
        Ok(element)
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
            (names.join(" "), container.encoder(None))
        })
        .collect()
}

/// The pad template by which `muxer` takes streams of `caps`, if it does.
pub fn template_for(muxer: &gst::Element, caps: &gst::Caps) -> Option<gst::PadTemplate> {
    muxer.pad_template_list().into_iter().find(|template| {
        template.direction() == gst::PadDirection::Sink
            && template.presence() == gst::PadPresence::Request
            && template.caps().can_intersect(caps)
    })
}
