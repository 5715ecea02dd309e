//! Which colours the output is to have: the matrix, the range and the rest of the input's, so that nothing shifts.

use std::str::FromStr;

use gst_video::{VideoColorMatrix, VideoColorRange, VideoColorimetry, VideoInfo};

/// Lines from which a video that does not say which matrix it has is taken for BT.709, and below for BT.601.
const HIGH: u32 = 720;

/// The matrix of a video of `height` lines that does not say.
fn customary(height: u32) -> VideoColorMatrix {
    if height < HIGH {
        VideoColorMatrix::Bt601
    } else {
        VideoColorMatrix::Bt709
    }
}

/// The caps of decoded frames with the matrix filled in where it alone is unknown. GStreamer would throw away the range
/// with it then, and read a video of full range as one of limited range.
pub fn complete(input: &gst::Caps) -> gst::Caps {
    let mut caps = input.clone();
    let yuv = VideoInfo::from_caps(input).is_ok_and(|info| info.is_yuv());
    let found = input.structure(0).and_then(|structure| {
        let colorimetry =
            VideoColorimetry::from_str(&structure.get::<String>("colorimetry").ok()?).ok()?;
        Some((
            colorimetry,
            u32::try_from(structure.get::<i32>("height").ok()?).ok()?,
        ))
    });
    if let Some((colorimetry, height)) = found
        && yuv
        && colorimetry.matrix() == VideoColorMatrix::Unknown
        && colorimetry.range() != VideoColorRange::Unknown
    {
        let (transfer, primaries) = (colorimetry.transfer(), colorimetry.primaries());
        let complete =
            VideoColorimetry::new(colorimetry.range(), customary(height), transfer, primaries);
        caps.make_mut().set("colorimetry", complete.to_string());
    }
    caps
}

/// Caps between decoder and RGB: 16 bits for YCbCr. The converter's direct way from 4:2:0 to RGB of 8 bits (GStreamer
/// 1.22) reckons with 8 bits too, and makes pictures darker by 2 to 3 of 255.
pub fn wide_caps(input: &VideoInfo) -> gst::Caps {
    if input.is_yuv() {
        gst::Caps::builder("video/x-raw")
            .field("format", "AYUV64")
            .build()
    } else {
        gst::Caps::new_any()
    }
}

/// Caps of the frames for the encoder, for decoded frames of `info` and `input`: 4:2:0, 8 bits, the input's colorimetry.
///
/// What the input leaves open is filled in as GStreamer read it, by the input's size, because the output is four times
/// as high and would be taken for something else if it were left open there too.
pub fn encoder_caps(info: &VideoInfo, input: &gst::CapsRef) -> gst::Caps {
    let mut caps = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("colorimetry", output_colorimetry(info).to_string());
    // Where the chroma samples lie means something for inputs of the same subsampling alone.
    if let Some(site) = input
        .structure(0)
        .and_then(|structure| structure.get::<String>("chroma-site").ok())
        && info.format_info().w_sub().get(1) == Some(&1)
        && info.format_info().h_sub().get(1) == Some(&1)
    {
        caps = caps.field("chroma-site", site);
    }
    caps.build()
}

/// The input's colorimetry as YCbCr can have it.
fn output_colorimetry(info: &VideoInfo) -> VideoColorimetry {
    let found = info.colorimetry();
    let (mut matrix, mut range) = (found.matrix(), found.range());
    if info.is_rgb() || matrix == VideoColorMatrix::Rgb {
        // RGB has no matrix to keep; the output is high enough for everyone to expect BT.709, in the usual range.
        (matrix, range) = (VideoColorMatrix::Bt709, VideoColorRange::Range16_235);
    }
    if matrix == VideoColorMatrix::Unknown {
        matrix = customary(info.height());
    }
    if range == VideoColorRange::Unknown {
        range = VideoColorRange::Range16_235;
    }
    VideoColorimetry::new(range, matrix, found.transfer(), found.primaries())
}

/// Whether frames of `info` have more than 8 bits a sample, which are rounded.
pub fn is_deep(info: &VideoInfo) -> bool {
    info.format_info().depth().iter().any(|&depth| depth > 8)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn colorimetry(caps: &str) -> String {
        gst::init().unwrap();
        let input = complete(&gst::Caps::from_str(caps).unwrap());
        let caps = encoder_caps(&VideoInfo::from_caps(&input).unwrap(), &input);
        let text: String = caps.structure(0).unwrap().get("colorimetry").unwrap();
        // The short names and the numbers mean the same.
        VideoColorimetry::from_str(&text).unwrap().to_string()
    }

    #[test]
    fn matrix_and_range_are_kept() {
        gst::init().unwrap();
        let size = "width=640,height=480,framerate=25/1";
        for name in ["bt601", "bt709", "bt2020", "smpte240m", "1:4:5:4"] {
            let expected = VideoColorimetry::from_str(name).unwrap().to_string();
            assert_eq!(
                colorimetry(&format!(
                    "video/x-raw,format=I420,{size},colorimetry={name}"
                )),
                expected
            );
        }
    }

    #[test]
    fn what_is_open_is_filled_in_by_the_size_of_the_input() {
        let full =
            "video/x-raw,format=I420,width=640,height=480,framerate=25/1,colorimetry=1:0:0:0";
        assert_eq!(colorimetry(full), "1:4:0:0");
        let rgb = "video/x-raw,format=RGB,width=64,height=48,framerate=25/1,colorimetry=sRGB";
        assert_eq!(colorimetry(rgb), "2:3:7:1");
    }
}
