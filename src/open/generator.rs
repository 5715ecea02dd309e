//! A generator in ONNX Runtime.

use std::time::{Duration, Instant};

use super::compose::compose;
use super::enlarger::Enlarger;
use super::form::Form;
use crate::draw::{ByteLayout, Generator, Transfer};
use crate::error::Result;
use crate::notice::Notice;
use crate::picture::{Encoding, Size};
use crate::runtime::Network;
use crate::settings::Provider;

/// A generator in ONNX Runtime: a file's network, and what is put around it for it to enlarge [`crate::SCALE`] times.
pub struct OnnxGenerator {
    enlarger: Box<dyn Enlarger>,
    near_radius: Option<usize>,
}

impl OnnxGenerator {
    /// `network`, whose file is of `form`.
    pub fn new(network: Network, form: Form) -> Self {
        Self::of(compose(network, form))
    }

    /// `enlarger` is of [`crate::SCALE`].
    pub(super) fn of(enlarger: Box<dyn Enlarger>) -> Self {
        Self {
            enlarger,
            near_radius: None,
        }
    }

    /// With what is known of [`Generator::near_radius`].
    pub(super) fn with_near_radius(self, near_radius: Option<usize>) -> Self {
        Self {
            near_radius,
            ..self
        }
    }

    /// The network that runs.
    pub fn network(&self) -> &Network {
        self.enlarger.network()
    }
}

impl Generator for OnnxGenerator {
    fn name(&self) -> &str {
        self.network().name()
    }

    fn radius(&self) -> usize {
        self.enlarger.rules().radius
    }

    fn near_radius(&self) -> usize {
        let radius = self.radius();
        self.near_radius.map_or(radius, |near| near.min(radius))
    }

    fn stride(&self) -> usize {
        self.enlarger.rules().stride
    }

    fn load(&self) -> usize {
        self.enlarger.rules().load
    }

    fn set_due(&mut self, due: Option<Instant>) {
        self.enlarger.set_due(due);
    }

    fn encoding(&self) -> Encoding {
        self.enlarger.encoding()
    }

    fn run(
        &mut self,
        input: &[f32],
        count: usize,
        size: Size,
        take: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<Duration> {
        self.enlarger.run(input, count, size, take)
    }

    fn byte_layout(&self) -> Option<ByteLayout> {
        self.enlarger.byte_layout()
    }

    fn run_bytes(
        &mut self,
        input: &[u8],
        count: usize,
        size: Size,
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<Duration> {
        self.enlarger.run_bytes(input, count, size, take)
    }

    fn transfer(&self) -> Transfer {
        self.network().transfer()
    }

    fn fixed_tile(&self) -> Option<(Size, usize)> {
        self.enlarger.rules().most
    }

    fn adopt_better(&mut self) -> Option<Provider> {
        let network = self.enlarger.network_mut();
        network.adopt_better().then(|| network.provider())
    }

    fn refused(&self) -> &[(Provider, String)] {
        self.network().refused()
    }

    fn take_notices(&mut self) -> Vec<Notice> {
        self.enlarger.take_notices()
    }
}
