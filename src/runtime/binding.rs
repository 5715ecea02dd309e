//! Runs of a generator's session in memory that is kept from run to run: page-locked memory that a device reads and writes by
//! itself, and tensors on the device where a CUDA graph wants them at fixed addresses.
//!
//! Where that memory lies is a parameter: with ordinary memory everything here runs on the CPU too, and is tested there.

use std::sync::{Arc, Mutex, PoisonError};

use half::f16;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, RunOptions, Session};
use ort::value::{DynTensor, DynTensorValueType, TensorElementType, ValueType};

use super::engine::{Tensor, Values};
use crate::SCALE;

/// Shapes for which memory is kept. Tiles of one stream have few; what falls out goes back to the runtime's arena.
const KEPT: usize = 8;

/// Where memory lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The host's.
    Ordinary,
    /// The host's, page-locked for the CUDA device of this index.
    Pinned(u32),
    /// The CUDA device's of this index.
    Device(u32),
}

impl Place {
    /// The session's allocator for it.
    fn allocator(self, session: &Session) -> Result<Allocator, String> {
        let ids = match self {
            Self::Ordinary => vec![0],
            // Page-locked memory belonged to no device before ONNX Runtime 1.23.
            Self::Pinned(id) => vec![id, 0],
            Self::Device(id) => vec![id],
        };
        let (device, kind) = match self {
            Self::Ordinary => (AllocationDevice::CPU, MemoryType::Default),
            Self::Pinned(_) => (AllocationDevice::CUDA_PINNED, MemoryType::CPUOutput),
            Self::Device(_) => (AllocationDevice::CUDA, MemoryType::Default),
        };
        let mut reason = String::new();
        for id in ids {
            let Ok(id) = i32::try_from(id) else { continue };
            let made = MemoryInfo::new(device.clone(), id, AllocatorType::Device, kind)
                .and_then(|info| Allocator::new(session, info));
            match made {
                Ok(allocator) => return Ok(allocator),
                Err(e) => reason = text(&e),
            }
        }
        Err(reason)
    }
}

/// Where a session's pictures are staged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Places {
    /// What the host writes and reads.
    pub(super) host: Place,
    /// What the session reads and writes, if that is to have fixed addresses; otherwise the runtime finds it from run to run.
    pub(super) device: Option<Place>,
    /// Where results lie on the host.
    pub(super) results: Results,
}

/// Where results lie on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Results {
    /// In memory that is kept here and handed to the runtime.
    Kept,
    /// In memory of the same kind that the runtime takes from its own arena, which keeps it. ONNX Runtime 1.31 takes page-locked
    /// memory that it is handed for the device's, and then fails to copy a result onto itself.
    Arena,
}

impl Places {
    /// For pictures that the host stages at `host`, and a session that is to find them at fixed addresses at `device`, if any.
    pub(super) fn new(host: Place, device: Option<Place>) -> Self {
        let results = match host {
            Place::Ordinary => Results::Kept,
            Place::Pinned(_) | Place::Device(_) => Results::Arena,
        };
        Self {
            host,
            device,
            results,
        }
    }

    /// What to try, the best first, for a host that would stage at `host`. Ordinary memory serves where page-locked cannot be
    /// had; fixed addresses are on the device all the same: a session copies what is bound elsewhere once, not in each run.
    pub(super) fn candidates(host: Place, fixed: bool) -> Vec<Self> {
        let device = fixed.then_some(match host {
            Place::Pinned(id) | Place::Device(id) => Place::Device(id),
            Place::Ordinary => Place::Ordinary,
        });
        let mut candidates = vec![Self::new(host, device)];
        if host != Place::Ordinary {
            candidates.push(Self::new(Place::Ordinary, device));
        }
        candidates
    }
}

/// What goes in and comes out of a generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// f32 or f16 `[n, 3, h, w]` to `[n, 3, 4h, 4w]`.
    Floats,
    /// u8 `[n, h, w, 3]` to `[n, 4h, 4w, 3]`, and f32 `[n, 3, 4h]`.
    Bytes,
}

impl Layout {
    /// Shapes of the outputs for an input of `shape`.
    fn outputs(self, shape: [usize; 4]) -> Vec<Vec<i64>> {
        let side = |i: usize, factor: usize| (shape[i] * factor) as i64;
        match self {
            Self::Floats => vec![vec![side(0, 1), 3, side(2, SCALE), side(3, SCALE)]],
            Self::Bytes => vec![
                vec![side(0, 1), side(1, SCALE), side(2, SCALE), 3],
                vec![side(0, 1), 3, side(1, SCALE)],
            ],
        }
    }
}

fn text(e: &ort::Error) -> String {
    e.to_string().trim_end().to_owned()
}

