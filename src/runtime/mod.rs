//! The only room, with [`crate::open`], that talks to ONNX Runtime: finds and loads its library, opens models on execution
//! providers, runs them.
//!
//! [`library`] loads it once per process; [`provider`] knows the providers and their options; `engine` opens models and `model` runs
//! one, behind the traits of `backend`; `loader` opens on one provider, `choice` finds the provider, `upgrade` makes a better one ready
//! in the background; `sharing` keeps one session for all that ask for the same; `cache` the folders for what providers compile;
//! `message` reads the runtime's words and `precision` judges results; `onnx` looks into a file, rewrites it, and makes one of other formats; `gpu` keeps the memory
//! of a device's inputs and outputs; [`session`] is what the rest of the engine sees.

mod backend;
pub mod cache;
mod choice;
mod control;
mod engine;
mod fair_lock;
mod gpu;
mod io_mode;
pub mod library;
mod loader;
mod message;
mod model;
mod onnx;
mod port;
mod precision;
pub mod provider;
mod purpose;
pub mod session;
mod session_key;
mod sharing;
mod tensor;
mod try_provider;
mod upgrade;

pub use onnx::{Converted, ncnn_to_onnx};
pub(crate) use onnx::{GraphReach, graph_reach, mix, mix_int8};
pub use port::{Port, describe};
pub use purpose::Purpose;
pub use session::Network;
pub use sharing::{Build, open_sessions};
pub use try_provider::try_provider;
