//! Faults of a network's run: what the runtime's messages mean, and which results cannot be believed.

use crate::error::Error;
use crate::find::decode::Output;
use crate::picture::tensor::Encoding;

/// What ONNX Runtime's allocators, CUDA, cuDNN, cuBLAS, TensorRT and the C++ library say, in lower case, when memory is short.
const OUT_OF_MEMORY: &[&str] = &[
    "failed to allocate memory",
    "out of memory",
    "outofmemory",
    "smaller than requested bytes",
    "bad_alloc",
    "bad allocation",
    "status_alloc_failed",
    "cudaerrormemoryallocation",
    "insufficient memory",
];

/// The error for a `message` of the runtime: cancelled, out of memory, or any other.
pub(super) fn error(model: &str, message: String) -> Error {
    if message.contains("terminate flag") {
        return Error::Cancelled;
    }
    let lower = message.to_lowercase();
    let model = model.to_owned();
    if OUT_OF_MEMORY.iter().any(|words| lower.contains(words)) {
        Error::OutOfMemory { model, message }
    } else {
        Error::Inference { model, message }
    }
}

/// A result that half precision may have spoilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoilt {
    /// Values that are infinite or not numbers.
    NotFinite,
    /// Black everywhere, though the input is not.
    Black,
}

impl Spoilt {
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
) -> Option<Spoilt> {
    if !outputs
        .iter()
        .all(|output| crate::picture::tensor::all_finite(output.values))
    {
        return Some(Spoilt::NotFinite);
    }
    let [output] = outputs else { return None };
    // A quarter of a step of 255 for the output, eight steps for the input: noise alone is neither.
    let unlike = |values: &[f32], steps: f32| {
        let least = (encoding.white - encoding.black).abs() * steps / 255.0;
        values.iter().any(|v| (v - encoding.black).abs() > least)
    };
    (black && !unlike(output.values, 0.25) && unlike(input, 8.0)).then_some(Spoilt::Black)
}

/// As [`judge`] for pictures in bytes, and the means of the rows of what they were rounded from.
pub(super) fn judge_bytes(
    input: &[u8],
    output: &[u8],
    means: &[f32],
    black: bool,
) -> Option<Spoilt> {
    if !crate::picture::tensor::all_finite(means) {
        return Some(Spoilt::NotFinite);
    }
    let is_black = black && output.iter().all(|v| *v == 0) && input.iter().any(|v| *v > 8);
    is_black.then_some(Spoilt::Black)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_about_memory_are_told_from_others() {
        for message in [
            "Non-zero status code returned while running Conv node. Name:'/body/0/Conv' Status Message: bfc_arena.cc:376 \
             AllocateRawInternal Failed to allocate memory for requested buffer of size 943718400",
            "Available memory of 1048576 is smaller than requested bytes of 943718400",
            "CUDA failure 2: out of memory ; GPU=0 ; hostname=a ; expr=cudaMalloc((void**)&p, size);",
            "CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED ; GPU=0",
            "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED",
            "Non-zero status code returned while running FusedConv node. Status Message: std::bad_alloc",
            "[E] IExecutionContext: Error Code 2: OutOfMemory (Requested size was 943718400 bytes.)",
        ] {
            assert!(
                matches!(error("m", message.into()), Error::OutOfMemory { .. }),
                "{message}"
            );
        }
        for message in [
            "Invalid rank for input: input Got: 2 Expected: 4",
            "Non-zero status code returned while running Conv node: kernel shape is wrong",
        ] {
            assert!(
                matches!(error("m", message.into()), Error::Inference { .. }),
                "{message}"
            );
        }
        assert!(matches!(
            error(
                "m",
                "Exiting due to terminate flag being set to true.".into()
            ),
            Error::Cancelled
        ));
    }

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
            Some(Spoilt::NotFinite)
        );
        assert_eq!(
            see(&[0.0, f32::INFINITY, 0.0], &grey, true),
            Some(Spoilt::NotFinite)
        );
        assert_eq!(see(&[0.0; 3], &grey, true), Some(Spoilt::Black));
        assert_eq!(see(&[0.0; 3], &grey, false), None);
        assert_eq!(see(&[0.0; 3], &dark, true), None);
        assert_eq!(see(&[0.0, 0.4, 0.0], &grey, true), None);
    }

    #[test]
    fn black_and_infinite_results_are_seen_in_bytes_too() {
        let (dark, grey) = ([0, 8, 3], [0, 128, 0]);
        assert_eq!(
            judge_bytes(&dark, &[1; 3], &[0.5, f32::NAN], false),
            Some(Spoilt::NotFinite)
        );
        let black = |input: &[u8], output: &[u8], black| judge_bytes(input, output, &[0.1], black);
        assert_eq!(black(&grey, &[0; 3], true), Some(Spoilt::Black));
        assert_eq!(black(&grey, &[0; 3], false), None);
        assert_eq!(black(&dark, &[0; 3], true), None);
        assert_eq!(black(&grey, &[0, 1, 0], true), None);
    }
}
