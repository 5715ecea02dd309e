//! `srfusion eval`: pictures made smaller, upscaled, and compared with what they were; [`clip`] does it to a clip.

mod clip;
mod engine;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use srfusion::{FrameInfo, FrameMut, SCALE, Upscaler, View};

use engine::open;

use crate::arguments::EvalOptions;
use crate::failure::{Failure, Result};
use crate::metrics::{self, BORDER, Luma, Picture, Score, Shrinker};
use crate::progress::Progress;
use crate::{interrupt, picture, table};

/// A smaller picture that is given may stand for this many pixels less than the true one has: test sets were cut to
/// multiples of 12 so that they serve factors 2, 3 and 4.
const CUT: usize = 12;

/// What was measured, as `--json` prints it.
#[derive(Debug, Serialize)]
struct EvalReport {
    truth: String,
    lr: Option<String>,
    view: &'static str,
    general_model: String,
    face_model: String,
    provider: String,
    pictures: Vec<EvalRow>,
    mean: EvalMean,
}

/// What a picture is worth beside the true one.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct PictureQuality {
    /// PSNR of luma in dB; null where the pictures are equal.
    psnr: f64,
    /// SSIM of luma.
    ssim: f64,
    /// SSIMULACRA 2.
    ssimulacra2: f64,
    /// PSNR of luma in dB of the picture made four times smaller, against what it was made from.
    consistency: f64,
}

impl PictureQuality {
    fn of(picture: &Picture, truth: &Picture, low: &Picture) -> srfusion::Result<Self> {
        let frame = picture.frame()?;
        let Score { psnr, ssim } = metrics::score(&frame, &truth.frame()?, BORDER)?;
        let small = Shrinker::new(picture.size, SCALE).shrink(&Luma::of(&frame))?;
        Ok(Self {
            psnr,
            ssim,
            ssimulacra2: metrics::perceptual(picture, truth)?,
            consistency: small.psnr(&Luma::of(&low.frame()?), 0),
        })
    }
}

/// One picture.
#[derive(Debug, Serialize)]
struct EvalRow {
    name: String,
    width: usize,
    height: usize,
    faces: usize,
    #[serde(flatten)]
    quality: PictureQuality,
    bicubic: PictureQuality,
}

/// Means over the pictures.
#[derive(Debug, Serialize)]
struct EvalMean {
    #[serde(flatten)]
    quality: PictureQuality,
    bicubic: PictureQuality,
}

/// Files in `folder` that can be read as pictures by their extension, keyed by name without it.
fn pictures(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let failed = |reason: String| {
        Failure::Failed(format!(
            "cannot read the folder {}: {reason}",
            folder.display()
        ))
    };
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(|error| failed(error.to_string()))? {
        let path = entry.map_err(|error| failed(error.to_string()))?.path();
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        let Some(stem) = path.file_stem() else {
            continue;
        };
        if !path.is_file() || picture::format_by_extension(&extension.to_lowercase()).is_none() {
            continue;
        }
        if let Some(other) = found.insert(stem.to_string_lossy().into_owned(), path.clone()) {
            return Err(Failure::Failed(format!(
                "{}: expected one picture of a name, found {} beside it; rename one of them",
                path.display(),
                other.display()
            )));
        }
    }
    if found.is_empty() {
        return Err(failed(format!(
            "it has no picture ({})",
            picture::EXTENSIONS.join(" ")
        )));
    }
    Ok(found)
}

/// The true picture of `path` and the smaller one, read from `small` or made.
fn pair(path: &Path, small: Option<&Path>) -> Result<(Picture, Picture)> {
    let read = picture::read_rgb8(path)?;
    let Some(file) = small else {
        let truth = metrics::crop_to_multiple(&read.frame()?, SCALE)?;
        let low = metrics::resize(&truth.frame()?, 1.0 / SCALE as f64)?;
        return Ok((truth, low));
    };
    let low = picture::read_rgb8(file)?;
    let size = low.size.scaled(SCALE);
    let fits = |side: usize, whole: usize| side <= whole && whole < side + CUT;
    if !fits(size.width, read.size.width) || !fits(size.height, read.size.height) {
        return Err(Failure::Failed(format!(
            "{}: expected a picture a quarter as wide and high as {} ({}), found {}",
            file.display(),
            path.display(),
            read.size,
            low.size
        )));
    }
    Ok((metrics::crop(&read.frame()?, size)?, low))
}

/// `low` upscaled, and the number of faces in it.
fn upscale(upscaler: &mut Upscaler, low: &Picture) -> Result<(Picture, usize)> {
    let size = low.size.scaled(SCALE);
    let mut samples = vec![0; size.area() * 3];
    let mut output = FrameMut::new(&mut samples, size, size.width * 3)?;
    // Pictures have nothing to do with one another.
    upscaler.reset();
    upscaler.process(low.frame()?, &FrameInfo::default(), &mut output)?;
    Ok((Picture { size, samples }, upscaler.faces().len()))
}

