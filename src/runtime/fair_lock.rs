//! A lock that those who wait get in the order in which they came, and whose waiting can be broken off.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result};

/// How often one that waits looks whether it was interrupted.
const GLANCE: Duration = Duration::from_millis(20);

/// Something that many want and one has at a time, in the order in which they came.
pub(super) struct FairLock<T> {
    queue: Mutex<Queue>,
    moved: Condvar,
    thing: Mutex<T>,
}

#[derive(Default)]
struct Queue {
    tickets: VecDeque<u64>,
    next: u64,
}

/// Leaves the queue, also when the work panics.
struct Ticket<'a, T> {
    lock: &'a FairLock<T>,
    number: u64,
}

impl<T> Drop for Ticket<'_, T> {
    fn drop(&mut self) {
        let mut queue = self.lock.queue.lock();
        queue.tickets.retain(|number| *number != self.number);
        self.lock.moved.notify_all();
    }
}

impl<T> FairLock<T> {
    pub(super) fn new(thing: T) -> Self {
        Self {
            queue: Mutex::default(),
            moved: Condvar::new(),
            thing: Mutex::new(thing),
        }
    }

    /// Waits for its turn and works; [`Error::Cancelled`] once `interrupted` while it waits.
    pub(super) fn with<R>(
        &self,
        interrupted: impl Fn() -> bool,
        work: impl FnOnce(&mut T) -> R,
    ) -> Result<R> {
        let mut queue = self.queue.lock();
        let number = queue.next;
        queue.next += 1;
        queue.tickets.push_back(number);
        while queue.tickets.front() != Some(&number) {
            if interrupted() {
                queue.tickets.retain(|waiting| *waiting != number);
                self.moved.notify_all();
                return Err(Error::Cancelled);
            }
            self.moved.wait_for(&mut queue, GLANCE);
        }
        drop(queue);
        let _ticket = Ticket { lock: self, number };
        Ok(work(&mut self.thing.lock()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn turns_are_taken_in_order_and_waiting_can_be_broken_off() {
        let lock = Arc::new(FairLock::new(Vec::new()));
        let (busy, stop) = (
            Arc::new(AtomicBool::new(true)),
            Arc::new(AtomicBool::new(false)),
        );
        let first = std::thread::spawn({
            let (lock, busy) = (lock.clone(), busy.clone());
            move || {
                lock.with(
                    || false,
                    |order| {
                        while busy.load(Ordering::SeqCst) {
                            std::thread::yield_now();
                        }
                        order.push(0);
                    },
                )
            }
        });
        let waiting = |n| {
            while lock.queue.lock().tickets.len() < n {
                std::thread::yield_now();
            }
        };
        waiting(1);
        let mut others = Vec::new();
        for i in 1..=3 {
            let (lock, stop) = (lock.clone(), stop.clone());
            others.push(std::thread::spawn(move || {
                lock.with(
                    || i == 2 && stop.load(Ordering::SeqCst),
                    |order: &mut Vec<i32>| order.push(i),
                )
            }));
            waiting(1 + i as usize);
        }
        stop.store(true, Ordering::SeqCst);
        assert!(matches!(
            others.remove(1).join().unwrap(),
            Err(Error::Cancelled)
        ));
        busy.store(false, Ordering::SeqCst);
        first.join().unwrap().unwrap();
        for other in others {
            other.join().unwrap().unwrap();
        }
        assert_eq!(
            lock.with(|| false, |order| order.clone()).unwrap(),
            [0, 1, 3]
        );
        // A panic in the work leaves the next one its turn.
        let panicked = std::thread::spawn({
            let lock = lock.clone();
            move || lock.with(|| false, |_| panic!("on purpose"))
        });
        assert!(panicked.join().is_err());
        assert!(lock.with(|| false, |order| order.len()).is_ok());
    }
}
