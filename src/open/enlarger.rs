//! What the adapters wrap and what they give: a network that makes larger pictures of pictures.

use std::time::{Duration, Instant};

use crate::draw::ByteLayout;
use crate::error::{Error, Result};
use crate::notice::Notice;
use crate::picture::{Encoding, Size};
use crate::runtime::Network;

/// Where the values of a run go.
pub(super) type Take<'a, T> = &'a mut dyn FnMut(&[T]) -> Result<()>;

/// What tiles a network may be given, all in pixels of its own input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TileRules {
    /// How far from a pixel its output may depend on the input.
    pub(super) radius: usize,
    /// Multiple that the places of tiles must be of, or a pixel comes out otherwise than in the whole picture.
    pub(super) stride: usize,
    /// Largest tile and batch, where those are limited.
    pub(super) most: Option<(Size, usize)>,
    /// Most pixels that the network sees in a run for each pixel of a tile.
    pub(super) load: usize,
}

/// A network that enlarges pictures in planes: a file's own, or what an adapter makes of one.
pub(super) trait Enlarger: Send {
    /// Output pixels per input pixel along each side.
    fn scale(&self) -> usize;

    /// Values and planes of input and output.
    fn encoding(&self) -> Encoding;

    /// What tiles it may be given.
    fn rules(&self) -> TileRules;

    /// Runs on `input`, f32[count, c, size.height, size.width] of the `c` planes of [`Enlarger::encoding`], and hands
    /// f32[count, c, height * scale, width * scale] to `take`. Returns the time that computing took.
    ///
    /// # Errors
    /// The runtime's, and whatever `take` returns.
    fn run(
        &mut self,
        input: &[f32],
        count: usize,
        size: Size,
        take: Take<'_, f32>,
    ) -> Result<Duration>;

    /// As [`crate::Generator::byte_layout`].
    fn byte_layout(&self) -> Option<ByteLayout> {
        None
    }

    /// As [`crate::Generator::run_bytes`].
    ///
    /// # Errors
    /// Those of [`Enlarger::run`], and [`Error::Inference`] if it does not take bytes.
    fn run_bytes(
        &mut self,
        _input: &[u8],
        _count: usize,
        _size: Size,
        _take: Take<'_, u8>,
    ) -> Result<Duration> {
        Err(Error::Inference {
            model: self.network().name().to_owned(),
            message: "it takes floats, not bytes".to_owned(),
        })
    }

    /// The network that is run.
    fn network(&self) -> &Network;

    /// The same, to be changed over to another provider.
    fn network_mut(&mut self) -> &mut Network;
    /// As [`crate::Generator::set_due`].
    fn set_due(&mut self, due: Option<Instant>) {
        self.network_mut().set_due(due);
    }

    /// What a user should be told since the last call.
    fn take_notices(&mut self) -> Vec<Notice> {
        self.network_mut().take_notices()
    }
}
