//! Follows objects from frame to frame: association, smoothing, hold and fade, scene cuts. Pure.

pub(crate) mod scene;
pub(crate) mod track;
