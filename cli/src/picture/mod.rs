//! Pictures: read, upscaled by the engine, and written. Orientation, colour profile, transparency, grey and 16 bits are
//! kept where the output's format can hold them.

mod embed;
mod read;
mod record;
mod write;

use std::path::Path;
use std::time::{Duration, Instant};

use image::{
    DynamicImage, GrayAlphaImage, GrayImage, ImageBuffer, ImageFormat, Luma, LumaA, Pixel,
    Primitive, Rgb, RgbImage, Rgba, RgbaImage,
};
use srfusion::{
    BBox, Config, Frame, FrameInfo, FrameMut, Parameters, SCALE, Sample, Settings, Severity, Size,
    Upscaler,
};

use crate::arguments::UpscaleOptions;
use crate::draft::Draft;
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::mark::{Networks, Statement};
use crate::metrics::Picture;
use crate::progress::Progress;
use crate::summary::{KindCount, Summary, rate};

/// Extensions that can be written.
pub const EXTENSIONS: &[&str] = &[".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"];

/// The format that `extension` (without its dot, lower case) stands for.
pub fn format_by_extension(extension: &str) -> Option<ImageFormat> {
    EXTENSIONS.iter().find(|known| known[1..] == *extension)?;
    ImageFormat::from_extension(extension)
}

/// Whether pictures of `format` can be read.
pub fn is_readable(format: ImageFormat) -> bool {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    matches!(format, Png | Jpeg | WebP | Bmp | Tiff | Gif)
}

/// The picture in the file at `path`, upright, as 8-bit RGB: grey is made colour, transparency dropped, 16 bits rounded.
///
/// # Errors
/// [`Failure::Failed`] naming the file.
pub fn read_rgb8(path: &Path) -> Result<Picture> {
    let picture = read::read(path)?.picture.to_rgb8();
    Ok(Picture {
        size: Size::new(picture.width() as usize, picture.height() as usize),
        samples: picture.into_raw(),
    })
}

/// Most times that a picture is drawn: as many frames as a face takes to be taken out, and as many again.
const SHOWINGS: usize = 32;

pub use record::{PictureRecord, input_sum, kind, output_digest, side};

/// The picture in the file at `path`, upright, as it is.
///
/// # Errors
/// [`Failure::Failed`] naming the file.
pub fn read(path: &Path) -> Result<DynamicImage> {
    Ok(read::read(path)?.picture)
}

/// Draws the picture `source` with `settings` once more, for one in samples of `kind`; gives its record.
///
/// # Errors
/// Those of [`upscale`], but for writing.
pub fn again(source: DynamicImage, settings: &Settings, kind: &str) -> Result<PictureRecord> {
    let (input, sum) = (side(&source), input_sum(&source));
    let mut upscaler = open(settings, &mut |_| ())?;
    upscaler.keep_records();
    let picture = PictureJob {
        upscaler: &mut upscaler,
    }
    .run(source)?;
    let recorded = upscaler.take_recorded();
    let recorded = recorded.ok_or_else(|| Failure::Failed("nothing was drawn".into()))?;
    let picture = record::in_kind(&picture, kind)?;
    PictureRecord::new(&input, sum, &recorded, settings, &picture)
}

/// The settings of pictures: in a single one there is no time to fade a face in, nor is there an earlier one to keep anything of.
fn of_a_picture(config: Config, parameters: Parameters) -> Settings {
    Settings {
        config: Config {
            // Nothing is learnt from one picture.
            deterministic: true,
            ..config
        },
        parameters: Parameters {
            fade_time: Duration::ZERO,
            // Unless it is drawn again and again.
            reuse: match parameters.identity_guard > 0.0 {
                true => srfusion::Reuse::Exact,
                false => srfusion::Reuse::None,
            },
            ..parameters
        },
        ..Settings::default()
    }
}

/// Opens the models of `settings`; `progress` is told what is done.
fn open(settings: &Settings, progress: &mut dyn FnMut(&str)) -> Result<Upscaler> {
    let canceller = interrupt::canceller();
    let mut upscaler = Upscaler::open(&settings.config, &canceller, &mut |step| {
        progress(&format!(
            "opening {} {} ({} of {})",
            step.role,
            step.model,
            step.index + 1,
            step.count
        ));
    })?;
    upscaler.set_parameters(settings.parameters.clone())?;
    Ok(upscaler)
}

/// Upscales one picture of any kind, in 8 or 16 bits, and back into the same kind.
struct PictureJob<'a> {
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

