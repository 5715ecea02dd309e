//! Where the engine is while it is opened, used and thrown away, and who may wait for it. Knows threads, not
//! GStreamer and not networks: the engine is any `T`, the way to interrupt it any [`Cancel`].
//!
//! Four threads meet here. The application's starts and stops ([`Slot::begin`], [`Slot::close`], [`Slot::end`]) and
//! flushes; the loader thread delivers ([`Slot::deliver`], [`Slot::reveal`]); the streaming thread borrows the engine to hand it a frame,
//! and the one that sends frames on to take one ([`Slot::lease`]). The engine leaves the lock while it works, so that no lock is held
//! over a network's run. A run of the element, from start to stop, has a number, its generation: what comes late
//! from an earlier one is dropped.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// A way to interrupt the engine from another thread, and to let it work again.
pub(super) trait Cancel: Clone {
    /// One that was never used.
    fn new() -> Self;
    /// Interrupts what runs now, and what is begun until [`Cancel::reset`].
    fn cancel(&self);
    /// Lets work go on.
    fn reset(&self);
}

impl Cancel for srfusion::Canceller {
    fn new() -> Self {
        Self::new()
    }
    fn cancel(&self) {
        self.cancel();
    }
    fn reset(&self) {
        self.reset();
    }
}

enum Phase<T> {
    /// Not started, or stopped.
    Stopped,
    /// The loader thread is at work.
    Loading,
    /// The loader thread has the engine, or has failed (`None`), and is about to say so on the bus.
    Delivered(Option<Box<T>>),
    /// It failed, and the reason is on the bus.
    Failed,
    /// The engine waits for a frame.
    Idle(Box<T>),
    /// The streaming thread has the engine, or the one that sends frames on.
    Busy,
}

struct Inner<T, C> {
    generation: u64,
    phase: Phase<T>,
    canceller: C,
    /// Between FLUSH_START and FLUSH_STOP.
    flushing: bool,
    /// From the beginning of PAUSED to READY to the next start.
    closing: bool,
    /// The next frame does not continue the one before.
    fresh: bool,
    /// Loader threads that have not ended, of all generations.
    loaders: usize,
}

impl<T, C: Cancel> Inner<T, C> {
    fn interrupted(&self) -> bool {
        self.flushing || self.closing
    }
}

/// Why there is no engine for a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A flush or a stop came first.
    Flushing,
    /// The engine could not be opened, which is on the bus already.
    Failed,
}

/// The place of the engine.
pub(super) struct Slot<T, C> {
    inner: Mutex<Inner<T, C>>,
    wake: Condvar,
}

impl<T, C: Cancel> Default for Slot<T, C> {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                generation: 0,
                phase: Phase::Stopped,
                canceller: C::new(),
                flushing: false,
                closing: false,
                fresh: true,
                loaders: 0,
            }),
            wake: Condvar::new(),
        }
    }
}

impl<T, C: Cancel> Slot<T, C> {
    /// Begins a run: the number and the canceller for its loader thread, which must end with [`Slot::left`].
    pub(super) fn begin(&self) -> (u64, C) {
        let mut inner = self.inner.lock();
        inner.generation += 1;
        inner.phase = Phase::Loading;
        // A new one: an earlier loader that is still on its way must stay cancelled.
        inner.canceller = C::new();
        inner.flushing = false;
        inner.closing = false;
        inner.fresh = true;
        inner.loaders += 1;
        (inner.generation, inner.canceller.clone())
    }

    /// Whether the run `generation` is still loading.
    pub(super) fn is_loading(&self, generation: u64) -> bool {
        let inner = self.inner.lock();
        inner.generation == generation && matches!(inner.phase, Phase::Loading)
    }

    /// Lets `time` pass on the loader thread of run `generation`, or less if the run is ended.
    pub(super) fn linger(&self, generation: u64, time: Duration) {
        let mut inner = self.inner.lock();
        let goes_on = |inner: &mut Inner<T, C>| inner.generation == generation && !inner.closing;
        self.wake.wait_while_for(&mut inner, goes_on, time);
    }

