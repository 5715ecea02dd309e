//! Follows objects from frame to frame: association, smoothing, hold and fade, scene cuts, and the clock they all go by. Pure.

pub(crate) mod clock;
pub(crate) mod guard;
mod outline;
pub(crate) mod scene;
pub(crate) mod track;

pub use scene::SceneCut;
pub use track::Face;
