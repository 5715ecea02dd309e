//! Tests of the element from outside, with the harness, in real pipelines and in processes of their own.
//!
//! The networks are the tiny ones of models/tiny, whose results are known by heart; `shipped` runs the real ones. ONNX
//! Runtime is found as the element finds it (`ORT_DYLIB_PATH`, or what `scripts/setup` installed).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
mod detail;
mod documentation;
mod faces;
mod faults;
mod flight;
mod formats;
mod frames;
mod hostile;
mod kinds;
mod lifecycle;
mod live;
#[path = "../../../tests/support/logo.rs"]
mod logo;
mod many;
mod marks;
mod negotiation;
mod networks;
mod pipeline;
mod process;
mod properties;
mod record;
mod reliability;
mod shipped;
mod soak;
mod streams;
