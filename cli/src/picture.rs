//! Pictures: read, upscaled by the engine, and written. Orientation, colour profile, transparency, grey and 16 bits are
//! kept where the output's format can hold them.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use image::codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder};
use image::{
    DynamicImage, ExtendedColorType, GrayAlphaImage, GrayImage, ImageBuffer, ImageDecoder,
    ImageEncoder, ImageFormat, ImageReader, Luma, LumaA, Pixel, Primitive, Rgb, RgbImage, Rgba,
    RgbaImage,
};
use srfusion::{Canceller, Frame, FrameInfo, FrameMut, Parameters, SCALE, Sample, Size, Upscaler};

use crate::arguments::UpscaleOptions;
use crate::draft::Draft;
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::metrics::Picture;
use crate::progress::Progress;
use crate::summary::{Summary, rate};

/// Extensions that can be written.
pub const EXTENSIONS: &[&str] = &[".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"];

/// Most memory that a decoder may take, in bytes: some 300 megapixels of 16 bits, whose output is 30 GB.
const MEMORY: u64 = 2 << 30;

/// The format that `extension` (without its dot, lower case) stands for.
pub fn format_by_extension(extension: &str) -> Option<ImageFormat> {
    EXTENSIONS.iter().find(|known| known[1..] == *extension)?;
    ImageFormat::from_extension(extension)
}

/// Whether pictures of `format` can be read.
pub fn is_readable(format: ImageFormat) -> bool {
    use ImageFormat::{Bmp, Jpeg, Png, Tiff, WebP};
    matches!(format, Png | Jpeg | WebP | Bmp | Tiff)
}

/// A picture as it came from its file, upright, with its colour profile.
struct Source {
    picture: DynamicImage,
    profile: Option<Vec<u8>>,
}

fn read(path: &Path) -> Result<Source> {
    let failed =
        |reason: String| Failure::Failed(format!("cannot read {}: {reason}", path.display()));
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut reader = ImageReader::new(BufReader::new(file))
        .with_guessed_format()
        .map_err(|error| failed(error.to_string()))?;
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    let mut decoder = reader
        .into_decoder()
        .map_err(|error| failed(error.to_string()))?;
    // A profile or an orientation that cannot be read is no reason not to read the picture.
    let profile = decoder.icc_profile().ok().flatten();
    let orientation = decoder.orientation().ok();
    let mut picture =
        DynamicImage::from_decoder(decoder).map_err(|error| failed(error.to_string()))?;
    if let Some(orientation) = orientation {
        picture.apply_orientation(orientation);
    }
    Ok(Source { picture, profile })
}

/// The picture in the file at `path`, upright, as 8-bit RGB: grey is made colour, transparency dropped, 16 bits rounded.
///
/// # Errors
/// [`Failure::Failed`] naming the file.
pub fn read_rgb8(path: &Path) -> Result<Picture> {
    let picture = read(path)?.picture.to_rgb8();
    Ok(Picture {
        size: Size::new(picture.width() as usize, picture.height() as usize),
        samples: picture.into_raw(),
    })
}

/// Upscales one picture of any kind, in 8 or 16 bits, and back into the same kind.
struct Job<'a> {
    upscaler: &'a mut Upscaler,
}

/// A buffer of `len` samples, or an error where memory does not suffice: its size follows from a file.
fn buffer<S: Sample>(len: usize) -> Result<Vec<S>> {
    let mut data = Vec::new();
    data.try_reserve_exact(len).map_err(|_| {
        Failure::Failed(format!(
            "the output takes {} MiB, more memory than there is",
            (len * size_of::<S>()) >> 20
        ))
    })?;
    data.resize(len, S::zeroed());
    Ok(data)
}

