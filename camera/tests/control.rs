//! What an operator does: checks the file, reloads it, asks for health and numbers, keeps secrets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use support::{BICUBIC, Daemon, RtspCamera, Viewer, configuration, ready, wait};

#[test]
fn every_line_of_a_wrong_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cameras.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let output = Daemon::command(&[file.to_str().unwrap(), "--check-config"])
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let right =
        "[[camera]]\nname = \"door\"\nsource = \"rtsp://10.0.0.2/stream\"\nrtsp = \"/door\"\n"
            .to_owned()
            + BICUBIC;
    let (code, out, err) = check(&right);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.contains("in order, 1 camera"), "{out}");

    let wrong = right
        .replace("10.0.0.2", "")
        .replace("rtsp = \"/door\"", "rstp = \"/door\"\nquality = 51");
    let (code, out, err) = check(&wrong);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    for (line, part) in [
        (3, "rtsp://HOST/PATH"),
        (4, "did you mean rtsp?"),
        (5, "1 to 50"),
    ] {
        let place = format!("cameras.toml:{line}: ");
        assert!(
            err.lines()
                .any(|text| text.contains(&place) && text.contains(part)),
            "{place}{part}\n{err}"
        );
    }
    // What the engine does not know is told before anything is begun.
    let (code, _, err) = check(&right.replace("bicubic-x4", "cubic-x4"));
    assert_eq!(code, Some(2));
    assert!(err.contains("door") && err.contains("cubic-x4"), "{err}");
    let missing = Daemon::command(&["/nowhere/cameras.toml", "--check-config"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/nowhere/cameras.toml"));
    // Under systemd, the journal learns how much it matters.
    let told = Daemon::command(&["/nowhere/cameras.toml"])
        .env("JOURNAL_STREAM", "8:1")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&told.stderr).starts_with("<3>cannot read"));
}

#[test]
fn the_file_of_the_page_is_in_order() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/live.md");
    let page = std::fs::read_to_string(page).unwrap();
    let text = page.split("```toml\n").nth(1).unwrap();
    let text = text.split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cameras.toml");
    std::fs::write(folder.path().join("door.password"), "secret").unwrap();
    std::fs::write(folder.path().join("page.token"), "secret").unwrap();
    // As it stands, and with everything that is commented out.
    for text in [text.to_owned(), text.replace("\n# ", "\n")] {
        // Names of the models that ship with the program are not among the tests'.
        let text = text
            .replace("-x4-camera", "-x4")
            .replace("general-x4", "bicubic-x4")
            .replace("face-x4", "inverted-x4");
        let text = text.replace(
            "reuse = \"tolerant\"",
            "reuse = \"tolerant\"\ndetector-model = \"centre-face\"",
        );
        std::fs::write(&file, &text).unwrap();
        let output = Daemon::command(&[file.to_str().unwrap(), "--check-config"])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{errors}\n{text}");
    }
}

#[test]
fn a_password_opens_the_camera_and_is_in_no_log() {
    if !ready() {
        return;
    }
    const SECRET: &str = "correct-horse";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), format!("{SECRET}\n")).unwrap();
    let source = RtspCamera::on(
        0,
        &["--user", "eye", "--password", SECRET, "--pattern", "white"],
    );
    let inline = source
        .address()
        .replace("rtsp://", &format!("rtsp://eye:{SECRET}@"));
    let ways = [
        (
            source.address(),
            "user = \"eye\"\npassword-file = \"secret\"",
        ),
        (source.address(), "user = \"eye\"\npassword-env = \"EYE\""),
        (inline, ""),
    ];
    for (address, more) in ways {
        let text = format!(
            "[[camera]]\nname = \"door\"\nsource = \"{address}\"\ntransport = \"tcp\"\n{more}\n{BICUBIC}"
        );
        let daemon = Daemon::start_with(folder.path(), &text, &[("EYE", SECRET)]);
        daemon.wait_state(0, "live");
        let (_, cameras) = daemon.get("/cameras");
        let (_, log) = daemon.end();
        assert!(
            !log.contains(SECRET) && !cameras.contains(SECRET),
            "{log}{cameras}"
        );
        assert!(log.contains("127.0.0.1"), "{log}");
    }
    let text = format!(
        "[[camera]]\nname = \"door\"\nsource = \"{}\"\nuser = \"eye\"\npassword-env = \"EYE\"\n{BICUBIC}",
        source.address()
    );
    let daemon = Daemon::start_with(folder.path(), &text, &[("EYE", "wrong-horse")]);
    daemon.wait_log("Unauthorized");
    assert!(!daemon.log().contains("wrong-horse"), "{}", daemon.log());
}

