//! What a caller is told of the models.

use std::path::PathBuf;

use crate::draw::Transfer;
use crate::settings::Provider;

/// A step of opening the models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadStep {
    /// What the model is for: `general model`, `face model` or `detector model`.
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
    /// sha256 of that file, in lower-case hexadecimal.
    pub sha256: String,
    /// Where it runs.
    pub provider: Provider,
    /// Providers tried before, each with the reason why it was not taken.
    pub refused: Vec<(Provider, String)>,
    /// Receptive radius in input pixels; 0 for a detector.
    pub receptive_radius: usize,
    /// How pictures get to it and back.
    pub transfer: Transfer,
}
