//! What the identity guard costs: one face in a frame, with and without it by turns, with the shipped networks.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use srfusion::{
    BBox, Canceller, Config, Detection, Error, Frame, FrameInfo, FrameMut, NO_MODEL, Parameters,
    Provider, Result, Reuse, SCALE, Stats, Upscaler,
};

use super::{Measurement, SIZE, measure, median};

/// Side of the face in input pixels: the one that the promises speak of.
const FACE: usize = 64;
/// Where its picture lies, and how far that goes from frame to frame and back.
const PLACE: (usize, usize) = (288, 148);
const STEP: usize = 2;
/// A limit that every face keeps to, so that both have the face network draw.
const LIMIT: f64 = 0.01;

/// Folder of the data, as the tests have it.
fn data() -> PathBuf {
    let given = std::env::var_os("SRFUSION_DATA").map(PathBuf::from);
    given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"))
}

/// Two frames of packed RGB in which every pixel differs, by less than a cut between scenes, with the picture of a face `FACE` pixels wide at two places.
fn frames(face: &image::RgbImage) -> [Vec<u8>; 2] {
    [0, 1].map(|number| {
        let mut data: Vec<u8> = (0..3 * SIZE.area())
            .map(|at| (at / 3 % SIZE.width / 3 + at / 3 / SIZE.width / 2 + 3 * number) as u8)
            .collect();
        for (x, y, pixel) in face.enumerate_pixels() {
            let x = PLACE.0 + STEP * number + x as usize;
            let at = 3 * ((PLACE.1 + y as usize) * SIZE.width + x);
            data[at..at + 3].copy_from_slice(&pixel.0);
        }
        data
    })
}

/// A frame after another, every one drawn anew.
fn turn(
    frames: [Vec<u8>; 2],
    identity_model: Option<&Path>,
    stats: &Rc<Cell<Stats>>,
) -> Result<impl FnMut() -> Result<()> + use<>> {
    let stats = Rc::clone(stats);
    let config = Config {
        models_dir: Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("models")),
        detector_model: NO_MODEL.to_owned(),
        identity_model: identity_model.map(Path::to_owned),
        provider: Provider::Cpu,
        // So that both cut frames into the same tiles.
        deterministic: true,
        ..Config::default()
    };
    let mut upscaler = Upscaler::open(&config, &Canceller::new(), &mut |_| ())?;
    upscaler.set_parameters(Parameters {
        reuse: Reuse::None,
        identity_guard: if identity_model.is_some() { LIMIT } else { 0.0 },
        ..Parameters::default()
    })?;
    let (out, guards) = (SIZE.scaled(SCALE), identity_model.is_some());
    let mut output = vec![0u8; 3 * out.area()];
    let (mut number, mut first) = (0, 0);
    Ok(move || {
        let shift = (STEP * (number % 2)) as f32;
        let (x, y) = (PLACE.0 as f32 + shift, PLACE.1 as f32);
        let faces = [Detection {
            bbox: BBox {
                x0: x,
                y0: y,
                x1: x + FACE as f32,
                y1: y + FACE as f32,
            },
            score: 0.9,
            points: None,
            mask: None,
        }];
        let info = FrameInfo {
            pts: Some(Duration::from_millis(40) * number as u32),
            faces: Some(&faces),
            ..FrameInfo::default()
        };
        upscaler.process(
            Frame::new(&frames[number % 2], SIZE, 3 * SIZE.width)?,
            &info,
            &mut FrameMut::new(&mut output, out, 3 * out.width)?,
        )?;
        number += 1;
        let (id, weight) = upscaler
            .faces()
            .first()
            .map_or((0, 0.0), |face| (face.id, face.weight));
        if number == 10 {
            first = id;
        }
        let compared = upscaler.stats().embeddings;
        stats.set(*upscaler.stats());
        // Once the face has faded in, both draw it whole, and one compares it, from time to time: a face that were a new one in every
        // frame, as after a cut, would be compared in every frame.
        if number == 50 && (weight < 0.99 || (compared > 0) != guards || id != first) {
            return Err(Error::Internal(format!(
                "the face's weight is {weight}, it was compared {compared} times, and its track has become number {id}"
            )));
        }
        Ok(())
    })
}

/// Times it and prints what the guard costs; says so where the data lacks.
pub fn time() -> Result<()> {
    let data = data();
    let network = data.join("dev/models/mobilefacenet-embedding.onnx");
    let picture = data.join("dev/face/jack-reed.png");
    if let Some(lacking) = [&network, &picture]
        .into_iter()
        .find(|path| !path.is_file())
    {
        eprintln!(
            "not timed: there is no {}; set SRFUSION_DATA",
            lacking.display()
        );
        return Ok(());
    }
    let picture = image::open(&picture).map_err(|error| Error::NotFound {
        what: "picture of a face".into(),
        path: picture.display().to_string(),
        reason: error.to_string(),
    })?;
    let side = FACE as u32;
    let face = picture
        .resize_to_fill(side, side, image::imageops::FilterType::Triangle)
        .to_rgb8();
    let stats = [(); 2].map(|()| Rc::new(Cell::new(Stats::default())));
    let mut both = [("without", None), ("with", Some(network.as_path()))]
        .into_iter()
        .zip(&stats)
        .map(|((name, network), stats)| {
            let turn = turn(frames(&face), network, stats)?;
            Ok(Measurement::new(name.to_owned(), turn))
        })
        .collect::<Result<Vec<_>>>()?;
    measure(&mut both)?;
    println!(
        "one face of {FACE} pixels in {SIZE}, every frame drawn anew, shipped networks, all cores"
    );
    for (Measurement { name, times, .. }, stats) in both.iter().zip(&stats) {
        let stats = stats.take();
        let a_frame = |time: Duration| time.as_secs_f64() * 1e3 / stats.frames_in.max(1) as f64;
        println!(
            "{name} the identity guard: {:.2} ms a frame; planning {:.2}, general {:.2}, face {:.2}, fusing {:.2}, comparing {:.2} (runs of its network: {:.3})",
            median(times) * 1e3,
            a_frame(stats.plan),
            a_frame(stats.general),
            a_frame(stats.face),
            a_frame(stats.fuse),
            a_frame(stats.identity),
            stats.embeddings as f64 / stats.frames_in.max(1) as f64,
        );
    }
    let [without, with] = &both[..] else {
        return Ok(());
    };
    // Round by round: what else the machine does changes both.
    let pairs = without.times.iter().zip(&with.times);
    let mut more: Vec<f64> = pairs
        .map(|(without, with)| with.as_secs_f64() / without.as_secs_f64() - 1.0)
        .collect();
    more.sort_by(f64::total_cmp);
    let at = |share: usize| 100.0 * more[(more.len() - 1) * share / 4];
    println!(
        "the guard costs {:.1} % (median of {} rounds, quartiles {:.1} % and {:.1} %; promised: below 5 %)",
        at(2),
        more.len(),
        at(1),
        at(3)
    );
    Ok(())
}
