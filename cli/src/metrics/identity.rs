//! Whether a face stays the same person: pictures of it, aligned and embedded, and how far embeddings are apart.
//!
//! A face is turned and scaled so that its five points lie as in ArcFace's template of 112x112 pixels, by least squares; without points its
//! box, made square about its centre, is scaled to the whole template. Each sample of the template is the mean of `k * k` bilinear
//! samples of the picture, `k` the whole number of the picture's pixels that it covers along a side, rounded up.

use std::collections::HashMap;
use std::path::Path;

use srfusion::runtime::Network;
use srfusion::{BBox, Canceller, Config, Error, Face, Frame, Result, SCALE, Size};

use super::picture::Picture;

/// Side of the picture that embeddings are made of.
const SIDE: usize = 112;
/// Where eyes, nose and mouth corners lie in it.
const TEMPLATE: [[f64; 2]; 5] = [
    [38.2946, 51.6963],
    [73.5318, 51.5014],
    [56.0252, 71.7366],
    [41.5493, 92.3655],
    [70.7299, 92.2041],
];
/// Mean and deviation of ImageNet's channels, R G B, samples from 0 to 1.
const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f64; 3] = [0.229, 0.224, 0.225];

/// The similarity from the template to the picture, `x' = a x - b y + c`, `y' = b x + a y + d`, in pixels whose centres are at halves.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Similarity {
    a: f64,
    b: f64,
    c: f64,
    d: f64,
}

impl Similarity {
    /// The least squares fit of the template onto `points`.
    fn fit(points: &[[f64; 2]; 5]) -> Self {
        let mean = |of: &[[f64; 2]; 5], axis: usize| of.iter().map(|p| p[axis]).sum::<f64>() / 5.0;
        let (tx, ty) = (mean(&TEMPLATE, 0), mean(&TEMPLATE, 1));
        let (px, py) = (mean(points, 0), mean(points, 1));
        let (mut a, mut b, mut norm) = (0.0, 0.0, 0.0);
        for (t, p) in TEMPLATE.iter().zip(points) {
            let (x, y, u, v) = (t[0] - tx, t[1] - ty, p[0] - px, p[1] - py);
            a += x * u + y * v;
            b += x * v - y * u;
            norm += x * x + y * y;
        }
        let (a, b) = (a / norm, b / norm);
        Self {
            a,
            b,
            c: px - a * tx + b * ty,
            d: py - b * tx - a * ty,
        }
    }

    /// The template over the square about a box's centre.
    fn square(bbox: BBox) -> Self {
        let (cx, cy) = bbox.centre();
        let side = f64::from(bbox.width().max(bbox.height()));
        Self {
            a: side / SIDE as f64,
            b: 0.0,
            c: f64::from(cx) - side / 2.0,
            d: f64::from(cy) - side / 2.0,
        }
    }
}

/// The face of a packed RGB frame, `scale` times the size of that in which `face` was found, as a network takes it:
/// `f32[3, 112, 112]`, normalised as ImageNet's.
fn aligned(frame: &Frame<'_>, face: &Face, scale: usize) -> Vec<f32> {
    let scale = scale as f64;
    let way = match face.points {
        Some(points) => Similarity::fit(&points.map(|point| point.map(|v| f64::from(v) * scale))),
        None => {
            let BBox { x0, y0, x1, y1 } = face.bbox;
            let [x0, y0, x1, y1] = [x0, y0, x1, y1].map(|v| v * scale as f32);
            Similarity::square(BBox { x0, y0, x1, y1 })
        }
    };
    let covered = (way.a * way.a + way.b * way.b).sqrt();
    let count = (covered.ceil() as usize).clamp(1, 64);
    let mut planes = vec![0.0; 3 * SIDE * SIDE];
    for row in 0..SIDE {
        for column in 0..SIDE {
            let mut sum = [0.0; 3];
            for part in 0..count * count {
                let part_of = |index: usize| (index as f64 + 0.5) / count as f64;
                let x = column as f64 + part_of(part % count);
                let y = row as f64 + part_of(part / count);
                let place = (way.a * x - way.b * y + way.c, way.b * x + way.a * y + way.d);
                let found = bilinear(frame, place.0 - 0.5, place.1 - 0.5);
                for (sum, value) in sum.iter_mut().zip(found) {
                    *sum += value;
                }
            }
            for (channel, sum) in sum.iter().enumerate() {
                let value = sum / (count * count) as f64 / 255.0;
                let value = (value - MEAN[channel]) / DEVIATION[channel];
                planes[(channel * SIDE + row) * SIDE + column] = value as f32;
            }
        }
    }
    planes
}

/// The frame at a place in pixels, centres at whole numbers; the border pixel outside.
fn bilinear(frame: &Frame<'_>, x: f64, y: f64) -> [f64; 3] {
    let Size { width, height } = frame.size();
    let x = x.clamp(0.0, (width - 1) as f64);
    let y = y.clamp(0.0, (height - 1) as f64);
    let (left, top) = (x as usize, y as usize);
    let (u, v) = (x - left as f64, y - top as f64);
    let (right, bottom) = ((left + 1).min(width - 1), (top + 1).min(height - 1));
    let (above, below) = (frame.row(top), frame.row(bottom));
    std::array::from_fn(|channel| {
        let at = |row: &[u8], x: usize| f64::from(row[3 * x + channel]);
        let above = at(above, left) * (1.0 - u) + at(above, right) * u;
        let below = at(below, left) * (1.0 - u) + at(below, right) * u;
        above * (1.0 - v) + below * v
    })
}

