//! The page in a real browser: cameras, the preview with its slider and its mask, the gallery of faces.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::Path;

use support::browser::{Browser, http};
use support::{Daemon, FACES, RtspCamera, free_port, ready, wait};

/// Mean of the canvas' pixels in a rectangle given in thousandths.
fn mean(browser: &Browser, left: u32, top: u32, right: u32, bottom: u32) -> [f64; 3] {
    let script = format!(
        "const c = document.querySelector('canvas'); const x = c.width, y = c.height;
         const d = c.getContext('2d').getImageData(x * {left} / 1000, y * {top} / 1000, x * ({right} - {left}) / 1000, y * ({bottom} - {top}) / 1000).data;
         const s = [0, 0, 0]; for (let i = 0; i < d.length; i++) if (i % 4 < 3) s[i % 4] += d[i]; return s.map(v => v / (d.length / 4));"
    );
    let found = browser.run(&script);
    [0, 1, 2].map(|i| found[i].as_f64().unwrap())
}

/// Asserts that the page asked this machine for everything, and had nothing to complain of.
fn assert_own(browser: &Browser, port: u16) {
    for address in browser.requests() {
        // The browser's own first page.
        if address.starts_with("chrome:") || address.starts_with("chrome-untrusted:") {
            continue;
        }
        let own = address.starts_with(&format!("http://127.0.0.1:{port}/"))
            || address.starts_with("data:");
        assert!(own, "{address}");
    }
    let mut complaints = browser.complaints();
    // Of this test, which reads the canvas.
    complaints.retain(|complaint| !complaint.contains("willReadFrequently"));
    assert!(complaints.is_empty(), "{complaints:?}");
}

