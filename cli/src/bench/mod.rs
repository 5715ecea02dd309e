//! `srfusion bench`: how fast and how large, beside a bare loop over ONNX Runtime and the machine's multiply-add peak.
//!
//! Rows take turns, round by round, so that whatever else the machine does hits all of them; medians are reported, and ratios
//! are medians of the ratios within a round.

mod peak;
mod quality;
mod runner;
mod stream;

use std::time::Duration;

use serde::Serialize;
use srfusion::models::Catalogue;
use srfusion::open::tuned::Machine;
use srfusion::{Config, NO_MODEL, Parameters, Reuse, SCALE, Stats};

use crate::arguments::{BenchOptions, RowName};
use crate::failure::{Failure, Result};
use crate::machine;
use crate::progress::Progress;
use crate::{elements, interrupt, table};
use quality::Quality;
use runner::{Bare, Element, EngineRunner, Runner};
use stream::BenchStream;

/// Frames that a row is given before anything is timed.
const WARM_UP: usize = 3;

/// What was measured, as `--json` prints it.
#[derive(Debug, Serialize)]
struct BenchReport {
    machine: Machine,
    provider: String,
    threads: usize,
    stream: StreamReport,
    rounds: u32,
    general_model: String,
    face_model: String,
    /// Billions of floating-point operations a second in a large matrix product, the practical peak.
    peak_gflops: Option<f64>,
    /// Most memory resident after the first row's first frames, before any other row was opened, in bytes.
    peak_memory: Option<u64>,
    rows: Vec<BenchedRow>,
}

#[derive(Debug, Serialize)]
struct StreamReport {
    name: String,
    width: usize,
    height: usize,
    frames: usize,
    /// Bytes of the frames that are kept in memory for the measurement, part of `peak_memory`.
    memory: u64,
}

/// One row. Ratios are of frames per second, above 1 where this row is faster.
#[derive(Debug, Serialize)]
struct BenchedRow {
    name: &'static str,
    /// Median over the rounds.
    frames_per_second: f64,
    /// Each round's, in the order they were run.
    all: Vec<f64>,
    /// Ratio to the first row.
    to_first: f64,
    /// Ratio to the row `bare`, if it is there.
    to_bare: Option<f64>,
    /// Billions of floating-point operations a second in the networks, where whole frames go through networks whose
    /// multiply-adds are known.
    gflops: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<EngineReport>,
    /// With `--check`.
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<Quality>,
}

/// What the engine counted, over all rounds.
#[derive(Debug, Serialize)]
struct EngineReport {
    /// Mean milliseconds a frame.
    detect_ms: f64,
    general_ms: f64,
    face_ms: f64,
    fuse_ms: f64,
    total_ms: f64,
    plan_ms: f64,
    /// Shares of the cells in which the general generator's picture was wanted.
    tiles_run: f64,
    tiles_reused: f64,
    /// Input pixels that the generators ran over, context included, as shares of the frames' pixels; the element does not tell.
    pixels_run: Option<f64>,
    face_pixels_run: Option<f64>,
    /// Runs of a generator a frame; the element does not tell.
    runs: Option<f64>,
    /// Share of the frames that the detector looked at.
    detections: f64,
    /// Share of the output that the face generator drew.
    face_pixels: f64,
    frames_with_faces: f64,
}

/// A row under measurement.
struct BenchRow {
    name: RowName,
    runner: Box<dyn Runner>,
    rates: Vec<f64>,
    before: Option<Stats>,
}

/// The middle of `values`; the mean of the two in the middle if there is an even number of them.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

/// What every row is made from.
struct BenchPlan<'a> {
    options: &'a BenchOptions,
    config: Config,
    parameters: Parameters,
    /// Names and files of the generators.
    general: (String, std::path::PathBuf),
    face: Option<(String, std::path::PathBuf)>,
}

