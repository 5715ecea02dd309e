//! Finds scene cuts by comparing coarse luma thumbnails of successive frames. Reads some thousands of pixels a frame.

use crate::picture::{ColourFamily, Frame};

const COLUMNS: usize = 24;
const ROWS: usize = 14;
/// Pixels read along each side of a thumbnail cell.
const PROBES: usize = 6;
/// Mean change of a cell, in levels of 255, below which no frame counts as a new scene.
const LEAST_CHANGE: f32 = 14.0;
/// Correlation of successive thumbnails above which a change is light or motion, not a cut.
const MOST_LIKENESS: f32 = 0.7;
/// How many times the usual change from frame to frame a cut exceeds.
const SURPRISE: f32 = 4.0;

/// Remembers the last frame's thumbnail.
#[derive(Debug, Clone, Default)]
pub struct SceneCut {
    thumbnail: Vec<f32>,
    next: Vec<f32>,
    codes: Vec<f32>,
    usual_change: f32,
}

impl SceneCut {
    /// Forgets the last frame.
    pub fn reset(&mut self) {
        self.thumbnail.clear();
        self.usual_change = 0.0;
    }

    /// Takes the next frame; whether it begins a new scene. The first frame does not.
    pub fn observe(&mut self, frame: &Frame<'_>) -> bool {
        shrink(frame, &mut self.next, &mut self.codes);
        std::mem::swap(&mut self.thumbnail, &mut self.next);
        let (now, before) = (&self.thumbnail, &self.next);
        if before.len() != now.len() {
            return false;
        }
        let change = now
            .iter()
            .zip(before)
            .map(|(a, b)| (a - b).abs())
            .sum::<f32>()
            / now.len() as f32;
        let cut = change > LEAST_CHANGE
            && change > SURPRISE * self.usual_change
            && likeness(now, before) < MOST_LIKENESS;
        if !cut {
            self.usual_change += 0.2 * (change - self.usual_change);
        }
        cut
    }
}

/// Mean luma (BT.601 weights; any would do) of each cell in levels of 255.
fn shrink(frame: &Frame<'_>, thumbnail: &mut Vec<f32>, codes: &mut Vec<f32>) {
    let (size, layout) = (frame.size(), frame.format().layout());
    thumbnail.clear();
    thumbnail.resize(COLUMNS * ROWS, 0.0);
    codes.resize(size.width, 0.0);
    let weights: &[f32] = match layout.family {
        ColourFamily::Rgb => &[0.299, 0.587, 0.114],
        ColourFamily::Yuv | ColourFamily::Gray => &[1.0],
    };
    let scale = 255.0 / layout.components()[0].max() / (PROBES * PROBES) as f32;
    for py in 0..ROWS * PROBES {
        let y = (2 * py + 1) * size.height / (2 * ROWS * PROBES);
        for (component, weight) in weights.iter().enumerate() {
            frame.read(component, y, 0, codes);
            for px in 0..COLUMNS * PROBES {
                let code = codes[(2 * px + 1) * size.width / (2 * COLUMNS * PROBES)];
                thumbnail[py / PROBES * COLUMNS + px / PROBES] += weight * code * scale;
            }
        }
    }
}

/// Pearson correlation, -1..=1; 1 for two flat thumbnails, 0 if one is flat.
fn likeness(a: &[f32], b: &[f32]) -> f32 {
    let mean = |v: &[f32]| v.iter().sum::<f32>() / v.len() as f32;
    let (ma, mb) = (mean(a), mean(b));
    let (mut aa, mut bb, mut ab) = (0.0f32, 0.0f32, 0.0f32);
    for (x, y) in a.iter().zip(b) {
        aa += (x - ma) * (x - ma);
        bb += (y - mb) * (y - mb);
        ab += (x - ma) * (y - mb);
    }
    let flat = 1.0; // squared levels over the whole thumbnail
    match (aa < flat, bb < flat) {
        (true, true) => 1.0,
        (false, false) => ab / (aa * bb).sqrt(),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Size;

    fn picture(f: impl Fn(usize, usize) -> u8) -> Vec<u8> {
        (0..90usize)
            .flat_map(|y| (0..160usize).flat_map(move |x| [(x, y); 3]))
            .map(|(x, y)| f(x, y))
            .collect()
    }

    #[test]
    fn cuts_but_not_light_motion_or_flashes() {
        let observe = |scene: &mut SceneCut, data: &[u8]| {
            scene.observe(&Frame::new(data, Size::new(160, 90), 480).unwrap())
        };
        let shot = |shift: usize, gain: usize| {
            picture(move |x, y| (((x + shift) / 20 % 4 * 50 + y / 2) * gain / 100).min(255) as u8)
        };
        let other = picture(|x, y| if (x / 30 + y / 25) % 2 == 0 { 220 } else { 15 });
        let mut scene = SceneCut::default();
        assert!(!observe(&mut scene, &shot(0, 100)), "first frame");
        for frame in 1..20 {
            assert!(
                !observe(&mut scene, &shot(frame, 100)),
                "a pan, frame {frame}"
            );
        }
        assert!(!observe(&mut scene, &shot(20, 160)), "lights on");
        assert!(!observe(&mut scene, &shot(20, 100)), "lights off");
        assert!(observe(&mut scene, &other), "cut");
        assert!(!observe(&mut scene, &other), "after the cut");
        assert!(observe(&mut scene, &shot(0, 100)), "cut back");
    }
}
