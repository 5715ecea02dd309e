//! Faults around the element on purpose: no frame is lost without a word, and the stream goes on or ends with one error. Makes the table
//! `element` of docs/reliability.md.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gst::prelude::*;
use gst_check::Harness;

use crate::common::{Messages, PATIENCE, element, frame, harness, tiny, within};

#[path = "../../../tests/support/table.rs"]
mod table;
use table::{Row, assert_table};

const FRAMES: u64 = 8;
/// The frame at which the fault is done.
const FAULTY: u64 = 4;

/// What is done to the stream before the frame `FAULTY`, and to that frame.
type Deed<'a> = &'a mut dyn FnMut(&mut Harness, &mut gst::Buffer);

/// Pushes the frames, does the deed, and tells what came of it in words.
fn outcome(element: &gst::Element, deed: Deed<'_>) -> String {
    let (mut harness, bus) = harness(element, 16, 16);
    let (mut pushed, mut flow) = (0, Ok(gst::FlowSuccess::Ok));
    for number in 0..FRAMES {
        let mut buffer = frame(16, 16, [90; 3], number);
        if number == FAULTY {
            deed(&mut harness, &mut buffer);
        }
        flow = harness.push(buffer);
        if flow.is_err() {
            break;
        }
        pushed += 1;
    }
    let came = harness.buffers_in_queue() as u64;
    // Every frame that was taken came out, in order.
    assert_eq!(came, pushed, "frames were lost without a word");
    let errors = Messages::now(&bus).errors(element);
    assert_eq!(errors.len(), usize::from(flow.is_err()), "{errors:?}");
    match errors.first() {
        None => format!("{came} of {FRAMES} frames, no error"),
        Some(error) => format!(
            "{came} of {FRAMES} frames, then one error: `{}`",
            plain(error)
        ),
    }
}

/// The message alone, without the places of this machine.
fn plain(error: &str) -> String {
    let text = error.lines().next().unwrap_or_default();
    text.split(" (Error")
        .next()
        .unwrap_or(text)
        .trim()
        .to_owned()
}

/// The tiny networks in a folder of their own, which may be spoilt.
fn copied() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(tiny()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    folder
}

/// An element whose networks lie in `folder`.
fn element_of(folder: &Path) -> gst::Element {
    let element = element();
    element.set_property("models-dir", folder.to_str().unwrap());
    element
}

fn nothing(_: &mut Harness, _: &mut gst::Buffer) {}

/// Takes from this process the right to open any more files, and gives it back. A shell does it, which is there before: no program can be
/// started without.
struct NoFiles(Child);

impl NoFiles {
    fn prepare() -> Self {
        let script =
            "while read most; do prlimit --pid $PPID --nofile=$most: || exit 1; echo done; done";
        let shell = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        Self(shell.unwrap())
    }

    /// So many from now on; those that are open stay so.
    fn limit(&mut self, most: u32) {
        writeln!(self.0.stdin.as_mut().unwrap(), "{most}").unwrap();
        let mut answer = [0; 5];
        self.0
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut answer)
            .unwrap();
        assert_eq!(&answer, b"done\n");
    }
}

impl Drop for NoFiles {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn whatever_fails_around_it_no_frame_is_lost_without_a_word() {
    crate::common::init();
    // Maps that fail are told by GStreamer loudly, which must not end this process.
    gst::glib::log_set_always_fatal(gst::glib::LogLevels::empty());
    let mut rows: Vec<Row> = Vec::new();
    let mut row = |fault: &str, outcome: String| rows.push((fault.to_owned(), outcome));

    row("none", outcome(&element(), &mut nothing));
    let short = outcome(&element(), &mut |_, buffer| {
        *buffer = gst::Buffer::with_size(11).unwrap()
    });
    row("a buffer is too small", short);
    let brittle = element();
    brittle.set_property("general-model", "brittle-x4");
    brittle.set_property("face-model", "none");
    let rubbish = outcome(&brittle, &mut |_, buffer| {
        *buffer = frame(16, 16, [255; 3], FAULTY)
    });
    row("the general network gives NaN", rubbish);

    let at = |time: Option<gst::ClockTime>| {
        outcome(&element(), &mut |_, buffer| {
            buffer.get_mut().unwrap().set_pts(time)
        })
    };
    row(
        "the clock goes back to the beginning",
        at(Some(gst::ClockTime::ZERO)),
    );
    row(
        "the clock goes a year ahead",
        at(Some(gst::ClockTime::from_seconds(365 * 86_400))),
    );
    row(
        "the clock stands at the end of time",
        at(Some(gst::ClockTime::from_nseconds(u64::MAX - 1))),
    );
    row("a frame has no time", at(None));

