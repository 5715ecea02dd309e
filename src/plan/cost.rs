//! What running a generator costs, and what it may be given. Pure.

use std::time::Duration;

use super::estimate::Estimate;
use super::tiles::Limit;
use crate::error::{Error, Result};
use crate::keep::cells::CELL;
use crate::picture::{Channels, Format, Size};
use crate::settings::Reuse;

/// Pixels of a tile, context included, where the user leaves the size to the planner: a 640x360 frame is one tile.
///
/// Measured with the shipped generators on two cores, in processor time per pixel that is kept, 640x360 tiles being 1: 128x128 1.4,
/// 256x256 1.2, 384x256 1.1, 640x480 1.03, 1280x720 0.97. Memory grows with the area, about 0.9 kB a pixel, and decides.
const TILE_AREA: usize = 240 * 1024;
/// Pixels below which a tile is not made smaller: a machine without the memory for these can do nothing.
const LEAST_AREA: usize = 64 * 64;

/// Which tiles a generator takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shapes {
    /// Any size, within the limit.
    Free(Limit),
    /// Tiles of one size, context included, up to `batch` of them in a run: what a provider that compiles for a shape wants.
    Fixed {
        /// Size of a tile; a smaller frame has smaller tiles, again all equal.
        tile: Size,
        /// Most tiles in a run.
        batch: usize,
    },
}

/// What a plan knows of a generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Context on each side of a tile, in input pixels.
    pub context: usize,
    /// Multiple that the left and upper sides of tiles must be of, in input pixels; at least 1.
    pub stride: usize,
    /// What a run costs beside its pixels, in pixels.
    pub per_run: usize,
    /// Which tiles it takes.
    pub shapes: Shapes,
}

/// What a user sets of tiles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TileSettings {
    /// Longest side in input pixels, context included; 0 leaves it to the planner.
    pub side: usize,
    /// Context in input pixels; `None` takes the receptive radius, or with tolerance the near one.
    pub overlap: Option<usize>,
}

/// What a generator says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traits {
    /// What messages call it.
    pub name: String,
    /// Receptive radius in input pixels.
    pub radius: usize,
    /// The part of it that matters where tolerance is asked for.
    pub near_radius: usize,
    /// Multiple that the places of tiles must be of, in input pixels.
    pub stride: usize,
    /// Most pixels that its network sees in a run for each pixel of a tile.
    pub load: usize,
    /// The one tile size and batch that it was built for; `None` if it takes any.
    pub fixed_tile: Option<(Size, usize)>,
    /// What it takes and gives.
    pub channels: Channels,
}

impl Traits {
    /// Most pixels of a tile, context included, where the user leaves it to the planner.
    fn area(&self) -> usize {
        (TILE_AREA / self.load.max(1)).max(LEAST_AREA)
    }
}

/// Keeps the profile of a generator up to date: what it takes, what its runs were seen to cost, how much memory there is.
#[derive(Debug, Clone)]
pub struct Profiler {
    traits: Traits,
    settings: TileSettings,
    /// Most pixels of a tile, context included, where the user leaves it to the planner.
    area: usize,
    times: RunTimes,
    /// Seconds for an input pixel, what a run costs beside them counted in.
    speed: Estimate,
}

/// Seconds that an input pixel takes where nothing was measured yet: the shipped default on a slow machine.
pub const USUAL_SECONDS: f64 = 1e-6;

impl Profiler {
    /// Of a generator of which nothing was measured yet.
    ///
    /// # Errors
    /// [`Error::Setting`] where tiles so small would be context and hardly anything else: every pixel would be drawn many times over.
    pub fn new(traits: Traits, settings: TileSettings) -> Result<Self> {
        let context = settings.overlap.unwrap_or(traits.radius);
        let least = least_side(context);
        let wrong = |name: &str, expected: String, found: usize| {
            Err(Error::Setting {
                name: name.to_owned(),
                expected,
                found: found.to_string(),
            })
        };
        match (settings.side, traits.fixed_tile) {
            (side, _) if side > 0 && side < least => wrong(
                "tile-size",
                format!(
                    "0 (chosen) or at least {least}, for a context of {context} pixels on each side ({})",
                    traits.name
                ),
                side,
            ),
            (_, Some((tile, _))) if tile.width.min(tile.height) < least => wrong(
                "tile-overlap",
                format!(
                    "a context that leaves room in tiles of {tile}, the only ones that {} takes",
                    traits.name
                ),
                context,
            ),
            _ => Ok(Self {
                area: traits.area(),
                traits,
                settings,
                times: RunTimes::default(),
                speed: Estimate::default(),
            }),
        }
    }

    /// The generator's name.
    pub fn name(&self) -> &str {
        &self.traits.name
    }