/// Memory for one run of one shape.
struct Staging {
    shape: [usize; 4],
    input: DynTensor,
    outputs: Vec<DynTensor>,
}

/// Memory that holds a result for as long as that is looked at.
pub(super) struct Lent {
    staging: Option<Staging>,
    home: Arc<Mutex<Vec<Staging>>>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut free = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        free.extend(self.staging.take());
        trim(&mut free);
    }
}

fn trim(free: &mut Vec<Staging>) {
    if free.len() > KEPT {
        free.remove(0);
    }
}

impl Lent {
    /// Output `index`.
    pub(super) fn output(&self, index: usize) -> Option<&DynTensor> {
        self.staging.as_ref()?.outputs.get(index)
    }
}

/// A session's inputs and outputs, bound to memory that is kept.
pub(super) struct Binding {
    /// Memory that is in no run and in no result, the longest unused first.
    free: Arc<Mutex<Vec<Staging>>>,
    /// What the session reads and writes, at fixed addresses, and its one shape.
    fixed: Option<Staging>,
    io: IoBinding,
    host: Allocator,
    results: Results,
    layout: Layout,
    input: (String, TensorElementType),
    outputs: Vec<(String, TensorElementType)>,
}

impl Binding {
    /// Binds the one input and the outputs of `session`, which is a generator's. With `places.device`, all runs are of `fixed` in the
    /// order of the session's own input, and a run of fewer pictures is filled up.
    ///
    /// # Errors
    /// Why such memory cannot be had.
    pub(super) fn new(
        session: &Session,
        layout: Layout,
        places: Places,
        fixed: Option<[usize; 4]>,
    ) -> Result<Self, String> {
        let port = |outlet: &ort::value::Outlet| match outlet.dtype() {
            ValueType::Tensor { ty, .. } => Ok((outlet.name().to_owned(), *ty)),
            _ => Err(format!("{} is not a tensor", outlet.name())),
        };
        let inputs: Vec<_> = session
            .inputs()
            .iter()
            .map(port)
            .collect::<Result<_, _>>()?;
        let outputs: Vec<_> = session
            .outputs()
            .iter()
            .map(port)
            .collect::<Result<_, _>>()?;
        let [input] = <[_; 1]>::try_from(inputs).map_err(|_| "not one input".to_owned())?;
        let mut binding = Self {
            free: Arc::default(),
            fixed: None,
            io: session.create_binding().map_err(|e| text(&e))?,
            host: places.host.allocator(session)?,
            results: places.results,
            layout,
            input,
            outputs,
        };
        // Whether the host may write there is seen only in writing.
        let mut probe = DynTensor::new(&binding.host, TensorElementType::Uint8, [1_usize])
            .map_err(|e| text(&e))?;
        probe.try_extract_tensor_mut::<u8>().map_err(|e| text(&e))?;
        if let (Some(place), Some(shape)) = (places.device, fixed) {
            let allocator = place.allocator(session)?;
            let mut staging = binding.staging(&allocator, shape, true)?;
            binding.bind(&mut staging, true)?;
            binding.fixed = Some(staging);
        }
        Ok(binding)
    }

    /// Whether all runs are of one shape, at fixed addresses.
    pub(super) fn is_fixed(&self) -> bool {
        self.fixed.is_some()
    }

