//! Which values a network takes for black and white.

use super::super::enlarger::Enlarger;
use super::super::file_network::FileNetwork;
use super::patch::{RandomPixels, smooth};
use crate::error::Result;
use crate::picture::{Encoding, Size};

/// A side of what is tried, about.
const SIDE: usize = 48;
/// Values far beyond those of any picture.
const HUGE: f32 = 1e4;
/// How far, as a part of the span from black to white, what comes out may be from the enlarged picture on average, for a range to be
/// believed: of the usual one, of samples, of one with a sign.
const NEAR: [f32; 3] = [0.03, 0.25, 0.05];
/// How far it must be in the usual range for another to be believed: what networks add of their own is the less seen the larger values
/// are.
const FAR: f32 = 0.15;

const UNIT: [f32; 2] = [0.0, 1.0];
const SAMPLES: [f32; 2] = [0.0, 255.0];
const SIGNED: [f32; 2] = [-1.0, 1.0];

/// The values of black and white, and whether they were found out. Where they were not, it is 0 and 1.
///
/// Two things tell: values that the network cuts its output to, as by `tanh`, and in which range an enlarged picture comes out at all. Many
/// networks do as well in one range as in another; then the usual one is as good as any.
///
/// # Errors
/// The runtime's.
pub(super) fn find(
    network: &mut FileNetwork,
    multiple: usize,
    progress: &mut dyn FnMut(&str),
) -> Result<([f32; 2], bool)> {
    progress("finding out its range");
    let side = SIDE.next_multiple_of(multiple);
    let size = network.form().fixed.unwrap_or(Size::new(side, side));
    if let Some(range) = bounds(network, size)? {
        return Ok((range, true));
    }
    let mut distances = [0.0; 3];
    for (range, distance) in [UNIT, SAMPLES, SIGNED].into_iter().zip(&mut distances) {
        *distance = self::distance(network, size, range)?;
    }
    let [unit, samples, signed] = distances;
    let best = unit.min(samples).min(signed);
    Ok(if unit < FAR {
        (UNIT, unit <= NEAR[0])
    } else if samples == best && samples <= NEAR[1] {
        (SAMPLES, true)
    } else if signed == best && signed <= NEAR[2] {
        (SIGNED, true)
    } else {
        (UNIT, false)
    })
}

/// The range that the network cuts its output to, if it does.
fn bounds(network: &mut FileNetwork, size: Size) -> Result<Option<[f32; 2]>> {
    let wide = Encoding {
        black: -HUGE,
        white: HUGE,
        ..network.encoding()
    };
    let noise = RandomPixels::new(3).picture(size, wide);
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    network.run(&noise, 1, size, &mut |values| {
        for value in values {
            // Half precision makes infinities of such values, which are no bounds.
            (low, high) = (low.min(*value), high.max(*value));
        }
        Ok(())
    })?;
    let within = |[black, white]: [f32; 2]| {
        let span = white - black;
        let reaches = high > black + 0.6 * span && low < black + 0.4 * span;
        reaches && low >= black - 0.01 * span && high <= white + 0.01 * span
    };
    Ok([UNIT, SIGNED, SAMPLES]
        .into_iter()
        .find(|range| within(*range)))
}

/// How far what comes out of a smooth picture in `range` is from its enlargement on average, as a part of the span.
fn distance(network: &mut FileNetwork, size: Size, [black, white]: [f32; 2]) -> Result<f32> {
    let (planes, scale) = (network.encoding().channels.count(), network.scale());
    let picture = |size: Size, scale: usize| {
        let at = move |i: usize| (i as f32 + 0.5) / scale as f32 - 0.5;
        (0..planes).flat_map(move |plane| {
            (0..size.height).flat_map(move |y| {
                (0..size.width).map(move |x| black + (white - black) * smooth(at(x), at(y), plane))
            })
        })
    };
    let input: Vec<f32> = picture(size, 1).collect();
    let large = size.scaled(scale);
    let (mut sum, mut count) = (0.0f64, 0u32);
    network.run(&input, 1, size, &mut |values| {
        for (i, (value, wanted)) in values.iter().zip(picture(large, scale)).enumerate() {
            let (x, y) = (i % large.width, i / large.width % large.height);
            // What lies outside is not known to the network.
            let inner = |at: usize, side: usize| (side / 4..side - side / 4).contains(&at);
            if inner(x, large.width) && inner(y, large.height) {
                sum += f64::from((value - wanted) / (white - black)).powi(2);
                count += 1;
            }
        }
        Ok(())
    })?;
    let mean = (sum / f64::from(count.max(1))).sqrt() as f32;
    Ok(if mean.is_finite() {
        mean
    } else {
        f32::INFINITY
    })
}
