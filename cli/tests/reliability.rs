//! Faults around the command on purpose: it ends with one line that says why, and leaves nothing that looks finished. Makes the table `command`
//! of docs/reliability.md.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output};

mod support;
use support::media::{H264, make, ready};
use support::{BICUBIC, Folder, command};

#[path = "../../tests/support/table.rs"]
mod table;
use table::{Row, assert_table};

/// What came of a run, in words, without the places of this machine.
fn outcome(result: &Output, folder: &Folder) -> String {
    let said = String::from_utf8_lossy(&result.stderr);
    assert_eq!(result.status.code(), Some(1), "{said}");
    let lines: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("srfusion: "))
        .collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(!said.contains("panicked"), "{said}");
    // Without names of a place and of a moment.
    let place = folder.file("").display().to_string();
    let line = lines[0].replace(&place, "");
    let line = line.split(" at path").next().unwrap();
    let names = folder.names();
    assert!(
        !names.iter().any(|name| name.starts_with("out.")),
        "{names:?}"
    );
    format!("exit status 1 and `{line}`; nothing is left under the output's name")
}

/// Runs `srfusion upscale` on `input` by a shell that first does `before`.
fn upscale(before: &str, input: &Path, output: &Path) -> Output {
    let all = [
        &["upscale", input.to_str().unwrap(), output.to_str().unwrap()],
        BICUBIC,
    ]
    .concat();
    let typed = command(&all);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{before}; exec \"$0\" \"$@\"")])
        .arg(typed.get_program())
        .args(typed.get_args());
    for (name, value) in typed.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    shell.output().unwrap()
}

#[test]
fn whatever_fails_around_it_the_command_says_so_in_one_line() {
    if !ready() {
        return;
    }
    let folder = Folder::new("reliability");
    let (picture, film) = (folder.file("in.png"), folder.file("in.mp4"));
    let noise = |x: u32, y: u32| {
        image::Rgb([(x * 37) ^ (y * 91), x * y * 13, x * 71 + y * 29].map(|value| value as u8))
    };
    image::RgbImage::from_fn(64, 64, noise)
        .save(&picture)
        .unwrap();
    make(
        &film,
        &format!("-f lavfi -i testsrc2=s=64x48:r=25:d=1 {H264}"),
    );
    let (still, moving) = (folder.file("out.png"), folder.file("out.mp4"));
    // As a disk of which 4 kB are left, without the signal that goes with a limit.
    let full = "trap '' XFSZ; ulimit -f 8";
    let mut rows: Vec<Row> = Vec::new();
    let mut row =
        |fault: &str, result: &Output| rows.push((fault.to_owned(), outcome(result, &folder)));
    row(
        "there is no more room for a picture",
        &upscale(full, &picture, &still),
    );
    row(
        "there is no more room for a video",
        &upscale(full, &film, &moving),
    );
    row(
        "ffmpeg is not there",
        &upscale("PATH=/nonexistent", &film, &moving),
    );
    // A command of the name that dies in the middle of decoding.
    let programs = folder.file("programs");
    std::fs::create_dir(&programs).unwrap();
    let real = Command::new("sh")
        .args(["-c", "command -v ffmpeg"])
        .output()
        .unwrap()
        .stdout;
    let real = String::from_utf8(real).unwrap();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *showinfo*) \"{0}\" \"$@\" | head -c 100000 & sleep 1; kill -9 $$ ;; esac\nexec {0} \"$@\"\n",
        real.trim()
    );
    std::fs::write(programs.join("ffmpeg"), script).unwrap();
    assert!(
        Command::new("chmod")
            .arg("+x")
            .arg(programs.join("ffmpeg"))
            .status()
            .unwrap()
            .success()
    );
    let dying = format!("PATH={}:$PATH; export PATH", programs.display());
    row(
        "ffmpeg is killed while it decodes",
        &upscale(&dying, &film, &moving),
    );
    row("the input is cut off within its head", &{
        let cut = folder.file("cut.mp4");
        let whole = std::fs::read(&film).unwrap();
        std::fs::write(&cut, &whole[..40]).unwrap();
        upscale(":", &cut, &moving)
    });
    assert_table(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
        "command",
        &rows,
    );
}
