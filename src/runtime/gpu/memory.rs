//! Memory for the inputs and outputs of a session that is kept from run to run, and where it lies.
//!
//! Where it lies is a parameter: with ordinary memory everything here runs on the CPU too, and is tested there.

use std::sync::Arc;

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::value::{DynTensor, TensorElementType, ValueType};
use parking_lot::Mutex;

use crate::SCALE;

/// Shapes for which memory is kept. Tiles of one stream have few; what falls out goes back to the runtime's arena.
const KEPT: usize = 8;

/// Where memory lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) enum MemoryPlace {
    /// The host's.
    Ordinary,
    /// The host's, page-locked for the CUDA device of this index.
    Pinned(u32),
    /// The CUDA device's of this index.
    Device(u32),
}

impl MemoryPlace {
    /// The session's allocator for it.
    pub(super) fn allocator(self, session: &Session) -> Result<Allocator, String> {
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
pub(in crate::runtime) struct BufferPlacement {
    /// What the host writes and reads.
    pub(in crate::runtime) host: MemoryPlace,
    /// What the session reads and writes, if that is to have fixed addresses; otherwise the runtime finds it from run to run.
    pub(super) device: Option<MemoryPlace>,
    /// Where results lie on the host.
    pub(super) results: ResultMemory,
}

/// Where results lie on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) enum ResultMemory {
    /// In memory that is kept here and handed to the runtime.
    Kept,
    /// In memory of the same kind that the runtime takes from its own arena, which keeps it. ONNX Runtime 1.31 takes page-locked
    /// memory that it is handed for the device's, and then fails to copy a result onto itself.
    Arena,
}

impl BufferPlacement {
    /// For pictures that the host stages at `host`, and a session that is to find them at fixed addresses at `device`, if any.
    pub(super) fn new(host: MemoryPlace, device: Option<MemoryPlace>) -> Self {
        let results = match host {
            MemoryPlace::Ordinary => ResultMemory::Kept,
            MemoryPlace::Pinned(_) | MemoryPlace::Device(_) => ResultMemory::Arena,
        };
        Self {
            host,
            device,
            results,
        }
    }

    /// What to try, the best first, for a host that would stage at `host`. Ordinary memory serves where page-locked cannot be
    /// had; fixed addresses are on the device all the same: a session copies what is bound elsewhere once, not in each run.
    pub(in crate::runtime) fn candidates(host: MemoryPlace, fixed: bool) -> Vec<Self> {
        let device = fixed.then_some(match host {
            MemoryPlace::Pinned(id) | MemoryPlace::Device(id) => MemoryPlace::Device(id),
            MemoryPlace::Ordinary => MemoryPlace::Ordinary,
        });
        let mut candidates = vec![Self::new(host, device)];
        if host != MemoryPlace::Ordinary {
            candidates.push(Self::new(MemoryPlace::Ordinary, device));
        }
        candidates
    }
}

/// What goes in and comes out of a generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) enum IoLayout {
    /// f32 or f16 `[n, c, h, w]` to `[n, c, 4h, 4w]`.
    Floats,
    /// u8 `[n, h, w, c]` to `[n, 4h, 4w, c]`, and f32 `[n, c, 4h]`.
    Bytes,
}

impl IoLayout {
    /// Shapes of the outputs for an input of `shape`.
    pub(super) fn outputs(self, shape: [usize; 4]) -> Vec<Vec<i64>> {
        let side = |i: usize, factor: usize| (shape[i] * factor) as i64;
        match self {
            Self::Floats => vec![vec![side(0, 1), side(1, 1), side(2, SCALE), side(3, SCALE)]],
            Self::Bytes => vec![
                vec![side(0, 1), side(1, SCALE), side(2, SCALE), side(3, 1)],
                vec![side(0, 1), side(3, 1), side(1, SCALE)],
            ],
        }
    }
}

/// The runtime's words.
pub(in crate::runtime) fn text(e: &ort::Error) -> String {
    e.to_string().trim_end().to_owned()
}

/// Memory for one run of one shape.
pub(super) struct Buffers {
    pub(super) shape: [usize; 4],
    pub(super) input: DynTensor,
    pub(super) outputs: Vec<DynTensor>,
}