    /// What the loader thread of run `generation` has made; `None` if it failed. The loader says so on the bus and calls
    /// [`Slot::reveal`], so that nothing that comes of it is on the bus before. Returns whether the run still is the
    /// current one and waited for this; if not, the engine is dropped, on this thread.
    pub(super) fn deliver(&self, generation: u64, engine: Option<Box<T>>) -> bool {
        let mut inner = self.inner.lock();
        if inner.generation != generation || !matches!(inner.phase, Phase::Loading) {
            // The engine's drop may take long; nobody shall wait for it at the lock.
            drop(inner);
            drop(engine);
            return false;
        }
        if engine.is_none() && inner.closing {
            // It was told to stop and did; to whoever ends the run it is still loading.
            return false;
        }
        inner.phase = Phase::Delivered(engine);
        true
    }

    /// Lets the streaming thread see what was delivered for run `generation`.
    pub(super) fn reveal(&self, generation: u64) {
        let mut inner = self.inner.lock();
        if inner.generation == generation {
            inner.phase = match std::mem::replace(&mut inner.phase, Phase::Stopped) {
                Phase::Delivered(Some(engine)) => Phase::Idle(engine),
                Phase::Delivered(None) => Phase::Failed,
                other => other,
            };
        }
        drop(inner);
        self.wake.notify_all();
    }

    /// A loader thread ends.
    pub(super) fn left(&self) {
        let mut inner = self.inner.lock();
        inner.loaders = inner.loaders.saturating_sub(1);
        drop(inner);
        self.wake.notify_all();
    }

    /// Waits until the engine is there and takes it for one frame.
    ///
    /// # Errors
    /// [`Refusal::Flushing`] as soon as a flush or a stop comes, [`Refusal::Failed`] if loading failed.
    pub(super) fn lease(&self) -> Result<Lease<'_, T, C>, Refusal> {
        let mut inner = self.inner.lock();
        loop {
            if inner.interrupted() {
                return Err(Refusal::Flushing);
            }
            match std::mem::replace(&mut inner.phase, Phase::Busy) {
                Phase::Idle(engine) => {
                    let fresh = std::mem::take(&mut inner.fresh);
                    return Ok(Lease {
                        slot: self,
                        generation: inner.generation,
                        engine: Some(engine),
                        fresh,
                    });
                }
                Phase::Failed => {
                    inner.phase = Phase::Failed;
                    return Err(Refusal::Failed);
                }
                Phase::Stopped => {
                    inner.phase = Phase::Stopped;
                    return Err(Refusal::Flushing);
                }
                waiting @ (Phase::Loading | Phase::Delivered(_) | Phase::Busy) => {
                    inner.phase = waiting;
                    self.wake.wait(&mut inner);
                }
            }
        }
    }

    /// The next frame starts anew: what was learnt from earlier ones does not hold for it.
    pub(super) fn refresh(&self) {
        self.inner.lock().fresh = true;
    }

    /// FLUSH_START: interrupts a frame or the wait for the engine; loading goes on.
    pub(super) fn flush_start(&self) {
        let mut inner = self.inner.lock();
        inner.flushing = true;
        if matches!(inner.phase, Phase::Busy | Phase::Idle(_)) {
            inner.canceller.cancel();
        }
        drop(inner);
        self.wake.notify_all();
    }

    /// FLUSH_STOP: frames may come again, and start anew.
    pub(super) fn flush_stop(&self) {
        let mut inner = self.inner.lock();
        inner.flushing = false;
        inner.fresh = true;
        if !inner.closing {
            inner.canceller.reset();
        }
    }

    /// The run is about to end: interrupts everything, so that nobody waits for the streaming thread in vain.
    pub(super) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closing = true;
        inner.canceller.cancel();
        drop(inner);
        self.wake.notify_all();
    }

    /// Ends the run and drops the engine. Returns whether it was still loading.
    pub(super) fn end(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.generation += 1;
        inner.closing = true;
        inner.canceller.cancel();
        let phase = std::mem::replace(&mut inner.phase, Phase::Stopped);
        drop(inner);
        self.wake.notify_all();
        matches!(phase, Phase::Loading)
        // `phase`, and with it the engine, goes here, outside the lock.
    }

    /// Waits at most `limit` for loader threads to end. Returns whether all have.
    pub(super) fn wait_for_loaders(&self, limit: Duration) -> bool {
        let mut inner = self.inner.lock();
        self.wake
            .wait_while_for(&mut inner, |inner| inner.loaders > 0, limit);
        inner.loaders == 0
    }

    /// The engine comes back from a frame.
    fn take_back(&self, generation: u64, engine: Box<T>) {
        let mut inner = self.inner.lock();
        if inner.generation == generation && matches!(inner.phase, Phase::Busy) {
            inner.phase = Phase::Idle(engine);
            drop(inner);
            self.wake.notify_all();
        } else {
            drop(inner);
            drop(engine);
        }
    }
}

