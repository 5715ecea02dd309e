//! Planes of floats, resampled by the crate `resize`.

use resize::{Pixel, Resizer, Type};
use rgb::Gray;

use crate::error::Result;
use crate::memory;
use crate::picture::Size;
use crate::picture::shrink::scaling_failed;

/// For messages.
const WHAT: &str = "resampled planes";

/// One float a pixel, as the crate has it.
type GrayPlane = resize::formats::Gray<f32, f32>;

/// Keys' cubic convolution with a = -0.5, widened when shrinking. Keeps what it reckoned for the sizes that it saw last.
#[derive(Default)]
pub(super) struct PlaneScaler {
    resizer: Option<([Size; 2], Resizer<GrayPlane>)>,
}

impl PlaneScaler {
    /// Writes the planes of `from` in `source`, each resampled to `to`, into `target`.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] for sizes of nothing, [`crate::Error::Memory`].
    pub(super) fn scale(
        &mut self,
        source: &[f32],
        from: Size,
        to: Size,
        target: &mut Vec<f32>,
    ) -> Result<()> {
        let fail = |e: resize::Error| scaling_failed(e, WHAT, from, to);
        let resizer = match &mut self.resizer {
            Some((sizes, resizer)) if *sizes == [from, to] => resizer,
            slot => {
                let made = resize::new(
                    from.width,
                    from.height,
                    to.width,
                    to.height,
                    Pixel::GrayF32,
                    Type::Catrom,
                )
                .map_err(fail)?;
                &mut slot.insert(([from, to], made)).1
            }
        };
        let planes = source.len() / from.area();
        // Every value is written over below; none is filled in first.
        memory::resize(target, planes * to.area(), 0.0, WHAT)?;
        for (plane, scaled) in source
            .chunks_exact(from.area())
            .zip(target.chunks_exact_mut(to.area()))
        {
            let plane: &[Gray<f32>] = bytemuck::cast_slice(plane);
            let scaled: &mut [Gray<f32>] = bytemuck::cast_slice_mut(scaled);
            resizer.resize(plane, scaled).map_err(fail)?;
        }
        Ok(())
    }
}
