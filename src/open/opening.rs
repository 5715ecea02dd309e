//! Opens a generator: looks into its file where models.toml says too little, opens it for what it is, takes its eight-bit file where that
//! is asked for or gains, and puts around it what it takes to enlarge four times.

use std::path::PathBuf;

use super::compose::{compose, purpose, remark};
use super::enlarger::Enlarger;
use super::form::Form;
use super::gain::{self, Gain};
use super::generator::OnnxGenerator;
use super::probe::Finding;
use super::quantised::{OpenFloats, Quantised};
use crate::cancel::Canceller;
use crate::draw::ByteLayout;
use crate::error::{Error, Result};
use crate::models::{Int8File, Resolved};
use crate::notice::Notice;
use crate::runtime::{Network, Purpose, provider};
use crate::settings::{Config, Precision, Provider};

/// A generator that is open, and what is to be told of it.
pub(super) struct OpenedGenerator {
    pub(super) generator: OnnxGenerator,
    /// The file that runs.
    pub(super) path: PathBuf,
    pub(super) notices: Vec<Notice>,
}

/// Opens the generator `found` as `config` says; returns it, and what a user should be told of it. `progress` is told what is done that takes
/// time.
///
/// # Errors
/// [`Error::Contract`] if it is no generator, [`Error::Provider`], [`Error::Cancelled`].
pub fn generator(
    found: &Resolved,
    config: &Config,
    cancel: &Canceller,
    progress: &mut dyn FnMut(&str),
) -> Result<(OnnxGenerator, Vec<Notice>)> {
    let opened = Opening::new(found, config, cancel).open(progress)?;
    Ok((opened.generator, opened.notices))
}

/// What it takes to open a generator.
#[derive(Clone)]
pub(super) struct Opening {
    found: Resolved,
    config: Config,
    cancel: Canceller,
}

/// A network in eight-bit numbers that is open, or why it cannot be.
type OpenedInBytes = std::result::Result<Box<dyn Enlarger>, String>;

impl Opening {
    /// Of the file `found`, as `config` says.
    pub(super) fn new(found: &Resolved, config: &Config, cancel: &Canceller) -> Self {
        Self {
            found: found.clone(),
            config: config.clone(),
            cancel: cancel.clone(),
        }
    }

    /// Opens it. `progress` is told what is done that takes time.
    ///
    /// # Errors
    /// [`Error::Contract`] if it is no generator, [`Error::Provider`], [`Error::Cancelled`].
    pub(super) fn open(&self, progress: &mut dyn FnMut(&str)) -> Result<OpenedGenerator> {
        let opened = self.opened(progress)?;
        Ok(OpenedGenerator {
            generator: opened.generator.with_near_radius(self.found.near_radius),
            ..opened
        })
    }

