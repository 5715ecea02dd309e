//! The measurement as it is kept in the cache folder, for one machine and one set of networks. docs/tune.md describes the file.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use srfusion::Config;
use srfusion::models::resolve_all;
use srfusion::open::tuned::{FORMAT, Machine, ModelSums, path};

use super::candidates::{TrialRow, TunedSettings};
use super::measure::TrialOutcome;
use crate::failure::{Failure, Result};
use crate::video;

#[derive(Debug, Serialize)]
struct File<'a> {
    format: u32,
    /// Seconds since 1970.
    time: u64,
    machine: &'a Machine,
    models: ModelSums,
    /// Width and height of the frames.
    size: [usize; 2],
    measured: Vec<KeptRow>,
    /// The fastest with these networks.
    best: TunedSettings,
}

#[derive(Debug, Serialize)]
struct KeptRow {
    #[serde(flatten)]
    settings: TunedSettings,
    frames_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Writes what was measured with the networks of `best`; gives the file, or nothing where there is no cache folder.
///
/// # Errors
/// [`Failure::Failed`] if it cannot be written.
pub fn write(
    machine: &Machine,
    size: srfusion::Size,
    rows: &[TrialRow],
    best: &Config,
) -> Result<Option<PathBuf>> {
    let models = ModelSums::of(&resolve_all(best)?);
    let Some(path) = path(best, machine, &models) else {
        return Ok(None);
    };
    let same = |row: &&TrialRow| {
        row.config.general_model == best.general_model && row.config.face_model == best.face_model
    };
    let file = File {
        format: FORMAT,
        time: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| time.as_secs()),
        machine,
        models,
        size: [size.width, size.height],
        measured: rows.iter().filter(same).map(measured).collect(),
        best: TunedSettings::of(best),
    };
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    let written = folder.and_then(|()| video::write_whole(&path, &file));
    written
        .map(|()| Some(path.clone()))
        .map_err(|error| Failure::Failed(format!("cannot write {}: {error}", path.display())))
}

fn measured(row: &TrialRow) -> KeptRow {
    KeptRow {
        settings: TunedSettings::of(&row.config),
        frames_per_second: row.rate(),
        reason: match &row.outcome {
            TrialOutcome::Measured(..) => None,
            TrialOutcome::Failed(reason) => Some(reason.clone()),
            TrialOutcome::Late => Some("the time was over".to_owned()),
        },
    }
}
