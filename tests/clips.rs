//! Faces and masks over real clips: found in enough frames, no pops, cuts where the pictures cut.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use srfusion::testing::parts::Mask;
use srfusion::{Canceller, Config, FrameInfo, Parameters, Provider, SCALE, Size, Upscaler, View};

mod support;
use support::{Picture, data, models, runtime};

/// What a clip's faces and masks did.
#[derive(Debug, Default)]
struct Summary {
    frames: usize,
    with_face: usize,
    identities: u64,
    /// Mean over all sampled pixels under a mask, and maximum, of the change of w from frame to frame.
    mean_change: f64,
    max_change: f32,
}

/// Follows the faces of a clip of `size`, decoded by ffmpeg; `None` without ffmpeg.
fn follow(clip: &Path, size: Size, rate: f64, parameters: &Parameters) -> Option<Summary> {
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(clip)
        .args([
            "-fps_mode",
            "passthrough",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| eprintln!("skipped: ffmpeg cannot be run: {e}"))
        .ok()?;
    let mut stream = child.stdout.take().unwrap();
    let config = Config {
        models_dir: Some(models()),
        provider: Provider::Cpu,
        ..Config::default()
    };
    let mut upscaler = Upscaler::open(&config, &Canceller::new(), &mut |_| ()).unwrap();
    // The mask view runs the detector and the tracker, but no generator.
    upscaler
        .set_parameters(Parameters {
            view: View::Mask,
            ..parameters.clone()
        })
        .unwrap();
    let mut picture = Picture {
        size,
        data: vec![0; size.area() * 3],
    };
    let mut output = picture.enlarged();
    let (mut mask, mut summary) = (Mask::default(), Summary::default());
    let rows: Vec<usize> = (0..size.height * SCALE).step_by(8).collect();
    let width = size.width * SCALE;
    let (mut last, mut now) = (
        vec![0.0f32; rows.len() * width],
        vec![0.0f32; rows.len() * width],
    );
    let (mut sum, mut count) = (0.0f64, 0u64);
    while stream.read_exact(&mut picture.data).is_ok() {
        let pts = Some(Duration::from_secs_f64(summary.frames as f64 / rate));
        let info = FrameInfo {
            pts,
            ..FrameInfo::default()
        };
        upscaler
            .process(picture.frame(), &info, &mut output.frame_mut())
            .unwrap();
        let faces = upscaler.faces();
        summary.with_face += usize::from(!faces.is_empty());
        summary.identities = summary
            .identities
            .max(faces.iter().map(|f| f.id).max().unwrap_or(0));
        mask.fill(faces, size, parameters.mask_padding, parameters.mask_sigma);
        for (line, y) in now.chunks_mut(width).zip(&rows) {
            mask.row(0, *y, line);
        }
        if summary.frames > 0 {
            for (a, b) in last
                .iter()
                .zip(&now)
                .filter(|(a, b)| **a > 0.0 || **b > 0.0)
            {
                sum += f64::from((a - b).abs());
                summary.max_change = summary.max_change.max((a - b).abs());
                count += 1;
            }
        }
        std::mem::swap(&mut last, &mut now);
        summary.frames += 1;
    }
    child.wait().unwrap();
    summary.mean_change = sum / count.max(1) as f64;
    Some(summary)
}

fn raw() -> Parameters {
    Parameters {
        smoothing: 0.0,
        hold_time: Duration::ZERO,
        fade_time: Duration::ZERO,
        ..Parameters::default()
    }
}

#[test]
fn the_signer_keeps_one_steady_mask() {
    let (true, Some(data)) = (runtime(), data()) else {
        return;
    };
    let clip = data.join("dev/video/static-indoor-signer-1.mkv");
    let size = Size::new(640, 480);
    let Some(smoothed) = follow(&clip, size, 30.0, &Parameters::default()) else {
        return;
    };
    let Some(raw) = follow(&clip, size, 30.0, &raw()) else {
        return;
    };
    println!(
        "static-indoor-signer-1, smoothed: {smoothed:?}\nstatic-indoor-signer-1, raw: {raw:?}"
    );
    assert!(smoothed.frames >= 60);
    assert!(
        smoothed.with_face as f64 >= 0.95 * smoothed.frames as f64,
        "the face is found"
    );
    // The head turns by up to an eighth of its width from one frame to the next, and w moves with it; a mask that appears or
    // goes at once changes by 1.
    assert!(
        smoothed.max_change < 0.5,
        "no pop of the mask: {}",
        smoothed.max_change
    );
    assert!(
        smoothed.mean_change < 0.8 * raw.mean_change,
        "calmer than the raw mask"
    );
}

#[test]
fn the_stage_with_cuts_and_several_faces() {
    let (true, Some(data)) = (runtime(), data()) else {
        return;
    };
    let clip = data.join("dev/video/stage-zoom-faces.mp4");
    let Some(summary) = follow(&clip, Size::new(640, 360), 29.97, &Parameters::default()) else {
        return;
    };
    println!("stage-zoom-faces: {summary:?}");
    assert!(summary.with_face > summary.frames / 2);
}
