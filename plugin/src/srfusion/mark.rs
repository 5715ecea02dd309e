//! Marks: each output frame says what drew it, as a `GstVideoSEIUserDataUnregisteredMeta` that encoders of H.264 and H.265 may write into
//! the stream. What a mark says is CBOR (RFC 8949), a map of text to:
//!
//! | key | value | |
//! |---|---|---|
//! | `v` | 1 | version of this layout |
//! | `by` | text | program and version |
//! | `view` | text | what the frame shows, as the property `view` |
//! | `nets` | map of text to 32 bytes | sha256 of each network's file, under `general`, `fast`, `face` and `detector`; of another kind of objects under its name and that with `-detector` |
//! | `size` | [width, height] | of the frame, in pixels |
//! | `faces` | array of [track, x, y, width, height, weight] | the faces that the face network had a part in: number of the track, box in pixels of the frame, weight in thousandths |
//! | `objects` | array of [kind, track, x, y, width, height, weight] | the same of other kinds of objects, where any are looked for |
//!
//! Boxes are those of the regions (`meta`); the mask reaches beyond a box by its padding and its blur.

use ciborium::Value;
use gst_video::video_meta::VideoSeiUserDataUnregisteredMeta;
use srfusion::{DETECTOR, FACES, FAST, Face, GENERAL, IDENTITY, ModelReport, SCALE, Size, View};

use super::meta::output_box;

/// Says whose user data it is: a number drawn once, for srfusion's marks alone.
pub const MARK_UUID: [u8; 16] = [
    0x5f, 0x65, 0x00, 0xc3, 0xd7, 0xe9, 0x47, 0x56, 0xb2, 0x4f, 0x6f, 0xda, 0x45, 0x42, 0xc0, 0x8d,
];

/// Version of the layout.
const VERSION: u64 = 1;

/// The networks that are open: what a mark calls each, and sha256 of its file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Networks(Vec<(String, Vec<u8>)>);

impl Networks {
    /// Those of `models`.
    pub(super) fn of(models: &[ModelReport]) -> Self {
        let named = |role: &str| match role {
            GENERAL => Some("general".to_owned()),
            FAST => Some("fast".to_owned()),
            DETECTOR => Some("detector".to_owned()),
            IDENTITY => None,
            // Of a kind of objects.
            role => match role.strip_suffix(" detector model") {
                Some(kind) => Some(format!("{kind}-detector")),
                None => role.strip_suffix(" model").map(str::to_owned),
            },
        };
        let known = models
            .iter()
            .filter_map(|model| Some((named(model.role)?, bytes(&model.origin.sha256))));
        Self(known.collect())
    }

    /// Whether one draws the objects of this kind.
    fn draws(&self, kind: &str) -> bool {
        self.0.iter().any(|(name, _)| name == kind)
    }

    /// Whether one draws objects that are no faces.
    fn has_others(&self) -> bool {
        let of_faces = ["general", "fast", "face", "detector"];
        let mut names = self.0.iter();
        names.any(|(name, _)| !of_faces.contains(&name.as_str()))
    }
}

