//! What opens and runs a model: ONNX Runtime behind two small traits, which tests stand in for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use half::f16;
use ort::ep::ExecutionProviderDispatch;
use ort::session::{RunOptions, Session, builder::GraphOptimizationLevel};
use ort::value::{DynTensor, DynValue, TensorElementType, TensorRef, ValueType};

use super::binding::{Binding, Layout, Lent, Place, Places};
use super::cache::{self, CacheKey};
use super::fault;
use super::library;
use super::onnx;
use super::provider::{self, Extras, Profile};
use super::shared::Key;
use crate::cancel::Interrupt;
use crate::draw::Staging;
use crate::error::{Error, Result};
use crate::picture::tensor::{Channels, Encoding};
use crate::settings::{Config, Precision, Provider};

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

    /// Whether the elements are 8-bit numbers without a sign.
    pub(super) fn is_bytes(&self) -> bool {
        self.element == TensorElementType::Uint8.to_string()
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

    #[cfg(test)]
    pub(super) fn options(&self) -> Option<&RunOptions> {
        self.options.as_ref()
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
    Bytes(&'a [u8]),
}

impl Values<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Single(values) => values.len(),
            Self::Half(values) => values.len(),
            Self::Bytes(values) => values.len(),
        }
    }
}

/// An output that owns its memory, or has it for as long as it lives.
pub(super) enum Tensor {
    Runtime(DynValue),
    /// Output `index` of a run in memory that is kept, of which `shape` is the part that was asked for.
    Staged {
        lent: Arc<Lent>,
        index: usize,
        shape: Vec<i64>,
    },
    /// Memory of its own, of which `shape` is the part that was asked for.
    Part {
        value: DynTensor,
        shape: Vec<i64>,
    },
    #[cfg(test)]
    Plain(Vec<i64>, Vec<f32>),
    #[cfg(test)]
    PlainBytes(Vec<i64>, Vec<u8>),
}

/// How pictures get to a network and back.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Way {
    /// As packed bytes, converted where the network runs to values in this encoding; `None` as floats.
    pub(super) bytes: Option<Encoding>,
    /// In runs of this shape, `[n, 3, height, width]`, replayed from a CUDA graph.
    pub(super) graph: Option<[usize; 4]>,
}

impl Way {
    /// For keys: what is compiled for one way does not serve another. Empty for floats without a graph.
    pub(super) fn key(&self) -> String {
        let mut words = Vec::new();
        if let Some(Encoding {
            black,
            white,
            channels,
        }) = self.bytes
        {
            let order = match channels {
                Channels::Rgb => "rgb",
                Channels::Bgr => "bgr",
            };
            words.push(format!("bytes={order}:{black}:{white}"));
        }
        if let Some([n, _, height, width]) = self.graph {
            words.push(format!("graph={n}x{height}x{width}"));
        }
        words.join(" ")
    }

    /// For messages.
    pub(super) fn words(&self) -> &'static str {
        match (self.bytes, self.graph) {
            (Some(_), Some(_)) => "bytes and a CUDA graph",
            (Some(_), None) => "bytes",
            (None, Some(_)) => "a CUDA graph",
            (None, None) => "floats",
        }
    }

    /// The input, as the network takes it, for pictures of `[n, 3, height, width]`.
    pub(super) fn shape(&self, [n, channels, height, width]: [usize; 4]) -> [usize; 4] {
        match self.bytes {
            Some(_) => [n, height, width, channels],
            None => [n, channels, height, width],
        }
    }
}

/// What a network is for, where that decides how it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Purpose {
    /// The one input, `[n, 3, height, width]`, that providers which compile are to expect.
    pub tile: Option<[usize; 4]>,
    /// The network is a generator, whose pictures are in this encoding: a GPU may then be given bytes.
    pub pictures: Option<Encoding>,
    /// Bytes on every provider, and perhaps what a CUDA graph needs: for tests without a GPU.
    pub(crate) forced: Option<Forced>,
}

/// What a test wants done on the CPU as on a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forced {
    /// Runs of one shape at fixed addresses.
    pub(crate) fixed: bool,
}