#[test]
fn the_file_is_read_again_and_what_is_as_it_was_goes_on() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = RtspCamera::on(0, &["--pattern", "white"]);
    let camera = |name: &str, more: &str| {
        format!(
            "[[camera]]\nname = \"{name}\"\nsource = \"{}\"\ntransport = \"tcp\"\nrtsp = \"/{name}\"\n{more}\n{BICUBIC}",
            source.address()
        )
    };
    let file = folder.path().join("cameras.toml");
    let daemon = Daemon::start(folder.path(), &(camera("door", "") + &camera("yard", "")));
    daemon.wait_state(0, "live");
    let viewer = Viewer::watch(&daemon.rtsp("/door"));
    let first = viewer.wait("a picture", 0, |seen| !seen.notice());
    let port = daemon.http_port();

    // One that is not in order changes nothing.
    std::fs::write(&file, configuration("[[camera]]\nname = \"door\"\n")).unwrap();
    daemon.signal("HUP");
    daemon.wait_log("cameras.toml:5: [[camera]] needs a source");
    daemon.wait_log("goes on as before");
    assert_eq!(daemon.cameras().as_array().unwrap().len(), 2);

    let text = camera("door", "") + &camera("gate", "quality = 30");
    std::fs::write(&file, configuration(&text)).unwrap();
    daemon.signal("HUP");
    daemon.wait_log("was read again");
    let names = || {
        let cameras = daemon.cameras();
        let cameras = cameras.as_array().unwrap().clone();
        cameras
            .iter()
            .map(|camera| camera["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(), ["door", "gate"]);
    daemon.wait_state(1, "live");
    assert_eq!(daemon.http_port(), port);
    assert_eq!(daemon.log().matches("door: watching").count(), 1);
    let (_, numbers) = daemon.get("/metrics");
    assert!(
        numbers.contains("\"gate\"") && !numbers.contains("\"yard\""),
        "{numbers}"
    );
    // Whoever watches the one that stayed has noticed nothing.
    let now = viewer.seen().len();
    viewer.wait("further frames", now + 5, |_| true);
    assert!(viewer.seen()[first..].iter().all(|seen| !seen.notice()));
    viewer.assert_unbroken();
    let (status, _) = daemon.end();
    assert!(status.success());
}

/// Status and headers of an answer to a request with a header.
fn ask(port: u16, path: &str, header: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\n{header}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_token_closes_the_page_and_a_foreign_name_too() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clip = "[[camera]]\nname = \"door\"\nsource = \"missing.mp4\"\n".to_owned() + BICUBIC;
    let daemon = Daemon::start(folder.path(), &clip);
    let port = daemon.http_port();
    for (header, status) in [
        ("Host: 127.0.0.1", 200),
        ("Host: localhost:80", 200),
        ("Host: evil.example", 403),
    ] {
        let answer = ask(port, "/cameras", header);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{header}: {answer}"
        );
    }
    daemon.wait_log("Resource not found");
    assert_eq!(daemon.get("/readyz").0, 503);
    drop(daemon);

    let file = folder.path().join("cameras.toml");
    let text = configuration(&clip).replace("[rtsp]", "token-env = \"DOOR_TOKEN\"\n[rtsp]");
    std::fs::write(&file, text).unwrap();
    let mut command = Daemon::command(&[file.to_str().unwrap()]);
    command.env("DOOR_TOKEN", "s3same");
    let daemon = Daemon::spawn(command);
    let port = daemon.http_port();
    let status = |path: &str, header: &str| {
        ask(port, path, &format!("Host: x\r\n{header}"))[9..12].to_owned()
    };
    assert_eq!(status("/healthz", "A: b"), "200");
    assert_eq!(status("/readyz", "A: b"), "503");
    for path in [
        "/",
        "/cameras",
        "/metrics",
        "/cameras/door/preview.mjpg",
        "/gallery",
        "/gallery/1/input.jpg",
    ] {
        assert_eq!(status(path, "A: b"), "401", "{path}");
        assert_eq!(status(path, "Authorization: Bearer other"), "401", "{path}");
    }
    assert_eq!(status("/metrics", "Authorization: Bearer s3same"), "200");
    let welcome = ask(port, "/?token=s3same", "Host: x");
    assert!(welcome.starts_with("HTTP/1.1 303 "), "{welcome}");
    let cookie = welcome
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "))
        .and_then(|line| line.split(';').next())
        .unwrap();
    assert!(!cookie.contains("s3same"));
    assert_eq!(status("/", &format!("Cookie: {cookie}")), "200");
    assert!(!daemon.log().contains("s3same"));
}

#[test]
fn the_numbers_are_read_by_prometheus_own_parser() {
    let (true, Some(python)) = (ready(), support::python::python(&["prometheus_client"])) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let source = RtspCamera::on(0, &[]);
    let text = format!(
        "[[camera]]\nname = \"door\"\nsource = \"{}\"\n{}",
        source.address(),
        support::FACES
    );
    let daemon = Daemon::start(folder.path(), &text);
    wait(
        "frames are drawn",
        || daemon.log(),
        || {
            daemon
                .metric("srfusion_camera_inference_seconds_count")
                .unwrap_or_default()
                > 5.0
        },
    );
    let (_, text) = daemon.get("/metrics");
    let program = "
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.read()))
print(json.dumps({family.name: [family.type, [[s.name, s.labels, s.value] for s in family.samples]] for family in families}))
";
    let mut child = Command::new(python)
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{text}");
    let families: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for (name, kind) in [
        ("fps", "gauge"),
        ("process_fps", "gauge"),
        ("skipped_fps", "gauge"),
        ("inference_seconds", "histogram"),
        ("reconnects", "counter"),
        ("last_frame_timestamp_seconds", "gauge"),
        ("deadline_missed", "counter"),
        ("objects", "gauge"),
        ("up", "gauge"),
    ] {
        let family = &families[format!("srfusion_camera_{name}")];
        assert_eq!(family[0], kind, "{name}: {families}");
        let samples = family[1].as_array().unwrap();
        assert!(
            samples
                .iter()
                .all(|sample| sample[1]["camera_name"] == "door"),
            "{family}"
        );
        if name == "fps" {
            let value = samples[0][2].as_f64().unwrap();
            assert!(value > 1.0 && value < 30.0, "{value}");
        }
    }
}

