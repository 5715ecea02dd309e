//! `srfusion study`: made-up raters in a real browser, whose preferences are known, and statistics against an independent computation.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

mod support;
use support::browser::{Browser, http};
use support::python::{compute, python};
use support::{Folder, assert_fails, command, run};

/// Treatments, and how good the made-up raters find them, worst first.
const TREATMENTS: [(&str, f64); 5] = [
    ("bicubic", 1.6),
    ("general", 2.6),
    ("face", 3.0),
    ("mixed", 3.4),
    ("fusion", 4.2),
];

/// A study that is being served.
struct Server {
    child: Child,
    port: u16,
    address: String,
}

impl Server {
    fn start(folder: &Path, options: &[&str]) -> Self {
        let arguments = [
            &[
                "study",
                "serve",
                folder.to_str().unwrap(),
                "--listen",
                "127.0.0.1:0",
            ],
            options,
        ]
        .concat();
        let mut child = command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let address =
            lines.find_map(|line| Some(line.split_once("open ")?.1.split(' ').next()?.to_owned()));
        let address = address.expect("the study did not say its address");
        std::thread::spawn(move || lines.for_each(drop));
        let port = address
            .trim_end_matches('/')
            .rsplit(':')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        Self {
            child,
            port,
            address,
        }
    }

    /// Ends it as Ctrl-C does; its status.
    fn end(mut self) -> i32 {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &id])
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Pictures of two data sets. What they show does not matter here, that they can be told apart does.
fn pictures(folder: &Path) {
    for (set, count) in [("faces", 2_usize), ("streets", 2)] {
        let kinds = TREATMENTS
            .map(|(name, _)| name)
            .into_iter()
            .chain(["LR", "HR"]);
        for (number, kind) in kinds.enumerate() {
            let target = folder.join(set).join(kind);
            std::fs::create_dir_all(&target).unwrap();
            for index in 0..count {
                let side = if kind == "LR" { 24 } else { 96 };
                let picture = image::RgbImage::from_fn(side, side, |x, y| {
                    let wave = |v: u32| (v * 255 / side) as u8;
                    image::Rgb([wave(x), wave(y), (number * 36 + index * 9) as u8])
                });
                picture.save(target.join(format!("p{index}.png"))).unwrap();
            }
        }
    }
}

/// Numbers that look random and are the same every time.
struct Noise(u64);

impl Noise {
    /// Uniform in -1..1.
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

/// What is shown in each place of a session's question: read from the database, because the page does not tell.
fn slots(database: &Path, token: &str, position: usize) -> (Vec<String>, bool) {
    let connection = rusqlite::Connection::open(database).unwrap();
    connection
        .query_row(
            "SELECT slots, trap FROM questions JOIN sessions ON session = id WHERE token = ?1 AND position = ?2",
            rusqlite::params![token, position as i64],
            |row| {
                let slots: String = row.get(0)?;
                Ok((serde_json::from_str(&slots).unwrap(), row.get(1)?))
            },
        )
        .unwrap()
}

/// Marks of a rater who is `kind` by so much and uncertain by a mark and a half.
fn marks(slots: &[String], kind: f64, noise: &mut Noise) -> Vec<u8> {
    loop {
        let marks: Vec<_> = slots
            .iter()
            .map(|slot| match slot.as_str() {
                "LR" => 1,
                "HR" => 5,
                name => {
                    let worth = TREATMENTS
                        .iter()
                        .find(|(treatment, _)| *treatment == name)
                        .unwrap()
                        .1;
                    (worth + kind + 1.5 * noise.next()).round().clamp(1.0, 5.0) as u8
                }
            })
            .collect();
        if marks.iter().any(|mark| *mark != marks[0]) {
            return marks;
        }
    }
}

/// The question that the page shows and is ready to be answered, and the session; `None` at the end.
fn shown(browser: &Browser, after: Option<usize>) -> Option<(usize, String)> {
    let after = after.map_or(-1, |after| after as i64);
    browser.wait(&format!(
        "return !document.getElementById('end').hidden || (Number(document.getElementById('question').dataset.ready ?? -1) > {after} && !document.getElementById('question').hidden)"
    ));
    let found = browser.run(
        "return document.getElementById('end').hidden ? [Number(document.getElementById('question').dataset.ready), location.hash.slice(1)] : null",
    );
    Some((
        found.get(0)?.as_u64()? as usize,
        found.get(1)?.as_str()?.to_owned(),
    ))
}

fn key(mark: u8) -> String {
    mark.to_string()
}

/// Answers one question by the keyboard.
fn give(browser: &Browser, marks: &[u8]) {
    let keys: Vec<_> = marks.iter().copied().map(key).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).chain(["Enter"]).collect();
    browser.press(&keys);
}

