//! What the system tells of this process's memory.

use std::fs;

/// The value behind `name` and a colon.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

/// The most memory that this process has had resident so far, in bytes; `None` where the system does not tell.
pub fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kib: u64 = field(&status, "VmHWM")?
        .strip_suffix("kB")?
        .trim()
        .parse()
        .ok()?;
    Some(kib * 1024)
}

/// Has [`peak_memory`] begin anew with what is resident now. Where the system refuses, the peak stays that of the whole run.
pub fn forget_peak_memory() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}
