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

pub mod cancel;
pub mod change;
pub mod config;
pub mod decide;
pub mod detect;
pub mod draw;
pub mod error;
pub mod flight;
pub mod frame;
pub mod fuse;
pub mod generate;
pub mod mask;
pub mod metrics;
pub mod model;
pub mod plan;
pub mod resample;
pub mod reuse;
pub mod runtime;
pub mod scene;
pub mod stats;
pub mod tensor;
pub mod tile;
pub mod track;
pub mod upscaler;
mod vector;

pub use cancel::Canceller;
pub use config::{
    Config, DEFAULT_DETECTOR_MODEL, DEFAULT_FACE_MODEL, DEFAULT_GENERAL_MODEL, NO_MODEL,
    Parameters, Precision, Reuse, View,
};
pub use detect::{BBox, Detection};
pub use error::{Error, Result};
pub use flight::Flight;
pub use frame::{Frame, FrameMut, Sample, Size};
pub use runtime::provider::Provider;
pub use stats::Stats;
pub use track::Face;
pub use upscaler::{FrameInfo, LoadStep, ModelReport, Upscaler};

/// Output pixels per input pixel along each side.
pub const SCALE: usize = 4;
