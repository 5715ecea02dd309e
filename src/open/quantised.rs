//! A network in eight-bit numbers for pictures of 8 bits, with the same in floats for those of more.

use std::time::{Duration, Instant};

use super::enlarger::{Enlarger, Take, TileRules};
use crate::draw::ByteLayout;
use crate::error::Result;
use crate::notice::Notice;
use crate::picture::{Encoding, Size};
use crate::runtime::Network;

/// Opens the network in floats.
pub(super) type OpenFloats = Box<dyn Fn() -> Result<Box<dyn Enlarger>> + Send>;

/// A network in eight-bit numbers, and the same in floats, which is opened when it is first asked for.
pub(super) struct Quantised {
    eight: Box<dyn Enlarger>,
    encoding: Encoding,
    open: OpenFloats,
    floats: Option<Box<dyn Enlarger>>,
}

impl Quantised {
    /// `eight` takes bytes; what `open` gives takes floats in `encoding`.
    pub(super) fn new(eight: Box<dyn Enlarger>, encoding: Encoding, open: OpenFloats) -> Self {
        Self {
            eight,
            encoding,
            open,
            floats: None,
        }
    }
}

impl Enlarger for Quantised {
    fn scale(&self) -> usize {
        self.eight.scale()
    }

    fn encoding(&self) -> Encoding {
        self.encoding
    }

    fn rules(&self) -> TileRules {
        self.eight.rules()
    }

    fn run(
        &mut self,
        input: &[f32],
        count: usize,
        size: Size,
        take: Take<'_, f32>,
    ) -> Result<Duration> {
        let floats = match &mut self.floats {
            Some(floats) => floats,
            none => none.insert((self.open)()?),
        };
        floats.run(input, count, size, take)
    }

    fn byte_layout(&self) -> Option<ByteLayout> {
        self.eight.byte_layout()
    }

    fn run_bytes(
        &mut self,
        input: &[u8],
        count: usize,
        size: Size,
        take: Take<'_, u8>,
    ) -> Result<Duration> {
        self.eight.run_bytes(input, count, size, take)
    }

    fn network(&self) -> &Network {
        self.eight.network()
    }

    fn network_mut(&mut self) -> &mut Network {
        self.eight.network_mut()
    }

    fn set_due(&mut self, due: Option<Instant>) {
        self.eight.set_due(due);
        if let Some(floats) = &mut self.floats {
            floats.set_due(due);
        }
    }

    fn take_notices(&mut self) -> Vec<Notice> {
        let mut notices = self.eight.take_notices();
        notices.extend(
            self.floats
                .iter_mut()
                .flat_map(|floats| floats.take_notices()),
        );
        notices
    }
}
