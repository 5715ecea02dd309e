//! What the integration tests share: where models and data are, and how to say that something is missing, and
//! pictures and numbers made up.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::path::{Path, PathBuf};

use srfusion::{Frame, FrameMut, Result, SCALE, Size, Source, Target};

/// The repository's models.
pub fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

/// The data folder, or `None` after saying so.
pub fn data() -> Option<PathBuf> {
    let dir = std::env::var_os("SRFUSION_DATA").map(PathBuf::from);
    let dir = dir.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"));
    if dir.is_dir() {
        Some(dir)
    } else {
        eprintln!("skipped: no data in {}; set SRFUSION_DATA", dir.display());
        None
    }
}

/// Whether ONNX Runtime can be loaded; says so if not.
pub fn runtime() -> bool {
    match srfusion::runtime::library::load(None) {
        Ok(_) => true,
        Err(e) => {
            eprintln!("skipped: {e}");
            false
        }
    }
}

/// A fixed sequence of pseudo-random numbers (xorshift), so that a failure can be repeated.
pub struct Random(pub u64);

impl Random {
    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

/// Packed RGB in which no two places look alike.
pub fn texture(size: Size, seed: usize) -> Vec<u8> {
    let value = |x: usize, y: usize, c: usize| {
        (((x * 37 + y * 91 + c * 53 + seed * 17) ^ (x * y)) % 200 + 20) as u8
    };
    (0..size.height)
        .flat_map(|y| (0..size.width).flat_map(move |x| (0..3).map(move |c| value(x, y, c))))
        .collect()
}

/// A picture as packed RGB.
pub struct Picture {
    pub size: Size,
    pub data: Vec<u8>,
}

impl Picture {
    pub fn open(path: &Path) -> Self {
        let image = image::open(path)
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
            .to_rgb8();
        Self {
            size: Size::new(image.width() as usize, image.height() as usize),
            data: image.into_raw(),
        }
    }

    pub fn frame(&self) -> Frame<'_> {
        Frame::new(&self.data, self.size, self.size.width * 3).unwrap()
    }

    /// The part `x, y, width, height`.
    pub fn crop(&self, x: usize, y: usize, width: usize, height: usize) -> Self {
        let data = (y..y + height)
            .flat_map(|y| self.frame().row(y)[x * 3..(x + width) * 3].to_vec())
            .collect();
        Self {
            size: Size::new(width, height),
            data,
        }
    }

    /// A black picture four times the size.
    pub fn enlarged(&self) -> Self {
        let size = self.size.scaled(SCALE);
        Self {
            size,
            data: vec![0; size.area() * 3],
        }
    }

    pub fn frame_mut(&mut self) -> FrameMut<'_> {
        FrameMut::new(&mut self.data, self.size, self.size.width * 3).unwrap()
    }

    /// Largest difference of a sample.
    pub fn distance(&self, other: &Self) -> u8 {
        assert_eq!(self.size, other.size);
        self.data
            .iter()
            .zip(&other.data)
            .map(|(a, b)| a.abs_diff(*b))
            .max()
            .unwrap_or(0)
    }
}

/// A picture of packed RGB that a flight may own.
#[derive(Debug, Clone, PartialEq)]
pub struct Owned {
    pub size: Size,
    pub data: Vec<u8>,
}

impl Owned {
    /// A black one, to be drawn into.
    pub fn black(size: Size) -> Self {
        let data = vec![0; 3 * size.area()];
        Self { size, data }
    }

    /// One of [`texture`].
    pub fn texture(size: Size, seed: usize) -> Self {
        let data = texture(size, seed);
        Self { size, data }
    }
}

impl Source for Owned {
    fn frame(&self) -> Result<Frame<'_>> {
        Frame::new(&self.data, self.size, 3 * self.size.width)
    }
}

impl Target for Owned {
    fn frame_mut(&mut self) -> Result<FrameMut<'_>> {
        FrameMut::new(&mut self.data, self.size, 3 * self.size.width)
    }
}
