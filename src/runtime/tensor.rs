//! What goes into a run of a session and what comes out of it.

use std::sync::Arc;

use half::f16;
use half::slice::HalfFloatSliceExt;
use ort::value::{DynTensor, DynValue, TensorElementType, ValueType};

use super::gpu::memory::PooledBuffers;
use super::message;
use super::port::Port;
use crate::error::{Error, Result};
use crate::find::decode::Output;

/// Values for an input, in what it is made of.
#[derive(Clone, Copy)]
pub(super) enum InputValues<'a> {
    Single(&'a [f32]),
    Half(&'a [f16]),
    Bytes(&'a [u8]),
}

impl InputValues<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Single(values) => values.len(),
            Self::Half(values) => values.len(),
            Self::Bytes(values) => values.len(),
        }
    }
}

/// An output that owns its memory, or has it for as long as it lives.
pub(super) enum OutputTensor {
    Runtime(DynValue),
    /// Output `index` of a run in memory that is kept, of which `shape` is the part that was asked for.
    Staged {
        buffers: Arc<PooledBuffers>,
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

impl OutputTensor {
    /// Shape and values, or `None` after converting 16-bit floats, samples of 8 bits or whole numbers of 64 bits into `converted`; the error says what the element is.
    pub(super) fn read<'a>(
        &'a self,
        converted: &mut Vec<f32>,
    ) -> std::result::Result<(&'a [i64], Option<&'a [f32]>), String> {
        match self {
            Self::Runtime(value)
                if matches!(
                    value.dtype(),
                    ValueType::Tensor {
                        ty: TensorElementType::Uint8,
                        ..
                    }
                ) =>
            {
                let (shape, samples) = self.bytes()?;
                converted.clear();
                reserve(converted, samples.len())?;
                converted.extend(samples.iter().map(|sample| f32::from(*sample)));
                Ok((shape, None))
            }
            Self::Runtime(value)
                if matches!(
                    value.dtype(),
                    ValueType::Tensor {
                        ty: TensorElementType::Int64,
                        ..
                    }
                ) =>
            {
                // Labels of detectors.
                let (shape, values) = value
                    .try_extract_tensor::<i64>()
                    .map_err(|e| e.to_string())?;
                converted.clear();
                converted.extend(values.iter().map(|value| *value as f32));
                Ok((shape, None))
            }
            Self::Runtime(value) => {
                if let ValueType::Tensor {
                    ty: TensorElementType::Float16,
                    ..
                } = value.dtype()
                {
                    let (shape, values) = value
                        .try_extract_tensor::<f16>()
                        .map_err(|e| e.to_string())?;
                    reserve(converted, values.len().saturating_sub(converted.len()))?;
                    converted.resize(values.len(), 0.0);
                    values.convert_to_f32_slice(converted);
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
                    reserve(converted, count.saturating_sub(converted.len()))?;
                    converted.resize(count, 0.0);
                    values.convert_to_f32_slice(converted);
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
            Self::Staged {
                buffers,
                index,
                shape,
            } => Ok((buffers.output(*index).ok_or("nothing")?, shape)),
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

/// Has room for `more` values; the error is one that [`message::error`] takes for what it is.
fn reserve(values: &mut Vec<f32>, more: usize) -> std::result::Result<(), String> {
    let reserved = values.try_reserve(more);
    reserved.map_err(|error| format!("out of memory for {more} values of its output: {error}"))
}

fn count(shape: &[i64]) -> usize {
    shape
        .iter()
        .map(|side| usize::try_from(*side).unwrap_or(0))
        .product()
}

/// The outputs as 32-bit floats; `converted` is memory for those that are not.
pub(super) fn extract<'a>(
    name: &str,
    ports: &'a [Port],
    tensors: &'a [OutputTensor],
    converted: &'a mut Vec<Vec<f32>>,
) -> Result<Vec<Output<'a>>> {
    converted.resize_with(tensors.len(), Vec::new);
    ports
        .iter()
        .zip(tensors)
        .zip(converted)
        .map(|((port, tensor), converted)| {
            let (shape, values) = tensor.read(converted).map_err(|found| {
                match message::error(name, found.clone()) {
                    error @ Error::OutOfMemory { .. } => error,
                    _ => Error::Contract {
                        model: name.to_owned(),
                        expected: format!("output {} of f32", port.name),
                        found,
                    },
                }
            })?;
            Ok(Output {
                name: &port.name,
                shape,
                values: values.unwrap_or(converted),
            })
        })
        .collect()
}
