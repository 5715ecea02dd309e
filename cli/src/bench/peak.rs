//! What the machine's multiply-add units give at most in practice: a large matrix product of 32-bit floats through the same
//! runtime, on the same provider and threads as the networks.

use std::path::{Path, PathBuf};
use std::time::Instant;

use srfusion::runtime::session::Network;
use srfusion::{Canceller, Config};

use crate::failure::{Failure, Result};

/// Rows and columns of the matrices; their three together are far larger than the caches near a core.
const SIDE: usize = 1024;
/// Factors multiplied with the same matrix in one run, as the planes of a picture.
const PLANES: usize = 3;
/// Runs, of which the fastest counts: a peak is what nothing disturbed.
const RUNS: usize = 12;

/// Billions of floating-point operations a second (a multiply-add is two) that the fastest of some runs reached.
///
/// # Errors
/// The runtime's, and a temporary folder that cannot be written to.
pub fn measure(config: &Config) -> Result<f64> {
    let file = Temporary::create()?;
    let name = "matrix product";
    let mut network = Network::open(file.path(), name, "", config, &Canceller::new())?;
    let values = vec![0.5; PLANES * SIDE * SIDE];
    let mut fastest = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        network.run([1, PLANES, SIDE, SIDE], &values, |_| Ok(()))?;
        fastest = fastest.min(start.elapsed().as_secs_f64());
    }
    let operations = 2.0 * PLANES as f64 * (SIDE as f64).powi(3);
    Ok(operations / fastest / 1e9)
}

/// The model's file, removed at the end.
struct Temporary(PathBuf);

impl Temporary {
    fn create() -> Result<Self> {
        let name = format!("srfusion-product-{}.onnx", std::process::id());
        let file = Self(std::env::temp_dir().join(name));
        std::fs::write(&file.0, model()).map_err(|error| {
            Failure::Failed(format!("cannot write {}: {error}", file.0.display()))
        })?;
        Ok(file)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Nothing better can be done about a file that cannot be removed.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A message of the Protocol Buffers wire format, as far as an ONNX file of one node needs it.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }
}

/// `Y = MatMul(X, B)`, X and Y f32[1, PLANES, SIDE, SIDE], B constant, as an ONNX file (IR 8, opset 13).
fn model() -> Vec<u8> {
    const FLOAT: u64 = 1;
    let side = SIDE as u64;
    let value = |name: &str| {
        let mut shape = Message::default();
        for length in [1, PLANES as u64, side, side] {
            shape = shape.message(1, &Message::default().number(1, length));
        }
        let tensor = Message::default().number(1, FLOAT).message(2, &shape);
        Message::default()
            .text(1, name)
            .message(2, &Message::default().message(1, &tensor))
    };
    let node = Message::default()
        .text(1, "X")
        .text(1, "B")
        .text(2, "Y")
        .text(4, "MatMul");
    let factor: Vec<u8> = (0..SIDE * SIDE)
        .flat_map(|i| ((i % 17) as f32 / 17.0 - 0.5).to_le_bytes())
        .collect();
    let constant = Message::default()
        .number(1, side)
        .number(1, side)
        .number(2, FLOAT)
        .text(8, "B")
        .bytes(9, &factor);
    let graph = Message::default()
        .message(1, &node)
        .text(2, "product")
        .message(5, &constant)
        .message(11, &value("X"))
        .message(12, &value("Y"));
    let opset = Message::default().text(1, "").number(2, 13);
    Message::default()
        .number(1, 8)
        .message(7, &graph)
        .message(8, &opset)
        .0
}
