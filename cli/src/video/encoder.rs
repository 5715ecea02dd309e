//! The encoders of videos that are known, in the order of preference: their settings, what they can take, and how a quality
//! is said to them.

use gst::prelude::*;

use crate::elements::{make, set};
use crate::failure::{Failure, Result};

/// A coding of video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// H.264
    H264,
    /// H.265
    H265,
    /// AV1
    Av1,
    /// VP9
    Vp9,
    /// ProRes
    ProRes,
    /// FFV1, without loss
    Ffv1,
}

/// A video encoder with the settings that make its quality follow one number.
#[derive(Debug)]
pub struct Encoder {
    /// Element.
    pub element: &'static str,
    /// What it makes.
    pub codec: Codec,
    /// Debian's package of it.
    package: &'static str,
    /// Whether it is taken only when it is asked for by name: it needs a certain device, or says something else of quality.
    hardware: bool,
    /// Settings, in GStreamer's notation.
    settings: &'static [(&'static str, &'static str)],
    /// Settings that take the quality, and the quality's scale in them.
    quality: &'static [&'static str],
    scale: fn(u32) -> u32,
    /// Setting that takes a preset.
    preset: Option<&'static str>,
    /// Setting that takes the greatest distance of key frames, and what it takes for none but the first.
    keys: Option<&'static str>,
    /// Format of frames of 8 bits and of 10.
    formats: [Option<&'static str>; 2],
    /// That of transparent frames, whatever the bits, and the settings that it asks for.
    transparent: Option<(&'static str, &'static [(&'static str, &'static str)])>,
    /// Sides that can be encoded, in pixels.
    sides: (u32, u32),
}

impl Codec {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "h265",
            Self::Av1 => "av1",
            Self::Vp9 => "vp9",
            Self::ProRes => "prores",
            Self::Ffv1 => "ffv1",
        }
    }

    /// Parser between encoder and muxer, and the form in which the muxer takes packets.
    pub fn packets(self) -> (Option<&'static str>, &'static str) {
        match self {
            Self::H264 => (
                Some("h264parse"),
                "video/x-h264,stream-format=avc,alignment=au",
            ),
            Self::H265 => (
                Some("h265parse"),
                "video/x-h265,stream-format=hvc1,alignment=au",
            ),
            Self::Av1 => (
                Some("av1parse"),
                "video/x-av1,stream-format=obu-stream,alignment=tu",
            ),
            Self::Vp9 => (Some("vp9parse"), "video/x-vp9,alignment=super-frame"),
            Self::ProRes => (None, "video/x-prores"),
            Self::Ffv1 => (None, "video/x-ffv"),
        }
    }

    /// Muxer of the file in which the finished track is handed on. All but Matroska's keep any unit of time.
    pub fn muxer(self) -> &'static str {
        match self {
            Self::Ffv1 => "matroskamux",
            Self::ProRes => "qtmux",
            _ => "mp4mux",
        }
    }
}

/// Shortest side that GStreamer's MP4 muxer takes, and x265.
const SMALLEST: u32 = 16;

// No B-frames anywhere: pictures come out in the order of their times, and no edit list is needed. A short lookahead, because
// each frame that waits there takes sixteen times the input's memory.
const X264: Encoder = Encoder {
    element: "x264enc",
    codec: Codec::H264,
    package: "gstreamer1.0-plugins-ugly",
    hardware: false,
    settings: &[
        ("pass", "qual"),
        // Otherwise the element's default bit rate of 2 Mbit/s caps the quality asked for, and large frames come out in blocks.
        ("vbv-buf-capacity", "0"),
        ("speed-preset", "fast"),
        ("bframes", "0"),
        ("rc-lookahead", "10"),
    ],
    quality: &["quantizer"],
    scale: |quality| quality,
    preset: Some("speed-preset"),
    keys: Some("key-int-max"),
    formats: [Some("I420"), Some("I420_10LE")],
    transparent: None,
    sides: (SMALLEST, 16_384),
};

