//! Names, types, bounds, defaults and flags of the properties, which other people's scripts rely on.

use gst::glib;
use gst::prelude::*;
use srfusion::{Config, Parameters};

use crate::common::{element, init};

fn fresh() -> gst::Element {
    init();
    gst::ElementFactory::make("srfusion").build().unwrap()
}

#[test]
fn contract_is_complete() {
    let element = fresh();
    let known = [
        ("general-model", "gchararray"),
        ("face-model", "gchararray"),
        ("general-fast-model", "gchararray"),
        ("detector-model", "gchararray"),
        ("detector-size", "guint"),
        ("objects", "gchararray"),
        ("models-dir", "gchararray"),
        ("runtime-library", "gchararray"),
        ("provider", "GstSrFusionProvider"),
        ("active-provider", "gchararray"),
        ("deterministic", "gboolean"),
        ("device-id", "guint"),
        ("precision", "GstSrFusionPrecision"),
        ("threads", "guint"),
        ("cache-dir", "gchararray"),
        ("identity-model", "gchararray"),
        ("identity-guard", "gdouble"),
        ("detail", "gdouble"),
        ("tile-size", "gint"),
        ("tile-overlap", "gint"),
        ("mask-padding", "gdouble"),
        ("mask-sigma", "gdouble"),
        ("deadline", "gint64"),
        ("detect-interval", "guint"),
        ("min-confidence", "gdouble"),
        ("min-face-size", "gdouble"),
        ("max-faces", "guint"),
        ("smoothing", "gdouble"),
        ("hold-time", "guint64"),
        ("fade-time", "guint64"),
        ("use-roi-meta", "gboolean"),
        ("attach-roi-meta", "gboolean"),
        ("attach-marks", "gboolean"),
        ("reuse", "GstSrFusionReuse"),
        ("reuse-threshold", "gdouble"),
        ("refresh-time", "guint64"),
        ("view", "GstSrFusionView"),
        ("frames-in-flight", "guint"),
        ("latency", "guint64"),
        ("audit", "gchararray"),
        ("stats", "GstStructure"),
    ];
    let own: Vec<_> = element
        .list_properties()
        .iter()
        .filter(|property| property.owner_type() == element.type_())
        .cloned()
        .collect();
    let mut found: Vec<_> = own
        .iter()
        .map(|property| (property.name(), property.value_type().name()))
        .collect();
    let mut known = known;
    found.sort_unstable();
    known.sort_unstable();
    assert_eq!(found, known);
    for property in &own {
        assert!(
            property.nick() != property.name(),
            "{} has no nick",
            property.name()
        );
        assert!(
            property.blurb().is_some_and(|blurb| blurb.len() > 20),
            "{} is not explained",
            property.name()
        );
    }
}

#[test]
fn defaults_are_the_engine_s() {
    let element = fresh();
    let (config, parameters) = (Config::default(), Parameters::default());
    let text = |name: &str| element.property::<Option<String>>(name);
    assert_eq!(text("general-model"), Some(config.general_model));
    assert_eq!(text("face-model"), Some(config.face_model));
    assert_eq!(text("detector-model"), Some(config.detector_model));
    assert_eq!(text("objects").as_deref(), Some("face"));
    for name in [
        "models-dir",
        "identity-model",
        "runtime-library",
        "cache-dir",
        "audit",
        "active-provider",
    ] {
        assert_eq!(text(name), None, "{name}");
    }
    assert_eq!(element.property::<u32>("device-id"), 0);
    assert_eq!(element.property::<u32>("threads"), 0);
    assert_eq!(element.property::<i32>("tile-size"), 0);
    assert_eq!(element.property::<i32>("tile-overlap"), -1);
    assert_eq!(
        element.property::<f64>("mask-padding"),
        parameters.mask_padding
    );
    assert_eq!(element.property::<f64>("mask-sigma"), parameters.mask_sigma);
    assert_eq!(element.property::<f64>("detail"), 0.0);
    assert_eq!(
        element.property::<u32>("detect-interval"),
        parameters.detect_interval
    );
    assert_eq!(
        element.property::<f64>("min-confidence"),
        parameters.min_confidence
    );
    assert_eq!(
        element.property::<f64>("min-face-size"),
        parameters.min_face_size
    );
    assert_eq!(
        element.property::<u32>("max-faces") as usize,
        parameters.max_faces
    );
    assert_eq!(element.property::<f64>("smoothing"), parameters.smoothing);
    assert_eq!(
        u128::from(element.property::<u64>("hold-time")),
        parameters.hold_time.as_nanos()
    );
    assert_eq!(
        u128::from(element.property::<u64>("fade-time")),
        parameters.fade_time.as_nanos()
    );
    assert!(!element.property::<bool>("use-roi-meta"));
    assert!(element.property::<bool>("attach-roi-meta"));
    assert!(element.property::<bool>("attach-marks"));
    assert_eq!(
        element.property::<gstsrfusion::View>("view"),
        gstsrfusion::View::Fused
    );
    assert_eq!(
        element.property::<gstsrfusion::Provider>("provider"),
        gstsrfusion::Provider::Auto
    );
    assert_eq!(
        element.property::<gstsrfusion::Precision>("precision"),
        gstsrfusion::Precision::Auto
    );
    assert_eq!(element.property::<u64>("latency"), 0);
    // Readable before anything ran.
    let stats = element.property::<gst::Structure>("stats");
    for name in [
        "frames-in",
        "frames-out",
        "faces",
        "tiles-total",
        "tiles-run",
        "face-pixels",
    ] {
        assert_eq!(stats.get::<u64>(name), Ok(0), "{name}");
    }
    for name in [
        "detect-ms",
        "plan-ms",
        "general-ms",
        "face-ms",
        "fuse-ms",
        "total-ms",
        "last-ms",
    ] {
        assert_eq!(stats.get::<f64>(name), Ok(0.0), "{name}");
    }
    assert_eq!(stats.get::<&str>("provider"), Ok(""));
}

