//! How values are read that are more than a number or a word.

use std::time::Duration;

use clap::ValueEnum;

/// Name of a value as it is typed.
pub fn name(value: &impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}

/// Reads `400ms`, `0.4s`, `400us`, `400ns` or `400` (nanoseconds, as the element's property).
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("400ms").unwrap(), Duration::from_millis(400));
        assert_eq!(duration("0.4s").unwrap(), Duration::from_millis(400));
        assert_eq!(duration("250000").unwrap(), Duration::from_micros(250));
        assert_eq!(duration("7us").unwrap(), Duration::from_micros(7));
        for wrong in ["", "s", "-1s", "4m", "ms", "nans"] {
            assert!(duration(wrong).unwrap_err().contains(wrong));
        }
    }
}
