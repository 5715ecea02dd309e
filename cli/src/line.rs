//! Lines of JSON on standard output, for programs that watch.

use std::io::Write;

/// Prints a value as a line of JSON. Whoever reads may have gone; the work goes on.
pub fn print(value: &impl serde::Serialize) {
    if let Ok(text) = serde_json::to_string(value) {
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}
