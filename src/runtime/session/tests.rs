//! Tests of opening and running, with stand-ins for ONNX Runtime.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use super::*;
use crate::SCALE;
use crate::error::Error;
use crate::notice::Severity;
use crate::picture::{Encoding, Size};
use crate::runtime::backend::{LoadResult, LoadedModel};
use crate::runtime::cache::Reservation;
use crate::runtime::choice::GRACE;
use crate::runtime::gpu::graph;
use crate::runtime::io_mode::IoMode;
use crate::runtime::session_key::SessionKey;
use crate::runtime::tensor::{InputValues, OutputTensor};

/// Doubles its input; what else it does depends on its provider and precision.
#[derive(Clone, Default)]
struct Fake {
    /// Providers that open, each with the time that opening takes.
    opens: Vec<(Provider, Duration)>,
    slow: Option<Provider>,
    /// What half precision makes of every value instead.
    half_gives: Option<f32>,
    /// What single precision makes of every value instead.
    single_gives: Option<f32>,
    message: Option<&'static str>,
    /// How pictures may get there, the best first; floats if empty.
    ways: Vec<IoMode>,
    /// Ways that cannot be had, with the reason.
    lacks: Vec<(IoMode, &'static str)>,
    opened: Arc<AtomicUsize>,
    /// Key of the session, if networks are to share it.
    key: Option<&'static str>,
    /// Time after which a slow provider that does not open is refused.
    refuses_after: Duration,
    /// Runs, but for the first, come in and wait for it.
    gate: Option<Arc<Gate>>,
}

struct FakeModel {
    port: [Port; 1],
    mode: IoMode,
    gives: Option<f32>,
    message: Option<&'static str>,
    gate: Option<Arc<Gate>>,
}

#[derive(Default)]
struct Gate {
    inside: AtomicBool,
    open: AtomicBool,
}

fn free(mode: &IoMode) -> [Port; 1] {
    let (element, shape) = match mode.bytes {
        Some(_) => ("u8", vec![-1, -1, -1, 3]),
        None => ("f32", vec![-1, 3, -1, -1]),
    };
    [Port {
        name: "picture".into(),
        element: element.into(),
        is_f32: mode.bytes.is_none(),
        shape,
    }]
}

const FLOATS: IoMode = IoMode {
    bytes: None,
    graph: None,
};

/// Bytes, and bytes with a graph.
fn bytes() -> (IoMode, IoMode) {
    let bytes = IoMode {
        bytes: Some(Encoding::default()),
        graph: None,
    };
    let graph = Some([2, 3, 8, 8]);
    (bytes, IoMode { graph, ..bytes })
}

fn fake_on(provider: Provider, ways: &[IoMode]) -> Fake {
    Fake {
        opens: vec![(provider, Duration::ZERO)],
        ways: ways.to_vec(),
        ..Fake::default()
    }
}

fn run_bytes(network: &mut Network, count: usize, side: usize) -> Result<Vec<u8>> {
    let values = vec![77; 3 * count * side * side];
    network.run_bytes(count, Size::new(side, side), &values, |bytes| {
        Ok(bytes.to_vec())
    })
}

#[test]
fn the_best_way_that_can_be_had_is_taken_and_a_worse_one_is_told_once() {
    let (plain, graph) = bytes();
    let ways = [graph, plain, FLOATS];
    let fake = fake_on(Provider::Cuda, &ways);
    let mut network = open(&fake, Provider::Cuda).unwrap();
    assert!(network.takes_bytes() && network.transfer().graph);
    assert_eq!(network.fixed_shape(), graph.graph);
    assert!(network.take_notices().is_empty());

    for (lacked, expected, text) in [
        (
            vec![(graph, "no graph")],
            plain,
            "is given bytes, not bytes and a CUDA graph: no graph",
        ),
        (
            vec![(graph, "no rewriting"), (plain, "no rewriting")],
            FLOATS,
            "is given floats, not bytes and a CUDA graph: no rewriting",
        ),
    ] {
        let fake = Fake {
            lacks: lacked,
            ..fake_on(Provider::Cuda, &ways)
        };
        let mut network = open(&fake, Provider::Cuda).unwrap();
        assert_eq!(network.shared.io_mode, expected);
        let notices = network.take_notices();
        assert!(
            matches!(notices.as_slice(), [one] if one.text.contains(text)),
            "{notices:?}"
        );
        assert!(network.take_notices().is_empty());
    }
    let fake = Fake {
        lacks: ways.map(|way| (way, "nothing works")).to_vec(),
        ..fake
    };
    let error = open(&fake, Provider::Cuda).err().unwrap();
    assert!(error.to_string().contains("nothing works"), "{error}");
}

#[test]
fn a_graph_is_for_runs_that_fill_it_and_one_that_fails_is_left_once() {
    let (plain, graph) = bytes();
    let fake = fake_on(Provider::TensorRt, &[graph, plain, FLOATS]);
    let mut network = open(&fake, Provider::TensorRt).unwrap();
    // Both sessions are open before the first frame.
    assert_eq!(fake.opened.load(Ordering::SeqCst), 2);
    for (count, side) in [(2, 8), (1, 8), (2, 5), (3, 8), (2, 8)] {
        let found = run_bytes(&mut network, count, side).unwrap();
        assert_eq!((found.len(), found[0]), (48 * count * side * side, 77));
    }
    assert!(network.fixed_shape().is_some() && network.take_notices().is_empty());
    // Floats, for samples of 16 bits, come by a session of their own.
    assert_eq!(checked(&mut network).unwrap(), [0.2, 0.4, 0.6]);
    assert_eq!(fake.opened.load(Ordering::SeqCst), 3);
    assert!(network.takes_bytes());

    for message in [
        "CUDA failure 900: not permitted when a stream is capturing",
        "out of memory",
    ] {
        let fake = Fake {
            message: Some(message),
            ..fake.clone()
        };
        let mut network = open(&fake, Provider::TensorRt).unwrap();
        for _ in 0..3 {
            assert_eq!(run_bytes(&mut network, 2, 8).unwrap()[0], 77);
        }
        assert_eq!(network.shared.io_mode, plain);
        assert!(!network.transfer().graph && network.fixed_shape().is_none());
        let notices = network.take_notices();
        assert!(
            matches!(notices.as_slice(), [one] if one.text.contains("without a CUDA graph")
                && one.text.contains(message)),
            "{notices:?}"
        );
    }
}

#[test]
fn what_half_precision_spoils_is_run_again_in_single_with_bytes_too() {
    let (plain, _) = bytes();
    for spoilt in [f32::NAN, f32::INFINITY, 0.0] {
        let fake = Fake {
            half_gives: Some(spoilt),
            ..fake_on(Provider::TensorRt, &[plain, FLOATS])
        };
        let mut network = open(&fake, Provider::TensorRt).unwrap();
        assert_eq!(network.precision(), Precision::Fp16);
        for _ in 0..2 {
            assert_eq!(run_bytes(&mut network, 1, 3).unwrap()[0], 77);
        }
        assert_eq!(network.precision(), Precision::Fp32);
        assert!(network.takes_bytes());
        let notices = network.take_notices();
        assert!(
            matches!(notices.as_slice(), [one] if one.text.contains("single precision")),
            "{notices:?}"
        );
    }
    let fake = Fake {
        half_gives: Some(f32::NAN),
        single_gives: Some(f32::NAN),
        ..fake_on(Provider::TensorRt, &[plain, FLOATS])
    };
    let error = run_bytes(&mut open(&fake, Provider::TensorRt).unwrap(), 1, 3).unwrap_err();
    assert!(
        error.to_string().contains("single precision too"),
        "{error}"
    );
}

impl LoadedModel for FakeModel {
    fn ports(&self) -> (&[Port], &[Port]) {
        (&self.port, &self.port)
    }

