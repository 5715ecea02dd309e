//! One open network: a model on a provider, with the names and shapes that it declares, warmed up and interruptible.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::engine::{self, Engine, Opener, RuntimeOpener, Source, Switch, Tensor, Values};
use super::fault::{self, Spoilt};
use super::provider::Provider;
use super::shared::{self, Attempt, Build, Shared, Turns};
use super::upgrade::Upgrade;
use crate::cancel::{Canceller, Interrupt};
use crate::config::{Config, Precision};
use crate::detect::Output;
use crate::error::{Error, Result};
use crate::tensor::Encoding;

pub use super::engine::{Port, describe};

/// A model that is ready to run. Networks of the same model, provider and settings share one session; each is stopped by its own
/// [`Canceller`] alone.
pub struct Network {
    opening: Arc<Opening>,
    shared: Arc<Shared>,
    switch: Arc<Switch>,
    refused: Vec<(Provider, String)>,
    notices: Vec<String>,
    upgrade: Option<Upgrade>,
    /// Input and outputs on the way to and from half precision, reused from run to run.
    half: Vec<f16>,
    single: Vec<Vec<f32>>,
}

/// Side given to a free height or width in the warm-up run: enough for any detector's strides.
const WARM_UP_SIDE: usize = 64;
/// How long `provider=auto` waits for a provider that may have to compile, before it starts on another: enough to load what is
/// compiled, or to find out that the provider cannot be had.
const GRACE: Duration = Duration::from_millis(500);

/// What becomes of providers that must compile first, with `provider=auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slow {
    /// They do so in the background while another provider serves.
    Background,
    /// They are left out.
    Refused,
}

/// Why a provider that must compile first was left out.
const NOT_COMPILED: &str = "the model is not compiled for it yet; `srfusion models prebuild` compiles it, and a stream changes over once it is compiled";

/// How a model is opened, kept to open it again on another provider or in another precision.
pub(super) struct Opening {
    opener: Box<dyn Opener>,
    name: String,
    cancel: Canceller,
    /// The one input that providers which compile are to expect.
    tile: Option<[usize; 4]>,
}

impl Opening {
    pub(super) fn switch(&self) -> Result<Switch> {
        self.opener.switch()
    }

    pub(super) fn cancel(&self) -> &Canceller {
        &self.cancel
    }

    /// The session on `provider`, opened and run once unless it is open already.
    pub(super) fn attempt(
        &self,
        provider: Provider,
        precision: Precision,
        switch: &Switch,
    ) -> Attempt {
        let interrupted = || switch.is_interrupted();
        let open = || -> Attempt {
            let reservation = self.opener.reserve(provider, precision, &interrupted)?;
            let engine = match self.opener.open(provider, precision)? {
                Ok(engine) => engine,
                Err(reason) => return Ok(Err(reason)),
            };
            let build = match &reservation {
                None if provider == Provider::TensorRt => Build::Compiled,
                None => Build::Nothing,
                Some(reservation) if reservation.was_complete => Build::Kept,
                Some(_) => Build::Compiled,
            };
            let session = self.warm_up(engine, provider, precision, build, switch)?;
            if session.is_ok()
                && let Some(reservation) = reservation
            {
                reservation.complete();
            }
            Ok(session)
        };
        match self.opener.key(provider, precision) {
            Some(key) => shared::obtain(&key, interrupted, open),
            None => open(),
        }
    }

    /// Runs once: some providers load their libraries, or compile, in the first run; only then is it known to work.
    fn warm_up(
        &self,
        mut engine: Box<dyn Engine>,
        provider: Provider,
        precision: Precision,
        build: Build,
        switch: &Switch,
    ) -> Attempt {
        let (inputs, outputs) = engine.ports();
        let (inputs, outputs) = (inputs.to_vec(), outputs.to_vec());
        let shape = self.warm_up_shape(&inputs, provider)?;
        let grey = vec![0.5; shape.iter().product()];
        let half: Vec<f16> = match inputs.first() {
            Some(port) if port.is_half() => vec![f16::from_f32_const(0.5); grey.len()],
            _ => Vec::new(),
        };
        let values = if half.is_empty() {
            Values::Single(&grey)
        } else {
            Values::Half(&half)
        };
        let tensors = match engine.run(shape, values, switch) {
            Ok(tensors) => tensors,
            Err(_) if switch.is_interrupted() => return Err(Error::Cancelled),
            Err(reason) => return Ok(Err(reason)),
        };
        let mut converted = Vec::new();
        let read = extract(&self.name, &outputs, &tensors, &mut converted)?;
        let run_shapes = read
            .iter()
            .map(|output| (output.name.to_owned(), output.shape.to_vec()))
            .collect();
        // CUDA computes in what the file is made of; the CPU's kernels convert it.
        let precision = match provider {
            Provider::Cuda if self.opener.is_half() => Precision::Fp16,
            _ => precision,
        };
        Ok(Ok(Arc::new(Shared {
            provider,
            precision,
            inputs,
            outputs,
            run_shapes,
            build,
            engine: Turns::new(engine),
        })))
    }

