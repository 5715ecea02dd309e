//! What the models of a configuration are for, as reports and messages say it.

/// Role of the general generator in reports and messages.
pub const GENERAL: &str = "general model";
/// Role of the generator for what the general one has no time for.
pub const FAST: &str = "fast general model";
/// Role of the face generator in reports and messages.
pub const FACE: &str = "face model";
/// Role of the face detector in reports and messages.
pub const DETECTOR: &str = "detector model";
/// Role of the face embedding network in reports and messages.
pub const IDENTITY: &str = "identity model";
