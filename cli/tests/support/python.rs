//! Python for computations that share nothing with the program.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// A script of `independent/`.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/independent")
        .join(name)
}

/// A Python that can import `modules`: that of SRFUSION_TEST_PYTHON, of `scripts/setup tests`, of models/training, or the first of the
/// PATH; `None` after saying that there is none.
pub fn python(modules: &[&str]) -> Option<PathBuf> {
    let found = find(modules);
    if found.is_none() {
        eprintln!(
            "skipped: no Python with {}; scripts/setup tests makes one",
            modules.join(", ")
        );
    }
    found
}

/// The same without a word.
pub fn find(modules: &[&str]) -> Option<PathBuf> {
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let data = data.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")));
    let training =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/training/.venv/bin/python");
    let candidates = [
        std::env::var_os("SRFUSION_TEST_PYTHON").map(PathBuf::from),
        data.map(|data| data.join("srfusion/tests/bin/python")),
        Some(training),
        Some("python3".into()),
        Some("/usr/bin/python3".into()),
    ];
    let imports: Vec<_> = modules
        .iter()
        .map(|module| format!("import {module}"))
        .collect();
    let works = |python: &PathBuf| {
        let tried = Command::new(python)
            .args(["-c", &imports.join("\n")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        tried.is_ok_and(|status| status.success())
    };
    candidates.into_iter().flatten().find(works)
}

/// What a script of `independent/` prints, which is JSON.
#[track_caller]
pub fn compute(python: &Path, name: &str, arguments: &[&Path]) -> Value {
    let ran = Command::new(python)
        .arg(script(name))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{name}: {errors}");
    serde_json::from_slice(&ran.stdout).unwrap()
}
