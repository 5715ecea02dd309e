//! The only room that talks to ONNX Runtime: finds and loads its library, opens models on execution providers, runs them.
//!
//! [`library`] loads it once per process; [`provider`] knows the providers and their options; `engine` opens and runs one
//! model; `shared` keeps one session for all that ask for the same; `cache` the folders for what providers compile; `fault`
//! reads the runtime's messages and judges results; `onnx` looks into a file and rewrites it; `binding` keeps the memory of a
//! device's inputs and outputs; [`session`] is what the rest of the engine sees.

mod binding;
pub mod cache;
mod engine;
mod fault;
pub mod library;
mod onnx;
pub mod provider;
pub mod session;
mod shared;
#[cfg(test)]
mod stand_in;
mod upgrade;

pub use shared::{Build, open_sessions};
