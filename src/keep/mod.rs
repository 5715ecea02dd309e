//! What of earlier frames still holds: comparison, noise and movement, the mean of what stands still, the books of cells and regions, and the pixels to them.

pub(crate) mod cells;
pub(crate) mod class;
pub(crate) mod compare;
pub(crate) mod ledger;
pub(crate) mod movement;
pub(crate) mod noise;
pub(crate) mod regions;
pub(crate) mod steady;
pub(crate) mod store;