const OPENH264: Encoder = Encoder {
    element: "openh264enc",
    codec: Codec::H264,
    package: "gstreamer1.0-plugins-bad",
    hardware: false,
    settings: &[("rate-control", "quality"), ("complexity", "high")],
    // Both limits of what it may choose: constant quality.
    quality: &["qp-max", "qp-min"],
    scale: |quality| quality.max(1),
    preset: None,
    keys: None,
    formats: [Some("I420"), None],
    transparent: None,
    sides: (SMALLEST, 3_840),
};

const X265: Encoder = Encoder {
    element: "x265enc",
    codec: Codec::H265,
    package: "gstreamer1.0-plugins-bad",
    hardware: false,
    settings: &[
        ("speed-preset", "fast"),
        ("option-string", "bframes=0:rc-lookahead=10:log-level=none"),
    ],
    quality: &["qp"],
    scale: |quality| quality,
    preset: Some("speed-preset"),
    keys: None,
    formats: [Some("I420"), Some("I420_10LE")],
    transparent: None,
    sides: (SMALLEST, 16_384),
};

const AV1: Encoder = Encoder {
    element: "av1enc",
    codec: Codec::Av1,
    package: "gstreamer1.0-plugins-bad",
    hardware: false,
    settings: &[
        ("cpu-used", "7"),
        ("row-mt", "true"),
        ("lag-in-frames", "0"),
        ("threads", "8"),
    ],
    quality: &["max-quantizer", "min-quantizer"],
    // AV1 counts to 63.
    scale: |quality| quality * 63 / 50,
    preset: Some("cpu-used"),
    keys: None,
    formats: [Some("I420"), None],
    transparent: None,
    sides: (SMALLEST, 65_535),
};

const VP9: Encoder = Encoder {
    element: "vp9enc",
    codec: Codec::Vp9,
    package: "gstreamer1.0-plugins-good",
    hardware: false,
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
    quality: &["cq-level"],
    scale: |quality| quality * 63 / 50,
    preset: Some("cpu-used"),
    keys: None,
    formats: [Some("I420"), Some("I420_10LE")],
    transparent: None,
    sides: (SMALLEST, 16_383),
};

const PRORES: Encoder = Encoder {
    element: "avenc_prores_ks",
    codec: Codec::ProRes,
    package: "gstreamer1.0-libav",
    hardware: false,
    settings: &[("profile", "3")],
    quality: &[],
    scale: |quality| quality,
    preset: Some("profile"),
    keys: None,
    formats: [None, Some("I422_10LE")],
    // ProRes 4444.
    transparent: Some(("A444_10LE", &[("profile", "4")])),
    sides: (SMALLEST, 16_384),
};

const FFV1: Encoder = Encoder {
    element: "avenc_ffv1",
    codec: Codec::Ffv1,
    package: "gstreamer1.0-libav",
    hardware: false,
    settings: &[],
    quality: &[],
    scale: |quality| quality,
    preset: None,
    keys: None,
    formats: [Some("Y444"), Some("Y444_10LE")],
    transparent: Some(("A444_10LE", &[])),
    sides: (1, 32_767),
};

/// An encoder in a graphics card, asked for by its name. Its defaults hold but for the quality.
const fn hardware(
    element: &'static str,
    codec: Codec,
    settings: &'static [(&'static str, &'static str)],
    quality: &'static [&'static str],
) -> Encoder {
    Encoder {
        element,
        codec,
        package: "gstreamer1.0-plugins-bad",
        hardware: true,
        settings,
        quality,
        scale: |quality| quality,
        preset: Some("preset"),
        keys: None,
        formats: [Some("NV12"), Some("P010_10LE")],
        transparent: None,
        sides: (128, 8_192),
    }
}

