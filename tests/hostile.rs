//! Catalogues that are damaged or made up: each is read, or refused with one line that names the file.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use proptest::prelude::*;
use srfusion::models::{CATALOGUE_FILE, Catalogue};
use srfusion::testing::{ByteChange, changed};
use srfusion::{Config, Upscaler};

#[path = "support/cases.rs"]
mod cases;
use cases::cases;

proptest! {
    #![proptest_config(cases(250))]

    #[test]
    fn hostile_catalogues_are_read_or_refused(tiny in any::<bool>(), changes in prop::collection::vec(any::<ByteChange>(), 0..8)) {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join(if tiny { "models/tiny" } else { "models" });
        let text = std::fs::read(models.join(CATALOGUE_FILE)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(CATALOGUE_FILE), changed(&text, &changes)).unwrap();
        match Catalogue::load(folder.path()) {
            Ok(catalogue) => {
                for entry in catalogue.entries() {
                    // Of a name that leads elsewhere no file is opened.
                    prop_assert!(!entry.file.contains('/'), "{}", entry.file);
                }
            }
            Err(error) => {
                let told = error.to_string();
                prop_assert!(told.contains(CATALOGUE_FILE) && !told.contains('\n'), "{}", told);
            }
        }
        let config = Config { models_dir: Some(folder.path().to_owned()), ..Config::default() };
        prop_assert!(Upscaler::check(&config).is_err(), "there is no model in that folder");
    }
}
