//! Rows of numbers on their way out: sums and means of what shares a sample, and pairs of colour differences. Pure.

use crate::picture::FrameMut;
use crate::picture::colour;
use crate::picture::samples;
use crate::picture::vector::widest;

/// `sum` times a share, or another row times it, and `row` times its own.
pub fn add_rows(sum: &mut [f32], (share, other): (f32, Option<&[f32]>), (own, row): (f32, &[f32])) {
    widest(
        #[inline(always)]
        || match other {
            Some(other) => {
                for ((sum, other), row) in sum.iter_mut().zip(other).zip(row) {
                    *sum = share * other + own * row;
                }
            }
            None if share == 0.0 => {
                for (sum, row) in sum.iter_mut().zip(row) {
                    *sum = own * row;
                }
            }
            None => {
                for (sum, row) in sum.iter_mut().zip(row) {
                    *sum = share * *sum + own * row;
                }
            }
        },
    );
}

/// Two rows of `count` codes.
pub fn codes_of_two(codes: &mut Vec<f32>, count: usize) -> [&mut [f32]; 2] {
    codes.resize(codes.len().max(2 * count), 0.0);
    let (first, rest) = codes.split_at_mut(count);
    [first, &mut rest[..count]]
}

/// Writes the colour differences of mean colours, red, green and blue, from sample `x` of row `line` of theirs on. `add` adds to the codes of a
/// component, in units of the number that it is given.
pub fn write_means(
    picture: &mut FrameMut<'_>,
    (x, line): (usize, usize),
    means: [&[f32]; 3],
    codes: &mut Vec<f32>,
    mut add: impl FnMut(usize, f32, &mut [f32]),
) {
    let format = *picture.format();
    let [cb, cr] = codes_of_two(codes, means[0].len());
    for (index, row) in [(1, &mut *cb), (2, &mut *cr)] {
        colour::difference(format.matrix, index, means, row);
        let q = format.quantiser(index);
        colour::scale(row, q.scale, q.offset);
        add(index, q.scale, row);
    }
    write_pair(picture, line, x, [cb, cr]);
}

/// Writes both colour differences, as codes, into their row `line` from sample `x` on.
pub fn write_pair(picture: &mut FrameMut<'_>, line: usize, x: usize, [cb, cr]: [&[f32]; 2]) {
    let components = picture.format().layout().components();
    let (first, second) = (components[1], components[2]);
    let is_pair = first.plane == second.plane && (first.word, first.step) == (1, 2);
    if is_pair {
        let row = &mut picture.plane_row_mut(first.plane, line)[2 * x..2 * (x + cb.len())];
        let in_order = first.offset == 0;
        samples::write_byte_pairs(row, if in_order { [cb, cr] } else { [cr, cb] });
    } else {
        picture.write(1, line, x, cb);
        picture.write(2, line, x, cr);
    }
}

/// Means of `share` pixels each of `row`, which begins `margin` pixels before the first; weighted by the distance from the first of them if
/// the sample lies on it.
pub fn gather(row: &[f32], margin: usize, share: usize, on_first: bool, to: &mut [f32]) {
    if share == 1 {
        to.copy_from_slice(&row[margin..margin + to.len()]);
    } else if !on_first && share == 2 {
        widest(
            #[inline(always)]
            || {
                for (value, [a, b]) in to.iter_mut().zip(row[margin..].as_chunks::<2>().0) {
                    *value = 0.5 * (a + b);
                }
            },
        );
    } else if !on_first {
        let part = 1.0 / share as f32;
        for (value, pixels) in to.iter_mut().zip(row[margin..].chunks_exact(share)) {
            *value = pixels.iter().sum::<f32>() * part;
        }
    } else if share == 2 {
        // The same sum wherever a piece begins; before the frame's first pixel there is none, and that takes its place.
        let (own, next) = (row[margin], row[margin + 1]);
        let before = row[margin.max(1) - 1];
        let sum = |before: f32, own: f32, next: f32| 0.25 * before + 0.5 * own + 0.25 * next;
        if let Some((first, rest)) = to.split_first_mut() {
            *first = sum(before, own, next);
            let befores = row[margin + 1..].as_chunks::<2>().0;
            let pairs = row[margin + 2..].as_chunks::<2>().0;
            widest(
                #[inline(always)]
                || {
                    let triples = befores.iter().zip(pairs);
                    for (value, ([before, _], [own, next])) in rest.iter_mut().zip(triples) {
                        *value = sum(*before, *own, *next);
                    }
                },
            );
        }
    } else {
        let part = 1.0 / (share * share) as f32;
        for (index, value) in to.iter_mut().enumerate() {
            let own = margin + index * share;
            *value = (1..share).fold(row[own] * share as f32, |sum, d| {
                let weight = (share - d) as f32;
                sum + weight * (row[own.saturating_sub(d)] + row[(own + d).min(row.len() - 1)])
            }) * part;
        }
    }
}