/// Memory that holds a result for as long as that is looked at; then it goes back to its pool.
pub(in crate::runtime) struct PooledBuffers {
    buffers: Option<Buffers>,
    pool: Pool,
}

impl Drop for PooledBuffers {
    fn drop(&mut self) {
        if let Some(buffers) = self.buffers.take() {
            self.pool.put(buffers);
        }
    }
}

impl PooledBuffers {
    pub(super) fn new(buffers: Buffers, pool: &Pool) -> Self {
        Self {
            buffers: Some(buffers),
            pool: pool.clone(),
        }
    }

    /// Output `index`.
    pub(in crate::runtime) fn output(&self, index: usize) -> Option<&DynTensor> {
        self.buffers.as_ref()?.outputs.get(index)
    }
}

/// Memory that is in no run and in no result, the longest unused first. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Vec<Buffers>>>);

impl Pool {
    /// Memory for a run of `shape`, if some is there.
    pub(super) fn take(&self, shape: [usize; 4]) -> Option<Buffers> {
        let mut free = self.0.lock();
        let at = free.iter().rposition(|buffers| buffers.shape == shape);
        at.map(|at| free.remove(at))
    }

    /// Gives memory back.
    pub(super) fn put(&self, buffers: Buffers) {
        let mut free = self.0.lock();
        free.push(buffers);
        if free.len() > KEPT {
            free.remove(0);
        }
    }

    /// Gives all of it back to the runtime.
    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }
}

/// Names and element types of a generator's input and outputs, and their shapes.
pub(super) struct IoPorts {
    pub(super) layout: IoLayout,
    pub(super) input: (String, TensorElementType),
    pub(super) outputs: Vec<(String, TensorElementType)>,
}

impl IoPorts {
    /// Those of `session`.
    ///
    /// # Errors
    /// Why they are not a generator's.
    pub(super) fn new(session: &Session, layout: IoLayout) -> Result<Self, String> {
        let port = |outlet: &ort::value::Outlet| match outlet.dtype() {
            ValueType::Tensor { ty, .. } => Ok((outlet.name().to_owned(), *ty)),
            _ => Err(format!("{} is not a tensor", outlet.name())),
        };
        let ports = |outlets: &[ort::value::Outlet]| -> Result<Vec<_>, String> {
            outlets.iter().map(port).collect()
        };
        let [input] =
            <[_; 1]>::try_from(ports(session.inputs())?).map_err(|_| "not one input".to_owned())?;
        Ok(Self {
            layout,
            input,
            outputs: ports(session.outputs())?,
        })
    }

    /// New memory for runs of `shape`, that of the results only if `whole`.
    pub(super) fn allocate(
        &self,
        allocator: &Allocator,
        shape: [usize; 4],
        whole: bool,
    ) -> Result<Buffers, String> {
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
        Ok(Buffers {
            shape,
            input: DynTensor::new(allocator, self.input.1, shape).map_err(|e| text(&e))?,
            outputs: outputs.collect::<ort::Result<_>>().map_err(|e| text(&e))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_addresses_are_on_the_device_wherever_the_host_stages() {
        let places = |host, device, results| BufferPlacement {
            host,
            device,
            results,
        };
        let (pinned, device) = (MemoryPlace::Pinned(2), MemoryPlace::Device(2));
        assert_eq!(
            BufferPlacement::candidates(pinned, true),
            [
                places(pinned, Some(device), ResultMemory::Arena),
                places(MemoryPlace::Ordinary, Some(device), ResultMemory::Kept),
            ]
        );
        assert_eq!(
            BufferPlacement::candidates(pinned, false),
            [
                places(pinned, None, ResultMemory::Arena),
                places(MemoryPlace::Ordinary, None, ResultMemory::Kept),
            ]
        );
        // Without a GPU, in tests.
        let ordinary = MemoryPlace::Ordinary;
        assert_eq!(
            BufferPlacement::candidates(ordinary, true),
            [places(ordinary, Some(ordinary), ResultMemory::Kept)]
        );
    }
}
