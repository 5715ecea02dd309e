//! A clip made smaller frame by frame, upscaled, and judged: against what it was, and from frame to frame.

use std::time::Duration;

use serde::Serialize;
use srfusion::{FrameInfo, FrameMut, Parameters, SCALE, SceneCut, Size, Upscaler, View};

use super::engine::open;
use crate::arguments::EvalOptions;
use crate::clip::Clip;
use crate::failure::{Failure, Result};
use crate::metrics::{self, Feed, Identities, JudgedFrame, Luma, Picture};
use crate::progress::Progress;
use crate::report::faces::{FaceFinder, WeightMap};
use crate::report::record::{Averages, FaceRow, FrameRow};
use crate::{interrupt, table};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct ClipScores {
    truth: String,
    width: usize,
    height: usize,
    frames: usize,
    general_model: String,
    face_model: String,
    summary: Averages,
}

/// `low` as the engine upscales it, or bicubically where there is none.
fn upscale(upscaler: &mut Option<Upscaler>, low: &Picture, time: Duration) -> Result<Picture> {
    let Some(upscaler) = upscaler else {
        return Ok(metrics::resize(&low.frame()?, SCALE as f64)?);
    };
    let size = low.size.scaled(SCALE);
    let mut samples = vec![0; size.area() * 3];
    let mut output = FrameMut::new(&mut samples, size, size.width * 3)?;
    let info = FrameInfo {
        pts: Some(time),
        ..FrameInfo::default()
    };
    upscaler.process(low.frame()?, &info, &mut output)?;
    Ok(Picture { size, samples })
}

/// Runs the command on a clip.
///
/// # Errors
/// A clip that cannot be read, and the engine's.
pub fn run(options: &EvalOptions, parameters: &Parameters) -> Result<()> {
    if options.lr.is_some() {
        return Err(Failure::Usage(
            "--lr: expected a folder of true pictures with it, found a clip, which is made smaller here".into(),
        ));
    }
    gst::init()
        .map_err(|error| Failure::Failed(format!("GStreamer cannot be initialised: {error}")))?;
    let mut clip = Clip::open(&options.truth, None)?;
    let mut upscaler = open(options, parameters)?;
    if let Some(upscaler) = &mut upscaler {
        upscaler.set_parameters(parameters.clone())?;
    }
    let mut finder = match parameters.view {
        View::Fused => Some(FaceFinder::open(&options.engine)?),
        _ => None,
    };
    let mut identities = match (&options.embedding, &finder) {
        (Some(path), Some(_)) => Some(Identities::open(path, &options.engine.config())?),
        _ => None,
    };
    interrupt::catch()?;
    let progress = Progress::new(options.quiet);
    let expected = clip.expected();
    let sampled = metrics::sampling(expected, options.samples);
    let mut rows: Vec<FrameRow> = Vec::new();
    let mut size = Size::new(0, 0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let ((), numbers) = metrics::measure(threads, |feed: &mut Feed| -> Result<()> {
        let mut cuts = SceneCut::default();
        let mut before: Option<WeightMap> = None;
        while let Some(shot) = clip.next()? {
            let index = rows.len();
            progress.message(&format!(
                "frame {} of {}",
                index + 1,
                expected.map_or("?".into(), |count| count.to_string())
            ));
            let truth = metrics::crop_to_multiple(&shot.picture()?.frame()?, SCALE)?;
            size = truth.size;
            let low = metrics::resize(&truth.frame()?, 1.0 / SCALE as f64)?;
            let output = upscale(&mut upscaler, &low, shot.time)?;
            if let Some(upscaler) = &mut upscaler {
                progress.tell(upscaler);
            }
            let cut = cuts.observe(&low.frame()?);
            let mut row = FrameRow {
                index,
                time: shot.time.as_secs_f64(),
                cut,
                ..FrameRow::default()
            };
            if let Some(finder) = &mut finder {
                let (faces, mask) = finder.find(&low, shot.time)?;
                let steps = match &mut identities {
                    Some(identities) => identities.step(&faces, &low, &output)?,
                    None => vec![None; faces.len()],
                };
                row.faces = faces.iter().zip(&steps).map(FaceRow::of).collect();
                row.mask = Some(mask.mean());
                row.mask_change = before
                    .filter(|_| !cut)
                    .and_then(|before| mask.change(&before));
                before = Some(mask);
            }
            rows.push(row);
            feed.push(JudgedFrame {
                input: Luma::of(&low.frame()?),
                output: Luma::of(&output.frame()?),
                truth: Some(Luma::of(&truth.frame()?)),
                pictures: sampled(index).then_some((output, truth)),
                fresh: cut || index == 0,
            })?;
        }
        Ok(())
    })?;
    for (row, numbers) in rows.iter_mut().zip(numbers) {
        row.numbers = numbers;
    }
    progress.clear();
    let config = options.engine.config();
    let report = ClipScores {
        truth: options.truth.display().to_string(),
        width: size.width,
        height: size.height,
        frames: rows.len(),
        general_model: config.general_model,
        face_model: config.face_model,
        summary: Averages::of(&rows),
    };
    if options.json {
        return table::print_json(&report);
    }
    report.summary.print();
    Ok(())
}
