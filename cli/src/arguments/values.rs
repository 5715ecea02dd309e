//! How values are read that are more than a number or a word.

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
