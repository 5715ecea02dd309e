//! What a user may choose: plain values with their names, ranges and defaults. Knows nothing of the rest of the engine.

mod choices;
mod roles;
mod values;

pub use choices::{Precision, Provider, Reuse, View};
pub use roles::{DETECTOR, FACE, GENERAL};
pub(crate) use values::is_none;
pub use values::{
    Config, DEFAULT_DETECTOR_MODEL, DEFAULT_FACE_MODEL, DEFAULT_GENERAL_MODEL, NO_MODEL, Parameters,
};
