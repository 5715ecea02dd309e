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

/// Puts planes of bytes beside one another, three to a pixel.
pub(crate) fn pack_planes(planes: [&[u8]; 3], pixels: &mut [u8]) {
    dispatch!(Level::new(), simd => simd.vectorize(
        #[inline(always)]
        || pack_planes_with(simd, planes, pixels)
    ));
}

#[inline(always)]
fn pack_planes_with<S: Simd>(simd: S, [red, green, blue]: [&[u8]; 3], pixels: &mut [u8]) {
    let front = front(simd);
    let (groups, rest) = pixels.as_chunks_mut::<{ 3 * LANES }>();
    let (reds, red_rest) = red.as_chunks::<LANES>();
    let (greens, green_rest) = green.as_chunks::<LANES>();
    let (blues, blue_rest) = blue.as_chunks::<LANES>();
    for (((r, g), b), group) in reds.iter().zip(greens).zip(blues).zip(groups) {
        let mut words = [0u32; LANES];
        for (((word, r), g), b) in words.iter_mut().zip(r).zip(g).zip(b) {
            *word = u32::from(*r) | u32::from(*g) << 8 | u32::from(*b) << 16;
        }
        store_pixels(u32x16::from_slice(simd, &words), front, group);
    }
    let rests = red_rest.iter().zip(green_rest).zip(blue_rest);
    for (pixel, ((r, g), b)) in rest.as_chunks_mut::<3>().0.iter_mut().zip(rests) {
        *pixel = [*r, *g, *b];
    }
}

/// Of every four bytes red, green, blue, 0 the first three, at the front of each block of four pixels.
#[inline(always)]
fn front<S: Simd>(simd: S) -> u8x64<S> {
    const FRONT: [u8; 16] = [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 3, 7, 11, 15];
    let front = u8x16::from_slice(simd, &FRONT);
    let front = front.combine(front);
    front.combine(front)
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
    let front = front(simd);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_packed_pixel_by_pixel() {
        for length in [1, 15, 16, 17, 67] {
            let planes = [3u8, 50, 101].map(|step| {
                let value = |i: usize| (i as u8).wrapping_mul(step).wrapping_add(200);
                (0..length).map(value).collect::<Vec<u8>>()
            });
            let mut pixels = vec![0; 3 * length];
            pack_planes(planes.each_ref().map(Vec::as_slice), &mut pixels);
            for (i, pixel) in pixels.chunks_exact(3).enumerate() {
                assert_eq!(pixel, [planes[0][i], planes[1][i], planes[2][i]]);
            }
        }
    }
}
