//! Which colours frames have and the output is to have: the matrix, the range and the rest of the input's, so that nothing
//! shifts; completed for every family of formats, YCbCr, RGB and grey.

use gst_video::{
    VideoColorMatrix, VideoColorPrimaries, VideoColorRange, VideoColorimetry, VideoTransferFunction,
};

use crate::video::layout::Layout;
use crate::video::probe::FrameFacts;

/// Lines from which a video that does not say which matrix it has is taken for BT.709, and below for BT.601.
const HIGH: u32 = 720;

/// Names of ffmpeg's and numbers of ISO/IEC 23001-8.
const MATRICES: &[(&str, u32)] = &[
    ("bt709", 1),
    ("fcc", 4),
    ("bt470bg", 5),
    ("smpte170m", 6),
    ("smpte240m", 7),
    ("bt2020nc", 9),
    ("bt2020c", 10),
];
const TRANSFERS: &[(&str, u32)] = &[
    ("bt709", 1),
    ("bt470m", 4),
    ("gamma22", 4),
    ("bt470bg", 5),
    ("gamma28", 5),
    ("smpte170m", 6),
    ("smpte240m", 7),
    ("linear", 8),
    ("log100", 9),
    ("log316", 10),
    ("iec61966-2-4", 11),
    ("bt1361e", 12),
    ("iec61966-2-1", 13),
    ("bt2020-10", 14),
    ("bt2020-12", 15),
    ("smpte2084", 16),
    ("smpte428", 17),
    ("arib-std-b67", 18),
];
const PRIMARIES: &[(&str, u32)] = &[
    ("bt709", 1),
    ("bt470m", 4),
    ("bt470bg", 5),
    ("smpte170m", 6),
    ("smpte240m", 7),
    ("film", 8),
    ("bt2020", 9),
    ("smpte428", 10),
    ("smpte431", 11),
    ("smpte432", 12),
    ("ebu3213", 22),
];

/// The number of a name; 2, which means unknown, for what is none.
fn number(names: &[(&str, u32)], name: Option<&String>) -> u32 {
    let found = name.and_then(|name| names.iter().find(|(known, _)| known == name));
    found.map_or(2, |(_, number)| *number)
}

/// The matrix of a video of `height` lines that does not say.
fn customary(height: u32) -> VideoColorMatrix {
    if height < HIGH {
        VideoColorMatrix::Bt601
    } else {
        VideoColorMatrix::Bt709
    }
}

/// The colours of frames of `layout` that were decoded from those of `facts`, with what they leave open filled in: YCbCr is of
/// limited range and of the customary matrix for its height; all else has become RGB when it was decoded.
pub fn input(facts: &FrameFacts, layout: &Layout) -> VideoColorimetry {
    let transfer =
        VideoTransferFunction::from_iso(number(TRANSFERS, facts.color_transfer.as_ref()));
    let primaries =
        VideoColorPrimaries::from_iso(number(PRIMARIES, facts.color_primaries.as_ref()));
    let full = match facts.color_range.as_deref() {
        Some("pc") => true,
        Some("tv") => false,
        _ => facts.pix_fmt.starts_with("yuvj"),
    };
    let range = if full || !layout.is_yuv() {
        VideoColorRange::Range0_255
    } else {
        VideoColorRange::Range16_235
    };
    let matrix = if layout.is_yuv() {
        match number(MATRICES, facts.color_space.as_ref()) {
            2 => customary(facts.height),
            known => VideoColorMatrix::from_iso(known),
        }
    } else {
        VideoColorMatrix::Rgb
    };
    VideoColorimetry::new(range, matrix, transfer, primaries)
}

/// The colours of the output of an input of `input` colours: as they are where they can be those of YCbCr. RGB has
/// no matrix to keep; the output is high enough for everyone to expect BT.709, in the usual range.
pub fn output(input: &VideoColorimetry, layout: &Layout) -> VideoColorimetry {
    if layout.is_yuv() {
        return VideoColorimetry::new(
            input.range(),
            input.matrix(),
            input.transfer(),
            input.primaries(),
        );
    }
    VideoColorimetry::new(
        VideoColorRange::Range16_235,
        VideoColorMatrix::Bt709,
        input.transfer(),
        input.primaries(),
    )
}

/// Where the chroma samples lie, in GStreamer's words, if the input says so and has them as the output has.
pub fn chroma_site(facts: &FrameFacts, layout: &Layout) -> Option<&'static str> {
    if !layout.is_420() {
        return None;
    }
    match facts.chroma_location.as_deref()? {
        "left" => Some("mpeg2"),
        "center" => Some("jpeg"),
        "topleft" => Some("cosited"),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn facts(format: &str, height: u32, range: Option<&str>, matrix: Option<&str>) -> FrameFacts {
        FrameFacts {
            pix_fmt: format.to_owned(),
            height,
            color_range: range.map(str::to_owned),
            color_space: matrix.map(str::to_owned),
            ..FrameFacts::default()
        }
    }

    fn both(facts: &FrameFacts) -> (String, String) {
        gst::init().unwrap();
        let layout = Layout::of(&facts.pix_fmt);
        let colours = input(facts, &layout);
        (colours.to_string(), output(&colours, &layout).to_string())
    }

    #[test]
    fn matrix_and_range_are_kept() {
        for (range, number) in [("tv", 2), ("pc", 1)] {
            for (name, matrix) in [
                ("bt709", 3),
                ("smpte170m", 4),
                ("smpte240m", 5),
                ("bt2020nc", 6),
            ] {
                let expected = format!("{number}:{matrix}:0:0");
                let found = both(&facts("yuv420p", 480, Some(range), Some(name)));
                assert_eq!(found, (expected.clone(), expected), "{name}");
            }
        }
    }

    #[test]
    fn what_is_open_is_filled_in_for_every_family() {
        let found = both(&facts("yuvj420p", 480, None, None));
        assert_eq!(found, ("1:4:0:0".into(), "1:4:0:0".into()));
        let found = both(&facts("yuv422p10le", 720, None, None));
        assert_eq!(found, ("2:3:0:0".into(), "2:3:0:0".into()));
        let found = both(&facts("gray16le", 480, None, None));
        assert_eq!(found, ("1:1:0:0".into(), "2:3:0:0".into()));
        let found = both(&facts("bgr0", 480, Some("pc"), Some("gbr")));
        assert_eq!(found, ("1:1:0:0".into(), "2:3:0:0".into()));
    }
}
