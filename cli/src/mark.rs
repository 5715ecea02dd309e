//! What a file says of how it was made: that its picture was computed, and by what. Words for people, and for programs an XMP packet with
//! IPTC's digital source type. Pure.

use std::fmt::Write as _;
use std::path::Path;

use srfusion::models::Models;
use srfusion::settings::is_detector;
use srfusion::{DETECTOR, FACE, FAST, GENERAL, IDENTITY, ModelReport, View};

/// Terms of IPTC's vocabulary begin so.
const VOCABULARY: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/";

/// Our own properties in XMP.
const NAMESPACE: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/ns/1.0/");

/// This program and its version.
pub const PROGRAM: &str = concat!("srfusion ", env!("CARGO_PKG_VERSION"));

/// A network, as a mark names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name, of a file that has none that of the file, without the folder.
    pub name: String,
    /// sha256 of its file.
    pub sha256: String,
}

/// The networks of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Networks {
    /// For the whole frame.
    pub general: Option<Network>,
    /// For faces.
    pub face: Option<Network>,
    /// That finds them.
    pub detector: Option<Network>,
    /// For other kinds of objects, each with its kind.
    pub others: Vec<(String, Network)>,
}

fn network(name: &str, sha256: &str) -> Network {
    let file = Path::new(name).file_name();
    Network {
        name: file
            .map_or(name.into(), |name| name.to_string_lossy())
            .into(),
        sha256: sha256.to_owned(),
    }
}

impl Networks {
    /// Those that are open.
    pub fn open(models: &[ModelReport]) -> Self {
        let of = |role| {
            let found = models.iter().find(|model| model.role == role);
            found.map(|model| network(&model.name, &model.origin.sha256))
        };
        Self {
            general: of(GENERAL),
            face: of(FACE),
            detector: of(DETECTOR),
            others: models
                .iter()
                .filter(|model| {
                    ![GENERAL, FACE, FAST].contains(&model.role) && model.role != IDENTITY
                })
                .filter(|model| !is_detector(model.role))
                .filter_map(|model| {
                    let kind = model.role.strip_suffix(" model")?.to_owned();
                    Some((kind, network(&model.name, &model.origin.sha256)))
                })
                .collect(),
        }
    }

    /// Those that are to be opened.
    pub fn chosen(models: &Models) -> Self {
        let of = |found: &srfusion::models::Resolved| network(&found.name, &found.sha256);
        Self {
            general: Some(of(&models.general)),
            face: models.face.as_ref().map(of),
            detector: models.detector.as_ref().map(of),
            others: models
                .others
                .iter()
                .map(|other| (other.kind.subject.clone(), of(&other.generator)))
                .collect(),
        }
    }
}

/// What a file says of how it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// What was at work.
    pub networks: Networks,
    /// What the picture shows.
    pub view: View,
    /// Frames, and those with a face that the face network may have had a part in.
    pub frames: (u64, u64),
    /// Of a picture, the faces that the face network had a part in: x, y, width and height in pixels, and weight.
    pub faces: Vec<([u32; 4], f32)>,
}

impl Statement {
    /// Whether a face network had a part in the picture.
    pub fn has_drawn_faces(&self) -> bool {
        self.networks.face.is_some()
            && match self.view {
                View::Face => true,
                View::Fused | View::Split => self.frames.1 > 0,
                View::General | View::Mask | View::Bicubic => false,
            }
    }

    /// Whether a network of another kind of objects may have had a part in the picture.
    fn may_have_drawn_others(&self) -> bool {
        !self.networks.others.is_empty() && matches!(self.view, View::Fused | View::Split)
    }

    /// Whether any network drew.
    fn is_drawn(&self) -> bool {
        !matches!(self.view, View::Mask | View::Bicubic)
    }

