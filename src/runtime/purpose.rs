//! What a network is for, where that decides how it is opened.

use super::io_mode::IoMode;
use crate::picture::Encoding;
use crate::settings::{Config, Provider};

/// What a network is for, where that decides how it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Purpose {
    /// The one input, `[n, planes, height, width]`, that providers which compile are to expect.
    pub tile: Option<[usize; 4]>,
    /// The network is a generator, whose pictures are in this encoding: a GPU may then be given bytes.
    pub pictures: Option<Encoding>,
    /// Bytes on every provider, and perhaps what a CUDA graph needs: for tests without a GPU.
    pub(crate) forced: Option<Forced>,
}

/// What a test wants done on the CPU as on a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forced {
    /// Runs of one shape at fixed addresses.
    pub(crate) fixed: bool,
}

impl Purpose {
    /// A generator of pictures in `encoding`; `tile` as in [`Purpose::tile`].
    pub fn generator(tile: [usize; 4], encoding: Encoding) -> Self {
        Self {
            tile: Some(tile),
            pictures: Some(encoding),
            forced: None,
        }
    }

    /// The same with bytes on every provider.
    #[cfg(test)]
    pub(crate) fn forced(mut self, fixed: bool) -> Self {
        self.forced = Some(Forced { fixed });
        self
    }

    /// The same with tiles of [`Config::tile_size`], if that is set.
    pub(super) fn with_tile_size(mut self, config: &Config) -> Self {
        self.tile = self
            .tile
            .map(|[n, channels, height, width]| match config.tile_size {
                0 => [n, channels, height, width],
                side => [n, channels, side, side],
            });
        self
    }

    /// How pictures may get to a network on `provider`, the best first. `is_gpu` says whether the library has it and it is a GPU's.
    pub(super) fn io_modes(
        &self,
        provider: Provider,
        is_gpu: bool,
        config: &Config,
    ) -> Vec<IoMode> {
        let floats = IoMode::default();
        let (Some(encoding), true) = (self.pictures, is_gpu || self.forced.is_some()) else {
            return vec![floats];
        };
        let bytes = IoMode {
            bytes: Some(encoding),
            graph: None,
        };
        // TensorRT's tiles all have one size; CUDA's have if that is asked for.
        let is_static = match self.forced {
            Some(forced) => forced.fixed,
            None => provider == Provider::TensorRt || config.tile_size != 0,
        };
        let graph = self.tile.filter(|_| is_static);
        let best = graph.is_some().then_some(IoMode { graph, ..bytes });
        best.into_iter().chain([bytes, floats]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_for_generators_on_a_gpu_and_graphs_where_shapes_are_static() {
        let encoding = Encoding::default();
        let generator = Purpose::generator([4, 3, 64, 64], encoding);
        let other = Purpose {
            pictures: None,
            ..generator
        };
        let tiled = Config {
            tile_size: 64,
            ..Config::default()
        };
        let floats = IoMode::default();
        let bytes = IoMode {
            bytes: Some(encoding),
            graph: None,
        };
        let graph = IoMode {
            graph: generator.tile,
            ..bytes
        };
        let free = Config::default();
        for (provider, is_gpu, purpose, config, expected) in [
            (Provider::Cpu, false, &generator, &free, vec![floats]),
            (Provider::OpenVino, false, &generator, &tiled, vec![floats]),
            (Provider::Cuda, false, &generator, &free, vec![floats]),
            (Provider::Cuda, true, &generator, &free, vec![bytes, floats]),
            (
                Provider::Cuda,
                true,
                &generator,
                &tiled,
                vec![graph, bytes, floats],
            ),
            (
                Provider::TensorRt,
                true,
                &generator,
                &free,
                vec![graph, bytes, floats],
            ),
            (Provider::TensorRt, true, &other, &free, vec![floats]),
        ] {
            assert_eq!(
                purpose.io_modes(provider, is_gpu, config),
                expected,
                "{provider}"
            );
        }
    }
}
