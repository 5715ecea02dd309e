//! The watchdog: a job in which nothing moves any more is ended, and told is what waits for what.

use std::collections::BTreeMap;
use std::fs;

use gst::prelude::*;

use crate::failure::Failure;

/// Seconds without any progress, and without work for the processors, after which a job is given up.
pub const PATIENCE: u32 = 60;
/// Share of a processor's time below which it counts as idle.
const IDLE: f64 = 0.05;

/// Where a job stands: a name of each place that is passed by frames, and how many have passed.
pub type Places = Vec<(&'static str, u64)>;

/// Looks at a job from time to time.
#[derive(Debug)]
pub struct Watch {
    last: Places,
    /// Looks without progress. They are counted rather than measured by a clock: a process that was stopped goes on.
    still: u32,
    cpu: f64,
    patience: u32,
}

/// Processor seconds that `processes` have used, where the system tells.
fn cpu_seconds(processes: &[u32]) -> Option<f64> {
    let mut ticks = 0.0;
    for process in processes {
        let Ok(text) = fs::read_to_string(format!("/proc/{process}/stat")) else {
            // It has ended.
            continue;
        };
        // Behind the name, which may hold anything.
        let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
        ticks += fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    }
    // The unit of this file is a hundredth of a second on every Linux there is.
    Some(ticks / 100.0)
}

/// What tells whether a process does anything: bytes that it has read and written, and ticks of processors; `None` where the
/// system does not tell.
pub fn doings(process: u32) -> Option<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{process}/io")).ok()?;
    let number = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    };
    let bytes = number("rchar:")?.wrapping_add(number("wchar:")?);
    Some((bytes, (cpu_seconds(&[process])? * 100.0) as u64))
}

impl Watch {
    /// `patience` is the number of looks without progress after which a job is given up; they come once a second.
    pub fn new(patience: u32) -> Self {
        Self {
            last: Vec::new(),
            still: 0,
            cpu: 0.0,
            patience,
        }
    }

    /// Looks at the job: where it stands, the processes that work for it, and its pipelines.
    ///
    /// # Errors
    /// [`Failure::Failed`] if it stands still, naming what waits for what.
    pub fn look(
        &mut self,
        places: &Places,
        processes: &[u32],
        pipelines: &[gst::Pipeline],
    ) -> Result<(), Failure> {
        let now = cpu_seconds(processes);
        if *places != self.last {
            self.last.clone_from(places);
            self.still = 0;
            self.cpu = now.unwrap_or_default();
            return Ok(());
        }
        self.still += 1;
        if self.still < self.patience {
            return Ok(());
        }
        if let Some(now) = now {
            let used = now - self.cpu;
            if used > IDLE * f64::from(self.still) {
                // A large frame, or a model being compiled.
                self.still = 0;
                self.cpu = now;
                return Ok(());
            }
        }
        Err(Failure::Failed(format!(
            "nothing has moved for {} s, and nothing is being reckoned: {}; the job is given up",
            self.still,
            describe(places, pipelines)
        )))
    }
}

/// Who waits for whom: the counts of each place, and what every queue holds.
fn describe(places: &Places, pipelines: &[gst::Pipeline]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let stuck = places
        .windows(2)
        .find(|pair| pair[0].1 > pair[1].1)
        .map(|pair| &pair[1]);
    match (stuck, places.first()) {
        (Some((name, count)), _) => parts.push(format!(
            "all wait for {name}, which has let {count} frames pass"
        )),
        (None, Some((name, count))) => {
            parts.push(format!("all wait for {name} after {count} frames"));
        }
        _ => {}
    }
    let counts: Vec<_> = places
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    parts.push(format!("frames passed: {}", counts.join(", ")));
    for (name, level) in queues(pipelines) {
        parts.push(format!("queue {name} holds {level}"));
    }
    parts.join("; ")
}

/// What the queues and sources of `pipelines` hold, by name.
fn queues(pipelines: &[gst::Pipeline]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for pipeline in pipelines {
        for element in pipeline.iterate_elements().into_iter().flatten() {
            let factory = element.factory().map(|factory| factory.name());
            match factory.as_deref() {
                Some("queue") => {
                    let level: u32 = element.property("current-level-buffers");
                    let most: u32 = element.property("max-size-buffers");
                    found.insert(
                        element.name().to_string(),
                        format!("{level} of {most} frames"),
                    );
                }
                Some("appsrc") => {
                    let level: u64 = element.property("current-level-bytes");
                    found.insert(element.name().to_string(), format!("{level} bytes"));
                }
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A pipeline that is stalled on purpose: what comes out of the queue is held for ever.
    fn stalled() -> gst::Pipeline {
        gst::init().unwrap();
        let pipeline = gst::parse::launch(
            "videotestsrc ! queue name=before max-size-buffers=2 max-size-bytes=0 max-size-time=0 ! identity name=hold ! fakesink",
        )
        .unwrap()
        .downcast::<gst::Pipeline>()
        .unwrap();
        let pad = pipeline
            .by_name("hold")
            .unwrap()
            .static_pad("sink")
            .unwrap();
        pad.add_probe(
            gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER,
            |_, _| gst::PadProbeReturn::Ok,
        );
        pipeline.set_state(gst::State::Playing).unwrap();
        pipeline
    }

    #[test]
    fn a_stalled_pipeline_is_told_of() {
        let pipeline = stalled();
        let queue = pipeline.by_name("before").unwrap();
        let start = std::time::Instant::now();
        while queue.property::<u32>("current-level-buffers") < 2 {
            assert!(start.elapsed().as_secs() < 30);
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let places = vec![("the decoder", 5), ("the engine", 3), ("the encoder", 3)];
        let mut watch = Watch::new(3);
        // No process: none that works.
        let looks: Vec<_> = (0..5)
            .map(|_| watch.look(&places, &[], std::slice::from_ref(&pipeline)))
            .collect();
        assert_eq!(looks.iter().take_while(|look| look.is_ok()).count(), 3);
        let message = format!("{:?}", looks[3].as_ref().unwrap_err());
        for word in ["the engine", "3 frames", "queue before holds 2 of 2 frames"] {
            assert!(message.contains(word), "{word}: {message}");
        }
        pipeline.set_state(gst::State::Null).unwrap();
    }

    #[test]
    fn a_process_that_does_something_is_seen() {
        let own = std::process::id();
        let Some(before) = doings(own) else {
            assert!(!std::path::Path::new("/proc/self/io").exists());
            return;
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), [7; 100_000]).unwrap();
        assert!(doings(own).unwrap().0 >= before.0 + 100_000);
        assert_eq!(doings(u32::MAX), None);
    }

    #[test]
    fn progress_and_work_are_patience() {
        let mut watch = Watch::new(2);
        for count in 0..20 {
            watch
                .look(&vec![("the decoder", count / 2)], &[], &[])
                .unwrap();
        }
        if cpu_seconds(&[std::process::id()]).is_none() {
            eprintln!("skipped: the system does not tell what processes use");
            return;
        }
        let mut watch = Watch::new(2);
        let places = vec![("the decoder", 7)];
        for _ in 0..6 {
            watch.look(&places, &[std::process::id()], &[]).unwrap();
            // Work, more than a twentieth of what the looks stand for.
            let start = cpu_seconds(&[std::process::id()]).unwrap();
            while cpu_seconds(&[std::process::id()]).unwrap() - start < 0.15 {
                std::hint::black_box((0..10_000).sum::<u64>());
            }
        }
    }
}