    /// IPTC's digital source type: a composite with what a trained network made where one drew faces or may have drawn other objects; altered by an algorithm where the
    /// general network did; `None` where nothing was drawn.
    pub fn source_type(&self) -> Option<String> {
        let has_experts = self.has_drawn_faces() || self.may_have_drawn_others();
        let term = match (has_experts, self.is_drawn()) {
            (true, _) => "compositeWithTrainedAlgorithmicMedia",
            (false, true) => "algorithmicallyEnhanced",
            (false, false) => return None,
        };
        Some(format!("{VOCABULARY}{term}"))
    }

    /// The statement in words, one line.
    pub fn text(&self) -> String {
        let name = |network: &Option<Network>| {
            network
                .as_ref()
                .map_or("no network", |network| &network.name)
                .to_owned()
        };
        let (general, face) = (name(&self.networks.general), name(&self.networks.face));
        let frames = match self.frames {
            (1, _) => String::new(),
            (all, with) => format!(" in {with} of {all} frames"),
        };
        let faces = match (&self.networks.face, self.frames.1) {
            (None, _) => String::new(),
            (Some(_), 0) => format!("; no face was drawn by the network {face}"),
            (Some(_), _) => format!(", faces{frames} by the network {face}"),
        };
        let mut experts = faces;
        for (kind, network) in &self.networks.others {
            // Writing to a string does not fail.
            let _ = write!(
                experts,
                ", {kind}, where any was found, by the network {}",
                network.name
            );
        }
        let what = match self.view {
            View::Fused => format!("drawn by the network {general}{experts}"),
            View::General => format!("drawn by the network {general}"),
            View::Face if self.networks.face.is_some() => {
                format!("drawn by the face network {face} alone")
            }
            View::Face => format!("drawn by the network {general}"),
            View::Split => {
                format!(
                    "left half interpolated, right half drawn by the network {general}{experts}"
                )
            }
            View::Bicubic => "interpolated, drawn by no network".to_owned(),
            View::Mask if !self.networks.others.is_empty() => "the mask of the objects".to_owned(),
            View::Mask => "the mask of the faces".to_owned(),
        };
        let warning = if self.is_drawn() {
            "; computed, not measured: no evidence of who or what was there"
        } else {
            ""
        };
        format!("Enlarged four times by {PROGRAM}: {what}{warning}")
    }

    /// The statement as an XMP packet (ISO 16684-1).
    pub fn xmp(&self) -> String {
        let mut properties = String::new();
        let mut add = |name: &str, value: &str| {
            // Writing to a string does not fail.
            let _ = write!(properties, "\n   {name}=\"{}\"", escaped(value));
        };
        add("xmp:CreatorTool", PROGRAM);
        if let Some(source) = self.source_type() {
            add("Iptc4xmpExt:DigitalSourceType", &source);
        }
        add("srfusion:Statement", &self.text());
        for (name, network) in [
            ("GeneralNetwork", &self.networks.general),
            ("FaceNetwork", &self.networks.face),
            ("Detector", &self.networks.detector),
        ] {
            if let Some(network) = network.as_ref().filter(|_| self.is_drawn()) {
                let value = format!("{} sha256:{}", network.name, network.sha256);
                add(&format!("srfusion:{name}"), &value);
            }
        }
        for (kind, network) in self.networks.others.iter().filter(|_| self.is_drawn()) {
            let value = format!("{} sha256:{}", network.name, network.sha256);
            add(&format!("srfusion:Network-{kind}"), &value);
        }
        let mut faces = String::new();
        if self.has_drawn_faces() {
            for ([x, y, width, height], weight) in &self.faces {
                let _ = write!(
                    faces,
                    "<rdf:li>{x} {y} {width} {height} {weight:.3}</rdf:li>"
                );
            }
        }
        if !faces.is_empty() {
            faces = format!("<srfusion:Faces><rdf:Bag>{faces}</rdf:Bag></srfusion:Faces>");
        }
        format!(
            "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n\
             <x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n \
             <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n  \
             <rdf:Description rdf:about=\"\"\n   \
             xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\"\n   \
             xmlns:Iptc4xmpExt=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\"\n   \
             xmlns:srfusion=\"{NAMESPACE}\"{properties}>{faces}</rdf:Description>\n \
             </rdf:RDF>\n\
             </x:xmpmeta>\n\
             <?xpacket end=\"r\"?>"
        )
    }
}