    /// Gives back what no run needs now.
    pub(super) fn release(&mut self) {
        self.free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Memory for runs of `shape`, that of the results only if `whole`.
    fn staging(
        &self,
        allocator: &Allocator,
        shape: [usize; 4],
        whole: bool,
    ) -> Result<Staging, String> {
        let shapes = self.layout.outputs(shape);
        if shapes.len() != self.outputs.len() {
            return Err(format!("{} outputs", self.outputs.len()));
        }
        let outputs = self
            .outputs
            .iter()
            .zip(shapes)
            .filter(|_| whole)
            .map(|((_, element), shape)| DynTensor::new(allocator, *element, shape));
        Ok(Staging {
            shape,
            input: DynTensor::new(allocator, self.input.1, shape).map_err(|e| text(&e))?,
            outputs: outputs.collect::<ort::Result<_>>().map_err(|e| text(&e))?,
        })
    }

    /// Has the session read from and, if `whole`, write to `staging`.
    fn bind(&mut self, staging: &mut Staging, whole: bool) -> Result<(), String> {
        // Copies to the device, unless that reads it by itself.
        self.io
            .bind_input(self.input.0.as_str(), &staging.input)
            .map_err(|e| text(&e))?;
        if !whole {
            // Anew for each run, or the result of the one before would be written over.
            for (name, _) in &self.outputs {
                self.io
                    .bind_output_to_device(name.as_str(), self.host.memory_info())
                    .map_err(|e| text(&e))?;
            }
            return Ok(());
        }
        for ((name, _), output) in self.outputs.iter().zip(&mut staging.outputs) {
            self.io
                .bind_output(name.as_str(), output)
                .map_err(|e| text(&e))?;
        }
        Ok(())
    }

    /// Runs `session`, the one that it was made with, on `values` of `shape`, in the order of the session's own input.
    ///
    /// # Errors
    /// The runtime's message.
    pub(super) fn run(
        &mut self,
        session: &mut Session,
        shape: [usize; 4],
        values: Values<'_>,
        options: &RunOptions,
    ) -> Result<Vec<Tensor>, String> {
        let held = match &self.fixed {
            Some(fixed) if fixed.shape[1..] != shape[1..] || fixed.shape[0] < shape[0] => {
                return Err(format!(
                    "tiles of {shape:?} are not of the one shape {:?} that its CUDA graph holds",
                    fixed.shape
                ));
            }
            Some(fixed) => fixed.shape,
            None => shape,
        };
        let known = {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            let at = free.iter().rposition(|staging| staging.shape == held);
            at.map(|at| free.remove(at))
        };
        let kept = self.results == Results::Kept;
        let mut staging = match known {
            Some(staging) => staging,
            None => self.staging(&self.host, held, kept)?,
        };
        fill(&mut staging.input, values)?;
        if let Some(fixed) = &mut self.fixed {
            staging
                .input
                .copy_into(&mut fixed.input)
                .map_err(|e| text(&e))?;
        } else {
            self.bind(&mut staging, kept)?;
        }
        let mut results = session
            .run_binding_with_options(&self.io, options)
            .map_err(|e| text(&e))?;
        self.io.synchronize_outputs().map_err(|e| text(&e))?;
        // Of the pictures that were asked for, not of those that it was filled up with.
        let shapes = self.layout.outputs(shape);
        if !kept {
            let mut parts = Vec::new();
            for (index, shape) in shapes.into_iter().enumerate() {
                let value = match &self.fixed {
                    Some(fixed) => {
                        let info = self.host.memory_info();
                        fixed.outputs[index].to(info.allocation_device(), info.device_id())
                    }
                    None => results
                        .remove(self.outputs[index].0.as_str())
                        .ok_or("a result is missing")?
                        .downcast::<DynTensorValueType>(),
                };
                let value = value.map_err(|e| text(&e))?;
                parts.push(Tensor::Part { value, shape });
            }
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            free.push(staging);
            trim(&mut free);
            return Ok(parts);
        }
        drop(results);
        if let Some(fixed) = &self.fixed {
            for (from, to) in fixed.outputs.iter().zip(&mut staging.outputs) {
                from.copy_into(to).map_err(|e| text(&e))?;
            }
        }
        let lent = Arc::new(Lent {
            staging: Some(staging),
            home: self.free.clone(),
        });
        Ok(shapes
            .into_iter()
            .enumerate()
            .map(|(index, shape)| Tensor::Staged {
                lent: lent.clone(),
                index,
                shape,
            })
            .collect())
    }
}

/// Writes `values` to the start of `tensor`.
fn fill(tensor: &mut DynTensor, values: Values<'_>) -> Result<(), String> {
    fn copy<T: Copy>(
        target: ort::Result<(&ort::value::Shape, &mut [T])>,
        values: &[T],
    ) -> Result<(), String> {
        let (shape, target) = target.map_err(|e| text(&e))?;
        match target.get_mut(..values.len()) {
            Some(target) => {
                target.copy_from_slice(values);
                Ok(())
            }
            None => Err(format!("{} values for {shape:?}", values.len())),
        }
    }
    match values {
        Values::Single(values) => copy(tensor.try_extract_tensor_mut::<f32>(), values),
        Values::Half(values) => copy(tensor.try_extract_tensor_mut::<f16>(), values),
        Values::Bytes(values) => copy(tensor.try_extract_tensor_mut::<u8>(), values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_addresses_are_on_the_device_wherever_the_host_stages() {
        let places = |host, device, results| Places {
            host,
            device,
            results,
        };
        let (pinned, device) = (Place::Pinned(2), Place::Device(2));
        assert_eq!(
            Places::candidates(pinned, true),
            [
                places(pinned, Some(device), Results::Arena),
                places(Place::Ordinary, Some(device), Results::Kept),
            ]
        );
        assert_eq!(
            Places::candidates(pinned, false),
            [
                places(pinned, None, Results::Arena),
                places(Place::Ordinary, None, Results::Kept),
            ]
        );
        // Without a GPU, in tests.
        let ordinary = Place::Ordinary;
        assert_eq!(
            Places::candidates(ordinary, true),
            [places(ordinary, Some(ordinary), Results::Kept)]
        );
    }
}
