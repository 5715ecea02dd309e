//! What a record needs to know of a frame when it comes in, kept with it until it goes out.

use std::sync::Arc;

use srfusion::Settings;
use srfusion::record::{Formats, GivenObject};

/// What is known of a frame when it comes in.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) pts: Option<u64>,
    pub(super) fresh: bool,
    pub(super) deadline: Option<u64>,
    pub(super) given: Option<Vec<GivenObject>>,
    pub(super) settings: Settings,
    pub(super) formats: Arc<Formats>,
    /// Whether samples have more than 8 bits on either side.
    pub(super) deep: bool,
}
