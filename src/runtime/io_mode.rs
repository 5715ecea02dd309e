//! How pictures get to a network and back: as floats or bytes, with a CUDA graph or without.

use crate::picture::{Channels, Encoding};

/// How pictures get to a network and back.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct IoMode {
    /// As packed bytes, converted where the network runs to values in this encoding; `None` as floats.
    pub(super) bytes: Option<Encoding>,
    /// In runs of this shape, `[n, planes, height, width]`, replayed from a CUDA graph.
    pub(super) graph: Option<[usize; 4]>,
}

impl IoMode {
    /// For keys: what is compiled for one mode does not serve another. Empty for floats without a graph.
    pub(super) fn key(&self) -> String {
        let mut words = Vec::new();
        if let Some(Encoding {
            black,
            white,
            channels,
        }) = self.bytes
        {
            let order = match channels {
                Channels::Rgb => "rgb",
                Channels::Bgr => "bgr",
                Channels::Y => "y",
            };
            words.push(format!("bytes={order}:{black}:{white}"));
        }
        if let Some([n, _, height, width]) = self.graph {
            words.push(format!("graph={n}x{height}x{width}"));
        }
        words.join(" ")
    }

    /// Planes of a picture that is given as bytes.
    pub(super) fn planes(&self) -> usize {
        self.bytes.map_or(3, |encoding| encoding.channels.count())
    }

    /// For messages.
    pub(super) fn words(&self) -> &'static str {
        match (self.bytes, self.graph) {
            (Some(_), Some(_)) => "bytes and a CUDA graph",
            (Some(_), None) => "bytes",
            (None, Some(_)) => "a CUDA graph",
            (None, None) => "floats",
        }
    }

    /// The input, as the network takes it, for pictures of `[n, planes, height, width]`.
    pub(super) fn shape(&self, [n, channels, height, width]: [usize; 4]) -> [usize; 4] {
        match self.bytes {
            Some(_) => [n, height, width, channels],
            None => [n, channels, height, width],
        }
    }

    /// The same without a CUDA graph.
    pub(super) fn without_graph(self) -> Self {
        Self {
            graph: None,
            ..self
        }
    }
}
