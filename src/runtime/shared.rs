//! Open sessions, shared by all networks of the process that ask for the same one.
//!
//! A session is kept for as long as a network uses it; then its weights are freed. Streams take turns in the order in which they
//! came, one run at a time: `ort` allows no more, and the run before uses all cores already. Joining frames of several streams
//! into one batch is left out: on two cores two runs of 320x180 took 341 ms and one batch of two 336 ms, which is no gain for
//! a frame that would have to wait for another.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::engine::{Engine, Port, Way};
use crate::draw::Transfer;
use crate::error::{Error, Result};
use crate::settings::{Precision, Provider};

/// How often one that waits looks whether it was interrupted.
const GLANCE: Duration = Duration::from_millis(20);

/// What two networks must have in common to run in one session; the runtime's library is the same for a whole process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) sha256: String,
    /// Files of equal sums may have their weights in different files beside them.
    pub(super) path: PathBuf,
    pub(super) provider: Provider,
    pub(super) device_id: u32,
    /// What is computed in: never `Auto`.
    pub(super) precision: Precision,
    pub(super) threads: usize,
    /// Input that the provider compiles for, if it does.
    pub(super) tile: Option<[usize; 4]>,
    /// How pictures get there and back.
    pub(super) way: String,
    pub(super) cache_dir: Option<PathBuf>,
}

/// What a provider had to compile for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// The provider compiles nothing that could be kept.
    Nothing,
    /// It was there from before.
    Kept,
    /// It was compiled when the session was opened, and kept if there is a folder for it.
    Compiled,
}

/// An open session: where it runs and what goes in and out.
pub(super) struct Shared {
    pub(super) provider: Provider,
    pub(super) precision: Precision,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
    /// Outputs as they came out of the warm-up run: files often declare fewer sides than are fixed.
    pub(super) run_shapes: Vec<(String, Vec<i64>)>,
    pub(super) build: Build,
    pub(super) way: Way,
    pub(super) transfer: Transfer,
    pub(super) engine: Turns<Box<dyn Engine>>,
}

/// Something that many want and one has at a time, in the order in which they came.
pub(super) struct Turns<T> {
    queue: Mutex<Queue>,
    moved: Condvar,
    thing: Mutex<T>,
}

#[derive(Default)]
struct Queue {
    tickets: VecDeque<u64>,
    next: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leaves the queue, also when the work panics.
struct Ticket<'a, T> {
    turns: &'a Turns<T>,
    number: u64,
}

impl<T> Drop for Ticket<'_, T> {
    fn drop(&mut self) {
        lock(&self.turns.queue)
            .tickets
            .retain(|number| *number != self.number);
        self.turns.moved.notify_all();
    }
}

impl<T> Turns<T> {
    pub(super) fn new(thing: T) -> Self {
        Self {
            queue: Mutex::default(),
            moved: Condvar::new(),
            thing: Mutex::new(thing),
        }
    }

    /// Waits for its turn and works; [`Error::Cancelled`] once `interrupted` while it waits.
    pub(super) fn take<R>(
        &self,
        interrupted: impl Fn() -> bool,
        work: impl FnOnce(&mut T) -> R,
    ) -> Result<R> {
        let mut queue = lock(&self.queue);
        let number = queue.next;
        queue.next += 1;
        queue.tickets.push_back(number);
        let ticket = Ticket {
            turns: self,
            number,
        };
        while queue.tickets.front() != Some(&number) {
            if interrupted() {
                drop(queue);
                return Err(Error::Cancelled);
            }
            queue = self
                .moved
                .wait_timeout(queue, GLANCE)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        drop(queue);
        let result = work(&mut lock(&self.thing));
        drop(ticket);
        Ok(result)
    }
}

/// A place in the registry.
#[derive(Default)]
struct Slot {
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Default)]
struct State {
    opening: bool,
    session: Weak<Shared>,
}

/// Lets the next one try, also when opening panics.
struct Opening<'a>(&'a Slot);

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).opening = false;
        self.0.done.notify_all();
    }
}

static SESSIONS: Mutex<Vec<(Key, Arc<Slot>)>> = Mutex::new(Vec::new());

/// What opening gives: a session, or the reason why the provider cannot serve it.
pub(super) type Attempt = Result<std::result::Result<Arc<Shared>, String>>;

