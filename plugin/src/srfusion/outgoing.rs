//! What the streaming thread, which takes frames in, and the sending thread, which sends them on, tell each other: how many are under
//! way, whether one is done, and what came of sending the last. Knows threads and flow results, no frames: those are in the engine.
//!
//! One mutex and one condition variable. Each wait ends with a flush and with the end of the run.

use gst::FlowError;
use parking_lot::{Condvar, Mutex, MutexGuard};

#[derive(Debug, Default)]
struct OutgoingState {
    /// Frames that the engine has and has not given out.
    in_flight: usize,
    /// A frame may be done that was not when the engine was asked last.
    finished: bool,
    /// The sending thread may have a frame that the engine no longer has.
    sending: bool,
    /// The frame that the sending thread has taken could not be drawn, which it is about to say.
    failing: bool,
    /// Why the last frame could not be sent on. Nothing is sent until the streaming thread knows.
    failed: Option<FlowError>,
    /// The sending thread has been started in this run.
    started: bool,
    /// Between FLUSH_START and FLUSH_STOP.
    flushing: bool,
    /// Between two runs.
    closed: bool,
    /// The next frame follows one that was dropped.
    discont: bool,
}

impl OutgoingState {
    fn interrupted(&self) -> Option<FlowError> {
        (self.flushing || self.closed).then_some(FlowError::Flushing)
    }
}

/// Frames on their way out, between the two threads.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    state: Mutex<OutgoingState>,
    changed: Condvar,
}

impl Outgoing {
    /// A run begins.
    pub(super) fn open(&self) {
        *self.state.lock() = OutgoingState::default();
    }

    /// The run ends: nobody waits any more, and the sending thread goes.
    pub(super) fn close(&self) {
        self.change(|state| state.closed = true);
    }

    /// FLUSH_START: nobody waits any more, and nothing is sent.
    pub(super) fn flush_start(&self) {
        self.change(|state| state.flushing = true);
    }

    /// FLUSH_STOP, before it is passed on: waits until nothing is being sent. Nothing will be until [`Outgoing::flush_stop`].
    pub(super) fn settle(&self) {
        let mut state = self.state.lock();
        state.flushing = true;
        self.changed
            .wait_while(&mut state, |state| state.sending && !state.closed);
    }

    /// After [`Outgoing::settle`], once the engine has no more frames: they may come again.
    pub(super) fn flush_stop(&self) {
        self.change(|state| {
            state.flushing = false;
            state.finished = false;
            state.failed = None;
            state.discont = false;
        });
    }

    /// The next frame follows one that was dropped.
    pub(super) fn mark_discont(&self) {
        self.state.lock().discont = true;
    }

    /// Whether the frame that is taken in now follows one that was dropped.
    pub(super) fn take_discont(&self) -> bool {
        std::mem::take(&mut self.state.lock().discont)
    }

    /// Frames that the engine has.
    pub(super) fn in_flight(&self) -> usize {
        self.state.lock().in_flight
    }

    /// Says how many frames the engine has. To be called by the thread that has the engine, so that no older number comes later.
    pub(super) fn set_in_flight(&self, in_flight: usize) {
        self.change(|state| state.in_flight = in_flight);
    }

    /// Sending thread: the same where the frame that it has taken could not be drawn. No further frame is taken in until [`Outgoing::sent`] says so:
    /// there is room, but the stream is over.
    pub(super) fn set_failing(&self, in_flight: usize) {
        self.change(|state| {
            state.in_flight = in_flight;
            state.failing = true;
        });
    }

    /// Whichever thread: the engine may have a frame that is done.
    pub(super) fn finished(&self) {
        self.change(|state| state.finished = true);
    }

