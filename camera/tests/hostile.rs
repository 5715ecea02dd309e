//! Requests that no browser makes: the page goes on answering, and nothing panics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use srfusion::testing::{Change, Random, changed};
use support::{BICUBIC, Daemon, RtspCamera, ready};

/// Requests, unless `SRFUSION_FUZZ_REQUESTS` says otherwise.
const REQUESTS: usize = 300;

const ORIGINALS: [&str; 5] = [
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
    "GET /cameras/door/preview.mjpg HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
    "GET /gallery/../../etc/passwd HTTP/1.1\r\nHost: localhost:80\r\nConnection: close\r\n\r\n",
    "GET /?token=%00%ff HTTP/1.1\r\nHost: [::1]\r\nCookie: srfusion_camera=a; srfusion_camera=b\r\nAuthorization: Bearer x\r\nConnection: close\r\n\r\n",
    "POST /cameras HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 18446744073709551615\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
];

#[test]
fn requests_of_any_kind_harm_nobody() {
    if !ready() {
        return;
    }
    let camera = RtspCamera::on(0, &[]);
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[[camera]]\nname = \"door\"\nsource = \"{}\"\nrtsp = \"/door\"\n{BICUBIC}",
        camera.address()
    );
    let daemon = Daemon::start(folder.path(), &text);
    let port = daemon.http_port();
    let count = std::env::var("SRFUSION_FUZZ_REQUESTS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(REQUESTS);
    let mut random = Random(0x5eed_0f17);
    let before = daemon.memory();
    for number in 0..count {
        let mut any = || random.below(usize::MAX) as u64;
        let changes: Vec<Change> = (0..any() % 6)
            .map(|_| (any() as u8, any() as u32, any() as u32, any()))
            .collect();
        let mut request = changed(ORIGINALS[number % ORIGINALS.len()].as_bytes(), &changes);
        if number.is_multiple_of(50) {
            // More of a head than anybody reads.
            request = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &vec![b'a'; 2_000_000]].concat();
        }
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        // Who is refused in the middle of it cannot write the rest.
        let _ = stream.write_all(&request);
        let mut answer = [0; 4096];
        let _ = stream.read(&mut answer);
    }
    assert_eq!(daemon.get("/healthz").0, 200, "{}", daemon.log());
    let log = daemon.log();
    assert!(!log.contains("panicked"), "{log}");
    assert!(
        daemon.memory() < before + 200_000_000,
        "{} bytes, then {}",
        before,
        daemon.memory()
    );
    assert!(daemon.end().0.success());
}
