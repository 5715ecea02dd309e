//! What is written: recordings and HTTP Live Streaming with their sound, and what is deleted of them; sources other than RTSP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::{BICUBIC, Daemon, RtspCamera, Viewer, ready, wait};

/// A clip with a picture of ffmpeg's at 10 frames a second and noise as sound.
fn clip(folder: &Path, picture: &str, seconds: u32) -> PathBuf {
    let path = folder.join("clip.mp4");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i"])
        .arg(format!("{picture}:s=64x48:r=10:d={seconds}"))
        .args(["-f", "lavfi", "-i"])
        .arg(format!("anoisesrc=d={seconds}:r=16000:a=0.2"))
        .args(["-pix_fmt", "yuv420p", "-g", "10", "-c:a", "aac"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    path
}

/// Packets of a file's video (`v`) or sound (`a`): time in seconds and digest.
fn packets(path: &Path, stream: &str) -> Vec<(f64, String)> {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            stream,
            "-show_packets",
            "-show_data_hash",
            "md5",
        ])
        .args([
            "-show_entries",
            "packet=pts_time,data_hash",
            "-of",
            "csv=p=0",
        ])
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", path.display());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter_map(|line| {
            let (time, rest) = line.split_once(',')?;
            let digest = rest.split(',').next()?;
            Some((time.parse().ok()?, digest.to_owned()))
        })
        .collect()
}

/// Files of a folder with an ending, by name.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    files
}

/// Asserts that `copied` is a stretch of `source` without a gap, of at least `least` packets.
#[track_caller]
fn assert_stretch(copied: &[String], source: &[String], least: usize) {
    assert!(copied.len() >= least, "{} packets", copied.len());
    let start = source.iter().position(|packet| *packet == copied[0]);
    let start = start.expect("the first packet is none of the source");
    let expected = &source[start..(start + copied.len()).min(source.len())];
    let same = copied
        .iter()
        .zip(expected)
        .take_while(|(a, b)| a == b)
        .count();
    assert_eq!(
        same,
        copied.len(),
        "packet {same} of {} is another",
        copied.len()
    );
}

fn digests(packets: Vec<(f64, String)>) -> Vec<String> {
    packets.into_iter().map(|(_, digest)| digest).collect()
}

#[test]
fn sound_is_copied_into_recordings_and_segments() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = clip(folder.path(), "testsrc=n=0", 90);
    let text = format!(
        "[[camera]]\nname = \"door\"\nsource = \"clip.mp4\"\n[camera.hls]\nfolder = \"hls\"\nsegment = \"2s\"\nlength = 100\n\
         [camera.record]\nfolder = \"rec\"\nsegment = \"4s\"\n{BICUBIC}"
    );
    let daemon = Daemon::start(folder.path(), &text);
    let (rec, hls) = (folder.path().join("rec"), folder.path().join("hls"));
    wait(
        "three recordings and four segments",
        || daemon.log(),
        || files(&rec, ".mkv").len() >= 5 && files(&hls, ".ts").len() >= 4,
    );
    let playlist = std::fs::read_to_string(hls.join("index.m3u8")).unwrap();
    assert!(
        playlist.contains("#EXTM3U") && playlist.contains(".ts"),
        "{playlist}"
    );
    let (status, log) = daemon.end();
    assert!(status.success(), "{log}");
    assert!(!log.contains("error"), "{log}");

    let original = digests(packets(&source, "a"));
    let recordings = files(&rec, ".mkv");
    // By name they are in the order of their times; of two in a second the second has a number, and sorts after it.
    let copied: Vec<_> = recordings
        .iter()
        .flat_map(|file| digests(packets(file, "a")))
        .collect();
    assert_stretch(&copied, &original, 100);
    let times: Vec<f64> = recordings[..2]
        .iter()
        .flat_map(|file| packets(file, "v"))
        .map(|(time, _)| time)
        .collect();
    // Frames keep the camera's times: most are a tenth of a second apart.
    let usual = times
        .windows(2)
        .filter(|pair| (pair[1] - pair[0] - 0.1).abs() < 0.02)
        .count();
    assert!(usual * 10 >= times.len() * 6, "{times:?}");
    for file in &recordings {
        let video = packets(file, "v");
        assert!(
            video[0].0 < 0.2,
            "{} begins at {}",
            file.display(),
            video[0].0
        );
        assert!(
            video.last().unwrap().0 < 4.6,
            "{} is too long",
            file.display()
        );
    }

    // Out of MPEG-TS without its headers.
    let joined = folder.path().join("joined.mkv");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(hls.join("index.m3u8"))
        .args(["-c", "copy", "-bsf:a", "aac_adtstoasc"])
        .arg(&joined)
        .status()
        .unwrap();
    assert!(made.success());
    assert_stretch(&digests(packets(&joined, "a")), &original, 60);
}

