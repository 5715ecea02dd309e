//! Which results of a network cannot be believed, and that half precision may have spoilt.

use crate::find::decode::Output;
use crate::picture::Encoding;
use crate::picture::tensor::all_finite;

/// A result that half precision may have spoilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    /// Values that are infinite or not numbers.
    NotFinite,
    /// Black everywhere, though the input is not.
    Black,
}

impl Defect {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::NotFinite => "its output has values that are not finite numbers",
            Self::Black => "its output is black, though its input is not",
        }
    }
}

/// Looks at what a network made of `input`. Blackness is asked of a single output alone, a picture in `encoding`, and only if
/// `black` is set: single precision may well give black.
pub(super) fn judge(
    input: &[f32],
    outputs: &[Output<'_>],
    encoding: Encoding,
    black: bool,
) -> Option<Defect> {
    if !outputs.iter().all(|output| all_finite(output.values)) {
        return Some(Defect::NotFinite);
    }
    let [output] = outputs else { return None };
    // A quarter of a step of 255 for the output, eight steps for the input: noise alone is neither.
    let unlike = |values: &[f32], steps: f32| {
        let least = (encoding.white - encoding.black).abs() * steps / 255.0;
        values.iter().any(|v| (v - encoding.black).abs() > least)
    };
    (black && !unlike(output.values, 0.25) && unlike(input, 8.0)).then_some(Defect::Black)
}

/// As [`judge`] for pictures in bytes, and the means of the rows of what they were rounded from.
pub(super) fn judge_bytes(
    input: &[u8],
    output: &[u8],
    means: &[f32],
    black: bool,
) -> Option<Defect> {
    if !all_finite(means) {
        return Some(Defect::NotFinite);
    }
    let is_black = black && output.iter().all(|v| *v == 0) && input.iter().any(|v| *v > 8);
    is_black.then_some(Defect::Black)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn black_and_infinite_results_are_seen() {
        let encoding = Encoding::default();
        let shape = [1, 3, 1, 1];
        let see = |values: &[f32], input: &[f32], black| {
            let output = Output {
                name: "picture",
                shape: &shape,
                values,
            };
            judge(input, &[output], encoding, black)
        };
        let (dark, grey) = ([0.0, 0.01, 0.0], [0.0, 0.5, 0.0]);
        assert_eq!(
            see(&[0.0, f32::NAN, 0.0], &dark, false),
            Some(Defect::NotFinite)
        );
        assert_eq!(
            see(&[0.0, f32::INFINITY, 0.0], &grey, true),
            Some(Defect::NotFinite)
        );
        assert_eq!(see(&[0.0; 3], &grey, true), Some(Defect::Black));
        assert_eq!(see(&[0.0; 3], &grey, false), None);
        assert_eq!(see(&[0.0; 3], &dark, true), None);
        assert_eq!(see(&[0.0, 0.4, 0.0], &grey, true), None);
    }

    #[test]
    fn black_and_infinite_results_are_seen_in_bytes_too() {
        let (dark, grey) = ([0, 8, 3], [0, 128, 0]);
        assert_eq!(
            judge_bytes(&dark, &[1; 3], &[0.5, f32::NAN], false),
            Some(Defect::NotFinite)
        );
        let black = |input: &[u8], output: &[u8], black| judge_bytes(input, output, &[0.1], black);
        assert_eq!(black(&grey, &[0; 3], true), Some(Defect::Black));
        assert_eq!(black(&grey, &[0; 3], false), None);
        assert_eq!(black(&dark, &[0; 3], true), None);
        assert_eq!(black(&grey, &[0, 1, 0], true), None);
    }
}
