//! What a caller is told of the models.

use std::path::PathBuf;
use std::sync::Arc;

use crate::draw::{ModelOrigin, Transfer};
use crate::origin::FrameRecord;
use crate::settings::{ObjectKind, Provider};

/// A step of opening the models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadStep {
    /// What the model is for: `general model`, `face model` or `detector model`; of other kinds of objects such as `text model`.
    pub role: &'static str,
    /// Its name or path.
    pub model: String,
    /// Steps done before this one.
    pub index: usize,
    /// Steps in all.
    pub count: usize,
}

/// What runs where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelReport {
    /// What the model is for, as in [`LoadStep::role`].
    pub role: &'static str,
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Where it runs.
    pub provider: Provider,
    /// Providers tried before, each with the reason why it was not taken.
    pub refused: Vec<(Provider, String)>,
    /// Receptive radius in input pixels; 0 for a detector.
    pub receptive_radius: usize,
    /// How pictures get to it and back.
    pub transfer: Transfer,
    /// What its file is.
    pub origin: ModelOrigin,
}

/// What is told of a frame that is done, for a record: see [`crate::record`].
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// What was decided on it, and what drew it.
    pub frame: FrameRecord,
    /// What ran where.
    pub models: Vec<ModelReport>,
    /// The kinds of objects.
    pub kinds: Arc<[ObjectKind]>,
}