#[test]
fn recordings_go_on_through_a_loss_and_old_ones_are_deleted() {
    if !ready() {
        return;
    }
    for sound in ["alaw", "aac"] {
        goes_on(sound);
    }
}

fn goes_on(sound: &str) {
    let folder = tempfile::tempdir().unwrap();
    let rec = folder.path().join("rec");
    std::fs::create_dir(&rec).unwrap();
    // What is older than it may be, what is another camera's, and what is none.
    let old = std::time::SystemTime::now() - Duration::from_secs(7_200);
    for name in [
        "door-20200101T000000Z.mkv",
        "yard-20200101T000000Z.mkv",
        "door-notes.txt",
    ] {
        let file = std::fs::File::create(rec.join(name)).unwrap();
        file.set_modified(old).unwrap();
    }
    let source = RtspCamera::on(0, &["--sound", sound]);
    let text = format!(
        "[[camera]]\nname = \"door\"\nsource = \"{}\"\ntransport = \"tcp\"\nrtsp = \"/door\"\n[camera.hls]\nfolder = \"hls\"\nsegment = \"1s\"\n\
         [camera.record]\nfolder = \"rec\"\nsegment = \"2s\"\nkeep = \"1h\"\n{BICUBIC}",
        source.address()
    );
    let daemon = Daemon::start(folder.path(), &text);
    wait(
        "two recordings",
        || daemon.log(),
        || files(&rec, ".mkv").len() >= 5,
    );
    drop(source);
    daemon.wait_state(0, "lost");
    let before = files(&rec, ".mkv").len();
    // Whoever comes now, with sound announced and none there, is shown the notice all the same.
    let viewer = Viewer::watch(&daemon.rtsp("/door"));
    viewer.wait("a notice", 0, |seen| seen.notice());
    let playlist =
        || std::fs::read_to_string(folder.path().join("hls/index.m3u8")).unwrap_or_default();
    let listed = playlist();
    wait(
        "two more without a camera",
        || daemon.log(),
        || files(&rec, ".mkv").len() >= before + 2,
    );
    assert_ne!(playlist(), listed, "the playlist stands still");
    wait(
        "the old one is deleted",
        || daemon.log(),
        || !rec.join("door-20200101T000000Z.mkv").exists(),
    );
    assert!(rec.join("yard-20200101T000000Z.mkv").exists());
    assert!(rec.join("door-notes.txt").exists());
    let (status, log) = daemon.end();
    assert!(status.success(), "{log}");
    let recordings: Vec<_> = files(&rec, ".mkv")
        .into_iter()
        .filter(|path| !path.to_string_lossy().contains("yard"))
        .collect();
    let copied: usize = recordings.iter().map(|file| packets(file, "a").len()).sum();
    assert!(copied > 10, "{copied} packets of sound");
    for file in &recordings {
        assert!(!packets(file, "v").is_empty(), "{}", file.display());
    }
    let segments = files(&folder.path().join("hls"), ".ts");
    assert!(segments.len() >= 2);
    // MPEG-TS takes AAC, not G.711.
    let copied: usize = segments.iter().map(|file| packets(file, "a").len()).sum();
    assert_eq!(copied > 0, sound == "aac", "{copied} packets of sound");
}

