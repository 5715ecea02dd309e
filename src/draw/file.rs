//! What the file of a network is.

use std::path::PathBuf;

/// What a model's file is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelOrigin {
    /// sha256 of the file, lower-case hexadecimal.
    pub sha256: String,
    /// Of a file in eight-bit numbers, the one in floats that stands in for it where pictures have more bits, and its sha256.
    pub floats: Option<(PathBuf, String)>,
    /// Licence, as models.toml has it.
    pub licence: Option<String>,
    /// What it was trained on, as models.toml has it.
    pub trained_on: Option<String>,
}

/// A network's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkFile {
    /// The network's name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What it is.
    pub origin: ModelOrigin,
}