/// The engine, borrowed for one frame; it goes back when this is dropped.
pub(super) struct Lease<'a, T, C: Cancel> {
    slot: &'a Slot<T, C>,
    generation: u64,
    /// `None` only while this is being dropped.
    engine: Option<Box<T>>,
    /// Whether the frame starts anew.
    pub(super) fresh: bool,
}

impl<T, C: Cancel> Deref for Lease<'_, T, C> {
    type Target = T;
    fn deref(&self) -> &T {
        match &self.engine {
            Some(engine) => engine,
            None => unreachable!("the engine is there until the lease is dropped"),
        }
    }
}

impl<T, C: Cancel> DerefMut for Lease<'_, T, C> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.engine {
            Some(engine) => engine,
            None => unreachable!("the engine is there until the lease is dropped"),
        }
    }
}

impl<T, C: Cancel> Drop for Lease<'_, T, C> {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            self.slot.take_back(self.generation, engine);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    #[derive(Clone)]
    struct Flag(Arc<AtomicBool>);

    impl Flag {
        fn is_set(&self) -> bool {
            self.0.load(Ordering::SeqCst)
        }
    }

    impl Cancel for Flag {
        fn new() -> Self {
            Self(Arc::default())
        }
        fn cancel(&self) {
            self.0.store(true, Ordering::SeqCst);
        }
        fn reset(&self) {
            self.0.store(false, Ordering::SeqCst);
        }
    }

    type TestSlot = Slot<u32, Flag>;

    fn refusal(slot: &TestSlot) -> Option<Refusal> {
        slot.lease().err()
    }

    /// Runs `act` while another thread waits for the engine; returns what that thread got.
    fn meanwhile(slot: &TestSlot, act: impl FnOnce()) -> Result<u32, Refusal> {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| slot.lease().map(|lease| *lease));
            thread::sleep(Duration::from_millis(20));
            act();
            waiting.join().unwrap()
        })
    }

    #[test]
    fn first_frame_waits_for_the_engine() {
        let slot = TestSlot::default();
        let (run, _) = slot.begin();
        assert!(slot.is_loading(run));
        let told = AtomicBool::new(false);
        let got = meanwhile(&slot, || {
            assert!(slot.deliver(run, Some(Box::new(7))));
            thread::sleep(Duration::from_millis(20));
            told.store(true, Ordering::SeqCst);
            slot.reveal(run);
        });
        assert_eq!(got, Ok(7));
        assert!(told.load(Ordering::SeqCst));
        assert!(!slot.is_loading(run));
        // It came back.
        assert_eq!(slot.lease().map(|lease| *lease).ok(), Some(7));
    }

    #[test]
    fn failure_is_seen_only_after_it_is_on_the_bus() {
        let slot = TestSlot::default();
        let (run, _) = slot.begin();
        let posted = AtomicBool::new(false);
        let got = meanwhile(&slot, || {
            assert!(slot.deliver(run, None));
            thread::sleep(Duration::from_millis(20));
            posted.store(true, Ordering::SeqCst);
            slot.reveal(run);
        });
        assert_eq!(got, Err(Refusal::Failed));
        assert!(posted.load(Ordering::SeqCst));
        assert!(!slot.end());
    }

    #[test]
    fn flush_ends_the_wait_and_lets_loading_go_on() {
        let slot = TestSlot::default();
        let (run, canceller) = slot.begin();
        assert_eq!(
            meanwhile(&slot, || slot.flush_start()),
            Err(Refusal::Flushing)
        );
        assert!(!canceller.is_set());
        slot.flush_stop();
        assert!(slot.deliver(run, Some(Box::new(1))));
        slot.reveal(run);
        assert!(refusal(&slot).is_none());
    }

    #[test]
    fn flush_interrupts_a_frame_and_the_next_one_starts_anew() {
        let slot = TestSlot::default();
        let (run, canceller) = slot.begin();
        slot.deliver(run, Some(Box::new(1)));
        slot.reveal(run);
        let lease = slot.lease().unwrap();
        assert!(lease.fresh);
        slot.flush_start();
        assert!(canceller.is_set());
        drop(lease);
        assert_eq!(refusal(&slot), Some(Refusal::Flushing));
        slot.flush_stop();
        assert!(!canceller.is_set());
        assert!(slot.lease().unwrap().fresh);
        assert!(!slot.lease().unwrap().fresh);
        slot.refresh();
        assert!(slot.lease().unwrap().fresh);
    }

    #[test]
    fn stop_while_loading_ends_the_wait_and_drops_what_comes_late() {
        let slot = TestSlot::default();
        let (run, canceller) = slot.begin();
        assert_eq!(meanwhile(&slot, || slot.close()), Err(Refusal::Flushing));
        assert!(canceller.is_set());
        // FLUSH_STOP between close and end must not let the loader go on.
        slot.flush_stop();
        assert!(canceller.is_set());
        // That it did not get to the end is no failure.
        assert!(!slot.deliver(run, None));
        assert!(slot.end());
        assert!(!slot.deliver(run, Some(Box::new(1))));
        assert_eq!(refusal(&slot), Some(Refusal::Flushing));

        let (second, canceller) = slot.begin();
        assert!(!canceller.is_set());
        assert!(!slot.deliver(run, Some(Box::new(1))));
        assert!(slot.is_loading(second));
        assert!(slot.deliver(second, Some(Box::new(2))));
        // The first run's loader has nothing to reveal any more.
        slot.reveal(run);
        slot.reveal(second);
        assert_eq!(*slot.lease().unwrap(), 2);
    }

    #[test]
    fn engine_of_an_ended_run_does_not_come_back() {
        let slot = TestSlot::default();
        let (run, _) = slot.begin();
        slot.deliver(run, Some(Box::new(1)));
        slot.reveal(run);
        let lease = slot.lease().unwrap();
        assert!(!slot.end());
        let (second, _) = slot.begin();
        drop(lease);
        assert!(slot.is_loading(second));
    }

    #[test]
    fn lingering_ends_with_the_run() {
        let slot = TestSlot::default();
        let (run, _) = slot.begin();
        let start = std::time::Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| slot.linger(run, Duration::from_secs(60)));
            thread::sleep(Duration::from_millis(20));
            slot.close();
        });
        slot.linger(run, Duration::from_secs(60));
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn loaders_are_counted() {
        let slot = TestSlot::default();
        slot.begin();
        slot.begin();
        slot.left();
        assert!(!slot.wait_for_loaders(Duration::from_millis(5)));
        slot.left();
        assert!(slot.wait_for_loaders(Duration::ZERO));
    }
}
