//! Runs every example on a small clip, as a user would, with the tiny networks in place of real ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::BufRead;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gst::prelude::*;

mod support;
use support::{finish, frames, models, ready, repository};

/// The folder with the plugin: cargo leaves that of a dependency in `deps`.
fn plugin() -> Option<PathBuf> {
    // target/PROFILE/deps/this-test
    let profile = std::env::current_exe()
        .unwrap()
        .parent()?
        .parent()?
        .to_owned();
    let given = std::env::var_os("GST_PLUGIN_PATH").map(PathBuf::from);
    let found = given
        .into_iter()
        .chain([profile.join("deps"), profile.clone()])
        .find(|dir| dir.join("libgstsrfusion.so").is_file());
    if found.is_none() {
        eprintln!(
            "skipped: no libgstsrfusion.so in {}; run `cargo build` first",
            profile.display()
        );
    }
    found
}

/// A folder of its own with a clip of 8 frames in it, with sound.
fn clip(name: &str) -> PathBuf {
    let folder =
        std::env::temp_dir().join(format!("srfusion-examples-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let pipeline = gst::parse::launch(
        "videotestsrc num-buffers=8 ! video/x-raw,format=I420,width=64,height=48,framerate=10/1 ! x264enc bframes=0 \
         ! h264parse ! queue ! mux. audiotestsrc num-buffers=34 samplesperbuffer=1024 \
         ! audio/x-raw,rate=44100,channels=1 ! avenc_aac ! aacparse ! queue ! mux. mp4mux name=mux ! filesink name=out",
    )
    .unwrap()
    .downcast::<gst::Pipeline>()
    .unwrap();
    pipeline
        .by_name("out")
        .unwrap()
        .set_property("location", folder.join("in.mp4"));
    finish(&pipeline);
    folder
}

/// Runs a program that finds the plugin in `plugin` and tiny networks under the names of the real ones in `folder`.
fn run(program: &Path, arguments: &[&str], plugin: &Path, folder: &Path) -> Output {
    let output = Command::new(program)
        .args(arguments)
        .env("GST_PLUGIN_PATH", plugin)
        .env("GST_REGISTRY_1_0", folder.join("registry.bin"))
        .env("SRFUSION_MODELS", models(folder))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{} {arguments:?}: {text}",
        program.display()
    );
    output
}

