//! Writing pictures: in the kind that the format takes, with what lies beside the pixels as far as it fits them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use image::codecs::jpeg::{JpegEncoder, PixelDensity, PixelDensityUnit};
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat};

use crate::failure::{Failure, Result};
use crate::picture::embed::{Inserting, write_tiff};
use crate::picture::read::Metadata;

/// Longest side that a format holds.
fn longest(format: ImageFormat) -> u32 {
    match format {
        ImageFormat::WebP => 16_383,
        ImageFormat::Jpeg => 65_535,
        _ => i32::MAX as u32,
    }
}

/// Whether a picture of `width` x `height` can be written in `format`.
///
/// # Errors
/// [`Failure::Failed`] naming the size and what is allowed.
pub fn check_size(format: ImageFormat, width: u64, height: u64) -> Result<()> {
    let most = longest(format);
    if width.max(height) <= u64::from(most) {
        return Ok(());
    }
    let name = format.extensions_str().first().unwrap_or(&"this format");
    Err(Failure::Failed(format!(
        "the output would be {width}x{height}, but .{name} holds sides of at most {most} pixels; write .png or .tiff"
    )))
}

/// The picture as `format` takes it, and what had to be left behind.
pub fn fitting(mut picture: DynamicImage, format: ImageFormat) -> (DynamicImage, Vec<String>) {
    let mut warnings = Vec::new();
    let kind = picture.color();
    if format == ImageFormat::Jpeg && kind.has_alpha() {
        warnings.push("JPEG has no transparency: it is dropped".to_owned());
        picture = if kind.has_color() {
            picture.to_rgb16().into()
        } else {
            picture.to_luma16().into()
        };
    }
    let deep = kind.bytes_per_pixel() / kind.channel_count() > 1;
    let eight_bits = matches!(
        format,
        ImageFormat::Jpeg | ImageFormat::WebP | ImageFormat::Bmp
    );
    if eight_bits {
        if deep {
            warnings.push("the output's format has 8 bits: the input's 16 are rounded".to_owned());
        }
        // WebP knows no grey.
        let colour = picture.color().has_color() || format == ImageFormat::WebP;
        picture = match (colour, picture.color().has_alpha()) {
            (true, false) => picture.to_rgb8().into(),
            (true, true) => picture.to_rgba8().into(),
            (false, false) => picture.to_luma8().into(),
            (false, true) => picture.to_luma_alpha8().into(),
        };
    }
    // TIFF's and BMP's encoders take no grey with transparency.
    if matches!(format, ImageFormat::Tiff | ImageFormat::Bmp)
        && !picture.color().has_color()
        && kind.has_alpha()
    {
        picture = if deep && !eight_bits {
            picture.to_rgba16().into()
        } else {
            picture.to_rgba8().into()
        };
    }
    (picture, warnings)
}

/// Whether a profile describes pixels of colour (or grey): its header says for which kind it was made.
fn fits(profile: &[u8], colour: bool) -> bool {
    let wanted: &[u8] = if colour { b"RGB " } else { b"GRAY" };
    profile.get(16..20) == Some(wanted)
}