/// `text` inside XML's quotes; what XML does not have is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(view: View, face: Option<&str>, with: u64) -> Statement {
        let network = |name: &str| network(name, "12ab");
        Statement {
            networks: Networks {
                general: Some(network("general-x4")),
                face: face.map(network),
                detector: None,
                others: Vec::new(),
            },
            view,
            frames: (50, with),
            faces: vec![([1, 2, 3, 4], 0.5)],
        }
    }

    #[test]
    fn faces_count_only_where_they_were_drawn() {
        for (view, face, with, term) in [
            (
                View::Fused,
                Some("f"),
                3,
                Some("compositeWithTrainedAlgorithmicMedia"),
            ),
            (
                View::Split,
                Some("f"),
                3,
                Some("compositeWithTrainedAlgorithmicMedia"),
            ),
            (
                View::Face,
                Some("f"),
                0,
                Some("compositeWithTrainedAlgorithmicMedia"),
            ),
            (View::Fused, Some("f"), 0, Some("algorithmicallyEnhanced")),
            (View::Fused, None, 3, Some("algorithmicallyEnhanced")),
            (View::Face, None, 3, Some("algorithmicallyEnhanced")),
            (View::General, Some("f"), 3, Some("algorithmicallyEnhanced")),
            (View::Bicubic, Some("f"), 3, None),
            (View::Mask, Some("f"), 3, None),
        ] {
            let statement = statement(view, face, with);
            let term = term.map(|term| format!("{VOCABULARY}{term}"));
            assert_eq!(statement.source_type(), term, "{view:?} {face:?} {with}");
            let xmp = statement.xmp();
            assert_eq!(xmp.contains("DigitalSourceType="), term.is_some());
            assert_eq!(
                xmp.contains("<rdf:li>1 2 3 4 0.500</rdf:li>"),
                statement.has_drawn_faces()
            );
        }
    }

    #[test]
    fn other_kinds_are_named_with_their_networks() {
        let mut statement = statement(View::Fused, None, 0);
        let plain = statement.text();
        statement.networks.others = vec![("text".to_owned(), network("text-x4", "34cd"))];
        let text = statement.text();
        assert!(
            text.contains("text, where any was found, by the network text-x4"),
            "{text}"
        );
        assert!(!plain.contains("text-x4"));
        let source = statement.source_type().unwrap_or_default();
        assert!(
            source.ends_with("compositeWithTrainedAlgorithmicMedia"),
            "{source}"
        );
        assert!(
            statement
                .xmp()
                .contains("srfusion:Network-text=\"text-x4 sha256:34cd\"")
        );
        statement.view = View::General;
        let source = statement.source_type().unwrap_or_default();
        assert!(source.ends_with("algorithmicallyEnhanced"), "{source}");
    }

    #[test]
    fn the_words_name_what_drew() {
        let text = statement(View::Fused, Some("/home/me/own \"face\".onnx"), 7).text();
        for part in [
            PROGRAM,
            "general-x4",
            "own \"face\".onnx",
            "7 of 50",
            "no evidence",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // Where a file of the user's lies is nobody's business.
        assert!(!text.contains("/home"), "{text}");
        let xmp = statement(View::Fused, Some("a&<b>\u{1}.onnx"), 7).xmp();
        assert!(xmp.contains("a&amp;&lt;b&gt;.onnx sha256:12ab"), "{xmp}");
        assert!(
            statement(View::Fused, Some("f"), 0)
                .text()
                .contains("no face was drawn")
        );
        assert!(
            statement(View::Bicubic, None, 0)
                .text()
                .contains("no network")
        );
    }
}