    /// The profile as it is now, for an output of format `to`. With tolerance tiles carry less context where it hardly matters.
    pub fn profile(&self, to: &Format, reuse: Reuse) -> Profile {
        let radius = match reuse {
            Reuse::Tolerant => self.traits.near_radius,
            Reuse::None | Reuse::Exact => self.traits.radius,
        };
        let mut context = self.settings.overlap.unwrap_or(radius);
        if self.traits.channels != Channels::Y && to.reaches_back() {
            // Samples of colour difference are made of pixels outside those that they belong to as well.
            context += 1;
        }
        let shapes = match (self.traits.fixed_tile, self.settings.side) {
            // Whatever the settings say: a provider that compiles did so for a tile of theirs, and a file of one size has no other.
            (Some((tile, batch)), _) => {
                // A provider that is ready only now may be compiled for tiles that the context asked for does not fit.
                let side = tile.width.min(tile.height);
                context = context.min(side.saturating_sub(CELL) / 2);
                Shapes::Fixed { tile, batch }
            }
            (None, 0) => Shapes::Free(Limit::Area(self.area)),
            (None, side) => Shapes::Free(Limit::Side(side)),
        };
        Profile {
            context,
            stride: self.traits.stride.max(1),
            per_run: self.times.per_run(),
            shapes,
        }
    }

    /// Takes what a generator says of itself after it has changed over to another provider: what was measured says nothing any more.
    pub fn renew(&mut self, traits: Traits) {
        *self = Self {
            area: traits.area(),
            traits,
            settings: self.settings,
            times: RunTimes::default(),
            speed: Estimate::default(),
        };
    }

    /// Takes the `runs` of a frame: input pixels, and the time for them. What a pixel takes is reckoned over all of them, as it is asked for: small
    /// runs stray from it more than their sum does.
    pub fn observe(&mut self, runs: impl IntoIterator<Item = (usize, Duration)>) {
        let (mut sum, mut seconds) = (0, 0.0);
        for (pixels, time) in runs {
            self.times.observe(pixels, time);
            sum += pixels + self.times.per_run();
            seconds += time.as_secs_f64();
        }
        if sum > 0 {
            self.speed.observe(seconds / sum as f64);
        }
    }

    /// Nothing was run although it was wanted, as too much is reckoned with.
    pub fn relax(&mut self) {
        self.speed.relax();
    }

    /// Seconds for an input pixel that are rarely exceeded, what a run costs beside its pixels counted in.
    pub fn seconds_per_pixel(&self) -> f64 {
        self.seconds_per_pixel_or(USUAL_SECONDS)
    }

    /// The same; `usual` where nothing was measured yet.
    pub fn seconds_per_pixel_or(&self, usual: f64) -> f64 {
        self.speed.safe(usual)
    }

    /// Makes tiles smaller after memory did not suffice for a run of `pixels` input pixels. Returns the pixels of the largest tile
    /// from now on, or `None` where there is none worth trying or the size is not the planner's to choose.
    pub fn shrink(&mut self, pixels: usize) -> Option<usize> {
        let least = least_side(self.profile(&Format::RGB, Reuse::None).context);
        let area = pixels.min(self.area) / 2;
        if self.settings.side > 0
            || self.traits.fixed_tile.is_some()
            || area < LEAST_AREA.max(least * least)
        {
            return None;
        }
        self.area = area;
        Some(area)
    }
}

/// Shortest side of a tile that is worth running: as much of it is kept as is context on one side, and a cell at least.
fn least_side(context: usize) -> usize {
    context.saturating_mul(2).saturating_add(CELL.max(context))
}

/// Learns what a run costs beside its pixels, from the times of runs: the intercept of a line through (pixels, seconds), older
/// runs counting ever less.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunTimes {
    weight: f64,
    pixels: f64,
    seconds: f64,
    pixels_squared: f64,
    product: f64,
}

/// What a run of the shipped generators costs beside its pixels on two cores, in pixels; holds until enough was measured.
const USUAL_PER_RUN: usize = 300;
/// What a measured overhead is kept within: a hiccup of the machine must not turn the plan upside down.
const PER_RUN_RANGE: (f64, f64) = (0.0, 4096.0);

impl Default for RunTimes {
    fn default() -> Self {
        Self {
            weight: 0.0,
            pixels: 0.0,
            seconds: 0.0,
            pixels_squared: 0.0,
            product: 0.0,
        }
    }
}

impl RunTimes {
    /// Takes the time of a run over `pixels` input pixels.
    pub fn observe(&mut self, pixels: usize, time: Duration) {
        const KEEP: f64 = 0.99;
        let (x, y) = (pixels as f64, time.as_secs_f64());
        self.weight = KEEP * self.weight + 1.0;
        self.pixels = KEEP * self.pixels + x;
        self.seconds = KEEP * self.seconds + y;
        self.pixels_squared = KEEP * self.pixels_squared + x * x;
        self.product = KEEP * self.product + x * y;
    }

