//! srfusion, the engine: upscales frames four times with a general and a face super-resolution network and fuses them,
//!
//! ```text
//! I_fusion = w * I_face + (1 - w) * I_general                                   (1), (3)
//! ```
//!
//! where `w` is the padded face box convolved with a normalised Gaussian (2), smoothed over time.
//!
//! A frame flows through one room after the other, and none looks back:
//!
//! ```text
//! find -> follow -> mask -> plan -> draw
//! `--------- decide ---------'
//! ```
//!
//! `find` to `plan` decide what is drawn and by what, `draw` does it; `keep` remembers what of earlier frames still holds; `flow` runs the
//! two halves one after the other ([`Upscaler`]) or side by side ([`Flight`]). All these are pure, behind the traits [`Generator`] and
//! [`Detector`]. `settings` and `picture` are what they speak of. [`models`] knows model files, [`runtime`] alone talks to ONNX Runtime,
//! [`open`] makes generators and detectors of the two. Nothing here knows GStreamer.
//!
//! Equations (1) to (3) are those of "Super-resolution fusion of a general data set and a face data set" and of its
//! sister paper, SIVP 2020, doi 10.1007/s11760-020-01706-3.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod bounded;
mod cancel;
mod detail;
mod draw;
mod error;
mod find;
mod flow;
mod folders;
mod follow;
mod keep;
mod mask;
mod memory;
pub mod models;
mod notice;
pub mod open;
mod origin;
mod picture;
mod plan;
pub mod record;
pub mod runtime;
mod scale;
pub mod settings;
pub mod testing;

pub use cancel::{Canceller, Interrupt};
pub use draw::{
    ByteLayout, Embedder, FACE_SIDE, FaceCrops, Generator, ModelOrigin, NetworkFile, Staging,
    Transfer, cosine,
};
pub use error::{Error, Result};
pub use find::{BBox, Detection, Detector, Family, InputSpec, InstanceMask, Points};
pub use flow::{
    Expert, Finished, Flight, FrameInfo, GivenDetection, KindStats, LoadStep, MAX_DEPTH,
    ModelReport, Recorded, Source, Stats, Target, Upscaler,
};
pub use follow::{Face, SceneCut};
pub use notice::{Notice, Severity};
pub use picture::{
    Channels, ChromaSite, ColourFamily, Component, Encoding, Format, Frame, FrameMemory, FrameMut,
    Matrix, PixelFormat, PixelLayout, Quantiser, Range, Rect, Sample, Size,
};
pub use plan::Shares;
pub use scale::SCALE;
pub use settings::{
    Config, DEFAULT_DETECTOR_MODEL, DEFAULT_FACE_MODEL, DEFAULT_FAST_MODEL, DEFAULT_GENERAL_MODEL,
    DETECTOR, FACE, FACES, FAST, GENERAL, IDENTITY, KindRules, MAX_KINDS, NO_MODEL, ObjectKind,
    Parameters, Precision, Provider, Reuse, Settings, View, detector_role, generator_role,
};
