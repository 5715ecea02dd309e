//! A lock that many streams wait for and one has at a time: whose frame is due first is first, but nobody waits for more than one run of each
//! of the others. Waiting can be broken off.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result};

/// How often one that waits looks whether it was interrupted.
const GLANCE: Duration = Duration::from_millis(20);

/// Who waits, and until when it must be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    /// The stream's number.
    pub(super) client: u64,
    /// When its frame is due.
    pub(super) due: Instant,
}

/// Something that many want and one has at a time.
pub(super) struct FairLock<T> {
    queue: Mutex<Queue>,
    moved: Condvar,
    thing: Mutex<T>,
}

struct Waiting {
    /// Grows with the time of arrival.
    number: u64,
    turn: Turn,
    /// Streams that came later and went first.
    overtaken_by: Vec<u64>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    next: u64,
    /// Whether somebody has it.
    taken: bool,
}

impl Queue {
    /// Whose turn it is. A stream goes before one that came earlier only once: one that is in a hurry all the time, or floods, takes no more
    /// than its turn among the others.
    fn first(&self) -> Option<u64> {
        let may = |one: &&Waiting| {
            let passes = |other: &Waiting| {
                other.number < one.number && other.overtaken_by.contains(&one.turn.client)
            };
            !self.waiting.iter().any(passes)
        };
        let first = self.waiting.iter().filter(may);
        let first = first.min_by_key(|one| (one.turn.due, one.number));
        first.map(|one| one.number)
    }

    /// Gives it to `number`, whose turn it is.
    fn take(&mut self, number: u64) {
        self.taken = true;
        let Some(place) = self.waiting.iter().position(|one| one.number == number) else {
            return;
        };
        let client = self.waiting.remove(place).turn.client;
        for other in &mut self.waiting {
            if other.number < number {
                other.overtaken_by.push(client);
            }
        }
    }
}

/// Gives it back, also when the work panics.
struct Taken<'a, T>(&'a FairLock<T>);

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        self.0.queue.lock().taken = false;
        self.0.moved.notify_all();
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
        turn: Turn,
        interrupted: impl Fn() -> bool,
        work: impl FnOnce(&mut T) -> R,
    ) -> Result<R> {
        let mut queue = self.queue.lock();
        let number = queue.next;
        queue.next += 1;
        queue.waiting.push(Waiting {
            number,
            turn,
            overtaken_by: Vec::new(),
        });
        while queue.taken || queue.first() != Some(number) {
            if interrupted() {
                queue.waiting.retain(|one| one.number != number);
                self.moved.notify_all();
                return Err(Error::Cancelled);
            }
            self.moved.wait_for(&mut queue, GLANCE);
        }
        queue.take(number);
        drop(queue);
        let _taken = Taken(self);
        Ok(work(&mut self.thing.lock()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A lock that is held until `busy` is no more, and then notes who has it.
    struct Scene {
        lock: Arc<FairLock<Vec<u64>>>,
        busy: Arc<AtomicBool>,
        begun: Instant,
        threads: Vec<std::thread::JoinHandle<Result<()>>>,
    }

    impl Scene {
        fn new() -> Self {
            let lock = Arc::new(FairLock::new(Vec::new()));
            let busy = Arc::new(AtomicBool::new(true));
            let begun = Instant::now();
            let holder = std::thread::spawn({
                let (lock, busy) = (lock.clone(), busy.clone());
                let turn = Turn {
                    client: 0,
                    due: begun,
                };
                move || {
                    lock.with(
                        turn,
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
            while !lock.queue.lock().taken {
                std::thread::yield_now();
            }
            Self {
                lock,
                busy,
                begun,
                threads: vec![holder],
            }
        }

        /// Has `client` wait whose frame is due in so many milliseconds; interrupted once `stop`.
        fn wait(&mut self, client: u64, due: u64, stop: Option<Arc<AtomicBool>>) {
            let before = self.lock.queue.lock().waiting.len();
            let turn = Turn {
                client,
                due: self.begun + Duration::from_millis(due),
            };
            let lock = self.lock.clone();
            self.threads.push(std::thread::spawn(move || {
                let stopped = || {
                    stop.as_ref()
                        .is_some_and(|stop| stop.load(Ordering::SeqCst))
                };
                lock.with(turn, stopped, |order| order.push(client))
            }));
            while self.lock.queue.lock().waiting.len() == before {
                std::thread::yield_now();
            }
        }

        /// In which order they had it.
        fn order(self) -> Vec<u64> {
            self.busy.store(false, Ordering::SeqCst);
            for thread in self.threads {
                thread.join().unwrap().unwrap();
            }
            self.lock.thing.lock().clone()
        }
    }

    #[test]
    fn what_is_due_first_is_first() {
        let mut scene = Scene::new();
        for (client, due) in [(1, 300), (2, 100), (3, 200), (4, 100)] {
            scene.wait(client, due, None);
        }
        assert_eq!(scene.order(), [0, 2, 4, 3, 1]);
    }

    #[test]
    fn a_flood_goes_before_others_once() {
        let mut scene = Scene::new();
        scene.wait(1, 1000, None);
        // One stream that is always due at once, as if it came back again and again.
        for _ in 0..3 {
            scene.wait(9, 0, None);
        }
        scene.wait(2, 2000, None);
        let order = scene.order();
        assert_eq!(order, [0, 9, 1, 9, 9, 2]);
    }

    #[test]
    fn waiting_can_be_broken_off_and_a_panic_leaves_the_next_one_its_turn() {
        let stop = Arc::new(AtomicBool::new(false));
        let mut scene = Scene::new();
        scene.wait(1, 100, None);
        scene.wait(2, 50, Some(stop.clone()));
        scene.wait(3, 200, None);
        stop.store(true, Ordering::SeqCst);
        let gone = scene.threads.remove(2).join().unwrap();
        assert!(matches!(gone, Err(Error::Cancelled)));
        let lock = scene.lock.clone();
        assert_eq!(scene.order(), [0, 1, 3]);
        let turn = Turn {
            client: 1,
            due: Instant::now(),
        };
        let panicked = std::thread::spawn({
            let lock = lock.clone();
            move || lock.with(turn, || false, |_| panic!("on purpose"))
        });
        assert!(panicked.join().is_err());
        assert!(lock.with(turn, || false, |order| order.len()).is_ok());
    }
}