#[test]
fn cameras_their_preview_and_the_gallery() {
    let (true, Some(browser)) = (ready(), Browser::open(1200, 900)) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // A white picture has a face in its middle by the tests' detector, and the tests' face network turns it black.
    let source = RtspCamera::on(0, &["--pattern", "white", "--size", "160x120"]);
    let (door, yard) = (
        source.address(),
        format!("rtsp://127.0.0.1:{}/stream", free_port()),
    );
    let text = format!(
        "[gallery]\nfolder = \"faces\"\n[[camera]]\nname = \"door\"\nsource = \"{door}\"\nrtsp = \"/door\"\n{FACES}\
         [[camera]]\nname = \"yard\"\nsource = \"{yard}\"\n{FACES}"
    );
    let daemon = Daemon::start(folder.path(), &text);
    let port = daemon.http_port();
    daemon.wait_state(0, "live");
    wait(
        "a face is seen",
        || daemon.log(),
        || daemon.metric("srfusion_camera_objects") == Some(1.0),
    );
    browser.go(&format!("http://127.0.0.1:{port}/"));
    browser.wait("return document.querySelectorAll('article').length === 2");
    browser.wait("return document.querySelectorAll('.state')[0].textContent === 'live'");
    browser.wait("return ['no picture', 'connecting'].includes(document.querySelectorAll('.state')[1].textContent)");
    browser.wait("return document.querySelector('dl').textContent.includes('640 × 480')");
    let shown = browser.run("return document.body.innerText");
    let shown = shown.as_str().unwrap();
    for part in ["door", "yard", "160 × 120", "/door", &door] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    // No preview is made before somebody looks.
    assert_eq!(
        browser.run("return document.querySelector('.stream').getAttribute('src')"),
        serde_json::Value::Null
    );
    browser.screenshot("camera-states.png", true);

    browser.run("document.querySelector('.watch').click()");
    browser.wait("return document.querySelector('.stage').classList.contains('showing')");
    browser.wait("return document.querySelector('canvas').width === 640");
    // Left of the line is white; right of it the face is dark.
    let dark = |browser: &Browser| mean(browser, 520, 450, 580, 550)[1] < 120.0;
    wait("the face is drawn", || daemon.log(), || dark(&browser));
    browser.screenshot("camera-preview.png", true);
    let left = mean(&browser, 420, 450, 480, 550);
    assert!(left[1] > 230.0, "{left:?}");
    // The line goes where the slider is.
    browser.run("document.querySelector('.slider').focus()");
    browser.press(&["End"]);
    browser.wait("return document.querySelector('.slider').value === '1000'");
    wait(
        "all of it is as it came",
        || daemon.log(),
        || mean(&browser, 520, 450, 580, 550)[1] > 230.0,
    );
    browser.run("const c = document.querySelector('canvas'), b = c.getBoundingClientRect(); c.dispatchEvent(new PointerEvent('pointerdown', { clientX: b.left + b.width * 0.2, clientY: b.top + 9, bubbles: true }))");
    browser.wait("return document.querySelector('.slider').value === '200'");
    // The mask lies over the face, and nowhere else.
    wait("the drawn picture", || daemon.log(), || dark(&browser));
    let corner = mean(&browser, 900, 50, 980, 150);
    browser.run("document.querySelector('.mask').click()");
    browser.wait("return document.querySelector('.stream').src.includes('mask=1')");
    wait(
        "the mask",
        || format!("{:?}", mean(&browser, 450, 450, 550, 550)),
        || {
            let [red, green, _] = mean(&browser, 450, 450, 550, 550);
            red > 110.0 && green < 90.0
        },
    );
    assert!(
        mean(&browser, 900, 50, 980, 150)
            .iter()
            .zip(corner)
            .all(|(a, b)| (a - b).abs() < 4.0)
    );
    browser.screenshot("camera-mask.png", true);

    // The camera goes: the page says so, the last picture stays.
    drop(source);
    browser.wait("return document.querySelectorAll('.state')[0].textContent === 'no picture'");
    browser.wait("return document.querySelector('.reason').textContent.length > 5");
    // Its face's track is over then.
    let (status, listing) = http(port, "GET", "/gallery?camera=door", "").unwrap();
    assert_eq!(status, 200);
    assert!(listing.contains("\"enabled\":true"));
    wait(
        "the face is in the gallery",
        || daemon.log(),
        || {
            http(port, "GET", "/gallery?camera=door", "")
                .unwrap()
                .1
                .contains("\"id\":1")
        },
    );
    browser.run("document.querySelector('#search button').click()");
    browser.wait("return document.querySelectorAll('#faces li').length >= 1");
    browser.wait("return [...document.querySelectorAll('#faces img')].every(i => i.complete && i.naturalWidth > 0)");
    let face = browser.run("return document.querySelector('#faces li').innerText");
    assert!(face.as_str().unwrap().contains("computed") && face.as_str().unwrap().contains("door"));
    let sizes = browser.run("return [...document.querySelectorAll('#faces li:first-child img')].map(i => [i.naturalWidth, i.naturalHeight])");
    let side = |which: usize, axis: usize| sizes[which][axis].as_u64().unwrap();
    // The drawn crop is four times as large, and below it are the words.
    assert_eq!(side(1, 0), 4 * side(0, 0));
    assert!(side(1, 1) > 4 * side(0, 1));
    browser.run("location.hash = '#gallery'");
    browser.screenshot("camera-gallery.png", true);
    // Searched by camera and by time.
    for (script, found) in [
        ("f.camera.value = 'yard'", false),
        ("f.camera.value = 'door'", true),
        (
            "f.from.value = '2020-01-01T00:00:00'; f.to.value = '2020-01-02T00:00:00'",
            false,
        ),
        ("f.to.value = '2200-01-01T00:00:00'", true),
    ] {
        browser.run(&format!("const f = document.querySelector('#search').elements; {script}; document.querySelector('#search button').click()"));
        browser.wait(&format!(
            "return (document.querySelectorAll('#faces li').length > 0) === {found}"
        ));
    }
    // Small screens too.
    browser.resize(390, 844);
    browser.screenshot("camera-phone.png", true);
    let (over, which) = browser.too_wide();
    assert!(over <= 0.0, "{which}");
    assert_own(&browser, port);

    let rows = rows(&folder.path().join("faces"));
    assert!(
        rows.iter()
            .all(|(camera, computed)| camera == "door" && *computed)
    );
    assert!(!rows.is_empty());
}

/// Camera and label of every row.
fn rows(folder: &Path) -> Vec<(String, bool)> {
    let connection = rusqlite::Connection::open(folder.join("gallery.sqlite")).unwrap();
    let mut query = connection
        .prepare("SELECT camera, computed FROM face")
        .unwrap();
    let rows = query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn without_a_gallery_no_face_is_kept() {
    let (true, Some(browser)) = (ready(), Browser::open(1000, 700)) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let source = RtspCamera::on(0, &["--pattern", "white"]);
    let text = format!(
        "[[camera]]\nname = \"door\"\nsource = \"{}\"\n{FACES}",
        source.address()
    );
    let daemon = Daemon::start(folder.path(), &text);
    wait(
        "a face is seen",
        || daemon.log(),
        || daemon.metric("srfusion_camera_objects") == Some(1.0),
    );
    browser.go(&format!("http://127.0.0.1:{}/", daemon.http_port()));
    browser.wait("return !document.querySelector('#gallery-off').hidden");
    assert_eq!(daemon.get("/gallery/1/input.jpg").0, 404);
    let (status, log) = daemon.end();
    assert!(status.success(), "{log}");
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["cameras.toml"]);
    // A program that has ended is told.
    browser.wait("return !document.querySelector('#connection').hidden");
}
