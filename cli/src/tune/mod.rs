//! `srfusion tune`: which settings are the fastest for a video on this machine, and what each pair of networks makes of it.
//!
//! `measure` times one combination, `candidates` says which there are and which is best, `sheet` draws the picture to look at, `keep`
//! writes the measurement into the cache folder.

mod candidates;
mod keep;
mod measure;
mod sheet;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use srfusion::models::Catalogue;
use srfusion::open::tuned::Machine;
use srfusion::{Config, Parameters, Provider, Rect, Size, View};

use crate::arguments::TuneOptions;
use crate::draft::Draft;
use crate::failure::{Failure, Result};
use crate::progress::Progress;
use crate::{elements, interrupt, picture, table, video};

use candidates::{TrialRow, TunedSettings, best};
use measure::{Footage, TrialOutcome, measure};
use sheet::Column;

/// Places of the footage from which frames are taken.
const PLACES: usize = 3;
/// Frames from each place: enough for faces to be followed and for what stands still to be kept.
const FRAMES: usize = 8;
/// Bytes that the frames may take.
const MEMORY: usize = 400 << 20;
/// Longest time for one combination.
const SLICE: Duration = Duration::from_secs(6);
/// Shortest time that is worth it.
const LEAST: Duration = Duration::from_millis(300);
/// Part of the time that is left for drawing the sheet.
const FOR_SHEET: f64 = 0.15;

/// What was found, as `--json` prints it.
#[derive(Debug, Serialize)]
struct TuneReport {
    input: String,
    machine: Machine,
    width: usize,
    height: usize,
    /// Frames of the whole video.
    frames: u64,
    /// Share of a frame's area that was measured.
    share: f64,
    rows: Vec<TunedRow>,
    /// Providers that the runtime library was not built with.
    absent: Vec<&'static str>,
    best: TunedSettings,
    frames_per_second: f64,
    /// The command to use.
    command: String,
    sheet: String,
    /// Where the measurement is kept.
    kept: Option<String>,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct TunedRow {
    #[serde(flatten)]
    settings: TunedSettings,
    frames_per_second: Option<f64>,
    /// Frames timed.
    frames: usize,
    /// For the whole video at this speed.
    seconds: Option<f64>,
    /// Why it was not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Measures one combination after the other within the time.
struct Tuner<'a> {
    parameters: Parameters,
    footage: Footage,
    until: Instant,
    progress: &'a Progress,
}

impl Tuner<'_> {
    /// Measures `configs`, after which about `later` combinations come; gives a row for each.
    fn all(&self, configs: Vec<Config>, later: usize) -> Result<Vec<TrialRow>> {
        let count = configs.len();
        let each = |(number, config): (usize, Config)| {
            let waiting = u32::try_from(count - number + later).unwrap_or(u32::MAX);
            let left = self.until.saturating_duration_since(Instant::now());
            // Opening takes time too.
            let slice = SLICE.min(left / waiting.max(1) / 2).max(LEAST);
            let outcome = if left < LEAST {
                TrialOutcome::Late
            } else {
                self.progress
                    .message(&format!("measuring {}", name(&config)));
                let until = Instant::now() + (left / waiting.max(1)).max(SLICE);
                let until = until.min(self.until);
                measure(&config, &self.parameters, &self.footage, slice, until)?
            };
            Ok(TrialRow { config, outcome })
        };
        configs.into_iter().enumerate().map(each).collect()
    }
}

/// What a combination is called while it is measured.
fn name(config: &Config) -> String {
    format!(
        "{} and {} on {}",
        config.general_model,
        config.face_model,
        config.provider.name()
    )
}