    let folder = copied();
    let removed = outcome(&element_of(folder.path()), &mut |_, _| {
        std::fs::remove_dir_all(folder.path()).unwrap();
    });
    row("the models are removed while it plays", removed);
    let folder = copied();
    let replaced = outcome(&element_of(folder.path()), &mut |_, _| {
        for name in ["bicubic-x4.onnx", "inverted-x4.onnx", "centre-face.onnx"] {
            std::fs::write(folder.path().join(name), "no model any more").unwrap();
        }
    });
    row("the models are replaced while it plays", replaced);
    let folder = copied();
    let full = element_of(folder.path());
    full.set_property("cache-dir", "/dev/full/cache");
    // No entry: what is found out of it is kept in the cache.
    full.set_property(
        "general-model",
        folder.path().join("shifted-x4.onnx").to_str().unwrap(),
    );
    row(
        "the cache folder cannot be written",
        outcome(&full, &mut nothing),
    );

    let mut files = NoFiles::prepare();
    let playing = outcome(&element(), &mut |_, _| files.limit(3));
    files.limit(1024);
    row("no more files can be opened while it plays", playing);
    let starting = element();
    let bus = gst::Bus::new();
    starting.set_bus(Some(&bus));
    files.limit(3);
    let started = starting.set_state(gst::State::Ready);
    files.limit(1024);
    assert!(started.is_err());
    let errors = Messages::now(&bus).errors(&starting);
    assert_eq!(errors.len(), 1, "{errors:?}");
    let reason = if errors[0].contains("Too many open files") {
        "Too many open files"
    } else {
        &errors[0]
    };
    row(
        "no more files can be opened when it starts",
        format!("no frames, one error that says `{reason}`"),
    );
    row(
        "the same, once there are files again",
        outcome(&starting, &mut nothing),
    );

    let hanging = element();
    hanging.set_property("general-model", "slow-x4");
    hanging.set_property("face-model", "none");
    row(
        "a network hangs for a minute, and the stream is flushed or stopped",
        hang(&hanging),
    );

    assert_table(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
        "element",
        &rows,
    );
}

/// A frame for which the network takes a minute.
fn hang(element: &gst::Element) -> String {
    const HEIGHT: u32 = 64 + 120;
    let (mut harness, bus) = harness(element, 16, HEIGHT);
    let pad = element.static_pad("sink").unwrap();
    let flush = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(1));
        pad.send_event(gst::event::FlushStart::new())
    });
    let flow = within(PATIENCE / 2, || harness.push(frame(16, HEIGHT, [90; 3], 0)));
    assert!(flush.join().unwrap());
    assert_eq!(flow, Err(gst::FlowError::Flushing));
    within(PATIENCE / 2, || drop(harness));
    let errors = Messages::now(&bus).errors(element);
    assert_eq!(errors, [""; 0]);
    "it ends at once, no error".to_owned()
}

/// The runtime's library is a file like others: what is loaded stays.
#[test]
fn the_runtime_s_library_may_be_removed_or_replaced_while_it_plays() {
    let library = srfusion::runtime::library::load(None).unwrap().path;
    for replaced in ["", "replaced"] {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("libonnxruntime.so.1");
        std::fs::copy(&library, &copy).unwrap();
        // In a process of its own, for this one has its library already.
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program)
            .args([
                "reliability::play_with_a_library_of_its_own",
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .env("SRFUSION_TEST_LIBRARY", &copy)
            .env("SRFUSION_TEST_REPLACED", replaced)
            .stdout(File::create(folder.path().join("said")).unwrap())
            .stderr(File::create(folder.path().join("errors")).unwrap())
            .spawn()
            .unwrap();
        let status = within(PATIENCE, || child.wait().unwrap());
        let said = std::fs::read_to_string(folder.path().join("said")).unwrap()
            + &std::fs::read_to_string(folder.path().join("errors")).unwrap();
        assert!(status.success(), "{replaced}: {said}");
        assert!(said.contains("8 of 8 frames, no error"), "{said}");
        let left = std::fs::read(&copy).unwrap_or_default();
        assert_eq!(String::from_utf8(left).unwrap(), replaced);
    }
}

/// Run by the test above.
#[test]
#[ignore = "needs a library of its own, which another test gives it"]
fn play_with_a_library_of_its_own() {
    let Some(library) = std::env::var_os("SRFUSION_TEST_LIBRARY") else {
        return;
    };
    let element = element();
    element.set_property("runtime-library", library.to_str().unwrap());
    let said = outcome(&element, &mut |_, _| {
        std::fs::remove_file(&library).unwrap();
        let replaced = std::env::var("SRFUSION_TEST_REPLACED").unwrap_or_default();
        if !replaced.is_empty() {
            std::fs::write(&library, replaced).unwrap();
        }
    });
    println!("{said}");
}
