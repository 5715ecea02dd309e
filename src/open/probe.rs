//! Finds out about a model that has no entry in the catalogue, by its declared inputs and outputs and by small runs.

use std::path::Path;

use serde::Serialize;

use super::radius;
use crate::SCALE;
use crate::cancel::Canceller;
use crate::error::Result;
use crate::find::Family;
use crate::models::Role;
use crate::runtime::{Network, Port, Purpose};
use crate::settings::Config;

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Probe {
    /// The file.
    pub file: String,
    /// sha256 of the file.
    pub sha256: String,
    /// Declared inputs.
    pub inputs: Vec<String>,
    /// Declared outputs.
    pub outputs: Vec<String>,
    /// What it can serve as, if anything.
    pub role: Option<Role>,
    /// Output pixels per input pixel of a generator.
    pub scale: Option<usize>,
    /// Receptive radius of a generator in input pixels.
    pub receptive_radius: Option<usize>,
    /// Family of a detector.
    pub family: Option<Family>,
    /// Why it cannot be used, if it cannot.
    pub unusable: Option<String>,
    /// Where it ran.
    pub provider: String,
}

impl std::fmt::Display for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let line = |f: &mut std::fmt::Formatter<'_>, name: &str, value: &str| {
            writeln!(f, "{name:<17} {value}")
        };
        line(f, "file", &self.file)?;
        line(f, "sha256", &self.sha256)?;
        line(f, "inputs", &self.inputs.join("; "))?;
        line(f, "outputs", &self.outputs.join("; "))?;
        line(f, "provider", &self.provider)?;
        line(f, "role", self.role.map_or("none", Role::name))?;
        if let Some(scale) = self.scale {
            line(f, "scale", &scale.to_string())?;
        }
        if let Some(radius) = self.receptive_radius {
            line(f, "receptive radius", &format!("{radius} input pixels"))?;
        }
        if let Some(family) = self.family {
            line(f, "family", family.name())?;
        }
        if let Some(reason) = &self.unusable {
            line(f, "unusable", reason)?;
        }
        Ok(())
    }
}

/// Looks into the model at `path`, run as `config` says.
///
/// # Errors
/// [`crate::Error::NotFound`], [`crate::Error::Runtime`], [`crate::Error::Provider`] if it cannot be opened at all. A model that
/// opens but serves no role is a result, not an error.
pub fn probe(path: &Path, config: &Config) -> Result<Probe> {
    let sha256 = crate::models::sha256("model", path)?;
    let file = path.display().to_string();
    let mut network = Network::open_ready(
        path,
        &file,
        &sha256,
        Purpose::default(),
        config,
        &Canceller::new(),
    )?;
    let texts = |ports: &[Port]| ports.iter().map(Port::to_string).collect();
    let mut probe = Probe {
        file,
        sha256,
        inputs: texts(network.inputs()),
        outputs: texts(network.outputs()),
        role: None,
        scale: None,
        receptive_radius: None,
        family: None,
        unusable: None,
        provider: network.provider().name().to_owned(),
    };
    if let Some(family) = Family::recognise(network.run_shapes()) {
        (probe.role, probe.family) = (Some(Role::Detector), Some(family));
        return Ok(probe);
    }
    let side = 32;
    let enlarged = network.run([1, 3, side, side], &vec![0.5; 3 * side * side], |outputs| {
        Ok(match outputs {
            [output] => match *output.shape {
                [1, 3, h, w] if h == w && h > 0 && h % side as i64 == 0 => Some(h as usize / side),
                _ => None,
            },
            _ => None,
        })
    });
    match enlarged {
        Ok(Some(scale)) => {
            (probe.role, probe.scale) = (Some(Role::Generator), Some(scale));
            if scale == SCALE {
                probe.receptive_radius = Some(radius::probe(&mut network, path)?);
            } else {
                probe.unusable = Some(format!("expected scale {SCALE}, found {scale}"));
            }
        }
        Ok(None) => {
            probe.unusable = Some(format!(
                "neither a generator (f32[n, 3, h, w] to f32[n, 3, {SCALE}h, {SCALE}w]) nor a yolo, yunet or ultraface detector"
            ));
        }
        Err(e) => probe.unusable = Some(e.to_string()),
    }
    Ok(probe)
}
