//! How values are read that are more than a number or a word.

use std::time::Duration;

/// Reads `400ms`, `0.4s`, `400us`, `400ns` or `400` (nanoseconds).
pub fn duration(text: &str) -> Result<Duration, String> {
    let units = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("", 1e-9),
    ];
    let wrong = || format!("expected a time such as 400ms or 0.4s, found '{text}'");
    let (number, unit) = units
        .iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))
        .ok_or_else(wrong)?;
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())
}

/// Reads `name=value`.
pub fn assignment(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("expected NAME=VALUE, found '{text}'"))
}

/// Reads `640x360`.
pub fn size(text: &str) -> Result<srfusion::Size, String> {
    const LONGEST: usize = 16_384;
    let side = |text: &str| {
        let side = text.parse().ok();
        side.filter(|side| (1..=LONGEST).contains(side))
    };
    text.split_once('x')
        .and_then(|(width, height)| Some(srfusion::Size::new(side(width)?, side(height)?)))
        .ok_or_else(|| {
            format!("expected a size such as 640x360, sides up to {LONGEST}, found '{text}'")
        })
}

/// Reads a number from 0 to 1.
pub fn fraction(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    number
        .filter(|number| (0.0..=1.0).contains(number))
        .ok_or_else(|| format!("expected a number from 0 to 1, found '{text}'"))
}
