//! The settings that are a choice among names. Each is spelt here once.

use crate::error::{Error, Result};

/// Where a network runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Provider {
    /// The first of the others that works.
    #[default]
    Auto,
    /// NVIDIA TensorRT.
    TensorRt,
    /// NVIDIA CUDA.
    Cuda,
    /// Intel OpenVINO.
    OpenVino,
    /// ONNX Runtime's own kernels.
    Cpu,
}

impl Provider {
    /// Every value.
    pub const ALL: [Self; 5] = [
        Self::Auto,
        Self::TensorRt,
        Self::Cuda,
        Self::OpenVino,
        Self::Cpu,
    ];
    /// What `auto` tries, in order.
    pub const ORDER: [Self; 4] = [Self::TensorRt, Self::Cuda, Self::OpenVino, Self::Cpu];

    /// Name as the element's property spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::TensorRt => "tensorrt",
            Self::Cuda => "cuda",
            Self::OpenVino => "openvino",
            Self::Cpu => "cpu",
        }
    }

    /// What it computes in where `asked` is the setting: single or half, never `Auto`.
    pub(crate) const fn precision(self, asked: Precision) -> Precision {
        match (self, asked) {
            (Self::TensorRt, Precision::Auto) | (_, Precision::Fp16) => Precision::Fp16,
            _ => Precision::Fp32,
        }
    }

    /// Whether computing in `precision` loses what the model's file has, so that single precision may mend a result.
    pub(crate) const fn reduces(self, precision: Precision) -> bool {
        matches!((self, precision), (Self::TensorRt, Precision::Fp16))
    }

    /// The providers to try for this choice.
    pub fn candidates(self) -> Vec<Self> {
        if self == Self::Auto {
            Self::ORDER.to_vec()
        } else {
            vec![self]
        }
    }
}

impl std::fmt::Display for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Provider {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|p| p.name() == name)
            .ok_or_else(|| Error::Setting {
                name: "provider".into(),
                expected: Self::ALL.map(Self::name).join(", "),
                found: name.to_owned(),
            })
    }
}

/// Arithmetic that the networks may be run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Half precision where the provider gains by it (TensorRT), single elsewhere.
    #[default]
    Auto,
    /// Single precision.
    Fp32,
    /// Half precision; providers that cannot are refused.
    Fp16,
}

impl Precision {
    /// Name as the element's property spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Fp32 => "fp32",
            Self::Fp16 => "fp16",
        }
    }
}

/// What the output frame shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    /// The fused picture, equation (1).
    #[default]
    Fused,
    /// The general generator's picture.
    General,
    /// The face generator's picture, over the whole frame.
    Face,
    /// The mask w as grey, 0 black and 1 white.
    Mask,
    /// Bicubic on the left, fused on the right, a white line between.
    Split,
    /// Bicubic interpolation, for comparison.
    Bicubic,
}

/// Which results of earlier frames may stand for new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reuse {
    /// None: every frame is drawn anew.
    None,
    /// Those whose input pixels, context included, are the same to the bit. Does not change the picture.
    #[default]
    Exact,
    /// Those whose input pixels differ from what they were made of by no more than the camera's noise.
    Tolerant,
}

impl Reuse {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::None, Self::Exact, Self::Tolerant];

    /// Name as the element's property spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Exact => "exact",
            Self::Tolerant => "tolerant",
        }
    }
}
