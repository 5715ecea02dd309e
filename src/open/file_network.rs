//! A file's own network as one that enlarges pictures in planes: planes brought into its order, batches into its number, values into its
//! samples.

use std::time::Duration;

use super::enlarger::{Enlarger, Take, TileRules};
use super::form::Form;
use crate::draw::ByteLayout;
use crate::error::{Error, Result};
use crate::find::decode::Output;
use crate::memory;
use crate::models::Layout;
use crate::picture::{Channels, Encoding, Size};
use crate::runtime::{Network, Port};

/// Tiles, `[count, planes, height, width]`, that providers compile for: large enough to pay little for context, small enough for
/// what moves in a picture.
pub const fn compiled_tile(planes: usize) -> [usize; 4] {
    [4, planes, 256, 256]
}

/// A file's own network.
pub(super) struct FileNetwork {
    network: Network,
    form: Form,
    /// A run's input and the whole result, where they are not those of the network.
    given: Vec<f32>,
    result: Vec<f32>,
}

/// `values[i] = values[i] * gain + offset`, in place.
fn scale(values: &mut [f32], gain: f32, offset: f32) {
    for value in values {
        *value = *value * gain + offset;
    }
}

/// Pictures of `planes` planes of `area` pixels, pixel after pixel, from those plane after plane.
fn to_pixels(source: &[f32], planes: usize, area: usize, target: &mut Vec<f32>) {
    for picture in source.chunks_exact(planes * area) {
        target.extend((0..planes * area).map(|i| picture[i % planes * area + i / planes]));
    }
}

/// The reverse of [`to_pixels`].
fn to_planes(source: &[f32], planes: usize, area: usize, target: &mut Vec<f32>) {
    for picture in source.chunks_exact(planes * area) {
        for plane in 0..planes {
            target.extend(picture.iter().skip(plane).step_by(planes));
        }
    }
}

impl FileNetwork {
    /// `network`, whose file is of `form`.
    pub(super) fn new(mut network: Network, form: Form) -> Self {
        network.release_floats();
        Self {
            network,
            form,
            given: Vec::new(),
            result: Vec::new(),
        }
    }

    /// How its file takes and gives pictures.
    pub(super) fn form(&self) -> &Form {
        &self.form
    }

    /// The same, to note what was found out.
    pub(super) fn form_mut(&mut self) -> &mut Form {
        &mut self.form
    }

    /// The network, given back.
    pub(super) fn into_network(self) -> Network {
        self.network
    }

    /// Values of a run's result for `count` pictures of `size`.
    fn expected(&self, count: usize, size: Size) -> usize {
        count * self.form.encoding.channels.count() * size.scaled(self.form.scale).area()
    }

    fn check(&self, found: usize, count: usize, size: Size) -> Result<()> {
        let expected = self.expected(count, size);
        if found == expected {
            return Ok(());
        }
        Err(Error::Contract {
            model: self.network.name().to_owned(),
            expected: format!("{expected} values for {count} tiles of {size}"),
            found: format!("{found} values"),
        })
    }

    /// Whether planes, batches and values go in and come out as they are.
    fn is_direct(&self, count: usize) -> bool {
        let samples = |ports: &[Port]| ports.iter().any(Port::is_bytes);
        let (input, output) = (self.network.inputs(), self.network.outputs());
        // Of a rewritten file it is floats that are asked for here, and those are planes.
        let is_float = self.network.takes_bytes() || !(samples(input) || samples(output));
        is_float
            && self.form.layout == Layout::Nchw
            && self.form.batch.is_none_or(|batch| batch == count)
    }