    /// The declared input with free sides filled in.
    fn warm_up_shape(&self, inputs: &[Port], provider: Provider) -> Result<[usize; 4]> {
        match inputs {
            [
                Port {
                    is_f32: true,
                    shape,
                    ..
                },
            ] if shape.len() == 4 && matches!(shape[1], 3 | -1) => {
                // Where nothing is compiled for the tile, a run of its size would only delay the first frame.
                let tile = self.tile.filter(|_| provider == Provider::TensorRt);
                let free = tile.unwrap_or([1, 3, WARM_UP_SIDE, WARM_UP_SIDE]);
                let side = |i: usize| usize::try_from(shape[i]).unwrap_or(free[i]);
                Ok([side(0), 3, side(2), side(3)])
            }
            inputs => Err(Error::Contract {
                model: self.name.clone(),
                expected: "one input of f32 and four sides [n, 3, height, width]".to_owned(),
                found: describe(inputs),
            }),
        }
    }
}

impl Network {
    /// Opens the model at `path` on the first provider of `config` that opens it and runs it once.
    ///
    /// `name` is what messages call it; `sha256` (of the file, in hexadecimal) keys the providers' caches and tells which
    /// networks may share a session.
    ///
    /// With `provider=auto`, a provider that must compile first does so in the background, and another one serves until
    /// [`Network::adopt_better`].
    ///
    /// # Errors
    /// [`Error::Runtime`] without a library, [`Error::Contract`] if its input is not one tensor of floats of four sides,
    /// [`Error::Provider`] with each provider's reason, [`Error::Cancelled`].
    pub fn open(
        path: &Path,
        name: &str,
        sha256: &str,
        config: &Config,
        cancel: &Canceller,
    ) -> Result<Self> {
        Self::open_for(path, name, sha256, None, config, cancel)
    }

    /// As [`Network::open`], but providers that compile do so for inputs of `tile`, `[n, 3, height, width]`, in batches of up
    /// to `n`, and for nothing larger. Where [`Config::tile_size`] is set, that is its height and width.
    ///
    /// # Errors
    /// Those of [`Network::open`].
    pub fn open_for(
        path: &Path,
        name: &str,
        sha256: &str,
        tile: Option<[usize; 4]>,
        config: &Config,
        cancel: &Canceller,
    ) -> Result<Self> {
        let source = Source::File(path.to_owned());
        Self::open_source(source, name, sha256, tile, config, cancel, Slow::Background)
    }

    /// As [`Network::open_for`], but builds nothing with `provider=auto`: a provider that would have to compile first is refused for
    /// that reason.
    ///
    /// # Errors
    /// Those of [`Network::open`].
    pub fn open_ready(
        path: &Path,
        name: &str,
        sha256: &str,
        tile: Option<[usize; 4]>,
        config: &Config,
        cancel: &Canceller,
    ) -> Result<Self> {
        let source = Source::File(path.to_owned());
        Self::open_source(source, name, sha256, tile, config, cancel, Slow::Refused)
    }

    pub(super) fn open_bytes(bytes: &'static [u8], name: &str, config: &Config) -> Result<Self> {
        let (source, cancel) = (Source::Bytes(bytes), Canceller::new());
        Self::open_source(source, name, "", None, config, &cancel, Slow::Refused)
    }

