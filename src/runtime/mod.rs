//! The only room that talks to ONNX Runtime: finds and loads its library, opens models on execution providers, runs them.

pub mod library;
pub mod mock;
pub mod provider;
pub mod session;
