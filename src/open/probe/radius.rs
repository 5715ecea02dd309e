//! The receptive radius of a generator of which models.toml says nothing: reckoned from its file, else measured in small runs.

use super::super::enlarger::Enlarger;
use super::patch::{RandomPixels, UNSEEN, part};
use crate::error::Result;
use crate::picture::Size;

/// Sides of the patches that are disturbed, the smallest first: the first that is larger than what the network sees answers. Odd: the
/// centre is a pixel.
const SIDES: [usize; 3] = [33, 97, 193];
/// Radius up to which networks are given all the context that they see. Those that see further are given what shows, and never more.
pub(super) const EXACT: usize = 96;
/// Contexts that are tried of networks that see further, in input pixels.
const CONTEXTS: [usize; 6] = [8, 12, 16, 24, 32, 48];
/// Side of the middle of a patch in which the output is compared, in input pixels.
const CORE: usize = 16;
/// Patches that are tried of each side, because a rectifier may hide a path in one of them.
const ROUNDS: usize = 3;

/// The context that a tile of the network needs, in pixels of its own input: as far as it sees, or, of networks that see further than
/// [`EXACT`], as `bound` may say, or than the largest patch, as far as shows. One that takes pictures of `fixed` alone is tried on those.
/// `progress` is told each run in words.
///
/// # Errors
/// The runtime's, [`crate::Error::Cancelled`].
pub(super) fn measure(
    network: &mut dyn Enlarger,
    fixed: Option<Size>,
    bound: Option<usize>,
    progress: &mut dyn FnMut(&str),
) -> Result<usize> {
    let rules = network.rules();
    if let Some(fixed) = fixed {
        let radius = disturb(network, fixed, progress)?;
        return if radius < fixed.width.min(fixed.height) / 2 {
            Ok(radius)
        } else {
            seams(network, fixed, progress)
        };
    }
    if bound.is_none() {
        for side in SIDES {
            let side = side.max(4 * rules.stride + 1);
            let radius = disturb(network, Size::new(side, side), progress)?;
            if radius < side / 2 - (rules.stride - 1) {
                return Ok(radius);
            }
        }
    }
    crop(network, progress)
}

/// Largest distance from a pixel near the centre of noisy patches of `size`, in input pixels, at which the output changes when that pixel
/// does.
fn disturb(
    network: &mut dyn Enlarger,
    size: Size,
    progress: &mut dyn FnMut(&str),
) -> Result<usize> {
    let (encoding, scale, stride) = (network.encoding(), network.scale(), network.rules().stride);
    let span = encoding.white - encoding.black;
    let mut noise = RandomPixels::new(size.width as u64);
    let mut radius = 0;
    for round in 0..ROUNDS {
        progress(&format!(
            "measuring its receptive radius on {size}, {} of {ROUNDS}",
            round + 1
        ));
        // Where places matter: the first of a step, the last, and one between.
        let offset = [0, stride - 1, stride / 2][round % 3];
        let middle = |side: usize| (side / 2).next_multiple_of(stride).min(side - 1);
        let begin = |side: usize| match stride {
            1 => side / 2,
            _ => middle(side - stride) + offset,
        };
        let (x, y) = (begin(size.width), begin(size.height));
        let mut patch = noise.picture(size, encoding);
        let before = run(network, size, &patch)?;
        for plane in 0..encoding.channels.count() {
            let value = &mut patch[plane * size.area() + y * size.width + x];
            let far = if round == 1 { -4.0 } else { 4.0 } + plane as f32;
            *value = encoding.black + span * far;
        }
        let large = size.scaled(scale);
        let after = run(network, size, &patch)?;
        let changed = after.iter().zip(&before).enumerate();
        let changed = changed.filter(|(_, (now, before))| now != before);
        let distance = changed.map(|(i, _)| {
            let (column, row) = (
                i % large.width / scale,
                i / large.width % large.height / scale,
            );
            column.abs_diff(x).max(row.abs_diff(y))
        });
        radius = radius.max(distance.max().unwrap_or(0));
    }
    Ok(radius)
}

/// The least of [`CONTEXTS`] with which the middle of a noisy patch comes out as with twice of it, but for half a step of 255: what
/// cutting a picture into tiles does to it. [`EXACT`] if none suffices. Places move in the network's own steps.
fn crop(network: &mut dyn Enlarger, progress: &mut dyn FnMut(&str)) -> Result<usize> {
    let (encoding, stride) = (network.encoding(), network.rules().stride);
    let steps = |length: usize| length.next_multiple_of(stride);
    let (exact, core_side) = (steps(EXACT), steps(CORE));
    let whole = Size::new(core_side + 2 * exact, core_side + 2 * exact);
    let patch = RandomPixels::new(whole.width as u64).picture(whole, encoding);
    // The smallest first, each once: few networks need more.
    let mut known: Vec<(usize, Vec<f32>)> = Vec::new();
    let mut with = |context: usize| -> Result<Vec<f32>> {
        if let Some((_, output)) = known.iter().find(|(known, _)| *known == context) {
            return Ok(output.clone());
        }
        progress(&format!(
            "measuring whether {context} pixels of context suffice"
        ));
        let (side, cut) = (core_side + 2 * context, exact - context);
        let side = Size::new(side, side);
        let cropped = part(&patch, whole, cut, cut, side);
        let output = run(network, side, &cropped)?;
        let (scale, place) = (network.scale(), context * network.scale());
        let core = Size::new(core_side, core_side).scaled(scale);
        let output = part(&output, side.scaled(scale), place, place, core);
        known.push((context, output.clone()));
        Ok(output)
    };
    let span = (encoding.white - encoding.black).abs();
    for context in CONTEXTS {
        let context = steps(context);
        let twice = (2 * context).min(exact);
        let (found, expected) = (with(context)?, with(twice)?);
        let mut changes = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        if context < twice && changes.all(|change| change <= UNSEEN * span) {
            return Ok(context);
        }
    }
    Ok(exact)
}