/// Runs the command.
///
/// # Errors
/// An input of which nothing can be decoded, models that cannot be opened, a sheet that cannot be written, and where nothing could be
/// measured in the time.
pub fn run(options: &TuneOptions) -> Result<()> {
    let started = Instant::now();
    let end = started + Duration::from_secs(options.seconds);
    let parameters = options.engine.parameters()?;
    let config = options.engine.config();
    elements::init()?;
    srfusion::Upscaler::check(&config)?;
    let path = sheet_path(options)?;
    let draft = Draft::create(&path)?;
    interrupt::catch()?;
    let half = draft.path().to_owned();
    interrupt::on_deadline(options.json, move || {
        // What is not there needs no removing.
        let _ = std::fs::remove_file(&half);
        "interrupted; nothing was written".to_owned()
    });
    let progress = Progress::new(options.quiet);
    progress.message("taking frames");
    let (footage, total) = footage(&options.input)?;
    let machine =
        Machine::here(srfusion::runtime::library::load(config.runtime_library.as_deref())?.version);
    let given: Vec<_> = options.engine.properties();
    let given: Vec<_> = given.iter().map(|(name, _)| *name).collect();
    let budget = end.saturating_duration_since(Instant::now());
    let tuner = Tuner {
        parameters,
        footage,
        until: end - budget.mul_f64(FOR_SHEET),
        progress: &progress,
    };
    let absent = absent(&config);
    let (tuner, rows) = measured(tuner, &config, &given, &absent, machine.cores)?;
    let own = |row: &&TrialRow| {
        (&row.config.general_model, &row.config.face_model)
            == (&config.general_model, &config.face_model)
    };
    let of_own: Vec<_> = rows.iter().filter(own).cloned().collect();
    let Some(fastest) = best(&of_own) else {
        let reasons: Vec<_> = rows.iter().map(reason).collect();
        return Err(Failure::Failed(format!(
            "nothing could be measured in {} s: {}",
            options.seconds,
            reasons.into_iter().flatten().collect::<Vec<_>>().join("; ")
        )));
    };
    progress.message("drawing the sheet");
    let (sheet, columns) = sheet::draw(
        &tuner.footage,
        &columns(&rows, fastest),
        &tuner.parameters,
        end,
    )?;
    sheet
        .save_with_format(draft.path(), image::ImageFormat::Png)
        .map_err(|error| Failure::Failed(format!("cannot write {}: {error}", path.display())))?;
    draft.finish()?;
    let kept = keep::write(&machine, tuner.footage.frame, &rows, &fastest.config)?;
    progress.clear();
    let report = TuneReport {
        input: options.input.display().to_string(),
        machine,
        width: tuner.footage.frame.width,
        height: tuner.footage.frame.height,
        frames: total,
        share: tuner.footage.share(),
        rows: rows.iter().map(|row| row_report(row, total)).collect(),
        absent,
        best: TunedSettings::of(&fastest.config),
        frames_per_second: fastest.rate().unwrap_or_default(),
        command: command(&options.input, &fastest.config),
        sheet: path.display().to_string(),
        kept: kept.map(|path| path.display().to_string()),
        seconds: started.elapsed().as_secs_f64(),
    };
    if options.json {
        table::print_json(&report)
    } else {
        report.print(columns);
        Ok(())
    }
}

/// The providers that the runtime library was not built with.
fn absent(config: &Config) -> Vec<&'static str> {
    let missing = |provider: &Provider| {
        let with = Config {
            provider: *provider,
            ..config.clone()
        };
        srfusion::Upscaler::check(&with).is_err()
    };
    let named = Provider::ORDER.into_iter().filter(missing);
    named.map(Provider::name).collect()
}

/// Where the sheet goes.
fn sheet_path(options: &TuneOptions) -> Result<PathBuf> {
    let path = options.sheet.clone().unwrap_or_else(|| {
        let mut name = options.input.file_stem().unwrap_or_default().to_owned();
        name.push("-tune.png");
        name.into()
    });
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    if extension != "png" {
        return Err(Failure::Usage(format!(
            "--sheet {}: expected a name that ends with .png",
            path.display()
        )));
    }
    Ok(path)
}

