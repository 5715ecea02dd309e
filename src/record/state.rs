//! The head of a record from what the engine says of itself.

use std::time::{SystemTime, UNIX_EPOCH};

use super::lines::{Header, InputFile, Model, NetworkSums, Side, State, VERSION, file_name};
use crate::flow::ModelReport;
use crate::picture::{Format, Size};
use crate::runtime::library;
use crate::settings::{FAST, GENERAL, ObjectKind, generator_role};

/// The head of a record that begins now.
pub fn header(made_by: &str, gstreamer: Option<String>, input: Option<InputFile>) -> Header {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Header {
        record: VERSION,
        made_by: made_by.to_owned(),
        srfusion: env!("CARGO_PKG_VERSION").to_owned(),
        onnx_runtime: runtime(),
        gstreamer,
        begun: now.map_or(0, |now| now.as_secs()),
        input,
        state: State::default(),
    }
}

/// Version of ONNX Runtime, once it is loaded.
pub(super) fn runtime() -> String {
    library::loaded().map_or_else(String::new, |info| info.version)
}

/// The networks of `reports`. Where frames have more than 8 bits on either side, `deep`, a network in eight-bit numbers gives way to the
/// same in floats.
pub fn models(reports: &[ModelReport], deep: bool) -> Vec<Model> {
    let model = |report: &ModelReport| {
        let floats = report.origin.floats.as_ref().filter(|_| deep);
        let (path, sha256) = floats.map_or_else(
            || (&report.path, &report.origin.sha256),
            |floats| (&floats.0, &floats.1),
        );
        Model {
            role: report.role.to_owned(),
            name: if report.name.contains(['/', '\\']) {
                file_name(std::path::Path::new(&report.name))
            } else {
                report.name.clone()
            },
            file: file_name(path),
            sha256: sha256.clone(),
            provider: report.provider.name().to_owned(),
            licence: report.origin.licence.clone(),
            trained_on: report.origin.trained_on.clone(),
        }
    };
    reports.iter().map(model).collect()
}

/// The sha256 of the files of those of `models` that draw, for a stream of these `kinds`.
pub fn sums<'a>(models: &'a [Model], kinds: &'a [ObjectKind]) -> NetworkSums<'a> {
    let of = |role: &str| {
        let model = models.iter().find(|model| model.role == role);
        model.map(|model| model.sha256.as_str())
    };
    let kind = |kind: &'a ObjectKind| {
        let subject = kind.subject.as_str();
        (subject, of(generator_role(subject)))
    };
    NetworkSums {
        general: of(GENERAL),
        fast: of(FAST),
        kinds: kinds.iter().map(kind).collect(),
    }
}

/// Frames of `format` and `size`; `caps` are GStreamer's words for them.
pub fn side(format: &Format, size: Size, caps: Option<String>) -> Side {
    Side {
        format: format.layout().name.to_owned(),
        width: size.width,
        height: size.height,
        caps,
    }
}
