//! VMAF, by ffmpeg's filter `libvmaf` where there is one.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::failure::{Failure, Result};
use crate::video;

/// The part of the filter's log that is read.
#[derive(Deserialize)]
struct Log {
    pooled_metrics: Pooled,
}

#[derive(Deserialize)]
struct Pooled {
    vmaf: Mean,
}

#[derive(Deserialize)]
struct Mean {
    mean: f64,
}

/// Why there is no VMAF here; `None` where there is.
pub fn missing() -> Option<String> {
    let listed = Command::new(video::program("ffmpeg"))
        .args(["-hide_banner", "-filters"])
        .stdin(Stdio::null())
        .output();
    match listed {
        Err(_) => Some("ffmpeg is not installed".into()),
        Ok(listed) if !String::from_utf8_lossy(&listed.stdout).contains(" libvmaf ") => {
            Some("this ffmpeg has no filter libvmaf".into())
        }
        Ok(_) => None,
    }
}

/// Mean VMAF of the video `output` against `truth`, 0 to 100, by the model that ffmpeg's libvmaf takes by itself.
///
/// # Errors
/// [`Failure::Failed`] with ffmpeg's last line.
pub fn vmaf(output: &Path, truth: &Path) -> Result<f64> {
    let failed = |reason: String| Failure::Failed(format!("ffmpeg's libvmaf failed: {reason}"));
    let folder = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
    let inside = |path: &Path| std::path::absolute(path).map_err(|error| failed(error.to_string()));
    // The log's name is written into the filter, where many signs have a meaning: a plain name in a folder of its own has none.
    let ran = Command::new(video::program("ffmpeg"))
        .args(["-hide_banner", "-nostdin", "-loglevel", "error", "-i"])
        .arg(inside(output)?)
        .arg("-i")
        .arg(inside(truth)?)
        .args([
            "-lavfi",
            "[0:v]setpts=N[a];[1:v]setpts=N[b];[a][b]libvmaf=log_fmt=json:log_path=vmaf.json:n_threads=2",
            "-f",
            "null",
            "-",
        ])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !ran.status.success() {
        let errors = String::from_utf8_lossy(&ran.stderr);
        return Err(failed(
            errors.lines().last().unwrap_or("no reason given").into(),
        ));
    }
    let log = std::fs::read(folder.path().join("vmaf.json"))
        .map_err(|error| failed(error.to_string()))?;
    let log: Log = serde_json::from_slice(&log).map_err(|error| failed(error.to_string()))?;
    Ok(log.pooled_metrics.vmaf.mean)
}
