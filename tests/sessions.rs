//! Sessions that networks share, and models of half precision.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use srfusion::models;
use srfusion::runtime::open_sessions;
use srfusion::runtime::session::Network;
use srfusion::{Canceller, Config, Provider, Result};

mod support;
use support::{models, runtime};

/// The tests count what belongs to the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(path: &Path, config: &Config) -> Network {
    let sha256 = models::sha256("model", path).unwrap();
    Network::open(path, "network", &sha256, config, &Canceller::new()).unwrap()
}

fn cpu() -> Config {
    Config {
        provider: Provider::Cpu,
        ..Config::default()
    }
}

fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..count).map(|_| random.f32()).collect()
}

fn run(network: &mut Network, side: usize, values: &[f32]) -> Result<Vec<f32>> {
    network.run([1, 3, side, side], values, |outputs| {
        Ok(outputs[0].values.to_vec())
    })
}

#[test]
fn networks_of_one_model_share_a_session_and_free_it() {
    if !runtime() {
        return;
    }
    let _alone = alone();
    let (general, face) = (
        models().join("tiny/rgb-x4.onnx"),
        models().join("tiny/inverted-x4.onnx"),
    );
    let before = open_sessions();
    // Two at once: one opens, the other waits for it.
    let mut pair: Vec<Network> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| open(&general, &cpu())))
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(pair[0].shares_session_with(&pair[1]));
    assert_eq!(open_sessions(), before + 1);
    let (other, fewer) = (
        open(&face, &cpu()),
        open(
            &general,
            &Config {
                threads: 1,
                ..cpu()
            },
        ),
    );
    assert!(!pair[0].shares_session_with(&other) && !pair[0].shares_session_with(&fewer));
    assert_eq!(open_sessions(), before + 3);
    drop((other, fewer));

    // Both at once, each its own pictures: the results are those of each alone.
    let pictures: Vec<_> = (1..=6).map(|seed| noise(3 * 48 * 48, seed)).collect();
    let expected: Vec<_> = pictures
        .iter()
        .map(|picture| run(&mut pair[0], 48, picture).unwrap())
        .collect();
    std::thread::scope(|scope| {
        for (i, network) in pair.iter_mut().enumerate() {
            let (pictures, expected) = (&pictures[3 * i..][..3], &expected[3 * i..][..3]);
            scope.spawn(move || {
                for _ in 0..4 {
                    for (picture, expected) in pictures.iter().zip(expected) {
                        assert_eq!(&run(network, 48, picture).unwrap(), expected);
                    }
                }
            });
        }
    });
    drop(pair);
    assert_eq!(open_sessions(), before);
}

#[test]
fn stopping_one_network_leaves_the_other_running() {
    if !runtime() {
        return;
    }
    let _alone = alone();
    let path = models().join("tiny/rgb-x4.onnx");
    let sha256 = models::sha256("model", &path).unwrap();
    let cancel = Canceller::new();
    let mut stopped = Network::open(&path, "stopped", &sha256, &cpu(), &cancel).unwrap();
    let mut other = open(&path, &cpu());
    assert!(stopped.shares_session_with(&other));
    let picture = noise(3 * 32 * 32, 9);
    cancel.cancel();
    let error = run(&mut stopped, 32, &picture).unwrap_err();
    assert!(matches!(error, srfusion::Error::Cancelled), "{error}");
    let before = run(&mut other, 32, &picture).unwrap();
    cancel.reset();
    assert_eq!(run(&mut stopped, 32, &picture).unwrap(), before);
}

#[test]
fn half_precision_models_take_and_give_single_precision() {
    if !runtime() {
        return;
    }
    let _alone = alone();
    let tiny = models().join("tiny");
    let mut half = open(&tiny.join("half-x4.onnx"), &cpu());
    let mut single = open(&tiny.join("bicubic-x4.onnx"), &cpu());
    assert_eq!(half.inputs()[0].element, "f16");
    let picture = noise(3 * 20 * 20, 5);
    let (a, b) = (
        run(&mut half, 20, &picture).unwrap(),
        run(&mut single, 20, &picture).unwrap(),
    );
    assert_eq!(a.len(), b.len());
    let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs());
    let worst = worst.fold(0.0, f32::max);
    // Inputs, weights and outputs of 11 significant bits each.
    assert!(worst > 0.0 && worst < 0.003, "{worst}");
}

#[test]
fn a_provider_that_the_library_lacks_is_refused_before_anything_is_opened() {
    if !runtime() {
        return;
    }
    let check = |provider| {
        let config = Config {
            provider,
            ..Config::default()
        };
        srfusion::runtime::provider::check_named(&config)
    };
    check(Provider::Auto).unwrap();
    check(Provider::Cpu).unwrap();
    // No wheel has both OpenVINO and CUDA.
    let lacking = [Provider::OpenVino, Provider::Cuda].map(check);
    let errors: Vec<_> = lacking.into_iter().filter_map(Result::err).collect();
    assert!(!errors.is_empty());
    for error in errors {
        let text = error.to_string();
        assert!(
            text.contains("general-x4") && text.contains("built without it"),
            "{text}"
        );
    }
}

#[test]
fn half_precision_is_refused_where_nothing_gains_by_it() {
    if !runtime() {
        return;
    }
    let tiny = models().join("tiny");
    let refused = |provider, name: &str| {
        let config = Config {
            provider,
            precision: srfusion::Precision::Fp16,
            ..Config::default()
        };
        let path = tiny.join(name);
        Network::open(&path, name, "", &config, &Canceller::new())
            .err()
            .map(|e| e.to_string())
    };
    for provider in [Provider::Cpu, Provider::OpenVino, Provider::Cuda] {
        let text = refused(provider, "bicubic-x4.onnx").unwrap();
        assert!(text.contains("precision=fp16"), "{text}");
    }
    // A file of half precision may be had on CUDA: what is in its way here is another matter.
    if let Some(text) = refused(Provider::Cuda, "half-x4.onnx") {
        assert!(!text.contains("precision=fp16"), "{text}");
    }
}