fn begin(browser: &Browser, server: &Server, name: &str) {
    browser.go("about:blank");
    browser.go(&server.address);
    browser.wait("return document.activeElement?.id === 'name'");
    let letters: Vec<_> = name.chars().map(String::from).collect();
    let keys: Vec<_> = letters
        .iter()
        .map(String::as_str)
        .chain(["Enter"])
        .collect();
    browser.press(&keys);
}

fn results(database: &Path, options: &[&str]) -> Value {
    let arguments = [
        &["study", "results", database.to_str().unwrap(), "--json"],
        options,
    ]
    .concat();
    let result = run(&arguments);
    assert!(
        result.status.success(),
        "{}",
        String::from_utf8_lossy(&result.stderr)
    );
    serde_json::from_slice(&result.stdout).unwrap()
}

#[test]
fn made_up_raters_in_a_browser() {
    let Some(browser) = Browser::open(1280, 900) else {
        return;
    };
    let folder = Folder::new("study-raters");
    pictures(&folder.file(""));
    let database = folder.file("study.sqlite");
    let mut server = Server::start(&folder.file(""), &["--traps", "1"]);
    let mut noise = Noise(7);
    let count = 5;
    browser.requests();
    for rater in 0..24 {
        begin(&browser, &server, &format!("r{rater}"));
        let (mut position, token) = shown(&browser, None).unwrap();
        let kind = 0.6 * noise.next();
        if rater == 0 {
            println!("first paint after {:.0} ms", browser.first_paint());
            browser.screenshot("study-1280.png", true);
            // All alike is refused, and the question stays.
            give(&browser, &[3, 3, 3, 3, 3]);
            browser
                .wait("return document.getElementById('error').textContent.includes('same mark')");
            assert_eq!(shown(&browser, None).unwrap().0, 0);
            // Marks are changed from the first on.
            browser.press(&["2", "1"]);
            let given = "return [...document.querySelectorAll('.marks input:checked')].map(e => e.value).join('')";
            assert_eq!(browser.run(given), "21333");
            browser.press(&["ArrowLeft", "ArrowLeft"]);
            // A look pixel by pixel, and back.
            browser.press(&["z", "ArrowRight"]);
            assert_eq!(
                browser.run("return document.getElementById('viewer').open"),
                true
            );
            browser.press(&["Escape"]);
            browser.wait("return !document.getElementById('viewer').open");
        }
        loop {
            if rater == 1 && position == 2 {
                // The program ends and comes back, and so does the rater.
                assert_eq!(server.end(), 0);
                server = Server::start(&folder.file(""), &["--traps", "1"]);
                browser.go("about:blank");
                browser.go(&format!("{}#{token}", server.address));
                assert_eq!(shown(&browser, None).unwrap(), (2, token.clone()));
            }
            let (slots, trap) = slots(&database, &token, position);
            assert_eq!(slots.len(), TREATMENTS.len());
            let mut marks = marks(&slots, kind, &mut noise);
            if rater == 2 && trap {
                // One who does not look.
                marks = slots
                    .iter()
                    .map(|slot| if slot == "HR" { 1 } else { 5 })
                    .collect();
            }
            give(&browser, &marks);
            match shown(&browser, Some(position)) {
                Some(next) => position = next.0,
                None => break,
            }
        }
        assert_eq!(position, count - 1);
    }
    for request in browser.requests() {
        assert!(
            request.starts_with("http://127.0.0.1:")
                || request.starts_with("about:")
                || request.starts_with("data:"),
            "{request}"
        );
        assert!(
            !TREATMENTS.iter().any(|(name, _)| request.contains(name)),
            "the address tells what it is: {request}"
        );
    }
    // The refused answer is one that the browser notes.
    let complaints = browser.complaints();
    assert!(
        complaints.iter().all(|line| line.contains("422")),
        "{complaints:?}"
    );
    // One who stops in the middle.
    begin(&browser, &server, "late");
    let (position, token) = shown(&browser, None).unwrap();
    let (slots, _) = slots(&database, &token, position);
    give(&browser, &marks(&slots, 0.0, &mut noise));
    shown(&browser, Some(position)).unwrap();
    assert_eq!(server.end(), 0);

    let found = results(&database, &[]);
    assert_eq!(found["raters"], 23);
    let reasons: Vec<_> = found["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|who| (who["name"].clone(), who["reason"].clone()))
        .collect();
    assert_eq!(
        reasons,
        [
            (json!("r2"), json!("1 trapping questions wrong")),
            (json!("late"), json!("not finished"))
        ]
    );
    let lines = found["treatments"].as_array().unwrap();
    assert_eq!(lines.len(), 15);
    let order: Vec<_> = lines
        .iter()
        .filter(|line| line["data_set"].is_null())
        .map(|line| line["treatment"].as_str().unwrap())
        .collect();
    let known: Vec<_> = TREATMENTS.iter().rev().map(|(name, _)| *name).collect();
    assert_eq!(order, known, "{lines:?}");
    assert_eq!(
        results(&database, &["--allowed-failures", "1", "--unfinished"])["raters"],
        25
    );

    let export = folder.file("marks.json");
    let exported = run(&[
        "study",
        "export",
        database.to_str().unwrap(),
        export.to_str().unwrap(),
    ]);
    assert!(exported.status.success());
    let marks: Value = serde_json::from_slice(&std::fs::read(&export).unwrap()).unwrap();
    assert_eq!(marks["ref_videos"].as_array().unwrap().len(), 4);
    assert_eq!(marks["dis_videos"].as_array().unwrap().len(), 20);
    assert_eq!(marks["dis_videos"][7]["os"].as_object().unwrap().len(), 23);

    let Some(python) = python(&["sqlite3"]) else {
        return;
    };
    let computed = compute(&python, "study.py", &[&database]);
    for line in lines {
        let set = line["data_set"].as_str().unwrap_or("");
        let expected = &computed[set][line["treatment"].as_str().unwrap()];
        for (at, key) in ["mean", "deviation", "interval", "marks"]
            .iter()
            .enumerate()
        {
            let (found, expected) = (line[*key].as_f64().unwrap(), expected[at].as_f64().unwrap());
            assert!((found - expected).abs() < 1e-7, "{key} {expected}: {line}");
        }
    }
    let Some(python) = support::python::find(&["sureal"]) else {
        println!("no sureal here: that it reads the export is not tested");
        return;
    };
    let script = "import sys\nfrom sureal.routine import run_subjective_models\nfrom sureal.subjective_model import SubjectiveModel\n\
        _, _, results = run_subjective_models(sys.argv[1], [SubjectiveModel.find_subclass('MOS')])\nprint(list(map(float, results[0]['quality_scores'])))";
    let ran = Command::new(python)
        .args(["-c", script, export.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let scores: Vec<f64> = serde_json::from_slice(&ran.stdout).unwrap();
    for (video, score) in marks["dis_videos"].as_array().unwrap().iter().zip(scores) {
        let given: Vec<f64> = video["os"]
            .as_object()
            .unwrap()
            .values()
            .map(|mark| mark.as_f64().unwrap())
            .collect();
        assert!((given.iter().sum::<f64>() / given.len() as f64 - score).abs() < 1e-9);
    }
}

#[test]
fn the_page_on_a_small_screen_and_by_the_clock() {
    let Some(browser) = Browser::open(360, 740) else {
        return;
    };
    let folder = Folder::new("study-small");
    pictures(&folder.file(""));
    let server = Server::start(&folder.file(""), &["--seconds", "1", "--traps", "0"]);
    let narrow = |what: &str| {
        browser.screenshot(&format!("study-360-{what}.png"), true);
        let (over, which) = browser.too_wide();
        assert!(over <= 0.0, "{what}: {over} px too wide: {which}");
        let small = "return [...document.querySelectorAll('main *')].filter(e => e.children.length === 0 && e.textContent.trim() && e.offsetParent && parseFloat(getComputedStyle(e).fontSize) < 10.5).map(e => e.outerHTML.slice(0, 100))";
        assert_eq!(browser.run(small), json!([]), "{what}");
    };
    browser.go(&server.address);
    browser.wait("return !document.getElementById('start').hidden");
    narrow("start");
    begin(&browser, &server, "a");
    shown(&browser, None).unwrap();
    narrow("question");
    browser.wait("return document.getElementById('pictures').classList.contains('over')");
    assert_eq!(
        browser.run("return getComputedStyle(document.querySelector('.look img')).visibility"),
        "hidden"
    );
    // Marks can still be given, but not all of them left out.
    browser.press(&["1", "Enter"]);
    browser.wait("return document.getElementById('error').textContent.includes('every version')");
    narrow("over");
    browser.press(&["2", "3", "4", "5", "Enter"]);
    shown(&browser, Some(0)).unwrap();
    // By touch: radio buttons are large enough for a finger.
    let least = browser.run("return Math.min(...[...document.querySelectorAll('.marks label')].map(e => Math.min(e.offsetWidth, e.offsetHeight)))");
    assert!(least.as_f64().unwrap() >= 24.0, "{least}");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn what_cannot_be_asked_and_answered() {
    let folder = Folder::new("study-faults");
    let root = folder.file("");
    let name = root.to_str().unwrap();
    assert_fails(
        &run(&["study", "serve", name]),
        1,
        &["data set", "LR", "HR"],
    );
    assert_fails(&run(&["study", "serve", "/nowhere"]), 1, &["/nowhere"]);
    pictures(&root);
    assert_fails(
        &run(&["study", "serve", name, "--listen", "127.0.0.1:99999"]),
        2,
        &["--listen"],
    );
    let database = folder.file("study.sqlite");
    assert_fails(
        &run(&["study", "results", database.to_str().unwrap()]),
        1,
        &["study.sqlite", "no file"],
    );
    let export = folder.file("marks.json");
    {
        let server = Server::start(&root, &[]);
        let listen = format!("127.0.0.1:{}", server.port);
        assert_fails(
            &run(&["study", "serve", name, "--listen", &listen]),
            1,
            &[&listen],
        );
        let ask =
            |method: &str, path: &str, body: &str| http(server.port, method, path, body).unwrap();
        assert_eq!(ask("GET", "/sessions/0123", "").0, 404);
        let token = ask("POST", "/sessions", r#"{"name": "x"}"#).1;
        let token: Value = serde_json::from_str(&token).unwrap();
        let token = token["token"].as_str().unwrap();
        let answer = |position: usize, marks: &str| {
            ask(
                "POST",
                &format!("/sessions/{token}/answers/{position}"),
                &format!(r#"{{"marks": {marks}}}"#),
            )
            .0
        };
        assert_eq!(answer(1, "[1,2,3,4,5]"), 409);
        assert_eq!(answer(0, "[1,2,3,4]"), 422);
        assert_eq!(answer(0, "[1,2,3,4,6]"), 422);
        assert_eq!(answer(0, "[2,2,2,2,2]"), 422);
        assert_eq!(answer(0, "[1,2,3,4,5]"), 204);
        // Changed one's mind.
        assert_eq!(answer(0, "[5,4,3,2,1]"), 204);
        let path = |rest: &str| format!("/sessions/{token}/pictures/{rest}");
        assert_eq!(ask("GET", &path("1/low"), "").0, 200);
        for wrong in [
            "1/9",
            "1/study.sqlite",
            "99/low",
            "1/..%2f..%2fstudy.sqlite",
        ] {
            assert_eq!(ask("GET", &path(wrong), "").0, 404, "{wrong}");
        }
        assert_eq!(server.end(), 0);
    }
    let exported = run(&[
        "study",
        "export",
        database.to_str().unwrap(),
        export.to_str().unwrap(),
    ]);
    assert_fails(&exported, 1, &["study.sqlite", "results"]);
    assert!(!export.exists());
    assert_eq!(
        results(&database, &["--unfinished", "--allowed-failures", "9"])["raters"],
        1
    );
    // Other pictures than those that marks were given for.
    std::fs::remove_file(root.join("faces/fusion/p0.png")).unwrap();
    assert_fails(&run(&["study", "serve", name]), 1, &["fusion", "p0"]);
    for kind in TREATMENTS
        .map(|(name, _)| name)
        .into_iter()
        .chain(["LR", "HR"])
    {
        let _ = std::fs::remove_file(root.join("faces").join(kind).join("p0.png"));
    }
    assert_fails(
        &run(&["study", "serve", name]),
        1,
        &["study.sqlite", "--database"],
    );
}
