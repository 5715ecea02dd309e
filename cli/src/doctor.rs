//! `srfusion doctor`: what this machine has of what srfusion needs, in the order in which it is needed. Changes nothing.

use gst::prelude::*;
use serde::Serialize;
use serde_json::json;
use srfusion::models::Resolved;
use srfusion::open::EightBits;
use srfusion::runtime::session::Network;
use srfusion::runtime::{cache, library, try_provider};
use srfusion::{Canceller, Config, Precision, Provider};

use crate::arguments::{DoctorOptions, config_here};
use crate::failure::{Failure, Result};
use crate::{elements, models, video};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    /// Something is not there that only some uses need.
    Warning,
    /// The main job, a video through the networks, cannot run.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    group: &'static str,
    name: String,
    status: Status,
    detail: String,
}

#[derive(Debug, Default)]
struct DoctorReport(Vec<Check>);

impl DoctorReport {
    fn add(
        &mut self,
        group: &'static str,
        name: impl Into<String>,
        status: Status,
        detail: impl Into<String>,
    ) {
        self.0.push(Check {
            group,
            name: name.into(),
            status,
            detail: detail.into(),
        });
    }

    fn failed(&self) -> usize {
        self.0
            .iter()
            .filter(|check| check.status == Status::Failed)
            .count()
    }
}

/// Runs the command.
///
/// # Errors
/// [`Failure::Refused`] if the main job cannot run; what is missing was printed.
pub fn run(options: &DoctorOptions) -> Result<()> {
    let mut report = DoctorReport::default();
    gstreamer(&mut report);
    let mut config = Config {
        models_dir: options.models_dir.clone(),
        ..config_here()
    };
    options.runtime.apply(&mut config);
    let loaded = runtime(&mut report, &config);
    if loaded {
        providers(&mut report, &config);
    }
    catalogue(&mut report, &config);
    if loaded {
        models_on_providers(&mut report, &config);
    }
    cache_folder(&mut report, &config);

    let failed = report.failed();
    if options.json {
        println!("{}", json!({ "ok": failed == 0, "checks": report.0 }));
    } else {
        let mut group = "";
        for check in &report.0 {
            if check.group != group {
                group = check.group;
                println!("{group}");
            }
            let mark = match check.status {
                Status::Ok => "ok     ",
                Status::Warning => "warning",
                Status::Failed => "FAILED ",
            };
            let separator = if check.detail.is_empty() { "" } else { ": " };
            println!("  {mark}  {}{separator}{}", check.name, check.detail);
        }
        match failed {
            0 => println!("srfusion can upscale videos on this machine."),
            1 => println!(
                "srfusion cannot upscale videos on this machine: 1 thing is missing (FAILED above)."
            ),
            n => println!(
                "srfusion cannot upscale videos on this machine: {n} things are missing (FAILED above)."
            ),
        }
    }
    if failed == 0 {
        Ok(())
    } else {
        Err(Failure::Refused)
    }
}

/// GStreamer, its elements, and the plugin in its registry.
fn gstreamer(report: &mut DoctorReport) {
    const GROUP: &str = "GStreamer";
    if let Err(error) = gst::init() {
        report.add(
            GROUP,
            "version",
            Status::Failed,
            format!("GStreamer cannot be initialised: {error}"),
        );
        return;
    }
    report.add(GROUP, "version", Status::Ok, gst::version_string());
    let mut absent = |elements: &[(&str, &str)], status: Status, what: &str| {
        let missing: Vec<_> = elements
            .iter()
            .filter(|(name, _)| gst::ElementFactory::find(name).is_none())
            .collect();
        if missing.is_empty() {
            let names: Vec<_> = elements.iter().map(|(name, _)| *name).collect();
            report.add(GROUP, what, Status::Ok, names.join(" "));
        }
        for (name, package) in missing {
            report.add(
                GROUP,
                *name,
                status,
                format!("missing; on Debian it is in {package}"),
            );
        }
    };
    absent(elements::NEEDED, Status::Failed, "elements needed");
    absent(elements::FURTHER, Status::Warning, "further elements");
    for (extensions, encoder) in video::encoders_found() {
        let name = format!("encoder for {extensions}");
        match encoder {
            Ok(encoder) => report.add(GROUP, name, Status::Ok, encoder.element),
            Err(Failure::Usage(reason) | Failure::Failed(reason)) => {
                // MP4 is what the demonstration and the examples write.
                let status = if extensions.contains(".mp4") {
                    Status::Failed
                } else {
                    Status::Warning
                };
                report.add(GROUP, name, status, reason);
            }
            Err(Failure::Interrupted | Failure::Stopped(_) | Failure::Refused) => {}
        }
    }
    plugin(report);
    // What takes videos apart and puts them together.
    match video::ffmpeg_found() {
        Ok(version) => report.add("ffmpeg", "version", Status::Ok, version),
        Err(Failure::Usage(reason) | Failure::Failed(reason)) => {
            report.add("ffmpeg", "version", Status::Failed, reason);
        }
        Err(_) => {}
    }
}

