//! Files that are damaged or made up: every fault is told with its line, and nothing panics.

use std::path::Path;

use proptest::prelude::*;
use srfusion::testing::{ByteChange, changed};

use super::{Config, Fault, read};

#[path = "../../../tests/support/cases.rs"]
mod cases;
use cases::cases;

/// The file of the page, with everything that is commented out.
fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/live.md");
    let page = std::fs::read_to_string(page).unwrap();
    let text = page.split("```toml\n").nth(1).unwrap();
    text.split("```").next().unwrap().replace("\n# ", "\n")
}

fn check(text: &str) -> Result<Config, Vec<Fault>> {
    read(text, Path::new("/nowhere"), |_| None)
}

proptest! {
    #![proptest_config(cases(800))]

    #[test]
    fn damaged_files_are_told_line_by_line(changes in prop::collection::vec(any::<ByteChange>(), 0..8)) {
        let damaged = changed(page().as_bytes(), &changes);
        let text = String::from_utf8_lossy(&damaged);
        if let Err(faults) = check(&text) {
            prop_assert!(!faults.is_empty());
            let lines = text.matches('\n').count() + 1;
            for fault in faults {
                prop_assert!((1..=lines).contains(&fault.line), "{} of {lines}", fault);
                prop_assert!(!fault.message.is_empty() && !fault.message.contains('\n'), "{}", fault);
            }
        }
    }

    #[test]
    fn values_of_any_kind_are_told(
        key in "(listen|name|source|rtsp|size|fps|quality|keep|folder|segment|token-file|password|delay|latency|reuse|min-face-size)",
        value in r#"("[ -~]{0,30}"|-?[0-9]{1,25}|[0-9]{1,5}\.[0-9]{1,9}|nan|inf|true|\[[0-9, ]{0,9}\]|1979-05-27)"#,
        table in "(\\[\\[camera\\]\\]|\\[http\\]|\\[gallery\\]|\\[camera.engine\\]|\\[camera.hls\\]|\\[camera.record\\]|)",
    ) {
        let _ = check(&format!("[[camera]]\nname = \"a\"\nsource = \"rtsp://h/p\"\n{table}\n{key} = {value}\n"));
    }
}
