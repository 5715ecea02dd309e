//! The measurement as it is kept in the cache folder, for one machine and one set of networks. docs/tune.md describes the file.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use srfusion::Config;
use srfusion::models::resolve_all;

use super::candidates::{TrialRow, TunedSettings};
use super::measure::TrialOutcome;
use crate::failure::{Failure, Result};
use crate::machine::Machine;
use crate::video;

/// Version of the file.
const FORMAT: u32 = 1;
/// Folder in the cache folder.
const FOLDER: &str = "tuned";

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

/// sha256 of the networks' files.
#[derive(Debug, Serialize)]
struct ModelSums {
    general: String,
    face: Option<String>,
    detector: Option<String>,
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
    let Some(dir) = srfusion::runtime::cache::dir(best) else {
        return Ok(None);
    };
    let models = resolve_all(best)?;
    let models = ModelSums {
        general: models.general.sha256,
        face: models.face.map(|face| face.sha256),
        detector: models.detector.map(|detector| detector.sha256),
    };
    let folder = dir.join(FOLDER);
    let path = folder.join(name(machine, &models));
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
    let written = std::fs::create_dir_all(&folder).and_then(|()| video::write_whole(&path, &file));
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

/// The file's name: 16 digits of the sha256 of the machine, and of that of the networks' sums.
fn name(machine: &Machine, models: &ModelSums) -> String {
    let short = |text: String| video::hash(text.as_bytes())[..16].to_owned();
    let none = "none".to_owned();
    let machine = format!(
        "{}\n{}\n{}",
        machine.processor, machine.cores, machine.runtime
    );
    let models = format!(
        "{}\n{}\n{}",
        models.general,
        models.face.as_ref().unwrap_or(&none),
        models.detector.as_ref().unwrap_or(&none)
    );
    format!("{}-{}.json", short(machine), short(models))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_that_of_machine_and_networks() {
        let machine = |cores| Machine {
            processor: "P".to_owned(),
            cores,
            runtime: "1.2".to_owned(),
        };
        let models = |face: Option<&str>| ModelSums {
            general: "a".to_owned(),
            face: face.map(str::to_owned),
            detector: None,
        };
        // printf 'P\n2\n1.2' | sha256sum; printf 'a\nb\nnone' | sha256sum
        assert_eq!(
            name(&machine(2), &models(Some("b"))),
            "786415fe80d1ff17-ead5d2836e992066.json"
        );
        assert_ne!(
            name(&machine(2), &models(None)),
            name(&machine(4), &models(None))
        );
    }
}
