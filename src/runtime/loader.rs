//! Opens a model on one provider: in the best way of getting pictures there that can be had, run once so that it is known to work.

use std::sync::Arc;

use half::f16;

use super::backend::{Backend, LoadedModel};
use super::control::RunControl;
use super::fair_lock::FairLock;
use super::io_mode::IoMode;
use super::port::{Port, describe};
use super::sharing::{self, Build, SessionResult, SharedSession};
use super::tensor::{InputValues, OutputTensor, extract};
use crate::SCALE;
use crate::draw::Transfer;
use crate::error::{Error, Result};
use crate::notice::Notice;
use crate::settings::{Precision, Provider};

/// Sides given to a free height and width in the warm-up run. The first is enough for any detector's strides; the others are for networks
/// that want multiples of other numbers: of 3, 7 and 5.
const WARM_UP_SIDES: [usize; 4] = [64, 96, 112, 120];

/// Runs in which a CUDA graph is captured and shown to work: the runtime warms up, captures and replays.
const GRAPH_RUNS: usize = 3;

/// A session, and what had to be left out to have it.
pub(super) struct OpenedSession {
    pub(super) shared: Arc<SharedSession>,
    /// Where `shared` has a CUDA graph, the same without one, for runs that the graph does not suit.
    pub(super) free: Option<Arc<SharedSession>>,
    /// For the user: why pictures do not get to it and back in the best way.
    pub(super) notice: Option<Notice>,
}

/// What opening on a provider gives, or the reason why the provider cannot serve it.
pub(super) type OpenResult = Result<std::result::Result<OpenedSession, String>>;

/// How a model is opened, kept to open it again on another provider or in another precision.
pub(super) struct Loader {
    backend: Box<dyn Backend>,
    name: String,
    /// The one input that providers which compile are to expect.
    tile: Option<[usize; 4]>,
}

impl Loader {
    /// `name` is what messages call the model; `tile` the one input that providers which compile are to expect.
    pub(super) fn new(backend: Box<dyn Backend>, name: &str, tile: Option<[usize; 4]>) -> Self {
        Self {
            backend,
            name: name.to_owned(),
            tile,
        }
    }

    /// What messages call the model.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The one input that providers which compile are to expect.
    pub(super) fn tile(&self) -> Option<[usize; 4]> {
        self.tile
    }

    /// Whether opening on `provider` may take minutes.
    pub(super) fn is_slow(&self, provider: Provider) -> bool {
        self.backend.is_slow(provider)
    }

    /// Whether the model's own weights are of half precision.
    pub(super) fn is_half(&self) -> bool {
        self.backend.is_half()
    }

    /// What stops the runs of one network.
    pub(super) fn control(&self) -> Result<RunControl> {
        self.backend.control()
    }

    /// The session on `provider`, opened and run once unless it is open already, in the best of the modes of getting pictures there
    /// that are wanted and can be had.
    pub(super) fn attempt(
        &self,
        provider: Provider,
        precision: Precision,
        wanted: impl Fn(&IoMode) -> bool,
        control: &RunControl,
    ) -> OpenResult {
        let modes = self.backend.io_modes(provider).into_iter();
        let (mut missed, mut last) = (None, String::new());
        for mode in modes.filter(wanted) {
            match self.open_mode(provider, precision, &mode, control)? {
                Ok(shared) => {
                    let notice = missed.as_ref().map(|(better, reason): &(IoMode, String)| {
                        Notice::worse(format!(
                            "model {} on {provider} is given {}, not {}: {reason}",
                            self.name,
                            mode.words(),
                            better.words()
                        ))
                    });
                    let mut opened = OpenedSession {
                        shared,
                        free: None,
                        notice,
                    };
                    if mode.graph.is_some() {
                        let free = mode.without_graph();
                        match self.open_mode(provider, precision, &free, control)? {
                            Ok(shared) => opened.free = Some(shared),
                            // It would have to be opened in the middle of a stream.
                            Err(reason) => {
                                last.clone_from(&reason);
                                missed.get_or_insert((mode, reason));
                                continue;
                            }
                        }
                    }
                    return Ok(Ok(opened));
                }
                Err(reason) => {
                    last.clone_from(&reason);
                    missed.get_or_insert((mode, reason));
                }
            }
        }
        Ok(Err(last))
    }

    fn open_mode(
        &self,
        provider: Provider,
        precision: Precision,
        mode: &IoMode,
        control: &RunControl,
    ) -> SessionResult {
        let interrupted = || control.is_interrupted();
        let open = || -> SessionResult {
            let reservation = self
                .backend
                .reserve(provider, precision, mode, &interrupted)?;
            let model = match self.backend.open(provider, precision, mode)? {
                Ok(model) => model,
                Err(reason) => return Ok(Err(reason)),
            };
            let build = match &reservation {
                None if provider == Provider::TensorRt => Build::Compiled,
                None => Build::Nothing,
                Some(reservation) if reservation.was_complete => Build::Kept,
                Some(_) => Build::Compiled,
            };
            let session = self.warm_up(model, provider, precision, mode, build, control)?;
            if session.is_ok()
                && let Some(reservation) = reservation
            {
                reservation.complete();
            }
            Ok(session)
        };
        match self.backend.key(provider, precision, mode) {
            Some(key) => sharing::obtain(&key, interrupted, open),
            None => open(),
        }
    }

