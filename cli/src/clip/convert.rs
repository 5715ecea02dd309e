//! From a frame's planes to RGB: chroma enlarged bilinearly, everything in floats and rounded once. GStreamer's own conversion of 8-bit
//! frames computes in 8 bits and is up to three levels off, which numbers of nearly equal pictures show.

use gst_video::{VideoColorMatrix, VideoColorRange};
use srfusion::Size;

/// Lines from which a picture that names no matrix is taken to have that of HDTV.
const HIGH_DEFINITION: usize = 577;

/// The matrix of a picture of `height` lines that names none.
pub fn customary(height: usize) -> VideoColorMatrix {
    if height >= HIGH_DEFINITION {
        VideoColorMatrix::Bt709
    } else {
        VideoColorMatrix::Bt601
    }
}

/// How Y, Cb and Cr become R, G and B.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Colours {
    /// Weights of red and of blue in luma.
    kr: f32,
    kb: f32,
    /// Black, and what luma and chroma are multiplied by for 0 to 255.
    black: f32,
    luma: f32,
    chroma: f32,
}

impl Colours {
    /// The colours of 8-bit frames of `height` lines.
    pub fn new(matrix: VideoColorMatrix, range: VideoColorRange, height: usize) -> Self {
        let matrix = match matrix {
            VideoColorMatrix::Unknown => customary(height),
            known => known,
        };
        let (kr, kb) = match matrix {
            VideoColorMatrix::Bt709 => (0.2126, 0.0722),
            VideoColorMatrix::Bt2020 => (0.2627, 0.0593),
            VideoColorMatrix::Fcc => (0.30, 0.11),
            VideoColorMatrix::Smpte240m => (0.212, 0.087),
            _ => (0.299, 0.114),
        };
        let full = range == VideoColorRange::Range0_255;
        Self {
            kr,
            kb,
            black: if full { 0.0 } else { 16.0 },
            luma: if full { 1.0 } else { 255.0 / 219.0 },
            chroma: if full { 1.0 } else { 255.0 / 224.0 },
        }
    }
}

/// A plane of a frame: rows `stride` bytes apart.
#[derive(Clone, Copy)]
pub struct Channel<'a> {
    /// The samples.
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Samples in a row, and rows.
    pub size: Size,
}

impl<'a> Channel<'a> {
    fn row(&self, y: usize) -> &'a [u8] {
        &self.data[y * self.stride..][..self.size.width]
    }
}

/// Where the chroma sample lies that a group of luma samples shares: at the first of them, or in their middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// Along a row.
    pub first_column: bool,
    /// Along a column.
    pub first_row: bool,
}

/// The two samples, and the share of the second, between which the sample of number `at` of the larger axis lies.
fn between(at: usize, factor: usize, first: bool, length: usize) -> (usize, usize, f32) {
    let middle = if first {
        0.0
    } else {
        (factor - 1) as f32 / (2 * factor) as f32
    };
    let place = (at as f32 / factor as f32 - middle).clamp(0.0, (length - 1) as f32);
    let low = place as usize;
    (low, (low + 1).min(length - 1), place - low as f32)
}