impl BenchPlan<'_> {
    fn open(&self, name: RowName, stream: &BenchStream) -> Result<Box<dyn Runner>> {
        let general_alone = || Config {
            face_model: NO_MODEL.into(),
            detector_model: NO_MODEL.into(),
            ..self.config.clone()
        };
        Ok(match name {
            RowName::Engine => Box::new(EngineRunner::open(&self.config, &self.parameters)?),
            RowName::General => Box::new(EngineRunner::open(&general_alone(), &self.parameters)?),
            RowName::None | RowName::Exact | RowName::Tolerant => {
                Box::new(EngineRunner::open(&self.config, &self.with_reuse(name))?)
            }
            RowName::Element => Box::new(Element::open(&self.options.engine, stream.size)?),
            RowName::Bare => Box::new(Bare::open(
                std::slice::from_ref(&self.general),
                &self.config,
            )?),
            RowName::Whole => match &self.face {
                Some(face) => {
                    let models = [self.general.clone(), face.clone()];
                    Box::new(Bare::open(&models, &self.config)?)
                }
                None => {
                    return Err(Failure::Usage(
                        "--rows whole needs a face generator: it runs both networks on whole frames".into(),
                    ));
                }
            },
        })
    }

    /// The parameters of the rows that are named for what they reuse.
    fn with_reuse(&self, name: RowName) -> Parameters {
        Parameters {
            reuse: match name {
                RowName::Exact => Reuse::Exact,
                RowName::Tolerant => Reuse::Tolerant,
                _ => Reuse::None,
            },
            ..self.parameters.clone()
        }
    }

    /// How far the pictures of a row are from those of its reference, if it has one.
    fn quality(&self, name: RowName, stream: &BenchStream) -> Result<Option<Quality>> {
        match name {
            RowName::Engine if self.face.is_some() => {
                quality::against_whole(&self.config, &self.parameters, stream).map(Some)
            }
            RowName::Exact | RowName::Tolerant => {
                let (found, reference) = (self.with_reuse(name), self.with_reuse(RowName::None));
                quality::against_none(&self.config, &found, &reference, stream).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Multiply-adds for each input pixel of a model that works at its input's resolution: one for each of its parameters.
    fn multiply_adds(&self, models: &[&str]) -> Option<f64> {
        let dir = srfusion::models::find_models_dir(
            self.config.models_dir.as_deref(),
            self.config.near.as_deref(),
        );
        let catalogue = Catalogue::load(&dir.ok()?).ok()?;
        let cost = |name: &&str| {
            let entry = catalogue
                .entries()
                .iter()
                .find(|entry| entry.name == **name);
            Some(entry?.parameters? as f64)
        };
        models.iter().map(cost).sum()
    }
}

/// Rows that are measured where none are named.
fn usual_rows(face: bool) -> Vec<RowName> {
    let mut rows = vec![RowName::Engine, RowName::Element, RowName::Bare];
    if face {
        rows.extend([RowName::General, RowName::Whole]);
    }
    rows
}

/// Where the networks run and which files they are, found by opening the engine once.
fn plan<'a>(options: &'a BenchOptions, engine: &EngineRunner) -> Result<BenchPlan<'a>> {
    let config = options.engine.config();
    let file = |role: &str| {
        let mut models = engine.upscaler().models().iter();
        models
            .find(|model| model.role == role)
            .map(|model| (model.name.clone(), model.path.clone()))
    };
    let general = file(srfusion::GENERAL)
        .ok_or_else(|| Failure::Failed("no general generator was opened".into()))?;
    Ok(BenchPlan {
        options,
        face: file(srfusion::FACE),
        general,
        parameters: options.engine.parameters()?,
        config,
    })
}

