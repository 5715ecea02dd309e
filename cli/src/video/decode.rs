//! Decoding, by the command ffmpeg: frames of one size and format, each with its time, and what was wrong with the file.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
#[cfg(unix)]
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ChildStdout, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::failure::{Failure, Result};
use crate::video::layout::Layout;
use crate::video::probe::{Input, Stream, TimeBase};
use crate::video::tools::{self, Running, Tools};

/// Most different messages that are kept.
const MESSAGES: usize = 200;

/// What all frames of a decoder are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Their samples.
    pub layout: Layout,
}

/// A decoded frame.
#[derive(Debug)]
pub struct Frame {
    /// Its bytes, lines packed.
    pub data: Vec<u8>,
    /// Its time in units of the stream, if it has one.
    pub time: Option<i64>,
    /// Whether it was made of two fields.
    pub interlaced: bool,
    /// Its width and height in the file.
    pub size: (u32, u32),
}

/// What ffmpeg says of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Info {
    time: Option<i64>,
    interlaced: bool,
    size: (u32, u32),
}

/// What was found wrong.
#[derive(Debug, Default)]
pub struct Faults {
    /// Messages and how often each came, in the order in which they came first.
    pub messages: Vec<(String, u64)>,
    /// Frames that the decoder knows to be damaged.
    pub corrupt: u64,
}

impl Faults {
    fn note(&mut self, message: String) {
        if let Some((_, count)) = self
            .messages
            .iter_mut()
            .find(|(known, _)| *known == message)
        {
            *count += 1;
        } else if self.messages.len() < MESSAGES {
            self.messages.push((message, 1));
        }
    }
}

/// What is decoded.
#[derive(Debug, Clone)]
pub struct Source {
    tools: Tools,
    path: PathBuf,
    stream: usize,
    unit: TimeBase,
    keeps_times: bool,
    shape: Shape,
    /// ffmpeg's decoder, if it is not the first that it has.
    decoder: Option<&'static str>,
}

impl Source {
    /// `stream` of `input`, frames scaled to `shape` where they are of another size.
    pub fn new(tools: &Tools, input: &Input, stream: &Stream, shape: Shape) -> Self {
        // ffmpeg's own decoders do not look for the transparency that lies beside a picture in WebM.
        let decoder = match (shape.layout.is_transparent(), stream.codec_name.as_str()) {
            (true, "vp8") => Some("libvpx"),
            (true, "vp9") => Some("libvpx-vp9"),
            _ => None,
        };
        Self {
            decoder,
            tools: tools.clone(),
            path: input.path.clone(),
            stream: stream.index,
            unit: stream.unit(),
            keeps_times: !input.starts_anywhere(),
            shape,
        }
    }
}

/// Decoders of a job, one after the other, as seen from other threads.
#[derive(Debug, Clone, Default)]
pub struct Control(Arc<Controlled>);

#[derive(Debug, Default)]
struct Controlled {
    running: Mutex<Option<Running>>,
    stopped: AtomicBool,
    given: AtomicU64,
}