/// A camera that sends JPEG pictures over HTTP, for whoever has the password.
fn mjpeg_camera() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let picture = image::RgbImage::from_pixel(64, 48, image::Rgb([255; 3]));
    let mut jpeg = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut jpeg, image::ImageFormat::Jpeg)
        .unwrap();
    let jpeg = jpeg.into_inner();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, jpeg) = (stream.unwrap(), jpeg.clone());
            std::thread::spawn(move || -> std::io::Result<()> {
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
                    request.push(byte[0]);
                }
                let request = String::from_utf8_lossy(&request).into_owned();
                // "eye:hunter2" as Basic has it.
                if !request.contains("Basic ZXllOmh1bnRlcjI=") {
                    return stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"camera\"\r\nContent-Length: 0\r\n\r\n");
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=part\r\n\r\n")?;
                loop {
                    write!(
                        stream,
                        "--part\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
                        jpeg.len()
                    )?;
                    stream.write_all(&jpeg)?;
                    stream.write_all(b"\r\n")?;
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
        }
    });
    port
}

#[test]
fn mjpeg_over_http_is_a_source_too() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[[camera]]\nname = \"door\"\nsource = \"http://127.0.0.1:{}/video\"\nuser = \"eye\"\npassword-env = \"EYE\"\nrtsp = \"/door\"\n{BICUBIC}",
        mjpeg_camera()
    );
    let daemon = Daemon::start_with(folder.path(), &text, &[("EYE", "hunter2")]);
    daemon.wait_state(0, "live");
    let viewer = Viewer::watch(&daemon.rtsp("/door"));
    let first = viewer.wait("a picture", 0, |seen| seen.white() && !seen.notice());
    viewer.wait("ten more", first + 10, |seen| !seen.notice());
    assert!(!daemon.log().contains("hunter2"));
}

#[test]
fn a_clip_goes_round_without_a_notice() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    clip(folder.path(), "color=c=white", 2);
    let text =
        format!("[[camera]]\nname = \"door\"\nsource = \"clip.mp4\"\nrtsp = \"/door\"\n{BICUBIC}");
    let daemon = Daemon::start(folder.path(), &text);
    let viewer = Viewer::watch(&daemon.rtsp("/door"));
    // More than three rounds.
    let first = viewer.wait("a picture", 0, |seen| !seen.notice());
    viewer.wait("seventy frames", first + 70, |_| true);
    let notices = viewer.seen()[first..]
        .iter()
        .filter(|seen| seen.notice())
        .count();
    assert_eq!(notices, 0, "{}", daemon.log());
    assert_eq!(daemon.metric("srfusion_camera_reconnects_total"), Some(0.0));
    viewer.assert_unbroken();
}

#[test]
fn a_recording_that_cannot_be_written_touches_nothing_else() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    clip(folder.path(), "color=c=white", 20);
    let text = format!(
        "[[camera]]\nname = \"door\"\nsource = \"clip.mp4\"\nrtsp = \"/door\"\n[camera.record]\nfolder = \"clip.mp4/rec\"\n{BICUBIC}"
    );
    let daemon = Daemon::start(folder.path(), &text);
    daemon.wait_log("recording failed, next attempt in 5 s: cannot make the folder");
    let viewer = Viewer::watch(&daemon.rtsp("/door"));
    viewer.wait("a picture", 0, |seen| seen.white() && !seen.notice());
    assert_eq!(daemon.get("/healthz").0, 200);
    assert_eq!(daemon.cameras()[0]["state"], "live");
}

#[test]
fn a_model_that_cannot_be_opened_is_told_and_tried_again() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    clip(folder.path(), "color=c=white", 20);
    let text = format!(
        "[[camera]]\nname = \"door\"\nsource = \"clip.mp4\"\nrtsp = \"/door\"\n{}",
        BICUBIC.replace("bicubic-x4", "damaged")
    );
    let daemon = Daemon::start(folder.path(), &text);
    daemon.wait_log("the upscaler failed, next attempt in 5 s");
    assert!(daemon.log().contains("damaged"), "{}", daemon.log());
    let viewer = Viewer::watch(&daemon.rtsp("/door"));
    viewer.wait("a notice", 0, |seen| seen.notice());
    assert_eq!(daemon.cameras()[0]["state"], "failed");
    assert_eq!(daemon.get("/readyz").0, 503);
}
