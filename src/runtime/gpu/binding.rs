//! Runs of a generator's session in memory that is kept from run to run: page-locked memory that a device reads and writes by
//! itself, and tensors on the device where a CUDA graph wants them at fixed addresses.

use std::sync::Arc;

use half::f16;
use ort::memory::Allocator;
use ort::session::{IoBinding, RunOptions, Session};
use ort::value::{DynTensor, DynTensorValueType, TensorElementType};

use super::graph::FixedBuffers;
use super::memory::{
    BufferPlacement, Buffers, IoLayout, IoPorts, Pool, PooledBuffers, ResultMemory, text,
};
use crate::runtime::tensor::{InputValues, OutputTensor};

/// A session's inputs and outputs, bound to memory that is kept.
pub(in crate::runtime) struct Binding {
    pool: Pool,
    /// What the session reads and writes, if that is at fixed addresses.
    fixed: Option<FixedBuffers>,
    io: IoBinding,
    host: Allocator,
    results: ResultMemory,
    ports: IoPorts,
}

impl Binding {
    /// Binds the one input and the outputs of `session`, which is a generator's. With `placement.device`, all runs are of `fixed` in
    /// the order of the session's own input, and a run of fewer pictures is filled up.
    ///
    /// # Errors
    /// Why such memory cannot be had.
    pub(in crate::runtime) fn new(
        session: &Session,
        layout: IoLayout,
        placement: BufferPlacement,
        fixed: Option<[usize; 4]>,
    ) -> Result<Self, String> {
        let mut binding = Self {
            pool: Pool::default(),
            fixed: None,
            ports: IoPorts::new(session, layout)?,
            io: session.create_binding().map_err(|e| text(&e))?,
            host: placement.host.allocator(session)?,
            results: placement.results,
        };
        // Whether the host may write there is seen only in writing.
        let mut probe = DynTensor::new(&binding.host, TensorElementType::Uint8, [1_usize])
            .map_err(|e| text(&e))?;
        probe.try_extract_tensor_mut::<u8>().map_err(|e| text(&e))?;
        if let (Some(place), Some(shape)) = (placement.device, fixed) {
            let (io, ports) = (&mut binding.io, &binding.ports);
            binding.fixed = Some(FixedBuffers::bind(session, io, ports, place, shape)?);
        }
        Ok(binding)
    }

    /// Whether all runs are of one shape, at fixed addresses.
    pub(in crate::runtime) fn is_fixed(&self) -> bool {
        self.fixed.is_some()
    }

    /// Gives back what no run needs now.
    pub(in crate::runtime) fn release(&mut self) {
        self.pool.clear();
    }

    /// Has the session read from and, if results are kept, write to `buffers`.
    fn bind(&mut self, buffers: &mut Buffers) -> Result<(), String> {
        // Copies to the device, unless that reads it by itself.
        self.io
            .bind_input(self.ports.input.0.as_str(), &buffers.input)
            .map_err(|e| text(&e))?;
        if self.results == ResultMemory::Arena {
            // Anew for each run, or the result of the one before would be written over.
            for (name, _) in &self.ports.outputs {
                self.io
                    .bind_output_to_device(name.as_str(), self.host.memory_info())
                    .map_err(|e| text(&e))?;
            }
            return Ok(());
        }
        for ((name, _), output) in self.ports.outputs.iter().zip(&mut buffers.outputs) {
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
    pub(in crate::runtime) fn run(
        &mut self,
        session: &mut Session,
        shape: [usize; 4],
        values: InputValues<'_>,
        options: &RunOptions,
    ) -> Result<Vec<OutputTensor>, String> {
        let held = match &self.fixed {
            Some(fixed) => fixed.shape_for(shape)?,
            None => shape,
        };
        let kept = self.results == ResultMemory::Kept;
        let mut buffers = match self.pool.take(held) {
            Some(buffers) => buffers,
            None => self.ports.allocate(&self.host, held, kept)?,
        };
        fill(&mut buffers.input, values)?;
        match &mut self.fixed {
            Some(fixed) => fixed.write(&buffers.input)?,
            None => self.bind(&mut buffers)?,
        }
        let mut results = session
            .run_binding_with_options(&self.io, options)
            .map_err(|e| text(&e))?;
        self.io.synchronize_outputs().map_err(|e| text(&e))?;
        // Of the pictures that were asked for, not of those that it was filled up with.
        let shapes = self.ports.layout.outputs(shape).into_iter().enumerate();
        if !kept {
            let mut parts = Vec::new();
            for (index, shape) in shapes {
                let value = match &self.fixed {
                    Some(fixed) => {
                        let info = self.host.memory_info();
                        let output = fixed.output(index);
                        output.to(info.allocation_device(), info.device_id())
                    }
                    None => results
                        .remove(self.ports.outputs[index].0.as_str())
                        .ok_or("a result is missing")?
                        .downcast::<DynTensorValueType>(),
                };
                let value = value.map_err(|e| text(&e))?;
                parts.push(OutputTensor::Part { value, shape });
            }
            self.pool.put(buffers);
            return Ok(parts);
        }
        drop(results);
        if let Some(fixed) = &self.fixed {
            fixed.read(&mut buffers.outputs)?;
        }
        let buffers = Arc::new(PooledBuffers::new(buffers, &self.pool));
        let staged = |(index, shape)| OutputTensor::Staged {
            buffers: buffers.clone(),
            index,
            shape,
        };
        Ok(shapes.map(staged).collect())
    }
}

/// Writes `values` to the start of `tensor`.
fn fill(tensor: &mut DynTensor, values: InputValues<'_>) -> Result<(), String> {
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
        InputValues::Single(values) => copy(tensor.try_extract_tensor_mut::<f32>(), values),
        InputValues::Half(values) => copy(tensor.try_extract_tensor_mut::<f16>(), values),
        InputValues::Bytes(values) => copy(tensor.try_extract_tensor_mut::<u8>(), values),
    }
}
