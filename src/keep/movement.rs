//! How far each block of a frame has moved away since the frame that objects were looked for in last. Pure.
//!
//! Frames are compared once, with the pixels that kept results were made of, and those are replaced block by block. What a block
//! was away from what it replaces is therefore added up here: means as they are, which makes the sum exact, and root mean squares
//! as independent noise adds up. An edge that creeps is so seen later than it could be, and within the time after which a still
//! picture is searched again.

use super::compare::{Differences, Tolerance};

/// Distances since the last look, block by block, in levels of 255.
#[derive(Debug, Clone, Default)]
pub struct Movement {
    mean: Vec<f32>,
    squares: Vec<f32>,
    /// Whether no frame was looked at since everything was forgotten.
    unknown: bool,
}

impl Movement {
    /// Forgets the last look: until the next everything counts as moved.
    pub fn clear(&mut self) {
        self.unknown = true;
    }

    /// Number of blocks that are further away than `tolerance` from the last look. `differences` are those of the frame from
    /// what it is compared with, before any of that is replaced.
    pub fn count(&mut self, differences: &Differences, tolerance: Tolerance) -> usize {
        let blocks = differences.mean.len();
        if self.unknown || self.mean.len() != blocks {
            return blocks;
        }
        let since = self.mean.iter().zip(&self.squares);
        let now = differences.mean.iter().zip(&differences.rms);
        since
            .zip(now)
            .filter(|((sum, squares), (mean, rms))| {
                (*sum + *mean).abs() > tolerance.mean
                    || *squares + *rms * *rms > tolerance.rms * tolerance.rms
            })
            .count()
    }

    /// Notes that block `index` of what frames are compared with is replaced by that of this frame.
    pub fn replace(&mut self, differences: &Differences, index: usize) {
        if let (Some(sum), Some(squares)) = (self.mean.get_mut(index), self.squares.get_mut(index))
        {
            *sum += differences.mean[index];
            *squares += differences.rms[index] * differences.rms[index];
        }
    }

    /// Notes that this frame is looked at, whose blocks that were not `replaced` are `differences` away from what it is compared with.
    pub fn look(&mut self, differences: &Differences, replaced: impl Fn(usize) -> bool) {
        self.unknown = false;
        self.mean.clear();
        let means = differences.mean.iter().enumerate();
        self.mean
            .extend(means.map(|(index, mean)| if replaced(index) { 0.0 } else { -mean }));
        self.squares.clear();
        self.squares.resize(self.mean.len(), 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keep::compare::{BLOCK, Reference};
    use crate::picture::{Frame, Rect, Size};

    const TOLERANCE: Tolerance = Tolerance {
        mean: 2.0,
        rms: 4.0,
    };

    /// Shows `level`, and returns whether it has moved. What is remembered is replaced `always`, or else where it changed beyond
    /// tolerance.
    fn step(
        movement: &mut Movement,
        reference: &mut Reference,
        level: u8,
        always: bool,
        looks: bool,
    ) -> bool {
        let size = Size::new(BLOCK, BLOCK);
        let data = vec![level; 3 * size.area()];
        let frame = Frame::new(&data, size, 3 * size.width).unwrap();
        let mut found = Differences::default();
        if !reference.compare(&frame, &mut found) {
            reference.set(&frame).unwrap();
            found.clear(size);
        }
        let moved = movement.count(&found, TOLERANCE) > 0;
        let replaced = always || found.changed(TOLERANCE).any(|changed| changed);
        if replaced {
            movement.replace(&found, 0);
            reference.set_part(&frame, Rect::whole(size));
        }
        if looks {
            movement.look(&found, |_| replaced);
        }
        moved
    }

    #[test]
    fn slow_changes_add_up_whatever_is_replaced() {
        for always in [true, false] {
            let (mut movement, mut reference) = (Movement::default(), Reference::default());
            movement.clear();
            for (level, looks, moved) in [
                (100, true, true), // unknown
                (100, false, false),
                (101, false, false),
                (102, false, false),
                (103, true, true), // three levels since the look; from here it counts anew
                (103, false, false),
                (104, false, false),
                (105, true, false),
                (104, false, false),
                (103, false, false),
                (102, false, true),
            ] {
                let found = step(&mut movement, &mut reference, level, always, looks);
                assert_eq!(found, moved, "{level}, always replaced: {always}");
            }
        }
    }
}
