//! One open network: a model on a provider, with the names and shapes that it declares, warmed up and interruptible.

mod run;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use half::f16;

use super::backend::Backend;
use super::choice::{self, SlowProviders};
use super::control::RunControl;
use super::engine::{ModelSource, OrtBackend};
use super::loader::Loader;
use super::port::Port;
use super::purpose::Purpose;
use super::sharing::{Build, SharedSession};
use super::upgrade::Upgrade;
use crate::cancel::{Canceller, Interrupt};
use crate::draw::Transfer;
use crate::error::Result;
use crate::notice::Notice;
use crate::settings::{Config, Precision, Provider};

/// The number of the next network.
static NEXT_CLIENT: AtomicU64 = AtomicU64::new(0);

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
    /// What tells it from others that wait for the session, and when its frame is due, if it has a time.
    client: u64,
    due: Option<Instant>,
    /// Time that the last run took, once it had its turn.
    run_time: Duration,
    upgrade: Option<Upgrade>,
    /// Input and outputs on the way to and from half precision, reused from run to run.
    half: Vec<f16>,
    single: Vec<Vec<f32>>,
    /// The same on the way to eight bits.
    samples: Vec<u8>,
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
            client: NEXT_CLIENT.fetch_add(1, Ordering::Relaxed),
            due: None,
            run_time: Duration::ZERO,
            upgrade: chosen.upgrade,
            half: Vec::new(),
            single: Vec::new(),
            samples: Vec::new(),
        })
    }

    /// Has runs from now on go before those of other streams in the same session that are due later; `None` for a frame that has no time.
    pub fn set_due(&mut self, due: Option<Instant>) {
        self.due = due;
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        self.loader.name()
    }

    /// Where it runs.
    pub fn provider(&self) -> Provider {
        self.shared.provider
    }

    /// What it computes in: [`Precision::Fp32`], [`Precision::Fp16`], or [`Precision::Int8`] of a file that takes 8-bit samples.
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

    /// Shape of the input of the warm-up run.
    pub fn run_input(&self) -> [usize; 4] {
        self.shared.run_input
    }

    /// Whether its file takes and gives samples of 8 bits: [`Network::run_samples`] runs it on them as they are.
    pub fn takes_samples(&self) -> bool {
        !self.takes_bytes()
            && matches!((self.inputs(), self.outputs()), ([input], [output]) if input.is_bytes() && output.is_bytes())
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

    /// The shape, `[n, planes, height, width]`, that its provider compiled it for, where that is one that compiles.
    pub fn compiled_shape(&self) -> Option<[usize; 4]> {
        self.loader
            .tile()
            .filter(|_| self.provider() == Provider::TensorRt)
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
}

#[cfg(test)]
mod tests;
