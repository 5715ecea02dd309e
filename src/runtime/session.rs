//! One open network: a model on a provider, with the names and shapes that it declares, warmed up and interruptible.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::engine::{self, Engine, Opener, RuntimeOpener, Source, Switch, Tensor, Values, Way};
use super::fault::{self, Spoilt};
use super::shared::{self, Attempt, Build, Shared, Turns};
use super::upgrade::Upgrade;
use crate::SCALE;
use crate::cancel::{Canceller, Interrupt};
use crate::draw::Transfer;
use crate::error::{Error, Result};
use crate::find::decode::Output;
use crate::notice::Notice;
use crate::picture::Size;
use crate::picture::tensor::Encoding;
use crate::settings::{Config, Precision, Provider};

pub use super::engine::{Port, Purpose, describe};

/// A model that is ready to run. Networks of the same model, provider and settings share one session; each is stopped by its own
/// [`Canceller`] alone.
pub struct Network {
    opening: Arc<Opening>,
    shared: Arc<Shared>,
    /// Takes any shape, where `shared` replays runs of one from a graph.
    free: Option<Arc<Shared>>,
    /// Takes floats, where `shared` takes bytes and floats were asked for.
    floats: Option<Arc<Shared>>,
    switch: Arc<Switch>,
    refused: Vec<(Provider, String)>,
    notices: Vec<Notice>,
    /// Time that the last run took, once it had its turn.
    run_time: Duration,
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

/// Runs in which a CUDA graph is captured and shown to work: the runtime warms up, captures and replays.
const GRAPH_RUNS: usize = 3;

/// A session, and what had to be left out to have it.
pub(super) struct Served {
    pub(super) shared: Arc<Shared>,
    /// Where `shared` has a CUDA graph, the same without one, for runs that the graph does not suit.
    pub(super) free: Option<Arc<Shared>>,
    /// For the user: why pictures do not get to it and back in the best way.
    pub(super) notice: Option<Notice>,
}

/// What opening on a provider gives, or the reason why the provider cannot serve it.
pub(super) type Service = Result<std::result::Result<Served, String>>;

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

    /// The session on `provider`, opened and run once unless it is open already, with the best of the ways of getting pictures there
    /// that are wanted and can be had.
    pub(super) fn attempt(
        &self,
        provider: Provider,
        precision: Precision,
        wanted: impl Fn(&Way) -> bool,
        switch: &Switch,
    ) -> Service {
        let ways = self.opener.ways(provider).into_iter();
        let (mut missed, mut last) = (None, String::new());
        for way in ways.filter(wanted) {
            match self.attempt_way(provider, precision, &way, switch)? {
                Ok(shared) => {
                    let notice = missed.as_ref().map(|(better, reason): &(Way, String)| {
                        Notice::worse(format!(
                            "model {} on {provider} is given {}, not {}: {reason}",
                            self.name,
                            way.words(),
                            better.words()
                        ))
                    });
                    let mut served = Served {
                        shared,
                        free: None,
                        notice,
                    };
                    if way.graph.is_some() {
                        let free = Way { graph: None, ..way };
                        match self.attempt_way(provider, precision, &free, switch)? {
                            Ok(shared) => served.free = Some(shared),
                            // It would have to be opened in the middle of a stream.
                            Err(reason) => {
                                last.clone_from(&reason);
                                missed.get_or_insert((way, reason));
                                continue;
                            }
                        }
                    }
                    return Ok(Ok(served));
                }
                Err(reason) => {
                    last.clone_from(&reason);
                    missed.get_or_insert((way, reason));
                }
            }
        }
        Ok(Err(last))
    }

