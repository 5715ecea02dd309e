//! Words in pictures.

use font8x8::UnicodeFonts;
use image::{Rgb, RgbImage};

/// Side of a letter in pixels, a multiple of the font's 8.
pub const LETTER: u32 = 24;

/// White letters of `side` pixels (a multiple of 8) on a dark ground, their left top corner at `x`, `y`. What would lie outside the
/// picture is left out.
pub fn write(picture: &mut RgbImage, label: &str, (x, y): (u32, u32), side: u32) {
    let pad = side / 4;
    let length = u32::try_from(label.len()).unwrap_or(0);
    for row in y.saturating_sub(pad)..y + side + pad {
        for column in x.saturating_sub(pad)..x + side * length + pad {
            if let Some(Rgb(pixel)) = picture.get_pixel_mut_checked(column, row) {
                *pixel = pixel.map(|sample| (f32::from(sample) * 0.4) as u8);
            }
        }
    }
    for (place, letter) in (0..).zip(label.chars()) {
        let rows = font8x8::BASIC_FONTS.get(letter).unwrap_or_default();
        for dy in 0..side {
            for dx in 0..side {
                let bits = rows[(dy * 8 / side) as usize];
                if bits >> (dx * 8 / side) & 1 == 0 {
                    continue;
                }
                if let Some(pixel) = picture.get_pixel_mut_checked(x + place * side + dx, y + dy) {
                    *pixel = Rgb([255; 3]);
                }
            }
        }
    }
}
