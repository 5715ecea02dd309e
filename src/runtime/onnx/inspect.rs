//! What can be seen in a model's file without the runtime.

use super::protobuf::{
    DATA_TYPE, FLOAT16, Fields, GRAPH, INITIALIZER, NODE, OPERATOR, WireField, all, bytes_of,
    messages,
};

/// Whether any weight in the file `model` is a 16-bit float: the network then computes in half precision, whatever its inputs
/// and outputs are.
pub(in crate::runtime) fn has_half(model: &[u8]) -> bool {
    messages(model, GRAPH)
        .flat_map(|graph| messages(graph, INITIALIZER))
        .any(|tensor| {
            Fields(tensor).any(|(number, field)| {
                number == DATA_TYPE && matches!(field, WireField::Number(FLOAT16))
            })
        })
}

/// Whether the file `model` is one that a provider wrote in place of a network that it compiled.
pub(in crate::runtime) fn is_context(model: &[u8]) -> bool {
    all(model).is_ok_and(|fields| {
        bytes_of(&fields, GRAPH)
            .flat_map(|graph| messages(graph, NODE))
            .any(|node| messages(node, OPERATOR).any(|name| name == b"EPContext"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_seen_in_the_file() {
        let tiny = |name: &str| {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny");
            std::fs::read(folder.join(name)).unwrap()
        };
        let half = tiny("half-x4.onnx");
        assert!(has_half(&half));
        assert!(!has_half(&tiny("bicubic-x4.onnx")));
        assert!(!has_half(&tiny("rubbish.onnx")));
        // Cut anywhere, it is still read without harm.
        for end in 0..half.len().min(600) {
            has_half(&half[..end]);
        }
        assert!(!has_half(&[]) && !has_half(&[0xff; 40]));
    }
}
