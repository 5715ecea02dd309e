//! The engine on a device, without GStreamer: parity with the CPU's pictures, every way in which pictures get to a network, and
//! speed beside a bare loop. Run by scripts/gpu-check, which makes the folder that this reads.
//!
//! ```text
//! gpu_check --folder DIR --provider PROVIDER --json FILE [--budget SECONDS] [--write-reference]
//! ```
//!
//! DIR holds `models` (models.toml, with an entry `rrdb` for a network of 23 blocks), `runtime` (ONNX Runtime's libraries) and
//! `reference` (pictures of the CPU, written by `--write-reference`). Exit status: 0 if every check passed, 1 otherwise.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use srfusion::models::Catalogue;
use srfusion::runtime::{Network, Purpose, library};
use srfusion::{
    BBox, Canceller, Config, Detection, Error, Frame, FrameInfo, FrameMut, NO_MODEL, Parameters,
    Precision, Provider, Result, Reuse, SCALE, Sample, Size, Upscaler,
};

/// Largest difference in levels of 255 from the CPU's picture in single precision, and where the provider may compute in less.
const EXACT: u8 = 1;
const REDUCED: u8 = 3;
/// The same of eight-bit numbers, which the processor computes in where it gains by them.
const EIGHT_BITS: u8 = 16;
/// Sizes of the input in which speed is measured.
const SIZES: [(&str, Size); 3] = [
    ("360p", Size::new(640, 360)),
    ("720p", Size::new(1280, 720)),
    ("1080p", Size::new(1920, 1080)),
];
/// Size of the pictures that are compared.
const PICTURE: Size = Size::new(320, 180);
/// Side of the tiles with which runs are replayed from a graph.
const TILE: usize = 256;
/// Longest time for one measurement of speed.
const MEASUREMENT: Duration = Duration::from_secs(12);

struct Options {
    folder: PathBuf,
    provider: Provider,
    json: PathBuf,
    budget: Duration,
    write_reference: bool,
}

fn options() -> std::result::Result<Options, String> {
    let (mut folder, mut provider, mut json) = (None, None, None);
    let (mut budget, mut write_reference) = (Duration::from_secs(330), false);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--folder" => folder = Some(PathBuf::from(value()?)),
            "--json" => json = Some(PathBuf::from(value()?)),
            "--provider" => {
                provider = Some(value()?.parse().map_err(|e: Error| e.to_string())?);
            }
            "--budget" => {
                let seconds = value()?.parse().map_err(|e| format!("--budget: {e}"))?;
                budget = Duration::from_secs(seconds);
            }
            "--write-reference" => write_reference = true,
            // cargo's own, when it runs benchmarks.
            "--bench" => {}
            other => return Err(format!("unexpected argument {other}")),
        }
    }
    Ok(Options {
        folder: folder.ok_or("--folder is missing")?,
        provider: provider.ok_or("--provider is missing")?,
        json: json.ok_or("--json is missing")?,
        budget,
        write_reference,
    })
}

/// A sample as a number.
trait Level: Sample {
    fn of(value: f32) -> Self;
    fn value(self) -> f32;
}

impl Level for u8 {
    fn of(value: f32) -> Self {
        value.round() as u8
    }
    fn value(self) -> f32 {
        f32::from(self)
    }
}

impl Level for u16 {
    fn of(value: f32) -> Self {
        value.round() as u16
    }
    fn value(self) -> f32 {
        f32::from(self)
    }
}

/// A picture with smooth and with busy parts in 256 levels, the same everywhere and in samples of any depth.
fn picture<S: Level>(size: Size) -> Vec<S> {
    let value = |x: usize, y: usize, c: usize| {
        let wave = ((x * (c + 2)) as f32 * 0.05).sin() * ((y * 3) as f32 * 0.03).cos();
        let grain = ((x * 37 + y * 91 + c * 53) ^ (x * y)) % 64;
        let edge = if (x / 40 + y / 30) % 2 == 0 {
            50.0
        } else {
            0.0
        };
        let level = (90.0 + 40.0 * wave + edge + grain as f32)
            .round()
            .clamp(0.0, 255.0);
        S::of(level / 255.0 * S::MAX)
    };
    (0..size.height)
        .flat_map(|y| (0..size.width).flat_map(move |x| (0..3).map(move |c| value(x, y, c))))
        .collect()
}

