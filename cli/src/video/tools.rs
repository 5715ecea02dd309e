//! The commands `ffmpeg` and `ffprobe`: finding them and running them. They take files apart and put them together, because
//! they keep time stamps, tracks, tags and chapters as no other well-kept tool does; nothing is linked.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::bounds;
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::video::watch;

/// Oldest version that has what is used (the bitstream filter `setts`).
const OLDEST: (u32, u32) = (4, 4);
/// First version with the option `-fps_mode`.
const FPS_MODE: (u32, u32) = (5, 1);

/// Pixels that decoders are allowed beyond twice the most: blocks of small frames.
const SPARE: u64 = 1 << 16;
/// Where nothing lies.
const NOWHERE: &str = "/nonexistent";
/// What an input may be read by: files, and what playlists in files may name without leaving this machine.
const PROTOCOLS: &str = "file,crypto,data";

/// How often a command that runs is looked at, and every how many times whether it does anything: once a second.
const WAIT: Duration = Duration::from_millis(10);
const LOOK: u32 = 100;

/// The two commands, found.
#[derive(Debug, Clone)]
pub struct Tools {
    version: (u32, u32),
    /// The version as the command says it.
    pub text: String,
}

impl Tools {
    /// Looks for the commands on PATH.
    ///
    /// # Errors
    /// [`Failure::Failed`] if one is missing, too old or cannot be run.
    pub fn find() -> Result<Self> {
        let first = |name: &str| -> Result<String> {
            let output = Command::new(program(name))
                .arg("-version")
                .stdin(Stdio::null())
                .output();
            match output {
                Ok(output) if output.status.success() => {
                    let text = String::from_utf8_lossy(&output.stdout);
                    Ok(text.lines().next().unwrap_or_default().to_owned())
                }
                Ok(output) => Err(Failure::Failed(format!(
                    "the command {name} is there but does not run ({}): {}",
                    output.status,
                    String::from_utf8_lossy(&output.stderr).trim()
                ))),
                Err(error) => Err(Failure::Failed(format!(
                    "videos need the commands ffmpeg and ffprobe, and {name} cannot be run: {error}; install ffmpeg (Debian: apt install ffmpeg), or run scripts/setup"
                ))),
            }
        };
        first("ffprobe")?;
        let line = first("ffmpeg")?;
        let text = line
            .split_whitespace()
            .nth(2)
            .unwrap_or_default()
            .to_owned();
        let version = version(&text);
        if version < OLDEST {
            return Err(Failure::Failed(format!(
                "expected ffmpeg {}.{} or newer, found {text}",
                OLDEST.0, OLDEST.1
            )));
        }
        Ok(Self { version, text })
    }

    /// Options that have every decoded frame come out once, with no regard to its time.
    pub fn every_frame(&self) -> [&'static str; 2] {
        if self.version >= FPS_MODE {
            ["-fps_mode", "passthrough"]
        } else {
            ["-vsync", "passthrough"]
        }
    }
}

/// The number of a version; builds from a repository have none, and are taken to be new.
fn version(text: &str) -> (u32, u32) {
    let mut numbers = text
        .trim_start_matches('n')
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        (Some(Ok(major)), _) => (major, 0),
        _ => (u32::MAX, 0),
    }
}

/// The name of a file for the commands, so that nothing in it is taken for a protocol or an option.
pub fn file(path: &Path) -> OsString {
    let mut name = OsString::from("file:");
    name.push(path);
    name
}

/// The option by which the commands read files alone, whatever the file `path` says that it is made of, and then the file itself as the
/// argument of `flag`.
pub fn local(flag: &str, path: &Path) -> [OsString; 4] {
    let options = ["-protocol_whitelist", PROTOCOLS, flag].map(OsString::from);
    let [option, protocols, flag] = options;
    [option, protocols, flag, file(path)]
}

/// The same of a file that is decoded: no memory is made for frames that are far too large. Decoders count whole blocks, so that they are
/// allowed more than a frame may have in the end.
pub fn decoded(path: &Path) -> Vec<OsString> {
    let most = bounds::most().saturating_mul(2).saturating_add(SPARE);
    let most = most.to_string();
    let mut all = ["-max_pixels", &most].map(OsString::from).to_vec();
    all.extend(local("-i", path));
    all
}