    fn open_source(
        source: Source,
        name: &str,
        sha256: &str,
        tile: Option<[usize; 4]>,
        config: &Config,
        cancel: &Canceller,
        slow: Slow,
    ) -> Result<Self> {
        let (environment, version) = engine::runtime(config)?;
        let tile = tile.map(|[n, channels, height, width]| match config.tile_size {
            0 => [n, channels, height, width],
            side => [n, channels, side, side],
        });
        let opener = RuntimeOpener {
            environment,
            version,
            source,
            name: name.to_owned(),
            sha256: sha256.to_owned(),
            config: config.clone(),
            tile,
        };
        Self::open_with(Box::new(opener), name, tile, config, cancel, slow)
    }

    fn open_with(
        opener: Box<dyn Opener>,
        name: &str,
        tile: Option<[usize; 4]>,
        config: &Config,
        cancel: &Canceller,
        slow: Slow,
    ) -> Result<Self> {
        let switch = Arc::new(opener.switch()?);
        cancel.attach(&(switch.clone() as Arc<dyn Interrupt>));
        let opening = Arc::new(Opening {
            opener,
            name: name.to_owned(),
            cancel: cancel.clone(),
            tile,
        });
        let mut refused: Vec<(Provider, String)> = Vec::new();
        let mut upgrade: Option<Upgrade> = None;
        for provider in config.provider.candidates() {
            cancel.check()?;
            let precision = provider.precision(config.precision);
            let is_slow = config.provider == Provider::Auto && opening.opener.is_slow(provider);
            let attempt = if is_slow && slow == Slow::Refused {
                Ok(Err(NOT_COMPILED.to_owned()))
            } else if is_slow {
                let started = Upgrade::start(&opening, provider, precision)?;
                match started.wait(GRACE, || cancel.is_cancelled())? {
                    Some(attempt) => attempt,
                    None => {
                        upgrade = Some(started);
                        continue;
                    }
                }
            } else {
                opening.attempt(provider, precision, &switch)
            };
            match attempt? {
                Ok(shared) => {
                    return Ok(Self {
                        opening,
                        shared,
                        switch,
                        refused,
                        notices: Vec::new(),
                        upgrade,
                        half: Vec::new(),
                        single: Vec::new(),
                    });
                }
                Err(reason) => refused.push((provider, reason)),
            }
        }
        // Nothing else works: what is being built is waited for.
        if let Some(upgrade) = upgrade {
            match upgrade.wait(Duration::MAX, || cancel.is_cancelled())? {
                Some(Ok(Ok(shared))) => {
                    return Ok(Self {
                        opening,
                        shared,
                        switch,
                        refused,
                        notices: Vec::new(),
                        upgrade: None,
                        half: Vec::new(),
                        single: Vec::new(),
                    });
                }
                Some(Ok(Err(reason))) => refused.push((upgrade.provider, reason)),
                Some(Err(error)) => return Err(error),
                None => {}
            }
        }
        let reasons: Vec<_> = refused
            .iter()
            .map(|(provider, reason)| format!("{provider}: {reason}"))
            .collect();
        let mut reasons = reasons.join("; ");
        if config.provider != Provider::Auto {
            reasons.push_str("; provider=auto takes the best that works");
        }
        Err(Error::Provider {
            model: name.to_owned(),
            requested: config.provider.to_string(),
            reasons,
        })
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.opening.name
    }

    /// Where it runs.
    pub fn provider(&self) -> Provider {
        self.shared.provider
    }

    /// What it computes in: [`Precision::Fp32`] or [`Precision::Fp16`].
    pub fn precision(&self) -> Precision {
        self.shared.precision
    }

    /// Providers tried before, each with the reason why it was not taken.
    pub fn refused(&self) -> &[(Provider, String)] {
        &self.refused
    }

    /// Declared inputs.
    pub fn inputs(&self) -> &[Port] {
        &self.shared.inputs
    }

    /// Declared outputs.
    pub fn outputs(&self) -> &[Port] {
        &self.shared.outputs
    }

    /// Names and shapes of the outputs of the warm-up run.
    pub fn run_shapes(&self) -> &[(String, Vec<i64>)] {
        &self.shared.run_shapes
    }

    /// Whether `other` runs in the same session.
    pub fn shares_session_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Whether it computes in less precision than its file has, so that results want [`Network::run_checked`].
    pub fn is_reduced(&self) -> bool {
        self.shared.provider.reduces(self.shared.precision)
    }

