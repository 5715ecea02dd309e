//! What the engine counts and times while it works.

use std::time::Duration;

/// Counters since the models were opened. Durations are sums over all frames unless said otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Frames given to the engine.
    pub frames_in: u64,
    /// Frames finished.
    pub frames_out: u64,
    /// Faces in the last frame.
    pub faces: u64,
    /// Frames that had at least one face.
    pub frames_with_faces: u64,
    /// Tiles that cover the frames, general and face.
    pub tiles_total: u64,
    /// Tiles that a network ran for.
    pub tiles_run: u64,
    /// Output pixels that the face generator drew into.
    pub face_pixels: u64,
    /// Time in the detector, letterbox and suppression included.
    pub detect: Duration,
    /// Time in the general generator.
    pub general: Duration,
    /// Time in the face generator.
    pub face: Duration,
    /// Time fusing and writing samples.
    pub fuse: Duration,
    /// Time for whole frames.
    pub total: Duration,
    /// Time for the last frame.
    pub last: Duration,
}
