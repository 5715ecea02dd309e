//! Finds out about a model that has no entry in the catalogue, by its declared inputs and outputs and by small runs.

use std::path::Path;

use serde::Serialize;

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
                probe.receptive_radius = Some(receptive_radius(&mut network)?);
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

/// Side of the first patch that is disturbed, and of the second where the first was too small. Odd: the centre is a pixel.
const SIDES: [usize; 2] = [97, 193];
/// Change of a value, black 0 and white 1, that is half a step of 255: smaller ones are not seen.
const UNSEEN: f32 = 0.5 / 255.0;

/// Receptive radius of a generator of [`SCALE`] in input pixels: how far away from a disturbed pixel its output changes at all.
///
/// For networks that see further than the largest patch tried, the distance beyond which no change is as large as half a step of 255.
///
/// # Errors
/// The runtime's.
pub fn receptive_radius(network: &mut Network) -> Result<usize> {
    let mut radius = 0;
    for side in SIDES {
        radius = disturb(network, side, 0.0)?;
        if radius < side / 2 {
            return Ok(radius);
        }
    }
    let seen = disturb(network, SIDES[1], UNSEEN)?;
    Ok(radius.min(seen))
}

/// Largest distance from the centre of a noisy patch, in input pixels, at which the output changes by more than `least` when the
/// centre does. The largest of several patches, because a rectifier may hide a path in one of them.
fn disturb(network: &mut Network, side: usize, least: f32) -> Result<usize> {
    let (centre, area) = (side / 2, side * side);
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut radius = 0;
    for round in 0..3 {
        let mut patch: Vec<f32> = (0..3 * area)
            .map(|_| {
                // xorshift: the same patch in every run, so that the same file always gives the same radius.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / (1u64 << 24) as f32
            })
            .collect();
        let before = network.run([1, 3, side, side], &patch, |outputs| {
            Ok(outputs[0].values.to_vec())
        })?;
        for plane in 0..3 {
            let value = &mut patch[plane * area + centre * side + centre];
            *value = if round == 1 { -4.0 } else { 4.0 } + plane as f32;
        }
        let width = side * SCALE;
        radius = radius.max(network.run([1, 3, side, side], &patch, |outputs| {
            let changed = outputs[0].values.iter().zip(&before).enumerate();
            let changed = changed.filter(|(_, (a, b))| (*a - *b).abs() > least);
            let distance = changed.map(|(i, _)| {
                let (x, y) = (i % width / SCALE, i / width % width / SCALE);
                x.abs_diff(centre).max(y.abs_diff(centre))
            });
            Ok(distance.max().unwrap_or(0))
        })?);
    }
    Ok(radius)
}