/// The frames to measure on, and how many the whole input has.
fn footage(path: &Path) -> Result<(Footage, u64)> {
    let (frame, total, scenes) = if video::moves(path)? {
        let sample = video::sample(path, PLACES, FRAMES, MEMORY)?;
        let size = Size::new(sample.size.0 as usize, sample.size.1 as usize);
        (size, sample.total, sample.scenes)
    } else {
        let picture = picture::read_rgb8(path)?;
        (
            picture.size,
            1,
            vec![vec![(Duration::ZERO, picture.samples)]],
        )
    };
    let window = Rect {
        x: 0,
        y: 0,
        width: frame.width,
        height: frame.height,
    };
    Ok((
        Footage {
            frame,
            window,
            scenes,
        },
        total,
    ))
}

/// Measures everything, each step with the best of those before.
fn measured<'a>(
    mut tuner: Tuner<'a>,
    config: &Config,
    given: &[&str],
    absent: &[&str],
    cores: usize,
) -> Result<(Tuner<'a>, Vec<TrialRow>)> {
    let longest = tuner.footage.frame.width.max(tuner.footage.frame.height);
    let dir =
        srfusion::models::find_models_dir(config.models_dir.as_deref(), config.near.as_deref());
    let catalogue = dir.and_then(|dir| Catalogue::load(&dir)).ok();
    let providers = candidates::providers(config, given)
        .into_iter()
        .filter(|config| !absent.contains(&config.provider.name()))
        .collect::<Vec<_>>();
    let later = |config: &Config| {
        candidates::threads(config, given, cores).len()
            + candidates::tiles(config, given, longest).len()
            + candidates::pairs(config, given, catalogue.as_ref()).len()
    };
    // Frames that take too long are measured in part.
    let mut first = None;
    for config in &providers {
        tuner.progress.message(&format!("trying {}", name(config)));
        let left = tuner.until.saturating_duration_since(Instant::now());
        let until = Instant::now() + left / 2;
        let nothing = Duration::from_nanos(1);
        let outcome = measure(config, &tuner.parameters, &tuner.footage, nothing, until)?;
        match outcome {
            TrialOutcome::Measured(rate, _) => {
                let time = Duration::from_secs_f64(1.0 / rate.max(1e-6));
                first = Some(time);
                break;
            }
            TrialOutcome::Late => first = Some(left / 2),
            TrialOutcome::Failed(_) => {}
        }
    }
    if let Some(time) = first
        && time > SLICE / 4
    {
        tuner.footage.shrink(time, SLICE / 6);
    }
    let expected = providers.first().map_or(0, later);
    let mut rows = tuner.all(providers, expected)?;
    let Some(fastest) = best(&rows).map(|row| row.config.clone()) else {
        return Ok((tuner, rows));
    };
    let pairs = candidates::pairs(&fastest, given, catalogue.as_ref()).len();
    let tiles = candidates::tiles(&fastest, given, longest).len();
    let others = candidates::threads(&fastest, given, cores);
    rows.extend(tuner.all(others, tiles + pairs)?);
    let fastest = best(&rows).map_or(fastest, |row| row.config.clone());
    let measured_side = tuner.footage.window.width.max(tuner.footage.window.height);
    let others = candidates::tiles(&fastest, given, measured_side);
    rows.extend(tuner.all(others, pairs)?);
    let fastest = best(&rows).map_or(fastest, |row| row.config.clone());
    let others = candidates::pairs(&fastest, given, catalogue.as_ref());
    rows.extend(tuner.all(others, 0)?);
    Ok((tuner, rows))
}

/// What the sheet shows: bicubic interpolation, the user's networks, and the other pairs that were measured.
fn columns(rows: &[TrialRow], fastest: &TrialRow) -> Vec<Column> {
    let mut found = vec![Column {
        title: "bicubic".to_owned(),
        config: fastest.config.clone(),
        view: View::Bicubic,
    }];
    let other = |row: &&TrialRow| row.config.general_model != fastest.config.general_model;
    for row in [fastest].into_iter().chain(rows.iter().filter(other)) {
        if let Some(rate) = row.rate() {
            found.push(Column {
                title: format!("{} {rate:.2}/s", row.config.general_model),
                config: row.config.clone(),
                view: View::Fused,
            });
        }
    }
    found
}