impl Control {
    /// Ends the decoder, and every one that is started later; its next frame is the end.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
        if let Some(running) = lock(&self.0.running).as_mut() {
            // Has ended already, maybe.
            let _ = running.0.kill();
        }
    }

    /// The process, for its use of processors.
    pub fn process(&self) -> Option<u32> {
        lock(&self.0.running).as_ref().map(|running| running.0.id())
    }

    /// Waits for the end of the decoder; how it ended, if the system tells.
    fn wait(&self) -> Option<ExitStatus> {
        loop {
            // Not held while waiting: others want to end it.
            if let Some(ended) = lock(&self.0.running).as_mut()?.ended() {
                return ended.ok();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Frames of the video until the one that was given out last.
    pub fn given(&self) -> u64 {
        self.0.given.load(Ordering::Relaxed)
    }

    /// Says how many frames of the video there were until now.
    pub fn set_given(&self, frames: u64) {
        self.0.given.store(frames, Ordering::Relaxed);
    }
}

/// A running decoder.
#[derive(Debug)]
pub struct Decoder {
    control: Control,
    pictures: BufReader<ChildStdout>,
    infos: Receiver<Info>,
    listener: Option<JoinHandle<()>>,
    faults: Arc<Mutex<Faults>>,
    shape: Shape,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Decoder {
    /// Starts to decode `source`, in place of what `control` had before; `from` is the time of a key frame in units of the stream to
    /// begin with, or the frame from which on it can be decoded where there is none at this time.
    ///
    /// # Errors
    /// [`Failure::Failed`] if ffmpeg cannot be started, [`Failure::Interrupted`] if `control` was stopped.
    pub fn start(source: &Source, control: &Control, from: Option<i64>) -> Result<Self> {
        let (tools, unit, shape) = (&source.tools, source.unit, source.shape);
        let mut arguments: Vec<OsString> =
            ["-hide_banner", "-nostats", "-loglevel", "repeat+level+info"]
                .map(Into::into)
                .to_vec();
        if source.keeps_times {
            arguments.push("-copyts".into());
        }
        if let Some(from) = from {
            // Not before it: rounded up.
            let at = unit.nanoseconds(from).div_euclid(1000) + 1;
            let options = ["-noaccurate_seek", "-seek_timestamp", "1", "-ss"];
            arguments.extend(options.map(Into::into));
            arguments.push(tools::seconds(at).into());
        }
        if let Some(decoder) = source.decoder {
            arguments.extend(["-c:v", decoder].map(Into::into));
        }
        arguments.extend(tools::decoded(&source.path));
        arguments.extend([
            "-map".into(),
            format!("0:{}", source.stream).into(),
            "-vf".into(),
            format!(
                "showinfo=checksum=0,scale={}:{}:flags=bicubic+accurate_rnd+full_chroma_int,format={}",
                shape.width, shape.height, shape.layout.ffmpeg
            )
            .into(),
        ]);
        arguments.extend(tools.every_frame().map(Into::into));
        arguments.extend(["-f", "rawvideo", "pipe:1"].map(Into::into));
        let child = tools::command("ffmpeg", arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::Failed(format!("cannot run ffmpeg: {error}")))?;
        let mut running = Running(child);
        let missing = || Failure::Failed("ffmpeg gives no output".to_owned());
        let pictures = running.0.stdout.take().ok_or_else(missing)?;
        let words = running.take_stderr().ok_or_else(missing)?;
        let (sender, infos) = channel();
        let faults = Arc::new(Mutex::new(Faults::default()));
        let kept = faults.clone();
        let listener = std::thread::spawn(move || listen(words, unit, &sender, &kept));
        control.set_given(0);
        *lock(&control.0.running) = Some(running);
        if control.0.stopped.load(Ordering::SeqCst) {
            control.stop();
            return Err(Failure::Interrupted);
        }
        Ok(Self {
            control: control.clone(),
            pictures: BufReader::with_capacity(1 << 20, pictures),
            infos,
            listener: Some(listener),
            faults,
            shape,
        })
    }

    /// Whether nothing was found wrong so far.
    pub fn clean(&self) -> bool {
        let faults = lock(&self.faults);
        faults.messages.is_empty() && faults.corrupt == 0
    }

    /// The next frame; `None` at the end, whether good or bad.
    ///
    /// # Errors
    /// [`Failure::Failed`] if the pipe breaks.
    pub fn next(&mut self) -> Result<Option<Frame>> {
        let Shape {
            width,
            height,
            layout,
        } = self.shape;
        let mut data = vec![0; layout.frame_bytes(width, height)];
        match self.pictures.read_exact(&mut data) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(Failure::Failed(format!("ffmpeg's pipe: {error}"))),
        }
        // It was said before the frame was written.
        let Ok(info) = self.infos.recv() else {
            return Ok(None);
        };
        if info.interlaced {
            layout.upper_field(&mut data, width, height);
        }
        self.control.0.given.fetch_add(1, Ordering::Relaxed);
        Ok(Some(Frame {
            data,
            time: info.time,
            interlaced: info.interlaced,
            size: info.size,
        }))
    }

    /// What was found wrong, once the last frame was given.
    ///
    /// # Errors
    /// [`Failure::Failed`] if somebody else ended ffmpeg, the system for lack of memory for instance: what comes after the last frame is
    /// not known then.
    pub fn faults(mut self) -> Result<Faults> {
        let status = self.control.wait();
        #[cfg(unix)]
        if let Some(signal) = status.and_then(|status| status.signal())
            && !self.control.0.stopped.load(Ordering::SeqCst)
        {
            return Err(Failure::Failed(format!(
                "ffmpeg was ended by signal {signal} while it decoded"
            )));
        }
        let well = status.is_none_or(|status| status.success());
        if let Some(listener) = self.listener.take() {
            // A thread that panicked has nothing more to say.
            let _ = listener.join();
        }
        let mut faults = std::mem::take(&mut *lock(&self.faults));
        if !well {
            faults.note("ffmpeg ended with an error".to_owned());
        }
        Ok(faults)
    }
}

/// Reads what ffmpeg says until it ends.
fn listen(words: impl Read, unit: TimeBase, infos: &Sender<Info>, faults: &Mutex<Faults>) {
    let mut base = unit;
    let mut reader = BufReader::new(words);
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        if text.contains("showinfo") {
            if let Some(at) = text.find("config in time_base: ") {
                let rest = &text[at + 21..];
                let end = rest.find(',').unwrap_or(rest.len());
                base = TimeBase::read(rest[..end].trim()).unwrap_or(unit);
            } else if let Some(mut info) = info(&text) {
                if base != unit {
                    info.time = info.time.map(|time| unit.units(base.nanoseconds(time)));
                }
                if infos.send(info).is_err() {
                    return;
                }
            }
            continue;
        }
        if text.contains("corrupt decoded frame") {
            lock(faults).corrupt += 1;
        } else if tools::is_fault(&text) {
            lock(faults).note(tools::clean(&text));
        }
    }
}

/// Reads showinfo's line of a frame.
fn info(line: &str) -> Option<Info> {
    let text = &line[line.find("] n:")? + 2..];
    let field = |name: &str| {
        let at = text.find(name)? + name.len();
        text[at..].split_whitespace().next()
    };
    let (width, height) = field(" s:")?.split_once('x')?;
    Some(Info {
        time: field(" pts:")?.parse().ok(),
        interlaced: matches!(field(" i:")?, "T" | "B"),
        size: (width.parse().ok()?, height.parse().ok()?),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LINE: &str = "[Parsed_showinfo_0 @ 0x5622d4f28cc0] [info] n:  10 pts:    900 pts_time:0.9     pos:     2906 fmt:yuv420p sar:1/1 s:64x48 i:T iskey:1 type:I ";

    #[test]
    fn frames_are_told() {
        let found = info(LINE).unwrap();
        assert_eq!(
            found,
            Info {
                time: Some(900),
                interlaced: true,
                size: (64, 48)
            }
        );
        let without = LINE
            .replace("pts:    900", "pts:  NOPTS")
            .replace("i:T", "i:P");
        let found = info(&without).unwrap();
        assert_eq!((found.time, found.interlaced), (None, false));
        assert!(info("[Parsed_showinfo_0 @ 0x5] [info] color_range:unknown").is_none());
    }

    #[test]
    fn messages_are_counted_once() {
        let (sender, receiver) = channel();
        let words = format!(
            "[mov @ 0x1] [warning] Packet corrupt (stream = 0)\n{LINE}\n[h264 @ 0x1] [error] bad MB\n[h264 @ 0x2] [error] bad MB\n\
             [warning] in.mp4: corrupt decoded frame in stream 0\n[swscaler @ 0x3] [warning] deprecated pixel format used\n"
        );
        let faults = Mutex::new(Faults::default());
        let unit = TimeBase { num: 1, den: 1000 };
        listen(words.as_bytes(), unit, &sender, &faults);
        let faults = faults.into_inner().unwrap();
        assert_eq!(faults.messages.len(), 2);
        assert_eq!(faults.messages[1], ("[h264] bad MB".to_owned(), 2));
        assert_eq!(faults.corrupt, 1);
        assert_eq!(receiver.try_iter().count(), 1);
    }
}
