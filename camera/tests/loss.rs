//! A camera that is killed, restarted, slowed, stalled, changed in size, or off from the start; seen by a viewer who never connects anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::{BICUBIC, Daemon, RtspCamera, Viewer, free_port, ready, wait};

fn camera(address: &str, more: &str) -> String {
    format!(
        "[[camera]]\nname = \"door\"\nsource = \"{address}\"\nrtsp = \"/door\"\n{more}\n{BICUBIC}"
    )
}

#[test]
fn one_that_is_killed_shows_its_last_picture_with_a_notice_and_comes_back() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for transport in ["tcp", "udp"] {
        let source = RtspCamera::on(0, &["--pattern", "white"]);
        let port = source.port;
        let text = camera(&source.address(), &format!("transport = \"{transport}\""));
        let daemon = Daemon::start(folder.path(), &text);
        daemon.wait_state(0, "live");
        wait(
            "it is ready",
            || daemon.log(),
            || daemon.get("/readyz").0 == 200,
        );
        let viewer = Viewer::watch(&daemon.rtsp("/door"));
        let first = viewer.wait("a picture", 0, |seen| seen.white() && !seen.notice());
        assert_eq!(viewer.seen()[first].size, (256, 192));

        let killed = std::time::Instant::now();
        drop(source);
        let lost = viewer.wait("a notice", first, |seen| seen.notice());
        let seen = viewer.seen();
        assert!(seen[lost].white(), "the last picture is gone");
        println!(
            "{transport}: the notice came {:?} after the last picture, {:?} after the kill",
            seen[lost].time.saturating_sub(seen[lost - 1].time),
            seen[lost].at.saturating_duration_since(killed)
        );
        assert_eq!(daemon.get("/readyz").0, 503);
        daemon.wait_state(0, "lost");
        // The output goes on meanwhile, with nothing but the notice.
        let later = viewer.wait("more of it", lost + 8, |_| true);
        assert!(
            viewer.seen()[lost..=later]
                .iter()
                .all(|seen| seen.notice() && seen.white())
        );

        let source = RtspCamera::on(port, &["--pattern", "white"]);
        wait(
            "the camera is there again",
            || daemon.log(),
            || daemon.log().matches("the camera is there").count() == 2,
        );
        let there = std::time::Instant::now();
        let back = viewer.wait("the picture again", later, |seen| !seen.notice());
        println!(
            "{transport}: the picture came {:?} after the first new frame",
            viewer.seen()[back].at.saturating_duration_since(there)
        );
        daemon.wait_state(0, "live");
        let log = daemon.log();
        assert_eq!(log.matches("the camera is there").count(), 2, "{log}");
        let seen = viewer.seen();
        assert!(seen[back].white());
        assert!(seen.iter().all(|seen| seen.size == (256, 192)));
        assert!(seen.windows(2).all(|pair| pair[0].time < pair[1].time));
        viewer.assert_unbroken();
        assert!(daemon.metric("srfusion_camera_reconnects_total").unwrap() >= 1.0);
        drop(source);
        let (status, log) = daemon.end();
        assert!(status.success(), "{log}");
    }
}

#[test]
fn one_that_is_off_when_the_program_starts_is_waited_for() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let text = camera(
        &format!("rtsp://127.0.0.1:{port}/stream"),
        "size = \"256x192\"",
    );
    let daemon = Daemon::start(folder.path(), &text);
    assert_eq!(daemon.get("/healthz"), (200, "ok\n".into()));
    assert_eq!(daemon.get("/readyz").0, 503);
    let viewer = Viewer::watch(&daemon.rtsp("/door"));
    let first = viewer.wait("a notice", 0, |seen| seen.notice());
    assert!(!viewer.seen()[first].white());
    assert_eq!(
        daemon.metric("srfusion_camera_last_frame_timestamp_seconds"),
        None
    );

    let _source = RtspCamera::on(port, &["--pattern", "white"]);
    let there = viewer.wait("the picture", first, |seen| !seen.notice());
    assert!(viewer.seen()[there].white());
    daemon.wait_state(0, "live");
    viewer.assert_unbroken();
    assert!(
        daemon
            .metric("srfusion_camera_last_frame_timestamp_seconds")
            .unwrap()
            > 1.7e9
    );
}

