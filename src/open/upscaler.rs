//! Opens the models of a configuration and makes an upscaler of them.

use std::path::Path;

use super::compose;
use super::detailed::{Detailed, network_file};
use super::detector::OnnxDetector;
use super::embedder::OnnxEmbedder;
use super::form::Form;
use super::gain::{self, Gain};
use super::opening::{OpenedGenerator, Opening};
use super::tuned;
use crate::cancel::Canceller;
use crate::detail::{Detail, DetailKnob};
use crate::draw::{Embedder, Generator, NetworkFile};
use crate::error::Result;
use crate::find::{Detector, InputSpec};
use crate::flow::{DetailControl, Expert, LoadStep, ModelReport, NetworkSet, Upscaler};
use crate::models::{Resolved, lacking, resolve_all};
use crate::notice::Notice;
use crate::plan::cost::TileSettings;
use crate::runtime::{Network, Purpose, library, provider};
use crate::settings::{
    Config, DETECTOR, FACE, FAST, GENERAL, IDENTITY, ObjectKind, detector_role, generator_role,
    is_detector,
};

/// What the model `found` is opened for in `role`. A generator of which models.toml says too little is looked into first, and then opened for
/// what it is; that is not done here.
pub fn purpose(role: &str, found: &Resolved, config: &Config) -> Purpose {
    match (found.known_form, found.known_encoding) {
        (Some(known), Some(encoding)) if !is_detector(role) => {
            compose::purpose(&Form::known(known, encoding, 0), config)
        }
        _ => Purpose::default(),
    }
}

/// What is known of a generator's file in eight-bit numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum EightBits {
    /// models.toml names none.
    None,
    /// It cannot be used, for this reason.
    Unusable(String),
    /// Whether it gains is measured when it is opened first.
    NotMeasured,
    /// What was measured on this processor.
    Measured(Gain),
}

/// What is known of the file in eight-bit numbers of the generator `found`. Opens and measures nothing.
pub fn eight_bits(found: &Resolved, config: &Config) -> EightBits {
    match &found.int8 {
        None => EightBits::None,
        Some(Err(reason)) => EightBits::Unusable(reason.clone()),
        Some(Ok(int8)) => match gain::kept(found, int8, config) {
            Some(gain) => EightBits::Measured(gain),
            None => EightBits::NotMeasured,
        },
    }
}

/// What is told of the model `found`, which is open as `network`, of the file at `path`.
fn report(role: &'static str, found: &Resolved, path: &Path, network: &Network) -> ModelReport {
    let NetworkFile { name, path, origin } = network_file(found, path);
    ModelReport {
        role,
        name,
        path,
        provider: network.provider(),
        refused: network.refused().to_vec(),
        receptive_radius: 0,
        transfer: network.transfer(),
        origin,
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
        let config = &tuned::with_fastest(config, &models);
        let knob = DetailKnob::new(Detail::of(config.detail));
        let lacking = lacking(&models);
        let others = [
            &models.fast,
            &models.face,
            &models.detector,
            &models.identity,
        ];
        let kinds = models.others.iter();
        let count = 1
            + others.iter().filter(|model| model.is_some()).count()
            + kinds
                .map(|kind| 1 + usize::from(kind.detector.is_some()))
                .sum::<usize>();
        let (mut reports, mut notices) = (Vec::with_capacity(count), models.notices);
        notices.extend(config.fastest.map(|provider| {
            let text = "the fastest that srfusion tune measured on this machine";
            Notice::info(format!("provider=auto tries {provider} first, {text}"))
        }));
        let mut step = |role: &'static str, model: String, index: usize| {
            progress(&LoadStep {
                role,
                model,
                index,
                count,
            });
            cancel.check()
        };
        let mut generator = |role: &'static str, found: &Resolved| -> Result<Box<dyn Generator>> {
            let index = reports.len();
            step(role, found.name.clone(), index)?;
            let opening = Opening::new(found, config, cancel);
            let OpenedGenerator {
                generator,
                path,
                notices: told,
            } = opening.open(&mut |words| {
                // Whether it is to stop is asked before and after: this only tells.
                let _ = step(role, format!("{}, {words}", found.name), index);
            })?;
            reports.push(ModelReport {
                receptive_radius: generator.radius(),
                ..report(role, found, &path, generator.network())
            });
            notices.extend(told);
            let plain = found
                .mixture
                .as_ref()
                .map_or(found, |mixture| &*mixture.plain);
            Ok(match &plain.natural {
                Some(Ok(_)) if role != FAST => {
                    Box::new(Detailed::new(generator, found, config, cancel, &knob))
                }
                _ => Box::new(generator),
            })
        };
        let general = generator(GENERAL, &models.general)?;
        let fast = models.fast.as_ref();
        let fast = fast.map(|found| generator(FAST, found)).transpose()?;
        let face = models.face.as_ref();
        let face = face.map(|found| generator(FACE, found)).transpose()?;
        let others = models.others.iter();
        let others: Vec<_> = others
            .map(|kind| generator(generator_role(&kind.kind.subject), &kind.generator))
            .collect::<Result<_>>()?;
        let mut detector = |role: &'static str, found: &Resolved| -> Result<Box<dyn Detector>> {
            step(role, found.name.clone(), reports.len())?;
            let (path, name, sha256) = (&found.path, &found.name, &found.sha256);
            let purpose = purpose(role, found, config);
            let network = Network::open_for(path, name, sha256, purpose, config, cancel)?;
            reports.push(report(role, found, path, &network));
            let asked = config.detector_size;
            let input = |family| InputSpec {
                longest: if asked > 0 {
                    asked
                } else {
                    found.input(family).longest
                },
                ..found.input(family)
            };
            let detector = OnnxDetector::new(network, found.family, input)?;
            Ok(Box::new(detector.of_classes(found.classes.as_deref())?))
        };
        let mut experts = Vec::with_capacity(1 + others.len());
        if models.has_faces {
            let found = models.detector.as_ref();
            experts.push(Expert {
                kind: ObjectKind::faces(),
                generator: face,
                detector: found.map(|found| detector(DETECTOR, found)).transpose()?,
            });
        }
        for (kind, generator) in models.others.iter().zip(others) {
            let role = detector_role(&kind.kind.subject);
            let found = kind.detector.as_ref();
            experts.push(Expert {
                kind: kind.kind.clone(),
                generator: Some(generator),
                detector: found.map(|found| detector(role, found)).transpose()?,
            });
        }
        let mut embedder = |found: &Resolved| -> Result<Box<dyn Embedder>> {
            step(IDENTITY, found.name.clone(), reports.len())?;
            let (path, name, sha256) = (&found.path, &found.name, &found.sha256);
            let network = Network::open(path, name, sha256, config, cancel)?;
            let embedder = OnnxEmbedder::new(network)?;
            reports.push(report(IDENTITY, found, path, embedder.network()));
            Ok(Box::new(embedder))
        };
        let found = models.identity.as_ref();
        let embedder = found.map(&mut embedder).transpose()?;
        let mut upscaler = Self::assemble(
            NetworkSet {
                general,
                fast,
                experts,
                embedder,
            },
            TileSettings {
                side: config.tile_size,
                overlap: config.tile_overlap,
            },
            cancel.clone(),
            reports,
        )?;
        upscaler.set_threads(gain::threads(config));
        upscaler.set_deterministic(config.deterministic);
        upscaler.control_detail(DetailControl::new(knob, lacking));
        upscaler.notify(notices);
        Ok(upscaler)
    }
}