    /// Runs once: some providers load their libraries, or compile, in the first run; only then is it known to work.
    fn warm_up(
        &self,
        mut model: Box<dyn LoadedModel>,
        provider: Provider,
        precision: Precision,
        mode: &IoMode,
        build: Build,
        control: &RunControl,
    ) -> SessionResult {
        let (inputs, outputs) = model.ports();
        let (inputs, outputs) = (inputs.to_vec(), outputs.to_vec());
        let (mut ran, mut refused) = (None, None);
        for shape in self.warm_up_shapes(&inputs, provider, mode)? {
            match Self::first_runs(model.as_mut(), inputs.first(), shape, mode, control) {
                Ok(tensors) => {
                    ran = Some((shape, tensors));
                    break;
                }
                Err(_) if control.is_interrupted() => return Err(Error::Cancelled),
                Err(reason) => {
                    refused.get_or_insert(reason);
                }
            }
        }
        let Some((shape_in, tensors)) = ran else {
            return Ok(Err(refused.unwrap_or_default()));
        };
        let run_shapes = if mode.bytes.is_some() {
            let Some(Ok((shape, _))) = tensors.first().map(OutputTensor::bytes) else {
                return Ok(Err("it gives no bytes".to_owned()));
            };
            let [n, height, width, _] = shape_in.map(|side| side as i64);
            let scale = SCALE as i64;
            let expected = [n, height * scale, width * scale, mode.planes() as i64];
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
        let takes_samples = inputs.iter().any(Port::is_bytes);
        // CUDA computes in what the file is made of; the CPU's kernels convert it.
        let precision = match provider {
            Provider::Cuda if self.backend.is_half() => Precision::Fp16,
            _ if mode.bytes.is_none() && takes_samples => Precision::Int8,
            _ => precision,
        };
        Ok(Ok(Arc::new(SharedSession {
            provider,
            precision,
            inputs,
            outputs,
            run_input: shape_in,
            run_shapes,
            build,
            io_mode: *mode,
            transfer: Transfer {
                bytes: takes_samples,
                staging: model.staging(),
                graph: mode.graph.is_some(),
            },
            model: FairLock::new(model),
        })))
    }

    /// Runs on grey of `shape`, as often as `mode` takes to be known to work.
    fn first_runs(
        model: &mut dyn LoadedModel,
        input: Option<&Port>,
        shape: [usize; 4],
        mode: &IoMode,
        control: &RunControl,
    ) -> std::result::Result<Vec<OutputTensor>, String> {
        let count = shape.iter().product();
        let (mut bytes, mut half, mut grey) = (Vec::new(), Vec::new(), Vec::new());
        let values = match input {
            Some(port) if port.is_bytes() => {
                bytes.resize(count, 128);
                InputValues::Bytes(&bytes)
            }
            Some(port) if port.is_half() => {
                half.resize(count, f16::from_f32_const(0.5));
                InputValues::Half(&half)
            }
            _ => {
                grey.resize(count, 0.5);
                InputValues::Single(&grey)
            }
        };
        for _ in 1..if mode.graph.is_some() { GRAPH_RUNS } else { 1 } {
            model.run(shape, values, control)?;
        }
        model.run(shape, values, control)
    }

    /// The declared input with free sides filled in, in the ways that may be tried, the likeliest first.
    fn warm_up_shapes(
        &self,
        inputs: &[Port],
        provider: Provider,
        mode: &IoMode,
    ) -> Result<Vec<[usize; 4]>> {
        if let Some(shape) = mode.graph {
            return Ok(vec![mode.shape(shape)]);
        }
        // Where nothing is compiled for the tile, a run of its size would only delay the first frame.
        let tile = self.tile.filter(|_| provider == Provider::TensorRt);
        let [port] = inputs else {
            return Err(self.wrong_input(inputs));
        };
        let declared = match *port.shape.as_slice() {
            [count, planes, height, width] => [count, planes, height, width],
            // One picture alone, as Mask R-CNN takes it.
            [3, height, width] => [1, 3, height, width],
            _ => return Err(self.wrong_input(inputs)),
        };
        let side = |i: usize, free: usize| usize::try_from(declared[i]).unwrap_or(free);
        if mode.bytes.is_some() {
            // The file was rewritten for it.
            let first = WARM_UP_SIDES[0];
            let [_, _, height, width] = tile.unwrap_or([1, 3, first, first]);
            let planes = mode.planes();
            return Ok(vec![[side(0, 1), side(1, height), side(2, width), planes]]);
        }
        if !(port.is_f32 || port.is_bytes()) {
            return Err(self.wrong_input(inputs));
        }
        let free: Vec<[usize; 3]> = match tile {
            Some([n, _, height, width]) => vec![[n, height, width]],
            None => WARM_UP_SIDES.map(|side| [1, side, side]).to_vec(),
        };
        let is_picture = |planes: i64| matches!(planes, 1 | 3);
        let mut shapes = Vec::new();
        for [n, height, width] in free {
            let n = side(0, n);
            match declared {
                [_, planes, ..] if is_picture(planes) => {
                    shapes.push([n, side(1, 3), side(2, height), side(3, width)]);
                }
                [.., planes] if is_picture(planes) => {
                    shapes.push([n, side(1, height), side(2, width), side(3, 3)]);
                }
                [_, -1, ..] => {
                    shapes.extend([3, 1].map(|planes| [n, planes, side(2, height), side(3, width)]))
                }
                _ => return Err(self.wrong_input(inputs)),
            }
        }
        // Where nothing is free there is one way.
        shapes.dedup();
        Ok(shapes)
    }

    fn wrong_input(&self, inputs: &[Port]) -> Error {
        Error::Contract {
            model: self.name.clone(),
            expected: "one input of f32 or u8 and four sides, [n, 3, height, width], with 1 or 3 planes, or with the planes last; or three, [3, height, width]"
                .to_owned(),
            found: describe(inputs),
        }
    }
}