/// Why a row was not measured.
fn reason(row: &TrialRow) -> Option<String> {
    match &row.outcome {
        TrialOutcome::Measured(..) => None,
        TrialOutcome::Failed(reason) => Some(reason.clone()),
        TrialOutcome::Late => Some("no time was left".to_owned()),
    }
}

fn row_report(row: &TrialRow, total: u64) -> TunedRow {
    let rate = row.rate();
    TunedRow {
        settings: TunedSettings::of(&row.config),
        frames_per_second: rate,
        frames: match row.outcome {
            TrialOutcome::Measured(_, frames) => frames,
            _ => 0,
        },
        seconds: rate.map(|rate| total as f64 / rate.max(1e-9)),
        reason: reason(row),
    }
}

/// The command with the settings of `config`, as far as they are not the defaults.
fn command(input: &Path, config: &Config) -> String {
    let usual = Config::default();
    let mut words = vec![
        "srfusion upscale".to_owned(),
        table::quoted(input.as_os_str()),
        "OUT".to_owned(),
        format!("--provider {}", config.provider.name()),
    ];
    let mut add = |name: &str, differs: bool, value: &str| {
        if differs {
            words.push(format!("--{name} {}", table::quoted(value.as_ref())));
        }
    };
    let differs = config.precision != usual.precision;
    add("precision", differs, config.precision.name());
    let differs = config.threads != usual.threads;
    add("threads", differs, &config.threads.to_string());
    let differs = config.tile_size != usual.tile_size;
    add("tile-size", differs, &config.tile_size.to_string());
    let differs = config.general_model != usual.general_model;
    add("general-model", differs, &config.general_model);
    let differs = config.face_model != usual.face_model;
    add("face-model", differs, &config.face_model);
    words.join(" ")
}

impl TuneReport {
    /// The table and what follows from it, for people.
    fn print(&self, columns: usize) {
        let header = [
            "provider",
            "precision",
            "threads",
            "tile",
            "general",
            "face",
            "frames/s",
            "whole",
        ];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        for row in &self.rows {
            let TunedSettings {
                provider,
                precision,
                threads,
                tile_size,
                general_model,
                face_model,
            } = &row.settings;
            let all = |number: &usize, zero: &str| match number {
                0 => zero.to_owned(),
                number => number.to_string(),
            };
            rows.push(vec![
                (*provider).to_owned(),
                (*precision).to_owned(),
                all(threads, "all"),
                all(tile_size, "auto"),
                general_model.clone(),
                face_model.clone(),
                row.frames_per_second
                    .map_or("-".to_owned(), |rate| format!("{rate:.2}")),
                row.seconds.map_or("-".to_owned(), clock),
            ]);
        }
        table::print(&rows);
        for row in self.rows.iter().filter(|row| row.reason.is_some()) {
            let settings = &row.settings;
            println!(
                "not measured: {} {} with {}: {}",
                settings.provider,
                settings.precision,
                settings.general_model,
                row.reason.as_deref().unwrap_or_default()
            );
        }
        if !self.absent.is_empty() {
            println!("not in this ONNX Runtime: {}", self.absent.join(", "));
        }
        if self.share < 0.999 {
            println!(
                "measured on {:.0} % of each frame, reckoned to whole ones",
                self.share * 100.0
            );
        }
        println!(
            "{}: {} columns to compare; for another pair than the first add --general-model and --face-model",
            self.sheet, columns
        );
        if let Some(kept) = &self.kept {
            println!("kept in {kept}");
        }
        println!("{}", self.command);
    }
}

/// Seconds as hours, minutes and seconds.
fn clock(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_names_what_is_not_usual() {
        let config = Config {
            provider: Provider::Cpu,
            threads: 2,
            face_model: "my face.onnx".to_owned(),
            ..Config::default()
        };
        assert_eq!(
            command(Path::new("a b.mkv"), &config),
            "srfusion upscale 'a b.mkv' OUT --provider cpu --threads 2 --face-model 'my face.onnx'"
        );
        assert_eq!(clock(3725.4), "1:02:05");
    }
}