/// The bytes that hexadecimal digits stand for.
fn bytes(digits: &str) -> Vec<u8> {
    digits
        .as_bytes()
        .chunks_exact(2)
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// What a mark says of a frame whose input had `size`, in its pixels `faces`, and `others` of the kinds beside them, and that shows `view`.
pub(super) fn say<'a>(
    networks: &Networks,
    view: View,
    faces: &[Face],
    others: impl Iterator<Item = (&'a str, &'a Face)>,
    size: Size,
) -> Vec<u8> {
    let number = |value: u64| Value::Integer(value.into());
    let numbers =
        |values: &[u64]| Value::Array(values.iter().map(|value| number(*value)).collect());
    let draws = |kind: &str| match view {
        View::Fused | View::Split => networks.draws(kind),
        View::Face => kind == FACES && networks.draws(kind),
        View::General | View::Mask | View::Bicubic => false,
    };
    let place = |object: &Face| -> Option<[u64; 6]> {
        let [x, y, width, height] = output_box(&object.bbox, size)?.map(u64::from);
        let weight = (object.weight.min(1.0) * 1000.0).round() as u64;
        let is_drawn = object.weight > 0.0;
        is_drawn.then_some([object.id, x, y, width, height, weight.max(1)])
    };
    let has_face = draws(FACES);
    let faces = faces.iter().filter(|_| has_face);
    let faces = faces.filter_map(|face| Some(numbers(&place(face)?)));
    let nets = networks.0.iter().map(|(name, sum)| {
        let name = Value::Text(name.clone());
        (name, Value::Bytes(sum.clone()))
    });
    let whole = size.scaled(SCALE);
    let by = concat!("srfusion ", env!("CARGO_PKG_VERSION"));
    let text = |text: &str| Value::Text(text.to_owned());
    let mut map = vec![
        (text("v"), number(VERSION)),
        (text("by"), text(by)),
        (text("view"), text(view.name())),
        (text("nets"), Value::Map(nets.collect())),
        (
            text("size"),
            numbers(&[whole.width as u64, whole.height as u64]),
        ),
        (text("faces"), Value::Array(faces.collect())),
    ];
    if networks.has_others() {
        let drawn = others.filter(|(kind, _)| draws(kind));
        let objects = drawn.filter_map(|(kind, object)| {
            let place = place(object)?.map(number);
            Some(Value::Array(
                std::iter::once(text(kind)).chain(place).collect(),
            ))
        });
        map.push((text("objects"), Value::Array(objects.collect())));
    }
    let map = Value::Map(map);
    let mut said = Vec::new();
    // Cannot fail: a vector takes everything.
    let _ = ciborium::into_writer(&map, &mut said);
    said
}

/// Puts a mark that says `said` on a frame, in the place of one that it has already.
pub(super) fn attach(buffer: &mut gst::BufferRef, said: &[u8]) {
    take(buffer);
    if !said.is_empty() {
        VideoSeiUserDataUnregisteredMeta::add(buffer, &MARK_UUID, said);
    }
}