impl Job<'_> {
    /// The picture four times as wide and high.
    fn colour<S: Sample + Primitive>(
        &mut self,
        picture: &ImageBuffer<Rgb<S>, Vec<S>>,
    ) -> Result<ImageBuffer<Rgb<S>, Vec<S>>>
    where
        Rgb<S>: Pixel<Subpixel = S>,
    {
        let size = Size::new(picture.width() as usize, picture.height() as usize);
        let large = size.scaled(SCALE);
        let (width, height) = match (u32::try_from(large.width), u32::try_from(large.height)) {
            (Ok(width), Ok(height)) => (width, height),
            _ => {
                return Err(Failure::Failed(format!(
                    "an output of {large} is larger than a picture can be"
                )));
            }
        };
        let mut data = buffer::<S>(large.area() * 3)?;
        let input = Frame::new(picture.as_raw(), size, size.width * 3)?;
        let mut output = FrameMut::new(&mut data, large, large.width * 3)?;
        self.upscaler
            .process(input, &FrameInfo::default(), &mut output)?;
        for notice in self.upscaler.take_notices() {
            eprintln!("srfusion: {notice}");
        }
        ImageBuffer::from_raw(width, height, data)
            .ok_or_else(|| Failure::Failed("the output's buffer has the wrong size".into()))
    }

    /// Transparency, bicubically: the networks were not made for it.
    fn alpha<S: Sample + Primitive>(
        alpha: &ImageBuffer<Luma<S>, Vec<S>>,
    ) -> ImageBuffer<Luma<S>, Vec<S>>
    where
        Luma<S>: Pixel<Subpixel = S>,
    {
        let factor = SCALE as u32;
        let (width, height) = (alpha.width() * factor, alpha.height() * factor);
        image::imageops::resize(
            alpha,
            width,
            height,
            image::imageops::FilterType::CatmullRom,
        )
    }

    fn run(&mut self, picture: DynamicImage) -> Result<DynamicImage> {
        let deep = picture.color().bytes_per_pixel() / picture.color().channel_count() > 1;
        let grey = !picture.color().has_color();
        let transparent = picture.color().has_alpha();
        // Grey is upscaled as colour and made grey again: the networks take three channels, and may tint it slightly.
        Ok(if deep {
            let colour = self.colour(&picture.to_rgb16())?;
            let alpha = transparent
                .then(|| channel(&picture.to_rgba16(), 3))
                .map(|alpha| Self::alpha(&alpha));
            match (grey, alpha) {
                (false, None) => colour.into(),
                (false, Some(alpha)) => {
                    join(&colour, &alpha, |[r, g, b], a| Rgba([r, g, b, a])).into()
                }
                (true, None) => DynamicImage::from(colour).to_luma16().into(),
                (true, Some(alpha)) => {
                    let luma = DynamicImage::from(colour).to_luma16();
                    join(&luma, &alpha, |[l], a| LumaA([l, a])).into()
                }
            }
        } else {
            let colour: RgbImage = self.colour(&picture.to_rgb8())?;
            let alpha = transparent
                .then(|| channel(&picture.to_rgba8(), 3))
                .map(|alpha| Self::alpha(&alpha));
            match (grey, alpha) {
                (false, None) => colour.into(),
                (false, Some(alpha)) => {
                    let joined: RgbaImage =
                        join(&colour, &alpha, |[r, g, b], a| Rgba([r, g, b, a]));
                    joined.into()
                }
                (true, None) => DynamicImage::from(colour).to_luma8().into(),
                (true, Some(alpha)) => {
                    let luma: GrayImage = DynamicImage::from(colour).to_luma8();
                    let joined: GrayAlphaImage = join(&luma, &alpha, |[l], a| LumaA([l, a]));
                    joined.into()
                }
            }
        })
    }
}

/// One channel of a picture.
fn channel<S: Primitive>(
    picture: &ImageBuffer<Rgba<S>, Vec<S>>,
    index: usize,
) -> ImageBuffer<Luma<S>, Vec<S>>
where
    Rgba<S>: Pixel<Subpixel = S>,
    Luma<S>: Pixel<Subpixel = S>,
{
    ImageBuffer::from_fn(picture.width(), picture.height(), |x, y| {
        Luma([picture.get_pixel(x, y).0[index]])
    })
}

/// A picture of `colour` and `alpha`, which are of one size.
fn join<P, Q, S, const N: usize>(
    colour: &ImageBuffer<P, Vec<S>>,
    alpha: &ImageBuffer<Luma<S>, Vec<S>>,
    join: impl Fn([S; N], S) -> Q,
) -> ImageBuffer<Q, Vec<S>>
where
    S: Primitive,
    P: Pixel<Subpixel = S>,
    Q: Pixel<Subpixel = S>,
    Luma<S>: Pixel<Subpixel = S>,
{
    ImageBuffer::from_fn(colour.width(), colour.height(), |x, y| {
        let channels = colour.get_pixel(x, y).channels();
        join(
            std::array::from_fn(|i| channels[i]),
            alpha.get_pixel(x, y).0[0],
        )
    })
}

