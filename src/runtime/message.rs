//! What the runtime's messages mean.

use crate::error::Error;

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
}