/// Runs the command.
///
/// # Errors
/// A stream that cannot be made, models that cannot be opened, and whatever stops a row.
pub fn run(options: &BenchOptions) -> Result<()> {
    let config = options.engine.config();
    let parameters = options.engine.parameters()?;
    elements::init()?;
    srfusion::Upscaler::check(&config)?;
    interrupt::catch()?;
    let progress = Progress::new(options.quiet);
    progress.message("making the frames");
    let stream = BenchStream::open(options, &config)?;

    progress.message("opening the models");
    machine::forget_peak_memory();
    let mut first = EngineRunner::open(&config, &parameters)?;
    let warm_up = WARM_UP.min(stream.frames);
    first.pass(&stream, warm_up)?;
    let peak_memory = machine::peak_memory();
    let plan = plan(options, &first)?;
    let provider = first.upscaler().models().first();
    let provider = provider.map(|model| model.provider.name().to_owned());
    let names = if options.rows.is_empty() {
        usual_rows(plan.face.is_some())
    } else {
        options.rows.clone()
    };
    let mut engine = Some(first);
    let mut rows = Vec::new();
    for &name in &names {
        let runner = match (name, engine.take()) {
            (RowName::Engine, Some(engine)) => Box::new(engine),
            (_, kept) => {
                engine = kept;
                plan.open(name, &stream)?
            }
        };
        rows.push(BenchRow {
            name,
            runner,
            rates: Vec::new(),
            before: None,
        });
    }
    // Not a row: its memory is given back.
    drop(engine);
    for row in &mut rows {
        progress.message(&format!("warming up {}", row.name.text()));
        row.runner.pass(&stream, warm_up)?;
        row.before = row.runner.stats();
    }
    tell(&progress, &mut rows);
    let count = rows.len();
    for round in 0..options.rounds {
        for turn in 0..count {
            // Each round begins with another row.
            let row = &mut rows[(turn + round as usize) % count];
            progress.message(&format!(
                "round {} of {}: {}",
                round + 1,
                options.rounds,
                row.name.text()
            ));
            let time = row.runner.pass(&stream, stream.frames)?;
            row.rates.push(stream.frames as f64 / time.as_secs_f64());
        }
    }
    tell(&progress, &mut rows);
    let mut reports = report_rows(&plan, &stream, &rows);
    drop(rows);
    if options.check {
        for (report, name) in reports.iter_mut().zip(&names) {
            progress.message(&format!("comparing the pictures of {}", report.name));
            report.quality = plan.quality(*name, &stream)?;
        }
    }
    progress.message("measuring the peak");
    let peak_gflops = match options.no_peak {
        true => None,
        false => Some(peak::measure(&config)?),
    };
    progress.clear();
    let report = BenchReport {
        machine: Machine::here(srfusion::runtime::library::load(None)?.version),
        provider: provider.unwrap_or_default(),
        threads: match config.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        },
        stream: StreamReport {
            name: stream.name.clone(),
            width: stream.size.width,
            height: stream.size.height,
            frames: stream.frames,
            memory: stream.memory(),
        },
        rounds: options.rounds,
        general_model: config.general_model,
        face_model: config.face_model,
        peak_gflops,
        peak_memory,
        rows: reports,
    };
    if options.json {
        crate::table::print_json(&report)?;
    } else {
        report.print();
    }
    Ok(())
}

/// Says what the rows have to tell: a row on another provider than was asked for is no measurement of that one.
fn tell(progress: &Progress, rows: &mut [BenchRow]) {
    for row in rows {
        for notice in row.runner.notices() {
            progress.warn(&format!("{}: {notice}", row.name.text()));
        }
    }
}

/// The rows' results.
fn report_rows(plan: &BenchPlan<'_>, stream: &BenchStream, rows: &[BenchRow]) -> Vec<BenchedRow> {
    let ratio = |a: &[f64], b: &[f64]| median(a.iter().zip(b).map(|(a, b)| a / b));
    let first = rows
        .first()
        .map(|row| row.rates.clone())
        .unwrap_or_default();
    let bare = rows.iter().find(|row| row.name == RowName::Bare);
    let bare = bare.map(|row| row.rates.clone());
    rows.iter()
        .map(|row| {
            let rate = median(row.rates.iter().copied());
            let models = match row.name {
                RowName::Bare => vec![plan.general.0.as_str()],
                RowName::Whole => [&plan.general]
                    .into_iter()
                    .chain(&plan.face)
                    .map(|(name, _)| name.as_str())
                    .collect(),
                _ => Vec::new(),
            };
            let cost = (!models.is_empty())
                .then(|| plan.multiply_adds(&models))
                .flatten();
            BenchedRow {
                name: row.name.text(),
                frames_per_second: rate,
                all: row.rates.clone(),
                to_first: ratio(&row.rates, &first),
                to_bare: bare.as_ref().map(|bare| ratio(&row.rates, bare)),
                gflops: cost.map(|cost| 2.0 * cost * stream.size.area() as f64 * rate / 1e9),
                engine: match (&row.before, row.runner.stats()) {
                    (Some(before), Some(after)) => Some(engine_report(before, &after, stream)),
                    _ => None,
                },
                quality: None,
            }
        })
        .collect()
}

