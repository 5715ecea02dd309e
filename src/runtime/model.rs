//! A model in a session of ONNX Runtime, with its inputs and outputs.

use ort::session::{RunOptions, Session};
use ort::value::{TensorElementType, TensorRef, ValueType};

use super::backend::LoadedModel;
use super::control::RunControl;
use super::gpu::binding::Binding;
use super::gpu::memory::{BufferPlacement, IoLayout, MemoryPlace};
use super::io_mode::IoMode;
use super::library;
use super::message;
use super::port::Port;
use super::tensor::{InputValues, OutputTensor};
use crate::draw::Staging;
use crate::error::Error;

/// What may help where page-locked memory cannot be had.
const PAGE_LOCKED_HINT: &str = if cfg!(feature = "page-locked") {
    ""
} else {
    "; with ONNX Runtime 1.23 and later it takes a build with the feature `page-locked`"
};

/// A model in a session of ONNX Runtime.
pub(super) struct OrtModel {
    /// Before the session that it belongs to.
    binding: Option<Binding>,
    session: Session,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    staging: Staging,
    remark: Option<String>,
    name: String,
}

impl OrtModel {
    /// The model in `session`, called `name`. Where `host` is given, its pictures are staged there.
    ///
    /// # Errors
    /// Why a CUDA graph that `mode` wants cannot be had.
    pub(super) fn new(
        session: Session,
        name: &str,
        host: Option<MemoryPlace>,
        mode: &IoMode,
    ) -> std::result::Result<Self, String> {
        let ports = |outlets: &[ort::value::Outlet]| outlets.iter().map(port).collect::<Vec<_>>();
        let mut model = Self {
            inputs: ports(session.inputs()),
            outputs: ports(session.outputs()),
            binding: None,
            staging: Staging::None,
            remark: None,
            name: name.to_owned(),
            session,
        };
        if let Some(host) = host
            && let Err(reason) = model.bind(host, mode)
        {
            if mode.graph.is_some() {
                return Err(reason);
            }
            model.remark = Some(reason);
        }
        Ok(model)
    }

    /// Keeps inputs and outputs in memory at `host`, or in ordinary memory if that cannot be had, which is logged.
    fn bind(&mut self, host: MemoryPlace, mode: &IoMode) -> std::result::Result<(), String> {
        let layout = match mode.bytes {
            Some(_) => IoLayout::Bytes,
            None => IoLayout::Floats,
        };
        let fixed = mode.graph.map(|shape| mode.shape(shape));
        let mut missed: Option<String> = None;
        for places in BufferPlacement::candidates(host, fixed.is_some()) {
            match Binding::new(&self.session, layout, places, fixed) {
                Ok(binding) => {
                    self.staging = match places.host {
                        MemoryPlace::Ordinary => Staging::Ordinary,
                        MemoryPlace::Pinned(_) | MemoryPlace::Device(_) => Staging::Pinned,
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
        values: InputValues<'_>,
        options: &RunOptions,
    ) -> std::result::Result<Vec<OutputTensor>, String> {
        // Borrowed: no copy is made. Outputs come out of the runtime's arena, which has them from the run before; giving it
        // memory of ours instead took as long (457 and 465 ms, plain 461 ms, for 480x320).
        let sides = match self.inputs.first() {
            // It takes one picture, and no number of them.
            Some(port) if port.shape.len() == 3 && shape[0] == 1 => &shape[1..],
            _ => &shape[..],
        };
        let sides = sides.to_vec();
        let input = match values {
            InputValues::Single(values) => {
                TensorRef::from_array_view((sides, values)).map(TensorRef::into_dyn)
            }
            InputValues::Half(values) => {
                TensorRef::from_array_view((sides, values)).map(TensorRef::into_dyn)
            }
            InputValues::Bytes(values) => {
                TensorRef::from_array_view((sides, values)).map(TensorRef::into_dyn)
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
            .map(OutputTensor::Runtime)
            .collect())
    }
}

impl LoadedModel for OrtModel {
    fn ports(&self) -> (&[Port], &[Port]) {
        (&self.inputs, &self.outputs)
    }

    fn run(
        &mut self,
        shape: [usize; 4],
        values: InputValues<'_>,
        control: &RunControl,
    ) -> std::result::Result<Vec<OutputTensor>, String> {
        let Some(options) = control.options() else {
            return Err("no options to run with".into());
        };
        let Some(binding) = &mut self.binding else {
            return self.run_plain(shape, values, options);
        };
        let message = match binding.run(&mut self.session, shape, values, options) {
            Ok(tensors) => return Ok(tensors),
            Err(message) => message,
        };
        if matches!(
            message::error("", message.clone()),
            Error::OutOfMemory { .. }
        ) {
            binding.release();
            return Err(message);
        }
        // A graph replays what it captured, whatever else it is asked.
        if binding.is_fixed() || control.is_interrupted() {
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

/// An input or output as the session declares it.
pub(super) fn port(outlet: &ort::value::Outlet) -> Port {
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
