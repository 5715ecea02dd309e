//! The pictures of earlier frames that are kept: the pixels to the books of [`super::ledger`].
//!
//! The pixels are those of one epoch, or of none: a plan of another epoch finds nothing here, and must not be drawn by what is.

use super::ledger::Epoch;
use super::regions::Part;
use crate::SCALE;
use crate::error::Result;
use crate::picture::{FrameMut, Rect, Sample, Size};

/// Plans for which a place may stand empty before its memory is given back: a face that comes and goes would have it made anew.
const SPARE_FRAMES: u32 = 25;

/// A region of an expert's picture.
#[derive(Debug)]
struct RegionPixels<S> {
    /// Input pixels.
    rect: Rect,
    /// Packed rows, output size.
    pixels: Vec<S>,
    /// Plans since it was of use.
    idle: u32,
}

impl<S> Default for RegionPixels<S> {
    fn default() -> Self {
        Self {
            rect: Rect::default(),
            pixels: Vec::new(),
            idle: 0,
        }
    }
}

/// Kept pictures of samples `S`.
#[derive(Debug)]
pub struct Store<S> {
    /// Whose pixels these are.
    epoch: Option<u64>,
    /// The general generator's picture, packed rows, output size.
    picture: Vec<S>,
    regions: Vec<RegionPixels<S>>,
}

impl<S> Default for Store<S> {
    fn default() -> Self {
        Self {
            epoch: None,
            picture: Vec::new(),
            regions: Vec::new(),
        }
    }
}

impl<S: Sample> Store<S> {
    /// Begins a frame of `epoch`, or one of which nothing is kept, with its `parts`. Whether what it counts on is here; if not, it
    /// must not be drawn, and nothing has changed. Until [`Store::end`] the pixels are nobody's.
    pub fn begin(&mut self, epoch: Option<Epoch>, parts: &[Part]) -> bool {
        match epoch {
            Some(epoch) if !epoch.begins && self.epoch != Some(epoch.number) => return false,
            Some(_) => {}
            // Nothing is kept: neither is its memory.
            None => self.picture = Vec::new(),
        }
        self.epoch = None;
        for (place, region) in self.regions.iter_mut().enumerate() {
            if parts.iter().any(|part| part.place == place) {
                region.idle = 0;
                continue;
            }
            region.idle = region.idle.saturating_add(1);
            if region.idle > SPARE_FRAMES {
                *region = RegionPixels::default();
            }
        }
        for part in parts.iter().filter(|part| part.fresh) {
            if self.regions.len() <= part.place {
                self.regions
                    .resize_with(part.place + 1, RegionPixels::default);
            }
            let region = &mut self.regions[part.place];
            region.rect = part.rect;
            let needed = 3 * part.rect.scaled(SCALE).size().area();
            region.pixels.resize(needed, S::from_f32(0.0));
            // A face that has come close and gone away holds no more than twice what it needs.
            if region.pixels.capacity() > 2 * needed {
                region.pixels.shrink_to(needed);
            }
        }
        true
    }

    /// Ends the frame: what was drawn is of `epoch`.
    pub fn end(&mut self, epoch: Option<Epoch>) {
        self.epoch = epoch.map(|epoch| epoch.number);
    }

    /// The general picture, of `size` output pixels.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] for an empty one.
    pub fn picture(&mut self, size: Size) -> Result<FrameMut<'_, S>> {
        // A picture of another size holds nothing that is counted on.
        self.picture.resize(3 * size.area(), S::from_f32(0.0));
        FrameMut::new(&mut self.picture, size, size.width * 3)
    }

    /// The region in `place` and where it lies, in input pixels.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] if there is none.
    pub fn region(&mut self, place: usize) -> Result<(Rect, FrameMut<'_, S>)> {
        let (rect, pixels) = match self.regions.get_mut(place) {
            Some(region) => (region.rect, region.pixels.as_mut_slice()),
            None => (Rect::default(), &mut [][..]),
        };
        let size = rect.scaled(SCALE).size();
        Ok((rect, FrameMut::new(pixels, size, size.width * 3)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(place: usize, side: usize, fresh: bool) -> Part {
        let rect = Rect {
            x: 0,
            y: 0,
            width: side,
            height: side,
        };
        Part {
            support: rect,
            place,
            rect,
            fresh,
        }
    }

    fn held(store: &Store<u8>) -> usize {
        let regions = store.regions.iter().map(|region| region.pixels.capacity());
        store.picture.capacity() + regions.sum::<usize>()
    }

    const BEGINS: Option<Epoch> = Some(Epoch {
        number: 3,
        begins: true,
    });
    const GOES_ON: Option<Epoch> = Some(Epoch {
        number: 3,
        begins: false,
    });

    #[test]
    fn memory_follows_the_faces_and_is_given_back() {
        let mut store = Store::<u8>::default();
        let pixels = |side: usize| 3 * side * side * SCALE * SCALE;
        for (side, fresh) in [(100, true), (100, false), (10, true), (10, false)] {
            assert!(store.begin(BEGINS, &[part(0, side, fresh)]));
            store.end(BEGINS);
            assert!(held(&store) <= 2 * pixels(side), "{side}: {}", held(&store));
        }
        // Many faces come and go: what is held is bounded by those that were there lately.
        for round in 0..200 {
            let parts: Vec<_> = (0..round % 3).map(|place| part(place, 50, true)).collect();
            assert!(store.begin(BEGINS, &parts));
            store.end(BEGINS);
        }
        assert!(held(&store) <= 2 * 2 * pixels(50));
        for _ in 0..=SPARE_FRAMES {
            assert!(store.begin(GOES_ON, &[]));
            store.end(GOES_ON);
        }
        assert_eq!(held(&store), 0);
    }

    #[test]
    fn pixels_of_another_epoch_are_not_there() {
        let mut store = Store::<u8>::default();
        assert!(!store.begin(GOES_ON, &[]));
        assert!(store.begin(BEGINS, &[]));
        // Broken off: they are nobody's.
        assert!(!store.begin(GOES_ON, &[]));
        assert!(store.begin(BEGINS, &[]));
        store.end(BEGINS);
        assert!(store.begin(GOES_ON, &[]));
        store.end(GOES_ON);
        // A frame of which nothing is kept leaves nothing.
        assert!(store.begin(None, &[]));
        store.end(None);
        assert!(!store.begin(GOES_ON, &[]));
    }
}
