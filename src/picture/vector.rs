//! Loops over samples in the widest vector instructions that the machine has, as found out at run time.
//!
//! Results are the same with any of them: no operation is fused or reordered.

use fearless_simd::{Level, Simd, dispatch, f32x16, prelude::*, u8x16, u8x64, u32x16};

/// Runs `work` with the machine's vector instructions. Loops are compiled for them only where they are inlined into `work`, which is
/// to be marked `#[inline(always)]` itself.
#[inline]
pub(crate) fn widest<R>(work: impl FnOnce() -> R) -> R {
    dispatch!(Level::new(), simd => simd.vectorize(work))
}

/// Pixels that [`pack_bytes`] works on at a time.
const LANES: usize = 16;

/// As [`crate::picture::Sample::pack`], for bytes.
pub(crate) fn pack_bytes(colours: [&[f32]; 3], gain: f32, shift: f32, pixels: &mut [u8]) -> bool {
    dispatch!(Level::new(), simd => simd.vectorize(
        #[inline(always)]
        || pack_bytes_with(simd, colours, gain, shift, pixels)
    ))
}

/// Sixteen values as whole numbers 0..=255, and the bits of the largest magnitude so far.
#[inline(always)]
fn levels<S: Simd>(values: f32x16<S>, gain: f32, shift: f32, largest: &mut u32x16<S>) -> u32x16<S> {
    // Adding 2^23 leaves the nearest whole number in the lowest bits of the float.
    const MAGIC: f32 = 8_388_608.0;
    *largest = largest.max(values.bitcast::<u32x16<S>>() & 0x7fff_ffff);
    ((values * gain + shift).max(0.0).min(255.0) + MAGIC).bitcast::<u32x16<S>>() & 0xff
}

/// Writes the three low bytes of each of sixteen words.
#[inline(always)]
fn store_pixels<S: Simd>(words: u32x16<S>, front: u8x64<S>, pixels: &mut [u8; 3 * LANES]) {
    let mut blocks = [0u8; 4 * LANES];
    words
        .bitcast::<u8x64<S>>()
        .swizzle_dyn_within_blocks(front)
        .store_slice(&mut blocks);
    for (to, from) in pixels
        .as_chunks_mut::<12>()
        .0
        .iter_mut()
        .zip(blocks.as_chunks::<16>().0)
    {
        to.copy_from_slice(&from[..12]);
    }
}

#[inline(always)]
fn pack_bytes_with<S: Simd>(
    simd: S,
    [red, green, blue]: [&[f32]; 3],
    gain: f32,
    shift: f32,
    pixels: &mut [u8],
) -> bool {
    const INFINITE: u32 = 0x7f80_0000;
    // Of every four bytes red, green, blue, 0 the first three, at the front of each block of four pixels.
    const FRONT: [u8; 16] = [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 3, 7, 11, 15];
    let front = u8x16::from_slice(simd, &FRONT);
    let front = front.combine(front);
    let front: u8x64<S> = front.combine(front);
    let mut largest = u32x16::splat(simd, 0);
    let (groups, rest) = pixels.as_chunks_mut::<{ 3 * LANES }>();
    let (reds, red_rest) = red.as_chunks::<LANES>();
    let (greens, green_rest) = green.as_chunks::<LANES>();
    let (blues, blue_rest) = blue.as_chunks::<LANES>();
    for (((r, g), b), group) in reds.iter().zip(greens).zip(blues).zip(groups) {
        let r = levels(f32x16::from_slice(simd, r), gain, shift, &mut largest);
        let g = levels(f32x16::from_slice(simd, g), gain, shift, &mut largest);
        let b = levels(f32x16::from_slice(simd, b), gain, shift, &mut largest);
        store_pixels(r | g << 8 | b << 16, front, group);
    }
    if !rest.is_empty() {
        let mut words = u32x16::splat(simd, 0);
        for (plane, values) in [red_rest, green_rest, blue_rest].into_iter().enumerate() {
            let mut filled = [0.0; LANES];
            filled[..values.len()].copy_from_slice(values);
            words |= levels(f32x16::from_slice(simd, &filled), gain, shift, &mut largest)
                << (8 * plane as u32);
        }
        let mut group = [0; 3 * LANES];
        store_pixels(words, front, &mut group);
        rest.copy_from_slice(&group[..rest.len()]);
    }
    largest.reduce_max() < INFINITE
}
