//! The little that is done to an ONNX file without the runtime: looking into it, and rewriting a generator so that packed 8-bit
//! pictures go in and come out. Pure.

mod bytes;
mod external;
#[cfg(test)]
mod hostile;
mod inspect;
mod protobuf;
mod radius;

pub(super) use bytes::byte_graph;
pub(super) use external::check_external;
pub(super) use inspect::{has_half, is_context};
pub(crate) use radius::{GraphReach, graph_reach};