/// A face that is found by nobody, so that the face generator has something to do.
fn face(size: Size, side: f32) -> [Detection; 1] {
    let (x0, y0) = (size.width as f32 * 0.4, size.height as f32 * 0.3);
    [Detection {
        bbox: BBox {
            x0,
            y0,
            x1: x0 + side * 0.8,
            y1: y0 + side,
        },
        score: 0.9,
        points: None,
        mask: None,
    }]
}

struct Check<'a> {
    options: &'a Options,
    end: Instant,
    failures: Vec<String>,
}

impl Check<'_> {
    fn config(&self, precision: Precision) -> Config {
        Config {
            detector_model: NO_MODEL.to_owned(),
            models_dir: Some(self.options.folder.join("models")),
            cache_dir: Some(self.options.folder.join("cache")),
            provider: self.options.provider,
            precision,
            ..Config::default()
        }
    }

    fn upscaler(&self, config: &Config) -> Result<Upscaler> {
        let mut upscaler = Upscaler::open(config, &Canceller::new(), &mut |_| ())?;
        upscaler.set_parameters(Parameters {
            reuse: Reuse::None,
            ..Parameters::default()
        })?;
        Ok(upscaler)
    }

    fn fail(&mut self, what: String) {
        eprintln!("FAILED {what}");
        self.failures.push(what);
    }

    fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// The picture that `upscaler` makes, in levels of 255.
    fn draw<S: Level>(&self, upscaler: &mut Upscaler) -> Result<Vec<u8>> {
        let (data, out) = (picture::<S>(PICTURE), PICTURE.scaled(SCALE));
        let mut output = vec![S::of(0.0); 3 * out.area()];
        let faces = face(PICTURE, 64.0);
        upscaler.process(
            Frame::new(&data, PICTURE, 3 * PICTURE.width)?,
            &FrameInfo {
                pts: None,
                faces: Some(&faces),
                ..FrameInfo::default()
            },
            &mut FrameMut::new(&mut output, out, 3 * out.width)?,
        )?;
        let level = |sample: &S| (sample.value() * (255.0 / S::MAX)).round() as u8;
        Ok(output.iter().map(level).collect())
    }

    /// One way of getting pictures to the networks and back: where they run, how pictures get there, and how far the result is from
    /// the CPU's.
    fn path<S: Level>(&mut self, name: &str, config: &Config, limit: u8) -> Value {
        let reference = self.options.folder.join("reference/picture.rgb");
        let drawn = self.upscaler(config).and_then(|mut upscaler| {
            let drawn = self.draw::<S>(&mut upscaler)?;
            let notices: Vec<String> = upscaler
                .take_notices()
                .iter()
                .map(ToString::to_string)
                .collect();
            let models: Vec<Value> = upscaler
                .models()
                .iter()
                .map(|model| {
                    let refused = model.refused.iter();
                    let refused: Vec<_> = refused.map(|(p, why)| format!("{p}: {why}")).collect();
                    json!({
                        "role": model.role, "provider": model.provider.name(),
                        "transfer": model.transfer.to_string(), "refused": refused,
                    })
                })
                .collect();
            Ok((drawn, notices, models))
        });
        let (drawn, notices, models) = match drawn {
            Ok(found) => found,
            Err(error) => {
                self.fail(format!("{name}: {error}"));
                return json!({ "path": name, "error": error.to_string() });
            }
        };
        let expected = match std::fs::read(&reference) {
            Ok(expected) if expected.len() == drawn.len() => expected,
            Ok(expected) => {
                let lengths = (drawn.len(), expected.len());
                self.fail(format!(
                    "{name}: {lengths:?} bytes drawn and in the reference"
                ));
                return json!({ "path": name });
            }
            Err(error) => {
                self.fail(format!("{}: {error}", reference.display()));
                return json!({ "path": name });
            }
        };
        let pairs = || drawn.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b));
        let most = pairs().max().unwrap_or(0);
        let mean = pairs().map(f64::from).sum::<f64>() / drawn.len() as f64;
        if most > limit {
            self.fail(format!(
                "{name}: {most} of 255 from the CPU's picture, at most {limit} expected"
            ));
        }
        println!(
            "{name:<28} {most:>3} of 255 (mean {mean:.4})  {}",
            models
                .first()
                .map(|m| format!("{}, {}", m["provider"], m["transfer"]))
                .unwrap_or_default()
        );
        for notice in &notices {
            println!("    {notice}");
        }
        json!({
            "path": name, "largest-difference": most, "mean-difference": mean, "limit": limit, "models": models,
            "notices": notices,
        })
    }

    fn paths(&mut self) -> Vec<Value> {
        let (exact, auto) = (self.config(Precision::Fp32), self.config(Precision::Auto));
        let graph = Config {
            tile_size: TILE,
            ..exact.clone()
        };
        let reduced = match self.options.provider {
            Provider::Cpu => EIGHT_BITS,
            _ => REDUCED,
        };
        vec![
            self.path::<u16>("floats, fp32", &exact, EXACT),
            self.path::<u8>("bytes where it may, fp32", &exact, EXACT),
            self.path::<u8>("tiles of one size, fp32", &graph, EXACT),
            self.path::<u8>("bytes where it may, auto", &auto, reduced),
        ]
    }

    /// Frames a second of `draw`, after one that is not counted.
    fn rate(&self, mut draw: impl FnMut() -> Result<()>) -> Result<f64> {
        draw()?;
        let (start, mut frames) = (Instant::now(), 0u32);
        let time = MEASUREMENT.min(self.left() / 4);
        while frames < 3 || start.elapsed() < time && frames < 200 {
            draw()?;
            frames += 1;
            if start.elapsed() > 4 * MEASUREMENT {
                break;
            }
        }
        Ok(f64::from(frames) / start.elapsed().as_secs_f64())
    }

    /// Frames a second of the engine and of a bare loop over the network's own input.
    fn speed(&mut self, model: &str, size: Size) -> Result<Value> {
        let fused = model != "rrdb";
        let precision = match self.options.provider {
            // The bare loop is of the file in floats.
            Provider::Cpu => Precision::Fp32,
            _ => Precision::Auto,
        };
        let config = Config {
            general_model: model.to_owned(),
            face_model: if fused { "face-x4" } else { NO_MODEL }.to_owned(),
            ..self.config(precision)
        };
        let (data, out) = (picture::<u8>(size), size.scaled(SCALE));
        let mut output = vec![0u8; 3 * out.area()];
        let mut upscaler = self.upscaler(&config)?;
        let mut engine = |faces: &[Detection]| {
            self.rate(|| {
                upscaler.process(
                    Frame::new(&data, size, 3 * size.width)?,
                    &FrameInfo {
                        pts: None,
                        faces: Some(faces),
                        ..FrameInfo::default()
                    },
                    &mut FrameMut::new(&mut output, out, 3 * out.width)?,
                )
            })
        };
        let general = engine(&[])?;
        let with_face = if fused {
            Some(engine(&face(size, 64.0))?)
        } else {
            None
        };
        let provider = upscaler.models().first().map(|m| m.provider.name());
        let transfer = upscaler.models().first().map(|m| m.transfer.to_string());
        drop(upscaler);
        let bare = self.bare(model, size, &config);
        if let Err(error) = &bare {
            self.fail(format!("bare loop of {model}, {size}: {error}"));
        }
        Ok(json!({
            "model": model, "size": size.to_string(), "engine-fps": general, "engine-with-one-face-fps": with_face,
            "bare-loop-fps": bare.as_ref().ok(), "engine-to-bare": bare.as_ref().ok().map(|bare| general / bare),
            "provider": provider, "transfer": transfer,
        }))
    }

    /// Frames a second of the network alone on a whole frame of floats that is there already.
    fn bare(&self, model: &str, size: Size, config: &Config) -> Result<f64> {
        let dir = self.options.folder.join("models");
        let catalogue = Catalogue::load(&dir)?;
        let entry = catalogue.entries().iter().find(|entry| entry.name == model);
        let entry = entry.ok_or_else(|| Error::NotFound {
            what: "model".into(),
            path: model.into(),
            reason: format!("no such entry in {}", dir.display()),
        })?;
        let mut network = Network::open_for(
            &dir.join(&entry.file),
            model,
            &entry.sha256,
            Purpose::default(),
            config,
            &Canceller::new(),
        )?;
        let planes = entry.channels.count();
        let input = vec![0.5f32; planes * size.area()];
        let shape = [1, planes, size.height, size.width];
        self.rate(|| network.run(shape, &input, |_| Ok(())))
    }

    fn speeds(&mut self) -> Vec<Value> {
        let mut rows = Vec::new();
        println!("\nframes a second             engine  with a face  bare loop");
        for model in ["general-x4", "rrdb"] {
            // What the size before took, in seconds a pixel.
            let mut pace = 0.0;
            for (name, size) in SIZES {
                let what = format!("{model} {name}");
                let reason = if model == "rrdb" && self.options.provider == Provider::Cpu {
                    "a network of 23 blocks is for GPUs"
                } else if self.left().as_secs_f64() < pace * size.area() as f64 + 10.0 {
                    "the time is used up"
                } else {
                    ""
                };
                if !reason.is_empty() {
                    println!("{what:<26} left out: {reason}");
                    rows.push(
                        json!({ "model": model, "size": size.to_string(), "left-out": reason }),
                    );
                    continue;
                }
                let started = Instant::now();
                match self.speed(model, size) {
                    Ok(row) => {
                        let cell = |name: &str| match row[name].as_f64() {
                            Some(value) => format!("{value:.2}"),
                            None => "-".to_owned(),
                        };
                        println!(
                            "{what:<26} {:>7} {:>12} {:>10}",
                            cell("engine-fps"),
                            cell("engine-with-one-face-fps"),
                            cell("bare-loop-fps")
                        );
                        rows.push(row);
                        pace = started.elapsed().as_secs_f64() / size.area() as f64;
                    }
                    // A network may be too large for the device, which is no fault of the engine's.
                    Err(error @ Error::OutOfMemory { .. }) => {
                        println!("{what:<26} {error}");
                        rows.push(json!({ "model": model, "size": size.to_string(), "error": error.to_string() }));
                    }
                    Err(error) => {
                        self.fail(format!("{what}: {error}"));
                        rows.push(json!({ "model": model, "size": size.to_string(), "error": error.to_string() }));
                    }
                }
            }
        }
        rows
    }
}