impl PictureJob<'_> {
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
        // A picture is over after one frame. Where faces are guarded it is shown again, as a film that stands still, until nothing changes.
        for _ in 0..SHOWINGS {
            self.upscaler
                .process(input, &FrameInfo::default(), &mut output)?;
            if self.upscaler.is_settled() {
                break;
            }
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

/// What a picture that `upscaler` has drawn says of how it was made.
fn statement(upscaler: &Upscaler) -> Statement {
    let faces = upscaler.faces().iter().filter(|face| face.weight > 0.0);
    let faces: Vec<_> = faces
        .map(|face| {
            let BBox { x0, y0, x1, y1 } = face.bbox;
            let [x0, y0, x1, y1] =
                [x0, y0, x1, y1].map(|side| (side.max(0.0) * SCALE as f32).round() as u32);
            (
                [x0, y0, x1.saturating_sub(x0), y1.saturating_sub(y0)],
                face.weight,
            )
        })
        .collect();
    Statement {
        networks: Networks::open(upscaler.models()),
        view: upscaler.parameters().view,
        frames: (1, u64::from(!faces.is_empty())),
        faces,
    }
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
    let (width, height) = read::size(&options.input)?;
    let scaled = |side: u32| u64::from(side) * SCALE as u64;
    write::check_size(format, scaled(width), scaled(height))?;
    let draft = Draft::create(&options.output)?;
    let temporary = draft.path().to_owned();
    interrupt::on_deadline(options.json, move || {
        // Nothing better can be done about a file that cannot be removed.
        let _ = std::fs::remove_file(&temporary);
        "interrupted; nothing was written".to_owned()
    });
    progress.message("reading");
    let source = read::read(&options.input)?;

    let settings = of_a_picture(options.engine.config(), parameters);
    let mut upscaler = open(&settings, &mut |text| progress.message(text))?;
    let read = options.audit.as_ref().map(|_| {
        upscaler.keep_records();
        (side(&source.picture), input_sum(&source.picture))
    });

    progress.message("upscaling");
    let picture = PictureJob {
        upscaler: &mut upscaler,
    }
    .run(source.picture)?;
    progress.message("writing");
    let (width, height) = (picture.width(), picture.height());
    let output = options.output.display().to_string();
    let mut warnings = source.warnings;
    // Each is told once, whatever it is about.
    for notice in upscaler.take_notices() {
        if notice.severity != Severity::Worse {
            progress.note(&notice.text);
        } else if !warnings.contains(&notice.text) {
            warnings.push(notice.text);
        }
    }
    let audit = match (&options.audit, read, upscaler.take_recorded()) {
        (Some(path), Some((input, sum)), Some(recorded)) => {
            // As it is handed to the encoder.
            let (shown, _) = write::fitting(picture.clone(), format);
            let record = PictureRecord::new(&input, sum, &recorded, &settings, &shown)?;
            Some(record.write(path, &options.input)?)
        }
        _ => None,
    };
    let xmp = (!options.no_marks).then(|| statement(&upscaler).xmp());
    warnings.extend(write::write(
        picture,
        source.metadata,
        format,
        options.jpeg_quality,
        xmp.as_deref(),
        draft.path(),
        &output,
    )?);
    if interrupt::interrupted() {
        return Err(Failure::Interrupted);
    }
    if let Some(audit) = audit {
        audit.finish()?;
    }
    draft.finish()?;
    warnings.iter().for_each(|warning| progress.warn(warning));

    let faces = upscaler.faces().len() as u64;
    let kinds = upscaler.kinds().iter().zip(upscaler.objects());
    let kinds = kinds.map(|(kind, objects)| KindCount {
        kind: kind.subject.clone(),
        frames: u64::from(!objects.is_empty()),
        most: objects.len() as u64,
    });
    let mut providers: Vec<_> = upscaler
        .models()
        .iter()
        .map(|model| model.provider.name())
        .collect();
    providers.dedup();
    let time = started.elapsed();
    Ok(Summary {
        event: "summary",
        input: options.input.display().to_string(),
        output,
        kind: "picture",
        width,
        height,
        frames: 1,
        frames_reused: 0,
        frames_decoded: 0,
        segments: 0,
        seconds: time.as_secs_f64(),
        frames_per_second: rate(1, time),
        provider: providers.join(", "),
        frames_with_faces: u64::from(faces > 0),
        most_faces: faces,
        kinds: kinds.collect(),
        encoder: None,
        sound: Vec::new(),
        warnings,
    })
}
