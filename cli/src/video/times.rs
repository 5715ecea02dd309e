//! The times of frames, made to grow: a frame without a time, or with one not after the frame before, is put between its
//! neighbours; where a clock jumps back, what follows is moved on.

use std::collections::VecDeque;

/// Puts times right, one frame behind.
#[derive(Debug)]
pub struct Times<T> {
    waiting: VecDeque<(Option<i64>, T)>,
    last: Option<i64>,
    /// The difference of the last two.
    step: i64,
    offset: i64,
    /// Frames whose time was made.
    pub made: u64,
    /// Jumps back of the clock.
    pub jumps: u64,
}

impl<T> Times<T> {
    /// `step` is the usual distance of frames, in the units of the times; at least 1.
    pub fn new(step: i64) -> Self {
        Self {
            waiting: VecDeque::new(),
            last: None,
            step: step.max(1),
            offset: 0,
            made: 0,
            jumps: 0,
        }
    }

    /// Goes on behind a frame at the time `last`, `step` after the one before it; every frame until then had a time of its own.
    pub fn after(last: i64, step: i64) -> Self {
        Self {
            last: Some(last),
            ..Self::new(step)
        }
    }

    /// Takes a frame with the time that came with it; gives the frame before with its final time.
    pub fn push(&mut self, time: Option<i64>, frame: T) -> Option<(i64, T)> {
        self.waiting.push_back((time, frame));
        if self.waiting.len() < 2 {
            return None;
        }
        self.pop()
    }

    /// Gives what is left.
    pub fn pop(&mut self) -> Option<(i64, T)> {
        let (time, frame) = self.waiting.pop_front()?;
        let next = self.waiting.front().and_then(|(time, _)| *time);
        let time = self.settle(time, next);
        if let Some(last) = self.last {
            self.step = time - last;
        }
        self.last = Some(time);
        Some((time, frame))
    }

    fn settle(&mut self, time: Option<i64>, next: Option<i64>) -> i64 {
        let moved = |time: Option<i64>, offset: i64| time.map(|time| time + offset);
        let Some(last) = self.last else {
            if let Some(time) = time {
                return time;
            }
            self.made += 1;
            return next.map_or(0, |next| next - self.step);
        };
        let (own, after) = (moved(time, self.offset), moved(next, self.offset));
        if let Some(own) = own.filter(|own| *own > last) {
            return own;
        }
        if let Some(own) = own
            && after.is_none_or(|after| after <= last)
            && own < last
        {
            // All that follows is behind: the clock was set back.
            self.jumps += 1;
            self.offset += last + self.step - own;
            return last + self.step;
        }
        self.made += 1;
        match after {
            Some(after) if after > last + 1 => last + (after - last) / 2,
            _ => last + self.step,
        }
    }

    /// The distance of the last two frames.
    pub fn step(&self) -> i64 {
        self.step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(times: &[Option<i64>], step: i64) -> (Vec<i64>, u64, u64) {
        let mut put = Times::new(step);
        let mut found: Vec<_> = times
            .iter()
            .filter_map(|time| put.push(*time, ()))
            .collect();
        found.extend(std::iter::from_fn(|| put.pop()));
        (
            found.into_iter().map(|(time, ())| time).collect(),
            put.made,
            put.jumps,
        )
    }

    #[test]
    fn good_times_stay() {
        let times = [-5, 0, 3, 100, 101];
        let given: Vec<_> = times.iter().map(|time| Some(*time)).collect();
        assert_eq!(all(&given, 7), (times.to_vec(), 0, 0));
    }

    #[test]
    fn a_time_twice_is_put_between() {
        let given = [Some(800), Some(900), Some(900), Some(1100)];
        assert_eq!(all(&given, 100), (vec![800, 900, 1000, 1100], 1, 0));
    }

    #[test]
    fn frames_without_times_follow_one_another() {
        assert_eq!(all(&[None; 4], 40), (vec![0, 40, 80, 120], 4, 0));
        assert_eq!(all(&[Some(0), None, Some(80)], 40), (vec![0, 40, 80], 1, 0));
    }

    #[test]
    fn a_clock_set_back_goes_on() {
        let given = [Some(1000), Some(1100), Some(500), Some(600), Some(700)];
        assert_eq!(all(&given, 100), (vec![1000, 1100, 1200, 1300, 1400], 0, 1));
    }

    #[test]
    fn going_on_is_no_different() {
        let given = [0, 40, 75, 130, 171, 200].map(Some);
        let whole = all(&given, 7).0;
        let mut put = Times::after(75, 35);
        let mut found: Vec<_> = given[3..]
            .iter()
            .filter_map(|time| put.push(*time, ()).map(|(time, ())| (time, put.step())))
            .collect();
        found.extend(std::iter::from_fn(|| put.pop()).map(|(time, ())| (time, 29)));
        assert_eq!(found, [(130, 55), (171, 41), (200, 29)]);
        assert_eq!(whole[3..], [130, 171, 200]);
    }

    #[test]
    fn times_always_grow() {
        let mut state = 7_u64;
        for _ in 0..500 {
            let given: Vec<_> = (0..20)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    let value = (state >> 33) % 50;
                    (value > 8).then_some(value as i64)
                })
                .collect();
            let (found, ..) = all(&given, 3);
            assert_eq!(found.len(), given.len());
            assert!(found.is_sorted_by(|a, b| a < b), "{given:?}: {found:?}");
        }
    }
}
