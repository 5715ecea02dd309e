//! The little that is done to an ONNX file without the runtime: looking into it, rewriting a generator so that packed 8-bit
//! pictures go in and come out, mixing the weights of two, and making one of a network in ncnn's format. Pure.

mod bytes;
mod external;
#[cfg(test)]
mod hostile;
mod inspect;
mod mix;
mod mix_int8;
mod ncnn;
mod protobuf;
mod radius;
mod write;

pub(super) use bytes::byte_graph;
pub(super) use external::check_external;
pub(super) use inspect::{has_half, is_context};
pub(crate) use mix::mix;
pub(crate) use mix_int8::mix_int8;
pub use ncnn::{Converted, ncnn_to_onnx};
pub(crate) use radius::{GraphReach, graph_reach};