/// Whether GStreamer's registry knows the plugin, which `srfusion upscale` does without and `gst-launch-1.0` does not.
fn plugin(report: &mut DoctorReport) {
    const GROUP: &str = "GStreamer";
    const NAME: &str = "plugin srfusion";
    let registry = gst::Registry::get();
    if let Some(plugin) = registry.find_plugin("srfusion") {
        let place = plugin
            .filename()
            .map_or_else(|| "built in".to_owned(), |file| file.display().to_string());
        let version = plugin.version();
        match gst::ElementFactory::find("srfusion").map(|factory| factory.load()) {
            Some(Ok(_)) => report.add(
                GROUP,
                NAME,
                Status::Ok,
                format!("version {version}, {place}"),
            ),
            Some(Err(error)) => {
                report.add(
                    GROUP,
                    NAME,
                    Status::Warning,
                    format!("{place} cannot be loaded: {error}"),
                );
            }
            None => report.add(
                GROUP,
                NAME,
                Status::Warning,
                format!("{place} has no element srfusion"),
            ),
        }
        return;
    }
    let refused = registry.plugins().into_iter().find(|plugin| {
        plugin
            .plugin_flags()
            .contains(gst::PluginFlags::BLACKLISTED)
            && plugin
                .filename()
                .is_some_and(|file| file.to_string_lossy().contains("gstsrfusion"))
    });
    let detail = match refused.and_then(|plugin| plugin.filename()) {
        Some(file) => format!(
            "GStreamer has {} on its blacklist, because it once could not be loaded; remove GStreamer's registry file (below ~/.cache/gstreamer-1.0) to have it tried again",
            file.display()
        ),
        None => "GStreamer does not find it: gst-launch-1.0 cannot use it, `srfusion upscale` can; set GST_PLUGIN_PATH to the folder of libgstsrfusion.so".to_owned(),
    };
    report.add(GROUP, NAME, Status::Warning, detail);
}

/// ONNX Runtime's library; returns whether it could be loaded.
fn runtime(report: &mut DoctorReport, config: &Config) -> bool {
    const GROUP: &str = "ONNX Runtime";
    let explicit = config.runtime_library.as_deref();
    let loaded = library::load(explicit);
    for candidate in library::candidates(explicit) {
        let name = format!("{} ({})", candidate.path.display(), candidate.source);
        match &loaded {
            Ok(loaded) if loaded.path == candidate.path => {
                report.add(
                    GROUP,
                    name,
                    Status::Ok,
                    format!("taken, version {}", loaded.version),
                );
                // Those after it are not tried.
                return true;
            }
            _ => report.add(GROUP, name, Status::Warning, "not there or not usable"),
        }
    }
    match loaded {
        Ok(loaded) => {
            report.add(
                GROUP,
                loaded.path.display().to_string(),
                Status::Ok,
                format!("version {}", loaded.version),
            );
            true
        }
        Err(error) => {
            report.add(GROUP, "library", Status::Failed, error.to_string());
            false
        }
    }
}

/// Each provider, by running a network of one node on it.
fn providers(report: &mut DoctorReport, config: &Config) {
    const GROUP: &str = "Execution providers";
    let mut usable = Vec::new();
    for candidate in Provider::ORDER {
        match try_provider(candidate, config) {
            Ok(()) => {
                usable.push(candidate);
                report.add(GROUP, candidate.name(), Status::Ok, "usable");
            }
            Err(error) => {
                let status = if config.provider == candidate {
                    Status::Failed
                } else {
                    Status::Warning
                };
                report.add(GROUP, candidate.name(), status, error.to_string());
            }
        }
    }
    match usable.first() {
        Some(first) => report.add(GROUP, "auto", Status::Ok, format!("takes {}", first.name())),
        None => report.add(GROUP, "auto", Status::Failed, "no provider is usable"),
    }
}

