//! One open network: a model on a provider, with the names and shapes that it declares, warmed up and interruptible.

use std::path::Path;
use std::sync::Arc;

use ndarray::ArrayView4;
use ort::session::{RunOptions, Session, builder::GraphOptimizationLevel};
use ort::value::{TensorElementType, TensorRef, ValueType};

use super::library;
use super::provider::{self, CacheKey, Provider};
use crate::cancel::{Canceller, Interrupt};
use crate::config::Config;
use crate::detect::Output;
use crate::error::{Error, Result};

/// An input or output as the model declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Name.
    pub name: String,
    /// Element type as the runtime names it, for instance `f32`; `not a tensor` otherwise.
    pub element: String,
    /// Whether the elements are 32-bit floats.
    pub is_f32: bool,
    /// Sides, outermost first; -1 where free.
    pub shape: Vec<i64>,
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

struct Switch(RunOptions);

impl Interrupt for Switch {
    fn set_interrupted(&self, interrupted: bool) {
        // Both calls only set a flag in the options; there is nothing to be done should the runtime refuse.
        let _ = if interrupted {
            self.0.terminate()
        } else {
            self.0.unterminate()
        };
    }
}

/// A model that is ready to run.
pub struct Network {
    name: String,
    session: Session,
    switch: Arc<Switch>,
    provider: Provider,
    refused: Vec<(Provider, String)>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    /// Outputs as they came out of the warm-up run: files often declare fewer sides than are fixed.
    run_shapes: Vec<(String, Vec<i64>)>,
}

