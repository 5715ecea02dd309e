//! Has providers compile the models of a configuration before a stream needs them, so that it starts on the best at once.

use std::time::{Duration, Instant};

use super::opening::Opening;
use super::tuned;
use super::upscaler::purpose;
use crate::SCALE;
use crate::cancel::Canceller;
use crate::draw::Transfer;
use crate::error::Result;
use crate::flow::{FrameInfo, Upscaler};
use crate::picture::{Frame, FrameMut, Size};
use crate::runtime::{Build, Network};
use crate::settings::Provider;
use crate::settings::{Config, Parameters, View, is_detector};

/// What was done for one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prebuilt {
    /// What the model is for: `general model`, `face model` or `detector model`; of other kinds of objects such as `text model`.
    pub role: &'static str,
    /// Its name or path.
    pub name: String,
    /// Where it runs.
    pub provider: Provider,
    /// Providers that come before that one and cannot be had, each with the reason.
    pub refused: Vec<(Provider, String)>,
    /// How pictures get to it and back.
    pub transfer: Transfer,
    /// What was compiled.
    pub build: Build,
    /// How long opening it took.
    pub time: Duration,
}

/// Opens every model of `config` and waits for what is compiled in the background, then runs a frame of each of `sizes` (input
/// pixels) through all networks, as a stream would. `progress` is told each model's role and name before it is opened.
///
/// # Errors
/// Those of [`Upscaler::open`] and [`Upscaler::process`].
pub fn prebuild(
    config: &Config,
    sizes: &[Size],
    cancel: &Canceller,
    progress: &mut dyn FnMut(&'static str, &str),
) -> Result<Vec<Prebuilt>> {
    let models = crate::models::resolve_all(config)?;
    let config = &tuned::with_fastest(config, &models);
    let roles = models.roles();
    let (mut done, mut open) = (Vec::new(), Vec::new());
    for (role, found) in roles {
        progress(role, &found.name);
        let start = Instant::now();
        let mut network = if is_detector(role) {
            let (path, name, sha256) = (&found.path, &found.name, &found.sha256);
            let purpose = purpose(role, found, config);
            Network::open_for(path, name, sha256, purpose, config, cancel)?
        } else {
            let opening = Opening::new(found, config, cancel);
            let (network, _, _) = opening.floats(&mut |_| ())?;
            network
        };
        network.await_better()?;
        done.push(Prebuilt {
            role,
            name: found.name.clone(),
            provider: network.provider(),
            refused: network.refused().to_vec(),
            transfer: network.transfer(),
            build: network.build(),
            time: start.elapsed(),
        });
        // Kept, so that the upscaler shares its session.
        open.push(network);
    }
    if sizes.is_empty() {
        return Ok(done);
    }
    let mut upscaler = Upscaler::open(config, cancel, &mut |_| ())?;
    for &size in sizes {
        let grey = vec![128u8; 3 * size.area()];
        let large = size.scaled(SCALE);
        let mut output = vec![0u8; 3 * large.area()];
        for view in [View::General, View::Face] {
            upscaler.set_parameters(Parameters {
                view,
                ..Parameters::default()
            })?;
            upscaler.process(
                Frame::new(&grey, size, 3 * size.width)?,
                &FrameInfo::default(),
                &mut FrameMut::new(&mut output, large, 3 * large.width)?,
            )?;
        }
    }
    Ok(done)
}