/// Mean of each.
fn mean<'a>(values: impl Iterator<Item = &'a PictureQuality>) -> PictureQuality {
    let (mut sum, mut count) = (PictureQuality::default(), 0.0_f64);
    for value in values {
        sum.psnr += value.psnr;
        sum.ssim += value.ssim;
        sum.ssimulacra2 += value.ssimulacra2;
        sum.consistency += value.consistency;
        count += 1.0;
    }
    let count = count.max(1.0);
    PictureQuality {
        psnr: sum.psnr / count,
        ssim: sum.ssim / count,
        ssimulacra2: sum.ssimulacra2 / count,
        consistency: sum.consistency / count,
    }
}

impl EvalReport {
    fn print(&self) {
        let cell = |quality: &PictureQuality| {
            [
                format!("{:.3}", quality.psnr),
                format!("{:.4}", quality.ssim),
                format!("{:.2}", quality.ssimulacra2),
                format!("{:.2}", quality.consistency),
            ]
        };
        let header = [
            "PICTURE",
            "SIZE",
            "FACES",
            "PSNR",
            "SSIM",
            "SSIMULACRA2",
            "CONSISTENCY",
            "BICUBIC PSNR",
            "SSIM",
            "SSIMULACRA2",
            "CONSISTENCY",
        ];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        for row in &self.pictures {
            let size = format!("{}x{}", row.width, row.height);
            let mut cells = vec![row.name.clone(), size, row.faces.to_string()];
            cells.extend(cell(&row.quality));
            cells.extend(cell(&row.bicubic));
            rows.push(cells);
        }
        let count = format!("mean of {}", self.pictures.len());
        let mut cells = vec![count, String::new(), String::new()];
        cells.extend(cell(&self.mean.quality));
        cells.extend(cell(&self.mean.bicubic));
        rows.push(cells);
        table::print(&rows);
    }
}

/// Runs the command.
///
/// # Errors
/// A folder or picture that cannot be read, pictures that do not belong together, and the engine's.
pub fn run(options: &EvalOptions) -> Result<()> {
    let parameters = options.engine.parameters()?;
    if options.truth.is_file() {
        return clip::run(options, &parameters);
    }
    let truths = pictures(&options.truth)?;
    let lows = options.lr.as_deref().map(pictures).transpose()?;
    let mut upscaler = open(options, &parameters)?;
    interrupt::catch()?;
    let progress = Progress::new(options.quiet);
    let mut rows = Vec::new();
    for (name, path) in &truths {
        if interrupt::interrupted() {
            return Err(Failure::Interrupted);
        }
        progress.message(&format!("{} of {}: {name}", rows.len() + 1, truths.len()));
        let small = match &lows {
            None => None,
            Some(lows) => Some(
                lows.get(name)
                    .or_else(|| lows.get(&format!("{name}x{SCALE}")))
                    .ok_or_else(|| {
                        Failure::Failed(format!(
                            "{} has no picture named {name} for {}",
                            options.lr.as_deref().unwrap_or(Path::new("")).display(),
                            path.display()
                        ))
                    })?,
            ),
        };
        let (truth, low) = pair(path, small.map(PathBuf::as_path))?;
        let named = |error: srfusion::Error| match error {
            srfusion::Error::Cancelled => Failure::Interrupted,
            error => Failure::Failed(format!("{}: {error}", path.display())),
        };
        let simple = metrics::resize(&low.frame()?, SCALE as f64)?;
        let measure = |picture: &Picture| PictureQuality::of(picture, &truth, &low);
        let bicubic = measure(&simple).map_err(named)?;
        let (quality, faces) = match &mut upscaler {
            Some(upscaler) => {
                let (picture, faces) = upscale(upscaler, &low)?;
                progress.tell(upscaler);
                (measure(&picture).map_err(named)?, faces)
            }
            None => (bicubic, 0),
        };
        rows.push(EvalRow {
            name: name.clone(),
            width: truth.size.width,
            height: truth.size.height,
            faces,
            quality,
            bicubic,
        });
    }
    progress.clear();
    let provider = upscaler
        .as_ref()
        .and_then(|upscaler| upscaler.models().first());
    let report = EvalReport {
        truth: options.truth.display().to_string(),
        lr: options.lr.as_ref().map(|lr| lr.display().to_string()),
        view: match parameters.view {
            View::General => "general",
            View::Face => "face",
            View::Bicubic => "bicubic",
            _ => "fused",
        },
        general_model: options.engine.config().general_model,
        face_model: options.engine.config().face_model,
        provider: provider
            .map(|model| model.provider.name().to_owned())
            .unwrap_or_default(),
        mean: EvalMean {
            quality: mean(rows.iter().map(|row| &row.quality)),
            bicubic: mean(rows.iter().map(|row| &row.bicubic)),
        },
        pictures: rows,
    };
    if options.json {
        crate::table::print_json(&report)?;
    } else {
        report.print();
    }
    Ok(())
}
