//! GStreamer's video formats as the engine's. Reads what caps say, no pixel.

use gst_video::{
    VideoChromaSite, VideoColorMatrix, VideoColorRange, VideoFormat, VideoInfo,
    VideoTransferFunction,
};
use srfusion::{ChromaSite, ColourFamily, Error, Format, Matrix, PixelFormat, Range};

/// Names of the formats that both sides of the element have, as caps spell them, usual ones first. Those that this GStreamer does not know
/// are left out.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let known = |name: &&str| VideoFormat::from_string(name) != VideoFormat::Unknown;
    PixelFormat::all()
        .map(|format| format.layout().name)
        .filter(known)
}

/// The engine's format called `name`.
pub(super) fn pixels(name: &str) -> Option<PixelFormat> {
    PixelFormat::from_name(name)
}

/// What `info` says of a frame's bytes; what its caps leave open GStreamer has decided by size and format.
///
/// # Errors
/// [`Error::Shape`] for a format, or a way of making colour differences, that the engine does not have.
pub(super) fn format(info: &VideoInfo) -> Result<Format, Error> {
    let refuse = |what: &str, expected: &str, found: String| Error::Shape {
        what: format!("{what} of the video"),
        expected: expected.to_owned(),
        found,
    };
    let name = info.format().to_str();
    let pixels = pixels(name.as_str()).ok_or_else(|| {
        refuse(
            "format",
            "one of the formats of the element's pads",
            name.to_string(),
        )
    })?;
    let colorimetry = info.colorimetry();
    let is_yuv = pixels.layout().family == ColourFamily::Yuv;
    let matrix = match colorimetry.matrix() {
        VideoColorMatrix::Bt601 => Matrix::Bt601,
        VideoColorMatrix::Bt709 => Matrix::Bt709,
        VideoColorMatrix::Fcc => Matrix::Fcc,
        VideoColorMatrix::Smpte240m => Matrix::Smpte240M,
        VideoColorMatrix::Bt2020 => Matrix::Bt2020,
        other if is_yuv => {
            return Err(refuse(
                "matrix",
                "bt601, bt709, fcc, smpte240m or bt2020 for a format with luma",
                format!("{other:?} in colorimetry {colorimetry}"),
            ));
        }
        _ => Matrix::default(),
    };
    let range = match colorimetry.range() {
        VideoColorRange::Range0_255 => Range::Full,
        VideoColorRange::Range16_235 => Range::Limited,
        _ if is_yuv => Range::Limited,
        _ => Range::Full,
    };
    let site = info.chroma_site();
    Ok(Format {
        pixels,
        matrix,
        range,
        site: ChromaSite {
            left: site.contains(VideoChromaSite::H_COSITED),
            top: site.contains(VideoChromaSite::V_COSITED)
                && !site.contains(VideoChromaSite::ALT_LINE),
        },
    })
}

/// Refuses a change from `from` to `to` that is one of light and not of numbers: to or from a transfer of high dynamic range.
///
/// # Errors
/// [`Error::Shape`] with both, and who can do it.
pub(super) fn check_light(from: &VideoInfo, to: &VideoInfo) -> Result<(), Error> {
    let high = |info: &VideoInfo| {
        let transfer = info.colorimetry().transfer();
        matches!(
            transfer,
            VideoTransferFunction::Smpte2084 | VideoTransferFunction::AribStdB67
        )
        .then_some(transfer)
    };
    if high(from) == high(to) {
        return Ok(());
    }
    Err(Error::Shape {
        what: "colorimetry of the output (a tone-mapping element after srfusion changes it)"
            .to_owned(),
        expected: format!("the input's transfer, {:?}", from.colorimetry().transfer()),
        found: format!("{:?}", to.colorimetry().transfer()),
    })
}