/// The session of `key`: the one that is open, or what `open` makes. Whoever comes while another opens it waits for that one.
///
/// # Errors
/// [`Error::Cancelled`] once `interrupted` while it waits, and those of `open`.
pub(super) fn obtain(
    key: &Key,
    interrupted: impl Fn() -> bool,
    open: impl FnOnce() -> Attempt,
) -> Attempt {
    let slot = {
        let mut sessions = lock(&SESSIONS);
        // Nobody else holds a slot but under this lock.
        sessions.retain(|(_, slot)| {
            Arc::strong_count(slot) > 1 || lock(&slot.state).session.strong_count() > 0
        });
        match sessions.iter().find(|(known, _)| known == key) {
            Some((_, slot)) => slot.clone(),
            None => {
                let slot = Arc::new(Slot::default());
                sessions.push((key.clone(), slot.clone()));
                slot
            }
        }
    };
    let mut state = lock(&slot.state);
    loop {
        if let Some(session) = state.session.upgrade() {
            return Ok(Ok(session));
        }
        if !state.opening {
            break;
        }
        if interrupted() {
            return Err(Error::Cancelled);
        }
        state = slot
            .done
            .wait_timeout(state, GLANCE)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
    state.opening = true;
    drop(state);
    let _opening = Opening(&slot);
    let session = open()?;
    if let Ok(session) = &session {
        lock(&slot.state).session = Arc::downgrade(session);
    }
    Ok(session)
}

/// Sessions of models that are open in this process.
pub fn open_sessions() -> usize {
    lock(&SESSIONS)
        .iter()
        .filter(|(_, slot)| lock(&slot.state).session.strong_count() > 0)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    #[test]
    fn turns_are_taken_in_order_and_waiting_can_be_broken_off() {
        let turns = Arc::new(Turns::new(Vec::new()));
        let (busy, stop) = (
            Arc::new(AtomicBool::new(true)),
            Arc::new(AtomicBool::new(false)),
        );
        let first = std::thread::spawn({
            let (turns, busy) = (turns.clone(), busy.clone());
            move || {
                turns.take(
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
            while lock(&turns.queue).tickets.len() < n {
                std::thread::yield_now();
            }
        };
        waiting(1);
        let mut others = Vec::new();
        for i in 1..=3 {
            let (turns, stop) = (turns.clone(), stop.clone());
            others.push(std::thread::spawn(move || {
                turns.take(
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
            turns.take(|| false, |order| order.clone()).unwrap(),
            [0, 1, 3]
        );
    }

    fn key(name: &str) -> Key {
        Key {
            sha256: name.into(),
            path: name.into(),
            provider: Provider::Cpu,
            device_id: 0,
            precision: Precision::Fp32,
            threads: 0,
            tile: None,
            way: String::new(),
            cache_dir: None,
        }
    }

    fn nothing() -> Arc<Shared> {
        struct Nothing;
        impl Engine for Nothing {
            fn ports(&self) -> (&[Port], &[Port]) {
                (&[], &[])
            }
            fn run(
                &mut self,
                _: [usize; 4],
                _: super::super::engine::Values<'_>,
                _: &super::super::engine::Switch,
            ) -> std::result::Result<Vec<super::super::engine::Tensor>, String> {
                Ok(Vec::new())
            }
        }
        Arc::new(Shared {
            provider: Provider::Cpu,
            precision: Precision::Fp32,
            inputs: Vec::new(),
            outputs: Vec::new(),
            run_shapes: Vec::new(),
            build: Build::Nothing,
            way: Way::default(),
            transfer: Transfer::default(),
            engine: Turns::new(Box::new(Nothing)),
        })
    }

    #[test]
    fn one_opens_while_the_others_wait() {
        let opened = AtomicUsize::new(0);
        let open = || {
            obtain(
                &key("waited for"),
                || false,
                || {
                    opened.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(60));
                    Ok(Ok(nothing()))
                },
            )
            .unwrap()
            .unwrap()
        };
        let sessions: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(opened.load(Ordering::SeqCst), 1);
        assert!(sessions.iter().all(|s| Arc::ptr_eq(s, &sessions[0])));
        let freed = Arc::downgrade(&sessions[0]);
        drop(sessions);
        assert_eq!(freed.strong_count(), 0);
        drop(open());
        assert_eq!(
            opened.load(Ordering::SeqCst),
            2,
            "opened again after it was freed"
        );
    }

    #[test]
    fn a_refusal_or_a_panic_leaves_the_next_one_free_to_try() {
        let key = key("refused");
        let refused = obtain(&key, || false, || Ok(Err("not here".into())));
        assert!(matches!(refused, Ok(Err(reason)) if reason == "not here"));
        let panicked = std::thread::scope(|scope| {
            scope
                .spawn(|| obtain(&key, || false, || panic!("on purpose")))
                .join()
                .is_err()
        });
        assert!(panicked);
        assert!(
            obtain(&key, || false, || Ok(Ok(nothing())))
                .unwrap()
                .is_ok()
        );
        assert!(
            matches!(
                obtain(&key, || true, || Err(Error::Cancelled)),
                Err(Error::Cancelled)
            ),
            "an open that is cancelled says so"
        );
    }
}
