//! What `srfusion tune` measured on this machine with these networks, as it is kept in the cache folder: whatever provider was the fastest, `provider=auto` tries
//! first. docs/tune.md describes the file. The command writes it, opening reads it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::models::Models;
use crate::runtime::{cache, library};
use crate::settings::{Choices, Config, Provider};

/// Version of the file.
pub const FORMAT: u32 = 1;
/// Folder in the cache folder.
const FOLDER: &str = "tuned";

/// The machine that a measurement was made on, as far as the system tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name, or nothing where the system does not tell it.
    pub processor: String,
    /// Cores that this program may use.
    pub cores: usize,
    /// ONNX Runtime's version.
    pub runtime: String,
}

impl Machine {
    /// This machine, with the version of the runtime library that is loaded.
    pub fn here(runtime: String) -> Self {
        let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = information
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.trim() == "model name");
        Self {
            processor: name.map_or_else(String::new, |(_, name)| name.trim().to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            runtime,
        }
    }
}

/// sha256 of the networks' files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSums {
    /// Of the general generator.
    pub general: String,
    /// Of the face generator, if there is one.
    pub face: Option<String>,
    /// Of the detector, if there is one.
    pub detector: Option<String>,
}

impl ModelSums {
    /// Those of `models`.
    pub fn of(models: &Models) -> Self {
        Self {
            general: models.general.sha256.clone(),
            face: models.face.as_ref().map(|face| face.sha256.clone()),
            detector: models.detector.as_ref().map(|found| found.sha256.clone()),
        }
    }
}

/// The file for a machine and networks, if there is a cache folder. It need not exist.
pub fn path(config: &Config, machine: &Machine, models: &ModelSums) -> Option<PathBuf> {
    Some(cache::dir(config)?.join(FOLDER).join(name(machine, models)))
}

/// The file's name: 16 digits of the sha256 of the machine, and of that of the networks' sums.
fn name(machine: &Machine, models: &ModelSums) -> String {
    let short = |text: String| -> String {
        let sum = Sha256::digest(text.as_bytes());
        sum.iter().take(8).map(|b| format!("{b:02x}")).collect()
    };
    let or_none = |sum: &Option<String>| sum.clone().unwrap_or_else(|| "none".to_owned());
    let machine = format!(
        "{}\n{}\n{}",
        machine.processor, machine.cores, machine.runtime
    );
    let (face, detector) = (or_none(&models.face), or_none(&models.detector));
    let models = format!("{}\n{face}\n{detector}", models.general);
    format!("{}-{}.json", short(machine), short(models))
}

/// What opening needs of the file.
#[derive(Deserialize)]
struct TunedFile {
    format: u32,
    machine: Machine,
    models: ModelSums,
    best: Best,
}

#[derive(Deserialize)]
struct Best {
    provider: String,
}

/// The provider that was measured to be the fastest with `models` on this machine, where `config` leaves the choice; `None` if nothing was measured, or
/// the file cannot be used.
pub fn fastest(config: &Config, models: &Models) -> Option<Provider> {
    if config.provider != Provider::Auto {
        return None;
    }
    let runtime = library::load(config.runtime_library.as_deref()).ok()?;
    let (machine, sums) = (Machine::here(runtime.version), ModelSums::of(models));
    let text = std::fs::read(path(config, &machine, &sums)?).ok()?;
    let kept: TunedFile = serde_json::from_slice(&text).ok()?;
    let is_ours = (kept.format, &kept.machine, &kept.models) == (FORMAT, &machine, &sums);
    let named = Provider::named(&kept.best.provider).ok()?;
    (is_ours && named != Provider::Auto).then_some(named)
}

/// `config`, with [`fastest`] to be tried first.
pub fn with_fastest(config: &Config, models: &Models) -> Config {
    Config {
        fastest: fastest(config, models),
        ..config.clone()
    }
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