/// The models that ship, by their sums.
fn catalogue(report: &mut DoctorReport, config: &Config) {
    const GROUP: &str = "Models";
    let catalogue = match models::catalogue(config.models_dir.as_deref()) {
        Ok(catalogue) => catalogue,
        Err(error) => {
            report.add(GROUP, "catalogue", Status::Failed, error.to_string());
            return;
        }
    };
    report.add(
        GROUP,
        "catalogue",
        Status::Ok,
        catalogue.dir().display().to_string(),
    );
    let needed = [
        &config.general_model,
        &config.face_model,
        &config.detector_model,
    ];
    for name in needed {
        if !catalogue.entries().iter().any(|entry| entry.name == *name) {
            report.add(
                GROUP,
                name.as_str(),
                Status::Failed,
                "the catalogue has no model of this name",
            );
        }
    }
    for entry in catalogue.entries() {
        match srfusion::models::verify(catalogue.dir(), entry) {
            Ok(()) => report.add(
                GROUP,
                &entry.name,
                Status::Ok,
                format!("{}, sha256 as expected", entry.file),
            ),
            Err(error) => {
                let status = if needed.contains(&&entry.name) {
                    Status::Failed
                } else {
                    Status::Warning
                };
                report.add(GROUP, &entry.name, status, error.to_string());
            }
        }
    }
}

/// Each model of the configuration: where it runs, and why not elsewhere. Builds nothing.
fn models_on_providers(report: &mut DoctorReport, config: &Config) {
    const GROUP: &str = "Models on providers";
    let models = match srfusion::models::resolve_all(config) {
        Ok(models) => models,
        // The catalogue's part says which file is missing; this is for paths and roles.
        Err(error) => return report.add(GROUP, "models", Status::Failed, error.to_string()),
    };
    // As the element does.
    let config = &srfusion::open::tuned::with_fastest(config, &models);
    if let Some(fastest) = config.fastest {
        let detail = format!(
            "provider=auto tries {fastest} first, the fastest that srfusion tune measured here"
        );
        report.add(GROUP, "srfusion tune", Status::Ok, detail);
    }
    for (role, found) in models.roles() {
        let (purpose, cancel) = (
            srfusion::open::purpose(role, found, config),
            Canceller::new(),
        );
        let (path, name, sha256) = (&found.path, &found.name, &found.sha256);
        match Network::open_ready(path, name, sha256, purpose, config, &cancel) {
            Ok(mut network) => {
                // Why pictures do not get there in the best way, say.
                let notices = network.take_notices();
                let refused: Vec<_> = network
                    .refused()
                    .iter()
                    .map(|(provider, reason)| format!("; not {provider}: {reason}"))
                    .collect();
                let detail = format!(
                    "{} in {}, {}{}{}{}",
                    network.provider(),
                    network.precision().name(),
                    network.transfer(),
                    eight_bits(found, &network, config),
                    refused.concat(),
                    notices
                        .iter()
                        .map(|notice| format!("; {notice}"))
                        .collect::<String>()
                );
                report.add(GROUP, &found.name, Status::Ok, detail);
            }
            Err(error) => report.add(GROUP, &found.name, Status::Failed, error.to_string()),
        }
    }
}

/// What becomes of a generator's file in eight-bit numbers, for the end of a line.
fn eight_bits(found: &Resolved, network: &Network, config: &Config) -> String {
    let file = match &found.int8 {
        Some(Ok(int8)) => int8.path.file_name().unwrap_or_default().display(),
        _ => std::ffi::OsStr::new("its file of eight-bit numbers").display(),
    };
    let here = network.provider() == Provider::Cpu;
    match (srfusion::open::eight_bits(found, config), config.precision) {
        (EightBits::None, _) | (_, Precision::Fp32 | Precision::Fp16) => String::new(),
        (EightBits::Unusable(reason), _) => format!("; not {file}: {reason}"),
        (_, Precision::Int8) => format!("; frames of 8 bits by {file}, as precision=int8 asks"),
        _ if !here => String::new(),
        (EightBits::NotMeasured, _) => {
            format!("; whether {file} gains is measured when it is opened first")
        }
        (EightBits::Measured(gain), _) if gain.is_worth() => {
            format!(
                "; frames of 8 bits by {file}, in {:.2} of the time",
                gain.ratio
            )
        }
        (EightBits::Measured(gain), _) => {
            format!("; not {file}, which takes {:.2} of the time", gain.ratio)
        }
    }
}

/// Where providers keep what they compile.
fn cache_folder(report: &mut DoctorReport, config: &Config) {
    const GROUP: &str = "Cache";
    let Some(folder) = cache::dir(config) else {
        let detail = "none: neither XDG_CACHE_HOME nor HOME is set; set cache-dir";
        return report.add(GROUP, "folder", Status::Warning, detail);
    };
    let (bytes, compiled) = cache::usage(&folder);
    let detail = format!(
        "{}: {compiled} compiled models, {:.1} MB",
        folder.display(),
        bytes as f64 / 1e6
    );
    report.add(GROUP, "folder", Status::Ok, detail);
}