    /// What a run costs beside its pixels, in pixels.
    pub fn per_run(&self) -> usize {
        // Runs of one size tell nothing of the intercept.
        let spread = self.weight * self.pixels_squared - self.pixels * self.pixels;
        if self.weight < 16.0 || spread < 0.1 * self.pixels * self.pixels {
            return USUAL_PER_RUN;
        }
        let slope = (self.weight * self.product - self.pixels * self.seconds) / spread;
        let intercept = (self.seconds - slope * self.pixels) / self.weight;
        if slope <= 0.0 {
            return USUAL_PER_RUN;
        }
        (intercept / slope).clamp(PER_RUN_RANGE.0, PER_RUN_RANGE.1) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traits(radius: usize, fixed_tile: Option<(Size, usize)>) -> Traits {
        Traits {
            name: "model".into(),
            radius,
            near_radius: radius,
            stride: 1,
            load: 1,
            fixed_tile,
            channels: Channels::Rgb,
        }
    }

    fn settings(side: usize, overlap: Option<usize>) -> TileSettings {
        TileSettings { side, overlap }
    }

    #[test]
    fn tiles_that_are_all_context_are_refused() {
        for (side, overlap, fixed, name) in [
            (20, None, None, Some("tile-size")),
            (29, None, None, Some("tile-size")),
            (30, None, None, None),
            (64, Some(32), None, Some("tile-size")),
            (0, Some(1000), None, None),
            (
                0,
                Some(128),
                Some((Size::new(256, 256), 4)),
                Some("tile-overlap"),
            ),
            (0, Some(85), Some((Size::new(256, 256), 4)), None),
            (30, None, Some((Size::new(256, 256), 4)), None),
        ] {
            let found = Profiler::new(traits(10, fixed), settings(side, overlap));
            match (found, name) {
                (Ok(_), None) => {}
                (Err(Error::Setting { name, .. }), Some(expected)) => assert_eq!(name, expected),
                (found, _) => panic!("{side} {overlap:?} {fixed:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn what_was_measured_is_forgotten_with_the_provider() {
        let mut profiler = Profiler::new(traits(10, None), settings(0, None)).unwrap();
        for pixels in [1000, 5000, 20_000, 100_000].repeat(20) {
            profiler.observe([(pixels, Duration::from_nanos(800 * (pixels as u64 + 700)))]);
        }
        assert_ne!(
            profiler.profile(&Format::RGB, Reuse::None).per_run,
            USUAL_PER_RUN
        );
        assert!(profiler.shrink(100_000).is_some());
        let tile = Size::new(256, 256);
        profiler.renew(traits(10, Some((tile, 4))));
        assert_eq!(
            profiler.profile(&Format::RGB, Reuse::None),
            Profile {
                context: 10,
                stride: 1,
                per_run: USUAL_PER_RUN,
                shapes: Shapes::Fixed { tile, batch: 4 }
            }
        );
    }

    #[test]
    fn memory_shrinks_only_what_the_planner_chose() {
        let mut chosen = Profiler::new(traits(10, None), settings(0, None)).unwrap();
        assert_eq!(chosen.shrink(230_400), Some(115_200));
        assert_eq!(chosen.shrink(100_000), Some(50_000));
        assert_eq!(chosen.shrink(8000), None);
        let mut set = Profiler::new(traits(10, None), settings(300, None)).unwrap();
        assert_eq!(set.shrink(90_000), None);
        // Tiles never become all context.
        let mut wide = Profiler::new(traits(60, None), settings(0, None)).unwrap();
        assert_eq!(wide.shrink(64_000), None);
    }

    #[test]
    fn tolerance_takes_the_near_radius_and_a_setting_comes_first() {
        let near = || Traits {
            near_radius: 8,
            ..traits(14, None)
        };
        let context = |overlap, reuse| {
            let settings = TileSettings { side: 0, overlap };
            let profiler = Profiler::new(near(), settings).unwrap();
            profiler.profile(&Format::RGB, reuse).context
        };
        assert_eq!(context(None, Reuse::Tolerant), 8);
        assert_eq!(context(None, Reuse::Exact), 14);
        assert_eq!(context(None, Reuse::None), 14);
        assert_eq!(context(Some(5), Reuse::Tolerant), 5);
    }

    #[test]
    fn tiles_are_smaller_where_the_network_sees_more_than_the_tile() {
        let area = |load: usize| {
            let traits = Traits {
                load,
                ..traits(10, None)
            };
            let profile = Profiler::new(traits, settings(0, None)).unwrap();
            match profile.profile(&Format::RGB, Reuse::None).shapes {
                Shapes::Free(Limit::Area(area)) => area,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(area(1), TILE_AREA);
        assert_eq!(area(16), TILE_AREA / 16);
        assert_eq!(area(4096), LEAST_AREA);
    }

    #[test]
    fn overhead_of_a_run_is_learnt() {
        let mut times = RunTimes::default();
        assert_eq!(times.per_run(), USUAL_PER_RUN);
        for _ in 0..40 {
            times.observe(4096, Duration::from_micros(4096));
        }
        assert_eq!(times.per_run(), USUAL_PER_RUN, "one size tells nothing");
        let mut times = RunTimes::default();
        for pixels in [1000, 5000, 20_000, 100_000].repeat(20) {
            times.observe(pixels, Duration::from_nanos(800 * (pixels as u64 + 700)));
        }
        assert!(times.per_run().abs_diff(700) < 60, "{}", times.per_run());
    }
}