/// Takes our marks off a frame, and gives what the last of them says.
pub fn take(buffer: &mut gst::BufferRef) -> Option<Vec<u8>> {
    let mut said = None;
    buffer.foreach_meta_mut(|mut meta| {
        let found = meta
            .downcast_ref::<VideoSeiUserDataUnregisteredMeta>()
            .filter(|found| found.uuid() == MARK_UUID)
            .map(|found| found.data().to_vec());
        let action = match found {
            Some(found) => {
                said = Some(found);
                gst::buffer::BufferMetaForeachAction::Remove
            }
            None => gst::buffer::BufferMetaForeachAction::Keep,
        };
        std::ops::ControlFlow::Continue(action)
    });
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    use srfusion::{BBox, FACE};

    fn model(role: &'static str, digit: char) -> ModelReport {
        ModelReport {
            role,
            name: role.to_owned(),
            path: PathBuf::new(),
            provider: srfusion::Provider::Cpu,
            refused: Vec::new(),
            receptive_radius: 0,
            transfer: Default::default(),
            origin: srfusion::ModelOrigin {
                sha256: digit.to_string().repeat(64),
                ..Default::default()
            },
        }
    }

    fn face(id: u64, x: f32, weight: f32) -> Face {
        Face {
            id,
            bbox: BBox {
                x0: x,
                y0: 2.0,
                x1: x + 10.0,
                y1: 14.5,
            },
            score: 0.9,
            points: None,
            weight,
            held: false,
            mask: None,
        }
    }

    fn say(networks: &Networks, view: View, faces: &[Face], size: Size) -> Vec<u8> {
        super::say(networks, view, faces, std::iter::empty(), size)
    }

    #[test]
    fn a_mark_says_which_other_objects_were_drawn() {
        let roles = [
            (GENERAL, 'a'),
            ("text model", '1'),
            ("text detector model", '2'),
        ];
        let networks = Networks::of(&roles.map(|(role, digit)| model(role, digit)));
        let (text, gone) = (face(7, 1.0, 0.5), face(8, 1.0, 0.0));
        let size = Size::new(40, 20);
        for (view, count) in [(View::Fused, 1), (View::Face, 0), (View::General, 0)] {
            let others = [("text", &text), ("text", &gone)].into_iter();
            let said = super::say(&networks, view, &[face(3, 1.0, 1.0)], others, size);
            let map: Value = ciborium::from_reader(said.as_slice()).unwrap();
            let nets = entry(&map, "nets");
            assert_eq!(entry(nets, "text").as_bytes().unwrap(), &[0x11; 32]);
            assert_eq!(
                entry(nets, "text-detector").as_bytes().unwrap(),
                &[0x22; 32]
            );
            assert!(entry(&map, "faces").as_array().unwrap().is_empty());
            let objects = entry(&map, "objects").as_array().unwrap();
            assert_eq!(objects.len(), count, "{view}");
            if let [object] = objects.as_slice() {
                let object = object.as_array().unwrap();
                assert_eq!(object[0].as_text(), Some("text"));
                let numbers = [7, 4, 8, 40, 50, 500].map(|n: u64| Value::Integer(n.into()));
                assert_eq!(object[1..], numbers);
            }
        }
    }

    fn entry<'a>(map: &'a Value, key: &str) -> &'a Value {
        let entries = map.as_map().unwrap();
        let found = entries.iter().find(|(name, _)| name.as_text() == Some(key));
        &found.unwrap().1
    }

    #[test]
    fn a_mark_says_what_drew_which_faces() {
        let networks = Networks::of(&[model(GENERAL, 'a'), model(FACE, '0'), model(DETECTOR, '7')]);
        let faces = [face(3, 1.0, 0.25), face(4, 50.0, 0.0), face(5, -4.0, 1.0)];
        let said = say(&networks, View::Fused, &faces, Size::new(40, 20));
        let map: Value = ciborium::from_reader(said.as_slice()).unwrap();
        assert_eq!(entry(&map, "v"), &Value::Integer(1.into()));
        assert_eq!(entry(&map, "view").as_text(), Some("fused"));
        let nets = entry(&map, "nets");
        assert_eq!(entry(nets, "general").as_bytes().unwrap(), &[0xaa; 32]);
        assert_eq!(entry(nets, "face").as_bytes().unwrap(), &[0; 32]);
        assert_eq!(entry(nets, "detector").as_bytes().unwrap(), &[0x77; 32]);
        let numbers = |value: &Value| -> Vec<u64> {
            let values = value.as_array().unwrap().iter();
            values
                .map(|v| v.as_integer().unwrap().try_into().unwrap())
                .collect()
        };
        assert_eq!(numbers(entry(&map, "size")), [160, 80]);
        let boxes: Vec<_> = entry(&map, "faces")
            .as_array()
            .unwrap()
            .iter()
            .map(numbers)
            .collect();
        assert_eq!(boxes, [[3, 4, 8, 40, 50, 250], [5, 0, 8, 24, 50, 1000]]);
        // Where the face network draws nothing, no face is called drawn.
        for view in [View::General, View::Bicubic, View::Mask] {
            let said = say(&networks, view, &faces, Size::new(40, 20));
            let map: Value = ciborium::from_reader(said.as_slice()).unwrap();
            assert!(entry(&map, "faces").as_array().unwrap().is_empty());
        }
    }

    #[test]
    fn a_frame_has_one_mark_of_ours() {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::with_size(16).unwrap();
        let buffer = buffer.make_mut();
        let other = [7; 16];
        VideoSeiUserDataUnregisteredMeta::add(buffer, &other, b"theirs");
        attach(buffer, b"first");
        attach(buffer, b"second");
        let count = buffer
            .iter_meta::<VideoSeiUserDataUnregisteredMeta>()
            .count();
        assert_eq!(count, 2);
        assert_eq!(take(buffer).as_deref(), Some(&b"second"[..]));
        assert_eq!(take(buffer), None);
        let left = buffer.meta::<VideoSeiUserDataUnregisteredMeta>().unwrap();
        assert_eq!((left.uuid(), left.data()), (other, &b"theirs"[..]));
    }
}