const NVIDIA: &[(&str, &str)] = &[("rc-mode", "constqp"), ("bframes", "0")];
const NVIDIA_QUALITY: &[&str] = &["qp-const-i", "qp-const-p"];
const VA: &[(&str, &str)] = &[("rate-control", "cqp"), ("b-frames", "0")];
const VA_QUALITY: &[&str] = &["qpi", "qpp"];

static ENCODERS: &[Encoder] = &[
    X264,
    OPENH264,
    hardware("nvh264enc", Codec::H264, NVIDIA, NVIDIA_QUALITY),
    hardware("vah264enc", Codec::H264, VA, VA_QUALITY),
    hardware("vah264lpenc", Codec::H264, VA, VA_QUALITY),
    X265,
    hardware("nvh265enc", Codec::H265, NVIDIA, NVIDIA_QUALITY),
    hardware("vah265enc", Codec::H265, VA, VA_QUALITY),
    AV1,
    VP9,
    PRORES,
    FFV1,
];

impl Encoder {
    /// The encoder to use: the one called `element`, or the first installed one of `codecs` that makes `bits` bits.
    ///
    /// # Errors
    /// [`Failure::Usage`] if `element` is none that is known, makes none of `codecs`, or not `bits` bits; [`Failure::Failed`]
    /// naming the packages if none is installed.
    pub fn find(element: Option<&str>, codecs: &[Codec], bits: u32) -> Result<&'static Self> {
        let fits = |encoder: &&'static Self| codecs.contains(&encoder.codec);
        let names = || {
            let names: Vec<_> = ENCODERS.iter().filter(fits).map(|e| e.element).collect();
            names.join(", ")
        };
        let packages = |encoders: &[&Self]| {
            let each: Vec<_> = encoders
                .iter()
                .map(|encoder| format!("{} (Debian: {})", encoder.element, encoder.package))
                .collect();
            each.join(" or ")
        };
        if let Some(element) = element {
            let found = ENCODERS.iter().filter(fits).find(|e| e.element == element);
            let encoder = found.ok_or_else(|| {
                Failure::Usage(format!(
                    "--encoder {element}: expected one of {} for this kind of file",
                    names()
                ))
            })?;
            if encoder.format(bits).is_none() {
                return Err(Failure::Usage(format!(
                    "--encoder {element} does not make {bits} bits; expected --bits {}",
                    if bits == 8 { 10 } else { 8 }
                )));
            }
            return if encoder.installed() {
                Ok(encoder)
            } else {
                Err(Failure::Failed(format!(
                    "the encoder is not installed: install {}",
                    packages(&[encoder])
                )))
            };
        }
        // In the order of the codecs: the first is what the kind of file is known for.
        let all: Vec<_> = codecs
            .iter()
            .flat_map(|codec| ENCODERS.iter().filter(move |e| e.codec == *codec))
            .filter(|encoder| !encoder.hardware && encoder.format(bits).is_some())
            .collect();
        if all.is_empty() {
            return Err(Failure::Usage(format!(
                "no encoder of {} makes {bits} bits",
                codecs
                    .iter()
                    .map(|codec| codec.name())
                    .collect::<Vec<_>>()
                    .join(", ")
            )));
        }
        all.iter()
            .copied()
            .find(|encoder| encoder.installed())
            .ok_or_else(|| {
                Failure::Failed(format!(
                    "no encoder for the video is installed: install {}",
                    packages(&all)
                ))
            })
    }

    /// Whether GStreamer has the element.
    pub fn installed(&self) -> bool {
        gst::ElementFactory::find(self.element).is_some()
    }

    /// GStreamer's name of the format in which it takes frames of `bits` bits (8 or 10).
    pub fn format(&self, bits: u32) -> Option<&'static str> {
        self.formats[usize::from(bits > 8)]
    }

    /// The same of transparent frames, with the settings that these ask for; `None` where they become opaque. A preset of the user's that is
    /// the codec's profile has the last word.
    pub fn transparent(
        &self,
        preset: Option<&str>,
    ) -> Option<(&'static str, &'static [(&'static str, &'static str)])> {
        let (_, settings) = self.transparent?;
        let free = |(name, value): &(&str, &str)| {
            self.preset != Some(name) || preset.is_none_or(|preset| preset.starts_with(value))
        };
        self.transparent.filter(|_| settings.iter().all(free))
    }

    /// Whether frames of a size can be encoded.
    ///
    /// # Errors
    /// [`Failure::Failed`] naming the size and what is allowed.
    pub fn check_size(&self, width: u32, height: u32) -> Result<()> {
        let (low, high) = self.sides;
        let allowed = low..=high;
        if allowed.contains(&width) && allowed.contains(&height) {
            return Ok(());
        }
        Err(Failure::Failed(format!(
            "the output would be {width}x{height}, but {} takes sides from {low} to {high} pixels; choose another encoder (--encoder, --codec), a smaller or larger input, or write pictures",
            self.element
        )))
    }

    /// The element, set to the quality (0 best, 50 worst), for `transparent` frames or opaque ones, with a preset and further settings of the
    /// user.
    ///
    /// # Errors
    /// If the element cannot be made or does not know a setting.
    pub fn make(
        &self,
        quality: u32,
        transparent: bool,
        preset: Option<&str>,
        further: &[(String, String)],
    ) -> Result<gst::Element> {
        let element = make(self.element)?;
        let asked = self.transparent.filter(|_| transparent);
        let asked = asked.map_or(&[][..], |(_, settings)| settings);
        for (name, value) in self.settings.iter().chain(asked) {
            set(&element, name, value)?;
        }
        let value = (self.scale)(quality).to_string();
        // A lower limit above the upper one is not taken.
        for name in self.quality {
            set(&element, name, &value)?;
        }
        if let Some(name) = self.keys {
            // Segments are short, and each begins with a key frame.
            set(&element, name, "250")?;
        }
        if let Some(preset) = preset {
            let name = self.preset.ok_or_else(|| {
                Failure::Usage(format!("--preset: the encoder {} has none", self.element))
            })?;
            set(&element, name, preset)?;
        }
        for (name, value) in further {
            if element.find_property(name).is_none() {
                return Err(Failure::Usage(format!(
                    "--encoder-args: the encoder {} has no property {name}; gst-inspect-1.0 {} lists them",
                    self.element, self.element
                )));
            }
            set(&element, name, value)?;
        }
        Ok(element)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_checked_with_what_is_allowed() {
        assert!(X264.check_size(16_384, 16).is_ok());
        let message = format!("{:?}", X264.check_size(16_800, 64).unwrap_err());
        assert!(
            message.contains("16800x64") && message.contains("16384"),
            "{message}"
        );
    }

    #[test]
    fn every_encoder_here_takes_its_settings() {
        gst::init().unwrap();
        let (here, absent): (Vec<_>, Vec<_>) =
            ENCODERS.iter().partition(|encoder| encoder.installed());
        for encoder in &here {
            for transparent in [false, true] {
                encoder.make(17, transparent, None, &[]).unwrap();
            }
        }
        // No machine has all of them; one that has none tries nothing.
        let absent: Vec<_> = absent.iter().map(|encoder| encoder.element).collect();
        let mark = if here.is_empty() {
            "skipped"
        } else {
            "not here"
        };
        eprintln!("{mark}: GStreamer has no {}", absent.join(", "));
    }

    #[test]
    fn what_is_asked_for_is_found_or_told() {
        gst::init().unwrap();
        let all = &[Codec::H264];
        let message = format!("{:?}", Encoder::find(Some("vp9enc"), all, 8).unwrap_err());
        assert!(message.contains("x264enc"), "{message}");
        let message = format!(
            "{:?}",
            Encoder::find(None, &[Codec::ProRes], 8).unwrap_err()
        );
        assert!(message.contains("8 bits"), "{message}");
    }
}
