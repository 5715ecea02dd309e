//! Films made with ffmpeg, and what ffprobe says of them.

use std::path::Path;
use std::process::Command;

use super::{has, runtime};

/// Whether everything is there that these tests need.
pub fn ready() -> bool {
    let found = |name: &str| Command::new(name).arg("-version").output().is_ok();
    if !found("ffmpeg") || !found("ffprobe") {
        eprintln!("skipped: no ffmpeg");
        return false;
    }
    runtime() && has(&["x264enc", "h264parse", "mp4mux"])
}

/// Makes `path` by ffmpeg's arguments, which have words without spaces.
#[track_caller]
pub fn make(path: &Path, arguments: &str) {
    let mut all: Vec<&str> = vec!["-v", "error", "-nostdin", "-y"];
    all.extend(arguments.split_whitespace());
    let result = Command::new("ffmpeg").args(all).arg(path).output().unwrap();
    assert!(
        result.status.success(),
        "{}",
        String::from_utf8_lossy(&result.stderr)
    );
}

/// What ffprobe prints.
pub fn probe(path: &Path, arguments: &str) -> String {
    let result = Command::new("ffprobe")
        .args(["-v", "error"])
        .args(arguments.split_whitespace())
        .arg(path)
        .output()
        .unwrap();
    String::from_utf8_lossy(&result.stdout).into_owned()
}

/// Times of the packets of a stream in order, in microseconds.
pub fn times(path: &Path, stream: &str) -> Vec<i64> {
    let text = probe(
        path,
        &format!("-select_streams {stream} -show_entries packet=pts_time -of csv=p=0"),
    );
    let mut times: Vec<i64> = text
        .lines()
        .filter_map(|line| line.trim_matches(',').parse::<f64>().ok())
        .map(|seconds| (seconds * 1e6).round() as i64)
        .collect();
    times.sort_unstable();
    times
}

/// Two seconds of a moving test picture, of sound, and a coding, as ffmpeg's arguments.
pub const VIDEO: &str = "-f lavfi -i testsrc2=s=64x48:r=25:d=2";
/// Sound.
pub const SOUND: &str = "-f lavfi -i sine=440:d=2:r=48000";
/// H.264 of 4:2:0.
pub const H264: &str = "-c:v libx264 -pix_fmt yuv420p";