/// What was counted between `before` and `after`.
fn engine_report(before: &Stats, after: &Stats, stream: &BenchStream) -> EngineReport {
    let frames = (after.frames_out - before.frames_out).max(1) as f64;
    let ms = |get: fn(&Stats) -> Duration| (get(after) - get(before)).as_secs_f64() * 1e3 / frames;
    let count = |get: fn(&Stats) -> u64| (get(after) - get(before)) as f64;
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let (tiles, pixels) = (
        count(|stats| stats.tiles_total),
        count(|stats| stats.pixels_total),
    );
    EngineReport {
        detect_ms: ms(|stats| stats.detect),
        general_ms: ms(|stats| stats.general),
        face_ms: ms(|stats| stats.face),
        fuse_ms: ms(|stats| stats.fuse),
        total_ms: ms(|stats| stats.total),
        plan_ms: ms(|stats| stats.plan),
        tiles_run: share(count(|stats| stats.tiles_run), tiles),
        tiles_reused: share(count(|stats| stats.tiles_reused), tiles),
        pixels_run: (pixels > 0.0).then(|| count(|stats| stats.pixels_run) / pixels),
        face_pixels_run: (pixels > 0.0).then(|| count(|stats| stats.face_pixels_run) / pixels),
        runs: (pixels > 0.0).then(|| count(|stats| stats.runs) / frames),
        detections: count(|stats| stats.detections) / frames,
        face_pixels: count(|stats| stats.face_pixels)
            / (frames * stream.size.scaled(SCALE).area() as f64),
        frames_with_faces: count(|stats| stats.frames_with_faces) / frames,
    }
}

impl BenchReport {
    fn print(&self) {
        let Self {
            machine, stream, ..
        } = self;
        println!(
            "{}: {}x{}, {} frames, {} rounds; {} + {}",
            stream.name,
            stream.width,
            stream.height,
            stream.frames,
            self.rounds,
            self.general_model,
            self.face_model
        );
        println!(
            "{}, {} cores, {} threads, ONNX Runtime {}, {}",
            machine.processor, machine.cores, self.threads, machine.runtime, self.provider
        );
        let header = [
            "ROW", "FPS", "MS", "TO FIRST", "TO BARE", "PLAN", "DETECT", "GENERAL", "FACE", "FUSE",
            "RUN", "REUSED", "PIXELS", "FACE", "GFLOP/S",
        ];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        for row in &self.rows {
            let mut cells = vec![
                row.name.to_owned(),
                format!("{:.2}", row.frames_per_second),
                format!("{:.1}", 1e3 / row.frames_per_second),
                format!("{:.3}", row.to_first),
                row.to_bare
                    .map_or_else(String::new, |ratio| format!("{ratio:.3}")),
            ];
            match &row.engine {
                Some(engine) => {
                    let times = [
                        engine.plan_ms,
                        engine.detect_ms,
                        engine.general_ms,
                        engine.face_ms,
                        engine.fuse_ms,
                    ];
                    cells.extend(times.map(|ms| format!("{ms:.1}")));
                    let shares = [
                        Some(engine.tiles_run),
                        Some(engine.tiles_reused),
                        engine.pixels_run,
                        engine.face_pixels_run,
                    ];
                    cells.extend(shares.map(|share| share.map(percent).unwrap_or_default()));
                }
                None => cells.resize(cells.len() + 9, String::new()),
            }
            cells.push(
                row.gflops
                    .map_or_else(String::new, |value| format!("{value:.0}")),
            );
            rows.push(cells);
        }
        table::print(&rows);
        println!(
            "MS, PLAN to FUSE: milliseconds a frame; RUN, REUSED: shares of the tiles; PIXELS, FACE: input pixels that the \
             general and the face generator ran over, context included, as shares of the frame"
        );
        if let Some(peak) = self.peak_gflops {
            println!("multiply-add peak as a matrix product reaches it: {peak:.0} GFLOP/s");
        }
        for (row, quality) in self
            .rows
            .iter()
            .filter_map(|row| Some((row, row.quality.as_ref()?)))
        {
            println!(
                "{} against {}: {:.2} dB, worst frame {:.2} dB, at most {} of 255 apart",
                row.name,
                quality.reference,
                quality.psnr,
                quality.worst_psnr,
                quality.largest_difference
            );
        }
        if let Some(bytes) = self.peak_memory {
            println!(
                "peak memory with the engine alone: {:.0} MB, of them {:.0} MB frames kept for the measurement",
                bytes as f64 / 1e6,
                stream.memory as f64 / 1e6
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }
}
