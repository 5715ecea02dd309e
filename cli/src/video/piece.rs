//! One segment by itself, for those who spread a video over many processes or machines: a plan of all segments, and making one of
//! them. The ordinary command then finds all of them made, and joins them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::arguments::UpscaleOptions;
use crate::failure::{Failure, Result};
use crate::progress::Progress;
use crate::summary::rate;
use crate::video::container::Container;
use crate::video::cut::{Cut, FileMark};
use crate::video::project::Project;
use crate::video::settings::{input_hash, settings};
use crate::video::work::{self, Work};
use crate::video::{job, segment};

/// File with the plan, in the folder of the work.
const CUT: &str = "cut";

/// What `--plan-segments` prints.
#[derive(Debug, Serialize)]
pub struct Planned {
    event: &'static str,
    input: String,
    output: String,
    /// Frames of the video.
    frames: u64,
    /// None where the video can only be made in one piece.
    segments: Vec<Part>,
    /// Why, then.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// A segment of the plan.
#[derive(Debug, Serialize)]
struct Part {
    number: u64,
    frames: usize,
    /// Whether it is made.
    done: bool,
}

/// What `--segment` prints.
#[derive(Debug, Serialize)]
pub struct Made {
    event: &'static str,
    input: String,
    number: u64,
    frames: usize,
    /// Whether it had been made before.
    reused: bool,
    /// Frames decoded for it.
    frames_decoded: u64,
    seconds: f64,
    frames_per_second: f64,
    provider: String,
}

/// Plans the segments of a video, and keeps the plan.
///
/// # Errors
/// Whatever keeps the video from being upscaled at all.
pub fn plan(
    options: &UpscaleOptions,
    container: &'static Container,
    progress: &Progress,
) -> Result<Planned> {
    let mark = FileMark::of(&options.input);
    let folder = work::folder(&options.output);
    let (mut project, bits) = Project::open(options, container, progress)?;
    let kept = read(&folder).filter(|cut| Some(cut.file) == mark);
    let hash = match &kept {
        Some(cut) => cut.settings.get("input").cloned(),
        None => None,
    };
    let hash = match hash {
        Some(hash) => hash,
        None => input_hash(&project.input)?,
    };
    let settings = settings(options, &hash, project.encoder, bits, &project.tools)?;
    let kept = kept.filter(|cut| cut.settings == settings);
    let cut = match (kept, mark) {
        (Some(cut), _) => Some(cut),
        (None, Some(mark)) => {
            project.input.read_packets()?;
            let length = project.segment_length();
            let made = Cut::make(
                &project.input,
                &project.video,
                length,
                mark,
                settings.clone(),
            );
            if let Some(cut) = &made {
                let work = Work::open(&options.output, &settings, options.start_over)?;
                let name = options.output.display().to_string();
                segment::write_sealed(&folder.join(CUT), cut)
                    .map_err(|error| segment::cannot_write(&name, &error))?;
                work.leave();
            }
            made
        }
        (None, None) => None,
    };
    let pieces = cut.iter().flat_map(|cut| &cut.pieces);
    let segments: Vec<_> = pieces
        .map(|piece| Part {
            number: piece.number,
            frames: piece.times.len(),
            done: segment::read(&folder, piece.number).is_some(),
        })
        .collect();
    Ok(Planned {
        event: "plan",
        input: options.input.display().to_string(),
        output: options.output.display().to_string(),
        frames: segments.iter().map(|part| part.frames as u64).sum(),
        reason: segments.is_empty().then_some(
            "the input has no index, or not every frame is one packet with a time of its own",
        ),
        segments,
    })
}

/// Makes the segment `number` of a video that was planned.
///
/// # Errors
/// [`Failure::Failed`] where there is no plan of this input and these settings, or the segment has other frames than were planned;
/// and whatever keeps a video from being upscaled.
pub fn one(
    options: &UpscaleOptions,
    container: &'static Container,
    number: u64,
    progress: &Progress,
) -> Result<Made> {
    let started = Instant::now();
    let folder = work::folder(&options.output);
    let unplanned = |what: &str| {
        Failure::Failed(format!(
            "{}: {what}; run the same command with --plan-segments first",
            options.output.display()
        ))
    };
    let cut = read(&folder).ok_or_else(|| unplanned("no segments are planned"))?;
    if FileMark::of(&options.input) != Some(cut.file) {
        return Err(unplanned(
            "the input is another than when segments were planned",
        ));
    }
    let (project, bits) = Project::open(options, container, progress)?;
    let hash = cut.settings.get("input").cloned().unwrap_or_default();
    let now = settings(options, &hash, project.encoder, bits, &project.tools)?;
    let differs = |(name, value): &(&String, &String)| cut.settings.get(*name) != Some(*value);
    if now.len() != cut.settings.len() || now.iter().any(|pair| differs(&pair)) {
        let names: Vec<_> = now
            .iter()
            .filter(differs)
            .map(|(name, _)| &name[..])
            .collect();
        return Err(unplanned(&format!(
            "segments were planned with other settings ({})",
            names.join(", ")
        )));
    }
    let place = cut.pieces.iter().position(|piece| piece.number == number);
    let place = place.ok_or_else(|| {
        let last = cut.pieces.last().map_or(0, |piece| piece.number);
        Failure::Usage(format!(
            "--segment {number}: expected one of those planned, 0 to {last}"
        ))
    })?;
    let piece = &cut.pieces[place];
    // Held until the end: whoever joins the segments has to wait.
    let _shared = work::share(&options.output)?;
    let made = |frames: usize, reused, decoded, provider: String| {
        let time = started.elapsed();
        Made {
            event: "segment",
            input: options.input.display().to_string(),
            number,
            frames,
            reused,
            frames_decoded: decoded,
            seconds: time.as_secs_f64(),
            frames_per_second: if reused {
                0.0
            } else {
                rate(frames as u64, time)
            },
            provider,
        }
    };
    if let Some(record) = segment::read(&folder, number) {
        return Ok(made(record.times.len(), true, 0, record.provider));
    }
    progress.message("opening the models");
    let task = project.task(folder.clone(), piece.times.len() as u64, Some(number));
    let mut records = BTreeMap::new();
    let outcome = job::run(&task, cut.lead(place), &mut records, progress)?;
    let record = records.remove(&number);
    let same = record.as_ref().is_some_and(|record| {
        let times = record.times.iter().map(|time| time + record.seen.start);
        times.eq(piece.times.iter().copied()) && record.seen.before == piece.before
    });
    match record {
        Some(record) if same => Ok(made(
            record.times.len(),
            false,
            outcome.decoded,
            record.provider,
        )),
        found => {
            let (packets, json) = segment::paths(&folder, number);
            for path in [json, packets] {
                // What is not there is gone.
                let _ = fs::remove_file(path);
            }
            Err(Failure::Failed(format!(
                "segment {number} has {} frames at their times instead of {}: the input is damaged or cannot be cut; run the command without --segment",
                found.map_or(0, |record| record.times.len()),
                piece.times.len()
            )))
        }
    }
}

/// The plan in `folder`.
fn read(folder: &Path) -> Option<Cut> {
    segment::read_sealed(&folder.join(CUT))
}
