//! How a generator's file takes and gives pictures: what is declared, what a run showed, what models.toml says.

use crate::SCALE;
use crate::error::{Error, Result};
use crate::models::{InputKind, KnownForm, Layout};
use crate::picture::{Channels, Encoding, Size};
use crate::runtime::{Network, describe};

/// Largest enlargement that is believed of a network.
const LARGEST_SCALE: usize = 16;

/// How a generator's file takes and gives pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Form {
    /// Order of the sides.
    pub layout: Layout,
    /// Values and planes. Of a file of 8-bit samples, what these stand for.
    pub encoding: Encoding,
    /// Output pixels per pixel of its own input; 1 if it is given the enlargement.
    pub scale: usize,
    /// Multiple that the sides of its input must be of, and the places of tiles.
    pub stride: usize,
    /// The one size of its own input, if it has one.
    pub fixed: Option<Size>,
    /// The one number of pictures in a run, if it has one.
    pub batch: Option<usize>,
    /// Receptive radius in pixels of its own input.
    pub radius: usize,
}

impl Form {
    /// Of a file that takes pictures as most do: f32 or f16, planes first, sizes free.
    pub fn plain(encoding: Encoding, radius: usize) -> Self {
        Self {
            layout: Layout::Nchw,
            encoding,
            scale: SCALE,
            stride: 1,
            fixed: None,
            batch: None,
            radius,
        }
    }

    /// What it is given.
    pub fn input(&self) -> InputKind {
        match self.scale {
            1 => InputKind::Interpolated,
            _ => InputKind::Picture,
        }
    }

    /// Whether it does what a generator is to do with nothing around it.
    pub fn is_plain(&self) -> bool {
        let rest = Self {
            radius: 0,
            ..Self::plain(self.encoding, 0)
        };
        Self { radius: 0, ..*self } == rest
    }

    /// The shape of its input, in its order.
    pub(super) fn shape(&self, count: usize, size: Size) -> [usize; 4] {
        let planes = self.encoding.channels.count();
        match self.layout {
            Layout::Nchw => [count, planes, size.height, size.width],
            Layout::Nhwc => [count, size.height, size.width, planes],
        }
    }

    /// What is known of it before it is opened, if that is all that opening it takes.
    pub(super) fn known(known: KnownForm, encoding: Encoding, radius: usize) -> Self {
        Self {
            layout: known.layout,
            scale: match known.input {
                InputKind::Picture => known.scale,
                InputKind::Interpolated => 1,
            },
            stride: known.stride.unwrap_or(1),
            ..Self::plain(encoding, radius)
        }
    }

    /// Reads the form of `network` from its declared input and from its warm-up run. `known` is what models.toml says; where it says
    /// nothing, planes are taken for red, green, blue, or luma, in `0..=1`, of which 8-bit samples are 0 and 255.
    ///
    /// # Errors
    /// [`Error::Contract`] if it is no generator, or not the one that models.toml says it is.
    pub(super) fn read(
        network: &Network,
        known: Option<(KnownForm, Encoding)>,
        radius: usize,
    ) -> Result<Self> {
        let wrong = |expected: String, found: String| Error::Contract {
            model: network.name().to_owned(),
            expected,
            found,
        };
        let described = || {
            format!(
                "{} -> {}",
                describe(network.inputs()),
                describe(network.outputs())
            )
        };
        let ([input], [output], [(_, shape)]) =
            (network.inputs(), network.outputs(), network.run_shapes())
        else {
            let expected =
                format!("one input of pictures and one output of pictures {SCALE} times as large");
            return Err(wrong(expected, described()));
        };
        let is_picture = |port: &crate::runtime::Port| port.is_f32 || port.is_bytes();
        let ran = network.run_input();
        let by_shape = |at: usize| matches!(ran[at], 1 | 3);
        let layout = match known {
            Some((known, _)) => known.layout,
            None if by_shape(1) => Layout::Nchw,
            None => Layout::Nhwc,
        };
        let (plane, row, column) = match layout {
            Layout::Nchw => (1, 2, 3),
            Layout::Nhwc => (3, 1, 2),
        };
        let planes = ran[plane];
        let given = shape.as_slice();
        let ratio = |at: usize| {
            let side = usize::try_from(*given.get(at)?).ok()?;
            let whole = side.is_multiple_of(ran[at]) && side > 0;
            whole.then_some(side / ran[at])
        };
        let scale = match (given.len(), ratio(row), ratio(column)) {
            (4, Some(high), Some(wide))
                if high == wide
                    && high <= LARGEST_SCALE
                    && given[0] == ran[0] as i64
                    && given[plane] == planes as i64
                    && by_shape(plane)
                    && is_picture(input)
                    && is_picture(output) =>
            {
                high
            }
            _ => {
                let layout = layout.name();
                return Err(wrong(
                    format!(
                        "a generator, {layout}: pictures of 1 or 3 planes in, as many planes of a whole number of times the height and width out ({SCALE} times, or another scale that is brought to it)"
                    ),
                    format!("{given:?} for {ran:?} ({})", described()),
                ));
            }
        };
        let encoding = match known {
            Some((_, encoding)) => encoding,
            None => Encoding {
                white: if input.is_bytes() { 255.0 } else { 1.0 },
                channels: if planes == 1 {
                    Channels::Y
                } else {
                    Channels::Rgb
                },
                ..Encoding::default()
            },
        };
        if encoding.channels.count() != planes {
            let channels = encoding.channels.count();
            return Err(wrong(
                format!("{channels} planes, as models.toml says by channels"),
                format!("{planes} ({})", described()),
            ));
        }
        let told = known.map(|(known, _)| match known.input {
            InputKind::Picture => known.scale,
            InputKind::Interpolated => 1,
        });
        if let Some(told) = told
            && told != scale
        {
            let expected = format!("scale {told} of its own input, as models.toml says");
            return Err(wrong(expected, format!("scale {scale} ({})", described())));
        }
        let declared = |at: usize| {
            let side = input.shape.get(at).copied().unwrap_or(-1);
            usize::try_from(side).ok()
        };
        let fixed = match (declared(row), declared(column)) {
            (None, None) => None,
            // One that is free is what the warm-up run took.
            (height, width) => Some(Size::new(
                width.unwrap_or(ran[column]),
                height.unwrap_or(ran[row]),
            )),
        };
        Ok(Self {
            layout,
            encoding,
            scale,
            stride: known.and_then(|(known, _)| known.stride).unwrap_or(1),
            fixed,
            batch: declared(0),
            radius,
        })
    }
}
