//! Which combinations of settings are measured, in which order, and which of them is best.

use serde::Serialize;
use srfusion::models::{Catalogue, Role};
use srfusion::{Config, Precision, Provider};

use super::measure::TrialOutcome;

/// By how much another setting must be faster than the best so far to be taken: less than this is the machine's mood.
const WORTH: f64 = 1.03;

/// Settings, as they are typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TunedSettings {
    /// What computes the networks.
    pub provider: &'static str,
    /// Their arithmetic.
    pub precision: &'static str,
    /// Threads on the processor, 0 for all cores.
    #[serde(rename = "threads")]
    pub threads: usize,
    /// Longest side of a tile, 0 for the planner's choice.
    #[serde(rename = "tile-size")]
    pub tile_size: usize,
    /// General network.
    #[serde(rename = "general-model")]
    pub general_model: String,
    /// Face network.
    #[serde(rename = "face-model")]
    pub face_model: String,
}

impl TunedSettings {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        Self {
            provider: config.provider.name(),
            precision: config.precision.name(),
            threads: config.threads,
            tile_size: config.tile_size,
            general_model: config.general_model.clone(),
            face_model: config.face_model.clone(),
        }
    }
}

/// A combination that was measured.
#[derive(Debug, Clone)]
pub struct TrialRow {
    /// The combination.
    pub config: Config,
    /// What came of it.
    pub outcome: TrialOutcome,
}

impl TrialRow {
    /// Frames a second, where it was measured.
    pub fn rate(&self) -> Option<f64> {
        match self.outcome {
            TrialOutcome::Measured(rate, _) => Some(rate),
            _ => None,
        }
    }
}

/// The configuration of the fastest of `rows`, the earlier one where the later is hardly faster; `None` if none was measured.
pub fn best(rows: &[TrialRow]) -> Option<&TrialRow> {
    let mut found: Option<&TrialRow> = None;
    for row in rows {
        if let Some(rate) = row.rate()
            && found
                .and_then(TrialRow::rate)
                .is_none_or(|best| rate > best * WORTH)
        {
            found = Some(row);
        }
    }
    found
}

/// Every provider, the processor first as it is always there, with each precision in which it may compute; `given` are the options
/// that the user has typed.
pub fn providers(config: &Config, given: &[&str]) -> Vec<Config> {
    let named = [
        Provider::Cpu,
        Provider::OpenVino,
        Provider::Cuda,
        Provider::TensorRt,
    ];
    let wanted = |provider: &Provider| {
        !given.contains(&"provider")
            || config.provider == Provider::Auto
            || config.provider == *provider
    };
    let precisions = |provider: Provider| -> &[Precision] {
        match provider {
            // Half precision by itself.
            Provider::TensorRt => &[Precision::Auto, Precision::Fp32],
            // TensorFloat-32 by itself; the other half is the file's.
            Provider::Cuda => &[Precision::Auto, Precision::Fp32],
            Provider::OpenVino | Provider::Cpu | Provider::Auto => &[Precision::Auto],
        }
    };
    let mut found = Vec::new();
    for provider in named.into_iter().filter(wanted) {
        let precisions = if given.contains(&"precision") {
            &[config.precision]
        } else {
            precisions(provider)
        };
        found.extend(precisions.iter().map(|precision| Config {
            provider,
            precision: *precision,
            ..config.clone()
        }));
    }
    found
}

/// Other numbers of threads than `config` has, for a machine of `cores` cores.
pub fn threads(config: &Config, given: &[&str], cores: usize) -> Vec<Config> {
    let on_processor = matches!(config.provider, Provider::Cpu | Provider::OpenVino);
    if given.contains(&"threads") || !on_processor {
        return Vec::new();
    }
    let mut counts = vec![cores / 2, cores / 4];
    counts.retain(|count| *count > 0);
    counts.dedup();
    let with = |threads| Config {
        threads,
        ..config.clone()
    };
    counts.into_iter().map(with).collect()
}

/// Other sizes of tiles than `config` has, for frames whose longest side is `longest`.
pub fn tiles(config: &Config, given: &[&str], longest: usize) -> Vec<Config> {
    if given.contains(&"tile-size") {
        return Vec::new();
    }
    let with = |tile_size| Config {
        tile_size,
        ..config.clone()
    };
    let sizes = [256, 512, 1024].into_iter();
    sizes.filter(|size| *size < longest).map(with).collect()
}

/// Other pairs of networks than `config` has, of `catalogue`: a general network and the face network of the same name but for that
/// word.
pub fn pairs(config: &Config, given: &[&str], catalogue: Option<&Catalogue>) -> Vec<Config> {
    let chosen = ["general-model", "face-model"];
    if chosen.iter().any(|name| given.contains(name)) {
        return Vec::new();
    }
    let entries = catalogue.map_or(&[][..], Catalogue::entries);
    let generators = || entries.iter().filter(|entry| entry.role == Role::Generator);
    let mut found = Vec::new();
    for general in generators() {
        let Some(rest) = general.name.strip_prefix("general") else {
            continue;
        };
        let face = format!("face{rest}");
        if general.name != config.general_model && generators().any(|entry| entry.name == face) {
            found.push(Config {
                general_model: general.name.clone(),
                face_model: face,
                ..config.clone()
            });
        }
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_not_measured() {
        let config = Config::default();
        assert_eq!(providers(&config, &[]).len(), 6);
        let cpu = Config {
            provider: Provider::Cpu,
            ..config.clone()
        };
        let given = providers(&cpu, &["provider"]);
        assert_eq!(given.len(), 1);
        assert_eq!(given[0].provider, Provider::Cpu);
        let counts = |config: &Config, given: &[&str], cores| -> Vec<usize> {
            let found = threads(config, given, cores);
            found.iter().map(|config| config.threads).collect()
        };
        assert_eq!(counts(&cpu, &[], 16), [8, 4]);
        assert_eq!(counts(&cpu, &[], 2), [1]);
        assert_eq!(counts(&cpu, &[], 1), [0; 0]);
        assert_eq!(counts(&cpu, &["threads"], 16), [0; 0]);
        assert_eq!(tiles(&cpu, &[], 640).len(), 2);
        assert!(tiles(&cpu, &["tile-size"], 640).is_empty());
    }

    #[test]
    fn pairs_are_found_by_their_names() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
        let catalogue = Catalogue::load(&dir).unwrap();
        let found = pairs(&Config::default(), &[], Some(&catalogue));
        let names: Vec<_> = found
            .iter()
            .map(|config| (config.general_model.as_str(), config.face_model.as_str()))
            .collect();
        assert!(
            names.contains(&("general-x4-fast", "face-x4-fast")),
            "{names:?}"
        );
        assert!(names.iter().all(|(general, _)| *general != "general-x4"));
        assert!(pairs(&Config::default(), &["face-model"], Some(&catalogue)).is_empty());
    }

    #[test]
    fn hardly_faster_is_not_better() {
        let row = |threads, outcome| TrialRow {
            config: Config {
                threads,
                ..Config::default()
            },
            outcome,
        };
        let rows = [
            row(0, TrialOutcome::Failed("not here".into())),
            row(1, TrialOutcome::Measured(10.0, 5)),
            row(2, TrialOutcome::Measured(10.2, 5)),
            row(3, TrialOutcome::Late),
            row(4, TrialOutcome::Measured(11.0, 5)),
            row(5, TrialOutcome::Measured(9.0, 5)),
        ];
        assert_eq!(best(&rows).unwrap().config.threads, 4);
        assert_eq!(best(&rows[..3]).unwrap().config.threads, 1);
        assert!(best(&rows[..1]).is_none());
    }
}