/// Microseconds as seconds, exactly, for the commands.
pub fn seconds(microseconds: i64) -> String {
    let sign = if microseconds < 0 { "-" } else { "" };
    let whole = microseconds.unsigned_abs();
    format!("{sign}{}.{:06}", whole / 1_000_000, whole % 1_000_000)
}

/// The file of the command `name` in the first folder of PATH that has it. Entries of PATH that are taken from the current folder are
/// passed over, so that nothing is run that merely lies there. The bare name where there is none, for an error that says so.
pub fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    find(name, &path).unwrap_or_else(|| PathBuf::from(NOWHERE).join(name))
}

/// As [`program`], in the folders of `path`.
fn find(name: &str, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The command `name`, not bothered by what the terminal sends to this program.
pub fn command<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(name: &str, arguments: I) -> Command {
    let mut command = Command::new(program(name));
    command.args(arguments).stdin(Stdio::null());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

/// Runs `command` to its end.
///
/// # Errors
/// [`Failure::Failed`] if it cannot be started or does nothing any more, [`Failure::Interrupted`].
pub fn output(mut command: Command) -> Result<Output> {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::Failed(format!("cannot run {name}: {error}")))?;
    let mut running = Running(child);
    // Both at once, or one would fill while the other is waited for.
    let stdout = running.0.stdout.take().map(read_all);
    let stderr = running.0.stderr.take().map(read_all);
    let status = running.wait(&name)?;
    let words = |reader: Option<JoinHandle<Vec<u8>>>| {
        reader.map_or_else(Vec::new, |reader| reader.join().unwrap_or_default())
    };
    Ok(Output {
        status,
        stdout: words(stdout),
        stderr: words(stderr),
    })
}

/// Reads an output of a command in a thread of its own.
fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut data = Vec::new();
        // What cannot be read is not told.
        let _ = from.read_to_end(&mut data);
        data
    })
}

/// Runs ffmpeg until it ends or the user interrupts; gives its messages.
///
/// # Errors
/// [`Failure::Failed`] with ffmpeg's reason, [`Failure::Interrupted`].
pub fn run(arguments: Vec<OsString>) -> Result<Vec<String>> {
    let output = output(command("ffmpeg", arguments))?;
    let messages = messages(&output.stderr);
    if output.status.success() {
        return Ok(messages);
    }
    // The reason of the system before what followed from it.
    let reason = messages
        .iter()
        .find(|line| line.contains("No space left"))
        .or_else(|| messages.last());
    Err(Failure::Failed(
        reason
            .map_or("ffmpeg does not say why", |text| text)
            .to_owned(),
    ))
}

/// Runs ffprobe and reads what it prints as JSON; also gives its messages.
///
/// # Errors
/// [`Failure::Failed`] if it cannot be run, or with the last of its messages if it gives no JSON.
pub fn probe<T: DeserializeOwned>(path: &Path, options: &[&str]) -> Result<(T, Vec<String>)> {
    let mut all: Vec<OsString> = [
        "-hide_banner",
        "-loglevel",
        "repeat+level+error",
        "-of",
        "json",
    ]
    .iter()
    .chain(options)
    .map(Into::into)
    .collect();
    all.extend(decoded(path));
    let output = output(command("ffprobe", all))?;
    let messages = messages(&output.stderr);
    serde_json::from_slice(&output.stdout)
        .map(|value| (value, messages.clone()))
        .map_err(|error| {
            let reason = messages
                .last()
                .cloned()
                .unwrap_or_else(|| error.to_string());
            Failure::Failed(format!("cannot read {}: {reason}", path.display()))
        })
}

/// Lines of what a command said, without the places in its memory.
pub fn messages(stderr: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(stderr)
        .lines()
        .map(clean)
        .filter(|line| !line.is_empty())
        .collect()
}

/// A message without `@ 0x5622d4f28cc0` and without the level.
pub fn clean(line: &str) -> String {
    let mut text = line.trim().to_owned();
    if let Some(at) = text.find(" @ 0x")
        && let Some(end) = text[at..].find(']')
    {
        text.replace_range(at..at + end, "");
    }
    for level in ["[warning] ", "[error] ", "[fatal] ", "[info] "] {
        text = text.replace(level, "");
    }
    // The name of the input is said by whoever hands the message on.
    text.trim().to_owned()
}