/// ONNX Runtime's library in the folder.
fn runtime(folder: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(folder.join("runtime")).ok()?;
    let mut files: Vec<_> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    files.sort();
    files.into_iter().find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libonnxruntime.so")
    })
}

fn run(options: &Options) -> Result<bool> {
    let loaded = library::load(runtime(&options.folder).as_deref())?;
    println!("ONNX Runtime {} on {}", loaded.version, options.provider);
    let mut check = Check {
        options,
        end: Instant::now() + options.budget,
        failures: Vec::new(),
    };
    let unwritable = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| Error::NotFound {
            what: "place to write to".into(),
            path,
            reason: error.to_string(),
        }
    };
    if options.write_reference {
        let config = check.config(Precision::Fp32);
        let mut upscaler = check.upscaler(&config)?;
        let drawn = check.draw::<u8>(&mut upscaler)?;
        let folder = options.folder.join("reference");
        std::fs::create_dir_all(&folder).map_err(unwritable(&folder))?;
        let file = folder.join("picture.rgb");
        std::fs::write(&file, drawn).map_err(unwritable(&file))?;
        return Ok(true);
    }
    let start = Instant::now();
    let (paths, speeds) = (check.paths(), check.speeds());
    let report = json!({
        "runtime": loaded.version, "provider": options.provider.name(), "paths": paths, "speeds": speeds,
        "failures": check.failures, "seconds": start.elapsed().as_secs_f64(),
        "page-locked": cfg!(feature = "page-locked"),
    });
    std::fs::write(&options.json, format!("{report:#}\n")).map_err(unwritable(&options.json))?;
    Ok(check.failures.is_empty())
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("gpu_check: {message}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("gpu_check: {error}");
            ExitCode::FAILURE
        }
    }
}