impl Purpose {
    /// A generator of pictures in `encoding`; `tile` as in [`Purpose::tile`].
    pub fn generator(tile: [usize; 4], encoding: Encoding) -> Self {
        Self {
            tile: Some(tile),
            pictures: Some(encoding),
            forced: None,
        }
    }

    /// The same with bytes on every provider.
    #[cfg(test)]
    pub(crate) fn forced(mut self, fixed: bool) -> Self {
        self.forced = Some(Forced { fixed });
        self
    }
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
            Self::Staged { .. } | Self::Part { .. } => {
                let (output, shape) = self.part()?;
                let count = count(shape);
                if *output.data_type() == TensorElementType::Float16 {
                    let (_, values) = output
                        .try_extract_tensor::<f16>()
                        .map_err(|e| e.to_string())?;
                    let values = values.get(..count).ok_or("too few values")?;
                    converted.resize(count, 0.0);
                    half::slice::HalfFloatSliceExt::convert_to_f32_slice(values, converted);
                    return Ok((shape, None));
                }
                let (_, values) = output
                    .try_extract_tensor::<f32>()
                    .map_err(|e| e.to_string())?;
                Ok((shape, Some(values.get(..count).ok_or("too few values")?)))
            }
            #[cfg(test)]
            Self::Plain(shape, values) => Ok((shape, Some(values))),
            #[cfg(test)]
            Self::PlainBytes(..) => Err("u8".into()),
        }
    }

    /// The runtime's tensor, and the shape of the part of it that was asked for.
    fn part(&self) -> std::result::Result<(&DynTensor, &[i64]), String> {
        match self {
            Self::Staged { lent, index, shape } => {
                Ok((lent.output(*index).ok_or("nothing")?, shape))
            }
            Self::Part { value, shape } => Ok((value, shape)),
            _ => Err("another kind of tensor".to_owned()),
        }
    }

    /// Shape and values of an output of bytes; the error says what the element is.
    pub(super) fn bytes(&self) -> std::result::Result<(&[i64], &[u8]), String> {
        match self {
            Self::Runtime(value) => {
                let (shape, values) = value
                    .try_extract_tensor::<u8>()
                    .map_err(|e| e.to_string())?;
                Ok((shape, values))
            }
            Self::Staged { .. } | Self::Part { .. } => {
                let (output, shape) = self.part()?;
                let (_, values) = output
                    .try_extract_tensor::<u8>()
                    .map_err(|e| e.to_string())?;
                Ok((shape, values.get(..count(shape)).ok_or("too few values")?))
            }
            #[cfg(test)]
            Self::Plain(..) => Err("f32".into()),
            #[cfg(test)]
            Self::PlainBytes(shape, values) => Ok((shape, values)),
        }
    }
}

fn count(shape: &[i64]) -> usize {
    shape
        .iter()
        .map(|side| usize::try_from(*side).unwrap_or(0))
        .product()
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

    /// Where its pictures are staged.
    fn staging(&self) -> Staging {
        Staging::None
    }

    /// What should be told of the last run: memory that was to be kept and could not be had.
    fn take_remark(&mut self) -> Option<String> {
        None
    }
}

/// What opening gives: a loaded model, or the reason why the provider cannot have it.
pub(super) type Opened = Result<std::result::Result<Box<dyn Engine>, String>>;

/// Opens one model on any provider.
pub(super) trait Opener: Send + Sync {
    /// What stops the runs of one network.
    fn switch(&self) -> Result<Switch>;

    /// How its pictures may get to it and back on `provider`: the best first, floats without a graph last.
    fn ways(&self, _provider: Provider) -> Vec<Way> {
        vec![Way::default()]
    }

    /// Loads it. `precision` is what to compute in and never `Auto`.
    fn open(&self, provider: Provider, precision: Precision, way: &Way) -> Opened;

    /// Whether the model's own weights are of half precision.
    fn is_half(&self) -> bool;

    /// The key under which the session is shared, if it is.
    fn key(&self, provider: Provider, precision: Precision, way: &Way) -> Option<Key>;

