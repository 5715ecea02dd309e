//! Holds the README and the pages of docs/ against what they speak of: files, cards, measurements and pipelines.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

mod support;
use support::repository;

fn read(name: &str) -> String {
    std::fs::read_to_string(repository().join(name))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The pages of docs/, without those of subfolders.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<_> = std::fs::read_dir(repository().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    assert!(pages.len() > 5, "{pages:?}");
    pages
}

/// Words of a pipeline as they are typed, without line ends; what is a name of a file, a camera or a sink is left out.
fn words(text: &str) -> Vec<String> {
    text.replace("\\\n", " ")
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// The indented blocks of a page that begin with `gst-launch-1.0`.
fn pipelines(page: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        let Some(code) = line.strip_prefix("    ") else {
            inside = false;
            continue;
        };
        if code.starts_with("gst-launch-1.0") {
            found.push(String::new());
            inside = true;
        }
        if inside {
            let last = found.last_mut().unwrap();
            last.push_str(code);
            last.push('\n');
            inside = code.ends_with('\\');
        }
    }
    found
}

#[test]
fn the_readme_is_short_and_leads_to_every_page() {
    let readme = read("README.md");
    assert!(readme.lines().count() <= 120, "{}", readme.lines().count());
    for page in pages() {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(
            readme.contains(&format!("(docs/{name})")),
            "the README does not link docs/{name}"
        );
    }
}

/// What the elements of the pipelines are told: everything but the ends, which a test cannot have.
#[test]
fn the_pipelines_of_the_pages_are_those_that_the_tests_run() {
    let script = read("examples/pipelines.sh");
    let cases = [
        ("README.md", "location=in.mp4 ! decodebin", "file() {", "}"),
        ("README.md", "parsebin name=in", "    sound)", ";;"),
        ("docs/cameras.md", "rtspsrc", "    network)", ";;"),
    ];
    for (page, has, begin, end) in cases {
        let line = pipelines(&read(page))
            .into_iter()
            .find(|line| line.contains(has))
            .unwrap();
        let start = script.find(begin).unwrap() + begin.len();
        let block = &script[start..start + script[start..].find(end).unwrap()];
        let normal = |text: &str| -> Vec<String> {
            words(text)
                .into_iter()
                .filter(|word| !word.starts_with("location=") && word != "\"$@\"")
                .collect()
        };
        assert_eq!(normal(&line), normal(block), "{page}: {has}");
    }
    // The camera on the screen: the middle of the line, between source and sink.
    let line = pipelines(&read("README.md"))
        .into_iter()
        .find(|line| line.contains("v4l2src"))
        .unwrap();
    let middle =
        words(&line[line.find("! queue leaky").unwrap()..line.find("! autovideosink").unwrap()])
            .join(" ");
    assert!(words(&script).join(" ").contains(&middle), "{middle}");
}

/// Numbers in a text: digits with points between them.
fn numbers(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .map(|number| number.trim_matches('.').to_owned())
        .filter(|number| !number.is_empty())
        .collect()
}

#[test]
fn decibels_are_those_of_the_cards() {
    for page in ["README.md", "docs/models.md"] {
        for row in read(page)
            .lines()
            .filter(|line| line.starts_with('|') && line.contains("dB"))
        {
            let names: Vec<_> = [
                "general-x4-quality",
                "face-x4-quality",
                "general-x4-fast",
                "face-x4-fast",
                "general-x4-camera",
                "face-x4-camera",
                "general-x4-natural",
                "face-x4-natural",
                "text-x4",
                "general-x4",
                "face-x4",
            ]
            .into_iter()
            .filter(|name| row.contains(&format!("`{name}`")))
            .collect();
            assert!(!names.is_empty(), "{row}");
            let cards: String = names
                .iter()
                .map(|name| read(&format!("models/cards/{name}.md")))
                .collect();
            let known: Vec<f64> = numbers(&cards)
                .iter()
                .filter_map(|number| number.parse().ok())
                .collect();
            for number in numbers(row).iter().filter(|number| number.contains('.')) {
                let value: f64 = number.parse().unwrap();
                // Sizes of files stand in the same rows.
                if value < 5.0 {
                    continue;
                }
                let rounds = known.iter().any(|exact| (exact - value).abs() < 0.006);
                assert!(
                    rounds,
                    "{page}: {number} is in none of the cards of {names:?}"
                );
            }
        }
    }
}

#[test]
fn speed_and_memory_are_those_measured() {
    let promises: Vec<serde_json::Value> =
        serde_json::from_str(&read("docs/performance/promises.json")).unwrap();
    let found = |what: &str, part: &str| -> String {
        let row = promises.iter().find(|row| {
            let text = row["what"].as_str().unwrap();
            text.contains(what) && text.contains(part)
        });
        numbers(
            row.unwrap_or_else(|| panic!("no row on {what} {part}"))["found"]
                .as_str()
                .unwrap(),
        )[0]
        .clone()
    };
    for page in ["README.md", "docs/cameras.md"] {
        let text = words(&read(page)).join(" ");
        let mut factors: Vec<f64> = [
            "static-room-one-person",
            "static-street",
            "static-indoor-signer-1",
        ]
        .iter()
        .map(|clip| found("reuse=tolerant", clip).parse().unwrap())
        .collect();
        factors.sort_by(f64::total_cmp);
        let expected = format!("{}, {} and {} times", factors[0], factors[1], factors[2]);
        assert!(text.contains(&expected), "{page} does not say {expected}");
    }
    let memory = |size: &str| {
        format!(
            "{} MB at {size}",
            found("resident memory", &format!("at {size},"))
        )
    };
    for (page, sizes) in [
        ("README.md", &["320x180", "1920x1080"][..]),
        ("docs/runtime.md", &["640x360", "1920x1080"]),
    ] {
        for size in sizes {
            assert!(
                read(page).contains(&memory(size)),
                "{page} does not say {}",
                memory(size)
            );
        }
    }
}

#[test]
fn every_picture_that_trained_a_model_is_named() {
    let table = read("models/ATTRIBUTION.tsv");
    for line in table.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        assert_eq!(fields.len(), 7, "{line}");
        assert!(
            fields.iter().all(|field| !field.trim().is_empty()),
            "{line}"
        );
    }
    for card in std::fs::read_dir(repository().join("models/cards")).unwrap() {
        let path = card.unwrap().path();
        let card = std::fs::read_to_string(&path).unwrap();
        for part in ["ATTRIBUTION.tsv", "NOTICE", "unsettled law"] {
            assert!(card.contains(part), "{}: no {part}", path.display());
        }
    }
    let Ok(data) = repository()
        .join("../shared/data")
        .canonicalize()
        .or_else(|_| {
            PathBuf::from(std::env::var_os("SRFUSION_DATA").unwrap_or_default()).canonicalize()
        })
    else {
        eprintln!("skipped in part: no data beside the repository; set SRFUSION_DATA");
        return;
    };
    for folder in ["general", "general2", "video"] {
        for file in std::fs::read_dir(data.join("train").join(folder)).unwrap() {
            let name = format!("{folder}/{}\t", file.unwrap().file_name().to_str().unwrap());
            assert!(
                table.lines().any(|line| line.starts_with(&name)),
                "{name} is not in models/ATTRIBUTION.tsv"
            );
        }
    }
}