    fn attempt_way(
        &self,
        provider: Provider,
        precision: Precision,
        way: &Way,
        switch: &Switch,
    ) -> Attempt {
        let interrupted = || switch.is_interrupted();
        let open = || -> Attempt {
            let reservation = self
                .opener
                .reserve(provider, precision, way, &interrupted)?;
            let engine = match self.opener.open(provider, precision, way)? {
                Ok(engine) => engine,
                Err(reason) => return Ok(Err(reason)),
            };
            let build = match &reservation {
                None if provider == Provider::TensorRt => Build::Compiled,
                None => Build::Nothing,
                Some(reservation) if reservation.was_complete => Build::Kept,
                Some(_) => Build::Compiled,
            };
            let session = self.warm_up(engine, provider, precision, way, build, switch)?;
            if session.is_ok()
                && let Some(reservation) = reservation
            {
                reservation.complete();
            }
            Ok(session)
        };
        match self.opener.key(provider, precision, way) {
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
        way: &Way,
        build: Build,
        switch: &Switch,
    ) -> Attempt {
        let (inputs, outputs) = engine.ports();
        let (inputs, outputs) = (inputs.to_vec(), outputs.to_vec());
        let shape_in = self.warm_up_shape(&inputs, provider, way)?;
        let count = shape_in.iter().product();
        let (mut bytes, mut half, mut grey) = (Vec::new(), Vec::new(), Vec::new());
        let values = match inputs.first() {
            Some(port) if port.is_bytes() => {
                bytes.resize(count, 128);
                Values::Bytes(&bytes)
            }
            Some(port) if port.is_half() => {
                half.resize(count, f16::from_f32_const(0.5));
                Values::Half(&half)
            }
            _ => {
                grey.resize(count, 0.5);
                Values::Single(&grey)
            }
        };
        let mut tensors = Vec::new();
        for _ in 0..if way.graph.is_some() { GRAPH_RUNS } else { 1 } {
            tensors = match engine.run(shape_in, values, switch) {
                Ok(tensors) => tensors,
                Err(_) if switch.is_interrupted() => return Err(Error::Cancelled),
                Err(reason) => return Ok(Err(reason)),
            };
        }
        let run_shapes = if way.bytes.is_some() {
            let Some(Ok((shape, _))) = tensors.first().map(Tensor::bytes) else {
                return Ok(Err("it gives no bytes".to_owned()));
            };
            let [n, height, width, _] = shape_in.map(|side| side as i64);
            let scale = SCALE as i64;
            let expected = [n, height * scale, width * scale, 3];
            if shape != expected {
                return Ok(Err(format!(
                    "it gives {shape:?} for {shape_in:?}, {expected:?} expected"
                )));
            }
            vec![(outputs[0].name.clone(), shape.to_vec())]
        } else {
            let mut converted = Vec::new();
            extract(&self.name, &outputs, &tensors, &mut converted)?
                .iter()
                .map(|output| (output.name.to_owned(), output.shape.to_vec()))
                .collect()
        };
        drop(tensors);
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
            way: *way,
            transfer: Transfer {
                bytes: way.bytes.is_some(),
                staging: engine.staging(),
                graph: way.graph.is_some(),
            },
            engine: Turns::new(engine),
        })))
    }

    /// The declared input with free sides filled in.
    fn warm_up_shape(&self, inputs: &[Port], provider: Provider, way: &Way) -> Result<[usize; 4]> {
        if let Some(shape) = way.graph {
            return Ok(way.shape(shape));
        }
        match inputs {
            // The file was rewritten for it.
            [port] if way.bytes.is_some() && port.shape.len() == 4 => {
                let tile = self.tile.filter(|_| provider == Provider::TensorRt);
                let [_, _, height, width] = tile.unwrap_or([1, 3, WARM_UP_SIDE, WARM_UP_SIDE]);
                let side = |i: usize, free| usize::try_from(port.shape[i]).unwrap_or(free);
                Ok([side(0, 1), side(1, height), side(2, width), 3])
            }
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
        Self::open_for(path, name, sha256, Purpose::default(), config, cancel)
    }

    /// As [`Network::open`], for a known purpose: providers that compile do so for inputs of its tile, `[n, 3, height, width]`, in
    /// batches of up to `n`, and for nothing larger; where [`Config::tile_size`] is set, that is its height and width. A
    /// generator on a GPU is given bytes where its file allows it, see [`Network::run_bytes`].
    ///
    /// # Errors
    /// Those of [`Network::open`].
    pub fn open_for(
        path: &Path,
        name: &str,
        sha256: &str,
        purpose: Purpose,
        config: &Config,
        cancel: &Canceller,
    ) -> Result<Self> {
        let source = Source::File(path.to_owned());
        let slow = Slow::Background;
        Self::open_source(source, name, sha256, purpose, config, cancel, slow)
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
        purpose: Purpose,
        config: &Config,
        cancel: &Canceller,
    ) -> Result<Self> {
        let source = Source::File(path.to_owned());
        Self::open_source(source, name, sha256, purpose, config, cancel, Slow::Refused)
    }

    pub(super) fn open_bytes(bytes: &'static [u8], name: &str, config: &Config) -> Result<Self> {
        let (source, cancel) = (Source::Bytes(bytes), Canceller::new());
        let purpose = Purpose::default();
        Self::open_source(source, name, "", purpose, config, &cancel, Slow::Refused)
    }

    fn open_source(
        source: Source,
        name: &str,
        sha256: &str,
        mut purpose: Purpose,
        config: &Config,
        cancel: &Canceller,
        slow: Slow,
    ) -> Result<Self> {
        let (environment, version) = engine::runtime(config)?;
        purpose.tile = purpose
            .tile
            .map(|[n, channels, height, width]| match config.tile_size {
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
            purpose,
        };
        let tile = purpose.tile;
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
                opening.attempt(provider, precision, |_| true, &switch)
            };
            match attempt? {
                Ok(served) => {
                    return Ok(Self::serve(opening, served, switch, refused, upgrade));
                }
                Err(reason) => refused.push((provider, reason)),
            }
        }
        // Nothing else works: what is being built is waited for.
        if let Some(upgrade) = upgrade {
            match upgrade.wait(Duration::MAX, || cancel.is_cancelled())? {
                Some(Ok(Ok(served))) => {
                    return Ok(Self::serve(opening, served, switch, refused, None));
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

    fn serve(
        opening: Arc<Opening>,
        served: Served,
        switch: Arc<Switch>,
        refused: Vec<(Provider, String)>,
        upgrade: Option<Upgrade>,
    ) -> Self {
        Self {
            opening,
            shared: served.shared,
            free: served.free,
            floats: None,
            switch,
            refused,
            notices: served.notice.into_iter().collect(),
            run_time: Duration::ZERO,
            upgrade,
            half: Vec::new(),
            single: Vec::new(),
        }
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

    /// How pictures get there and back.
    pub fn transfer(&self) -> Transfer {
        self.shared.transfer
    }

    /// Whether pictures go in and out as bytes: [`Network::run_bytes`] is then the way to run it, and [`Network::run`] opens the
    /// network once more, for floats.
    pub fn takes_bytes(&self) -> bool {
        self.shared.way.bytes.is_some()
    }

    /// The shape, `[n, 3, height, width]`, that runs had best be of, where a CUDA graph holds it.
    pub fn fixed_shape(&self) -> Option<[usize; 4]> {
        self.shared.way.graph
    }

    /// Closes what [`Network::run`] opened beside a session that takes bytes.
    pub fn release_floats(&mut self) {
        self.floats = None;
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
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Time that the last run took to compute, without waiting for its turn in a session that several networks share.
    pub fn run_time(&self) -> Duration {
        self.run_time
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
            Ok(Ok(served)) => {
                (self.shared, self.free, self.floats) = (served.shared, served.free, None);
                self.notices.push(Notice::better(format!(
                    "model {} runs on {to} from now on, not on {from}",
                    self.name()
                )));
                self.notices.extend(served.notice);
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
        let shared = self.for_floats()?;
        let tensors = self.infer_floats(&shared, shape, values)?;
        let name = &self.opening.name;
        take(&extract(name, &shared.outputs, &tensors, &mut self.single)?)
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
        let mut shared = self.for_floats()?;
        let mut tensors = self.infer_floats(&shared, shape, values)?;
        if let Some(spoilt) = self.judge(&shared, values, &tensors, encoding)? {
            // The output's memory is not needed while the other session runs.
            drop(tensors);
            self.fall_back(spoilt)?;
            shared = self.for_floats()?;
            tensors = self.infer_floats(&shared, shape, values)?;
            if let Some(spoilt) = self.judge(&shared, values, &tensors, encoding)? {
                return Err(self.spoilt_twice(spoilt));
            }
        }
        let name = &self.opening.name;
        take(&extract(name, &shared.outputs, &tensors, &mut self.single)?)
    }

    /// Runs a generator that takes bytes on `values`, u8`[count, size.height, size.width, 3]`, packed RGB, and hands
    /// u8`[count, size.height * 4, size.width * 4, 3]` to `take`. What half precision spoilt is mended as in [`Network::run_checked`];
    /// whether values were finite is known though bytes cannot tell.
    ///
    /// # Errors
    /// Those of [`Network::run`]; [`Error::Inference`] for a result that is not finite, and for a network that does not take bytes.
    pub fn run_bytes<T>(
        &mut self,
        count: usize,
        size: Size,
        values: &[u8],
        take: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Result<T> {
        let shape = [count, size.height, size.width, 3];
        let expected = 3 * count * size.scaled(SCALE).area();
        let mut tensors = self.infer_bytes(shape, values)?;
        if let Some(spoilt) = self.judge_bytes(values, &tensors)? {
            drop(tensors);
            self.fall_back(spoilt)?;
            tensors = self.infer_bytes(shape, values)?;
            if let Some(spoilt) = self.judge_bytes(values, &tensors)? {
                return Err(self.spoilt_twice(spoilt));
            }
        }
        match tensors.first().map(Tensor::bytes) {
            Some(Ok((_, bytes))) if bytes.len() == expected => take(bytes),
            found => Err(Error::Contract {
                model: self.name().to_owned(),
                expected: format!("{expected} bytes for {count} tiles of {size}"),
                found: match found {
                    Some(Ok((shape, _))) => format!("{shape:?}"),
                    Some(Err(found)) => found,
                    None => "nothing".to_owned(),
                },
            }),
        }
    }

    fn spoilt_twice(&self, spoilt: Spoilt) -> Error {
        Error::Inference {
            model: self.name().to_owned(),
            message: format!("{}, in single precision too", spoilt.words()),
        }
    }

    /// The session that takes floats, opened if there is none yet.
    fn for_floats(&mut self) -> Result<Arc<Shared>> {
        if !self.takes_bytes() {
            return Ok(self.shared.clone());
        }
        if let Some(floats) = &self.floats {
            return Ok(floats.clone());
        }
        let (provider, precision) = (self.shared.provider, self.session_precision());
        let only_floats = |way: &Way| way.bytes.is_none();
        let attempt = self
            .opening
            .attempt(provider, precision, only_floats, &self.switch)?;
        match attempt {
            Ok(served) => {
                self.floats = Some(served.shared.clone());
                Ok(served.shared)
            }
            Err(reason) => Err(Error::Inference {
                model: self.name().to_owned(),
                message: format!("it cannot be opened for floats on {provider}: {reason}"),
            }),
        }
    }

    /// What its session was asked to compute in, which a file of half precision may exceed.
    fn session_precision(&self) -> Precision {
        match (self.shared.provider, self.shared.precision) {
            (Provider::TensorRt, precision) => precision,
            _ => Precision::Fp32,
        }
    }

    fn judge(
        &mut self,
        shared: &Shared,
        values: &[f32],
        tensors: &[Tensor],
        encoding: Encoding,
    ) -> Result<Option<Spoilt>> {
        let reduced = self.is_reduced();
        let outputs = extract(
            &self.opening.name,
            &shared.outputs,
            tensors,
            &mut self.single,
        )?;
        Ok(fault::judge(values, &outputs, encoding, reduced))
    }

    fn judge_bytes(&mut self, values: &[u8], tensors: &[Tensor]) -> Result<Option<Spoilt>> {
        let contract = |found: String| Error::Contract {
            model: self.opening.name.clone(),
            expected: "a picture of bytes and the means of its rows".to_owned(),
            found,
        };
        let [picture, means] = tensors else {
            return Err(contract(format!("{} outputs", tensors.len())));
        };
        let mut converted = Vec::new();
        let (_, means) = means.read(&mut converted).map_err(contract)?;
        let (_, picture) = picture.bytes().map_err(contract)?;
        let reduced = self.is_reduced();
        Ok(fault::judge_bytes(
            values,
            picture,
            means.unwrap_or(&converted),
            reduced,
        ))
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
            .attempt(provider, Precision::Fp32, |_| true, &self.switch)?
        {
            Ok(served) => {
                (self.shared, self.free, self.floats) = (served.shared, served.free, None);
                self.notices.push(Notice::worse(format!(
                    "model {} computes in single precision from now on: in half precision on {provider} {}",
                    self.opening.name,
                    spoilt.words()
                )));
                self.notices.extend(served.notice);
                Ok(())
            }
            Err(reason) => Err(failed(format!(
                "{} in half precision on {provider}, and in single precision it cannot be opened: {reason}",
                spoilt.words()
            ))),
        }
    }

    fn infer_floats(
        &mut self,
        shared: &Arc<Shared>,
        shape: [usize; 4],
        values: &[f32],
    ) -> Result<Vec<Tensor>> {
        let mut half = std::mem::take(&mut self.half);
        let result = if shared.inputs.first().is_some_and(Port::is_half) {
            half.resize(values.len(), f16::ZERO);
            half.convert_from_f32_slice(values);
            self.infer(shared, shape, Values::Half(&half))
        } else {
            self.infer(shared, shape, Values::Single(values))
        };
        self.half = half;
        result
    }

    fn infer_bytes(&mut self, shape: [usize; 4], values: &[u8]) -> Result<Vec<Tensor>> {
        if !self.takes_bytes() {
            return Err(Error::Inference {
                model: self.name().to_owned(),
                message: "it takes floats, not bytes".to_owned(),
            });
        }
        let shared = match (&self.free, self.shared.way.graph) {
            (Some(free), Some(tile)) if !suits(self.shared.way.shape(tile), shape) => free.clone(),
            _ => self.shared.clone(),
        };
        let result = self.infer(&shared, shape, Values::Bytes(values));
        match (result, self.free.take()) {
            (
                Err(Error::Inference { message, .. } | Error::OutOfMemory { message, .. }),
                Some(free),
            ) if shared.way.graph.is_some() => {
                self.shared = free.clone();
                self.notices.push(Notice::worse(format!(
                    "model {} on {} runs without a CUDA graph from now on: {message}",
                    self.opening.name, free.provider
                )));
                self.infer(&free, shape, Values::Bytes(values))
            }
            (result, free) => {
                self.free = free;
                result
            }
        }
    }

    /// Waits for its turn in the session and runs; the outputs are kept when the next one has its turn.
    fn infer(
        &mut self,
        shared: &Shared,
        shape: [usize; 4],
        values: Values<'_>,
    ) -> Result<Vec<Tensor>> {
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
        let switch = &self.switch;
        let (result, remark, took) = shared.engine.take(
            || switch.is_interrupted(),
            |engine| {
                // From here on: waiting for the runs of other streams is not computing.
                let start = Instant::now();
                let result = engine.run(shape, values, switch);
                (result, engine.take_remark(), start.elapsed())
            },
        )?;
        self.run_time = took;
        self.notices.extend(remark.map(|reason| {
            Notice::worse(format!(
                "model {}: memory for its pictures is not kept from run to run: {reason}",
                self.opening.name
            ))
        }));
        result.map_err(|message| fault::error(&self.opening.name, message))
    }
}

/// Whether a run of `shape` is worth the time of one of `tile`, which a graph holds: the same sides, and more than half as many
/// pictures.
fn suits(tile: [usize; 4], shape: [usize; 4]) -> bool {
    tile[1..] == shape[1..] && shape[0] <= tile[0] && 2 * shape[0] > tile[0]
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
    use crate::notice::Severity;
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
        /// How pictures may get there, the best first; floats if empty.
        ways: Vec<Way>,
        /// Ways that cannot be had, with the reason.
        lacks: Vec<(Way, &'static str)>,
        opened: Arc<AtomicUsize>,
    }

    struct FakeEngine {
        port: [Port; 1],
        way: Way,
        gives: Option<f32>,
        message: Option<&'static str>,
    }

    fn free(way: &Way) -> [Port; 1] {
        let (element, shape) = match way.bytes {
            Some(_) => ("u8", vec![-1, -1, -1, 3]),
            None => ("f32", vec![-1, 3, -1, -1]),
        };
        [Port {
            name: "picture".into(),
            element: element.into(),
            is_f32: way.bytes.is_none(),
            shape,
        }]
    }

    const FLOATS: Way = Way {
        bytes: None,
        graph: None,
    };

    /// Bytes, and bytes with a graph.
    fn bytes() -> (Way, Way) {
        let bytes = Way {
            bytes: Some(Encoding::default()),
            graph: None,
        };
        let graph = Some([2, 3, 8, 8]);
        (bytes, Way { graph, ..bytes })
    }

    fn fake_on(provider: Provider, ways: &[Way]) -> Fake {
        Fake {
            opens: vec![(provider, Duration::ZERO)],
            ways: ways.to_vec(),
            ..Fake::default()
        }
    }

    fn run_bytes(network: &mut Network, count: usize, side: usize) -> Result<Vec<u8>> {
        let values = vec![77; 3 * count * side * side];
        network.run_bytes(count, Size::new(side, side), &values, |bytes| {
            Ok(bytes.to_vec())
        })
    }

    #[test]
    fn the_best_way_that_can_be_had_is_taken_and_a_worse_one_is_told_once() {
        let (plain, graph) = bytes();
        let ways = [graph, plain, FLOATS];
        let fake = fake_on(Provider::Cuda, &ways);
        let mut network = open(&fake, Provider::Cuda).unwrap();
        assert!(network.takes_bytes() && network.transfer().graph);
        assert_eq!(network.fixed_shape(), graph.graph);
        assert!(network.take_notices().is_empty());

        for (lacked, expected, text) in [
            (
                vec![(graph, "no graph")],
                plain,
                "is given bytes, not bytes and a CUDA graph: no graph",
            ),
            (
                vec![(graph, "no rewriting"), (plain, "no rewriting")],
                FLOATS,
                "is given floats, not bytes and a CUDA graph: no rewriting",
            ),
        ] {
            let fake = Fake {
                lacks: lacked,
                ..fake_on(Provider::Cuda, &ways)
            };
            let mut network = open(&fake, Provider::Cuda).unwrap();
            assert_eq!(network.shared.way, expected);
            let notices = network.take_notices();
            assert!(
                matches!(notices.as_slice(), [one] if one.text.contains(text)),
                "{notices:?}"
            );
            assert!(network.take_notices().is_empty());
        }
        let fake = Fake {
            lacks: ways.map(|way| (way, "nothing works")).to_vec(),
            ..fake
        };
        let error = open(&fake, Provider::Cuda).err().unwrap();
        assert!(error.to_string().contains("nothing works"), "{error}");
    }

    #[test]
    fn a_graph_is_for_runs_that_fill_it_and_one_that_fails_is_left_once() {
        let (plain, graph) = bytes();
        let fake = fake_on(Provider::TensorRt, &[graph, plain, FLOATS]);
        let mut network = open(&fake, Provider::TensorRt).unwrap();
        // Both sessions are open before the first frame.
        assert_eq!(fake.opened.load(Ordering::SeqCst), 2);
        for (count, side) in [(2, 8), (1, 8), (2, 5), (3, 8), (2, 8)] {
            let found = run_bytes(&mut network, count, side).unwrap();
            assert_eq!((found.len(), found[0]), (48 * count * side * side, 77));
        }
        assert!(network.fixed_shape().is_some() && network.take_notices().is_empty());
        // Floats, for samples of 16 bits, come by a session of their own.
        assert_eq!(checked(&mut network).unwrap(), [0.2, 0.4, 0.6]);
        assert_eq!(fake.opened.load(Ordering::SeqCst), 3);
        assert!(network.takes_bytes());

        for message in [
            "CUDA failure 900: not permitted when a stream is capturing",
            "out of memory",
        ] {
            let fake = Fake {
                message: Some(message),
                ..fake.clone()
            };
            let mut network = open(&fake, Provider::TensorRt).unwrap();
            for _ in 0..3 {
                assert_eq!(run_bytes(&mut network, 2, 8).unwrap()[0], 77);
            }
            assert_eq!(network.shared.way, plain);
            assert!(!network.transfer().graph && network.fixed_shape().is_none());
            let notices = network.take_notices();
            assert!(
                matches!(notices.as_slice(), [one] if one.text.contains("without a CUDA graph")
                    && one.text.contains(message)),
                "{notices:?}"
            );
        }
    }

    #[test]
    fn what_half_precision_spoils_is_run_again_in_single_with_bytes_too() {
        let (plain, _) = bytes();
        for spoilt in [f32::NAN, f32::INFINITY, 0.0] {
            let fake = Fake {
                half_gives: Some(spoilt),
                ..fake_on(Provider::TensorRt, &[plain, FLOATS])
            };
            let mut network = open(&fake, Provider::TensorRt).unwrap();
            assert_eq!(network.precision(), Precision::Fp16);
            for _ in 0..2 {
                assert_eq!(run_bytes(&mut network, 1, 3).unwrap()[0], 77);
            }
            assert_eq!(network.precision(), Precision::Fp32);
            assert!(network.takes_bytes());
            let notices = network.take_notices();
            assert!(
                matches!(notices.as_slice(), [one] if one.text.contains("single precision")),
                "{notices:?}"
            );
        }
        let fake = Fake {
            half_gives: Some(f32::NAN),
            single_gives: Some(f32::NAN),
            ..fake_on(Provider::TensorRt, &[plain, FLOATS])
        };
        let error = run_bytes(&mut open(&fake, Provider::TensorRt).unwrap(), 1, 3).unwrap_err();
        assert!(
            error.to_string().contains("single precision too"),
            "{error}"
        );
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
            let values = match values {
                Values::Single(values) => values,
                Values::Half(_) => return Err("half".into()),
                Values::Bytes(bytes) => {
                    let [n, height, width, _] = shape;
                    if let Some(tile) = self.way.graph {
                        assert!(suits(self.way.shape(tile), shape));
                        // The warm-up run works.
                        if let (Some(message), true) = (self.message, bytes[0] != 128) {
                            return Err(message.into());
                        }
                    }
                    let rows = n * height * SCALE;
                    let value = self.gives.map_or(bytes[0], |v| (v * 255.0) as u8);
                    return Ok(vec![
                        Tensor::PlainBytes(
                            [n, height * SCALE, width * SCALE, 3]
                                .map(|v| v as i64)
                                .to_vec(),
                            vec![value; 3 * rows * width * SCALE],
                        ),
                        Tensor::Plain(
                            [n, height * SCALE].map(|v| v as i64).to_vec(),
                            vec![self.gives.unwrap_or(0.5); rows],
                        ),
                    ]);
                }
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

        fn ways(&self, _: Provider) -> Vec<Way> {
            match self.ways.as_slice() {
                [] => vec![Way::default()],
                ways => ways.to_vec(),
            }
        }

        fn open(&self, provider: Provider, precision: Precision, way: &Way) -> Opened {
            if let Some((_, reason)) = self.lacks.iter().find(|(lacked, _)| lacked == way) {
                return Ok(Err((*reason).to_owned()));
            }
            let Some((_, time)) = self.opens.iter().find(|(known, _)| *known == provider) else {
                return Ok(Err("not here".into()));
            };
            std::thread::sleep(*time);
            self.opened.fetch_add(1, Ordering::SeqCst);
            Ok(Ok(Box::new(FakeEngine {
                port: free(way),
                way: *way,
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

        fn key(&self, _: Provider, _: Precision, _: &Way) -> Option<Key> {
            None
        }

        fn is_slow(&self, provider: Provider) -> bool {
            self.slow == Some(provider)
        }

        fn reserve(
            &self,
            _: Provider,
            _: Precision,
            _: &Way,
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
                matches!(notices.as_slice(), [one] if one.text.contains("fake") && one.text.contains("tensorrt")),
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
        let notices = network.take_notices();
        assert!(notices[0].text.contains("tensorrt"));
        assert_eq!(notices[0].severity, Severity::Better);
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
