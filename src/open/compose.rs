//! From a file's network to one that enlarges [`SCALE`] times: the one place where adapters are put together.

use super::enlarger::Enlarger;
use super::file_network::{FileNetwork, compiled_tile};
use super::form::Form;
use super::interpolated::Interpolated;
use super::padded::Padded;
use super::resampled::Resampled;
use super::twice::Twice;
use crate::SCALE;
use crate::models::Layout;
use crate::runtime::{Network, Purpose};
use crate::settings::Config;

/// What `network`, whose file is of `form`, becomes with the adapters that it takes.
pub(super) fn compose(network: Network, form: Form) -> Box<dyn Enlarger> {
    let own = FileNetwork::new(network, form);
    let sized: Box<dyn Enlarger> = if form.stride > 1 || form.fixed.is_some() {
        Box::new(Padded::new(own, form.stride, form.fixed))
    } else {
        Box::new(own)
    };
    match form.scale {
        SCALE => sized,
        1 => Box::new(Interpolated::new(sized)),
        scale if scale * scale == SCALE => Box::new(Twice::new(sized)),
        _ => Box::new(Resampled::new(sized)),
    }
}

/// What is done about a scale that is not [`SCALE`], in words for a user.
pub(super) fn remark(form: &Form) -> Option<String> {
    match form.scale {
        SCALE => None,
        1 => Some("it is given the picture's bicubic enlargement".to_owned()),
        scale if scale * scale == SCALE => Some(format!("it is of scale {scale} and runs twice")),
        scale => Some(format!(
            "it is of scale {scale}: what it gives is resampled to scale {SCALE}, {}",
            if scale > SCALE {
                "antialiased"
            } else {
                "which adds no detail"
            }
        )),
    }
}

/// What a network of `form` is opened for.
pub(super) fn purpose(form: &Form, config: &Config) -> Purpose {
    let tile = compiled_tile(form.encoding.channels.count());
    if form.is_plain() {
        // A generator on a provider that compiles is given one size of tiles only; others take any.
        return Purpose::generator(tile, form.encoding);
    }
    let [_, _, side, _] = tile;
    let is_plain_size = form.layout == Layout::Nchw && side.is_multiple_of(form.stride);
    Purpose {
        // A tile of the settings is one of the picture, not of what the network is given.
        tile: (is_plain_size && config.tile_size == 0).then_some(tile),
        ..Purpose::default()
    }
}
