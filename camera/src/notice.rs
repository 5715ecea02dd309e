//! The notice over a picture that has stopped: a dark bar with words at its lower edge. Pure.

use font8x8::UnicodeFonts;

/// A picture of planes with 8 bits: luma, and two of chroma at half its width and height (I420).
#[derive(Debug)]
pub struct Planes<'a> {
    /// Width and height in pixels.
    pub size: (usize, usize),
    /// Luma, Cb and Cr.
    pub data: [&'a mut [u8]; 3],
    /// Bytes of a row of each.
    pub strides: [usize; 3],
}

const DARK: u8 = 24;
const BRIGHT: u8 = 220;
const NEUTRAL: u8 = 128;
/// Side of a letter in dots.
const LETTER: usize = 8;

/// Pixels of a letter's dot, so that `letters` fit into `width`, and are no larger than is easily read.
fn dot(width: usize, height: usize, letters: usize) -> usize {
    let fitting = width * 9 / 10 / (LETTER * letters.max(1));
    fitting.min(height / 120).max(1)
}

/// Fills one plane's rows of a band with a value.
fn fill(plane: &mut [u8], stride: usize, rows: std::ops::Range<usize>, width: usize, value: u8) {
    for row in plane.chunks_mut(stride).skip(rows.start).take(rows.len()) {
        let end = width.min(row.len());
        row[..end].fill(value);
    }
}

/// Makes the picture a dark grey one.
pub fn blank(planes: &mut Planes<'_>) {
    let (width, height) = planes.size;
    for (i, value) in [48, NEUTRAL, NEUTRAL].into_iter().enumerate() {
        let half = usize::from(i > 0);
        let (width, height) = ((width + half) >> half, (height + half) >> half);
        fill(planes.data[i], planes.strides[i], 0..height, width, value);
    }
}

/// Writes `text` on a bar at the picture's lower edge.
pub fn write(planes: &mut Planes<'_>, text: &str) {
    let (width, height) = planes.size;
    let letters: Vec<_> = text
        .chars()
        .map(|sign| font8x8::BASIC_FONTS.get(sign).unwrap_or_default())
        .collect();
    let dot = dot(width, height, letters.len());
    let bar = (dot * LETTER * 2).min(height);
    // Chroma has every second row: the bar begins at an even one.
    let top = (height - bar) & !1;
    for (i, value) in [DARK, NEUTRAL, NEUTRAL].into_iter().enumerate() {
        let half = usize::from(i > 0);
        let rows = (top >> half)..((height + half) >> half);
        fill(
            planes.data[i],
            planes.strides[i],
            rows,
            (width + half) >> half,
            value,
        );
    }
    let left = width.saturating_sub(dot * LETTER * letters.len()) / 2;
    let upper = top + (bar.saturating_sub(dot * LETTER)) / 2;
    for (number, letter) in letters.iter().enumerate() {
        for (line, bits) in letter.iter().enumerate() {
            for column in (0..LETTER).filter(|column| bits >> column & 1 == 1) {
                let x = left + (number * LETTER + column) * dot;
                let y = upper + line * dot;
                if x + dot <= width && y + dot <= height {
                    let stride = planes.strides[0];
                    let cell = &mut planes.data[0][y * stride..];
                    for row in cell.chunks_mut(stride).take(dot) {
                        row[x..x + dot].fill(BRIGHT);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_at_the_lower_edge_and_the_words_are_in_it() {
        for (width, height) in [(160, 120), (1280, 720), (64, 64), (66, 70), (16, 8)] {
            let (half_width, half_height) = (width / 2, height / 2);
            let stride = width + 6;
            let mut luma = vec![90; stride * height];
            let mut blue = vec![70; half_width * half_height];
            let mut red = vec![60; half_width * half_height];
            let mut planes = Planes {
                size: (width, height),
                data: [&mut luma, &mut blue, &mut red],
                strides: [stride, half_width, half_width],
            };
            write(&mut planes, "NO PICTURE SINCE 12:34:56");
            let rows: Vec<_> = luma.chunks(stride).collect();
            assert!(rows[height - 1].contains(&DARK), "{width}");
            // What lies between the rows is nobody's.
            assert!(rows.iter().all(|row| row[width..] == [90; 6]));
            assert!(luma.contains(&BRIGHT) || width < 64);
            if height > 60 {
                assert!(
                    rows[..height / 2]
                        .iter()
                        .all(|row| row[..width].iter().all(|y| *y == 90))
                );
                assert_eq!(blue[0], 70);
                assert_eq!(*blue.last().unwrap(), NEUTRAL);
                assert_eq!(*red.last().unwrap(), NEUTRAL);
            }
        }
    }
}