enum Source<'a> {
    File(&'a Path),
    Bytes(&'a [u8]),
}

/// Side given to a free height or width in the warm-up run: enough for any detector's strides.
const WARM_UP_SIDE: usize = 64;

impl Network {
    /// Opens the model at `path` on the first provider of `config` that opens it and runs it once.
    ///
    /// `name` is what messages call it, `sha256` (of the file, in hexadecimal) keys the providers' caches.
    ///
    /// # Errors
    /// [`Error::Runtime`] without a library, [`Error::Contract`] if its input is not one f32 tensor of four sides,
    /// [`Error::Provider`] with each provider's reason, [`Error::Cancelled`].
    pub fn open(
        path: &Path,
        name: &str,
        sha256: &str,
        config: &Config,
        cancel: &Canceller,
    ) -> Result<Self> {
        Self::open_source(&Source::File(path), name, sha256, config, cancel)
    }

    pub(super) fn open_bytes(bytes: &[u8], name: &str, config: &Config) -> Result<Self> {
        Self::open_source(&Source::Bytes(bytes), name, "", config, &Canceller::new())
    }

    fn open_source(
        source: &Source<'_>,
        name: &str,
        sha256: &str,
        config: &Config,
        cancel: &Canceller,
    ) -> Result<Self> {
        let environment = library::environment(config.runtime_library.as_deref())?;
        let runtime = library::load(None)?.version;
        let mut refused: Vec<(Provider, String)> = Vec::new();
        for provider in config.provider.candidates() {
            cancel.check()?;
            let attempt = || -> Result<Result<Self, String>> {
                let key = CacheKey {
                    sha256: sha256.to_owned(),
                    precision: config.precision,
                    device_id: config.device_id,
                    runtime: runtime.clone(),
                    shape: [1, 3, WARM_UP_SIDE, WARM_UP_SIDE],
                };
                let registration = match provider::registration(provider, config, &key) {
                    Ok(registration) => registration,
                    Err(reason) => return Ok(Err(reason)),
                };
                let session = match commit(&environment, registration, source, name, config) {
                    Ok(session) => session,
                    Err(reason) => return Ok(Err(reason)),
                };
                let ports =
                    |outlets: &[ort::value::Outlet]| outlets.iter().map(port).collect::<Vec<_>>();
                let switch = RunOptions::new().map_err(|e| Error::Runtime(e.to_string()))?;
                let mut network = Self {
                    name: name.to_owned(),
                    inputs: ports(session.inputs()),
                    outputs: ports(session.outputs()),
                    session,
                    switch: Arc::new(Switch(switch)),
                    provider,
                    refused: Vec::new(),
                    run_shapes: Vec::new(),
                };
                cancel.attach(&(network.switch.clone() as Arc<dyn Interrupt>));
                let shape = network.warm_up_shape()?;
                // Some providers load their libraries, or compile, in the first run: only then is it known to work.
                let shapes = |outputs: &[Output<'_>]| {
                    Ok(outputs
                        .iter()
                        .map(|output| (output.name.to_owned(), output.shape.to_vec()))
                        .collect())
                };
                match network.run(shape, &vec![0.5; shape.iter().product()], shapes) {
                    Ok(shapes) => {
                        network.run_shapes = shapes;
                        Ok(Ok(network))
                    }
                    Err(Error::Inference { message, .. }) => {
                        cancel.check()?;
                        Ok(Err(message))
                    }
                    Err(other) => Err(other),
                }
            };
            match attempt()? {
                Ok(mut network) => {
                    network.refused = refused;
                    return Ok(network);
                }
                Err(reason) => refused.push((provider, reason)),
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
        &self.name
    }

    /// Where it runs.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Providers tried before, each with the reason why it was not taken.
    pub fn refused(&self) -> &[(Provider, String)] {
        &self.refused
    }

    /// Declared inputs.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// Declared outputs.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// Names and shapes of the outputs of the warm-up run.
    pub fn run_shapes(&self) -> &[(String, Vec<i64>)] {
        &self.run_shapes
    }

    fn contract(&self, expected: &str, found: String) -> Error {
        Error::Contract {
            model: self.name.clone(),
            expected: expected.to_owned(),
            found,
        }
    }

    /// The declared input with free sides filled in.
    fn warm_up_shape(&self) -> Result<[usize; 4]> {
        let expected = "one input of f32 and four sides [n, 3, height, width]";
        match self.inputs.as_slice() {
            [
                Port {
                    is_f32: true,
                    shape,
                    ..
                },
            ] if shape.len() == 4 && matches!(shape[1], 3 | -1) => {
                let side = |i: usize, free: usize| usize::try_from(shape[i]).unwrap_or(free);
                Ok([side(0, 1), 3, side(2, WARM_UP_SIDE), side(3, WARM_UP_SIDE)])
            }
            inputs => Err(self.contract(expected, describe(inputs))),
        }
    }

    /// Runs the network on `values`, f32 of `shape` `[n, channels, height, width]`, and hands its f32 outputs to `take`.
    ///
    /// # Errors
    /// [`Error::Inference`] with the runtime's message, [`Error::Contract`] for outputs that are not f32,
    /// [`Error::Cancelled`] if interrupted, and whatever `take` returns.
    pub fn run<T>(
        &mut self,
        shape: [usize; 4],
        values: &[f32],
        take: impl FnOnce(&[Output<'_>]) -> Result<T>,
    ) -> Result<T> {
        let inference = |message: String| Error::Inference {
            model: self.name.clone(),
            message,
        };
        let view = ArrayView4::from_shape(shape, values)
            .map_err(|e| inference(format!("input {shape:?}: {e}")))?;
        let tensor = TensorRef::from_array_view(view).map_err(|e| inference(e.to_string()))?;
        let outputs = match self
            .session
            .run_with_options(ort::inputs![tensor], &self.switch.0)
        {
            Ok(outputs) => outputs,
            Err(e) if e.message().contains("terminate flag") => return Err(Error::Cancelled),
            Err(e) => return Err(inference(e.to_string())),
        };
        let values: Vec<_> = outputs.iter().collect();
        let mut extracted = Vec::with_capacity(values.len());
        for (name, value) in &values {
            let (shape, values) =
                value
                    .try_extract_tensor::<f32>()
                    .map_err(|e| Error::Contract {
                        model: self.name.clone(),
                        expected: format!("output {name} of f32"),
                        found: e.to_string(),
                    })?;
            extracted.push(Output {
                name,
                shape,
                values,
            });
        }
        take(&extracted)
    }
}

/// Opens the session; the error is the runtime's reason.
fn commit(
    environment: &ort::environment::Environment,
    registration: ort::ep::ExecutionProviderDispatch,
    source: &Source<'_>,
    name: &str,
    config: &Config,
) -> Result<Session, String> {
    let threads = match config.threads {
        // Containers are often given part of a machine, which this honours and the runtime's own count does not.
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let text = |e: ort::Error<ort::session::builder::SessionBuilder>| e.to_string();
    let mut builder = Session::builder(environment)
        .map_err(|e| e.to_string())?
        .with_execution_providers([registration])
        .map_err(text)?
        .with_optimization_level(GraphOptimizationLevel::All)
        .map_err(text)?
        // Tiles and face regions change size from frame to frame; patterns are made for one size.
        .with_memory_pattern(false)
        .map_err(text)?
        .with_intra_threads(threads)
        .map_err(text)?
        // Idle threads leave the cores to the decoder and the encoder.
        .with_intra_op_spinning(false)
        .map_err(text)?
        .with_log_id(format!("srfusion/{name}"))
        .map_err(text)?;
    match source {
        Source::File(path) => builder.commit_from_file(path),
        Source::Bytes(bytes) => builder.commit_from_memory(bytes),
    }
    .map_err(|e| e.to_string())
}

fn port(outlet: &ort::value::Outlet) -> Port {
    let (element, is_f32, shape) = match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => (
            ty.to_string(),
            *ty == TensorElementType::Float32,
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
