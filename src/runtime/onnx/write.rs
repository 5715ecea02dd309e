//! Writes parts of an ONNX file: nodes, tensors, and what goes in and comes out.

use super::protobuf::{
    ATTRIBUTE, DATA_TYPE, INITIALIZER, NODE, OPERATOR, TENSOR_NAME, put_float, put_message,
    put_number,
};

/// A value of a node, with its name.
pub(super) enum AttributeValue<'a> {
    Int(&'a str, u64),
    Ints(&'a str, &'a [u64]),
    Float(&'a str, f32),
    Text(&'a str, &'a str),
}

impl AttributeValue<'_> {
    fn written(&self) -> Vec<u8> {
        let mut written = Vec::new();
        let mut name = |name: &str| put_message(&mut written, 1, name.as_bytes());
        let kind = match self {
            Self::Float(key, value) => {
                name(key);
                put_float(&mut written, 2, *value);
                1
            }
            Self::Int(key, value) => {
                name(key);
                put_number(&mut written, 3, *value);
                2
            }
            Self::Text(key, value) => {
                name(key);
                put_message(&mut written, 4, value.as_bytes());
                3
            }
            Self::Ints(key, values) => {
                name(key);
                for value in *values {
                    put_number(&mut written, 8, *value);
                }
                7
            }
        };
        put_number(&mut written, 20, kind);
        written
    }
}

/// Adds to the graph `out` a node that runs `operator`; an input without a name is left out.
pub(super) fn put_node(
    out: &mut Vec<u8>,
    operator: &str,
    inputs: &[&str],
    output: &str,
    attributes: &[AttributeValue<'_>],
) {
    let mut node = Vec::new();
    for input in inputs {
        put_message(&mut node, 1, input.as_bytes());
    }
    put_message(&mut node, 2, output.as_bytes());
    put_message(&mut node, 3, format!("{output}_{operator}").as_bytes());
    put_message(&mut node, OPERATOR, operator.as_bytes());
    for attribute in attributes {
        put_message(&mut node, ATTRIBUTE, &attribute.written());
    }
    put_message(out, NODE, &node);
}

/// Adds to the graph `out` the constant `name`, whose elements of type `element` are `data`, least byte first.
pub(super) fn put_tensor(out: &mut Vec<u8>, name: &str, element: u64, sides: &[u64], data: &[u8]) {
    let mut tensor = Vec::with_capacity(data.len() + name.len() + 64);
    for side in sides {
        put_number(&mut tensor, 1, *side);
    }
    put_number(&mut tensor, DATA_TYPE, element);
    put_message(&mut tensor, TENSOR_NAME, name.as_bytes());
    put_message(&mut tensor, 9, data);
    put_message(out, INITIALIZER, &tensor);
}

/// A declared input or output; sides as they are written.
pub(super) fn port(name: &str, element: u64, sides: &[&[u8]]) -> Vec<u8> {
    let (mut shape, mut tensor, mut kind, mut port) = (vec![], vec![], vec![], vec![]);
    for side in sides {
        put_message(&mut shape, 1, side);
    }
    put_number(&mut tensor, 1, element);
    put_message(&mut tensor, 2, &shape);
    put_message(&mut kind, 1, &tensor);
    put_message(&mut port, 1, name.as_bytes());
    put_message(&mut port, 2, &kind);
    port
}