    fn opened(&self, progress: &mut dyn FnMut(&str)) -> Result<OpenedGenerator> {
        if let Some(opened) = self.known_to_gain()? {
            return Ok(opened);
        }
        let (network, form, mut notices) = self.floats(progress)?;
        notices.extend(
            remark(&form).map(|words| Notice::info(format!("model {}: {words}", self.found.name))),
        );
        let int8 = match (&self.found.int8, self.config.precision) {
            (_, Precision::Fp32 | Precision::Fp16) => None,
            (None, Precision::Int8) if !network.takes_samples() => {
                notices.push(self.stays("models.toml names no int8-file for it".to_owned()));
                None
            }
            (Some(Err(reason)), _) => {
                notices.push(self.stays(reason.clone()));
                None
            }
            (Some(Ok(int8)), precision) => {
                // What is drawn elsewhere than on the processor, or soon will be, has no use for it unless that is asked for.
                let draws_here = network.provider() == Provider::Cpu && !network.expects_better();
                (draws_here || precision == Precision::Int8).then_some(int8)
            }
            (None, _) => None,
        };
        let mut floats = compose(network, form);
        let path = self.found.path.clone();
        let Some(int8) = int8 else {
            let generator = OnnxGenerator::of(floats);
            return Ok(OpenedGenerator {
                generator,
                path,
                notices,
            });
        };
        progress("in eight-bit numbers");
        let mut eight = match self.eight_bits(int8, form)? {
            Ok(eight) => eight,
            Err(reason) => {
                notices.push(self.stays(reason));
                let generator = OnnxGenerator::of(floats);
                return Ok(OpenedGenerator {
                    generator,
                    path,
                    notices,
                });
            }
        };
        let known = gain::kept(&self.found, int8, &self.config);
        let gains = match (self.config.precision, known) {
            (Precision::Int8, _) => true,
            (_, Some(gain)) => gain.is_worth(),
            (_, None) => {
                progress("measuring whether eight-bit numbers gain");
                let (found, config) = (&self.found, &self.config);
                let gain = gain::measure(found, int8, config, eight.as_mut(), floats.as_mut())?;
                // Once: later it is what it was.
                notices.push(self.measured(int8, gain));
                gain.is_worth()
            }
        };
        let (generator, path) = if gains {
            (self.quantised(eight, form), int8.path.clone())
        } else {
            (OnnxGenerator::of(floats), path)
        };
        Ok(OpenedGenerator {
            generator,
            path,
            notices,
        })
    }

    /// Where it is known from before that eight bits gain, and that nothing but the processor draws, the file in floats is not opened.
    fn known_to_gain(&self) -> Result<Option<OpenedGenerator>> {
        let (Some(Ok(int8)), Some(known), Some(encoding), Some(radius)) = (
            &self.found.int8,
            self.found.known_form,
            self.found.known_encoding,
            self.found.receptive_radius,
        ) else {
            return Ok(None);
        };
        if self.config.precision != Precision::Auto || !provider::only_processor(&self.config)? {
            return Ok(None);
        }
        if !gain::kept(&self.found, int8, &self.config).is_some_and(Gain::is_worth) {
            return Ok(None);
        }
        let form = Form::known(known, encoding, radius);
        let Ok(eight) = self.eight_bits(int8, form)? else {
            return Ok(None);
        };
        let notices = remark(&form)
            .map(|words| Notice::info(format!("model {}: {words}", self.found.name)))
            .into_iter()
            .collect();
        Ok(Some(OpenedGenerator {
            generator: self.quantised(eight, form),
            path: int8.path.clone(),
            notices,
        }))
    }

    /// Why eight bits are not what runs.
    fn stays(&self, reason: String) -> Notice {
        let text = format!(
            "model {} does not run in eight-bit numbers: {reason}",
            self.found.name
        );
        match self.config.precision {
            Precision::Int8 => Notice::worse(text),
            _ => Notice::info(text),
        }
    }

    /// What came of measuring.
    fn measured(&self, int8: &Int8File, gain: Gain) -> Notice {
        let (name, file, ratio) = (&self.found.name, int8.path.display(), gain.ratio);
        Notice::info(if gain.is_worth() {
            format!(
                "model {name} runs in eight-bit numbers from {file}, which takes {ratio:.2} of the time on this processor; pictures of more than 8 bits run in single precision"
            )
        } else {
            format!(
                "model {name} runs in single precision: in eight-bit numbers, {file}, it takes {ratio:.2} of the time on this processor"
            )
        })
    }

    /// `eight`, with the file in floats opened when it is first asked for.
    fn quantised(&self, eight: Box<dyn Enlarger>, form: Form) -> OnnxGenerator {
        let opening = Self {
            config: Config {
                // Where the other is: nothing is tried and compiled in the middle of a stream.
                provider: eight.network().provider(),
                ..self.config.clone()
            },
            ..self.clone()
        };
        let open: OpenFloats = Box::new(move || {
            let (network, form, _) = opening.floats(&mut |_| ())?;
            Ok(compose(network, form))
        });
        OnnxGenerator::of(Box::new(Quantised::new(eight, form.encoding, open)))
    }