/// The embedding of an aligned face: the network's output, of length 1.
///
/// # Errors
/// The engine's, and [`Error::Contract`] for a network whose first output is empty or zero.
fn embedding(network: &mut Network, face: &[f32]) -> Result<Vec<f64>> {
    let name = network.name().to_owned();
    network.run([1, 3, SIDE, SIDE], face, |outputs| {
        let values = outputs.first().map(|output| output.values);
        let vector: Vec<f64> = values
            .into_iter()
            .flatten()
            .copied()
            .map(f64::from)
            .collect();
        let length = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
        if !(length > 0.0 && length.is_finite()) {
            return Err(Error::Contract {
                model: name,
                expected: "an embedding that is not zero as its first output".into(),
                found: format!("{} values of length {length}", vector.len()),
            });
        }
        Ok(vector.into_iter().map(|v| v / length).collect())
    })
}

/// Distance of two embeddings of length 1: one less their cosine, `0.0..=2.0`.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    1.0 - a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>()
}

/// How far a face's embedding is from that of the frame before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// In the output.
    pub output: f64,
    /// In the input.
    pub input: f64,
}

/// A face's embeddings in one frame: of the output, and of the input.
type Pair = (Vec<f64>, Vec<f64>);

/// Follows the embeddings of faces.
pub struct Identities {
    network: Network,
    before: HashMap<u64, Pair>,
}

impl Identities {
    /// Opens the embedding network in `path`.
    ///
    /// # Errors
    /// The engine's.
    pub fn open(path: &Path, config: &Config) -> Result<Self> {
        let sum = srfusion::models::sha256("face embedding", path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let network = Network::open(path, &name, &sum, config, &Canceller::new())?;
        Ok(Self {
            network,
            before: HashMap::new(),
        })
    }

    /// Embeds the faces of the next frame; a step for each that the frame before had too. Faces that are held without being found are left out.
    ///
    /// # Errors
    /// The engine's.
    pub fn step(
        &mut self,
        faces: &[Face],
        input: &Picture,
        output: &Picture,
    ) -> Result<Vec<Option<Step>>> {
        let mut now = HashMap::new();
        let mut steps = Vec::new();
        for face in faces {
            if face.held {
                steps.push(None);
                continue;
            }
            let network = &mut self.network;
            let large = embedding(network, &aligned(&output.frame()?, face, SCALE))?;
            let small = embedding(network, &aligned(&input.frame()?, face, 1))?;
            steps.push(self.before.get(&face.id).map(|before| Step {
                output: distance(&before.0, &large),
                input: distance(&before.1, &small),
            }));
            now.insert(face.id, (large, small));
        }
        self.before = now;
        Ok(steps)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_found_where_it_was_put() {
        // Turned by a quarter, three times as large, moved.
        let points = TEMPLATE.map(|[x, y]| [-3.0 * y + 500.0, 3.0 * x + 20.0]);
        let way = Similarity::fit(&points);
        for (found, expected) in [(way.a, 0.0), (way.b, 3.0), (way.c, 500.0), (way.d, 20.0)] {
            assert!((found - expected).abs() < 1e-9, "{way:?}");
        }
    }

    #[test]
    fn a_face_is_averaged_as_it_is_made_smaller() {
        // Columns of black and white alternate: two pixels of the picture on each of the template's give grey.
        let size = Size::new(300, 300);
        let samples: Vec<u8> = (0..size.area() * 3)
            .map(|i| ((i / 3) % 2 * 255) as u8)
            .collect();
        let frame = Frame::new(&samples, size, 900).unwrap();
        let face = Face {
            id: 0,
            bbox: BBox {
                x0: 20.0,
                y0: 20.0,
                x1: 132.0,
                y1: 132.0,
            },
            score: 1.0,
            points: None,
            weight: 1.0,
            held: false,
        };
        let planes = aligned(&frame, &face, 2);
        let grey = ((0.5 - MEAN[1]) / DEVIATION[1]) as f32;
        assert!(
            planes[SIDE * SIDE..2 * SIDE * SIDE]
                .iter()
                .all(|v| (v - grey).abs() < 1e-5)
        );
        // Outside, the border goes on.
        let outside = Face {
            bbox: BBox {
                x0: -900.0,
                y0: -900.0,
                x1: -700.0,
                y1: -800.0,
            },
            ..face
        };
        let black = (-MEAN[0] / DEVIATION[0]) as f32;
        assert!((aligned(&frame, &outside, 1)[0] - black).abs() < 1e-5);
    }

    #[test]
    fn distances_of_known_vectors() {
        assert_eq!(distance(&[1.0, 0.0], &[1.0, 0.0]), 0.0);
        assert_eq!(distance(&[1.0, 0.0], &[0.0, 1.0]), 1.0);
        assert_eq!(distance(&[1.0, 0.0], &[-1.0, 0.0]), 2.0);
    }
}