    fn run(
        &mut self,
        shape: [usize; 4],
        values: InputValues<'_>,
        control: &RunControl,
    ) -> std::result::Result<Vec<OutputTensor>, String> {
        if control.is_interrupted() {
            return Err("Exiting due to terminate flag being set to true.".into());
        }
        let values = match values {
            InputValues::Single(values) => values,
            InputValues::Half(_) => return Err("half".into()),
            InputValues::Bytes(bytes) => {
                let [n, height, width, _] = shape;
                if let Some(tile) = self.mode.graph {
                    assert!(graph::suits(self.mode.shape(tile), shape));
                    // The warm-up run works.
                    if let (Some(message), true) = (self.message, bytes[0] != 128) {
                        return Err(message.into());
                    }
                }
                let rows = n * height * SCALE;
                let value = self.gives.map_or(bytes[0], |v| (v * 255.0) as u8);
                return Ok(vec![
                    OutputTensor::PlainBytes(
                        [n, height * SCALE, width * SCALE, 3]
                            .map(|v| v as i64)
                            .to_vec(),
                        vec![value; 3 * rows * width * SCALE],
                    ),
                    OutputTensor::Plain(
                        [n, height * SCALE].map(|v| v as i64).to_vec(),
                        vec![self.gives.unwrap_or(0.5); rows],
                    ),
                ]);
            }
        };
        if let (Some(gate), true) = (&self.gate, values[0] != 0.5) {
            gate.inside.store(true, Ordering::SeqCst);
            while !gate.open.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        }
        // The warm-up run works; faults come with pictures.
        if let (Some(message), true) = (self.message, values[0] != 0.5) {
            return Err(message.into());
        }
        let values = values.iter().map(|v| self.gives.unwrap_or(2.0 * v));
        Ok(vec![OutputTensor::Plain(
            shape.iter().map(|side| *side as i64).collect(),
            values.collect(),
        )])
    }
}

impl Backend for Fake {
    fn control(&self) -> Result<RunControl> {
        Ok(RunControl::without_library())
    }

