//! One open network: a model on a provider, with the names and shapes that it declares, warmed up and interruptible.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::backend::Backend;
use super::choice::{self, SlowProviders};
use super::control::RunControl;
use super::engine::{ModelSource, OrtBackend};
use super::gpu::graph;
use super::io_mode::IoMode;
use super::loader::Loader;
use super::message;
use super::port::Port;
use super::precision::{self, Defect};
use super::purpose::Purpose;
use super::sharing::{Build, SharedSession};
use super::tensor::{InputValues, OutputTensor, extract};
use super::upgrade::Upgrade;
use crate::SCALE;
use crate::cancel::{Canceller, Interrupt};
use crate::draw::Transfer;
use crate::error::{Error, Result};
use crate::find::decode::Output;
use crate::notice::Notice;
use crate::picture::{Encoding, Size};
use crate::settings::{Config, Precision, Provider};

/// A model that is ready to run. Networks of the same model, provider and settings share one session; each is stopped by its own
/// [`Canceller`] alone.
pub struct Network {
    loader: Arc<Loader>,
    shared: Arc<SharedSession>,
    /// Takes any shape, where `shared` replays runs of one from a graph.
    free: Option<Arc<SharedSession>>,
    /// Takes floats, where `shared` takes bytes and floats were asked for.
    floats: Option<Arc<SharedSession>>,
    control: Arc<RunControl>,
    refused: Vec<(Provider, String)>,
    notices: Vec<Notice>,
    /// Time that the last run took, once it had its turn.
    run_time: Duration,
    upgrade: Option<Upgrade>,
    /// Input and outputs on the way to and from half precision, reused from run to run.
    half: Vec<f16>,
    single: Vec<Vec<f32>>,
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
        let source = ModelSource::File(path.to_owned());
        let slow = SlowProviders::Background;
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
        let source = ModelSource::File(path.to_owned());
        Self::open_source(
            source,
            name,
            sha256,
            purpose,
            config,
            cancel,
            SlowProviders::Refused,
        )
    }

    pub(super) fn open_bytes(bytes: &'static [u8], name: &str, config: &Config) -> Result<Self> {
        let (source, cancel) = (ModelSource::Bytes(bytes), Canceller::new());
        let purpose = Purpose::default();
        Self::open_source(
            source,
            name,
            "",
            purpose,
            config,
            &cancel,
            SlowProviders::Refused,
        )
    }

    fn open_source(
        source: ModelSource,
        name: &str,
        sha256: &str,
        purpose: Purpose,
        config: &Config,
        cancel: &Canceller,
        slow: SlowProviders,
    ) -> Result<Self> {
        let backend = OrtBackend::new(source, name, sha256, purpose, config)?;
        let tile = backend.tile();
        Self::open_with(Box::new(backend), name, tile, config, cancel, slow)
    }

    fn open_with(
        backend: Box<dyn Backend>,
        name: &str,
        tile: Option<[usize; 4]>,
        config: &Config,
        cancel: &Canceller,
        slow: SlowProviders,
    ) -> Result<Self> {
        let loader = Arc::new(Loader::new(backend, name, tile));
        let control = Arc::new(loader.control()?);
        cancel.attach(&(control.clone() as Arc<dyn Interrupt>));
        let chosen = choice::choose(&loader, config, cancel, &control, slow)?;
        Ok(Self {
            loader,
            shared: chosen.opened.shared,
            free: chosen.opened.free,
            floats: None,
            control,
            refused: chosen.refused,
            notices: chosen.opened.notice.into_iter().collect(),
            run_time: Duration::ZERO,
            upgrade: chosen.upgrade,
            half: Vec::new(),
            single: Vec::new(),
        })
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        self.loader.name()
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
        self.shared.io_mode.bytes.is_some()
    }

    /// The shape, `[n, 3, height, width]`, that runs had best be of, where a CUDA graph holds it.
    pub fn fixed_shape(&self) -> Option<[usize; 4]> {
        self.shared.io_mode.graph
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
        let Some(outcome) = upgrade.wait(time, || self.control.is_interrupted())? else {
            return Ok(false);
        };
        let (from, to) = (self.shared.provider, upgrade.provider);
        self.upgrade = None;
        match outcome {
            Ok(Ok(opened)) => {
                (self.shared, self.free, self.floats) = (opened.shared, opened.free, None);
                self.notices.push(Notice::better(format!(
                    "model {} runs on {to} from now on, not on {from}",
                    self.name()
                )));
                self.notices.extend(opened.notice);
                Ok(true)
            }
            Ok(Err(reason)) => {
                self.refuse_upgrade(to, reason);
                Ok(false)
            }
            Err(error) => {
                self.refuse_upgrade(to, error.to_string());
                Ok(false)
            }
        }
    }

    /// Notes that the better provider will not come.
    fn refuse_upgrade(&mut self, provider: Provider, reason: String) {
        self.notices.push(Notice::worse(format!(
            "model {} stays on {}: it could not be made ready for {provider} in the background: {reason}",
            self.name(),
            self.provider()
        )));
        self.refused.push((provider, reason));
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
        let name = self.loader.name();
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
        if let Some(defect) = self.judge(&shared, values, &tensors, encoding)? {
            // The output's memory is not needed while the other session runs.
            drop(tensors);
            self.fall_back(defect)?;
            shared = self.for_floats()?;
            tensors = self.infer_floats(&shared, shape, values)?;
            if let Some(defect) = self.judge(&shared, values, &tensors, encoding)? {
                return Err(self.spoilt_twice(defect));
            }
        }
        let name = self.loader.name();
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
        if let Some(defect) = self.judge_bytes(values, &tensors)? {
            drop(tensors);
            self.fall_back(defect)?;
            tensors = self.infer_bytes(shape, values)?;
            if let Some(defect) = self.judge_bytes(values, &tensors)? {
                return Err(self.spoilt_twice(defect));
            }
        }
        match tensors.first().map(OutputTensor::bytes) {
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

    fn spoilt_twice(&self, defect: Defect) -> Error {
        Error::Inference {
            model: self.name().to_owned(),
            message: format!("{}, in single precision too", defect.words()),
        }
    }

    /// The session that takes floats, opened if there is none yet.
    fn for_floats(&mut self) -> Result<Arc<SharedSession>> {
        if !self.takes_bytes() {
            return Ok(self.shared.clone());
        }
        if let Some(floats) = &self.floats {
            return Ok(floats.clone());
        }
        let (provider, precision) = (self.shared.provider, self.session_precision());
        let only_floats = |mode: &IoMode| mode.bytes.is_none();
        let attempt = self
            .loader
            .attempt(provider, precision, only_floats, &self.control)?;
        match attempt {
            Ok(opened) => {
                self.floats = Some(opened.shared.clone());
                Ok(opened.shared)
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
        shared: &SharedSession,
        values: &[f32],
        tensors: &[OutputTensor],
        encoding: Encoding,
    ) -> Result<Option<Defect>> {
        let reduced = self.is_reduced();
        let outputs = extract(
            self.loader.name(),
            &shared.outputs,
            tensors,
            &mut self.single,
        )?;
        Ok(precision::judge(values, &outputs, encoding, reduced))
    }

    fn judge_bytes(&mut self, values: &[u8], tensors: &[OutputTensor]) -> Result<Option<Defect>> {
        let contract = |found: String| Error::Contract {
            model: self.name().to_owned(),
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
        Ok(precision::judge_bytes(
            values,
            picture,
            means.unwrap_or(&converted),
            reduced,
        ))
    }

    /// Opens the network again in single precision on the same provider.
    fn fall_back(&mut self, defect: Defect) -> Result<()> {
        let (provider, precision) = (self.shared.provider, self.shared.precision);
        let failed = |message: String| Error::Inference {
            model: self.name().to_owned(),
            message,
        };
        if !provider.reduces(precision) {
            let hint = if self.loader.is_half() {
                "; its file is of half precision: use one of single precision"
            } else {
                ""
            };
            return Err(failed(format!("{}{hint}", defect.words())));
        }
        match self
            .loader
            .attempt(provider, Precision::Fp32, |_| true, &self.control)?
        {
            Ok(opened) => {
                (self.shared, self.free, self.floats) = (opened.shared, opened.free, None);
                self.notices.push(Notice::worse(format!(
                    "model {} computes in single precision from now on: in half precision on {provider} {}",
                    self.loader.name(),
                    defect.words()
                )));
                self.notices.extend(opened.notice);
                Ok(())
            }
            Err(reason) => Err(failed(format!(
                "{} in half precision on {provider}, and in single precision it cannot be opened: {reason}",
                defect.words()
            ))),
        }
    }

    fn infer_floats(
        &mut self,
        shared: &Arc<SharedSession>,
        shape: [usize; 4],
        values: &[f32],
    ) -> Result<Vec<OutputTensor>> {
        let mut half = std::mem::take(&mut self.half);
        let result = if shared.inputs.first().is_some_and(Port::is_half) {
            half.resize(values.len(), f16::ZERO);
            half.convert_from_f32_slice(values);
            self.infer(shared, shape, InputValues::Half(&half))
        } else {
            self.infer(shared, shape, InputValues::Single(values))
        };
        self.half = half;
        result
    }

    fn infer_bytes(&mut self, shape: [usize; 4], values: &[u8]) -> Result<Vec<OutputTensor>> {
        if !self.takes_bytes() {
            return Err(Error::Inference {
                model: self.name().to_owned(),
                message: "it takes floats, not bytes".to_owned(),
            });
        }
        let shared = match (&self.free, self.shared.io_mode.graph) {
            (Some(free), Some(tile)) if !graph::suits(self.shared.io_mode.shape(tile), shape) => {
                free.clone()
            }
            _ => self.shared.clone(),
        };
        let result = self.infer(&shared, shape, InputValues::Bytes(values));
        match (result, self.free.take()) {
            (
                Err(Error::Inference { message, .. } | Error::OutOfMemory { message, .. }),
                Some(free),
            ) if shared.io_mode.graph.is_some() => {
                self.shared = free.clone();
                self.notices.push(Notice::worse(format!(
                    "model {} on {} runs without a CUDA graph from now on: {message}",
                    self.loader.name(),
                    free.provider
                )));
                self.infer(&free, shape, InputValues::Bytes(values))
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
        shared: &SharedSession,
        shape: [usize; 4],
        values: InputValues<'_>,
    ) -> Result<Vec<OutputTensor>> {
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
        let control = &self.control;
        let (result, remark, took) = shared.model.with(
            || control.is_interrupted(),
            |model| {
                // From here on: waiting for the runs of other streams is not computing.
                let start = Instant::now();
                let result = model.run(shape, values, control);
                (result, model.take_remark(), start.elapsed())
            },
        )?;
        self.run_time = took;
        self.notices.extend(remark.map(|reason| {
            Notice::worse(format!(
                "model {}: memory for its pictures is not kept from run to run: {reason}",
                self.loader.name()
            ))
        }));
        result.map_err(|message| message::error(self.loader.name(), message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::Severity;
    use crate::runtime::backend::{LoadResult, LoadedModel};
    use crate::runtime::cache::Reservation;
    use crate::runtime::choice::GRACE;
    use crate::runtime::session_key::SessionKey;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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
        ways: Vec<IoMode>,
        /// Ways that cannot be had, with the reason.
        lacks: Vec<(IoMode, &'static str)>,
        opened: Arc<AtomicUsize>,
        /// Key of the session, if networks are to share it.
        key: Option<&'static str>,
        /// Time after which a slow provider that does not open is refused.
        refuses_after: Duration,
        /// Runs, but for the first, come in and wait for it.
        gate: Option<Arc<Gate>>,
    }

    struct FakeModel {
        port: [Port; 1],
        mode: IoMode,
        gives: Option<f32>,
        message: Option<&'static str>,
        gate: Option<Arc<Gate>>,
    }

    #[derive(Default)]
    struct Gate {
        inside: AtomicBool,
        open: AtomicBool,
    }

    fn free(mode: &IoMode) -> [Port; 1] {
        let (element, shape) = match mode.bytes {
            Some(_) => ("u8", vec![-1, -1, -1, 3]),
            None => ("f32", vec![-1, 3, -1, -1]),
        };
        [Port {
            name: "picture".into(),
            element: element.into(),
            is_f32: mode.bytes.is_none(),
            shape,
        }]
    }

    const FLOATS: IoMode = IoMode {
        bytes: None,
        graph: None,
    };

    /// Bytes, and bytes with a graph.
    fn bytes() -> (IoMode, IoMode) {
        let bytes = IoMode {
            bytes: Some(Encoding::default()),
            graph: None,
        };
        let graph = Some([2, 3, 8, 8]);
        (bytes, IoMode { graph, ..bytes })
    }

    fn fake_on(provider: Provider, ways: &[IoMode]) -> Fake {
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
            assert_eq!(network.shared.io_mode, expected);
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
            assert_eq!(network.shared.io_mode, plain);
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

    impl LoadedModel for FakeModel {
        fn ports(&self) -> (&[Port], &[Port]) {
            (&self.port, &self.port)
        }

        fn run(
            &mut self,
            shape: [usize; 4],
            values: InputValues<'_>,
            control: &RunControl,
        ) -> std::result::Result<Vec<OutputTensor>, String> {
            if control.is_interrupted() {
                return Err("Exiting due to terminate flag being set to true.".into());
            }
            let values = match values {
                InputValues::Single(values) => values,
                InputValues::Half(_) => return Err("half".into()),
                InputValues::Bytes(bytes) => {
                    let [n, height, width, _] = shape;
                    if let Some(tile) = self.mode.graph {
                        assert!(graph::suits(self.mode.shape(tile), shape));
                        // The warm-up run works.
                        if let (Some(message), true) = (self.message, bytes[0] != 128) {
                            return Err(message.into());
                        }
                    }
                    let rows = n * height * SCALE;
                    let value = self.gives.map_or(bytes[0], |v| (v * 255.0) as u8);
                    return Ok(vec![
                        OutputTensor::PlainBytes(
                            [n, height * SCALE, width * SCALE, 3]
                                .map(|v| v as i64)
                                .to_vec(),
                            vec![value; 3 * rows * width * SCALE],
                        ),
                        OutputTensor::Plain(
                            [n, height * SCALE].map(|v| v as i64).to_vec(),
                            vec![self.gives.unwrap_or(0.5); rows],
                        ),
                    ]);
                }
            };
            if let (Some(gate), true) = (&self.gate, values[0] != 0.5) {
                gate.inside.store(true, Ordering::SeqCst);
                while !gate.open.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
            }
            // The warm-up run works; faults come with pictures.
            if let (Some(message), true) = (self.message, values[0] != 0.5) {
                return Err(message.into());
            }
            let values = values.iter().map(|v| self.gives.unwrap_or(2.0 * v));
            Ok(vec![OutputTensor::Plain(
                shape.iter().map(|side| *side as i64).collect(),
                values.collect(),
            )])
        }
    }

    impl Backend for Fake {
        fn control(&self) -> Result<RunControl> {
            Ok(RunControl::without_library())
        }

        fn io_modes(&self, _: Provider) -> Vec<IoMode> {
            match self.ways.as_slice() {
                [] => vec![IoMode::default()],
                ways => ways.to_vec(),
            }
        }

        fn open(&self, provider: Provider, precision: Precision, mode: &IoMode) -> LoadResult {
            if let Some((_, reason)) = self.lacks.iter().find(|(lacked, _)| lacked == mode) {
                return Ok(Err((*reason).to_owned()));
            }
            let Some((_, time)) = self.opens.iter().find(|(known, _)| *known == provider) else {
                if self.slow == Some(provider) {
                    std::thread::sleep(self.refuses_after);
                }
                return Ok(Err("not here".into()));
            };
            std::thread::sleep(*time);
            self.opened.fetch_add(1, Ordering::SeqCst);
            Ok(Ok(Box::new(FakeModel {
                port: free(mode),
                mode: *mode,
                gives: match precision {
                    Precision::Fp16 => self.half_gives,
                    _ => self.single_gives,
                },
                message: self.message,
                gate: self.gate.clone(),
            })))
        }

        fn is_half(&self) -> bool {
            false
        }

        fn key(
            &self,
            provider: Provider,
            precision: Precision,
            mode: &IoMode,
        ) -> Option<SessionKey> {
            let (purpose, config) = (Purpose::default(), Config::default());
            let new = |name: &str| {
                let path = name.into();
                SessionKey::new(name, path, provider, precision, mode, &purpose, &config)
            };
            self.key.map(new)
        }

        fn is_slow(&self, provider: Provider) -> bool {
            self.slow == Some(provider)
        }

        fn reserve(
            &self,
            _: Provider,
            _: Precision,
            _: &IoMode,
            _: &dyn Fn() -> bool,
        ) -> Result<Option<Reservation>> {
            Ok(None)
        }
    }

    fn open(fake: &Fake, provider: Provider) -> Result<Network> {
        open_under(fake, provider, &Canceller::new())
    }

    fn open_under(fake: &Fake, provider: Provider, cancel: &Canceller) -> Result<Network> {
        let config = Config {
            provider,
            ..Config::default()
        };
        let slow = SlowProviders::Background;
        Network::open_with(Box::new(fake.clone()), "fake", None, &config, cancel, slow)
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
        let ready = Network::open_with(
            opener,
            "fake",
            None,
            &config,
            &cancel,
            SlowProviders::Refused,
        )
        .unwrap();
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
        let (stop, free) = (Canceller::new(), Canceller::new());
        let (mut one, mut other) = (
            open_under(&fake, Provider::Cpu, &stop).unwrap(),
            open_under(&fake, Provider::Cpu, &free).unwrap(),
        );
        stop.cancel();
        assert!(matches!(checked(&mut one), Err(Error::Cancelled)));
        assert!(checked(&mut other).is_ok());
        stop.reset();
        assert!(checked(&mut one).is_ok());
    }

    /// A provider that compiles in the background, which takes a while and then gives `outcome`.
    fn builds(works: bool) -> Fake {
        let mut opens = vec![(Provider::Cpu, Duration::ZERO)];
        if works {
            opens.push((Provider::TensorRt, GRACE * 2));
        }
        Fake {
            opens,
            slow: Some(Provider::TensorRt),
            refuses_after: GRACE * 2,
            ..Fake::default()
        }
    }

    /// Asks between frames, as a stream does, until nothing is expected any more.
    fn run_until_settled(network: &mut Network) {
        while network.expects_better() {
            network.adopt_better();
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_provider_that_cannot_be_built_in_the_background_is_told_with_its_reason() {
        let mut network = open(&builds(false), Provider::Auto).unwrap();
        assert_eq!(network.provider(), Provider::Cpu);
        let is_refused = |network: &Network| {
            let mut refused = network.refused().iter();
            refused.any(|refused| *refused == (Provider::TensorRt, "not here".to_owned()))
        };
        assert!(network.expects_better() && !is_refused(&network));
        assert!(network.take_notices().is_empty());
        run_until_settled(&mut network);
        assert!(is_refused(&network));
        let notices = network.take_notices();
        let [notice] = notices.as_slice() else {
            panic!("{notices:?}");
        };
        assert_eq!(notice.severity, Severity::Worse);
        for word in ["fake", "stays on cpu", "tensorrt", "not here"] {
            assert!(notice.text.contains(word), "{notice}");
        }
        // It goes on where it was.
        assert_eq!(checked(&mut network).unwrap(), [0.2, 0.4, 0.6]);
    }

    #[test]
    fn a_flush_does_not_stop_what_is_built_in_the_background() {
        let stream = Canceller::new();
        for works in [true, false] {
            let mut network = open_under(&builds(works), Provider::Auto, &stream).unwrap();
            assert!(network.expects_better());
            // As a seek does: all that is under way is given up, and the stream goes on elsewhere.
            stream.cancel();
            assert!(matches!(checked(&mut network), Err(Error::Cancelled)));
            assert!(!network.adopt_better());
            assert!(matches!(network.await_better(), Err(Error::Cancelled)));
            std::thread::sleep(Duration::from_millis(50));
            stream.reset();
            run_until_settled(&mut network);
            let expected = if works {
                Provider::TensorRt
            } else {
                Provider::Cpu
            };
            assert_eq!(network.provider(), expected);
            assert_eq!(network.take_notices().len(), 1);
        }
    }

    #[test]
    fn waiting_for_another_stream_is_not_computing() {
        let gate = Arc::new(Gate::default());
        let fake = Fake {
            opens: vec![(Provider::Cpu, Duration::ZERO)],
            key: Some("two streams"),
            gate: Some(gate.clone()),
            ..Fake::default()
        };
        let [mut first, mut second] = [(); 2].map(|()| open(&fake, Provider::Cpu).unwrap());
        assert!(first.shares_session_with(&second));
        let held = Duration::from_millis(50);
        std::thread::scope(|scope| {
            scope.spawn(|| checked(&mut first).unwrap());
            while !gate.inside.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            let (begun, waits) = std::sync::mpsc::channel();
            let waiting = scope.spawn(move || {
                let start = Instant::now();
                begun.send(()).unwrap();
                checked(&mut second).unwrap();
                (start.elapsed(), second.run_time())
            });
            waits.recv().unwrap();
            std::thread::sleep(held);
            gate.open.store(true, Ordering::SeqCst);
            // However slow this machine is: the time for which it was held is in the one and not in the other.
            let (all, computed) = waiting.join().unwrap();
            assert!(all - computed >= held, "{all:?}, {computed:?}");
        });
    }
}
