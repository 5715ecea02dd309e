//! Reading pictures: the first picture of a file, upright, with what lies beside the pixels, and a word on what else is in it.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{AnimationDecoder, DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use crate::bounds;
use crate::failure::{Failure, Result};

/// Most memory that a decoder may take, in bytes: some 300 megapixels of 16 bits, whose output is 30 GB.
const MEMORY: u64 = 2 << 30;

/// What lies beside the pixels.
#[derive(Debug, Default)]
pub struct Metadata {
    /// ICC profile.
    pub profile: Option<Vec<u8>>,
    /// EXIF block, its orientation taken out.
    pub exif: Option<Vec<u8>>,
    /// Pixels per inch, across and down.
    pub density: Option<(u16, u16)>,
    /// Names of what no output can hold.
    pub others: Vec<&'static str>,
}

/// A picture as it came from its file, upright.
#[derive(Debug)]
pub struct Source {
    /// The pixels.
    pub picture: DynamicImage,
    /// What lies beside them.
    pub metadata: Metadata,
    /// What of the file is not taken.
    pub warnings: Vec<String>,
}

fn failed(path: &Path, reason: &impl std::fmt::Display) -> Failure {
    Failure::Failed(format!("cannot read {}: {reason}", path.display()))
}

/// Opens the file; what it is is told by its content.
fn open(path: &Path) -> Result<ImageReader<BufReader<File>>> {
    let file = File::open(path).map_err(|error| failed(path, &error))?;
    let mut reader = ImageReader::new(BufReader::new(file))
        .with_guessed_format()
        .map_err(|error| failed(path, &error))?;
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    Ok(reader)
}

/// Width and height of the picture in the file at `path`, upright, without decoding it.
///
/// # Errors
/// [`Failure::Failed`] naming the file, if it cannot be read or the picture is too large.
pub fn size(path: &Path) -> Result<(u32, u32)> {
    let mut decoder = open(path)?
        .into_decoder()
        .map_err(|error| failed(path, &error))?;
    let (width, height) = decoder.dimensions();
    bounds::check(path, width.into(), height.into())?;
    let lies = matches!(
        decoder.orientation(),
        Ok(Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH)
    );
    Ok(if lies {
        (height, width)
    } else {
        (width, height)
    })
}

/// Reads the picture in the file at `path`.
///
/// # Errors
/// [`Failure::Failed`] naming the file.
pub fn read(path: &Path) -> Result<Source> {
    let reader = open(path)?;
    let format = reader.format();
    let mut decoder = reader
        .into_decoder()
        .map_err(|error| failed(path, &error))?;
    let (width, height) = decoder.dimensions();
    bounds::check(path, width.into(), height.into())?;
    // What cannot be read beside the picture is no reason not to read the picture.
    let mut metadata = Metadata {
        profile: decoder.icc_profile().ok().flatten(),
        exif: decoder.exif_metadata().ok().flatten(),
        density: density(path, format),
        others: Vec::new(),
    };
    if decoder.xmp_metadata().is_ok_and(|found| found.is_some()) {
        metadata.others.push("XMP");
    }
    if decoder.iptc_metadata().is_ok_and(|found| found.is_some()) {
        metadata.others.push("IPTC");
    }
    let orientation = decoder.orientation().ok();
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| failed(path, &error))?;
    if let Some(orientation) = orientation {
        picture.apply_orientation(orientation);
    }
    if let Some(exif) = &mut metadata.exif {
        // The pixels are upright now.
        let _ = Orientation::remove_from_exif_chunk(exif);
    }
    let mut warnings = Vec::new();
    if let Some(what) = format.and_then(|format| further(path, format)) {
        warnings.push(format!(
            "the input has {what}: only the first is upscaled (animations become videos: give OUT the name of one)"
        ));
    }
    Ok(Source {
        picture,
        metadata,
        warnings,
    })
}

/// What the file holds beyond the first picture.
fn further(path: &Path, format: ImageFormat) -> Option<&'static str> {
    let file = || Some(BufReader::new(File::open(path).ok()?));
    let animation = "several pictures (an animation)";
    match format {
        ImageFormat::Png => PngDecoder::new(file()?)
            .is_ok_and(|decoder| decoder.is_apng().unwrap_or(false))
            .then_some(animation),
        ImageFormat::WebP => WebPDecoder::new(file()?)
            .is_ok_and(|decoder| decoder.has_animation())
            .then_some(animation),
        ImageFormat::Gif => GifDecoder::new(file()?)
            .is_ok_and(|decoder| {
                decoder
                    .into_frames()
                    .take(2)
                    .filter(|frame| frame.is_ok())
                    .count()
                    > 1
            })
            .then_some(animation),
        ImageFormat::Tiff => tiff::decoder::Decoder::new(file()?)
            .is_ok_and(|decoder| decoder.more_images())
            .then_some("several pages"),
        _ => None,
    }
}

/// Pixels per inch as the file says, of JPEG's first segment or PNG's chunk `pHYs`.
fn density(path: &Path, format: Option<ImageFormat>) -> Option<(u16, u16)> {
    let mut start = Vec::new();
    File::open(path)
        .ok()?
        .take(1 << 16)
        .read_to_end(&mut start)
        .ok()?;
    match format? {
        ImageFormat::Jpeg => {
            let body = start.get(2..20)?;
            if body[..2] != [0xff, 0xe0] || &body[4..9] != b"JFIF\0" {
                return None;
            }
            let number = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
            match body[11] {
                1 => Some((number(12), number(14))),
                2 => Some((
                    per_inch(f64::from(number(12)) * 100.0)?,
                    per_inch(f64::from(number(14)) * 100.0)?,
                )),
                _ => None,
            }
        }
        ImageFormat::Png => {
            let at = start.windows(4).position(|kind| kind == b"pHYs")? + 4;
            let chunk = start.get(at..at + 9)?;
            let number = |at: usize| {
                u32::from_be_bytes([chunk[at], chunk[at + 1], chunk[at + 2], chunk[at + 3]])
            };
            (chunk[8] == 1).then_some(())?;
            Some((
                per_inch(f64::from(number(0)))?,
                per_inch(f64::from(number(4)))?,
            ))
        }
        _ => None,
    }
}

/// Pixels per inch of pixels per metre.
fn per_inch(per_metre: f64) -> Option<u16> {
    let inch = (per_metre * 0.0254).round();
    (inch >= 1.0 && inch <= f64::from(u16::MAX)).then_some(inch as u16)
}