#[test]
fn bounds() {
    let element = fresh();
    let double = |name: &str| {
        let property = element
            .find_property(name)
            .unwrap()
            .downcast::<glib::ParamSpecDouble>()
            .unwrap();
        (property.minimum(), property.maximum())
    };
    assert_eq!(double("mask-padding"), (0.0, 2.0));
    assert_eq!(double("mask-sigma"), (0.0, 1.0));
    assert_eq!(double("min-confidence"), (0.0, 1.0));
    assert_eq!(double("detail"), (0.0, 1.0));
    assert_eq!(double("smoothing"), (0.0, 0.999));
    let uint = |name: &str| {
        let property = element
            .find_property(name)
            .unwrap()
            .downcast::<glib::ParamSpecUInt>()
            .unwrap();
        property.minimum()
    };
    assert_eq!(uint("detect-interval"), 0);
    assert_eq!(uint("max-faces"), 0);
    let int = element
        .find_property("tile-overlap")
        .unwrap()
        .downcast::<glib::ParamSpecInt>()
        .unwrap();
    assert_eq!(int.minimum(), -1);
    // What the bounds let through, the engine takes.
    for (name, value) in [
        ("mask-padding", 2.0),
        ("mask-sigma", 1.0),
        ("smoothing", 0.999),
        ("min-confidence", 0.0),
    ] {
        element.set_property(name, value);
        assert_eq!(element.property::<f64>(name), value);
    }
    element.set_property("models-dir", crate::common::tiny().to_str().unwrap());
    element.set_property("general-model", "bicubic-x4");
    element.set_property("face-model", "none");
    element.set_state(gst::State::Ready).unwrap();
    element.set_state(gst::State::Null).unwrap();
}

#[test]
fn when_they_may_change() {
    let element = fresh();
    let flags = |name: &str| element.find_property(name).unwrap().flags();
    for name in [
        "general-model",
        "face-model",
        "detector-model",
        "objects",
        "identity-model",
        "models-dir",
        "runtime-library",
        "provider",
        "device-id",
        "precision",
        "threads",
        "cache-dir",
        "tile-size",
        "tile-overlap",
        "use-roi-meta",
        "frames-in-flight",
        "audit",
    ] {
        assert!(
            flags(name).contains(gst::PARAM_FLAG_MUTABLE_READY),
            "{name}"
        );
    }
    for name in [
        "mask-padding",
        "mask-sigma",
        "detect-interval",
        "min-confidence",
        "min-face-size",
        "max-faces",
        "smoothing",
        "hold-time",
        "fade-time",
        "reuse",
        "reuse-threshold",
        "refresh-time",
        "attach-roi-meta",
        "attach-marks",
        "identity-guard",
        "detail",
        "view",
        "latency",
    ] {
        assert!(
            flags(name).contains(gst::PARAM_FLAG_MUTABLE_PLAYING),
            "{name}"
        );
    }
    for name in ["active-provider", "stats"] {
        assert!(!flags(name).contains(glib::ParamFlags::WRITABLE), "{name}");
    }
}

#[test]
fn enumerations_have_all_values_everywhere() {
    let element = fresh();
    let nicks = |name: &str| -> Vec<String> {
        let class =
            glib::EnumClass::with_type(element.find_property(name).unwrap().value_type()).unwrap();
        class
            .values()
            .iter()
            .map(|value| value.nick().to_owned())
            .collect()
    };
    assert_eq!(
        nicks("provider"),
        ["auto", "tensorrt", "cuda", "openvino", "cpu"]
    );
    assert_eq!(nicks("precision"), ["auto", "fp32", "fp16", "int8"]);
    assert_eq!(nicks("reuse"), ["none", "exact", "tolerant"]);
    assert_eq!(
        nicks("view"),
        ["fused", "general", "face", "mask", "split", "bicubic"]
    );
}

#[test]
fn enumerations_belong_to_the_plugin() {
    let element = fresh();
    let mut seen = 0;
    for property in element.list_properties().iter() {
        let type_ = property.value_type();
        if type_.is_a(glib::Type::ENUM) && property.owner_type() == element.type_() {
            assert!(type_.plugin_api_flags().is_some(), "{type_}");
            seen += 1;
        }
    }
    assert_eq!(seen, 4);
}

#[test]
fn who_watches_the_log_may_ask_for_properties() {
    let element = fresh();
    let category = *gstsrfusion::log::CAT;
    let before = category.threshold();
    category.set_threshold(gst::DebugLevel::Debug);
    let watched = element.downgrade();
    let (told, heard) = std::sync::mpsc::channel();
    let function = gst::log::add_log_function(move |_, _, _, _, _, _, message| {
        if let Some(element) = watched.upgrade()
            && message
                .get()
                .is_some_and(|text| text.contains("smoothing is now"))
        {
            let _ = told.send(element.property::<f64>("smoothing"));
        }
    });
    let set = std::thread::spawn(move || element.set_property("smoothing", 0.25));
    let heard = heard.recv_timeout(crate::common::PATIENCE);
    assert_eq!(heard, Ok(0.25));
    set.join().unwrap();
    gst::log::remove_log_function(function);
    category.set_threshold(before);
}

#[test]
fn no_string_is_the_default() {
    let element = element();
    element.set_property("general-model", None::<&str>);
    assert_eq!(
        element.property::<String>("general-model"),
        srfusion::DEFAULT_GENERAL_MODEL
    );
    element.set_property("models-dir", "");
    assert_eq!(element.property::<Option<String>>("models-dir"), None);
}
