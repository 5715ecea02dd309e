//! What opens and runs a model: ONNX Runtime behind two small traits, which tests stand in for.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use half::f16;
use ort::ep::ExecutionProviderDispatch;
use ort::session::{RunOptions, Session, builder::GraphOptimizationLevel};
use ort::value::{DynValue, TensorElementType, TensorRef, ValueType};

use super::cache::{self, CacheKey};
use super::library;
use super::onnx;
use super::provider::{self, Profile, Provider};
use super::shared::Key;
use crate::cancel::Interrupt;
use crate::config::{Config, Precision};
use crate::error::{Error, Result};

/// An input or output as the model declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Name.
    pub name: String,
    /// Element type as the runtime names it, for instance `f32`; `not a tensor` otherwise.
    pub element: String,
    /// Whether a network takes and gives it as 32-bit floats: it has those, or 16-bit floats, which are converted on the way.
    pub is_f32: bool,
    /// Sides, outermost first; -1 where free.
    pub shape: Vec<i64>,
}

impl Port {
    /// Whether the elements are 16-bit floats.
    pub(super) fn is_half(&self) -> bool {
        self.is_f32 && self.element == TensorElementType::Float16.to_string()
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sides: Vec<_> = self
            .shape
            .iter()
            .map(|d| if *d < 0 { "?".into() } else { d.to_string() })
            .collect();
        write!(f, "{} {}[{}]", self.name, self.element, sides.join(", "))
    }
}

/// Lists ports for messages.
pub fn describe(ports: &[Port]) -> String {
    match ports {
        [] => "none".into(),
        ports => ports
            .iter()
            .map(Port::to_string)
            .collect::<Vec<_>>()
            .join("; "),
    }
}

/// Stops the runs of one network and of no other.
pub(super) struct Switch {
    /// `None` in tests without the library.
    options: Option<RunOptions>,
    interrupted: AtomicBool,
}

impl Switch {
    pub(super) fn new() -> Result<Self> {
        let options = RunOptions::new().map_err(|e| Error::Runtime(e.to_string()))?;
        Ok(Self {
            options: Some(options),
            interrupted: AtomicBool::new(false),
        })
    }

    #[cfg(test)]
    pub(super) fn without_library() -> Self {
        Self {
            options: None,
            interrupted: AtomicBool::new(false),
        }
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }
}

impl Interrupt for Switch {
    fn set_interrupted(&self, interrupted: bool) {
        self.interrupted.store(interrupted, Ordering::SeqCst);
        // Both calls only set a flag in the options; there is nothing to be done should the runtime refuse.
        let _ = self.options.as_ref().map(|options| {
            if interrupted {
                options.terminate()
            } else {
                options.unterminate()
            }
        });
    }
}

/// Values for an input, in what it is made of.
#[derive(Clone, Copy)]
pub(super) enum Values<'a> {
    Single(&'a [f32]),
    Half(&'a [f16]),
}

/// An output that owns its memory.
pub(super) enum Tensor {
    Runtime(DynValue),
    #[cfg(test)]
    Plain(Vec<i64>, Vec<f32>),
}

impl Tensor {
    /// Shape and values, or `None` after converting 16-bit values into `converted`; the error says what the element is.
    pub(super) fn read<'a>(
        &'a self,
        converted: &mut Vec<f32>,
    ) -> std::result::Result<(&'a [i64], Option<&'a [f32]>), String> {
        match self {
            Self::Runtime(value) => {
                if let ValueType::Tensor {
                    ty: TensorElementType::Float16,
                    ..
                } = value.dtype()
                {
                    let (shape, values) = value
                        .try_extract_tensor::<f16>()
                        .map_err(|e| e.to_string())?;
                    converted.resize(values.len(), 0.0);
                    half::slice::HalfFloatSliceExt::convert_to_f32_slice(values, converted);
                    return Ok((shape, None));
                }
                let (shape, values) = value
                    .try_extract_tensor::<f32>()
                    .map_err(|e| e.to_string())?;
                Ok((shape, Some(values)))
            }
            #[cfg(test)]
            Self::Plain(shape, values) => Ok((shape, Some(values))),
        }
    }
}

/// A model that is loaded.
pub(super) trait Engine: Send {
    /// Declared inputs and outputs.
    fn ports(&self) -> (&[Port], &[Port]);

    /// Runs once; the error is the runtime's message.
    fn run(
        &mut self,
        shape: [usize; 4],
        values: Values<'_>,
        switch: &Switch,
    ) -> std::result::Result<Vec<Tensor>, String>;
}

/// What opening gives: a loaded model, or the reason why the provider cannot have it.
pub(super) type Opened = Result<std::result::Result<Box<dyn Engine>, String>>;

