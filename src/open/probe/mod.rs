//! Finds out about a model that has no entry in the catalogue, by its declared inputs and outputs and by small runs.

mod find;
mod kept;
mod patch;
mod radius;
mod range;
mod stride;

use std::path::Path;

use serde::Serialize;

use crate::cancel::Canceller;
use crate::error::{Error, Result};
use crate::find::Family;
use crate::models::{InputKind, Layout, Resolved, Role};
use crate::picture::{Channels, Size};
use crate::runtime::{Network, Port, Purpose};
use crate::settings::Config;

pub(super) use find::Finding;

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
    /// Output pixels per pixel of the picture of a generator.
    pub scale: Option<usize>,
    /// Order of the sides of a generator's pictures.
    pub layout: Option<Layout>,
    /// What a generator is given.
    pub input: Option<InputKind>,
    /// A generator's planes. Of three it is not known which is red.
    pub channels: Option<Channels>,
    /// Values of black and white of a generator.
    pub range: Option<[f32; 2]>,
    /// Whether that was found out; where it was not, it is the usual one.
    pub range_is_found: Option<bool>,
    /// Multiple that the sides of a generator's input must be of.
    pub stride: Option<usize>,
    /// The one height and width that a generator takes, if it takes no other.
    pub fixed_size: Option<[usize; 2]>,
    /// Receptive radius of a generator in pixels of its own input.
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
        if let Some(layout) = self.layout {
            line(f, "layout", layout.name())?;
        }
        if let Some(input) = self.input {
            line(f, "input", input.name())?;
        }
        if let Some(channels) = self.channels {
            let planes = match channels {
                Channels::Y => "y",
                Channels::Rgb => "rgb (assumed; bgr looks the same)",
                Channels::Bgr => "bgr",
            };
            line(f, "channels", planes)?;
        }
        if let Some([black, white]) = self.range {
            let assumed = match self.range_is_found {
                Some(true) => "",
                _ => " (assumed)",
            };
            line(f, "range", &format!("{black} to {white}{assumed}"))?;
        }
        if let Some(stride) = self.stride {
            line(f, "stride", &stride.to_string())?;
        }
        if let Some([height, width]) = self.fixed_size {
            line(f, "size", &Size::new(width, height).to_string())?;
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
    let (file, cancel) = (path.display().to_string(), Canceller::new());
    let purpose = Purpose::default();
    let network = Network::open_ready(path, &file, &sha256, purpose, config, &cancel)?;
    let texts = |ports: &[Port]| ports.iter().map(Port::to_string).collect();
    let mut probe = Probe {
        sha256: sha256.clone(),
        inputs: texts(network.inputs()),
        outputs: texts(network.outputs()),
        provider: network.provider().name().to_owned(),
        ..Probe::unusable(file.clone())
    };
    if let Some(family) = Family::recognise(network.run_shapes()) {
        (probe.role, probe.family) = (Some(Role::Detector), Some(family));
        return Ok(probe);
    }
    let found = Resolved::unknown(file, path.to_owned(), sha256);
    let finding = Finding {
        found: &found,
        config,
        cancel: &cancel,
        keeps: false,
    };
    match finding.looked(network, &mut |_| ()) {
        Ok((form, range_is_found)) => {
            probe.role = Some(Role::Generator);
            probe.scale = Some(match form.input() {
                InputKind::Interpolated => crate::SCALE,
                InputKind::Picture => form.scale,
            });
            probe.layout = Some(form.layout);
            probe.input = Some(form.input());
            probe.channels = Some(form.encoding.channels);
            probe.range = Some([form.encoding.black, form.encoding.white]);
            probe.range_is_found = Some(range_is_found);
            probe.stride = Some(form.stride);
            probe.fixed_size = form.fixed.map(|size| [size.height, size.width]);
            probe.receptive_radius = Some(form.radius);
        }
        Err(Error::Contract {
            expected, found, ..
        }) => {
            probe.unusable = Some(format!(
                "neither a detector of one of the families {} nor {expected}; found {found}",
                Family::names()
            ));
        }
        Err(e) => probe.unusable = Some(e.to_string()),
    }
    Ok(probe)
}

impl Probe {
    /// Nothing is known of `file`.
    fn unusable(file: String) -> Self {
        Self {
            file,
            sha256: String::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            role: None,
            scale: None,
            layout: None,
            input: None,
            channels: None,
            range: None,
            range_is_found: None,
            stride: None,
            fixed_size: None,
            receptive_radius: None,
            family: None,
            unusable: None,
            provider: String::new(),
        }
    }
}
