//! Messages on standard error. Under systemd each line begins with its priority, which the journal takes.

use std::sync::OnceLock;

/// How much a message matters, as syslog numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Something does not work.
    Error = 3,
    /// Something works otherwise than it should.
    Warning = 4,
    /// What happens.
    Info = 6,
}

/// Whether standard error is the journal's, which systemd says by this variable.
fn journal() -> bool {
    static JOURNAL: OnceLock<bool> = OnceLock::new();
    *JOURNAL.get_or_init(|| std::env::var_os("JOURNAL_STREAM").is_some())
}

/// The line for a message.
fn line(priority: Priority, message: &str, journal: bool) -> String {
    // One message is one line: what comes from a library may have several.
    let message = message.replace(['\n', '\r'], " ");
    let word = match priority {
        Priority::Error => "error: ",
        Priority::Warning => "warning: ",
        Priority::Info => "",
    };
    if journal {
        format!("<{}>{message}", priority as u8)
    } else {
        format!("srfusion-camera: {word}{message}")
    }
}

/// Writes a message.
pub fn say(priority: Priority, message: &str) {
    eprintln!("{}", line(priority, message, journal()));
}

/// Writes what happens.
macro_rules! info {
    ($($text:tt)*) => { $crate::log::say($crate::log::Priority::Info, &format!($($text)*)) };
}
/// Writes what works otherwise than it should.
macro_rules! warning {
    ($($text:tt)*) => { $crate::log::say($crate::log::Priority::Warning, &format!($($text)*)) };
}
/// Writes what does not work.
macro_rules! error {
    ($($text:tt)*) => { $crate::log::say($crate::log::Priority::Error, &format!($($text)*)) };
}
pub(crate) use {error, info, warning};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_with_its_priority() {
        assert_eq!(line(Priority::Error, "a\nb", true), "<3>a b");
        assert_eq!(line(Priority::Info, "a", true), "<6>a");
        let text = line(Priority::Warning, "a", false);
        assert_eq!(text, "srfusion-camera: warning: a");
    }
}
