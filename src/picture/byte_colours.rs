//! Colours of planes of bytes, 0 black and 255 white: what networks of eight bits draw, as codes of frames of bytes in one pass over a row. What
//! [`super::colour`] does by way of numbers, which takes several. Pure.

use super::format::{Matrix, Quantiser};
use super::samples::nearest;
use super::vector::widest;

/// What luma's code is of a byte of red, green and blue, and with none of them.
fn weights(matrix: Matrix, q: Quantiser) -> ([f32; 3], f32) {
    let gain = f64::from(q.scale) / 255.0;
    (
        matrix.weights().map(|weight| (weight * gain) as f32),
        q.offset,
    )
}

/// Luma of red, green and blue, as codes of `q`, each as `finish` makes it of its number.
#[inline(always)]
fn sums<T>(
    matrix: Matrix,
    q: Quantiser,
    [red, green, blue]: [&[u8]; 3],
    to: &mut [T],
    finish: impl Fn(f32) -> T,
) {
    let ([kr, kg, kb], shift) = weights(matrix, q);
    widest(
        #[inline(always)]
        || {
            for (((to, r), g), b) in to.iter_mut().zip(red).zip(green).zip(blue) {
                let sum = kr * f32::from(*r) + kg * f32::from(*g) + kb * f32::from(*b) + shift;
                *to = finish(sum);
            }
        },
    );
}

/// Luma of red, green and blue, as codes of `q`, rounded to bytes as [`super::samples::write`] does.
pub fn luma(matrix: Matrix, q: Quantiser, colours: [&[u8]; 3], to: &mut [u8]) {
    sums(
        matrix,
        q,
        colours,
        to,
        #[inline(always)]
        |code| nearest(code, 255.0) as u8,
    );
}

/// The same before it is rounded.
pub fn luma_codes(matrix: Matrix, q: Quantiser, colours: [&[u8]; 3], to: &mut [f32]) {
    sums(
        matrix,
        q,
        colours,
        to,
        #[inline(always)]
        |code| code,
    );
}

/// Mean numbers, from black 0 to white 1, of the bytes that a sample shares: of a column of two rows, or of `share` = 2 columns, or, where the sample
/// lies `on_first` of these, of the column before it, twice its own, and the next. `upper` and `lower` begin `margin` bytes before the first
/// sample's own; without any the first column takes the place of the one before it.
pub fn means(
    (upper, lower): (&[u8], &[u8]),
    margin: usize,
    (share, on_first): (usize, bool),
    to: &mut [f32],
) {
    let sum = |a: u8, b: u8| u16::from(a) + u16::from(b);
    let (a, b) = (&upper[margin..], &lower[margin..]);
    if share == 1 {
        const PART: f32 = 1.0 / (2.0 * 255.0);
        widest(
            #[inline(always)]
            || {
                for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
                    *to = f32::from(sum(*a, *b)) * PART;
                }
            },
        );
    } else if !on_first {
        const PART: f32 = 1.0 / (4.0 * 255.0);
        widest(
            #[inline(always)]
            || {
                let pairs = a.as_chunks::<2>().0.iter().zip(b.as_chunks::<2>().0);
                for (to, ([a, c], [b, d])) in to.iter_mut().zip(pairs) {
                    *to = f32::from(sum(*a, *b) + sum(*c, *d)) * PART;
                }
            },
        );
    } else {
        const PART: f32 = 1.0 / (8.0 * 255.0);
        let before = margin.max(1) - 1;
        let triple = |left: u16, own: u16, right: u16| f32::from(left + 2 * own + right) * PART;
        let Some((first, rest)) = to.split_first_mut() else {
            return;
        };
        *first = triple(
            sum(upper[before], lower[before]),
            sum(a[0], b[0]),
            sum(a[1], b[1]),
        );
        widest(
            #[inline(always)]
            || {
                let lefts = a[1..]
                    .as_chunks::<2>()
                    .0
                    .iter()
                    .zip(b[1..].as_chunks::<2>().0);
                let owns = a[2..]
                    .as_chunks::<2>()
                    .0
                    .iter()
                    .zip(b[2..].as_chunks::<2>().0);
                for ((to, (left_a, left_b)), (a, b)) in rest.iter_mut().zip(lefts).zip(owns) {
                    *to = triple(sum(left_a[0], left_b[0]), sum(a[0], b[0]), sum(a[1], b[1]));
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::colour;

    fn rows(length: usize) -> [Vec<u8>; 3] {
        [5, 11, 23].map(|step| {
            (0..length)
                .map(|i| (i * i * step + 40 * step) as u8)
                .collect()
        })
    }

    fn numbers(row: &[u8]) -> Vec<f32> {
        row.iter().map(|byte| f32::from(*byte) / 255.0).collect()
    }

    #[test]
    fn luma_is_that_of_numbers() {
        let q = Quantiser {
            offset: 16.0,
            scale: 219.0,
        };
        for length in [1, 7, 64, 501] {
            let bytes = rows(length);
            let as_numbers = bytes.each_ref().map(|row| numbers(row));
            let mut expected = vec![0.0; length];
            let of = as_numbers.each_ref().map(Vec::as_slice);
            colour::luma_codes(Matrix::Bt709, of, q.scale, q.offset, &mut expected);
            let (mut codes, mut found) = (vec![0.0; length], vec![0; length]);
            let of = bytes.each_ref().map(Vec::as_slice);
            luma_codes(Matrix::Bt709, q, of, &mut codes);
            luma(Matrix::Bt709, q, of, &mut found);
            for ((byte, code), expected) in found.iter().zip(&codes).zip(&expected) {
                assert!((code - expected).abs() < 1e-3, "{code} {expected}");
                assert_eq!(f32::from(*byte), code.round_ties_even());
            }
        }
    }

    #[test]
    fn means_are_of_what_shares_a_sample() {
        let [upper, lower, _] = rows(39);
        let at = |row: &[u8], i: isize| f64::from(row[i.max(0) as usize]) / 255.0;
        let column = |i: isize| (at(&upper, i) + at(&lower, i)) / 2.0;
        for margin in [0, 4] {
            for (share, on_first) in [(1, false), (1, true), (2, false), (2, true)] {
                let count = (39 - margin) / share - 1;
                let mut found = vec![f32::NAN; count];
                means((&upper, &lower), margin, (share, on_first), &mut found);
                for (index, found) in found.into_iter().enumerate() {
                    let own = (margin + index * share) as isize;
                    let expected = match (share, on_first) {
                        (1, _) => column(own),
                        (_, false) => (column(own) + column(own + 1)) / 2.0,
                        _ => (column(own - 1) + 2.0 * column(own) + column(own + 1)) / 4.0,
                    };
                    assert!(
                        (f64::from(found) - expected).abs() < 1e-6,
                        "{share} {on_first}"
                    );
                }
            }
        }
    }
}
