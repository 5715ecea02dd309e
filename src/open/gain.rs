//! Whether a network in eight-bit numbers gains on this processor: measured once, and kept in the cache folder.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::enlarger::Enlarger;
use super::whole_file;
use crate::error::Result;
use crate::models::{Int8File, Resolved};
use crate::picture::Size;
use crate::runtime::{cache, library};
use crate::settings::Config;

/// Folder, in the cache folder, for what was measured: a file for each pair of files, processor and number of threads.
const FOLDER: &str = "measured";
/// Version of those files.
const FORMAT: u32 = 1;
/// Side of the tile that is run.
const SIDE: usize = 128;
/// Times that each is run, by turns, after once that does not count.
const ROUNDS: usize = 5;
/// Part of the time in floats from which eight bits are worth their rounding.
const WORTH: f64 = 0.9;

/// What part of the time in floats the network takes in eight-bit numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gain {
    /// Time in eight-bit numbers over time in floats.
    pub ratio: f64,
}

impl Gain {
    /// Whether eight bits are worth their rounding.
    pub fn is_worth(self) -> bool {
        self.ratio < WORTH
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Measured {
    format: u32,
    model: String,
    processor: String,
    ratio: f64,
}

/// The place of what was measured for the model `found` and its file `int8`, if there is a cache folder.
fn file(found: &Resolved, int8: &Int8File, config: &Config) -> Option<PathBuf> {
    let runtime = library::load(config.runtime_library.as_deref()).ok()?;
    let mut hasher = Sha256::new();
    for part in [
        &found.sha256,
        &int8.sha256,
        &processor(),
        &threads(config).to_string(),
        &runtime.version,
    ] {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    let sum: String = hasher
        .finalize()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Some(cache::dir(config)?.join(FOLDER).join(format!("{sum}.toml")))
}

/// Threads that a network has.
pub(super) fn threads(config: &Config) -> usize {
    match config.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}

/// What is known of the processor, whatever of it does not change from one moment to the next.
fn processor() -> String {
    const TELLING: [&str; 9] = [
        "vendor_id",
        "cpu family",
        "model",
        "model name",
        "stepping",
        "flags",
        "Features",
        "CPU implementer",
        "CPU part",
    ];
    let all = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let first = all.split("\n\n").next().unwrap_or_default();
    let told = first.lines().filter(|line| {
        let key = line.split(':').next().unwrap_or_default().trim();
        TELLING.contains(&key)
    });
    let told: Vec<_> = told.collect();
    format!("{} {}", std::env::consts::ARCH, told.join("\n"))
}

/// What was measured before.
pub(super) fn kept(found: &Resolved, int8: &Int8File, config: &Config) -> Option<Gain> {
    let text = whole_file::read(&file(found, int8, config)?)?;
    let measured: Measured = toml::from_str(&text).ok()?;
    let is_sane = measured.format == FORMAT && measured.ratio.is_finite() && measured.ratio > 0.0;
    is_sane.then_some(Gain {
        ratio: measured.ratio,
    })
}

/// Runs `eight` and `floats`, both of which are open on the processor, by turns, and keeps what came of it.
///
/// # Errors
/// The runtime's.
pub(super) fn measure(
    found: &Resolved,
    int8: &Int8File,
    config: &Config,
    eight: &mut dyn Enlarger,
    floats: &mut dyn Enlarger,
) -> Result<Gain> {
    let planes = floats.encoding().channels.count();
    let size = Size::new(SIDE, SIDE);
    let mut bytes = vec![0; planes * size.area()];
    fastrand::Rng::with_seed(1).fill(&mut bytes);
    let values: Vec<f32> = bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect();
    let (mut in_bytes, mut in_floats) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let times = [
            eight.run_bytes(&bytes, 1, size, &mut |_| Ok(()))?,
            floats.run(&values, 1, size, &mut |_| Ok(()))?,
        ];
        if round > 0 {
            in_bytes.push(times[0]);
            in_floats.push(times[1]);
        }
    }
    let gain = Gain {
        ratio: median(in_bytes).as_secs_f64() / median(in_floats).as_secs_f64().max(1e-9),
    };
    let measured = Measured {
        format: FORMAT,
        model: found.name.clone(),
        processor: processor(),
        ratio: gain.ratio,
    };
    // Where it cannot be kept it is measured again.
    if let (Some(file), Ok(text)) = (file(found, int8, config), toml::to_string(&measured)) {
        let _ = whole_file::write(&file, &text);
    }
    Ok(gain)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