    fn io_modes(&self, _: Provider) -> Vec<IoMode> {
        match self.ways.as_slice() {
            [] => vec![IoMode::default()],
            ways => ways.to_vec(),
        }
    }

    fn open(&self, provider: Provider, precision: Precision, mode: &IoMode) -> LoadResult {
        if let Some((_, reason)) = self.lacks.iter().find(|(lacked, _)| lacked == mode) {
            return Ok(Err((*reason).to_owned()));
        }
        let Some((_, time)) = self.opens.iter().find(|(known, _)| *known == provider) else {
            if self.slow == Some(provider) {
                std::thread::sleep(self.refuses_after);
            }
            return Ok(Err("not here".into()));
        };
        std::thread::sleep(*time);
        self.opened.fetch_add(1, Ordering::SeqCst);
        Ok(Ok(Box::new(FakeModel {
            port: free(mode),
            mode: *mode,
            gives: match precision {
                Precision::Fp16 => self.half_gives,
                _ => self.single_gives,
            },
            message: self.message,
            gate: self.gate.clone(),
        })))
    }

    fn is_half(&self) -> bool {
        false
    }

    fn key(&self, provider: Provider, precision: Precision, mode: &IoMode) -> Option<SessionKey> {
        let (purpose, config) = (Purpose::default(), Config::default());
        let new = |name: &str| {
            let path = name.into();
            SessionKey::new(name, path, provider, precision, mode, &purpose, &config)
        };
        self.key.map(new)
    }

    fn is_slow(&self, provider: Provider) -> bool {
        self.slow == Some(provider)
    }

