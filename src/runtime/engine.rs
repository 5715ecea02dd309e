//! Opens models with ONNX Runtime.

use std::path::{Path, PathBuf};

use ort::ep::ExecutionProviderDispatch;
use ort::session::{Session, builder::GraphOptimizationLevel};

use super::backend::{Backend, LoadResult};
use super::cache::{self, CacheKey, Reservation};
use super::control::RunControl;
use super::gpu::memory::MemoryPlace;
use super::io_mode::IoMode;
use super::library;
use super::model::{OrtModel, port};
use super::onnx;
use super::provider::context::{CONTEXT_FILE, from_context, keeps_context, names_of};
use super::provider::{self, ProviderExtras, ShapeProfile};
use super::purpose::Purpose;
use super::session_key::SessionKey;
use crate::bounded;
use crate::error::{Error, Result};
use crate::settings::{Config, Precision, Provider};

/// Where a model's bytes are.
#[derive(Debug, Clone)]
pub(super) enum ModelSource {
    File(PathBuf),
    Bytes(&'static [u8]),
}

/// Opens a model with ONNX Runtime.
pub(super) struct OrtBackend {
    environment: ort::environment::Environment,
    /// Version of the library.
    version: String,
    source: ModelSource,
    name: String,
    sha256: String,
    config: Config,
    purpose: Purpose,
}

/// What the runtime is given to open.
enum ModelData<'a> {
    File(&'a Path),
    Bytes(&'a [u8]),
}

/// The content of a model's file.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    bounded::read(path, bounded::MODEL_BYTES)
}

impl OrtBackend {
    /// For the model in `source`; loads the library.
    ///
    /// # Errors
    /// [`Error::Runtime`] without a library, [`Error::Corrupt`] if the file is no ONNX file, or has weights elsewhere than beside it.
    pub(super) fn new(
        source: ModelSource,
        name: &str,
        sha256: &str,
        purpose: Purpose,
        config: &Config,
    ) -> Result<Self> {
        let environment = library::environment(config.runtime_library.as_deref())?;
        if let ModelSource::File(path) = &source
            // A file that cannot be read is for the runtime to complain about.
            && let Ok(bytes) = read(path)
        {
            onnx::check_external(&bytes, path).map_err(|found| Error::Corrupt {
                path: path.clone(),
                expected: "an ONNX file with its weights in itself or in files beside it"
                    .to_owned(),
                found,
            })?;
        }
        Ok(Self {
            environment,
            version: library::load(None)?.version,
            source,
            name: name.to_owned(),
            sha256: sha256.to_owned(),
            config: config.clone(),
            purpose: purpose.with_tile_size(config),
        })
    }

    /// The one input that providers which compile are to expect.
    pub(super) fn tile(&self) -> Option<[usize; 4]> {
        self.purpose.tile
    }

    fn profile(&self, mode: &IoMode) -> ShapeProfile {
        ShapeProfile::new(self.purpose.tile, mode)
    }

    /// The folder for what `provider` compiles, if it keeps anything.
    fn cache(&self, provider: Provider, precision: Precision, mode: &IoMode) -> Option<PathBuf> {
        // Nothing is made on disk for a provider that cannot be had.
        if !self.loads(provider) {
            return None;
        }
        cache::folder(
            provider,
            &self.config,
            &CacheKey {
                sha256: self.sha256.clone(),
                precision,
                device_id: self.config.device_id,
                device: provider::device_names(),
                runtime: self.version.clone(),
                compiler: match provider {
                    Provider::TensorRt => provider::tensorrt_version(),
                    _ => String::new(),
                },
                shape: self.profile(mode).most,
                options: provider::cache_options(provider, &self.config, precision, mode),
            },
        )
    }

    /// Whether the provider's libraries are there: registering it loads them.
    fn loads(&self, provider: Provider) -> bool {
        let (mode, extras) = (IoMode::default(), ProviderExtras::default());
        let profile = self.profile(&mode);
        provider::is_in_library(provider)
            && provider::registrations(provider, &self.config, Precision::Fp32, &profile, &extras)
                .is_ok_and(|providers| {
                    Session::builder(&self.environment)
                        .is_ok_and(|builder| builder.with_execution_providers(providers).is_ok())
                })
    }

    fn what(&self) -> ModelData<'_> {
        match &self.source {
            ModelSource::File(path) => ModelData::File(path),
            ModelSource::Bytes(bytes) => ModelData::Bytes(bytes),
        }
    }

    fn commit(
        &self,
        what: &ModelData<'_>,
        providers: Vec<ExecutionProviderDispatch>,
        level: GraphOptimizationLevel,
    ) -> std::result::Result<Session, String> {
        let text = |e: ort::Error<ort::session::builder::SessionBuilder>| {
            e.to_string().trim_end().to_owned()
        };
        let builder = Session::builder(&self.environment).map_err(|e| e.to_string())?;
        // With the interface of that version the runtime would choose a device by itself where none is named.
        #[cfg(feature = "page-locked")]
        let builder = builder
            .with_auto_device(ort::session::builder::AutoDevicePolicy::PreferCPU)
            .map_err(text)?;
        let mut builder = builder
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
        match what {
            ModelData::File(path) => builder.commit_from_file(path),
            ModelData::Bytes(bytes) => builder.commit_from_memory(bytes),
        }
        .map_err(|e| e.to_string().trim_end().to_owned())
    }

