//! Results on standard output: tables for people, columns below one another and numbers to the right, and JSON for programs.

use std::io::Write;

use crate::failure::{Failure, Result};

/// One row's cells.
pub type Row = Vec<String>;

/// Prints `rows`, the first of them the header; column 0 to the left, the others to the right.
pub fn print(rows: &[Row]) {
    print!("{}", text(rows));
}

/// Prints `value` as one line of JSON.
///
/// # Errors
/// [`Failure::Failed`] for values that JSON has no words for, and where nobody reads.
pub fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let json = serde_json::to_string(value).map_err(|error| Failure::Failed(error.to_string()))?;
    // Not println, which panics where the reader has gone.
    writeln!(std::io::stdout(), "{json}")
        .map_err(|error| Failure::Failed(format!("cannot print the result: {error}")))
}

/// A word of a command as a shell takes it.
pub fn quoted(word: &std::ffi::OsStr) -> String {
    let text = word.to_string_lossy().into_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Lines of the table.
fn text(rows: &[Row]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<_> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| match column {
                0 => format!("{cell:width$}"),
                _ => format!("{cell:>width$}"),
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [
            vec!["name".to_owned(), "dB".to_owned()],
            vec!["a".to_owned(), "31.35".to_owned()],
            vec!["größer".to_owned()],
        ];
        assert_eq!(text(&rows), "name       dB\na       31.35\ngrößer\n");
    }
}
