//! Rows of a component's samples: from bytes to codes as numbers and back. Knows words and steps, no colours.

use super::format::Component;
use super::vector::widest;

/// Reads `to.len()` samples of `component` from `row`, beginning with sample `first`. A sample that the row does not hold stays as it is.
pub fn read(row: &[u8], component: &Component, first: usize, to: &mut [f32]) {
    let bytes = row.get(component.offset + first * component.step..);
    let bytes = bytes.unwrap_or_default();
    let c = component;
    widest(
        #[inline(always)]
        || match (c.word, c.step) {
            (1, 1) => read_bytes::<1>(bytes, to),
            (1, 2) => read_bytes::<2>(bytes, to),
            (1, 3) => read_bytes::<3>(bytes, to),
            (1, _) => read_bytes::<4>(bytes, to),
            (2, 2) => read_words::<2>(bytes, c.shift, to),
            (2, 4) => read_words::<4>(bytes, c.shift, to),
            (2, 6) => read_words::<6>(bytes, c.shift, to),
            (2, _) => read_words::<8>(bytes, c.shift, to),
            _ => read_bits(bytes, c, to),
        },
    );
}

/// Rounds `values` to the nearest codes, halves to even ones, cut to `0..=max` first, and writes them as samples of `component` into `row`, beginning
/// with sample `first`. What lies between them stays. What is no number becomes 0.
pub fn write(row: &mut [u8], component: &Component, first: usize, values: &[f32]) {
    let bytes = row.get_mut(component.offset + first * component.step..);
    let bytes = bytes.unwrap_or_default();
    let c = component;
    widest(
        #[inline(always)]
        || match (c.word, c.step) {
            (1, 1) => write_bytes::<1>(bytes, values),
            (1, 2) => write_bytes::<2>(bytes, values),
            (1, 3) => write_bytes::<3>(bytes, values),
            (1, _) => write_bytes::<4>(bytes, values),
            (2, 2) => write_words::<2>(bytes, c, values),
            (2, 4) => write_words::<4>(bytes, c, values),
            (2, 6) => write_words::<6>(bytes, c, values),
            (2, _) => write_words::<8>(bytes, c, values),
            _ => write_bits(bytes, c, values),
        },
    );
}

/// Writes `pairs`, rounded and cut as [`write`] does, as bytes beside one another, from the first pair of `row` on.
pub fn write_byte_pairs(row: &mut [u8], [first, second]: [&[f32]; 2]) {
    let code = |value: f32| nearest(value, 255.0) as u8;
    widest(
        #[inline(always)]
        || {
            for ((pair, a), b) in row.as_chunks_mut::<2>().0.iter_mut().zip(first).zip(second) {
                *pair = [code(*a), code(*b)];
            }
        },
    );
}

/// Writes `codes` as they are as samples of `component`, which are of a byte each, into `row`, beginning with sample `first`.
pub fn write_codes(row: &mut [u8], component: &Component, first: usize, codes: &[u8]) {
    let bytes = row.get_mut(component.offset + first * component.step..);
    let bytes = bytes.unwrap_or_default();
    match component.step {
        1 => bytes[..codes.len()].copy_from_slice(codes),
        step => {
            let samples = bytes.iter_mut().step_by(step);
            samples
                .zip(codes)
                .for_each(|(sample, code)| *sample = *code);
        }
    }
}

/// The nearest code to `value` in `0..=max`, at most 16 bits, halves to even ones; 0 for what is no number. Made of what vector instructions
/// have: a cast to an integer, which saturates, is not.
#[inline(always)]
pub fn nearest(value: f32, max: f32) -> u32 {
    // Adding 2^23 leaves the nearest whole number in the lowest bits of the float.
    const MAGIC: f32 = 8_388_608.0;
    (value.max(0.0).min(max) + MAGIC).to_bits() & 0xffff
}

#[inline(always)]
fn read_bytes<const STEP: usize>(bytes: &[u8], to: &mut [f32]) {
    let count = to.len();
    for (value, sample) in to.iter_mut().zip(bytes.as_chunks::<STEP>().0) {
        *value = f32::from(sample[0]);
    }
    // The last sample may be where the row ends.
    if let (Some(value), Some(sample)) = (to.last_mut(), bytes.get((count.max(1) - 1) * STEP)) {
        *value = f32::from(*sample);
    }
}

