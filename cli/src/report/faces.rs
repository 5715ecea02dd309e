//! Faces and the mask of a clip, found as the engine finds them.

use std::time::Duration;

use srfusion::{Face, FrameInfo, FrameMut, Parameters, SCALE, Size, Upscaler, View};

use crate::arguments::EngineOptions;
use crate::failure::Result;
use crate::interrupt;
use crate::metrics::Picture;

/// Finds faces frame after frame.
pub struct FaceFinder {
    upscaler: Upscaler,
    large: Vec<u8>,
}

/// The mask of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightMap {
    /// Size of the input.
    pub size: Size,
    /// w of each of its pixels, 255 for 1.
    pub samples: Vec<u8>,
}

impl WeightMap {
    /// Mean of w, `0.0..=1.0`.
    pub fn mean(&self) -> f64 {
        let sum: u64 = self.samples.iter().copied().map(u64::from).sum();
        sum as f64 / (255.0 * self.samples.len() as f64)
    }

    /// How much of the mask is another than in the frame before, `0.0..=1.0`: the sum of the differences of w over the sum of the larger of
    /// both. `None` where neither has a face.
    pub fn change(&self, before: &Self) -> Option<f64> {
        let (mut apart, mut either) = (0_u64, 0_u64);
        for (a, b) in self.samples.iter().zip(&before.samples) {
            apart += u64::from(a.abs_diff(*b));
            either += u64::from(*a.max(b));
        }
        (either > 0).then(|| apart as f64 / either as f64)
    }
}

impl FaceFinder {
    /// Opens the models.
    ///
    /// # Errors
    /// The engine's.
    pub fn open(options: &EngineOptions) -> Result<Self> {
        let canceller = interrupt::canceller();
        let mut upscaler = Upscaler::open(&options.config(), &canceller, &mut |_| ())?;
        upscaler.set_parameters(Parameters {
            view: View::Mask,
            ..options.parameters()?
        })?;
        Ok(Self {
            upscaler,
            large: Vec::new(),
        })
    }

    /// The name of the detector and where it runs.
    pub fn detector(&self) -> Option<String> {
        let mut models = self.upscaler.models().iter();
        let model = models.find(|model| model.role.starts_with("detector"))?;
        Some(format!("{} on {}", model.name, model.provider.name()))
    }

    /// Faces of the next frame, and its mask.
    ///
    /// # Errors
    /// The engine's.
    pub fn find(&mut self, picture: &Picture, time: Duration) -> Result<(Vec<Face>, WeightMap)> {
        let size = picture.size.scaled(SCALE);
        self.large.resize(size.area() * 3, 0);
        let mut output = FrameMut::new(&mut self.large, size, size.width * 3)?;
        let info = FrameInfo {
            pts: Some(time),
            ..FrameInfo::default()
        };
        self.upscaler
            .process(picture.frame()?, &info, &mut output)?;
        let faces = self.upscaler.faces().to_vec();
        let samples = if faces.is_empty() {
            vec![0; picture.size.area()]
        } else {
            // One output pixel near the middle of each input pixel.
            let middle = SCALE / 2;
            let rows = self
                .large
                .chunks_exact(size.width * 3)
                .skip(middle)
                .step_by(SCALE);
            rows.flat_map(|row| row.chunks_exact(3).skip(middle).step_by(SCALE))
                .map(|pixel| pixel[0])
                .collect()
        };
        let mask = WeightMap {
            size: picture.size,
            samples,
        };
        Ok((faces, mask))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_of_a_mask() {
        let mask = |samples: [u8; 4]| WeightMap {
            size: Size::new(2, 2),
            samples: samples.to_vec(),
        };
        assert_eq!(mask([0; 4]).change(&mask([0; 4])), None);
        assert_eq!(mask([0, 0, 0, 255]).change(&mask([0; 4])), Some(1.0));
        assert_eq!(
            mask([0, 0, 50, 200]).change(&mask([0, 0, 100, 200])),
            Some(50.0 / 300.0)
        );
        assert_eq!(mask([255, 255, 0, 0]).mean(), 0.5);
    }
}