    /// Streaming thread: waits until the engine has fewer than `limit` frames.
    ///
    /// # Errors
    /// Why the last frame could not be sent on, told once; Flushing.
    pub(super) fn wait_for_room(&self, limit: usize) -> Result<(), FlowError> {
        let mut state = self.wait(|state| state.in_flight < limit);
        match state.failed.take().or(state.interrupted()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Streaming thread: waits until every frame has been sent on.
    ///
    /// # Errors
    /// Why the last frame could not be sent on; Flushing.
    pub(super) fn wait_until_sent(&self) -> Result<(), FlowError> {
        let state = self.wait(|state| state.in_flight == 0 && !state.sending);
        match state.failed.or(state.interrupted()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Streaming thread: has `start` start the sending thread unless it has in this run, or the run is over.
    ///
    /// # Errors
    /// Those of `start`.
    pub(super) fn start<E>(&self, start: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let mut state = self.state.lock();
        if !state.started && !state.closed {
            start()?;
            state.started = true;
        }
        Ok(())
    }

    /// Sending thread: waits until a frame may be done, to be followed by [`Outgoing::sent`]. Returns false when the run is over.
    pub(super) fn wait_for_finished(&self) -> bool {
        let mut state = self.state.lock();
        self.changed.wait_while(&mut state, |state| {
            !state.closed && (state.flushing || state.failed.is_some() || !state.finished)
        });
        if state.closed {
            return false;
        }
        state.finished = false;
        state.sending = true;
        true
    }

    /// Sending thread: what came of the frame, and whether there was one.
    pub(super) fn sent(&self, result: Result<bool, FlowError>) {
        self.change(|state| {
            state.sending = false;
            state.failing = false;
            match result {
                // Perhaps there is another.
                Ok(true) => state.finished = true,
                Ok(false) => (),
                Err(error) => state.failed = Some(error),
            }
        });
    }

    /// Waits until `done`, a failure, a flush or the end of the run.
    fn wait(&self, done: impl Fn(&OutgoingState) -> bool) -> MutexGuard<'_, OutgoingState> {
        let mut state = self.state.lock();
        self.changed.wait_while(&mut state, |state| {
            (!done(state) || state.failing)
                && state.failed.is_none()
                && state.interrupted().is_none()
        });
        state
    }

    fn change(&self, change: impl FnOnce(&mut OutgoingState)) {
        change(&mut self.state.lock());
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Duration;

    /// What `wait` returns on another thread when this one does `act`.
    fn meanwhile<T: Send>(wait: impl FnOnce() -> T + Send, act: impl FnOnce()) -> T {
        thread::scope(|scope| {
            let waiting = scope.spawn(wait);
            thread::sleep(Duration::from_millis(20));
            assert!(!waiting.is_finished());
            act();
            waiting.join().unwrap()
        })
    }

    #[test]
    fn room_comes_with_a_frame_that_leaves_the_engine() {
        let outgoing = Outgoing::default();
        outgoing.set_in_flight(2);
        let room = meanwhile(|| outgoing.wait_for_room(2), || outgoing.set_in_flight(1));
        assert_eq!(room, Ok(()));
        // One that is being sent is under way, though the engine has it no more.
        outgoing.finished();
        assert!(outgoing.wait_for_finished());
        outgoing.set_in_flight(0);
        let sent = meanwhile(|| outgoing.wait_until_sent(), || outgoing.sent(Ok(true)));
        assert_eq!(sent, Ok(()));
        // After each frame the engine is asked for another.
        assert!(outgoing.wait_for_finished());
        outgoing.sent(Ok(false));
    }

    /// A frame that could not be drawn leaves room, but nothing more is taken in before the stream knows.
    #[test]
    fn no_frame_comes_between_a_failure_and_its_telling() {
        let outgoing = Outgoing::default();
        outgoing.set_in_flight(2);
        outgoing.finished();
        assert!(outgoing.wait_for_finished());
        outgoing.set_failing(0);
        let told = meanwhile(
            || outgoing.wait_for_room(2),
            || outgoing.sent(Err(FlowError::Error)),
        );
        assert_eq!(told, Err(FlowError::Error));
        assert_eq!(outgoing.wait_for_room(2), Ok(()));
    }

    #[test]
    fn failure_is_told_once_and_nothing_is_sent_before() {
        let outgoing = Outgoing::default();
        outgoing.set_in_flight(2);
        outgoing.finished();
        assert!(outgoing.wait_for_finished());
        outgoing.sent(Err(FlowError::NotLinked));
        outgoing.finished();
        assert_eq!(outgoing.wait_until_sent(), Err(FlowError::NotLinked));
        let told = || assert_eq!(outgoing.wait_for_room(2), Err(FlowError::NotLinked));
        let went_on = meanwhile(
            || outgoing.wait_for_finished(),
            || {
                told();
                outgoing.finished();
            },
        );
        assert!(went_on);
        outgoing.set_in_flight(1);
        assert_eq!(outgoing.wait_for_room(2), Ok(()));
    }

    #[test]
    fn flush_and_end_are_waited_for_by_nobody() {
        let outgoing = Outgoing::default();
        outgoing.set_in_flight(2);
        let room = meanwhile(|| outgoing.wait_for_room(2), || outgoing.flush_start());
        assert_eq!(room, Err(FlowError::Flushing));
        // Nothing is sent between the two, and the end of the flush waits for what was being sent.
        outgoing.finished();
        let never = meanwhile(|| outgoing.wait_for_finished(), || outgoing.close());
        assert!(!never);

        outgoing.open();
        outgoing.finished();
        assert!(outgoing.wait_for_finished());
        outgoing.flush_start();
        meanwhile(
            || outgoing.settle(),
            || outgoing.sent(Err(FlowError::Flushing)),
        );
        outgoing.set_in_flight(0);
        outgoing.flush_stop();
        assert_eq!(outgoing.wait_until_sent(), Ok(()));
        assert_eq!(outgoing.wait_for_room(1), Ok(()));
    }

    #[test]
    fn thread_is_started_once_in_a_run_and_never_after_it() {
        let outgoing = Outgoing::default();
        let mut started = 0;
        let mut start = || {
            outgoing.start(|| {
                started += 1;
                Ok::<_, ()>(())
            })
        };
        start().unwrap();
        start().unwrap();
        outgoing.close();
        outgoing.open();
        start().unwrap();
        outgoing.open();
        outgoing.close();
        start().unwrap();
        assert_eq!(started, 2);
    }
}
