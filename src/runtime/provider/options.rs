//! What providers are told: the shapes to expect, where to keep what they compile, and options by name.

use std::path::PathBuf;

use crate::runtime::io_mode::IoMode;
use crate::runtime::port::Port;

/// The inputs that a provider which compiles is told to expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::runtime) struct ShapeProfile {
    /// Declared inputs; those of fixed sides need no profile.
    pub(in crate::runtime) inputs: Vec<Port>,
    pub(in crate::runtime) least: [usize; 4],
    pub(in crate::runtime) best: [usize; 4],
    pub(in crate::runtime) most: [usize; 4],
}

impl ShapeProfile {
    /// Best for inputs of `tile`, in batches of up to its first side, and good for smaller ones, as frames smaller than a tile
    /// have them; without one, for all sizes that tiles and regions may have, which needs memory for the largest and is slower
    /// for each.
    ///
    /// The sides are in the order of the input that `mode` makes.
    pub(in crate::runtime) fn new(tile: Option<[usize; 4]>, mode: &IoMode) -> Self {
        let (least, best, most) = match tile {
            Some([n, c, h, w]) => ([1, c, h.min(16), w.min(16)], [n, c, h, w], [n, c, h, w]),
            None => ([1, 3, 16, 16], [1, 3, 256, 256], [1, 3, 1024, 1024]),
        };
        Self {
            inputs: Vec::new(),
            least: mode.shape(least),
            best: mode.shape(best),
            most: mode.shape(most),
        }
    }

    /// `name:1x3x16x16` for each input that has free sides.
    pub(super) fn shapes(&self, sides: [usize; 4]) -> String {
        let texts = self.inputs.iter().filter(|port| port.shape.contains(&-1));
        let texts: Vec<_> = texts
            .map(|port| {
                let sides: Vec<_> = port
                    .shape
                    .iter()
                    .zip(sides)
                    .map(|(declared, side)| match usize::try_from(*declared) {
                        Ok(fixed) => fixed.to_string(),
                        Err(_) => side.to_string(),
                    })
                    .collect();
                format!("{}:{}", port.name, sides.join("x"))
            })
            .collect();
        texts.join(",")
    }
}

/// Names and values as ONNX Runtime's documentation has them.
pub(super) type OptionList = Vec<(&'static str, String)>;

/// The value of an option that is on or off.
pub(super) fn switch(on: bool) -> String {
    (if on { "1" } else { "0" }).to_owned()
}

/// The options as one text, for keys.
pub(super) fn words(options: &OptionList) -> String {
    let options = options
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    options.collect::<Vec<_>>().join(" ")
}

/// What a provider is told besides the settings and the profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::runtime) struct ProviderExtras {
    /// Runs are to be captured in a CUDA graph.
    pub(in crate::runtime) graph: bool,
    /// Folder for what it compiles.
    pub(in crate::runtime) cache: Option<PathBuf>,
    /// File, in that folder, for a model that stands for what was compiled.
    pub(in crate::runtime) context: Option<PathBuf>,
}