/// Writes `picture` in `format` into the file at `path`, called `name`, with `xmp` where the format holds it; gives what had to be left
/// behind.
///
/// # Errors
/// [`Failure::Failed`] naming the file.
pub fn write(
    picture: DynamicImage,
    metadata: Metadata,
    format: ImageFormat,
    quality: u8,
    xmp: Option<&str>,
    path: &Path,
    name: &str,
) -> Result<Vec<String>> {
    let failed = |reason: String| Failure::Failed(format!("cannot write {name}: {reason}"));
    let (picture, mut warnings) = fitting(picture, format);
    let file = File::create(path).map_err(|error| failed(error.to_string()))?;
    let (mut writer, mut marked) = Inserting::new(BufWriter::new(file), format, xmp);
    let (width, height, colour) = (
        picture.width(),
        picture.height(),
        ExtendedColorType::from(picture.color()),
    );
    let Metadata {
        profile,
        exif,
        density,
        others,
    } = metadata;
    let mut left: Vec<String> = others.into_iter().map(str::to_owned).collect();
    let profile = profile.filter(|profile| {
        let fits = fits(profile, picture.color().has_color());
        if !fits {
            left.push("the colour profile, which is for pixels of another kind".to_owned());
        }
        fits
    });
    // Hands on what the encoder takes.
    let mut beside = |encoder: &mut dyn Beside| {
        if let Some(profile) = profile.clone()
            && !encoder.profile(profile)
        {
            left.push("the colour profile".to_owned());
        }
        if let Some(exif) = exif.clone()
            && !encoder.exif(exif)
        {
            left.push("EXIF".to_owned());
        }
        if let Some((x, y)) = density
            && !encoder.density(x, y)
        {
            left.push(format!("the resolution of {x} dpi"));
        }
    };
    let result = match format {
        ImageFormat::Jpeg => {
            let mut encoder = JpegEncoder::new_with_quality(&mut writer, quality);
            beside(&mut encoder);
            encoder.write_image(picture.as_bytes(), width, height, colour)
        }
        ImageFormat::Png => {
            let mut encoder = PngEncoder::new(&mut writer);
            beside(&mut encoder);
            encoder.write_image(picture.as_bytes(), width, height, colour)
        }
        ImageFormat::WebP => {
            let mut encoder = image_webp::WebPEncoder::new(&mut writer);
            beside(&mut encoder);
            if let Some(xmp) = xmp {
                encoder.set_xmp_metadata(xmp.as_bytes().to_vec());
                marked = true;
            }
            let kind = match picture.color().has_alpha() {
                true => image_webp::ColorType::Rgba8,
                false => image_webp::ColorType::Rgb8,
            };
            let written = encoder.encode(picture.as_bytes(), width, height, kind);
            written.map_err(|error| failed(error.to_string()))?;
            Ok(())
        }
        ImageFormat::Tiff if xmp.is_some() => {
            beside(&mut Nothing);
            marked = true;
            write_tiff(&picture, xmp.unwrap_or_default(), &mut writer).map_err(&failed)?;
            Ok(())
        }
        _ => {
            beside(&mut Nothing);
            picture.write_to(&mut writer, format)
        }
    };
    result.map_err(|error| failed(error.to_string()))?;
    writer.flush().map_err(|error| failed(error.to_string()))?;
    if xmp.is_some() && !marked {
        left.push("the mark that says what drew it (--no-marks asks for none)".to_owned());
    }
    if !left.is_empty() {
        warnings.push(format!(
            "the output does not hold all that lies beside the pixels; left out: {}",
            left.join(", ")
        ));
    }
    Ok(warnings)
}

/// An encoder that takes what lies beside the pixels; each tells whether it does.
trait Beside {
    fn profile(&mut self, profile: Vec<u8>) -> bool;
    fn exif(&mut self, exif: Vec<u8>) -> bool;
    fn density(&mut self, x: u16, y: u16) -> bool;
}

impl<W: Write> Beside for JpegEncoder<W> {
    fn profile(&mut self, profile: Vec<u8>) -> bool {
        self.set_icc_profile(profile).is_ok()
    }

    fn exif(&mut self, exif: Vec<u8>) -> bool {
        self.set_exif_metadata(exif).is_ok()
    }

    fn density(&mut self, x: u16, y: u16) -> bool {
        self.set_pixel_density(PixelDensity {
            density: (x, y),
            unit: PixelDensityUnit::Inches,
        });
        true
    }
}

impl<W: Write> Beside for PngEncoder<W> {
    fn profile(&mut self, profile: Vec<u8>) -> bool {
        self.set_icc_profile(profile).is_ok()
    }

    fn exif(&mut self, exif: Vec<u8>) -> bool {
        self.set_exif_metadata(exif).is_ok()
    }

    fn density(&mut self, _: u16, _: u16) -> bool {
        false
    }
}

impl<W: Write> Beside for image_webp::WebPEncoder<W> {
    fn profile(&mut self, profile: Vec<u8>) -> bool {
        self.set_icc_profile(profile);
        true
    }

    fn exif(&mut self, exif: Vec<u8>) -> bool {
        self.set_exif_metadata(exif);
        true
    }

    fn density(&mut self, _: u16, _: u16) -> bool {
        false
    }
}

/// An encoder that takes pixels only.
struct Nothing;

impl Beside for Nothing {
    fn profile(&mut self, _: Vec<u8>) -> bool {
        false
    }

    fn exif(&mut self, _: Vec<u8>) -> bool {
        false
    }

    fn density(&mut self, _: u16, _: u16) -> bool {
        false
    }
}