    /// Whether opening may take minutes, because something must be compiled first.
    fn is_slow(&self, provider: Provider) -> bool;

    /// Waits for other processes that compile the same, then keeps others from doing so until the guard is done with; `None`
    /// where nothing is kept.
    fn reserve(
        &self,
        provider: Provider,
        precision: Precision,
        way: &Way,
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
    pub(super) purpose: Purpose,
}

/// File that TensorRT may leave beside its engine and that opens faster than the model.
const CONTEXT_FILE: &str = "context.onnx";
/// What may help where page-locked memory cannot be had.
const PAGE_LOCKED_HINT: &str = if cfg!(feature = "page-locked") {
    ""
} else {
    "; with ONNX Runtime 1.23 and later it takes a build with the feature `page-locked`"
};
/// Minor version of ONNX Runtime 1 from which TensorRT can be told where to write that file.
const CONTEXT_SINCE: u32 = 18;

/// What to open.
enum What<'a> {
    File(&'a Path),
    Bytes(&'a [u8]),
}

impl RuntimeOpener {
    fn profile(&self, way: &Way) -> Profile {
        Profile::new(self.purpose.tile, way)
    }

    /// The folder for what `provider` compiles, if it keeps anything.
    fn cache(&self, provider: Provider, precision: Precision, way: &Way) -> Option<PathBuf> {
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
                device: cache::device(),
                runtime: self.version.clone(),
                compiler: match provider {
                    Provider::TensorRt => cache::tensorrt_version(),
                    _ => String::new(),
                },
                shape: self.profile(way).most,
                options: provider::fixed_options(provider, &self.config, precision, way),
            },
        )
    }

    /// Whether the provider's libraries are there: registering it loads them.
    fn loads(&self, provider: Provider) -> bool {
        let (way, extras) = (Way::default(), Extras::default());
        let profile = self.profile(&way);
        provider::is_in_library(provider)
            && provider::registrations(provider, &self.config, Precision::Fp32, &profile, &extras)
                .is_ok_and(|providers| {
                    Session::builder(&self.environment)
                        .is_ok_and(|builder| builder.with_execution_providers(providers).is_ok())
                })
    }