/// Opens one model on any provider.
pub(super) trait Opener: Send + Sync {
    /// What stops the runs of one network.
    fn switch(&self) -> Result<Switch>;

    /// Loads it. `precision` is what to compute in and never `Auto`.
    fn open(&self, provider: Provider, precision: Precision) -> Opened;

    /// Whether the model's own weights are of half precision.
    fn is_half(&self) -> bool;

    /// The key under which the session is shared, if it is.
    fn key(&self, provider: Provider, precision: Precision) -> Option<Key>;

    /// Whether opening may take minutes, because something must be compiled first.
    fn is_slow(&self, provider: Provider) -> bool;

    /// Waits for other processes that compile the same, then keeps others from doing so until the guard is done with; `None`
    /// where nothing is kept.
    fn reserve(
        &self,
        provider: Provider,
        precision: Precision,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Option<cache::Reservation>>;
}

/// Where a model's bytes are.
#[derive(Debug, Clone)]
pub(super) enum Source {
    File(PathBuf),
    Bytes(&'static [u8]),
}

/// Opens a model with ONNX Runtime.
pub(super) struct RuntimeOpener {
    pub(super) environment: ort::environment::Environment,
    /// Version of the library.
    pub(super) version: String,
    pub(super) source: Source,
    pub(super) name: String,
    pub(super) sha256: String,
    pub(super) config: Config,
    /// The one input that providers which compile are to compile for.
    pub(super) tile: Option<[usize; 4]>,
}

impl RuntimeOpener {
    /// The folder for what `provider` compiles, if it keeps anything.
    fn cache(&self, provider: Provider, precision: Precision) -> Option<PathBuf> {
        // Nothing is made on disk for a provider that cannot be had.
        if !self.loads(provider) {
            return None;
        }
        let profile = Profile::new(self.tile);
        cache::folder(
            provider,
            &self.config,
            &CacheKey {
                sha256: self.sha256.clone(),
                precision,
                device_id: self.config.device_id,
                device: cache::device(),
                runtime: self.version.clone(),
                compiler: match provider {
                    Provider::TensorRt => cache::tensorrt_version(),
                    _ => String::new(),
                },
                shape: profile.most,
                options: provider::fixed_options(provider, &self.config, precision),
            },
        )
    }

    /// Whether the provider's libraries are there: registering it loads them.
    fn loads(&self, provider: Provider) -> bool {
        let profile = Profile::new(self.tile);
        provider::is_in_library(provider)
            && provider::registrations(provider, &self.config, Precision::Fp32, None, &profile)
                .is_ok_and(|providers| {
                    Session::builder(&self.environment)
                        .is_ok_and(|builder| builder.with_execution_providers(providers).is_ok())
                })
    }

    fn commit(
        &self,
        providers: Vec<ExecutionProviderDispatch>,
        level: GraphOptimizationLevel,
    ) -> std::result::Result<Session, String> {
        let text = |e: ort::Error<ort::session::builder::SessionBuilder>| {
            e.to_string().trim_end().to_owned()
        };
        let mut builder = Session::builder(&self.environment)
            .map_err(|e| e.to_string())?
            .with_execution_providers(providers)
            .map_err(text)?
            .with_optimization_level(level)
            .map_err(text)?
            // Tiles and face regions change size from frame to frame; patterns are made for one size, and took 90 MB more.
            .with_memory_pattern(false)
            .map_err(text)?
            .with_log_id(format!("srfusion/{}", self.name))
            .map_err(text)?;
        if self.config.threads != 0 {
            // The pool that all sessions share has all cores, and its size is fixed when the library is loaded.
            builder = builder
                .with_independent_thread_pool()
                .map_err(text)?
                .with_intra_threads(self.config.threads)
                .map_err(text)?
                // Idle threads leave the cores to the decoder and the encoder.
                .with_intra_op_spinning(false)
                .map_err(text)?;
        }
        match &self.source {
            Source::File(path) => builder.commit_from_file(path),
            Source::Bytes(bytes) => builder.commit_from_memory(bytes),
        }
        .map_err(|e| e.to_string().trim_end().to_owned())
    }
}

impl Opener for RuntimeOpener {
    fn switch(&self) -> Result<Switch> {
        Switch::new()
    }

    fn is_half(&self) -> bool {
        match &self.source {
            // A file that cannot be read is for the runtime to complain about.
            Source::File(path) => std::fs::read(path).is_ok_and(|bytes| onnx::has_half(&bytes)),
            Source::Bytes(bytes) => onnx::has_half(bytes),
        }
    }