    /// Runs on what is in the network's order, and hands its result on.
    fn pass(
        network: &mut Network,
        form: &Form,
        values: &[f32],
        count: usize,
        size: Size,
        take: Take<'_, f32>,
    ) -> Result<Duration> {
        let shape = form.shape(count, size);
        let take = |outputs: &[Output<'_>]| take(outputs.first().map_or(&[][..], |o| o.values));
        if network.is_reduced() {
            network.run_checked(shape, values, form.encoding, take)?;
        } else {
            // Whether values are finite is seen where they are written, which spares reading them once more.
            network.run(shape, values, take)?;
        }
        Ok(network.run_time())
    }

    /// As [`Enlarger::run`], for a network whose order, batches or samples are others.
    fn run_converted(
        &mut self,
        input: &[f32],
        count: usize,
        size: Size,
        take: Take<'_, f32>,
    ) -> Result<Duration> {
        let Encoding {
            black,
            white,
            channels,
        } = self.form.encoding;
        let (planes, span) = (channels.count(), white - black);
        let one = planes * size.area();
        let large = size.scaled(self.form.scale);
        let takes = |ports: &[Port]| ports.first().is_some_and(Port::is_bytes);
        let (samples_in, samples_out) =
            (takes(self.network.inputs()), takes(self.network.outputs()));
        let batch = self.form.batch.unwrap_or(count).max(1);
        let (mut given, mut result) = (
            std::mem::take(&mut self.given),
            std::mem::take(&mut self.result),
        );
        result.clear();
        let (mut took, mut ran) = (Duration::ZERO, Ok(()));
        for pictures in input.chunks(batch * one) {
            given.clear();
            if let Err(error) = memory::reserve(&mut given, batch * one, "a run's input") {
                ran = Err(error);
                break;
            }
            match self.form.layout {
                Layout::Nchw => given.extend_from_slice(pictures),
                Layout::Nhwc => to_pixels(pictures, planes, size.area(), &mut given),
            }
            if samples_in {
                scale(&mut given, 255.0 / span, -black * 255.0 / span);
            }
            // The last run is filled up with black.
            let black = if samples_in { 0.0 } else { black };
            given.resize(batch * one, black);
            let wanted = pictures.len() / one * planes * large.area();
            let layout = self.form.layout;
            let mut found = 0;
            let passed = Self::pass(
                &mut self.network,
                &self.form,
                &given,
                batch,
                size,
                &mut |values| {
                    found = values.len();
                    let values = &values[..wanted.min(found)];
                    memory::reserve(&mut result, values.len(), "a run's result")?;
                    match layout {
                        Layout::Nchw => result.extend_from_slice(values),
                        Layout::Nhwc => to_planes(values, planes, large.area(), &mut result),
                    }
                    Ok(())
                },
            );
            match passed.and_then(|time| self.check(found, batch, size).map(|()| time)) {
                Ok(time) => took += time,
                Err(error) => {
                    ran = Err(error);
                    break;
                }
            }
        }
        if samples_out {
            scale(&mut result, span / 255.0, black);
        }
        let taken = ran.and_then(|()| take(&result));
        (self.given, self.result) = (given, result);
        taken.map(|()| took)
    }
}

impl Enlarger for FileNetwork {
    fn scale(&self) -> usize {
        self.form.scale
    }

    fn encoding(&self) -> Encoding {
        self.form.encoding
    }

    fn rules(&self) -> TileRules {
        let compiled = self
            .network
            .fixed_shape()
            .or_else(|| self.network.compiled_shape())
            .map(|[count, _, height, width]| (Size::new(width, height), count));
        let fixed = self
            .form
            .fixed
            .map(|size| (size, self.form.batch.unwrap_or(1)));
        TileRules {
            radius: self.form.radius,
            stride: self.form.stride,
            most: fixed.or(compiled),
            load: 1,
        }
    }

    fn run(
        &mut self,
        input: &[f32],
        count: usize,
        size: Size,
        take: Take<'_, f32>,
    ) -> Result<Duration> {
        if !self.is_direct(count) {
            return self.run_converted(input, count, size, take);
        }
        let (expected, name) = (self.expected(count, size), self.network.name().to_owned());
        Self::pass(
            &mut self.network,
            &self.form,
            input,
            count,
            size,
            &mut |values| {
                if values.len() != expected {
                    return Err(Error::Contract {
                        model: name.clone(),
                        expected: format!("{expected} values for {count} tiles of {size}"),
                        found: format!("{} values", values.len()),
                    });
                }
                take(values)
            },
        )
    }

    fn byte_layout(&self) -> Option<ByteLayout> {
        let is_luma = self.form.encoding.channels == Channels::Y;
        if self.network.takes_bytes() {
            // Of one plane the two orders are the same.
            return Some(if is_luma {
                ByteLayout::Planar
            } else {
                ByteLayout::Packed
            });
        }
        if !self.network.takes_samples() || self.form.batch.is_some() {
            return None;
        }
        match (self.form.layout, self.form.encoding.channels) {
            (Layout::Nchw, _) | (_, Channels::Y) => Some(ByteLayout::Planar),
            (Layout::Nhwc, Channels::Rgb) => Some(ByteLayout::Packed),
            (Layout::Nhwc, Channels::Bgr) => None,
        }
    }

    fn run_bytes(
        &mut self,
        input: &[u8],
        count: usize,
        size: Size,
        take: Take<'_, u8>,
    ) -> Result<Duration> {
        if self.network.takes_bytes() {
            self.network.run_bytes(count, size, input, take)?;
            return Ok(self.network.run_time());
        }
        let (shape, expected) = (self.form.shape(count, size), self.expected(count, size));
        let name = self.network.name().to_owned();
        self.network.run_samples(shape, input, |found, samples| {
            if samples.len() != expected {
                return Err(Error::Contract {
                    model: name,
                    expected: format!("{expected} samples for {count} tiles of {size}"),
                    found: format!("{found:?}"),
                });
            }
            take(samples)
        })?;
        Ok(self.network.run_time())
    }

    fn network(&self) -> &Network {
        &self.network
    }

    fn network_mut(&mut self) -> &mut Network {
        &mut self.network
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_become_pixels_and_planes_again() {
        let planes = [0.0, 1.0, 10.0, 11.0, 20.0, 21.0];
        let (mut pixels, mut back) = (Vec::new(), Vec::new());
        to_pixels(&planes, 3, 2, &mut pixels);
        assert_eq!(pixels, [0.0, 10.0, 20.0, 1.0, 11.0, 21.0]);
        to_planes(&pixels, 3, 2, &mut back);
        assert_eq!(back, planes);
    }
}
