//! Of which number the sides of a network's input must be multiples, and in which steps the places of tiles may move.

use super::super::enlarger::Enlarger;
use super::super::file_network::FileNetwork;
use super::patch::{RandomPixels, UNSEEN, part};
use crate::error::{Error, Result};
use crate::picture::Size;

/// Largest number that is looked for: windows of transformers have 7 to 32 pixels, and some shrink the picture on the way.
const LARGEST: usize = 64;
/// Steps that are tried.
const STEPS: [usize; 14] = [1, 2, 3, 4, 6, 7, 8, 12, 14, 16, 24, 28, 32, 64];
/// Side of the patches that are compared with moved ones, at least.
const PATCH: usize = 96;

/// The least number of which the sides of the input of `network` may be multiples. Each is tried with a height and a width whose only common
/// factor it is: such a picture is taken if, and only if, the network's own number divides it.
///
/// # Errors
/// [`Error::Cancelled`]; [`Error::Contract`] if it takes nothing but the size of its warm-up run.
pub(super) fn multiple(network: &mut FileNetwork, progress: &mut dyn FnMut(&str)) -> Result<usize> {
    if network.form().fixed.is_some() {
        return Ok(1);
    }
    for number in 1..=LARGEST {
        // Primes, smaller for larger numbers: a run must not take long.
        let (high, wide) = match number {
            1 => (37, 41),
            2..=3 => (19, 23),
            4..=8 => (11, 13),
            _ => (5, 7),
        };
        if number > 1 {
            progress(&format!("trying sides that are multiples of {number}"));
        }
        let size = Size::new(wide * number, high * number);
        let noise = RandomPixels::new(number as u64).picture(size, network.encoding());
        match network.run(&noise, 1, size, &mut |_| Ok(())) {
            Ok(_) => return Ok(number),
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(_) => {}
        }
    }
    Err(Error::Contract {
        model: network.network().name().to_owned(),
        expected: format!(
            "an input of any size, of sides that are multiples of a number up to {LARGEST}, or of a size that is declared"
        ),
        found: "pictures of no other size than that of its first run come out".to_owned(),
    })
}

/// The least step, a multiple of `multiple`, by which a picture may be moved for the same to come out moved. `multiple` if none does, as of
/// networks that see the whole picture.
///
/// # Errors
/// The runtime's.
pub(super) fn period(
    network: &mut FileNetwork,
    multiple: usize,
    progress: &mut dyn FnMut(&str),
) -> Result<usize> {
    let size = match network.form().fixed {
        Some(fixed) => fixed,
        None => {
            let side = PATCH.max(4 * multiple).next_multiple_of(multiple);
            Size::new(side, side)
        }
    };
    let encoding = network.encoding();
    let span = (encoding.white - encoding.black).abs();
    // A quarter on each side, for what lies outside not to matter much, and a quarter for moving.
    let quarter = size.width.min(size.height) / 4;
    let is_step = |step: &usize| step.is_multiple_of(multiple) && *step <= quarter;
    let steps: Vec<usize> = STEPS
        .into_iter()
        .chain([multiple])
        .filter(is_step)
        .collect();
    let Some(most) = steps.iter().max().copied() else {
        return Ok(multiple);
    };
    let whole = Size::new(size.width + most, size.height + most);
    let inner = Size::new(
        size.width - 2 * quarter - most,
        size.height - 2 * quarter - most,
    );
    if inner.area() == 0 {
        return Ok(multiple);
    }
    let picture = RandomPixels::new(5).picture(whole, encoding);
    let mut at = |step: usize| -> Result<Vec<f32>> {
        progress(&format!(
            "comparing with the picture moved by {step} pixels"
        ));
        let patch = part(&picture, whole, step, step, size);
        let scale = network.scale();
        // The same pixels of the picture, wherever it was moved.
        let place = (quarter + most - step) * scale;
        let mut middle = Vec::new();
        network.run(&patch, 1, size, &mut |values| {
            let large = size.scaled(scale);
            middle = part(values, large, place, place, inner.scaled(scale));
            Ok(())
        })?;
        Ok(middle)
    };
    let before = at(0)?;
    for step in steps {
        let after = at(step)?;
        let mut changes = after.iter().zip(&before).map(|(a, b)| (a - b).abs());
        if changes.all(|change| change <= UNSEEN * span) {
            return Ok(step);
        }
    }
    Ok(multiple)
}