/// Writes `picture` in `format`; returns what had to be left behind.
fn write(
    picture: DynamicImage,
    profile: Option<Vec<u8>>,
    format: ImageFormat,
    quality: u8,
    draft: &Draft,
    name: &str,
) -> Result<Vec<String>> {
    let failed = |reason: String| Failure::Failed(format!("cannot write {name}: {reason}"));
    let mut warnings = Vec::new();
    let mut picture = picture;
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

    let file = File::create(draft.path()).map_err(|error| failed(error.to_string()))?;
    let mut writer = BufWriter::new(file);
    let mut keep = |kept: bool| {
        if !kept {
            warnings.push(
                "the output's format does not take the colour profile: it is dropped".to_owned(),
            );
        }
    };
    let (width, height, colour) = (
        picture.width(),
        picture.height(),
        ExtendedColorType::from(picture.color()),
    );
    let result = match format {
        ImageFormat::Jpeg => {
            let mut encoder = JpegEncoder::new_with_quality(&mut writer, quality);
            if let Some(profile) = profile {
                keep(encoder.set_icc_profile(profile).is_ok());
            }
            encoder.write_image(picture.as_bytes(), width, height, colour)
        }
        ImageFormat::Png => {
            let mut encoder = PngEncoder::new(&mut writer);
            if let Some(profile) = profile {
                keep(encoder.set_icc_profile(profile).is_ok());
            }
            encoder.write_image(picture.as_bytes(), width, height, colour)
        }
        ImageFormat::WebP => {
            let mut encoder = WebPEncoder::new_lossless(&mut writer);
            if let Some(profile) = profile {
                keep(encoder.set_icc_profile(profile).is_ok());
            }
            encoder.write_image(picture.as_bytes(), width, height, colour)
        }
        _ => {
            if profile.is_some() {
                keep(false);
            }
            picture.write_to(&mut writer, format)
        }
    };
    result.map_err(|error| failed(error.to_string()))?;
    writer.flush().map_err(|error| failed(error.to_string()))?;
    Ok(warnings)
}

/// Reads, upscales and writes a picture.
///
/// # Errors
/// Whatever kept it from being written.
pub fn upscale(
    options: &UpscaleOptions,
    format: ImageFormat,
    parameters: Parameters,
    progress: &Progress,
) -> Result<Summary> {
    let started = Instant::now();
    let draft = Draft::create(&options.output)?;
    progress.message("reading");
    let source = read(&options.input)?;

    let canceller = Canceller::new();
    interrupt::on_interrupt({
        let canceller = canceller.clone();
        move || canceller.cancel()
    });
    let mut upscaler = Upscaler::open(&options.engine.config(), &canceller, &mut |step| {
        progress.message(&format!(
            "opening {} {} ({} of {})",
            step.role,
            step.model,
            step.index + 1,
            step.count
        ));
    })?;
    // In a single picture there is no time to fade a face in.
    upscaler.set_parameters(Parameters {
        fade_time: Duration::ZERO,
        // Nor is there an earlier one to keep anything of.
        reuse: srfusion::Reuse::None,
        ..parameters
    })?;

    progress.message("upscaling");
    let picture = Job {
        upscaler: &mut upscaler,
    }
    .run(source.picture)?;
    progress.message("writing");
    let (width, height) = (picture.width(), picture.height());
    let output = options.output.display().to_string();
    let warnings = write(
        picture,
        source.profile,
        format,
        options.jpeg_quality,
        &draft,
        &output,
    )?;
    if interrupt::interrupted() {
        return Err(Failure::Interrupted);
    }
    draft.finish()?;
    warnings.iter().for_each(|warning| progress.warn(warning));

    let faces = upscaler.faces().len() as u64;
    let mut providers: Vec<_> = upscaler
        .models()
        .iter()
        .map(|model| model.provider.name())
        .collect();
    providers.dedup();
    let time = started.elapsed();
    Ok(Summary {
        input: options.input.display().to_string(),
        output,
        kind: "picture",
        width,
        height,
        frames: 1,
        seconds: time.as_secs_f64(),
        frames_per_second: rate(1, time),
        provider: providers.join(", "),
        frames_with_faces: u64::from(faces > 0),
        most_faces: faces,
        encoder: None,
        sound: Vec::new(),
        warnings,
    })
}