#[test]
fn one_camera_is_typed_without_a_file() {
    if !ready() {
        return;
    }
    let source = RtspCamera::on(0, &["--pattern", "white"]);
    let address = source.address();
    let daemon = Daemon::spawn(Daemon::command(&[
        &address,
        "--name",
        "gate",
        "--http",
        "127.0.0.1:0",
        "--rtsp",
        "127.0.0.1:0",
        "--engine",
        "general-model=bicubic-x4",
        "--engine",
        "face-model=none",
        "--engine",
        "detector-model=none",
    ]));
    let viewer = Viewer::watch(&daemon.rtsp("/gate"));
    viewer.wait("a picture", 0, |seen| seen.white() && !seen.notice());
    daemon.signal("INT");
    let (status, log) = daemon.end();
    assert!(status.success(), "{log}");
    let wrong = Daemon::command(&["ftp://host/"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let there = taken.local_addr().unwrap().to_string();
    let failed = Daemon::command(&["clip.mp4", "--http", &there, "--rtsp", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert_eq!(failed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&failed.stderr).contains(&there));
}

#[test]
fn systemd_is_told_when_it_is_ready_alive_and_ending() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(support::PATIENCE)).unwrap();
    let hear = |word: &str| {
        let mut data = [0; 256];
        loop {
            let length = socket.recv(&mut data).unwrap();
            if String::from_utf8_lossy(&data[..length]).contains(word) {
                return;
            }
        }
    };
    let clip = "[[camera]]\nname = \"door\"\nsource = \"missing.mp4\"\n".to_owned() + BICUBIC;
    let variables = [
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", "300000"),
    ];
    let daemon = Daemon::start_with(folder.path(), &clip, &variables);
    hear("READY=1");
    hear("WATCHDOG=1");
    daemon.signal("HUP");
    hear("RELOADING=1");
    hear("READY=1");
    daemon.signal("TERM");
    hear("STOPPING=1");
    let (status, log) = daemon.end();
    assert!(status.success(), "{log}");
}
