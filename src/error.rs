//! What can go wrong in the engine: one enum, whose messages name the thing at fault, what was expected and what was found.

use std::path::PathBuf;

/// Result of every fallible function of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything the engine can report. Each message ends with a way on where there is one.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file, folder or catalogue entry is not there or cannot be read.
    #[error("{what} not found: {path}: {reason}")]
    NotFound {
        /// What was looked for, for instance `general model`.
        what: String,
        /// Where it was looked for, or its name.
        path: String,
        /// The cause, and what would cure it.
        reason: String,
    },
    /// A file is there, but is damaged or not the one that the catalogue describes.
    #[error("{path} is not the file expected: expected {expected}, found {found}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// For instance the sha256 of the catalogue.
        expected: String,
        /// What the file has instead.
        found: String,
    },
    /// A model loads, but its inputs, outputs or scale do not fit its role.
    #[error("model {model} does not fit its role: expected {expected}, found {found}")]
    Contract {
        /// Name or path of the model.
        model: String,
        /// The tensor or quantity, and what it should be.
        expected: String,
        /// What the model declares or does.
        found: String,
    },
    /// The ONNX Runtime library cannot be found, loaded or used.
    #[error("ONNX Runtime cannot be used: {0}")]
    Runtime(String),
    /// No execution provider that was allowed could open the model.
    #[error("model {model} cannot run on {requested}: {reasons}")]
    Provider {
        /// Name or path of the model.
        model: String,
        /// The provider asked for, or `auto`.
        requested: String,
        /// Each provider tried, and why it was refused.
        reasons: String,
    },
    /// A frame or buffer has a size that the call cannot take.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// Which frame or buffer.
        what: String,
        /// The size needed.
        expected: String,
        /// The size given.
        found: String,
    },
    /// A setting is out of its range or contradicts another.
    #[error("setting {name}: expected {expected}, found {found}")]
    Setting {
        /// Name of the setting, spelt as the element's property.
        name: String,
        /// The values allowed.
        expected: String,
        /// The value given.
        found: String,
    },
    /// The runtime failed while a network ran.
    #[error("model {model} failed on a frame: {message}")]
    Inference {
        /// Name or path of the model.
        model: String,
        /// The runtime's own words, or what is wrong with the result.
        message: String,
    },
    /// Memory, of the machine or of its accelerator, did not suffice for one run of a network. A smaller tile may do.
    #[error("model {model} ran out of memory: {message}; a smaller tile-size needs less")]
    OutOfMemory {
        /// Name or path of the model.
        model: String,
        /// The runtime's own words.
        message: String,
    },
    /// The system has no memory for something of the size of a frame or a tile.
    #[error(
        "{what}: expected {bytes} bytes of memory, found none; smaller frames, or fewer in flight, need less"
    )]
    Memory {
        /// What it was for.
        what: String,
        /// How much was asked for.
        bytes: usize,
    },
    /// The system gives no thread to work in.
    #[error(
        "{what}: expected a thread from the system, found {reason}; a higher limit of processes (ulimit -u) may do"
    )]
    Thread {
        /// What it was for.
        what: String,
        /// The system's own words.
        reason: String,
    },
    /// A fault of srfusion itself: something panicked, or ended that never ends.
    #[error("{0}; that is a fault of srfusion: please report it with this message")]
    Internal(String),
    /// The work was cancelled by its owner; not a fault.
    #[error("cancelled")]
    Cancelled,
}