    /// The file in eight-bit numbers, which is of `form` but for its values.
    fn eight_bits(&self, int8: &Int8File, form: Form) -> Result<OpenedInBytes> {
        let name = &self.found.name;
        let purpose = Purpose::default();
        let (path, sum) = (&int8.path, &int8.sha256);
        let file = path.display();
        let network = match Network::open_for(path, name, sum, purpose, &self.config, &self.cancel)
        {
            Ok(network) => network,
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(error) => return Ok(Err(format!("{file}: {error}"))),
        };
        let known = self.found.known_form.zip(self.found.known_encoding);
        let own = match Form::read(&network, known, form.radius) {
            Ok(own) => own,
            Err(error) => return Ok(Err(format!("{file}: {error}"))),
        };
        let stride = form.stride;
        let eight = compose(network, Form { stride, ..own });
        if eight.byte_layout() != Some(ByteLayout::Planar) {
            return Ok(Err(format!(
                "{file}: expected u8 planes in and out, as int8-file must have, found {}",
                crate::runtime::describe(eight.network().inputs())
            )));
        }
        Ok(Ok(eight))
    }

    /// The file in floats on the provider of the settings, its form, and what is to be told of that.
    ///
    /// # Errors
    /// Those of [`Opening::open`].
    pub(super) fn floats(
        &self,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(Network, Form, Vec<Notice>)> {
        let known = self.found.known_form.zip(self.found.known_encoding);
        if let (Some((known, encoding)), Some(radius)) = (known, self.found.receptive_radius) {
            let form = Form::known(known, encoding, radius);
            return self
                .of_form(form)
                .map(|(network, form)| (network, form, Vec::new()));
        }
        // On the processor, which takes every file and has nothing to compile. It is kept open until the other is: on the processor that
        // is the same session.
        let processor = Config {
            provider: Provider::Cpu,
            precision: Precision::Fp32,
            ..self.config.clone()
        };
        let open = |config: &Config| {
            let (path, name, sum) = (&self.found.path, &self.found.name, &self.found.sha256);
            Network::open_ready(path, name, sum, Purpose::default(), config, &self.cancel)
        };
        let looked_at = match open(&processor) {
            Err(Error::Provider { .. }) if self.config.provider != Provider::Cpu => {
                open(&self.config)?
            }
            opened => opened?,
        };
        let finding = Finding {
            found: &self.found,
            config: &self.config,
            cancel: &self.cancel,
            keeps: true,
        };
        let (form, looked_at, notices) = finding.form(looked_at, progress)?;
        let (network, form) = self.of_form(form)?;
        drop(looked_at);
        Ok((network, form, notices))
    }

    /// Opens the file, of which `form` says what is known, for what it is.
    fn of_form(&self, form: Form) -> Result<(Network, Form)> {
        let open = |purpose: Purpose| {
            let (path, name, sum) = (&self.found.path, &self.found.name, &self.found.sha256);
            Network::open_for(path, name, sum, purpose, &self.config, &self.cancel)
        };
        let mut network = open(purpose(&form, &self.config))?;
        if network.takes_bytes() {
            // Its file was looked at when it was rewritten, and its outputs were measured when it was opened.
            let is_free =
                |port: &crate::runtime::Port| matches!(port.shape.as_slice(), [-1, -1, -1, _]);
            if network.inputs().iter().all(is_free) {
                return Ok((network, form));
            }
            // Of one size or in one number, which models.toml need not say.
            network = open(Purpose::default())?;
        }
        let known = self.found.known_form.zip(self.found.known_encoding);
        let read = Form::read(&network, known, form.radius)?;
        let form = Form {
            encoding: form.encoding,
            stride: form.stride,
            ..read
        };
        Ok((network, form))
    }
}