    fn what(&self) -> What<'_> {
        match &self.source {
            Source::File(path) => What::File(path),
            Source::Bytes(bytes) => What::Bytes(bytes),
        }
    }

    fn commit(
        &self,
        what: &What<'_>,
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
            What::File(path) => builder.commit_from_file(path),
            What::Bytes(bytes) => builder.commit_from_memory(bytes),
        }
        .map_err(|e| e.to_string().trim_end().to_owned())
    }

    /// The session, out of what was compiled before if that may be.
    fn session(
        &self,
        provider: Provider,
        precision: Precision,
        way: &Way,
        what: &What<'_>,
    ) -> std::result::Result<Session, String> {
        let mut profile = self.profile(way);
        let mut names = None;
        if provider == Provider::TensorRt && provider::is_in_library(provider) {
            // The names of inputs of free sides are part of the profile: read without optimising, in a few milliseconds.
            let none = Extras::default();
            let cpu = Provider::Cpu;
            let cpu = provider::registrations(cpu, &self.config, Precision::Fp32, &profile, &none)?;
            let looked = self.commit(what, cpu, GraphOptimizationLevel::Disable)?;
            profile.inputs = looked.inputs().iter().map(port).collect();
            names = Some(names_of(&looked));
        }
        let cache = self.cache(provider, precision, way);
        let context = cache
            .as_ref()
            .filter(|_| provider == Provider::TensorRt && keeps_context(&self.version))
            .map(|folder| folder.join(CONTEXT_FILE));
        let open = |what: &What<'_>, dump: Option<PathBuf>| {
            let extras = Extras {
                graph: way.graph.is_some() && provider != Provider::Cpu,
                cache: cache.clone(),
                context: dump,
            };
            provider::registrations(provider, &self.config, precision, &profile, &extras)
                .and_then(|providers| self.commit(what, providers, GraphOptimizationLevel::All))
        };
        if let (Some(folder), Some(file)) = (&cache, &context)
            && cache::is_complete(folder)
        {
            match from_context(file, names.as_ref(), |file| open(&What::File(file), None)) {
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

type Names = (Vec<String>, Vec<String>);

fn names_of(session: &Session) -> Names {
    let names =
        |outlets: &[ort::value::Outlet]| outlets.iter().map(|o| o.name().to_owned()).collect();
    (names(session.inputs()), names(session.outputs()))
}

/// Whether this version of the library can be told where to keep TensorRT's context file.
fn keeps_context(version: &str) -> bool {
    version
        .split('.')
        .nth(1)
        .and_then(|minor| minor.parse().ok())
        .is_some_and(|minor: u32| minor >= CONTEXT_SINCE)
}

/// The session that `open` makes of the context file `file`: `None` without one. One that does not open, or is of another
/// network than one with `names`, is removed, so that it is written anew.
fn from_context(
    file: &Path,
    names: Option<&Names>,
    open: impl FnOnce(&Path) -> std::result::Result<Session, String>,
) -> Option<std::result::Result<Session, String>> {
    let bytes = std::fs::read(file).ok()?;
    let opened = if onnx::is_context(&bytes) {
        open(file)
    } else {
        Err("it is damaged".to_owned())
    };
    let opened = opened.and_then(|session| match names {
        Some(names) if *names != names_of(&session) => Err("it is of another network".to_owned()),
        _ => Ok(session),
    });
    if opened.is_err() {
        let _ = std::fs::remove_file(file);
    }
    Some(opened)
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

    fn ways(&self, provider: Provider) -> Vec<Way> {
        let is_gpu = matches!(provider, Provider::Cuda | Provider::TensorRt)
            && provider::is_in_library(provider);
        ways(provider, is_gpu, &self.purpose, &self.config)
    }

    fn open(&self, provider: Provider, precision: Precision, way: &Way) -> Opened {
        if precision == Precision::Fp16
            && let Some(reason) = provider::no_half(provider)
            && !(provider == Provider::Cuda && self.is_half())
        {
            return Ok(Err(reason));
        }
        let rewritten = match (way.bytes, &self.source) {
            (None, _) => None,
            (Some(encoding), Source::Bytes(bytes)) => Some(onnx::byte_graph(bytes, encoding)),
            (Some(encoding), Source::File(path)) => Some(
                std::fs::read(path)
                    .map_err(|e| e.to_string())
                    .and_then(|bytes| onnx::byte_graph(&bytes, encoding)),
            ),
        };
        let what = match &rewritten {
            None => self.what(),
            Some(Ok(bytes)) => What::Bytes(bytes),
            Some(Err(reason)) => return Ok(Err(reason.clone())),
        };
        let session = match self.session(provider, precision, way, &what) {
            Ok(session) => session,
            Err(reason) => return Ok(Err(reason)),
        };
        let ports = |outlets: &[ort::value::Outlet]| outlets.iter().map(port).collect::<Vec<_>>();
        let mut engine = RuntimeEngine {
            inputs: ports(session.inputs()),
            outputs: ports(session.outputs()),
            binding: None,
            staging: Staging::None,
            remark: None,
            name: self.name.clone(),
            session,
        };
        let wanted = match provider {
            Provider::Cuda | Provider::TensorRt => Some(Place::Pinned(self.config.device_id)),
            _ if self.purpose.forced.is_some() => Some(Place::Ordinary),
            _ => None,
        };
        // Of no other network is it known what comes out.
        if let (Some(host), Some(_)) = (wanted, self.purpose.pictures)
            && let Err(reason) = engine.bind(host, way)
        {
            if way.graph.is_some() {
                return Ok(Err(reason));
            }
            engine.remark = Some(reason);
        }
        Ok(Ok(Box::new(engine)))
    }

    fn key(&self, provider: Provider, precision: Precision, way: &Way) -> Option<Key> {
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
            tile: self.purpose.tile.filter(|_| provider == Provider::TensorRt),
            way: match self.purpose.forced {
                None => way.key(),
                Some(_) => format!("forced {}", way.key()),
            },
            cache_dir: self.config.cache_dir.clone().filter(|_| compiles),
        })
    }

    fn is_slow(&self, provider: Provider) -> bool {
        let precision = provider.precision(self.config.precision);
        provider == Provider::TensorRt
            && self.loads(provider)
            && !self.ways(provider).first().is_some_and(|way| {
                self.cache(provider, precision, way)
                    .is_some_and(|folder| cache::is_complete(&folder))
            })
    }

    fn reserve(
        &self,
        provider: Provider,
        precision: Precision,
        way: &Way,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Option<cache::Reservation>> {
        if provider != Provider::TensorRt {
            return Ok(None);
        }
        match self.cache(provider, precision, way) {
            Some(folder) => cache::Reservation::wait(&folder, interrupted),
            None => Ok(None),
        }
    }
}

/// How pictures may get to a network for `purpose` on `provider`, the best first.
fn ways(provider: Provider, is_gpu: bool, purpose: &Purpose, config: &Config) -> Vec<Way> {
    let floats = Way::default();
    let (Some(encoding), true) = (purpose.pictures, is_gpu || purpose.forced.is_some()) else {
        return vec![floats];
    };
    let bytes = Way {
        bytes: Some(encoding),
        graph: None,
    };
    // TensorRT's tiles all have one size; CUDA's have if that is asked for.
    let is_static = match purpose.forced {
        Some(forced) => forced.fixed,
        None => provider == Provider::TensorRt || config.tile_size != 0,
    };
    let graph = purpose.tile.filter(|_| is_static);
    let best = graph.is_some().then_some(Way { graph, ..bytes });
    best.into_iter().chain([bytes, floats]).collect()
}

struct RuntimeEngine {
    /// Before the session that it belongs to.
    binding: Option<Binding>,
    session: Session,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    staging: Staging,
    remark: Option<String>,
    name: String,
}

impl RuntimeEngine {
    /// Keeps inputs and outputs in memory at `host`, or in ordinary memory if that cannot be had, which is logged.
    fn bind(&mut self, host: Place, way: &Way) -> std::result::Result<(), String> {
        let layout = match way.bytes {
            Some(_) => Layout::Bytes,
            None => Layout::Floats,
        };
        let fixed = way.graph.map(|shape| way.shape(shape));
        let mut missed: Option<String> = None;
        for places in Places::candidates(host, fixed.is_some()) {
            match Binding::new(&self.session, layout, places, fixed) {
                Ok(binding) => {
                    self.staging = match places.host {
                        Place::Ordinary => Staging::Ordinary,
                        Place::Pinned(_) | Place::Device(_) => Staging::Pinned,
                    };
                    self.binding = Some(binding);
                    if let Some(reason) = missed {
                        let text = format!(
                            "model {}: pictures are staged in ordinary memory, page-locked memory cannot be had: {reason}{PAGE_LOCKED_HINT}",
                            self.name
                        );
                        library::log(library::LogLevel::Warning, "srfusion", &text);
                    }
                    return Ok(());
                }
                Err(reason) => {
                    missed.get_or_insert(reason);
                }
            }
        }
        Err(missed.unwrap_or_default())
    }

    fn run_plain(
        &mut self,
        shape: [usize; 4],
        values: Values<'_>,
        options: &RunOptions,
    ) -> std::result::Result<Vec<Tensor>, String> {
        // Borrowed: no copy is made. Outputs come out of the runtime's arena, which has them from the run before; giving it
        // memory of ours instead took as long (457 and 465 ms, plain 461 ms, for 480x320).
        let input = match values {
            Values::Single(values) => {
                TensorRef::from_array_view((shape, values)).map(TensorRef::into_dyn)
            }
            Values::Half(values) => {
                TensorRef::from_array_view((shape, values)).map(TensorRef::into_dyn)
            }
            Values::Bytes(values) => {
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
        let Some(binding) = &mut self.binding else {
            return self.run_plain(shape, values, options);
        };
        let message = match binding.run(&mut self.session, shape, values, options) {
            Ok(tensors) => return Ok(tensors),
            Err(message) => message,
        };
        if matches!(fault::error("", message.clone()), Error::OutOfMemory { .. }) {
            binding.release();
            return Err(message);
        }
        // A graph replays what it captured, whatever else it is asked.
        if binding.is_fixed() || switch.is_interrupted() {
            return Err(message);
        }
        let tensors = self.run_plain(shape, values, options)?;
        (self.binding, self.staging) = (None, Staging::None);
        self.remark = Some(message);
        Ok(tensors)
    }

    fn staging(&self) -> Staging {
        self.staging
    }

    fn take_remark(&mut self) -> Option<String> {
        self.remark.take()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_for_generators_on_a_gpu_and_graphs_where_shapes_are_static() {
        let encoding = Encoding::default();
        let generator = Purpose::generator([4, 3, 64, 64], encoding);
        let other = Purpose {
            pictures: None,
            ..generator
        };
        let tiled = Config {
            tile_size: 64,
            ..Config::default()
        };
        let floats = Way::default();
        let bytes = Way {
            bytes: Some(encoding),
            graph: None,
        };
        let graph = Way {
            graph: generator.tile,
            ..bytes
        };
        let free = Config::default();
        for (provider, is_gpu, purpose, config, expected) in [
            (Provider::Cpu, false, &generator, &free, vec![floats]),
            (Provider::OpenVino, false, &generator, &tiled, vec![floats]),
            (Provider::Cuda, false, &generator, &free, vec![floats]),
            (Provider::Cuda, true, &generator, &free, vec![bytes, floats]),
            (
                Provider::Cuda,
                true,
                &generator,
                &tiled,
                vec![graph, bytes, floats],
            ),
            (
                Provider::TensorRt,
                true,
                &generator,
                &free,
                vec![graph, bytes, floats],
            ),
            (Provider::TensorRt, true, &other, &free, vec![floats]),
        ] {
            assert_eq!(
                ways(provider, is_gpu, purpose, config),
                expected,
                "{provider}"
            );
        }
    }

    #[test]
    fn a_context_file_that_does_not_serve_is_removed() {
        let folder = std::env::temp_dir().join(format!("srfusion-context-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(CONTEXT_FILE);
        let never = |_: &Path| -> std::result::Result<Session, String> { panic!("opened") };
        assert!(from_context(&file, None, never).is_none());
        std::fs::write(&file, b"half a file").unwrap();
        let reason = from_context(&file, None, never).unwrap().err().unwrap();
        assert!(reason.contains("damaged") && !file.exists(), "{reason}");
        // A graph of one EPContext node.
        let whole = b"\x3a\x0d\x0a\x0b\x22\x09EPContext";
        std::fs::write(&file, whole).unwrap();
        let refuse = |_: &Path| Err("another device".to_owned());
        let reason = from_context(&file, None, refuse).unwrap().err().unwrap();
        assert!(reason == "another device" && !file.exists(), "{reason}");
        // One that opens is kept if it is of this network.
        if let Ok(environment) = library::environment(None) {
            let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny/bicubic-x4.onnx");
            let session = |_: &Path| {
                let mut builder = Session::builder(&environment).unwrap();
                Ok(builder.commit_from_file(&model).unwrap())
            };
            let names = |result: &str| (vec!["input".to_owned()], vec![result.to_owned()]);
            std::fs::write(&file, whole).unwrap();
            let opened = from_context(&file, Some(&names("output")), session).unwrap();
            assert!(opened.is_ok() && file.exists());
            let other = names("other");
            let reason = from_context(&file, Some(&other), session).unwrap();
            assert!(reason.is_err_and(|reason| reason.contains("another network")));
            assert!(!file.exists());
        } else {
            eprintln!("skipped in part: no ONNX Runtime");
        }
        std::fs::remove_dir_all(folder).unwrap();

        assert!(keeps_context("1.18") && keeps_context("1.32"));
        assert!(!keeps_context("1.17") && !keeps_context("1"));
    }
}
