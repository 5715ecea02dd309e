//! A generator whose runs are another's, changed by a test: slower, spoilt, failing.

use std::time::Duration;

use crate::draw::Generator;
use crate::error::Result;
use crate::picture::{Encoding, Size};

/// Takes what a run gives.
pub type TakeValues<'a> = &'a mut dyn FnMut(&[f32]) -> Result<()>;

/// What is done in place of a run of the generator that it is handed; the rest as in [`Generator::run`].
type AlteredRun =
    dyn FnMut(&mut dyn Generator, &[f32], usize, Size, TakeValues<'_>) -> Result<Duration> + Send;

/// A generator that is another but for its name and its runs.
pub struct Altered {
    name: &'static str,
    inner: Box<dyn Generator>,
    run: Box<AlteredRun>,
}

impl Altered {
    /// `inner` called `name`, with `run` in place of its runs, in numbers.
    pub fn new(
        name: &'static str,
        inner: Box<dyn Generator>,
        run: impl FnMut(&mut dyn Generator, &[f32], usize, Size, TakeValues<'_>) -> Result<Duration>
        + Send
        + 'static,
    ) -> Box<Self> {
        Box::new(Self {
            name,
            inner,
            run: Box::new(run),
        })
    }
}

impl Generator for Altered {
    fn name(&self) -> &str {
        self.name
    }

    fn radius(&self) -> usize {
        self.inner.radius()
    }

    fn encoding(&self) -> Encoding {
        self.inner.encoding()
    }

    fn run(
        &mut self,
        input: &[f32],
        count: usize,
        size: Size,
        take: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<Duration> {
        (self.run)(self.inner.as_mut(), input, count, size, take)
    }
}