#[test]
fn one_that_slows_stalls_and_changes_its_size_keeps_the_output() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut source = RtspCamera::on(0, &["--pattern", "white"]);
    let daemon = Daemon::start(
        folder.path(),
        &camera(&source.address(), "transport = \"tcp\""),
    );
    daemon.wait_state(0, "live");
    let viewer = Viewer::watch(&daemon.rtsp("/door"));
    let first = viewer.wait("a picture", 0, |seen| seen.white() && !seen.notice());

    // Its aspect ratio is another now: borders, not another size.
    source.tell("size 96x48");
    let tell = || daemon.log();
    wait("the new size", tell, || {
        daemon.log().contains("its pictures are 96x48")
    });
    let wide = viewer.wait("borders above and below", first, |seen| {
        !seen.white() && seen.bottom < 40
    });
    source.tell("size 64x48");
    let again = viewer.wait("no borders", wide, |seen| seen.white() && seen.bottom > 200);

    // A frame a second is slow, not lost.
    source.tell("rate 1");
    wait("the rate falls", tell, || {
        daemon.metric("srfusion_camera_fps").unwrap() < 3.0
    });
    // Until its new interval is known, there may be a notice.
    daemon.wait_state(0, "live");
    source.tell("rate 10");
    wait("the rate rises", tell, || {
        daemon.metric("srfusion_camera_fps").unwrap() > 8.0
    });

    let before = viewer.seen().len();
    source.tell("stall");
    let lost = viewer.wait("a notice", before, |seen| seen.notice());
    // Ten seconds without a frame end the connection; the camera answers, but has nothing to show.
    daemon.wait_log("no frame for 10 s");
    source.tell("go");
    viewer.wait("the picture again", lost, |seen| !seen.notice());
    daemon.wait_state(0, "live");
    let seen = viewer.seen();
    assert!(seen.iter().all(|seen| seen.size == (256, 192)));
    assert!(again < before);
    viewer.assert_unbroken();
    assert_eq!(daemon.metric("srfusion_camera_objects"), Some(0.0));
}

#[test]
fn connections_leave_nothing_behind() {
    if !ready() {
        return;
    }
    // scripts/camera-reconnects asks for a thousand.
    let asked = std::env::var("SRFUSION_RECONNECTS").ok();
    let rounds: u32 = asked.map_or(24, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut source = RtspCamera::on(0, &["--key", "1", "--sound", "aac"]);
    let text = camera(
        &source.address(),
        "transport = \"tcp\"\nlatency = \"10ms\"\nreconnect = [\"10ms\"]",
    );
    let daemon = Daemon::start(folder.path(), &text);
    let viewer = Viewer::watch(&daemon.rtsp("/door"));
    let there = |times: usize| {
        wait(
            "the camera is there",
            || daemon.log(),
            || daemon.log().matches("the camera is there").count() >= times,
        );
    };
    there(1);
    let (mut early, mut middle) = (0, 0);
    for round in 1..=rounds {
        source.tell("drop");
        there(round as usize + 1);
        if round == rounds / 4 {
            early = daemon.memory();
        } else if round == rounds / 2 {
            middle = daemon.memory();
        }
    }
    let late = daemon.memory();
    let reconnects = daemon.metric("srfusion_camera_reconnects_total").unwrap();
    println!(
        "{reconnects} reconnects: {early} bytes after a quarter, {middle} after half, {late} at the end"
    );
    assert!(reconnects >= f64::from(rounds));
    // Allocators keep some; what is left behind by each connection would be more.
    let allowed = 6_000_000 + u64::from(rounds) * 2_000;
    assert!(late < early + allowed, "{early} -> {late} bytes");
    viewer.assert_unbroken();
}