    fn open(&self, provider: Provider, precision: Precision) -> Opened {
        if precision == Precision::Fp16
            && let Some(reason) = provider::no_half(provider)
            && !(provider == Provider::Cuda && self.is_half())
        {
            return Ok(Err(reason));
        }
        let mut profile = Profile::new(self.tile);
        if provider == Provider::TensorRt && provider::is_in_library(provider) {
            // The names of inputs of free sides are part of the profile: read without optimising, in a few milliseconds.
            let cpu = provider::registrations(
                Provider::Cpu,
                &self.config,
                Precision::Fp32,
                None,
                &profile,
            );
            let looked = cpu.and_then(|cpu| self.commit(cpu, GraphOptimizationLevel::Disable));
            match looked {
                Ok(session) => profile.inputs = session.inputs().iter().map(port).collect(),
                Err(reason) => return Ok(Err(reason)),
            }
        }
        let cache = self.cache(provider, precision);
        let registered = provider::registrations(
            provider,
            &self.config,
            precision,
            cache.as_deref(),
            &profile,
        );
        let session =
            registered.and_then(|providers| self.commit(providers, GraphOptimizationLevel::All));
        let session = match session {
            Ok(session) => session,
            Err(reason) => return Ok(Err(reason)),
        };
        let ports = |outlets: &[ort::value::Outlet]| outlets.iter().map(port).collect::<Vec<_>>();
        let engine = RuntimeEngine {
            inputs: ports(session.inputs()),
            outputs: ports(session.outputs()),
            session,
        };
        Ok(Ok(Box::new(engine)))
    }

    fn key(&self, provider: Provider, precision: Precision) -> Option<Key> {
        let Source::File(path) = &self.source else {
            return None;
        };
        let compiles = matches!(provider, Provider::TensorRt | Provider::OpenVino);
        Some(Key {
            sha256: self.sha256.clone(),
            path: path.canonicalize().unwrap_or_else(|_| path.clone()),
            provider,
            device_id: match provider {
                Provider::Cpu | Provider::OpenVino => 0,
                _ => self.config.device_id,
            },
            precision,
            threads: self.config.threads,
            tile: self.tile.filter(|_| provider == Provider::TensorRt),
            cache_dir: self.config.cache_dir.clone().filter(|_| compiles),
        })
    }

    fn is_slow(&self, provider: Provider) -> bool {
        let precision = provider.precision(self.config.precision);
        provider == Provider::TensorRt
            && self.loads(provider)
            && !self
                .cache(provider, precision)
                .is_some_and(|folder| cache::is_complete(&folder))
    }

    fn reserve(
        &self,
        provider: Provider,
        precision: Precision,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Option<cache::Reservation>> {
        if provider != Provider::TensorRt {
            return Ok(None);
        }
        match self.cache(provider, precision) {
            Some(folder) => cache::Reservation::wait(&folder, interrupted),
            None => Ok(None),
        }
    }
}

struct RuntimeEngine {
    session: Session,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl Engine for RuntimeEngine {
    fn ports(&self) -> (&[Port], &[Port]) {
        (&self.inputs, &self.outputs)
    }

    fn run(
        &mut self,
        shape: [usize; 4],
        values: Values<'_>,
        switch: &Switch,
    ) -> std::result::Result<Vec<Tensor>, String> {
        let Some(options) = &switch.options else {
            return Err("no options to run with".into());
        };
        // Borrowed: no copy is made. Outputs come out of the runtime's arena, which has them from the run before; giving it
        // memory of ours instead took as long (457 and 465 ms, plain 461 ms, for 480x320).
        let input = match values {
            Values::Single(values) => {
                TensorRef::from_array_view((shape, values)).map(TensorRef::into_dyn)
            }
            Values::Half(values) => {
                TensorRef::from_array_view((shape, values)).map(TensorRef::into_dyn)
            }
        }
        .map_err(|e| format!("input {shape:?}: {e}"))?;
        let mut outputs = self
            .session
            .run_with_options(ort::inputs![input], options)
            .map_err(|e| e.to_string())?;
        Ok(self
            .outputs
            .iter()
            .filter_map(|port| outputs.remove(&port.name))
            .map(Tensor::Runtime)
            .collect())
    }
}

fn port(outlet: &ort::value::Outlet) -> Port {
    let (element, is_f32, shape) = match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => (
            ty.to_string(),
            matches!(ty, TensorElementType::Float32 | TensorElementType::Float16),
            shape.to_vec(),
        ),
        _ => ("not a tensor".into(), false, Vec::new()),
    };
    Port {
        name: outlet.name().to_owned(),
        element,
        is_f32,
        shape,
    }
}

/// The environment and version of the library, for an opener.
pub(super) fn runtime(config: &Config) -> Result<(ort::environment::Environment, String)> {
    let environment = library::environment(config.runtime_library.as_deref())?;
    Ok((environment, library::load(None)?.version))
}
