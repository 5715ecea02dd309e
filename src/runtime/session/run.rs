//! Runs of an open network: values in and out, results judged, half precision mended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::Network;
use crate::SCALE;
use crate::error::{Error, Result};
use crate::find::decode::Output;
use crate::memory;
use crate::notice::Notice;
use crate::picture::{Encoding, Size};
use crate::runtime::fair_lock::Turn;
use crate::runtime::gpu::graph;
use crate::runtime::io_mode::IoMode;
use crate::runtime::message;
use crate::runtime::port::Port;
use crate::runtime::precision::{self, Defect};
use crate::runtime::sharing::SharedSession;
use crate::runtime::tensor::{InputValues, OutputTensor, extract};
use crate::settings::{Precision, Provider};

/// How long a run may take that is of no frame with a time of its own: live streams go before it, and it before the next of theirs.
const UNHURRIED: Duration = Duration::from_secs(1);

impl Network {
    /// Runs the network on `values`, floats of `shape` `[n, channels, height, width]` or whatever its input is declared as, and hands
    /// its outputs to `take`, as 32-bit floats. Where the file takes samples of 8 bits, values are rounded to the nearest of 0 to 255.
    ///
    /// # Errors
    /// [`Error::Inference`] with the runtime's message, [`Error::OutOfMemory`], [`Error::Contract`] for outputs that are not
    /// floats, [`Error::Cancelled`] if interrupted, and whatever `take` returns.
    pub fn run<T>(
        &mut self,
        shape: [usize; 4],
        values: &[f32],
        take: impl FnOnce(&[Output<'_>]) -> Result<T>,
    ) -> Result<T> {
        let shared = self.for_floats()?;
        let tensors = self.infer_floats(&shared, shape, values)?;
        let name = self.loader.name();
        take(&extract(name, &shared.outputs, &tensors, &mut self.single)?)
    }

    /// As [`Network::run`], for networks whose outputs are pictures in `encoding`: a result that half precision spoilt, not finite
    /// or black where the input is not, has the network opened again in single precision on the same provider and
    /// run on the same values. That is said once, in [`Network::take_notices`].
    ///
    /// # Errors
    /// Those of [`Network::run`]; [`Error::Inference`] for a result that is not finite in single precision either.
    pub fn run_checked<T>(
        &mut self,
        shape: [usize; 4],
        values: &[f32],
        encoding: Encoding,
        take: impl FnOnce(&[Output<'_>]) -> Result<T>,
    ) -> Result<T> {
        let mut shared = self.for_floats()?;
        let mut tensors = self.infer_floats(&shared, shape, values)?;
        if let Some(defect) = self.judge(&shared, values, &tensors, encoding)? {
            // The output's memory is not needed while the other session runs.
            drop(tensors);
            self.fall_back(defect)?;
            shared = self.for_floats()?;
            tensors = self.infer_floats(&shared, shape, values)?;
            if let Some(defect) = self.judge(&shared, values, &tensors, encoding)? {
                return Err(self.spoilt_twice(defect));
            }
        }
        let name = self.loader.name();
        take(&extract(name, &shared.outputs, &tensors, &mut self.single)?)
    }

    /// Runs a generator that takes bytes on `values`, u8`[count, size.height, size.width, 3]`, packed RGB, and hands
    /// u8`[count, size.height * 4, size.width * 4, 3]` to `take`; one of luma has 1 in the place of 3. What half precision spoilt is mended as in [`Network::run_checked`];
    /// whether values were finite is known though bytes cannot tell.
    ///
    /// # Errors
    /// Those of [`Network::run`]; [`Error::Inference`] for a result that is not finite, and for a network that does not take bytes.
    pub fn run_bytes<T>(
        &mut self,
        count: usize,
        size: Size,
        values: &[u8],
        take: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Result<T> {
        let planes = self.shared.io_mode.planes();
        let shape = [count, size.height, size.width, planes];
        let expected = planes * count * size.scaled(SCALE).area();
        let mut tensors = self.infer_bytes(shape, values)?;
        if let Some(defect) = self.judge_bytes(values, &tensors)? {
            drop(tensors);
            self.fall_back(defect)?;
            tensors = self.infer_bytes(shape, values)?;
            if let Some(defect) = self.judge_bytes(values, &tensors)? {
                return Err(self.spoilt_twice(defect));
            }
        }
        match tensors.first().map(OutputTensor::bytes) {
            Some(Ok((_, bytes))) if bytes.len() == expected => take(bytes),
            found => Err(Error::Contract {
                model: self.name().to_owned(),
                expected: format!("{expected} bytes for {count} tiles of {size}"),
                found: match found {
                    Some(Ok((shape, _))) => format!("{shape:?}"),
                    Some(Err(found)) => found,
                    None => "nothing".to_owned(),
                },
            }),
        }
    }

    /// Runs a network whose file takes and gives samples of 8 bits on `values` of `shape`, and hands shape and samples of its output to
    /// `take`. Nothing is converted.
    ///
    /// # Errors
    /// Those of [`Network::run`]; [`Error::Inference`] for a network that takes no samples.
    pub fn run_samples<T>(
        &mut self,
        shape: [usize; 4],
        values: &[u8],
        take: impl FnOnce(&[i64], &[u8]) -> Result<T>,
    ) -> Result<T> {
        if !self.takes_samples() {
            return Err(Error::Inference {
                model: self.name().to_owned(),
                message: "it takes floats, not samples of 8 bits".to_owned(),
            });
        }
        let shared = self.shared.clone();
        let tensors = self.infer(&shared, shape, InputValues::Bytes(values))?;
        match tensors.first().map(OutputTensor::bytes) {
            Some(Ok((shape, samples))) => take(shape, samples),
            found => Err(Error::Contract {
                model: self.name().to_owned(),
                expected: "an output of samples of 8 bits".to_owned(),
                found: match found {
                    Some(Err(found)) => found,
                    _ => "nothing".to_owned(),
                },
            }),
        }
    }

    fn spoilt_twice(&self, defect: Defect) -> Error {
        Error::Inference {
            model: self.name().to_owned(),
            message: format!("{}, in single precision too", defect.words()),
        }
    }

    /// The session that takes floats, opened if there is none yet.
    fn for_floats(&mut self) -> Result<Arc<SharedSession>> {
        if !self.takes_bytes() {
            return Ok(self.shared.clone());
        }
        if let Some(floats) = &self.floats {
            return Ok(floats.clone());
        }
        let (provider, precision) = (self.shared.provider, self.session_precision());
        let only_floats = |mode: &IoMode| mode.bytes.is_none();
        let attempt = self
            .loader
            .attempt(provider, precision, only_floats, &self.control)?;
        match attempt {
            Ok(opened) => {
                self.floats = Some(opened.shared.clone());
                Ok(opened.shared)
            }
            Err(reason) => Err(Error::Inference {
                model: self.name().to_owned(),
                message: format!("it cannot be opened for floats on {provider}: {reason}"),
            }),
        }
    }

    /// What its session was asked to compute in, which a file of half precision may exceed.
    fn session_precision(&self) -> Precision {
        match (self.shared.provider, self.shared.precision) {
            (Provider::TensorRt, precision) => precision,
            _ => Precision::Fp32,
        }
    }

    fn judge(
        &mut self,
        shared: &SharedSession,
        values: &[f32],
        tensors: &[OutputTensor],
        encoding: Encoding,
    ) -> Result<Option<Defect>> {
        let reduced = self.is_reduced();
        let outputs = extract(
            self.loader.name(),
            &shared.outputs,
            tensors,
            &mut self.single,
        )?;
        Ok(precision::judge(values, &outputs, encoding, reduced))
    }

    fn judge_bytes(&mut self, values: &[u8], tensors: &[OutputTensor]) -> Result<Option<Defect>> {
        let contract = |found: String| Error::Contract {
            model: self.name().to_owned(),
            expected: "a picture of bytes and the means of its rows".to_owned(),
            found,
        };
        let [picture, means] = tensors else {
            return Err(contract(format!("{} outputs", tensors.len())));
        };
        let mut converted = Vec::new();
        let (_, means) = means.read(&mut converted).map_err(contract)?;
        let (_, picture) = picture.bytes().map_err(contract)?;
        let reduced = self.is_reduced();
        Ok(precision::judge_bytes(
            values,
            picture,
            means.unwrap_or(&converted),
            reduced,
        ))
    }

    /// Opens the network again in single precision on the same provider.
    fn fall_back(&mut self, defect: Defect) -> Result<()> {
        let (provider, precision) = (self.shared.provider, self.shared.precision);
        let failed = |message: String| Error::Inference {
            model: self.name().to_owned(),
            message,
        };
        if !provider.reduces(precision) {
            let hint = if self.loader.is_half() {
                "; its file is of half precision: use one of single precision"
            } else {
                ""
            };
            return Err(failed(format!("{}{hint}", defect.words())));
        }
        match self
            .loader
            .attempt(provider, Precision::Fp32, |_| true, &self.control)?
        {
            Ok(opened) => {
                (self.shared, self.free, self.floats) = (opened.shared, opened.free, None);
                self.notices.push(Notice::worse(format!(
                    "model {} computes in single precision from now on: in half precision on {provider} {}",
                    self.loader.name(),
                    defect.words()
                )));
                self.notices.extend(opened.notice);
                Ok(())
            }
            Err(reason) => Err(failed(format!(
                "{} in half precision on {provider}, and in single precision it cannot be opened: {reason}",
                defect.words()
            ))),
        }
    }

    fn infer_floats(
        &mut self,
        shared: &Arc<SharedSession>,
        shape: [usize; 4],
        values: &[f32],
    ) -> Result<Vec<OutputTensor>> {
        if shared.inputs.first().is_some_and(Port::is_bytes) {
            let mut samples = std::mem::take(&mut self.samples);
            samples.clear();
            if let Err(error) = memory::reserve(&mut samples, values.len(), "a run's input") {
                self.samples = samples;
                return Err(error);
            }
            // `as` cuts to 0..=255 and takes what is no number for 0.
            samples.extend(values.iter().map(|value| value.round() as u8));
            let result = self.infer(shared, shape, InputValues::Bytes(&samples));
            self.samples = samples;
            return result;
        }
        let mut half = std::mem::take(&mut self.half);
        let result = if shared.inputs.first().is_some_and(Port::is_half) {
            memory::resize(&mut half, values.len(), f16::ZERO, "a run's input").and_then(|()| {
                half.convert_from_f32_slice(values);
                self.infer(shared, shape, InputValues::Half(&half))
            })
        } else {
            self.infer(shared, shape, InputValues::Single(values))
        };
        self.half = half;
        result
    }

    fn infer_bytes(&mut self, shape: [usize; 4], values: &[u8]) -> Result<Vec<OutputTensor>> {
        if !self.takes_bytes() {
            return Err(Error::Inference {
                model: self.name().to_owned(),
                message: "it takes floats, not bytes".to_owned(),
            });
        }
        let shared = match (&self.free, self.shared.io_mode.graph) {
            (Some(free), Some(tile)) if !graph::suits(self.shared.io_mode.shape(tile), shape) => {
                free.clone()
            }
            _ => self.shared.clone(),
        };
        let result = self.infer(&shared, shape, InputValues::Bytes(values));
        match (result, self.free.take()) {
            (
                Err(Error::Inference { message, .. } | Error::OutOfMemory { message, .. }),
                Some(free),
            ) if shared.io_mode.graph.is_some() => {
                self.shared = free.clone();
                self.notices.push(Notice::worse(format!(
                    "model {} on {} runs without a CUDA graph from now on: {message}",
                    self.loader.name(),
                    free.provider
                )));
                self.infer(&free, shape, InputValues::Bytes(values))
            }
            (result, free) => {
                self.free = free;
                result
            }
        }
    }

    /// Waits for its turn in the session and runs; the outputs are kept when the next one has its turn.
    fn infer(
        &mut self,
        shared: &SharedSession,
        shape: [usize; 4],
        values: InputValues<'_>,
    ) -> Result<Vec<OutputTensor>> {
        let expected: usize = shape.iter().product();
        if expected != values.len() {
            return Err(Error::Inference {
                model: self.name().to_owned(),
                message: format!(
                    "input {shape:?}: {expected} values expected, {} found",
                    values.len()
                ),
            });
        }
        let control = &self.control;
        let turn = Turn {
            client: self.client,
            due: self.due.unwrap_or_else(|| Instant::now() + UNHURRIED),
        };
        let (result, remark, took) = shared.model.with(
            turn,
            || control.is_interrupted(),
            |model| {
                // From here on: waiting for the runs of other streams is not computing.
                let start = Instant::now();
                let result = model.run(shape, values, control);
                (result, model.take_remark(), start.elapsed())
            },
        )?;
        self.run_time = took;
        self.notices.extend(remark.map(|reason| {
            Notice::worse(format!(
                "model {}: memory for its pictures is not kept from run to run: {reason}",
                self.loader.name()
            ))
        }));
        result.map_err(|message| message::error(self.loader.name(), message))
    }
}
