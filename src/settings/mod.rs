//! What a user may choose: plain values with their names, ranges and defaults. Knows nothing of the rest of the engine.
//!
//! `values` holds the values with their defaults, `choices` those that are a choice among names, and `table` says of each value
//! what it is called, what it may be and when it may change: properties, options and documentation are made from that table. `value`
//! is one value of the table, whatever its kind. `kinds` is what there is to say of kinds of objects.

mod choices;
mod kinds;
mod roles;
mod table;
mod value;
mod values;

pub use choices::{Choice, Choices, Precision, Provider, Reuse, View};
pub use kinds::{
    FACES, GENERAL_SUBJECT, KindRules, MAX_KINDS, ObjectKind, WantedKind, is_subject, wanted_kinds,
};
pub use roles::{
    DETECTOR, FACE, FAST, GENERAL, IDENTITY, detector_role, generator_role, is_detector,
};
pub(crate) use table::no_identity_model;
pub use table::{Change, Group, SETTINGS, Setting, setting};
pub use value::{Kind, Value};
pub(crate) use values::is_none;
pub use values::{
    Config, DEFAULT_DETECTOR_MODEL, DEFAULT_FACE_MODEL, DEFAULT_FAST_MODEL, DEFAULT_GENERAL_MODEL,
    DEFAULT_OBJECTS, MAX_FRAMES_IN_FLIGHT, NO_MODEL, Parameters, Settings, StreamSettings,
};
