//! Opens the models of a configuration and makes an upscaler of them.

use super::detector::OnnxDetector;
use super::generator::{COMPILED_TILE, OnnxGenerator};
use super::radius;
use crate::cancel::Canceller;
use crate::draw::Generator;
use crate::error::{Error, Result};
use crate::find::Detector;
use crate::flow::{LoadStep, ModelReport, Upscaler};
use crate::models::{Resolved, resolve_all};
use crate::notice::Notice;
use crate::plan::cost::TileSettings;
use crate::runtime::{Network, Purpose, library, provider};
use crate::settings::{Config, DETECTOR, FACE, GENERAL};

/// What the model `found` is opened for in `role`.
pub fn purpose(role: &str, found: &Resolved) -> Purpose {
    if role == DETECTOR {
        Purpose::default()
    } else {
        // A generator on a provider that compiles is given one size of tiles only; others take any.
        Purpose::generator(COMPILED_TILE, found.encoding())
    }
}

impl Upscaler {
    /// The cheap part of [`Upscaler::open`], with the same errors: files there and whole, runtime library loads.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Corrupt`], [`crate::Error::Setting`], [`crate::Error::Runtime`],
    /// [`crate::Error::Provider`].
    pub fn check(config: &Config) -> Result<()> {
        provider::check_named(config)?;
        resolve_all(config)?;
        Ok(())
    }

    /// Opens the models of `config` and runs each once. Takes from a fraction of a second to, on providers that compile,
    /// minutes; `progress` is told before each model, and `cancel` stops it as well as every later [`Upscaler::process`].
    ///
    /// # Errors
    /// Those of [`Upscaler::check`], [`crate::Error::Contract`], [`crate::Error::Provider`], [`crate::Error::Cancelled`].
    pub fn open(
        config: &Config,
        cancel: &Canceller,
        progress: &mut dyn FnMut(&LoadStep),
    ) -> Result<Self> {
        library::load(config.runtime_library.as_deref())?;
        let models = resolve_all(config)?;
        let count = 1 + usize::from(models.face.is_some()) + usize::from(models.detector.is_some());
        let mut reports = Vec::with_capacity(count);
        let mut open = |role: &'static str, found: &Resolved| -> Result<Network> {
            progress(&LoadStep {
                role,
                model: found.name.clone(),
                index: reports.len(),
                count,
            });
            cancel.check()?;
            let (path, name, sha256) = (&found.path, &found.name, &found.sha256);
            let network =
                Network::open_for(path, name, sha256, purpose(role, found), config, cancel)?;
            reports.push(ModelReport {
                role,
                name: found.name.clone(),
                path: found.path.clone(),
                provider: network.provider(),
                refused: network.refused().to_vec(),
                receptive_radius: 0,
                transfer: network.transfer(),
            });
            Ok(network)
        };
        let general = open(GENERAL, &models.general)?;
        let face = models.face.as_ref();
        let face = face.map(|found| open(FACE, found)).transpose()?;
        let detector = models.detector.as_ref();
        let detector = detector.map(|found| open(DETECTOR, found)).transpose()?;
        let mut notices = models.notices;
        let mut generator = |index, role, network, found: &Resolved| {
            let mut step = |words: &str| {
                progress(&LoadStep {
                    role,
                    model: format!("{}, {words}", found.name),
                    index,
                    count,
                });
            };
            let (generator, notice) = generator(network, found, config, cancel, &mut step)?;
            notices.extend(notice);
            Ok::<_, Error>(generator)
        };
        let general = generator(0, GENERAL, general, &models.general)?;
        let face = match (face, &models.face) {
            (Some(network), Some(found)) => Some(generator(1, FACE, network, found)?),
            _ => None,
        };
        let detector = match (detector, &models.detector) {
            (Some(network), Some(found)) => {
                let input = |family| found.input(family);
                Some(OnnxDetector::new(network, found.family, input)?)
            }
            _ => None,
        };
        for report in &mut reports {
            report.receptive_radius = match (report.role, &face) {
                (GENERAL, _) => general.radius(),
                (FACE, Some(face)) => face.radius(),
                _ => 0,
            };
        }
        let mut upscaler = Self::assemble(
            Box::new(general),
            face.map(|network| Box::new(network) as Box<dyn Generator>),
            detector.map(|network| Box::new(network) as Box<dyn Detector>),
            TileSettings {
                side: config.tile_size,
                overlap: config.tile_overlap,
            },
            cancel.clone(),
            reports,
        )?;
        upscaler.notify(notices);
        Ok(upscaler)
    }
}

/// A generator whose receptive radius is in models.toml, or else found, and what is to be told of that. `progress` is told what is
/// done that takes time.
fn generator(
    mut network: Network,
    found: &Resolved,
    config: &Config,
    cancel: &Canceller,
    progress: &mut dyn FnMut(&str),
) -> Result<(OnnxGenerator, Option<Notice>)> {
    let encoding = found.encoding();
    let (radius, notice) = match found.receptive_radius {
        Some(radius) => (radius, None),
        None => {
            // The contract first: probing a network of another kind would blame the wrong thing.
            let checked = OnnxGenerator::new(network, 0, encoding)?;
            network = checked.into_network();
            cancel.check()?;
            let (path, sha256) = (&found.path, &found.sha256);
            let found = radius::find(&mut network, path, sha256, config, progress)?;
            (found.radius, found.notice)
        }
    };
    Ok((OnnxGenerator::new(network, radius, encoding)?, notice))
}
