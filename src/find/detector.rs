//! A detector as the flow sees it: the seam at which tests stand in for ONNX Runtime.

use std::time::Instant;

use super::detection::Detection;
use super::letterbox::InputSpec;
use crate::error::Result;
use crate::notice::Notice;
use crate::picture::Size;
use crate::settings::Provider;

/// A network that finds faces.
pub trait Detector: Send {
    /// What messages call it.
    fn name(&self) -> &str;
    /// What it takes.
    fn input(&self) -> InputSpec;
    /// As [`crate::Generator::adopt_better`].
    fn adopt_better(&mut self) -> Option<Provider> {
        None
    }
    /// As [`crate::Generator::refused`].
    fn refused(&self) -> &[(Provider, String)] {
        &[]
    }
    /// As [`crate::Generator::take_notices`].
    fn take_notices(&mut self) -> Vec<Notice> {
        Vec::new()
    }
    /// As [`crate::Generator::set_due`].
    fn set_due(&mut self, _due: Option<Instant>) {}
    /// Runs on `input`, f32[1, 3, size.height, size.width], and appends candidates of score `floor` or more in its pixels, before
    /// suppression.
    ///
    /// # Errors
    /// The runtime's.
    fn run(
        &mut self,
        input: &[f32],
        size: Size,
        floor: f32,
        found: &mut Vec<Detection>,
    ) -> Result<()>;
}
