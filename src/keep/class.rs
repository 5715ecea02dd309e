//! What there is time for first.

/// In which order what is wanted is drawn where there is no time for all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Class {
    /// It moves, and was drawn by the network before: what was sharp stays so.
    #[default]
    MovingSharp,
    /// It moves.
    Moving,
    /// It stands still and was interpolated for lack of time.
    Owed,
    /// It stands still and was drawn of pixels that differ by noise.
    Refresh,
}
