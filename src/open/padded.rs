//! A network whose input must have sides of a multiple of a number, or one size alone: pictures are padded by reflection, and what comes
//! out is cut.

use std::time::Duration;

use super::enlarger::{Enlarger, Take, TileRules};
use crate::draw::ByteLayout;
use crate::error::Result;
use crate::memory;
use crate::picture::{Encoding, Size};
use crate::runtime::Network;

/// A network that is given what it can take.
///
/// Pictures are padded on the right and below only: tiles begin at multiples of the number, so that one that ends inside the frame ends at a
/// multiple too, and only those at the frame's right and lower edge are padded, as the whole frame would be.
pub(super) struct Padded<E> {
    inner: E,
    stride: usize,
    fixed: Option<Size>,
    floats: Memory<f32>,
    bytes: Memory<u8>,
}

/// Pictures on the way in and out, reused from run to run.
#[derive(Default)]
struct Memory<T> {
    padded: Vec<T>,
    cut: Vec<T>,
}

impl<E: Enlarger> Padded<E> {
    /// `inner` with sides of a multiple of `stride`, or all of `fixed`.
    pub(super) fn new(inner: E, stride: usize, fixed: Option<Size>) -> Self {
        Self {
            inner,
            stride: stride.max(1),
            fixed,
            floats: Memory::default(),
            bytes: Memory::default(),
        }
    }

    /// What it was made of.
    pub(super) fn into_inner(self) -> E {
        self.inner
    }

    /// What a picture of `size` is padded to.
    fn padded(&self, size: Size) -> Size {
        let up = |side: usize| side.next_multiple_of(self.stride);
        let least = Size::new(up(size.width), up(size.height));
        match self.fixed {
            Some(fixed) => Size::new(fixed.width.max(size.width), fixed.height.max(size.height)),
            None => least,
        }
    }
}

/// Index of the sample that stands at `i` in a row of `length` that is continued by reflection, the last sample not repeated.
fn reflected(i: usize, length: usize) -> usize {
    let period = (2 * length).saturating_sub(2).max(1);
    let i = i % period;
    if i < length { i } else { period - i }
}

/// Writes `planes` pictures of `from` into pictures of `to`, which is no smaller.
fn pad<T: Copy + Default>(
    source: &[T],
    planes: usize,
    from: Size,
    to: Size,
    padded: &mut Vec<T>,
) -> Result<()> {
    padded.clear();
    memory::reserve(padded, planes * to.area(), "padded tiles")?;
    for plane in source.chunks_exact(from.area()).take(planes) {
        for y in 0..to.height {
            let row = &plane[reflected(y, from.height) * from.width..][..from.width];
            padded.extend_from_slice(row);
            padded.extend((from.width..to.width).map(|x| row[reflected(x, from.width)]));
        }
    }
    Ok(())
}

/// Writes the upper left `to` of each of the pictures of `from` in `source`.
fn cut<T: Copy>(source: &[T], from: Size, to: Size, cut: &mut Vec<T>) -> Result<()> {
    cut.clear();
    let pictures = source.len() / from.area().max(1);
    memory::reserve(cut, pictures * to.area(), "tiles cut out of padded ones")?;
    for plane in source.chunks_exact(from.area()) {
        for row in plane.chunks_exact(from.width).take(to.height) {
            cut.extend_from_slice(&row[..to.width]);
        }
    }
    Ok(())
}

impl<T: Copy + Default> Memory<T> {
    /// Pads `input`, has it run, and hands what is cut out of the result to `take`.
    fn pass(
        &mut self,
        input: &[T],
        planes: usize,
        [size, padded]: [Size; 2],
        scale: usize,
        run: impl FnOnce(&[T], Take<'_, T>) -> Result<Duration>,
        take: Take<'_, T>,
    ) -> Result<Duration> {
        pad(input, planes, size, padded, &mut self.padded)?;
        let (large, wanted) = (padded.scaled(scale), size.scaled(scale));
        let result = &mut self.cut;
        run(&self.padded, &mut |values| {
            cut(values, large, wanted, result)?;
            take(result)
        })
    }
}

impl<E: Enlarger> Enlarger for Padded<E> {
    fn scale(&self) -> usize {
        self.inner.scale()
    }

    fn encoding(&self) -> Encoding {
        self.inner.encoding()
    }

    fn rules(&self) -> TileRules {
        let rules = self.inner.rules();
        let fixed = self.fixed.map(|fixed| (fixed, 1));
        TileRules {
            stride: self.stride,
            most: match (fixed, rules.most) {
                (Some((size, _)), Some((_, batch))) => Some((size, batch)),
                (fixed, most) => fixed.or(most),
            },
            ..rules
        }
    }

    fn run(
        &mut self,
        input: &[f32],
        count: usize,
        size: Size,
        take: Take<'_, f32>,
    ) -> Result<Duration> {
        let padded = self.padded(size);
        if padded == size {
            return self.inner.run(input, count, size, take);
        }
        let (planes, scale) = (self.encoding().channels.count(), self.scale());
        let inner = &mut self.inner;
        let run = |values: &[f32], take: Take<'_, f32>| inner.run(values, count, padded, take);
        self.floats
            .pass(input, planes * count, [size, padded], scale, run, take)
    }

    fn byte_layout(&self) -> Option<ByteLayout> {
        // Samples of packed pixels lie otherwise than what is padded here.
        let layout = self.inner.byte_layout();
        layout.filter(|layout| *layout == ByteLayout::Planar)
    }

    fn run_bytes(
        &mut self,
        input: &[u8],
        count: usize,
        size: Size,
        take: Take<'_, u8>,
    ) -> Result<Duration> {
        let padded = self.padded(size);
        if padded == size {
            return self.inner.run_bytes(input, count, size, take);
        }
        let (planes, scale) = (self.encoding().channels.count(), self.scale());
        let inner = &mut self.inner;
        let run = |values: &[u8], take: Take<'_, u8>| inner.run_bytes(values, count, padded, take);
        self.bytes
            .pass(input, planes * count, [size, padded], scale, run, take)
    }

    fn network(&self) -> &Network {
        self.inner.network()
    }

    fn network_mut(&mut self) -> &mut Network {
        self.inner.network_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_continued_by_reflection_however_short_they_are() {
        let row = |length: usize| (0..9).map(|i| reflected(i, length)).collect::<Vec<_>>();
        assert_eq!(row(4), [0, 1, 2, 3, 2, 1, 0, 1, 2]);
        assert_eq!(row(2), [0, 1, 0, 1, 0, 1, 0, 1, 0]);
        assert_eq!(row(1), [0; 9]);
        assert_eq!(row(9), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn what_is_padded_and_cut_is_what_it_was() {
        let (from, to) = (Size::new(3, 2), Size::new(5, 4));
        let source: Vec<u8> = (0..12).collect();
        let (mut padded, mut back) = (Vec::new(), Vec::new());
        pad(&source, 2, from, to, &mut padded).unwrap();
        assert_eq!(padded.len(), 40);
        assert_eq!(padded[..5], [0, 1, 2, 1, 0]);
        assert_eq!(padded[10..15], [0, 1, 2, 1, 0]);
        assert_eq!(padded[15..20], [3, 4, 5, 4, 3]);
        assert_eq!(padded[20..25], [6, 7, 8, 7, 6]);
        cut(&padded, to, from, &mut back).unwrap();
        assert_eq!(back, source);
    }
}
