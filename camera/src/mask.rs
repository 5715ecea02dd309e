//! The face mask of a frame, from what the element says of its faces. Pure.
//!
//! The element's own formula: the box, padded, convolved with a Gaussian that is cut at three standard deviations, in x and in y; the largest over
//! all faces counts. Boxes come in whole pixels of the output here, so that it may be off by one at its edge.

use crate::engine::FaceSeen;

/// Standard deviations at which the Gaussian is cut.
const CUT: f64 = 3.0;

/// How a face's box becomes a mask: the element's settings of these names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Margin, as a fraction of the box's sides.
    pub padding: f64,
    /// Standard deviation, likewise.
    pub sigma: f64,
}

/// Distribution function of the normal distribution that is cut.
fn cdf(t: f64) -> f64 {
    let normal = |t: f64| 0.5 * (1.0 + libm::erf(t / std::f64::consts::SQRT_2));
    ((normal(t) - normal(-CUT)) / (normal(CUT) - normal(-CUT))).clamp(0.0, 1.0)
}

/// One axis of a face's mask at `count` points, `step` pixels apart.
fn curve(start: u32, length: u32, shape: Shape, step: f64, count: u32) -> Vec<f64> {
    let (start, length) = (f64::from(start), f64::from(length));
    let (low, high) = (
        start - shape.padding * length,
        start + length + shape.padding * length,
    );
    let sigma = shape.sigma * length;
    (0..count)
        .map(|point| {
            let x = (f64::from(point) + 0.5) * step;
            if sigma > 0.0 {
                (cdf((x - low) / sigma) - cdf((x - high) / sigma)).max(0.0)
            } else {
                f64::from(u8::from(low <= x && x < high))
            }
        })
        .collect()
}

/// The mask of a frame of `frame` pixels, drawn at `size`: row by row, each 0 to 1.
pub fn draw(faces: &[FaceSeen], frame: (u32, u32), size: (u32, u32), shape: Shape) -> Vec<f32> {
    let mut mask = vec![0.0_f32; size.0 as usize * size.1 as usize];
    let step = |frame: u32, size: u32| f64::from(frame) / f64::from(size.max(1));
    for face in faces {
        let (x, y, width, height) = face.rect;
        let across = curve(x, width, shape, step(frame.0, size.0), size.0);
        let down = curve(y, height, shape, step(frame.1, size.1), size.1);
        for (row, v) in mask.chunks_mut(size.0.max(1) as usize).zip(&down) {
            for (value, u) in row.iter_mut().zip(&across) {
                *value = value.max((face.weight * u * v) as f32);
            }
        }
    }
    mask
}

#[cfg(test)]
mod tests {
    use gst::prelude::*;
    use gst_video::prelude::*;

    use super::*;
    use crate::engine::faces;

    #[test]
    fn it_is_the_mask_that_the_element_draws() {
        if let Err(error) = srfusion::runtime::library::load(None) {
            eprintln!("skipped: {error}");
            return;
        }
        crate::elements::init().unwrap();
        let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny");
        for (padding, sigma) in [(0.15, 0.1), (0.4, 0.25), (0.0, 0.0)] {
            let pipeline = crate::elements::pipeline(&format!(
                "videotestsrc pattern=white num-buffers=30 ! video/x-raw,format=RGB,width=80,height=64,framerate=10/1 \
                 ! srfusion view=mask models-dir={models} general-model=bicubic-x4 face-model=inverted-x4 detector-model=centre-face \
                 mask-padding={padding} mask-sigma={sigma} ! videoconvert ! video/x-raw,format=RGB ! appsink name=sink sync=false"
            ))
            .unwrap();
            let sink: gst_app::AppSink = crate::elements::child(&pipeline, "sink").unwrap();
            pipeline.set_state(gst::State::Playing).unwrap();
            let last = std::iter::from_fn(|| sink.pull_sample().ok())
                .last()
                .unwrap();
            pipeline.set_state(gst::State::Null).unwrap();
            let info = gst_video::VideoInfo::from_caps(last.caps().unwrap()).unwrap();
            let buffer = last.buffer().unwrap();
            let found = faces(buffer);
            assert_eq!(found.len(), 1);
            let size = (info.width(), info.height());
            let mask = draw(&found, size, size, Shape { padding, sigma });
            let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info).unwrap();
            let (stride, data) = (
                frame.plane_stride()[0] as usize,
                frame.plane_data(0).unwrap(),
            );
            let mut sum = 0.0;
            for (number, value) in mask.iter().enumerate() {
                let (x, y) = (number % size.0 as usize, number / size.0 as usize);
                let drawn = f64::from(data[y * stride + 3 * x]) / 255.0;
                sum += (drawn - f64::from(*value)).abs();
            }
            let mean = sum / mask.len() as f64;
            assert!(mask.iter().any(|value| *value > 0.95));
            assert!(mean < 0.004, "padding {padding}, sigma {sigma}: {mean}");
        }
    }
}
