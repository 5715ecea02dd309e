//! What tests with hostile input share. `scripts/fuzz` runs them for as long as one likes, by proptest's own variables.

use proptest::prelude::*;

use super::ByteChange;

#[path = "../../tests/support/cases.rs"]
mod cases;
pub use cases::cases as config;

/// Up to eight changes to a file.
pub fn changes() -> impl Strategy<Value = Vec<ByteChange>> {
    prop::collection::vec(any::<ByteChange>(), 0..8)
}

/// Any float, with those that break arithmetic among them as often as others.
pub fn float() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -10.0_f32..700.0,
        2 => 0.0_f32..1.0,
        1 => any::<u32>().prop_map(f32::from_bits),
        2 => prop::sample::select(vec![
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::MAX,
            f32::MIN,
            f32::MIN_POSITIVE,
            1e-40,
            -0.0,
            1e9,
            -1e9,
        ]),
    ]
}
