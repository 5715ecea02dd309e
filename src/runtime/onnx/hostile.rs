//! Damaged and made-up ONNX files: whatever is read of them, nothing panics, and what is written is bounded.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::picture::{Channels, Encoding};
use crate::testing::changed;
use crate::testing::hostile::{changes, config};

/// Small files of every kind, and a damaged one.
static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny");
    let listed = std::fs::read_dir(&folder).unwrap();
    let mut files: Vec<PathBuf> = listed.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "onnx"));
    files.sort();
    files
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
});

/// Reads `model` in every way.
fn read(model: &[u8]) {
    has_half(model);
    is_context(model);
    for scale in [1, 4, 1 << 40] {
        graph_reach(model, scale);
    }
    let _ = check_external(model, Path::new("models/tiny/none.onnx"));
    for channels in [Channels::Rgb, Channels::Bgr, Channels::Y] {
        let encoding = Encoding {
            channels,
            ..Encoding::default()
        };
        if let Ok(written) = byte_graph(model, encoding) {
            assert!(written.len() <= 2 * model.len() + 8192, "{}", written.len());
        }
    }
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn damaged_files_are_read_without_harm(which in any::<prop::sample::Index>(), changes in changes()) {
        read(&changed(&FILES[which.index(FILES.len())], &changes));
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read(&bytes);
    }
}
