//! What there is time for first, and what a cell may show where there is none.

/// In which order what is wanted is drawn where there is no time for all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Class {
    /// It moves, and was drawn by the general network before: what was sharp stays so.
    #[default]
    MovingSharp,
    /// It moves, and was drawn by less.
    Moving,
    /// It stands still and was drawn by less than the general network for lack of time.
    Owed,
    /// It stands still and was drawn of pixels that differ by noise. What there is no time for stays as it is.
    Refresh,
}

/// What a cell of the general picture was drawn by, from nothing to the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Rung {
    /// Nothing yet.
    #[default]
    Blank,
    /// Interpolation.
    Interpolated,
    /// The fast generator.
    Fast,
    /// The general generator.
    Full,
}

/// Frames from a change of a cell's rung to the next: a cell goes up no sooner, and down only where there is no time for anything else.
/// A third of a second at 25 frames a second: quality is back within the two seconds after a load, and what flickers so slowly
/// is seen as a change, not as flicker.
pub const REFINE: u64 = 8;

/// What a cell asks for that is wanted better than it is there, or not there at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Index of the cell.
    pub cell: usize,
    /// Its class, and its place among the cells of that: least first.
    pub turn: (Class, u64),
    /// What it was drawn by last.
    pub rung: Rung,
    /// Whether what was drawn last may be shown again: then nothing must be drawn.
    pub there: bool,
    /// Whether it may be drawn by more than last time already.
    pub rises: bool,
}
