//! How many cases tests with hostile input try, and which. `scripts/fuzz` runs them for as long as one likes, by proptest's own variables.

use proptest::test_runner::{Config, RngSeed};

/// `cases` of a sequence that is always the same, unless proptest's variables say otherwise.
pub fn cases(cases: u32) -> Config {
    let is_set = |name| std::env::var_os(name).is_some();
    let mut config = Config::default();
    if !is_set("PROPTEST_CASES") {
        config.cases = cases;
    }
    if !is_set("PROPTEST_RNG_SEED") {
        config.rng_seed = RngSeed::Fixed(0x5eed);
    }
    config
}