#[inline(always)]
fn write_bytes<const STEP: usize>(bytes: &mut [u8], values: &[f32]) {
    let code = |value: f32| nearest(value, 255.0) as u8;
    for (sample, value) in bytes.as_chunks_mut::<STEP>().0.iter_mut().zip(values) {
        sample[0] = code(*value);
    }
    let last = (values.len().max(1) - 1) * STEP;
    if let (Some(value), Some(sample)) = (values.last(), bytes.get_mut(last)) {
        *sample = code(*value);
    }
}

#[inline(always)]
fn read_words<const STEP: usize>(bytes: &[u8], shift: u32, to: &mut [f32]) {
    let count = to.len();
    let code = |low: u8, high: u8| f32::from(u16::from_le_bytes([low, high]) >> shift);
    for (value, sample) in to.iter_mut().zip(bytes.as_chunks::<STEP>().0) {
        *value = code(sample[0], sample[1]);
    }
    let last = (count.max(1) - 1) * STEP;
    if let (Some(value), Some([low, high])) = (to.last_mut(), bytes.get(last..last + 2)) {
        *value = code(*low, *high);
    }
}

#[inline(always)]
fn write_words<const STEP: usize>(bytes: &mut [u8], component: &Component, values: &[f32]) {
    let (max, shift) = (component.max(), component.shift);
    let code = |value: f32| (nearest(value, max) << shift) as u16;
    for (sample, value) in bytes.as_chunks_mut::<STEP>().0.iter_mut().zip(values) {
        [sample[0], sample[1]] = code(*value).to_le_bytes();
    }
    let last = (values.len().max(1) - 1) * STEP;
    if let (Some(value), Some(sample)) = (values.last(), bytes.get_mut(last..last + 2)) {
        sample.copy_from_slice(&code(*value).to_le_bytes());
    }
}

#[inline(always)]
fn read_bits(bytes: &[u8], component: &Component, to: &mut [f32]) {
    let mask = (1u32 << component.depth) - 1;
    for (value, word) in to.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *value = (u32::from_le_bytes(*word) >> component.shift & mask) as f32;
    }
}

#[inline(always)]
fn write_bits(bytes: &mut [u8], component: &Component, values: &[f32]) {
    let (max, mask) = (component.max(), (1u32 << component.depth) - 1);
    for (word, value) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(values) {
        let others = u32::from_le_bytes(*word) & !(mask << component.shift);
        *word = (others | nearest(*value, max) << component.shift).to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::format::PixelFormat;

    /// Every component of every format: what is written is read again, rounded and cut, and nothing else changes.
    #[test]
    fn codes_survive() {
        for format in PixelFormat::all() {
            let layout = format.layout();
            for (index, component) in layout.components().iter().enumerate() {
                for (width, first) in [(1, 0), (7, 0), (7, 3), (70, 1)] {
                    let samples = component.width(width);
                    let first = first.min(samples - 1);
                    let mut row = vec![0xa5u8; layout.row_bytes(component.plane, width)];
                    let before = row.clone();
                    let max = component.max();
                    let values: Vec<f32> = (first..samples)
                        .map(|i| (i * 37 % 101) as f32 / 80.0 * max - 0.1 * max)
                        .collect();
                    write(&mut row, component, first, &values);
                    let mut read_back = vec![-1.0; values.len()];
                    read(&row, component, first, &mut read_back);
                    for (value, found) in values.iter().zip(&read_back) {
                        let expected = value.clamp(0.0, max).round_ties_even();
                        assert_eq!(*found, expected, "{format:?} {index}");
                    }
                    // Another component of the same plane is untouched.
                    for other in layout.components() {
                        if other.plane != component.plane || other == component {
                            continue;
                        }
                        let mut now = vec![0.0; other.width(width)];
                        let mut then = now.clone();
                        read(&row, other, 0, &mut now);
                        read(&before, other, 0, &mut then);
                        assert_eq!(now, then, "{format:?} {index}");
                    }
                }
            }
        }
    }
}
