//! The pictures of earlier frames that are kept: the pixels to the books of [`super::ledger`].
//!
//! The pixels are those of one epoch, or of none: a plan of another epoch finds nothing here, and must not be drawn by what is.

use super::ledger::Epoch;
use super::regions::Part;
use crate::SCALE;
use crate::error::Result;
use crate::picture::{Format, FrameMemory, FrameMut, Rect, Size};

/// Plans for which a place may stand empty before its memory is given back: a face that comes and goes would have it made anew.
const SPARE_FRAMES: u32 = 25;

/// A region of an expert's picture.
#[derive(Debug, Default)]
struct RegionPixels {
    /// Input pixels.
    rect: Rect,
    pixels: FrameMemory,
    /// Plans since it was of use.
    idle: u32,
}

/// Kept pictures.
#[derive(Debug, Default)]
pub struct Store {
    /// Whose pixels these are, and in which format of which size.
    epoch: Option<(u64, Format, Size)>,
    /// Of the frame that is drawn.
    drawn: Option<(Format, Size)>,
    /// The general generator's picture, output size.
    picture: FrameMemory,
    /// What that was where it is drawn by more than before, while a frame is drawn in which there is such.
    before: FrameMemory,
    /// Plans since that was of use.
    before_idle: u32,
    regions: Vec<RegionPixels>,
}

impl Store {
    /// Begins a frame of `epoch`, or one of which nothing is kept, with its `parts`, whose output is of `format` and `size`. Whether what it
    /// counts on is here; if not, it must not be drawn, and nothing has changed. Until [`Store::end`] the pixels are nobody's.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] where there is none for the parts.
    pub fn begin(
        &mut self,
        epoch: Option<Epoch>,
        parts: &[Part],
        format: Format,
        size: Size,
    ) -> Result<bool> {
        match epoch {
            Some(epoch) if !epoch.begins && self.epoch != Some((epoch.number, format, size)) => {
                return Ok(false);
            }
            Some(_) => {}
            // Nothing is kept: neither is its memory.
            None => self.picture = FrameMemory::default(),
        }
        self.before_idle = self.before_idle.saturating_add(1);
        if self.before_idle > SPARE_FRAMES {
            self.before = FrameMemory::default();
        }
        self.drawn = Some((format, size));
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
            let size = part.rect.scaled(SCALE).size();
            region.pixels.try_fit(&format, size)?;
        }
        Ok(true)
    }

    /// Ends the frame: what was drawn is of `epoch`.
    pub fn end(&mut self, epoch: Option<Epoch>) {
        let drawn = self.drawn.take();
        self.epoch = epoch
            .zip(drawn)
            .map(|(epoch, (format, size))| (epoch.number, format, size));
    }

    /// Has nothing count any more.
    pub fn forget(&mut self) {
        self.epoch = None;
    }

    /// The general picture of the frame that is drawn.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] if none is kept, [`crate::Error::Memory`] where there is none for it.
    pub fn picture(&mut self) -> Result<FrameMut<'_>> {
        let (format, size) = self.drawn.unwrap_or((Format::RGB, Size::new(0, 0)));
        // A picture of another size holds nothing that is counted on.
        self.picture.try_fit(&format, size)?;
        self.picture.frame(format, size)
    }

    /// The same, and memory of the same size for what it was before, of which nothing is left from the frame before.
    ///
    /// # Errors
    /// Those of [`Store::picture`].
    pub fn picture_and_before(&mut self) -> Result<(FrameMut<'_>, FrameMut<'_>)> {
        let (format, size) = self.drawn.unwrap_or((Format::RGB, Size::new(0, 0)));
        self.picture.try_fit(&format, size)?;
        self.before.try_fit(&format, size)?;
        self.before_idle = 0;
        Ok((
            self.picture.frame(format, size)?,
            self.before.frame(format, size)?,
        ))
    }

    /// The region in `place` and where it lies, in input pixels.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] if there is none.
    pub fn region(&mut self, place: usize) -> Result<(Rect, FrameMut<'_>)> {
        let format = self.drawn.map_or(Format::RGB, |(format, _)| format);
        match self.regions.get_mut(place) {
            Some(region) => {
                let size = region.rect.scaled(SCALE).size();
                Ok((region.rect, region.pixels.frame(format, size)?))
            }
            None => Ok((
                Rect::default(),
                self.picture.frame(format, Size::new(0, 0))?,
            )),
        }
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
            kind: 0,
            support: rect,
            place,
            rect,
            fresh,
        }
    }

    fn held(store: &Store) -> usize {
        let regions = store.regions.iter().map(|region| region.pixels.capacity());
        store.picture.capacity() + regions.sum::<usize>()
    }

    fn begin(store: &mut Store, epoch: Option<Epoch>, parts: &[Part]) -> bool {
        let size = Size::new(4, 4);
        store.begin(epoch, parts, Format::RGB, size).unwrap()
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
        let mut store = Store::default();
        let pixels = |side: usize| 3 * side * side * SCALE * SCALE;
        for (side, fresh) in [(100, true), (100, false), (10, true), (10, false)] {
            assert!(begin(&mut store, BEGINS, &[part(0, side, fresh)]));
            store.end(BEGINS);
            assert!(held(&store) <= 2 * pixels(side), "{side}: {}", held(&store));
        }
        // Many faces come and go: what is held is bounded by those that were there lately.
        for round in 0..200 {
            let parts: Vec<_> = (0..round % 3).map(|place| part(place, 50, true)).collect();
            assert!(begin(&mut store, BEGINS, &parts));
            store.end(BEGINS);
        }
        assert!(held(&store) <= 2 * 2 * pixels(50));
        for _ in 0..=SPARE_FRAMES {
            assert!(begin(&mut store, GOES_ON, &[]));
            store.end(GOES_ON);
        }
        assert_eq!(held(&store), 0);
    }

    #[test]
    fn pixels_of_another_epoch_are_not_there() {
        let mut store = Store::default();
        assert!(!begin(&mut store, GOES_ON, &[]));
        assert!(begin(&mut store, BEGINS, &[]));
        // Broken off: they are nobody's.
        assert!(!begin(&mut store, GOES_ON, &[]));
        assert!(begin(&mut store, BEGINS, &[]));
        store.end(BEGINS);
        assert!(begin(&mut store, GOES_ON, &[]));
        store.end(GOES_ON);
        // A frame of which nothing is kept leaves nothing.
        assert!(begin(&mut store, None, &[]));
        store.end(None);
        assert!(!begin(&mut store, GOES_ON, &[]));
    }
}