#[test]
fn the_pipelines_of_the_readme() {
    let (true, Some(plugin)) = (ready(), plugin()) else {
        return;
    };
    let folder = clip("pipelines");
    let script = repository().join("examples/pipelines.sh");
    let (input, output) = (folder.join("in.mp4"), folder.join("out.mp4"));
    let (input, output_name) = (input.to_str().unwrap(), output.to_str().unwrap());
    for name in ["file", "sound", "compare", "mask"] {
        run(&script, &[name, input, output_name], &plugin, &folder);
        assert_eq!(frames(&output), (8, 256, 192), "{name}");
    }
    run(&script, &["camera", "10", output_name], &plugin, &folder);
    let (count, width, height) = frames(&output);
    // Late frames are dropped, but not all of them.
    assert!((1..=10).contains(&count), "{count}");
    assert_eq!((width, height), (1280, 960));
    for (arguments, status) in [
        (&["--help"][..], 0),
        (&["file"], 2),
        (&["fly", "a", "b"], 2),
    ] {
        let result = Command::new(&script).args(arguments).output().unwrap();
        assert_eq!(result.status.code(), Some(status), "{arguments:?}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A process that is ended with the test.
struct Server(std::process::Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_pipeline_for_network_cameras() {
    let (true, Some(plugin)) = (ready(), plugin()) else {
        return;
    };
    let server = repository().join("examples/tests/rtsp_server.py");
    let check = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer";
    let python = Command::new("/usr/bin/python3")
        .args(["-c", check])
        .output();
    if !python.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no RTSP server in /usr/bin/python3; run scripts/setup tests");
        return;
    }
    let folder =
        std::env::temp_dir().join(format!("srfusion-examples-network-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut server = Server(
        Command::new("/usr/bin/python3")
            .arg(server)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut port = String::new();
    std::io::BufReader::new(server.0.stdout.take().unwrap())
        .read_line(&mut port)
        .unwrap();
    for codec in ["h264", "h265", "mjpeg"] {
        let output = folder.join(format!("{codec}.mkv"));
        let address = format!("rtsp://127.0.0.1:{}/{codec}", port.trim());
        // A group of its own, because it is ended as by Ctrl-C: the script and gst-launch-1.0 both get the signal.
        let mut run = Server(
            Command::new(repository().join("examples/pipelines.sh"))
                .args(["network", &address, output.to_str().unwrap()])
                .env("GST_PLUGIN_PATH", &plugin)
                .env("GST_REGISTRY_1_0", folder.join("registry.bin"))
                .env("SRFUSION_MODELS", models(&folder))
                .process_group(0)
                .spawn()
                .unwrap(),
        );
        let started = std::time::Instant::now();
        while std::fs::metadata(&output).map_or(0, |file| file.len()) < 8192 {
            let ended = run.0.try_wait().unwrap();
            assert!(
                ended.is_none() && started.elapsed().as_secs() < 120,
                "{codec}: {ended:?}"
            );
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        let group = format!("-{}", run.0.id());
        let kill = Command::new("kill")
            .args(["-s", "INT", "--", &group])
            .status()
            .unwrap();
        assert!(kill.success());
        run.0.wait().unwrap();
        let (count, width, height) = frames(&output);
        assert!(count > 1, "{codec}: {count}");
        assert_eq!((width, height), (256, 192), "{codec}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_program_in_c() {
    let (true, Some(plugin)) = (ready(), plugin()) else {
        return;
    };
    let folder = clip("c");
    let program = folder.join("upscale");
    let build = format!(
        "cc -Wall -Wextra -Werror '{}' -o '{}' $(pkg-config --cflags --libs gstreamer-1.0)",
        repository().join("examples/c/upscale.c").display(),
        program.display()
    );
    let built = Command::new("sh").args(["-c", &build]).output().unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let (input, output) = (folder.join("in.mp4"), folder.join("out.mp4"));
    let arguments = [input.to_str().unwrap(), output.to_str().unwrap()];
    let result = run(&program, &arguments, &plugin, &folder);
    assert_eq!(frames(&output), (8, 256, 192));
    assert!(String::from_utf8_lossy(&result.stdout).contains("frames-out=(guint64)8"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_programs_in_rust() {
    let (true, Some(plugin)) = (ready(), plugin()) else {
        return;
    };
    let folder = clip("rust");
    let (input, output) = (folder.join("in.mp4"), folder.join("out.mp4"));
    let arguments = [input.to_str().unwrap(), output.to_str().unwrap()];
    run(
        Path::new(env!("CARGO_BIN_EXE_file_to_file")),
        &arguments,
        &plugin,
        &folder,
    );
    assert_eq!(frames(&output), (8, 256, 192));

    let output = folder.join("out.mkv");
    let camera = Path::new(env!("CARGO_BIN_EXE_camera"));
    let result = run(
        camera,
        &[
            "--frames",
            "10",
            "--provider",
            "cpu",
            output.to_str().unwrap(),
        ],
        &plugin,
        &folder,
    );
    assert!(String::from_utf8_lossy(&result.stdout).contains("frames-out"));
    assert!((1..=10).contains(&frames(&output).0));
    assert!(!run(camera, &["--help"], &plugin, &folder).stdout.is_empty());

    watched(
        Path::new(env!("CARGO_BIN_EXE_watch")),
        &[],
        &plugin,
        &folder,
    );

    let (input, output) = (folder.join("in.png"), folder.join("out.png"));
    image::RgbImage::from_pixel(64, 64, image::Rgb([200, 150, 100]))
        .save(&input)
        .unwrap();
    let arguments = [input.to_str().unwrap(), output.to_str().unwrap()];
    let result = run(
        Path::new(env!("CARGO_BIN_EXE_picture")),
        &arguments,
        &plugin,
        &folder,
    );
    assert!(String::from_utf8_lossy(&result.stdout).contains("face 0.9"));
    assert_eq!(image::image_dimensions(&output).unwrap(), (256, 256));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_program_in_python() {
    let (true, Some(plugin)) = (ready(), plugin()) else {
        return;
    };
    // The system's Python has PyGObject where any has.
    let python = Path::new("/usr/bin/python3");
    let check =
        "import gi; gi.require_version('GstVideo', '1.0'); from gi.repository import GstVideo";
    if !Command::new(python)
        .args(["-c", check])
        .output()
        .is_ok_and(|output| output.status.success())
    {
        eprintln!(
            "skipped: {} has no PyGObject with GStreamer",
            python.display()
        );
        return;
    }
    let folder = clip("python");
    let program = repository().join("examples/python/upscale.py");
    let (input, output) = (folder.join("in.mp4"), folder.join("out.mp4"));
    let arguments = [
        program.to_str().unwrap(),
        input.to_str().unwrap(),
        output.to_str().unwrap(),
    ];
    let result = run(python, &arguments, &plugin, &folder);
    assert_eq!(frames(&output), (8, 256, 192));
    let text = String::from_utf8_lossy(&result.stdout);
    // One line for each frame with its one face in pixels of the output, and the element's counters.
    assert_eq!(
        text.lines().filter(|line| line.contains(" s  #")).count(),
        8,
        "{text}"
    );
    assert!(text.contains("frames-out"), "{text}");
    let program = repository().join("examples/python/watch.py");
    watched(python, &[program.to_str().unwrap()], &plugin, &folder);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Runs a program that watches a camera, which is a file here, and connects to it again when it ends.
fn watched(program: &Path, before: &[&str], plugin: &Path, folder: &Path) {
    let address = format!("file://{}", folder.join("in.mp4").display());
    let recording = folder.join("watched");
    let mut arguments = before.to_vec();
    arguments.extend([address.as_str(), recording.to_str().unwrap(), "2"]);
    let result = run(program, &arguments, plugin, folder);
    let text = String::from_utf8_lossy(&result.stdout);
    assert_eq!(text.lines().count(), 2, "{text}");
    for connection in 0..2 {
        let (count, width, height) = frames(&folder.join(format!("watched-{connection}.mkv")));
        // Old frames give way where models are still being opened.
        assert!((1..=8).contains(&count), "{text}");
        assert_eq!((width, height), (256, 192));
        assert!(
            text.contains(&format!("connection {connection}: {count} frames")),
            "{text}"
        );
    }
}
