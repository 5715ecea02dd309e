//! What of earlier frames still holds: comparison, noise, cells and regions. Pure.

pub mod cells;
pub(crate) mod compare;
pub(crate) mod ledger;
