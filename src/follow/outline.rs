//! Where in its box an object is, over time: the mask glides from what it is to what was found last, as fast as a box that stands still does, so that
//! its edge does not flicker where detections differ. Objects that are found by their boxes alone have none, and cost nothing. Pure.

use std::sync::Arc;

use crate::find::InstanceMask;

/// Difference to what was found, of any cell, from which nobody sees the way that is left: the mask has arrived, and stays the same.
const ARRIVED: f32 = 1.0 / 256.0;

/// The mask of one object that is followed.
#[derive(Debug, Clone, Default)]
pub struct Outline {
    value: Option<Arc<InstanceMask>>,
    /// What was found last.
    target: Option<Arc<InstanceMask>>,
}

impl Outline {
    /// Of an object that was found with `mask`.
    pub fn new(mask: Option<&Arc<InstanceMask>>) -> Self {
        Self {
            value: mask.cloned(),
            target: mask.cloned(),
        }
    }

    /// The object was found again, with `mask`.
    pub fn measure(&mut self, mask: Option<&Arc<InstanceMask>>) {
        match (&self.target, mask) {
            // The same again: who has made something of it need not do so again.
            (Some(known), Some(mask)) if known == mask => {}
            (Some(_), Some(mask)) => self.target = Some(mask.clone()),
            // Found by its box alone, by another detector or from elsewhere.
            (Some(_), None) => self.target = Some(Arc::new(InstanceMask::full())),
            (None, _) => *self = Self::new(mask),
        }
    }

    /// Goes on by `share`, asked for where it is needed, of what is left of the way.
    pub fn glide(&mut self, share: impl FnOnce() -> f32) {
        let (Some(value), Some(target)) = (&mut self.value, &self.target) else {
            return;
        };
        if Arc::ptr_eq(value, target) {
            return;
        }
        if Arc::make_mut(value).approach(target, share()) <= ARRIVED {
            value.clone_from(target);
        }
    }

    /// The mask as it is now.
    pub fn value(&self) -> Option<Arc<InstanceMask>> {
        self.value.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(left: bool) -> Arc<InstanceMask> {
        let is_in = |x: usize| (x < InstanceMask::SIDE / 2) == left;
        Arc::new(InstanceMask::new(|x, _| f32::from(u8::from(is_in(x)))))
    }

    #[test]
    fn a_mask_glides_and_arrives() {
        let mut outline = Outline::new(Some(&half(true)));
        let first = outline.value().unwrap();
        outline.measure(Some(&half(true)));
        outline.glide(|| panic!("it is there"));
        assert!(Arc::ptr_eq(&first, &outline.value().unwrap()));
        outline.measure(Some(&half(false)));
        let mut before = first.clone();
        let mut steps = 0;
        while outline.value().as_ref() != Some(&half(false)) {
            outline.glide(|| 0.2);
            let now = outline.value().unwrap();
            let pairs = now.values().iter().zip(before.values());
            let step = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(step <= 0.2 + 1e-6, "{step}");
            before = now;
            steps += 1;
            assert!(steps < 40);
        }
        // What was handed out is what it was.
        assert_eq!(first, half(true));
        outline.glide(|| panic!("it has arrived"));
    }

    #[test]
    fn a_box_alone_after_a_mask_becomes_the_whole_box() {
        let mut outline = Outline::new(None);
        assert_eq!(outline.value(), None);
        outline.measure(Some(&half(true)));
        assert_eq!(outline.value(), Some(half(true)));
        outline.measure(None);
        outline.glide(|| 1.0);
        assert_eq!(outline.value(), Some(Arc::new(InstanceMask::full())));
    }
}
