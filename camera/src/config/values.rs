//! Times and sizes as they are written.

use std::time::Duration;

/// Splits a number from its unit.
fn split(text: &str) -> Option<(f64, &str)> {
    let end = text
        .find(|sign: char| !sign.is_ascii_digit() && sign != '.')
        .unwrap_or(text.len());
    let number = text[..end].parse::<f64>().ok()?;
    Some((number, text[end..].trim()))
}

/// Reads a time: a number and `ms`, `s`, `min`, `h` or `d`.
///
/// # Errors
/// What was expected and what was found.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let seconds = split(text).and_then(|(number, unit)| {
        Some(
            number
                * match unit {
                    "ms" => 0.001,
                    "s" => 1.0,
                    "min" => 60.0,
                    "h" => 3_600.0,
                    "d" => 86_400.0,
                    _ => return None,
                },
        )
    });
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| {
            format!("expected a time with its unit (ms, s, min, h, d) such as \"10min\", found \"{text}\"")
        })
}

/// Reads a size in bytes: a number and `kB`, `MB`, `GB` or `TB`, each a thousand of the one before.
///
/// # Errors
/// What was expected and what was found.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let bytes = split(text).and_then(|(number, unit)| {
        Some(
            number
                * match unit {
                    "kB" => 1e3,
                    "MB" => 1e6,
                    "GB" => 1e9,
                    "TB" => 1e12,
                    _ => return None,
                },
        )
    });
    bytes
        .filter(|bytes| *bytes < 1e18)
        .map(|bytes| bytes as u64)
        .ok_or_else(|| {
            format!(
                "expected a size with its unit (kB, MB, GB, TB) such as \"50GB\", found \"{text}\""
            )
        })
}

/// Reads width and height in pixels, such as `1280x720`. Both even, as the encoder needs them.
///
/// # Errors
/// What was expected and what was found.
pub fn parse_sides(text: &str) -> Result<(u32, u32), String> {
    let sides = text.split_once('x').and_then(|(width, height)| {
        Some((width.parse::<u32>().ok()?, height.parse::<u32>().ok()?))
    });
    sides
        .filter(|(width, height)| {
            [width, height]
                .iter()
                .all(|side| (64..=8192).contains(*side) && **side % 2 == 0)
        })
        .ok_or_else(|| {
            format!("expected width x height in pixels, even and from 64 to 8192, such as \"1280x720\", found \"{text}\"")
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn units_are_needed_and_known() {
        assert_eq!(parse_time("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_time("1.5 h"), Ok(Duration::from_secs(5_400)));
        assert_eq!(parse_time("7d"), Ok(Duration::from_secs(604_800)));
        assert_eq!(parse_size("1.5GB"), Ok(1_500_000_000));
        assert_eq!(parse_sides("1280x720"), Ok((1280, 720)));
        for wrong in ["", "10", "10m", "s", "-1s", "1e3s", "99999999999999999999d"] {
            assert!(parse_time(wrong).unwrap_err().contains("10min"), "{wrong}");
        }
        for wrong in ["", "10", "10 GiB", "-1GB", "9999999TB"] {
            assert!(parse_size(wrong).unwrap_err().contains("50GB"), "{wrong}");
        }
        for wrong in ["", "1280", "1281x720", "16x16", "1280x90000"] {
            assert!(parse_sides(wrong).is_err(), "{wrong}");
        }
    }
}
