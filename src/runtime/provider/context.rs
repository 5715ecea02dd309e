//! The file that TensorRT may leave beside what it compiled: a model that stands for it, and opens faster.

use std::path::Path;

use ort::session::Session;

use crate::bounded;
use crate::runtime::onnx;

/// File that TensorRT may leave beside its engine and that opens faster than the model.
pub(in crate::runtime) const CONTEXT_FILE: &str = "context.onnx";
/// Minor version of ONNX Runtime 1 from which TensorRT can be told where to write that file.
const CONTEXT_SINCE: u32 = 18;

pub(in crate::runtime) type PortNames = (Vec<String>, Vec<String>);

pub(in crate::runtime) fn names_of(session: &Session) -> PortNames {
    let names =
        |outlets: &[ort::value::Outlet]| outlets.iter().map(|o| o.name().to_owned()).collect();
    (names(session.inputs()), names(session.outputs()))
}

/// Whether this version of the library can be told where to keep TensorRT's context file.
pub(in crate::runtime) fn keeps_context(version: &str) -> bool {
    version
        .split('.')
        .nth(1)
        .and_then(|minor| minor.parse().ok())
        .is_some_and(|minor: u32| minor >= CONTEXT_SINCE)
}

/// The session that `open` makes of the context file `file`: `None` without one. One that does not open, or is of another
/// network than one with `names`, is removed, so that it is written anew.
pub(in crate::runtime) fn from_context(
    file: &Path,
    names: Option<&PortNames>,
    open: impl FnOnce(&Path) -> std::result::Result<Session, String>,
) -> Option<std::result::Result<Session, String>> {
    let bytes = bounded::read(file, bounded::MODEL_BYTES).ok()?;
    let opened = if onnx::is_context(&bytes) {
        open(file)
    } else {
        Err("it is damaged".to_owned())
    };
    let opened = opened.and_then(|session| match names {
        Some(names) if *names != names_of(&session) => Err("it is of another network".to_owned()),
        _ => Ok(session),
    });
    if opened.is_err() {
        let _ = std::fs::remove_file(file);
    }
    Some(opened)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::library;

    #[test]
    fn a_context_file_that_does_not_serve_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(CONTEXT_FILE);
        let never = |_: &Path| -> std::result::Result<Session, String> { panic!("opened") };
        assert!(from_context(&file, None, never).is_none());
        std::fs::write(&file, b"half a file").unwrap();
        let reason = from_context(&file, None, never).unwrap().err().unwrap();
        assert!(reason.contains("damaged") && !file.exists(), "{reason}");
        // A graph of one EPContext node.
        let whole = b"\x3a\x0d\x0a\x0b\x22\x09EPContext";
        std::fs::write(&file, whole).unwrap();
        let refuse = |_: &Path| Err("another device".to_owned());
        let reason = from_context(&file, None, refuse).unwrap().err().unwrap();
        assert!(reason == "another device" && !file.exists(), "{reason}");
        // One that opens is kept if it is of this network.
        if let Ok(environment) = library::environment(None) {
            let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny/bicubic-x4.onnx");
            let session = |_: &Path| {
                let mut builder = Session::builder(&environment).unwrap();
                Ok(builder.commit_from_file(&model).unwrap())
            };
            let names = |result: &str| (vec!["input".to_owned()], vec![result.to_owned()]);
            std::fs::write(&file, whole).unwrap();
            let opened = from_context(&file, Some(&names("output")), session).unwrap();
            assert!(opened.is_ok() && file.exists());
            let other = names("other");
            let reason = from_context(&file, Some(&other), session).unwrap();
            assert!(reason.is_err_and(|reason| reason.contains("another network")));
            assert!(!file.exists());
        } else {
            eprintln!("skipped in part: no ONNX Runtime");
        }

        assert!(keeps_context("1.18") && keeps_context("1.32"));
        assert!(!keeps_context("1.17") && !keeps_context("1"));
    }
}