    /// The session, out of what was compiled before if that may be.
    fn session(
        &self,
        provider: Provider,
        precision: Precision,
        mode: &IoMode,
        what: &ModelData<'_>,
    ) -> std::result::Result<Session, String> {
        let mut profile = self.profile(mode);
        let mut names = None;
        if provider == Provider::TensorRt && provider::is_in_library(provider) {
            // The names of inputs of free sides are part of the profile: read without optimising, in a few milliseconds.
            let none = ProviderExtras::default();
            let cpu = Provider::Cpu;
            let cpu = provider::registrations(cpu, &self.config, Precision::Fp32, &profile, &none)?;
            let looked = self.commit(what, cpu, GraphOptimizationLevel::Disable)?;
            profile.inputs = looked.inputs().iter().map(port).collect();
            names = Some(names_of(&looked));
        }
        let cache = self.cache(provider, precision, mode);
        let context = cache
            .as_ref()
            .filter(|_| provider == Provider::TensorRt && keeps_context(&self.version))
            .map(|folder| folder.join(CONTEXT_FILE));
        let open = |what: &ModelData<'_>, dump: Option<PathBuf>| {
            let extras = ProviderExtras {
                graph: mode.graph.is_some() && provider != Provider::Cpu,
                cache: cache.clone(),
                context: dump,
            };
            provider::registrations(provider, &self.config, precision, &profile, &extras)
                .and_then(|providers| self.commit(what, providers, GraphOptimizationLevel::All))
        };
        if let (Some(folder), Some(file)) = (&cache, &context)
            && cache::is_complete(folder)
        {
            match from_context(file, names.as_ref(), |file| {
                open(&ModelData::File(file), None)
            }) {
                Some(Ok(session)) => return Ok(session),
                Some(Err(reason)) => {
                    let text = format!(
                        "{} is not used, {} is opened instead: {reason}",
                        file.display(),
                        self.name
                    );
                    library::log(library::LogLevel::Warning, "srfusion", &text);
                }
                None => {}
            }
        }
        open(what, context)
    }
}

impl Backend for OrtBackend {
    fn control(&self) -> Result<RunControl> {
        RunControl::new()
    }

    fn is_half(&self) -> bool {
        match &self.source {
            // A file that cannot be read is for the runtime to complain about.
            ModelSource::File(path) => read(path).is_ok_and(|bytes| onnx::has_half(&bytes)),
            ModelSource::Bytes(bytes) => onnx::has_half(bytes),
        }
    }

    fn io_modes(&self, provider: Provider) -> Vec<IoMode> {
        let is_gpu = matches!(provider, Provider::Cuda | Provider::TensorRt)
            && provider::is_in_library(provider);
        self.purpose.io_modes(provider, is_gpu, &self.config)
    }

    fn open(&self, provider: Provider, precision: Precision, mode: &IoMode) -> LoadResult {
        if precision == Precision::Fp16
            && let Some(reason) = provider::no_half(provider)
            && !(provider == Provider::Cuda && self.is_half())
        {
            return Ok(Err(reason));
        }
        let rewritten = match (mode.bytes, &self.source) {
            (None, _) => None,
            (Some(encoding), ModelSource::Bytes(bytes)) => Some(onnx::byte_graph(bytes, encoding)),
            (Some(encoding), ModelSource::File(path)) => Some(
                read(path)
                    .map_err(|e| e.to_string())
                    .and_then(|bytes| onnx::byte_graph(&bytes, encoding)),
            ),
        };
        let what = match &rewritten {
            None => self.what(),
            Some(Ok(bytes)) => ModelData::Bytes(bytes),
            Some(Err(reason)) => return Ok(Err(reason.clone())),
        };
        let session = match self.session(provider, precision, mode, &what) {
            Ok(session) => session,
            Err(reason) => return Ok(Err(reason)),
        };
        let wanted = match provider {
            Provider::Cuda | Provider::TensorRt => Some(MemoryPlace::Pinned(self.config.device_id)),
            _ if self.purpose.forced.is_some() => Some(MemoryPlace::Ordinary),
            _ => None,
        };
        // Of no other network is it known what comes out.
        let host = wanted.filter(|_| self.purpose.pictures.is_some());
        Ok(match OrtModel::new(session, &self.name, host, mode) {
            Ok(model) => Ok(Box::new(model)),
            Err(reason) => Err(reason),
        })
    }

    fn key(&self, provider: Provider, precision: Precision, mode: &IoMode) -> Option<SessionKey> {
        let ModelSource::File(path) = &self.source else {
            return None;
        };
        Some(SessionKey::new(
            &self.sha256,
            path.canonicalize().unwrap_or_else(|_| path.clone()),
            provider,
            precision,
            mode,
            &self.purpose,
            &self.config,
        ))
    }

    fn is_slow(&self, provider: Provider) -> bool {
        let precision = provider.precision(self.config.precision);
        provider == Provider::TensorRt
            && self.loads(provider)
            && !self.io_modes(provider).first().is_some_and(|mode| {
                self.cache(provider, precision, mode)
                    .is_some_and(|folder| cache::is_complete(&folder))
            })
    }

    fn reserve(
        &self,
        provider: Provider,
        precision: Precision,
        mode: &IoMode,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Option<Reservation>> {
        if provider != Provider::TensorRt {
            return Ok(None);
        }
        match self.cache(provider, precision, mode) {
            Some(folder) => Reservation::wait(&folder, interrupted),
            None => Ok(None),
        }
    }
}