/// Of a network that takes pictures of `fixed` alone and sees all of them: the least context on each side with which the same pixels come
/// out of two of its pictures, one half a picture further than the other, but for half a step of 255. A quarter if none suffices.
fn seams(network: &mut dyn Enlarger, fixed: Size, progress: &mut dyn FnMut(&str)) -> Result<usize> {
    let (encoding, scale, stride) = (network.encoding(), network.scale(), network.rules().stride);
    let most = fixed.width.min(fixed.height) / 4;
    let half = |side: usize| side / 2 / stride * stride;
    let unseen = UNSEEN * (encoding.white - encoding.black).abs();
    let mut context = 0;
    for (right, down) in [(half(fixed.width), 0), (0, half(fixed.height))] {
        let step = right + down;
        if step == 0 {
            return Ok(most);
        }
        progress(&format!("comparing tiles that are {step} pixels apart"));
        let whole = Size::new(fixed.width + right, fixed.height + down);
        let picture = RandomPixels::new(step as u64).picture(whole, encoding);
        let [first, second] =
            [(0, 0), (right, down)].map(|(x, y)| part(&picture, whole, x, y, fixed));
        let first = run(network, fixed, &first)?;
        let second = run(network, fixed, &second)?;
        // What both have drawn, and how far each pixel of it is from the end of the one and the beginning of the other.
        let (large, both) = (
            fixed.scaled(scale),
            Size::new(fixed.width - right, fixed.height - down),
        );
        let shared = both.scaled(scale);
        let first = part(&first, large, right * scale, down * scale, shared);
        let second = part(&second, large, 0, 0, shared);
        for (i, (a, b)) in first.iter().zip(&second).enumerate() {
            if (a - b).abs() > unseen {
                let (x, y) = (i % shared.width, i / shared.width % shared.height);
                let (at, length) = match right {
                    0 => (y / scale, both.height),
                    _ => (x / scale, both.width),
                };
                context = context.max(at.min(length - 1 - at) + 1);
            }
        }
    }
    Ok(context.min(most))
}

fn run(network: &mut dyn Enlarger, size: Size, patch: &[f32]) -> Result<Vec<f32>> {
    let mut output = Vec::new();
    network.run(patch, 1, size, &mut |values| {
        output.extend_from_slice(values);
        Ok(())
    })?;
    Ok(output)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::super::file_network::FileNetwork;
    use super::super::super::form::Form;
    use super::*;
    use crate::cancel::Canceller;
    use crate::models::Catalogue;
    use crate::picture::{Channels, Encoding};
    use crate::runtime::{Network, graph_reach, library};
    use crate::settings::{Config, Provider};

    fn models() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
    }

    fn open(path: &Path, channels: Channels) -> FileNetwork {
        let config = Config {
            provider: Provider::Cpu,
            ..Config::default()
        };
        let network = Network::open(path, "network", "", &config, &Canceller::new()).unwrap();
        let encoding = Encoding {
            channels,
            ..Encoding::default()
        };
        FileNetwork::new(network, Form::plain(encoding, 0))
    }

    #[test]
    fn what_is_measured_is_what_is_reckoned_and_what_the_catalogue_says() {
        if library::load(None)
            .inspect_err(|e| eprintln!("skipped: {e}"))
            .is_err()
        {
            return;
        }
        for entry in Catalogue::load(&models()).unwrap().entries() {
            let Some(noted) = entry.receptive_radius else {
                continue;
            };
            let path = models().join(&entry.file);
            let mut network = open(&path, entry.channels);
            let measured = measure(&mut network, None, None, &mut |_| ()).unwrap();
            // Weights may hide the last pixel or two of what the graph allows.
            assert!(
                measured <= noted && measured + 2 >= noted,
                "{}: {measured} measured, {noted} noted",
                entry.name
            );
            let file = std::fs::read(&path).unwrap();
            assert_eq!(graph_reach(&file, 4).map(|reach| reach.radius), Some(noted));
        }
        // Cut as tiles are: never more than the least context on the list that is all of it, and enough for nothing to show.
        for (name, channels, most) in [
            ("general-x4-fast.onnx", Channels::Y, 8),
            ("tiny/rgb-x4.onnx", Channels::Rgb, 12),
        ] {
            let mut network = open(&models().join(name), channels);
            let context = measure(&mut network, None, Some(EXACT + 1), &mut |_| ()).unwrap();
            assert!(
                CONTEXTS.contains(&context) && context <= most,
                "{name}: {context}"
            );
        }
        // A network of known reach that is not made of convolutions alone.
        let mut bicubic = open(&models().join("tiny/bicubic-x4.onnx"), Channels::Rgb);
        assert_eq!(measure(&mut bicubic, None, None, &mut |_| ()).unwrap(), 2);
    }
}
