//! srfusion, the engine: upscales RGB frames four times with a general and a face super-resolution network and fuses them,
//!
//! ```text
//! I_fusion = w * I_face + (1 - w) * I_general                                   (1), (3)
//! ```
//!
//! where `w` is the padded face box convolved with a normalised Gaussian (2), smoothed over time.
//!
//! A frame flows through one room after the other:
//!
//! ```text
//! detect -> track -> mask -> plan -> generate -> fuse
//! `---------- decide ----------'   `----- draw -----'
//! ```
//!
//! [`track`], [`scene`], [`mask`], [`change`], [`reuse`], [`plan`], [`tile`] and [`fuse`] are pure; [`runtime`] alone talks to ONNX Runtime, [`model`] alone
//! reads model files. [`decide`] and [`draw`] own the two halves of the flow and its scratch memory; [`Upscaler`] runs them one after the
//! other, [`Flight`] side by side. Nothing here knows GStreamer.
//!
//! Equations (1) to (3) are those of "Super-resolution fusion of a general data set and a face data set" and of its
//! sister paper, SIVP 2020, doi 10.1007/s11760-020-01706-3.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod cancel;
pub mod draw;
mod error;
pub mod find;
pub mod flow;
pub mod follow;
pub mod keep;
pub mod mask;
pub mod metrics;
pub mod models;
mod notice;
pub mod open;
pub mod picture;
pub mod plan;
pub mod runtime;
mod settings;
pub mod testing;

pub use cancel::{Canceller, Interrupt};
pub use error::{Error, Result};
pub use find::{BBox, Detection};
pub use flow::{Flight, FrameInfo, LoadStep, ModelReport, Stats, Upscaler};
pub use follow::track::Face;
pub use notice::{Notice, Severity};
pub use picture::{Frame, FrameMut, Sample, Size};
pub use settings::{
    Config, DEFAULT_DETECTOR_MODEL, DEFAULT_FACE_MODEL, DEFAULT_GENERAL_MODEL, NO_MODEL,
    Parameters, Precision, Provider, Reuse, View,
};

/// Output pixels per input pixel along each side.
pub const SCALE: usize = 4;
