//! A generator as the flow sees it: the seam at which tests stand in for ONNX Runtime.

use std::time::{Duration, Instant};

use super::file::NetworkFile;
use super::transfer::Transfer;
use crate::error::{Error, Result};
use crate::notice::Notice;
use crate::picture::{Encoding, Size};
use crate::settings::Provider;

/// Which generator of a fusion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GeneratorRole {
    /// The one for the whole frame.
    General,
    /// The one for what that one has no time for.
    Fast,
    /// The one for the objects of a kind, by its place among the stream's.
    Expert(usize),
}

/// In which order bytes go to a generator and come back. A sample of 0 stands for black, 255 for white.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteLayout {
    /// u8[n, height, width, 3]: packed red, green, blue, whatever the order of the network's own planes.
    Packed,
    /// u8[n, c, height, width]: the planes of [`Generator::encoding`], in its order.
    Planar,
}

/// A network that enlarges [`crate::SCALE`] times.
pub trait Generator: Send {
    /// What messages call it.
    fn name(&self) -> &str;
    /// Receptive radius in input pixels: how far from a pixel its output may depend on the input.
    fn radius(&self) -> usize;
    /// How far it depends on it by more than a few levels of 255, at most [`Generator::radius`].
    fn near_radius(&self) -> usize {
        self.radius()
    }
    /// Multiple, in input pixels, that the left and upper sides of tiles must be of, or a pixel comes out otherwise than in the whole
    /// picture: networks that look through windows, or shrink the picture on the way, draw by a pixel's place.
    fn stride(&self) -> usize {
        1
    }
    /// Most pixels that its network sees in a run for each pixel of a tile, where it is given more than the tile, such as its enlargement:
    /// tiles are made smaller by as much, for memory's sake.
    fn load(&self) -> usize {
        1
    }
    /// Tells it when the frame is due that it is run for next, where it shares what it runs on with other streams; `None` for no time.
    fn set_due(&mut self, _due: Option<Instant>) {}
    /// Values and channel order of input and output.
    fn encoding(&self) -> Encoding;
    /// The one tile size and batch that it was built for; `None` if it takes any.
    fn fixed_tile(&self) -> Option<(Size, usize)> {
        None
    }
    /// Changes over to a better provider, or to another file, that has become ready; called between frames. Returns the provider if it did.
    fn adopt_better(&mut self) -> Option<Provider> {
        None
    }
    /// The file that it runs, where that is another than at the last call; asked for after [`Generator::adopt_better`].
    fn take_file(&mut self) -> Option<NetworkFile> {
        None
    }
    /// Providers that were tried and not taken, each with the reason. Grows when one that was made ready in the background fails.
    fn refused(&self) -> &[(Provider, String)] {
        &[]
    }
    /// What a user should be told since the last call.
    fn take_notices(&mut self) -> Vec<Notice> {
        Vec::new()
    }
    /// Runs on `input`, f32[count, c, size.height, size.width] of the `c` planes of [`Generator::encoding`], and hands
    /// f32[count, c, height * 4, width * 4] to `take`.
    /// Returns the time that computing took, without what was spent waiting for other streams' runs and in `take`.
    ///
    /// # Errors
    /// The runtime's, and whatever `take` returns.
    fn run(
        &mut self,
        input: &[f32],
        count: usize,
        size: Size,
        take: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<Duration>;
    /// How 8-bit pictures go in and come out as they are, by [`Generator::run_bytes`]; `None` where they do not. May change between two
    /// frames. Pictures of more bits go by [`Generator::run`] in any case.
    fn byte_layout(&self) -> Option<ByteLayout> {
        None
    }
    /// Runs on `input`, `count` pictures of `size` pixels in the order of [`Generator::byte_layout`], and hands as many, four times as wide
    /// and high, to `take`. Values that are not finite numbers are an error. Returns the time that computing took, as [`Generator::run`].
    ///
    /// # Errors
    /// The runtime's, whatever `take` returns, and [`Error::Inference`] if it does not take bytes.
    fn run_bytes(
        &mut self,
        _input: &[u8],
        _count: usize,
        _size: Size,
        _take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<Duration> {
        Err(Error::Inference {
            model: self.name().to_owned(),
            message: "it takes floats, not bytes".to_owned(),
        })
    }
    /// How pictures get to it and back.
    fn transfer(&self) -> Transfer {
        Transfer::default()
    }
}
