//! What the frames of a video are like, and how they are drawn and encoded. Pure: what was probed comes in.

use crate::arguments::UpscaleOptions;
use crate::failure::Result;
use crate::video::colour;
use crate::video::decode::Shape;
use crate::video::encoder::Encoder;
use crate::video::hdr::Hdr;
use crate::video::layout::Layout;
use crate::video::pipeline::Recipe;
use crate::video::probe::{FrameFacts, Stream};

/// What the frames of a video are like, and what is made of them.
pub struct Facts {
    /// How frames are drawn and encoded.
    pub recipe: Recipe,
    /// What the file says of its light.
    pub hdr: Hdr,
    /// Whether samples of the input have more bits than those of the output.
    pub deep: bool,
    /// Whether frames of the input are transparent somewhere.
    pub transparent: bool,
}

impl Facts {
    /// Looks at the stream `video` and its first frame; `bits` of a sample are asked for.
    ///
    /// # Errors
    /// Sizes that `encoder` cannot write.
    pub fn find(
        options: &UpscaleOptions,
        encoder: &'static Encoder,
        bits: u32,
        video: &Stream,
        frame: &FrameFacts,
        transparent: bool,
    ) -> Result<Self> {
        // Turned before the networks see it: faces are found upright.
        let turned = video.rotation() % 180 != 0;
        let (width, height) = if turned {
            (frame.height, frame.width)
        } else {
            (frame.width, frame.height)
        };
        let scale = srfusion::SCALE as u32;
        let (large, high) = (width.saturating_mul(scale), height.saturating_mul(scale));
        encoder.check_size(large, high)?;
        let keeps = transparent && encoder.transparent(options.preset.as_deref()).is_some();
        let layout = if keeps {
            Layout::transparent(&frame.pix_fmt)
        } else {
            Layout::of(&frame.pix_fmt)
        };
        let bits = if keeps { 10 } else { bits };
        let input = colour::input(frame, &layout);
        let rate = video.rate().map_or((25, 1), |rate| {
            let side = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
            (side(rate.num), side(rate.den))
        });
        let side_data = [&frame.side_data_list[..], &video.side_data_list[..]].concat();
        Ok(Self {
            recipe: Recipe {
                options: options.clone(),
                encoder,
                shape: Shape {
                    width,
                    height,
                    layout,
                },
                colours: (input, colour::output(&input, &layout)),
                bits,
                transparent: keeps,
                chroma_site: colour::chroma_site(frame, &layout),
                aspect: aspect(frame.sample_aspect_ratio.as_deref(), turned),
                rate,
            },
            hdr: Hdr::of(&side_data),
            deep: bits <= 8 && Layout::is_deep(&frame.pix_fmt),
            transparent,
        })
    }
}

/// The shape of a pixel; square where the file says nothing or nonsense.
fn aspect(text: Option<&str>, turned: bool) -> (i32, i32) {
    let read = || {
        let (width, height) = text?.split_once(':')?;
        let (width, height): (i32, i32) = (width.parse().ok()?, height.parse().ok()?);
        (width > 0 && height > 0).then_some((width, height))
    };
    match read() {
        Some((width, height)) if turned => (height, width),
        Some(found) => found,
        None => (1, 1),
    }
}
