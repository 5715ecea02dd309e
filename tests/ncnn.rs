//! A network in ncnn's format computes, once it is converted and run by ONNX Runtime, what PyTorch makes of the same weights: tests/data/ncnn,
//! written by make.py there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use srfusion::models::{NewModel, add, resolve_all};
use srfusion::runtime::ncnn_to_onnx;
use srfusion::{Canceller, Config, Generator, NO_MODEL, Provider, Size};

mod support;
use support::runtime;

fn file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ncnn");
    folder.join(name)
}

fn floats(name: &str) -> Vec<f32> {
    let bytes = std::fs::read(file(name)).unwrap();
    let values = bytes.chunks_exact(4);
    values
        .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
        .collect()
}

#[test]
fn a_converted_network_computes_what_pytorch_does() {
    if !runtime() {
        return;
    }
    let layers = std::fs::read_to_string(file("net.param")).unwrap();
    let half = std::fs::read(file("half.bin")).unwrap();
    let single = std::fs::read(file("single.bin")).unwrap();
    let converted = ncnn_to_onnx(&layers, &half, "net").unwrap();
    // The weights are such as both ways of storing them can hold.
    assert_eq!(converted, ncnn_to_onnx(&layers, &single, "net").unwrap());
    assert_eq!(converted.parameters, 162 + 6 + 6 + 54 + 1728 + 48);

    let folder = tempfile::tempdir().unwrap();
    let new = NewModel {
        name: "net",
        subject: "general",
        scale: 4,
        receptive_radius: Some(3),
        parameters: converted.parameters,
        licence: "MIT",
        trained_on: "nothing",
        author: None,
        source: None,
    };
    add(folder.path(), &new, &converted.model).unwrap();
    let config = Config {
        general_model: "net".to_owned(),
        face_model: NO_MODEL.to_owned(),
        models_dir: Some(folder.path().to_owned()),
        provider: Provider::Cpu,
        ..Config::default()
    };
    let found = resolve_all(&config).unwrap().general;
    let (mut generator, _) =
        srfusion::open::generator(&found, &config, &Canceller::new(), &mut |_| ()).unwrap();
    let mut drawn = Vec::new();
    let mut take = |values: &[f32]| {
        drawn.extend_from_slice(values);
        Ok(())
    };
    generator
        .run(&floats("picture.f32"), 1, Size::new(7, 6), &mut take)
        .unwrap();
    let expected = floats("result.f32");
    assert_eq!(drawn.len(), expected.len());
    let worst = drawn.iter().zip(&expected);
    let worst = worst.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("differs from PyTorch by at most {worst:e}");
    assert!(worst < 1e-5, "{worst}");
}
