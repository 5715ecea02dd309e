//! Has providers compile the models of a configuration before a stream needs them, so that it starts on the best at once.

use std::time::{Duration, Instant};

use super::opening::Opening;
use super::tuned;
use super::upscaler::purpose;
use crate::SCALE;
use crate::cancel::Canceller;
use crate::draw::Transfer;
use crate::error::Result;
use crate::find::{BBox, Detection};
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
/// pixels) through all networks, those of every kind of objects, as a stream would. `progress` is told each model's role and name before it is opened.
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
        draw_all(&mut upscaler, size)?;
    }
    Ok(done)
}

/// Frames after which an object that stands still has a weight under the slowest fading.
const FADE: u32 = 50;

/// Has every network of `upscaler` draw a grey frame of `size`.
fn draw_all(upscaler: &mut Upscaler, size: Size) -> Result<()> {
    let grey = vec![128u8; 3 * size.area()];
    let large = size.scaled(SCALE);
    let mut output = vec![0u8; 3 * large.area()];
    let mut draw = |upscaler: &mut Upscaler, info: &FrameInfo<'_>, objects: Option<&[_]>| {
        upscaler.process_with(
            Frame::new(&grey, size, 3 * size.width)?,
            info,
            objects,
            &mut FrameMut::new(&mut output, large, 3 * large.width)?,
        )
    };
    for view in [View::General, View::Face] {
        upscaler.set_parameters(Parameters {
            view,
            ..Parameters::default()
        })?;
        draw(upscaler, &FrameInfo::default(), None)?;
    }
    // No view is the picture of another kind's network: it draws where there is an object, here one as large as the frame.
    let everywhere = Detection {
        bbox: BBox {
            x0: 0.0,
            y0: 0.0,
            x1: size.width as f32,
            y1: size.height as f32,
        },
        score: 1.0,
        points: None,
        mask: None,
    };
    let kinds = upscaler.kinds().clone();
    for (kind, _) in kinds
        .iter()
        .enumerate()
        .filter(|(_, kind)| !kind.is_faces())
    {
        upscaler.set_parameters(Parameters::default())?;
        let objects = [(kind, everywhere.clone())];
        for frame in 0..FADE {
            let info = FrameInfo {
                pts: Some(frame * Duration::from_millis(100)),
                faces: Some(&[]),
                ..FrameInfo::default()
            };
            draw(upscaler, &info, Some(&objects))?;
            if upscaler.stats().kinds[kind].pixels_run > 0 {
                break;
            }
        }
        upscaler.reset();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bicubic, FixedFaces};
    use crate::{Expert, ObjectKind};

    #[test]
    fn every_network_draws() {
        let kinds = [
            ObjectKind::faces(),
            ObjectKind::new("text"),
            ObjectKind::new("plate"),
        ];
        let experts = kinds.map(|kind| Expert {
            kind,
            generator: Some(Box::new(Bicubic::new(0.1))),
            detector: Some(Box::new(FixedFaces(Vec::new()))),
        });
        let mut upscaler =
            Upscaler::with_experts(Box::new(Bicubic::new(0.0)), experts.into()).unwrap();
        draw_all(&mut upscaler, Size::new(48, 36)).unwrap();
        let stats = upscaler.stats();
        assert!(stats.pixels_run > 0);
        for kind in &stats.kinds[..3] {
            assert!(kind.pixels_run > 0 && kind.detections > 0, "{stats:?}");
        }
    }
}