/// Whether a line of ffmpeg's tells of a fault of the file.
pub fn is_fault(line: &str) -> bool {
    const HARMLESS: &[&str] = &[
        "monotonically increasing dts",
        "deprecated pixel format",
        "Guessed Channel Layout",
        "EOI missing, emulating",
        // Of streams that are not read.
        "Unsupported codec with id",
        "codec parameters for stream",
        "Consider increasing the value for the 'analyzeduration'",
        "is not set in estimate_timings",
        "No accelerated colorspace conversion",
        "Stream #",
        // It was asked for by this program.
        "-vsync is deprecated",
    ];
    if HARMLESS.iter().any(|harmless| line.contains(harmless)) {
        // The sum of what the decoder complained of one by one.
        return line.contains("Error while decoding stream");
    }
    if line.contains("[error]") || line.contains("[fatal]") {
        return true;
    }
    let words = [
        "corrupt",
        "damag",
        "missing",
        "invalid",
        "truncat",
        "prematurely",
        "partial",
    ];
    let lower = line.to_lowercase();
    line.contains("[warning]") && words.iter().any(|word| lower.contains(word))
}

/// A running command, ended with the value.
#[derive(Debug)]
pub struct Running(pub Child);

impl Running {
    /// How it ended, once it has.
    pub fn ended(&mut self) -> Option<std::io::Result<ExitStatus>> {
        self.0.try_wait().transpose()
    }

    /// Waits for its end, as long as it does something.
    fn wait(&mut self, name: &str) -> Result<ExitStatus> {
        let process = self.0.id();
        let (mut waits, mut still, mut before) = (0_u32, 0, None);
        loop {
            if interrupt::interrupted() {
                return Err(Failure::Interrupted);
            }
            match self.ended() {
                Some(Ok(status)) => return Ok(status),
                Some(Err(error)) => return Err(Failure::Failed(format!("{name}: {error}"))),
                None => {}
            }
            std::thread::sleep(WAIT);
            waits += 1;
            if !waits.is_multiple_of(LOOK) {
                continue;
            }
            // What it has read and written, and its time on processors.
            let now = watch::doings(process);
            still = if now.is_none() || now != before {
                0
            } else {
                still + 1
            };
            before = now;
            if still >= watch::PATIENCE {
                return Err(Failure::Failed(format!(
                    "{name} has read, written and reckoned nothing for {still} s; it is given up"
                )));
            }
        }
    }

    /// Takes an output of the command.
    pub fn take_stderr(&mut self) -> Option<impl Read + Send + 'static> {
        self.0.stderr.take()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Has ended already, most of the time.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(version("5.1.9-0+deb12u1"), (5, 1));
        assert_eq!(version("7.0"), (7, 0));
        assert_eq!(version("n6.1.1"), (6, 1));
        assert_eq!(version("N-112233-gabc"), (u32::MAX, 0));
    }

    #[test]
    fn nothing_is_run_that_lies_in_the_current_folder() {
        // Tests run in the folder of their crate.
        assert!(Path::new("Cargo.toml").is_file());
        for path in ["", ".", "src:.:", ":", "./"] {
            assert_eq!(find("Cargo.toml", OsStr::new(path)), None, "'{path}'");
        }
        let here = std::env::current_dir().unwrap();
        let path = std::env::join_paths([Path::new("."), Path::new("/nowhere"), &here]).unwrap();
        assert_eq!(find("Cargo.toml", &path), Some(here.join("Cargo.toml")));
    }

    #[test]
    fn a_command_is_read_from_both_ends() {
        let script = "for i in $(seq 20000); do echo out$i; echo err$i >&2; done; exit 3";
        let found = output(command("sh", ["-c", script])).unwrap();
        assert_eq!(found.status.code(), Some(3));
        assert!(found.stdout.ends_with(b"out20000\n") && found.stderr.ends_with(b"err20000\n"));
        let missing = format!(
            "{:?}",
            output(command("no-such-command", [""])).unwrap_err()
        );
        assert!(missing.contains("no-such-command"), "{missing}");
    }

    #[test]
    fn messages_are_cleaned() {
        assert_eq!(
            clean("[h264 @ 0x55afbf6991c0] [error] Reference 4 >= 4"),
            "[h264] Reference 4 >= 4"
        );
    }
}
