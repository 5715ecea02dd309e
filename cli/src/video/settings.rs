//! What must be the same for a job to go on with the segments of an earlier run.

use crate::arguments::UpscaleOptions;
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::video::encoder::Encoder;
use crate::video::probe::Input;
use crate::video::segment;
use crate::video::tools::Tools;
use crate::video::work::JobSettings;

/// What the settings say of the input: its name and sha256.
///
/// # Errors
/// [`Failure::Failed`] if it cannot be read, [`Failure::Interrupted`].
pub fn input_hash(input: &Input) -> Result<String> {
    let path = input.path.display();
    let hash = segment::sha256(&input.path, interrupt::interrupted).map_err(|error| match error
        .kind()
    {
        std::io::ErrorKind::Interrupted => Failure::Interrupted,
        _ => Failure::Failed(format!("cannot read {path}: {error}")),
    })?;
    Ok(format!("{path} (sha256 {hash})"))
}

/// The sha256 in what [`input_hash`] gives.
pub fn hash_of(input: &str) -> &str {
    let digits = input.rsplit_once("sha256 ").map(|(_, digits)| digits);
    digits.unwrap_or_default().trim_end_matches(')')
}

/// What must be the same for segments of an earlier run to be used; `input` is [`input_hash`].
///
/// # Errors
/// Models that are missing or damaged.
pub fn settings(
    options: &UpscaleOptions,
    input: &str,
    encoder: &Encoder,
    bits: u32,
    tools: &Tools,
) -> Result<JobSettings> {
    let mut settings = JobSettings::new();
    let mut add = |name: &str, value: String| settings.insert(name.to_owned(), value);
    add("srfusion", env!("CARGO_PKG_VERSION").to_owned());
    add("GStreamer", gst::version_string().to_string());
    add("ffmpeg", tools.text.clone());
    add("input", input.to_owned());
    let models = srfusion::models::resolve_all(&options.engine.config())?;
    add("general model", models.general.sha256);
    if let Some(face) = models.face {
        add("face model", face.sha256);
    }
    if let Some(detector) = models.detector {
        add("detector", detector.sha256);
    }
    for other in models.others {
        let subject = other.kind.subject;
        add(&format!("{subject} model"), other.generator.sha256);
        if let Some(detector) = other.detector {
            add(&format!("{subject} detector"), detector.sha256);
        }
    }
    if let Some(identity) = models.identity {
        add("identity model", identity.sha256);
    }
    for (name, value) in options.engine.properties() {
        add(&format!("--{name}"), value);
    }
    add("encoder", encoder.element.to_owned());
    add("--quality", options.quality.to_string());
    add("--preset", options.preset.clone().unwrap_or_default());
    let further: Vec<_> = options
        .encoder_args
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    add("--encoder-args", further.join(" "));
    add("--bits", bits.to_string());
    add("--no-marks", options.no_marks.to_string());
    add("--segment-time", format!("{:?}", options.segment_time));
    if options.audit.is_some() {
        // Wherever it goes: what is finished must have one.
        add("--audit", "a record".to_owned());
    }
    Ok(settings)
}
