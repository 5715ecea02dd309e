//! A score of how alike two pictures look to people: SSIMULACRA 2, by the crate `fast-ssim2`.

use fast_ssim2::{PixelDescriptor, PixelSlice, compute_ssimulacra2};
use srfusion::{Error, Result, Size};

use super::picture::Picture;

/// SSIMULACRA 2 of `generated` against `truth`, sRGB: 100 for equal pictures, 90 where nearly nobody sees a difference, about 50 for a medium
/// loss, below 0 for pictures that hardly have anything in common.
///
/// # Errors
/// [`Error::Shape`] for pictures of different sizes or smaller than 8x8.
pub fn perceptual(generated: &Picture, truth: &Picture) -> Result<f64> {
    let failed = |found: String| Error::Shape {
        what: "picture to measure".into(),
        expected: format!("{}, the true picture's size, and at least 8x8", truth.size),
        found,
    };
    if generated.size != truth.size || truth.size.width.min(truth.size.height) < 8 {
        return Err(failed(generated.size.to_string()));
    }
    let (first, second) = (
        slice(truth).map_err(failed)?,
        slice(generated).map_err(failed)?,
    );
    compute_ssimulacra2(&first, &second).map_err(|error| failed(error.to_string()))
}

fn slice(picture: &Picture) -> std::result::Result<PixelSlice<'_>, String> {
    let Size { width, height } = picture.size;
    let side = |side: usize| u32::try_from(side).map_err(|error| error.to_string());
    let kind = PixelDescriptor::RGB8_SRGB;
    PixelSlice::new(
        &picture.samples,
        side(width)?,
        side(height)?,
        width * 3,
        kind,
    )
    .map_err(|error| error.to_string())
}