/// Packed RGB of a frame of luma and two planes of chroma, whose sides are luma's, or half of them rounded up.
pub fn rgb(luma: Channel<'_>, chroma: [Channel<'_>; 2], site: Site, colours: Colours) -> Vec<u8> {
    let Size { width, height } = luma.size;
    let small = chroma[0].size;
    let factor = |large: usize, small: usize| if small < large { 2 } else { 1 };
    let (fx, fy) = (factor(width, small.width), factor(height, small.height));
    let columns: Vec<_> = (0..width)
        .map(|x| between(x, fx, site.first_column, small.width))
        .collect();
    let Colours {
        kr,
        kb,
        black,
        luma: scale,
        chroma: spread,
    } = colours;
    let kg = 1.0 - kr - kb;
    let (red, blue) = (2.0 * (1.0 - kr) * spread, 2.0 * (1.0 - kb) * spread);
    let (green_red, green_blue) = (red * kr / kg, blue * kb / kg);
    let mut result = vec![0; width * height * 3];
    let mut blended = [vec![0.0; small.width], vec![0.0; small.width]];
    for (y, line) in result.chunks_exact_mut(width * 3).enumerate() {
        let (above, below, part) = between(y, fy, site.first_row, small.height);
        for (blended, plane) in blended.iter_mut().zip(&chroma) {
            let rows = plane.row(above).iter().zip(plane.row(below));
            for (value, (a, b)) in blended.iter_mut().zip(rows) {
                *value = f32::from(*a) * (1.0 - part) + f32::from(*b) * part - 128.0;
            }
        }
        let [cb, cr] = &blended;
        for ((pixel, sample), (left, right, part)) in
            line.chunks_exact_mut(3).zip(luma.row(y)).zip(&columns)
        {
            let between = |row: &[f32]| row[*left] + (row[*right] - row[*left]) * part;
            let (cb, cr) = (between(cb), between(cr));
            let level = (f32::from(*sample) - black) * scale + 0.5;
            // A float to integer cast saturates, which is the clamp.
            pixel[0] = (level + red * cr) as u8;
            pixel[1] = (level - green_red * cr - green_blue * cb) as u8;
            pixel[2] = (level + blue * cb) as u8;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(data: &[u8], width: usize) -> Channel<'_> {
        Channel {
            data,
            stride: width,
            size: Size::new(width, data.len() / width),
        }
    }

    const LEFT: Site = Site {
        first_column: true,
        first_row: false,
    };

    #[test]
    fn known_colours() {
        let one = |y: u8, cb: u8, cr: u8, colours: Colours| {
            rgb(
                plane(&[y], 1),
                [plane(&[cb], 1), plane(&[cr], 1)],
                LEFT,
                colours,
            )
        };
        let narrow = Colours::new(VideoColorMatrix::Bt601, VideoColorRange::Range16_235, 480);
        // Bars of 100 %: white, black, red, and what lies outside.
        assert_eq!(one(235, 128, 128, narrow), [255, 255, 255]);
        assert_eq!(one(16, 128, 128, narrow), [0, 0, 0]);
        assert_eq!(one(81, 90, 240, narrow), [254, 0, 0]);
        assert_eq!(one(0, 128, 128, narrow), [0, 0, 0]);
        let high = Colours::new(VideoColorMatrix::Bt709, VideoColorRange::Range16_235, 480);
        assert_eq!(one(63, 102, 240, high), [255, 1, 0]);
        let full = Colours::new(VideoColorMatrix::Unknown, VideoColorRange::Range0_255, 480);
        assert_eq!(one(76, 85, 255, full), [254, 0, 0]);
        let unknown = |height| {
            Colours::new(
                VideoColorMatrix::Unknown,
                VideoColorRange::Range16_235,
                height,
            )
        };
        assert_eq!((unknown(576), unknown(720)), (narrow, high));
    }

    #[test]
    fn chroma_lies_where_it_is_said() {
        // Blue rises from sample to sample; luma is one grey.
        let full = Colours::new(VideoColorMatrix::Bt601, VideoColorRange::Range0_255, 4);
        let grey = [100; 16];
        let (cb, cr) = ([128, 138, 128, 138], [128; 4]);
        let blue = |site| {
            let found = rgb(plane(&grey, 4), [plane(&cb, 2), plane(&cr, 2)], site, full);
            (0..4).map(|x| found[3 * x + 2]).collect::<Vec<_>>()
        };
        // 1.772 a level.
        assert_eq!(blue(LEFT), [100, 109, 118, 118]);
        let middle = Site {
            first_column: false,
            ..LEFT
        };
        assert_eq!(blue(middle), [100, 104, 113, 118]);
    }
}
