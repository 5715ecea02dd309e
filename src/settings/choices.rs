//! The settings that are a choice among names. Each choice is spelt in this file once: the engine's enumerations, the plugin's and
//! the command's words are made from `choices!`.

use crate::error::{Error, Result};

/// One value of a setting that is a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// As it is typed.
    pub name: &'static str,
    /// What it means, one phrase.
    pub blurb: &'static str,
}

/// An enumeration whose values have names.
pub trait Choices: Copy + PartialEq + Sized + 'static {
    /// Name of the setting.
    const SETTING: &'static str;
    /// Every value, in the order in which they are shown.
    const ALL: &'static [Self];
    /// Names and meanings, in the same order.
    const CHOICES: &'static [Choice];

    /// Name as it is typed.
    fn name(self) -> &'static str {
        let place = Self::ALL.iter().position(|value| *value == self);
        place.map_or("", |place| Self::CHOICES[place].name)
    }

    /// The value of this name.
    ///
    /// # Errors
    /// [`Error::Setting`] that lists all names.
    fn named(name: &str) -> Result<Self> {
        let place = Self::CHOICES.iter().position(|choice| choice.name == name);
        let value = place.and_then(|place| Self::ALL.get(place).copied());
        value.ok_or_else(|| Error::Setting {
            name: Self::SETTING.to_owned(),
            expected: names(Self::CHOICES),
            found: name.to_owned(),
        })
    }
}

/// The names of `choices`, for messages.
pub(super) fn names(choices: &[Choice]) -> String {
    let names: Vec<_> = choices.iter().map(|choice| choice.name).collect();
    names.join(", ")
}

/// Calls `$make!` with every choice: its documentation, the enumeration's name, the name of its GObject type, the setting, and for each
/// value its documentation, name, word and meaning. The plugin makes its own enumerations of it, because those of GObject need words
/// that are there when the compiler reads them.
#[doc(hidden)]
#[macro_export]
macro_rules! choices {
    ($make:ident) => {
        $make! {
            /// Execution provider: what computes the networks. All values exist on every machine; whether one can be used is tried.
            Provider "GstSrFusionProvider" "provider" {
                /// The first of the others that works.
                #[default]
                Auto "auto" "First that works of tensorrt, cuda, openvino, cpu",
                /// NVIDIA TensorRT.
                TensorRt "tensorrt" "NVIDIA TensorRT",
                /// NVIDIA CUDA.
                Cuda "cuda" "NVIDIA CUDA and cuDNN",
                /// Intel OpenVINO.
                OpenVino "openvino" "Intel OpenVINO",
                /// ONNX Runtime's own kernels.
                Cpu "cpu" "Processor",
            }
            /// Arithmetic of the networks.
            Precision "GstSrFusionPrecision" "precision" {
                /// Half precision where the provider gains by it (TensorRT), eight-bit numbers where the processor does and models.toml
                /// names a file of them, single precision elsewhere.
                #[default]
                Auto "auto" "Fewer bits where the provider gains by it",
                /// Single precision.
                Fp32 "fp32" "Single precision",
                /// Half precision; providers that cannot are refused.
                Fp16 "fp16" "Half precision, on providers that have it",
                /// Eight-bit numbers for pictures of 8 bits, where models.toml names a file of them; single precision elsewhere.
                Int8 "int8" "Eight-bit numbers, where the model has a file of them",
            }
            /// Which results of earlier frames may stand for new ones.
            Reuse "GstSrFusionReuse" "reuse" {
                /// None: every frame is drawn anew.
                None "none" "None: every frame is drawn anew",
                /// Those whose input pixels, context included, are the same to the bit. Does not change the picture.
                #[default]
                Exact "exact" "Where no pixel changed; the picture is the same",
                /// Those whose input pixels differ from what they were made of by no more than the camera's noise.
                Tolerant "tolerant" "Where pixels changed by no more than the camera's noise",
            }
            /// What the output frame shows.
            View "GstSrFusionView" "view" {
                /// The fused picture, equation (1).
                #[default]
                Fused "fused" "General picture with faces blended in",
                /// The general generator's picture.
                General "general" "General network over the whole frame",
                /// The face generator's picture, over the whole frame.
                Face "face" "Face network over the whole frame",
                /// The mask w as grey, 0 black and 1 white.
                Mask "mask" "Mask, white where the face network draws",
                /// Bicubic on the left, fused on the right, a white line between.
                Split "split" "Bicubic on the left, fused on the right",
                /// Bicubic interpolation, for comparison.
                Bicubic "bicubic" "Bicubic interpolation, no network",
            }
        }
    };
}

macro_rules! enumerations {
    ($(
        $(#[$about:meta])* $name:ident $type_name:tt $setting:tt {
            $( $(#[$attribute:meta])* $value:ident $word:tt $blurb:tt, )*
        }
    )*) => { $(
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub enum $name {
            $( $(#[$attribute])* $value, )*
        }

        impl $name {
            /// Every value.
            pub const ALL: [Self; [$( $word ),*].len()] = [$( Self::$value ),*];

            /// Name as the element's property spells it.
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$value => $word, )*
                }
            }
        }

        impl Choices for $name {
            const SETTING: &'static str = $setting;
            const ALL: &'static [Self] = &Self::ALL;
            const CHOICES: &'static [Choice] = &[$( Choice { name: $word, blurb: $blurb } ),*];
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;

            fn from_str(name: &str) -> Result<Self> {
                Self::named(name)
            }
        }
    )* };
}

choices!(enumerations);

impl Provider {
    /// What `auto` tries, in order.
    pub const ORDER: [Self; 4] = [Self::TensorRt, Self::Cuda, Self::OpenVino, Self::Cpu];

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_values_and_back() {
        fn check<T: Choices + std::fmt::Debug>() {
            assert_eq!(T::ALL.len(), T::CHOICES.len());
            for (value, choice) in T::ALL.iter().zip(T::CHOICES) {
                assert_eq!(value.name(), choice.name);
                assert_eq!(T::named(choice.name).unwrap(), *value);
                assert!(choice.blurb.len() > 5, "{value:?}");
            }
            let error = T::named("no-such").unwrap_err().to_string();
            for part in [T::SETTING, "no-such", T::CHOICES[1].name] {
                assert!(error.contains(part), "{part} is not in: {error}");
            }
        }
        check::<Provider>();
        check::<Precision>();
        check::<Reuse>();
        check::<View>();
    }
}
