//! Runs of one shape at fixed addresses, as a CUDA graph wants them: it replays what it captured, with the memory that it captured.
//!
//! Nobody has measured yet what it gains. It is kept small and apart: without this file a session is simply run without a graph.

use ort::session::{IoBinding, Session};
use ort::value::DynTensor;

use super::memory::{Buffers, IoPorts, MemoryPlace, text};

/// What the session reads and writes, at fixed addresses, and its one shape.
pub(super) struct FixedBuffers(Buffers);

impl FixedBuffers {
    /// Memory at `place` for runs of `shape`, in the order of the session's own input, bound to `io` for good.
    ///
    /// # Errors
    /// Why such memory cannot be had.
    pub(super) fn bind(
        session: &Session,
        io: &mut IoBinding,
        ports: &IoPorts,
        place: MemoryPlace,
        shape: [usize; 4],
    ) -> Result<Self, String> {
        let allocator = place.allocator(session)?;
        let mut buffers = ports.allocate(&allocator, shape, true)?;
        io.bind_input(ports.input.0.as_str(), &buffers.input)
            .map_err(|e| text(&e))?;
        for ((name, _), output) in ports.outputs.iter().zip(&mut buffers.outputs) {
            io.bind_output(name.as_str(), output)
                .map_err(|e| text(&e))?;
        }
        Ok(Self(buffers))
    }

    /// The shape in which a run of `shape` is held, which is filled up.
    ///
    /// # Errors
    /// If the graph cannot hold it.
    pub(super) fn shape_for(&self, shape: [usize; 4]) -> Result<[usize; 4], String> {
        let held = self.0.shape;
        if held[1..] == shape[1..] && held[0] >= shape[0] {
            return Ok(held);
        }
        Err(format!(
            "tiles of {shape:?} are not of the one shape {held:?} that its CUDA graph holds"
        ))
    }

    /// Copies what the host wrote to where the session reads.
    pub(super) fn write(&mut self, input: &DynTensor) -> Result<(), String> {
        input.copy_into(&mut self.0.input).map_err(|e| text(&e))
    }

    /// Copies what the session wrote to where the host reads.
    pub(super) fn read(&self, outputs: &mut [DynTensor]) -> Result<(), String> {
        for (from, to) in self.0.outputs.iter().zip(outputs) {
            from.copy_into(to).map_err(|e| text(&e))?;
        }
        Ok(())
    }

    /// Output `index`, where the session wrote it.
    pub(super) fn output(&self, index: usize) -> &DynTensor {
        &self.0.outputs[index]
    }
}

/// Whether a run of `shape` is worth the time of one of `tile`, which a graph holds: the same sides, and more than half as many
/// pictures.
pub(in crate::runtime) fn suits(tile: [usize; 4], shape: [usize; 4]) -> bool {
    tile[1..] == shape[1..] && shape[0] <= tile[0] && 2 * shape[0] > tile[0]
}
