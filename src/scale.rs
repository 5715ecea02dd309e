//! The one factor by which everything is enlarged.

/// Output pixels per input pixel along each side.
pub const SCALE: usize = 4;