    /// What happened since the last call that a user should be told: a change of provider or of precision, with its reason.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// What the provider compiled for this network.
    pub fn build(&self) -> Build {
        self.shared.build
    }

    /// Whether a better provider is being made ready in the background.
    pub fn expects_better(&self) -> bool {
        self.upgrade.is_some()
    }

    /// Changes over to a better provider if one has become ready in the background; to be called between frames. Returns
    /// whether it did: results may differ in the last bits from then on, and other sizes may suit it. Takes no time.
    pub fn adopt_better(&mut self) -> bool {
        self.adopt_within(Duration::ZERO).unwrap_or(false)
    }

    /// As [`Network::adopt_better`], but waits for it.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn await_better(&mut self) -> Result<bool> {
        self.adopt_within(Duration::MAX)
    }

    fn adopt_within(&mut self, time: Duration) -> Result<bool> {
        let Some(upgrade) = &self.upgrade else {
            return Ok(false);
        };
        let Some(outcome) = upgrade.wait(time, || self.switch.is_interrupted())? else {
            return Ok(false);
        };
        let (from, to) = (self.shared.provider, upgrade.provider);
        self.upgrade = None;
        match outcome {
            Ok(Ok(shared)) => {
                self.shared = shared;
                let notice = format!(
                    "model {} runs on {to} from now on, not on {from}",
                    self.name()
                );
                self.notices.push(notice);
                Ok(true)
            }
            Ok(Err(reason)) => {
                self.refused.push((to, reason));
                Ok(false)
            }
            Err(Error::Cancelled) => Err(Error::Cancelled),
            Err(error) => {
                self.refused.push((to, error.to_string()));
                Ok(false)
            }
        }
    }

    /// Runs the network on `values`, floats of `shape` `[n, channels, height, width]`, and hands its outputs to `take`, as
    /// 32-bit floats.
    ///
    /// # Errors
    /// [`Error::Inference`] with the runtime's message, [`Error::OutOfMemory`], [`Error::Contract`] for outputs that are not
    /// floats, [`Error::Cancelled`] if interrupted, and whatever `take` returns.
    pub fn run<T>(
        &mut self,
        shape: [usize; 4],
        values: &[f32],
        take: impl FnOnce(&[Output<'_>]) -> Result<T>,
    ) -> Result<T> {
        let tensors = self.infer(shape, values)?;
        let name = &self.opening.name;
        take(&extract(
            name,
            &self.shared.outputs,
            &tensors,
            &mut self.single,
        )?)
    }

    /// As [`Network::run`], for networks whose outputs are pictures in `encoding`: a result that half precision spoilt, not finite
    /// or black where the input is not, has the network opened again in single precision on the same provider and
    /// run on the same values. That is said once, in [`Network::take_notices`].
    ///
    /// # Errors
    /// Those of [`Network::run`]; [`Error::Inference`] for a result that is not finite in single precision either.
    pub fn run_checked<T>(
        &mut self,
        shape: [usize; 4],
        values: &[f32],
        encoding: Encoding,
        take: impl FnOnce(&[Output<'_>]) -> Result<T>,
    ) -> Result<T> {
        let mut tensors = self.infer(shape, values)?;
        if let Some(spoilt) = self.judge(values, &tensors, encoding)? {
            // The output's memory is not needed while the other session runs.
            drop(tensors);
            self.fall_back(spoilt)?;
            tensors = self.infer(shape, values)?;
            if let Some(spoilt) = self.judge(values, &tensors, encoding)? {
                return Err(Error::Inference {
                    model: self.name().to_owned(),
                    message: format!("{}, in single precision too", spoilt.words()),
                });
            }
        }
        let name = &self.opening.name;
        take(&extract(
            name,
            &self.shared.outputs,
            &tensors,
            &mut self.single,
        )?)
    }

    fn judge(
        &mut self,
        values: &[f32],
        tensors: &[Tensor],
        encoding: Encoding,
    ) -> Result<Option<Spoilt>> {
        let reduced = self.is_reduced();
        let outputs = &self.shared.outputs;
        let outputs = extract(&self.opening.name, outputs, tensors, &mut self.single)?;
        Ok(fault::judge(values, &outputs, encoding, reduced))
    }

    /// Opens the network again in single precision on the same provider.
    fn fall_back(&mut self, spoilt: Spoilt) -> Result<()> {
        let (provider, precision) = (self.shared.provider, self.shared.precision);
        let failed = |message: String| Error::Inference {
            model: self.opening.name.clone(),
            message,
        };
        if !provider.reduces(precision) {
            let hint = if self.opening.opener.is_half() {
                "; its file is of half precision: use one of single precision"
            } else {
                ""
            };
            return Err(failed(format!("{}{hint}", spoilt.words())));
        }
        match self
            .opening
            .attempt(provider, Precision::Fp32, &self.switch)?
        {
            Ok(shared) => {
                self.shared = shared;
                self.notices.push(format!(
                    "model {} computes in single precision from now on: in half precision on {provider} {}",
                    self.opening.name,
                    spoilt.words()
                ));
                Ok(())
            }
            Err(reason) => Err(failed(format!(
                "{} in half precision on {provider}, and in single precision it cannot be opened: {reason}",
                spoilt.words()
            ))),
        }
    }

    /// Waits for its turn in the session and runs; the outputs are kept when the next one has its turn.
    fn infer(&mut self, shape: [usize; 4], values: &[f32]) -> Result<Vec<Tensor>> {
        let expected: usize = shape.iter().product();
        if expected != values.len() {
            return Err(Error::Inference {
                model: self.name().to_owned(),
                message: format!(
                    "input {shape:?}: {expected} values expected, {} found",
                    values.len()
                ),
            });
        }
        let half = self.shared.inputs.first().is_some_and(Port::is_half);
        if half {
            self.half.resize(values.len(), f16::ZERO);
            self.half.convert_from_f32_slice(values);
        }
        let values = if half {
            Values::Half(&self.half)
        } else {
            Values::Single(values)
        };
        let switch = &self.switch;
        self.shared
            .engine
            .take(
                || switch.is_interrupted(),
                |engine| engine.run(shape, values, switch),
            )?
            .map_err(|message| fault::error(&self.opening.name, message))
    }
}

/// The outputs as 32-bit floats; `converted` is memory for those that are not.
fn extract<'a>(
    name: &str,
    ports: &'a [Port],
    tensors: &'a [Tensor],
    converted: &'a mut Vec<Vec<f32>>,
) -> Result<Vec<Output<'a>>> {
    converted.resize_with(tensors.len(), Vec::new);
    ports
        .iter()
        .zip(tensors)
        .zip(converted)
        .map(|((port, tensor), converted)| {
            let (shape, values) = tensor.read(converted).map_err(|found| Error::Contract {
                model: name.to_owned(),
                expected: format!("output {} of f32", port.name),
                found,
            })?;
            Ok(Output {
                name: &port.name,
                shape,
                values: values.unwrap_or(converted),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::cache::Reservation;
    use crate::runtime::engine::Opened;
    use crate::runtime::shared::Key;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Doubles its input; what else it does depends on its provider and precision.
    #[derive(Clone, Default)]
    struct Fake {
        /// Providers that open, each with the time that opening takes.
        opens: Vec<(Provider, Duration)>,
        slow: Option<Provider>,
        /// What half precision makes of every value instead.
        half_gives: Option<f32>,
        /// What single precision makes of every value instead.
        single_gives: Option<f32>,
        message: Option<&'static str>,
        opened: Arc<AtomicUsize>,
    }

    struct FakeEngine {
        port: [Port; 1],
        gives: Option<f32>,
        message: Option<&'static str>,
    }

    fn free() -> [Port; 1] {
        [Port {
            name: "picture".into(),
            element: "f32".into(),
            is_f32: true,
            shape: vec![-1, 3, -1, -1],
        }]
    }

    impl Engine for FakeEngine {
        fn ports(&self) -> (&[Port], &[Port]) {
            (&self.port, &self.port)
        }

        fn run(
            &mut self,
            shape: [usize; 4],
            values: Values<'_>,
            switch: &Switch,
        ) -> std::result::Result<Vec<Tensor>, String> {
            if switch.is_interrupted() {
                return Err("Exiting due to terminate flag being set to true.".into());
            }
            let Values::Single(values) = values else {
                return Err("half".into());
            };
            // The warm-up run works; faults come with pictures.
            if let (Some(message), true) = (self.message, values[0] != 0.5) {
                return Err(message.into());
            }
            let values = values.iter().map(|v| self.gives.unwrap_or(2.0 * v));
            Ok(vec![Tensor::Plain(
                shape.iter().map(|side| *side as i64).collect(),
                values.collect(),
            )])
        }
    }

    impl Opener for Fake {
        fn switch(&self) -> Result<Switch> {
            Ok(Switch::without_library())
        }

        fn open(&self, provider: Provider, precision: Precision) -> Opened {
            let Some((_, time)) = self.opens.iter().find(|(known, _)| *known == provider) else {
                return Ok(Err("not here".into()));
            };
            std::thread::sleep(*time);
            self.opened.fetch_add(1, Ordering::SeqCst);
            Ok(Ok(Box::new(FakeEngine {
                port: free(),
                gives: match precision {
                    Precision::Fp16 => self.half_gives,
                    _ => self.single_gives,
                },
                message: self.message,
            })))
        }

        fn is_half(&self) -> bool {
            false
        }

        fn key(&self, _: Provider, _: Precision) -> Option<Key> {
            None
        }

        fn is_slow(&self, provider: Provider) -> bool {
            self.slow == Some(provider)
        }

        fn reserve(
            &self,
            _: Provider,
            _: Precision,
            _: &dyn Fn() -> bool,
        ) -> Result<Option<Reservation>> {
            Ok(None)
        }
    }

    fn open(fake: &Fake, provider: Provider) -> Result<Network> {
        let config = Config {
            provider,
            ..Config::default()
        };
        let cancel = Canceller::new();
        let slow = Slow::Background;
        Network::open_with(Box::new(fake.clone()), "fake", None, &config, &cancel, slow)
    }

    const SHAPE: [usize; 4] = [1, 3, 1, 1];
    const GREY: [f32; 3] = [0.1, 0.2, 0.3];

    fn checked(network: &mut Network) -> Result<Vec<f32>> {
        network.run_checked(SHAPE, &GREY, Encoding::default(), |outputs| {
            Ok(outputs[0].values.to_vec())
        })
    }

    #[test]
    fn what_half_precision_spoils_is_run_again_in_single() {
        for spoilt in [f32::NAN, f32::INFINITY, 0.0] {
            let fake = Fake {
                opens: vec![(Provider::TensorRt, Duration::ZERO)],
                half_gives: Some(spoilt),
                ..Fake::default()
            };
            let mut network = open(&fake, Provider::TensorRt).unwrap();
            assert_eq!(network.precision(), Precision::Fp16);
            for _ in 0..3 {
                assert_eq!(checked(&mut network).unwrap(), [0.2, 0.4, 0.6]);
            }
            assert_eq!(
                (network.precision(), network.provider()),
                (Precision::Fp32, Provider::TensorRt)
            );
            assert_eq!(fake.opened.load(Ordering::SeqCst), 2);
            let notices = network.take_notices();
            assert!(
                matches!(notices.as_slice(), [one] if one.contains("fake") && one.contains("tensorrt")),
                "{notices:?}"
            );
            assert!(network.take_notices().is_empty());
        }
    }

    #[test]
    fn what_single_precision_spoils_is_an_error() {
        let fake = Fake {
            opens: vec![
                (Provider::TensorRt, Duration::ZERO),
                (Provider::Cpu, Duration::ZERO),
            ],
            half_gives: Some(f32::NAN),
            single_gives: Some(f32::NAN),
            ..Fake::default()
        };
        for provider in [Provider::TensorRt, Provider::Cpu] {
            let error = checked(&mut open(&fake, provider).unwrap()).unwrap_err();
            assert!(matches!(error, Error::Inference { .. }), "{error}");
            assert!(error.to_string().contains("finite"), "{error}");
        }
        // Black is what single precision says of this picture: it is believed.
        let black = Fake {
            single_gives: Some(0.0),
            ..fake
        };
        let mut network = open(&black, Provider::Cpu).unwrap();
        assert_eq!(checked(&mut network).unwrap(), [0.0; 3]);
    }

    #[test]
    fn memory_that_is_short_is_told_apart() {
        let fake = Fake {
            opens: vec![(Provider::Cuda, Duration::ZERO)],
            message: Some("Failed to allocate memory for requested buffer of size 943718400"),
            ..Fake::default()
        };
        let mut network = open(&fake, Provider::Cuda).unwrap();
        let error = checked(&mut network).unwrap_err();
        assert!(
            matches!(&error, Error::OutOfMemory { model, .. } if model == "fake"),
            "{error}"
        );
        // The network is as good as before.
        let mut half = [0.5; 3];
        half[1] = 0.25;
        let result = network.run(SHAPE, &half, |outputs| Ok(outputs[0].values.to_vec()));
        assert_eq!(result.unwrap(), [1.0, 0.5, 1.0]);
    }

    #[test]
    fn a_provider_that_compiles_takes_over_between_frames() {
        let fake = Fake {
            opens: vec![
                (Provider::TensorRt, GRACE * 2),
                (Provider::Cpu, Duration::ZERO),
            ],
            slow: Some(Provider::TensorRt),
            half_gives: Some(0.9),
            ..Fake::default()
        };
        let mut network = open(&fake, Provider::Auto).unwrap();
        assert_eq!(network.provider(), Provider::Cpu);
        assert_eq!(checked(&mut network).unwrap(), [0.2, 0.4, 0.6]);
        assert!(network.expects_better());
        while !network.adopt_better() {
            assert_eq!(network.provider(), Provider::Cpu);
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(network.provider(), Provider::TensorRt);
        assert_eq!(checked(&mut network).unwrap(), [0.9; 3]);
        assert!(!network.expects_better() && !network.adopt_better());
        // Where nothing is to be built it is left out instead.
        let (config, cancel) = (Config::default(), Canceller::new());
        let opener = Box::new(fake.clone());
        let ready =
            Network::open_with(opener, "fake", None, &config, &cancel, Slow::Refused).unwrap();
        assert_eq!(ready.provider(), Provider::Cpu);
        assert!(!ready.expects_better() && ready.refused()[0].1.contains("prebuild"));
        // CUDA and OpenVINO cannot be had; TensorRT was not refused.
        let refused: Vec<_> = network.refused().iter().map(|(p, _)| *p).collect();
        assert_eq!(refused, [Provider::Cuda, Provider::OpenVino]);
        assert!(network.take_notices()[0].contains("tensorrt"));
    }

    #[test]
    fn a_provider_that_is_quickly_ready_or_refused_is_waited_for() {
        let mut fake = Fake {
            opens: vec![
                (Provider::TensorRt, GRACE / 20),
                (Provider::Cpu, Duration::ZERO),
            ],
            slow: Some(Provider::TensorRt),
            ..Fake::default()
        };
        let network = open(&fake, Provider::Auto).unwrap();
        assert_eq!(network.provider(), Provider::TensorRt);

        fake.opens.remove(0);
        let network = open(&fake, Provider::Auto).unwrap();
        assert_eq!(network.provider(), Provider::Cpu);
        assert_eq!(
            network.refused()[0],
            (Provider::TensorRt, "not here".into())
        );
        assert!(!network.expects_better());

        // Where nothing else works it is waited for; one asked for by name always is.
        let alone = Fake {
            opens: vec![(Provider::TensorRt, GRACE + GRACE / 5)],
            ..fake
        };
        for provider in [Provider::Auto, Provider::TensorRt] {
            let network = open(&alone, provider).unwrap();
            assert_eq!(network.provider(), Provider::TensorRt);
        }
        let error = open(&Fake::default(), Provider::Auto).err().unwrap();
        let text = error.to_string();
        assert!(
            text.contains("tensorrt: not here; cuda: not here") && text.contains("cpu: not here"),
            "{text}"
        );
    }

    #[test]
    fn a_cancelled_network_says_so_and_another_does_not() {
        let fake = Fake {
            opens: vec![(Provider::Cpu, Duration::ZERO)],
            ..Fake::default()
        };
        let (mut one, mut other) = (
            open(&fake, Provider::Cpu).unwrap(),
            open(&fake, Provider::Cpu).unwrap(),
        );
        one.opening.cancel().clone().cancel();
        assert!(matches!(checked(&mut one), Err(Error::Cancelled)));
        assert!(checked(&mut other).is_ok());
        one.opening.cancel().clone().reset();
        assert!(checked(&mut one).is_ok());
    }
}
