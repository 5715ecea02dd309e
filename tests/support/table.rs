//! Tables of docs/reliability.md that tests make: what was seen is what the page says.

use std::path::Path;

/// A fault and what came of it.
pub type Row = (String, String);

/// Asserts that the table called `name` on the page has `rows`; with `SRFUSION_UPDATE_DOCS=1` it is written instead.
#[track_caller]
pub fn assert_table(repository: &Path, name: &str, rows: &[Row]) {
    let file = repository.join("docs/reliability.md");
    let page = std::fs::read_to_string(&file).unwrap();
    let (begin, end) = (format!("<!-- table {name} -->\n"), "<!-- end -->");
    let (before, rest) = page.split_once(&begin).expect("no such table on the page");
    let (found, after) = rest.split_once(end).unwrap();
    let mut wanted = String::from("| fault | what comes of it |\n|---|---|\n");
    for (fault, outcome) in rows {
        wanted += &format!("| {fault} | {outcome} |\n");
    }
    if std::env::var_os("SRFUSION_UPDATE_DOCS").is_some() {
        std::fs::write(&file, format!("{before}{begin}{wanted}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(
        found, wanted,
        "run with SRFUSION_UPDATE_DOCS=1 to rewrite docs/reliability.md"
    );
}
