//! The engine that is judged.

use std::time::Duration;

use srfusion::{NO_MODEL, Parameters, Upscaler, View};

use crate::arguments::EvalOptions;
use crate::failure::{Failure, Result};
use crate::interrupt;

/// The engine, or nothing for bicubic interpolation, which needs none.
pub fn open(options: &EvalOptions, parameters: &Parameters) -> Result<Option<Upscaler>> {
    let mut config = options.engine.config();
    match parameters.view {
        View::Bicubic => return Ok(None),
        View::Fused => {}
        // Nobody asks where the faces are.
        View::General => {
            config.face_model = NO_MODEL.into();
            config.detector_model = NO_MODEL.into();
        }
        View::Face => config.detector_model = NO_MODEL.into(),
        View::Mask | View::Split => {
            return Err(Failure::Usage(
                "--view: expected a picture that can be measured (fused, general, face or bicubic)"
                    .into(),
            ));
        }
    }
    let canceller = interrupt::canceller();
    let mut upscaler = Upscaler::open(&config, &canceller, &mut |_| ())?;
    // In a single picture there is no time to fade a face in.
    upscaler.set_parameters(Parameters {
        fade_time: Duration::ZERO,
        // Nor is there an earlier one to keep anything of.
        reuse: srfusion::Reuse::None,
        ..parameters.clone()
    })?;
    Ok(Some(upscaler))
}