    fn reserve(
        &self,
        _: Provider,
        _: Precision,
        _: &IoMode,
        _: &dyn Fn() -> bool,
    ) -> Result<Option<Reservation>> {
        Ok(None)
    }
}

fn open(fake: &Fake, provider: Provider) -> Result<Network> {
    open_under(fake, provider, &Canceller::new())
}

fn open_under(fake: &Fake, provider: Provider, cancel: &Canceller) -> Result<Network> {
    let config = Config {
        provider,
        ..Config::default()
    };
    let slow = SlowProviders::Background;
    Network::open_with(Box::new(fake.clone()), "fake", None, &config, cancel, slow)
}

const SHAPE: [usize; 4] = [1, 3, 1, 1];
const GREY: [f32; 3] = [0.1, 0.2, 0.3];

fn checked(network: &mut Network) -> Result<Vec<f32>> {
    network.run_checked(SHAPE, &GREY, Encoding::default(), |outputs| {
        Ok(outputs[0].values.to_vec())
    })
}

#[test]
fn what_half_precision_spoils_is_run_again_in_single() {
    for spoilt in [f32::NAN, f32::INFINITY, 0.0] {
        let fake = Fake {
            opens: vec![(Provider::TensorRt, Duration::ZERO)],
            half_gives: Some(spoilt),
            ..Fake::default()
        };
        let mut network = open(&fake, Provider::TensorRt).unwrap();
        assert_eq!(network.precision(), Precision::Fp16);
        for _ in 0..3 {
            assert_eq!(checked(&mut network).unwrap(), [0.2, 0.4, 0.6]);
        }
        assert_eq!(
            (network.precision(), network.provider()),
            (Precision::Fp32, Provider::TensorRt)
        );
        assert_eq!(fake.opened.load(Ordering::SeqCst), 2);
        let notices = network.take_notices();
        assert!(
            matches!(notices.as_slice(), [one] if one.text.contains("fake") && one.text.contains("tensorrt")),
            "{notices:?}"
        );
        assert!(network.take_notices().is_empty());
    }
}

#[test]
fn what_single_precision_spoils_is_an_error() {
    let fake = Fake {
        opens: vec![
            (Provider::TensorRt, Duration::ZERO),
            (Provider::Cpu, Duration::ZERO),
        ],
        half_gives: Some(f32::NAN),
        single_gives: Some(f32::NAN),
        ..Fake::default()
    };
    for provider in [Provider::TensorRt, Provider::Cpu] {
        let error = checked(&mut open(&fake, provider).unwrap()).unwrap_err();
        assert!(matches!(error, Error::Inference { .. }), "{error}");
        assert!(error.to_string().contains("finite"), "{error}");
    }
    // Black is what single precision says of this picture: it is believed.
    let black = Fake {
        single_gives: Some(0.0),
        ..fake
    };
    let mut network = open(&black, Provider::Cpu).unwrap();
    assert_eq!(checked(&mut network).unwrap(), [0.0; 3]);
}

#[test]
fn memory_that_is_short_is_told_apart() {
    let fake = Fake {
        opens: vec![(Provider::Cuda, Duration::ZERO)],
        message: Some("Failed to allocate memory for requested buffer of size 943718400"),
        ..Fake::default()
    };
    let mut network = open(&fake, Provider::Cuda).unwrap();
    let error = checked(&mut network).unwrap_err();
    assert!(
        matches!(&error, Error::OutOfMemory { model, .. } if model == "fake"),
        "{error}"
    );
    // The network is as good as before.
    let mut half = [0.5; 3];
    half[1] = 0.25;
    let result = network.run(SHAPE, &half, |outputs| Ok(outputs[0].values.to_vec()));
    assert_eq!(result.unwrap(), [1.0, 0.5, 1.0]);
}

#[test]
fn a_provider_that_compiles_takes_over_between_frames() {
    let fake = Fake {
        opens: vec![
            (Provider::TensorRt, GRACE * 2),
            (Provider::Cpu, Duration::ZERO),
        ],
        slow: Some(Provider::TensorRt),
        half_gives: Some(0.9),
        ..Fake::default()
    };
    let mut network = open(&fake, Provider::Auto).unwrap();
    assert_eq!(network.provider(), Provider::Cpu);
    assert_eq!(checked(&mut network).unwrap(), [0.2, 0.4, 0.6]);
    assert!(network.expects_better());
    while !network.adopt_better() {
        assert_eq!(network.provider(), Provider::Cpu);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(network.provider(), Provider::TensorRt);
    assert_eq!(checked(&mut network).unwrap(), [0.9; 3]);
    assert!(!network.expects_better() && !network.adopt_better());
    // Where nothing is to be built it is left out instead.
    let (config, cancel) = (Config::default(), Canceller::new());
    let opener = Box::new(fake.clone());
    let ready = Network::open_with(
        opener,
        "fake",
        None,
        &config,
        &cancel,
        SlowProviders::Refused,
    )
    .unwrap();
    assert_eq!(ready.provider(), Provider::Cpu);
    assert!(!ready.expects_better() && ready.refused()[0].1.contains("prebuild"));
    // CUDA and OpenVINO cannot be had; TensorRT was not refused.
    let refused: Vec<_> = network.refused().iter().map(|(p, _)| *p).collect();
    assert_eq!(refused, [Provider::Cuda, Provider::OpenVino]);
    let notices = network.take_notices();
    assert!(notices[0].text.contains("tensorrt"));
    assert_eq!(notices[0].severity, Severity::Better);
}

#[test]
fn a_provider_that_is_quickly_ready_or_refused_is_waited_for() {
    let mut fake = Fake {
        opens: vec![
            (Provider::TensorRt, GRACE / 20),
            (Provider::Cpu, Duration::ZERO),
        ],
        slow: Some(Provider::TensorRt),
        ..Fake::default()
    };
    let network = open(&fake, Provider::Auto).unwrap();
    assert_eq!(network.provider(), Provider::TensorRt);

    fake.opens.remove(0);
    let network = open(&fake, Provider::Auto).unwrap();
    assert_eq!(network.provider(), Provider::Cpu);
    assert_eq!(
        network.refused()[0],
        (Provider::TensorRt, "not here".into())
    );
    assert!(!network.expects_better());

    // Where nothing else works it is waited for; one asked for by name always is.
    let alone = Fake {
        opens: vec![(Provider::TensorRt, GRACE + GRACE / 5)],
        ..fake
    };
    for provider in [Provider::Auto, Provider::TensorRt] {
        let network = open(&alone, provider).unwrap();
        assert_eq!(network.provider(), Provider::TensorRt);
    }
    let error = open(&Fake::default(), Provider::Auto).err().unwrap();
    let text = error.to_string();
    assert!(
        text.contains("tensorrt: not here; cuda: not here") && text.contains("cpu: not here"),
        "{text}"
    );
}

#[test]
fn a_cancelled_network_says_so_and_another_does_not() {
    let fake = Fake {
        opens: vec![(Provider::Cpu, Duration::ZERO)],
        ..Fake::default()
    };
    let (stop, free) = (Canceller::new(), Canceller::new());
    let (mut one, mut other) = (
        open_under(&fake, Provider::Cpu, &stop).unwrap(),
        open_under(&fake, Provider::Cpu, &free).unwrap(),
    );
    stop.cancel();
    assert!(matches!(checked(&mut one), Err(Error::Cancelled)));
    assert!(checked(&mut other).is_ok());
    stop.reset();
    assert!(checked(&mut one).is_ok());
}

/// A provider that compiles in the background, which takes a while and then gives `outcome`.
fn builds(works: bool) -> Fake {
    let mut opens = vec![(Provider::Cpu, Duration::ZERO)];
    if works {
        opens.push((Provider::TensorRt, GRACE * 2));
    }
    Fake {
        opens,
        slow: Some(Provider::TensorRt),
        refuses_after: GRACE * 2,
        ..Fake::default()
    }
}

/// Asks between frames, as a stream does, until nothing is expected any more.
fn run_until_settled(network: &mut Network) {
    while network.expects_better() {
        network.adopt_better();
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_provider_that_cannot_be_built_in_the_background_is_told_with_its_reason() {
    let mut network = open(&builds(false), Provider::Auto).unwrap();
    assert_eq!(network.provider(), Provider::Cpu);
    let is_refused = |network: &Network| {
        let mut refused = network.refused().iter();
        refused.any(|refused| *refused == (Provider::TensorRt, "not here".to_owned()))
    };
    assert!(network.expects_better() && !is_refused(&network));
    assert!(network.take_notices().is_empty());
    run_until_settled(&mut network);
    assert!(is_refused(&network));
    let notices = network.take_notices();
    let [notice] = notices.as_slice() else {
        panic!("{notices:?}");
    };
    assert_eq!(notice.severity, Severity::Worse);
    for word in ["fake", "stays on cpu", "tensorrt", "not here"] {
        assert!(notice.text.contains(word), "{notice}");
    }
    // It goes on where it was.
    assert_eq!(checked(&mut network).unwrap(), [0.2, 0.4, 0.6]);
}

#[test]
fn a_flush_does_not_stop_what_is_built_in_the_background() {
    let stream = Canceller::new();
    for works in [true, false] {
        let mut network = open_under(&builds(works), Provider::Auto, &stream).unwrap();
        assert!(network.expects_better());
        // As a seek does: all that is under way is given up, and the stream goes on elsewhere.
        stream.cancel();
        assert!(matches!(checked(&mut network), Err(Error::Cancelled)));
        assert!(!network.adopt_better());
        assert!(matches!(network.await_better(), Err(Error::Cancelled)));
        std::thread::sleep(Duration::from_millis(50));
        stream.reset();
        run_until_settled(&mut network);
        let expected = if works {
            Provider::TensorRt
        } else {
            Provider::Cpu
        };
        assert_eq!(network.provider(), expected);
        assert_eq!(network.take_notices().len(), 1);
    }
}

#[test]
fn waiting_for_another_stream_is_not_computing() {
    let gate = Arc::new(Gate::default());
    let fake = Fake {
        opens: vec![(Provider::Cpu, Duration::ZERO)],
        key: Some("two streams"),
        gate: Some(gate.clone()),
        ..Fake::default()
    };
    let [mut first, mut second] = [(); 2].map(|()| open(&fake, Provider::Cpu).unwrap());
    assert!(first.shares_session_with(&second));
    let held = Duration::from_millis(50);
    std::thread::scope(|scope| {
        scope.spawn(|| checked(&mut first).unwrap());
        while !gate.inside.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let (begun, waits) = std::sync::mpsc::channel();
        let waiting = scope.spawn(move || {
            let start = Instant::now();
            begun.send(()).unwrap();
            checked(&mut second).unwrap();
            (start.elapsed(), second.run_time())
        });
        waits.recv().unwrap();
        std::thread::sleep(held);
        gate.open.store(true, Ordering::SeqCst);
        // However slow this machine is: the time for which it was held is in the one and not in the other.
        let (all, computed) = waiting.join().unwrap();
        assert!(all - computed >= held, "{all:?}, {computed:?}");
    });
}
