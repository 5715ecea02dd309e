//! What networks take of the process: threads and memory. One test, because both are counted for the whole process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use srfusion::models;
use srfusion::runtime::session::Network;
use srfusion::{Canceller, Config, Provider};

mod support;
use support::{models, runtime};

fn open(name: &str, threads: usize) -> Network {
    let path = models().join(name);
    let sha256 = models::sha256("model", &path).unwrap();
    let config = Config {
        provider: Provider::Cpu,
        threads,
        ..Config::default()
    };
    Network::open(&path, name, &sha256, &config, &Canceller::new()).unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn networks_share_one_pool_of_threads_and_memory_stays_flat() {
    if !runtime() {
        return;
    }
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let mut general = open("tiny/rgb-x4.onnx", 0);
    let with_one = threads();
    let face = open("general-x4.onnx", 0);
    let detector = open("face-detector.onnx", 0);
    assert_eq!(threads(), with_one, "three networks and one pool");
    // The counting itself: a network that was told its number of threads has a pool of its own.
    let own = open("tiny/rgb-x4.onnx", 4);
    assert_eq!(threads(), with_one + 3);
    drop((face, detector, own));
    assert_eq!(threads(), with_one);

    // Tiles of ever changing size, as around faces that move.
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        let kilobytes = line.split_whitespace().nth(1).unwrap();
        kilobytes.parse::<f64>().unwrap() / 1024.0
    };
    let values = vec![0.5; 3 * 160 * 160];
    let mut random = fastrand::Rng::with_seed(8);
    let mut runs = |count: usize| {
        for _ in 0..count {
            let [height, width] = [(); 2].map(|()| random.usize(16..=160));
            let values = &values[..3 * height * width];
            general
                .run([1, 3, height, width], values, |_| Ok(()))
                .unwrap();
        }
        resident()
    };
    let (early, late) = (runs(60), runs(120));
    println!("{early:.0} MB after 60 runs, {late:.0} MB after 180");
    assert!(late < early + 12.0, "{early:.0} MB, then {late:.0} MB");
}
