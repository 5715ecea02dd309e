//! Rewrites a generator's file so that packed 8-bit pictures go in and come out.

use super::protobuf::{
    ATTRIBUTE, ATTRIBUTE_GRAPH, ATTRIBUTE_TENSOR, DATA_LOCATION, EXTERNAL_DATA, FLOAT, FLOAT16,
    Fields, GRAPH, INITIALIZER, INPUT, INT64, NODE, OPSET, OUTPUT, SPARSE_INITIALIZER, TENSOR_NAME,
    UINT8, WireField, all, bytes_of, messages, one, put, put_message,
};
use super::write::{AttributeValue, port, put_node, put_tensor};
use crate::picture::{Channels, Encoding};

/// Name of the first picture that goes in, of the one that comes out, and of the means of its rows, in a file that
/// [`byte_graph`] wrote. A file that has a name which begins so gets longer ones.
const PREFIX: &str = "srfusion_bytes";

/// Least version of the operators: the first in which `Clip` takes its bounds and `Round` exists.
const LEAST_OPSET: u64 = 11;

/// Rewrites the generator in the file `model`, `input` float`[n, 3, h, w]` to `output` float`[n, 3, H, W]` in `encoding`, so that it takes
/// u8`[n, h, w, 3]`, packed RGB, and gives u8`[n, H, W, 3]` and the mean of each row of each plane of the network's own output, f32`[n, 3, H]`.
/// One of luma has 1 in the place of 3.
///
/// A mean is finite only if every value of its row is: 8-bit samples could not tell. Rows are short enough for the sum to stay
/// finite in half precision too. Samples become values, and values samples, in the same steps as in [`crate::picture::tensor`] and
/// [`crate::picture::vector::pack_bytes`], so that what a device computes exactly is the same to the bit.
///
/// The casts come first and last because TensorRT takes 8-bit values nowhere else.
///
/// # Errors
/// Why the file cannot be rewritten.
pub(in crate::runtime) fn byte_graph(model: &[u8], encoding: Encoding) -> Result<Vec<u8>, String> {
    let fields = all(model)?;
    let graph = one(&fields, GRAPH, "graph")?;
    let opset = opset(&fields)?;
    let parts = all(graph)?;
    refuse_external(&parts, 0)?;
    let constants: Vec<&[u8]> = bytes_of(&parts, INITIALIZER)
        .filter_map(|tensor| messages(tensor, TENSOR_NAME).next())
        .collect();
    // Old files list their weights among the inputs.
    let is_weight = |port: &[u8]| {
        messages(port, 1)
            .next()
            .is_some_and(|n| constants.contains(&n))
    };
    let planes = encoding.channels.count() as u64;
    let picture = |number: u64, what: &str| -> Result<PicturePort<'_>, String> {
        let ports: Vec<_> = bytes_of(&parts, number)
            .filter(|port| !is_weight(port))
            .collect();
        match ports.as_slice() {
            [port] => PicturePort::read(port, planes).map_err(|found| format!("{what} {found}")),
            ports => Err(format!("one {what} expected, {} found", ports.len())),
        }
    };
    let (source, result) = (picture(INPUT, "input")?, picture(OUTPUT, "output")?);
    let mut prefix = PREFIX.to_owned();
    while contains(model, prefix.as_bytes()) {
        prefix.push('_');
    }
    let span = encoding.white - encoding.black;
    let bgr = encoding.channels == Channels::Bgr;

    let mut before = NodeChain::new(&prefix, "in", opset);
    let mut value = before.start();
    value = before.node("Cast", &[&value], &[AttributeValue::Int("to", FLOAT)]);
    value = before.node(
        "Transpose",
        &[&value],
        &[AttributeValue::Ints("perm", &[0, 3, 1, 2])],
    );
    if bgr {
        value = before.reversed(&value);
    }
    value = before.scaled(&value, span / 255.0, encoding.black);
    if source.element == FLOAT16 {
        value = before.node("Cast", &[&value], &[AttributeValue::Int("to", FLOAT16)]);
    }
    before.end(&value, source.name);

    let mut after = NodeChain::new(&prefix, "out", opset);
    let mut value = result.name.to_owned();
    if result.element == FLOAT16 {
        value = after.node("Cast", &[&value], &[AttributeValue::Int("to", FLOAT)]);
    }
    let means = after.row_means(&value);
    let gain = 255.0 / span;
    value = after.scaled(&value, gain, -encoding.black * gain);
    let (low, high) = (after.float(0.0), after.float(255.0));
    value = after.node("Clip", &[&value, &low, &high], &[]);
    value = after.node("Round", &[&value], &[]);
    if bgr {
        value = after.reversed(&value);
    }
    value = after.node(
        "Transpose",
        &[&value],
        &[AttributeValue::Ints("perm", &[0, 2, 3, 1])],
    );
    let bytes = after.node("Cast", &[&value], &[AttributeValue::Int("to", UINT8)]);

    // Nodes stand in the order in which they run.
    let mut new_graph = before.nodes.clone();
    for (number, field) in &parts {
        match (*number, field) {
            (INPUT, WireField::Bytes(port)) if !is_weight(port) => {}
            (OUTPUT, _) => {}
            (number, field) => put(&mut new_graph, number, field),
        }
    }
    new_graph.extend(after.nodes);
    new_graph.extend(before.constants);
    new_graph.extend(after.constants);
    let [n, _, height, width] = &source.sides;
    let sides: &[u8] = &[1 << 3, planes as u8];
    put_message(
        &mut new_graph,
        INPUT,
        &port(&format!("{prefix}_in"), UINT8, &[n, height, width, sides]),
    );
    let [n, _, height, width] = &result.sides;
    put_message(
        &mut new_graph,
        OUTPUT,
        &port(&bytes, UINT8, &[n, height, width, sides]),
    );
    put_message(
        &mut new_graph,
        OUTPUT,
        &port(&means, FLOAT, &[n, sides, height]),
    );

    let mut written = Vec::with_capacity(model.len() + 4096);
    for (number, field) in &fields {
        match *number {
            GRAPH => put_message(&mut written, GRAPH, &new_graph),
            number => put(&mut written, number, field),
        }
    }
    Ok(written)
}

/// Version of the standard operators.
fn opset(fields: &[(u64, WireField<'_>)]) -> Result<u64, String> {
    let version = bytes_of(fields, OPSET).find_map(|entry| {
        let (mut domain, mut version) = (&b""[..], None);
        for (number, field) in Fields(entry) {
            match (number, field) {
                (1, WireField::Bytes(name)) => domain = name,
                (2, WireField::Number(value)) => version = Some(value),
                _ => {}
            }
        }
        version.filter(|_| domain.is_empty() || domain == b"ai.onnx")
    });
    match version {
        Some(version) if version >= LEAST_OPSET => Ok(version),
        Some(version) => Err(format!(
            "its operators are of version {version}; {LEAST_OPSET} or later expected"
        )),
        None => Err("it does not say the version of its operators".to_owned()),
    }
}

/// Refuses weights that lie in other files, which a file in memory cannot name.
fn refuse_external(graph: &[(u64, WireField<'_>)], depth: usize) -> Result<(), String> {
    let external = |tensor: &[u8]| {
        Fields(tensor).any(|(number, field)| {
            number == EXTERNAL_DATA
                || (number == DATA_LOCATION && matches!(field, WireField::Number(1)))
        })
    };
    let refused = || Err("its weights lie in another file".to_owned());
    if bytes_of(graph, INITIALIZER).any(external)
        || bytes_of(graph, SPARSE_INITIALIZER).next().is_some()
    {
        return refused();
    }
    for attribute in bytes_of(graph, NODE).flat_map(|node| messages(node, ATTRIBUTE)) {
        if messages(attribute, ATTRIBUTE_TENSOR).any(external) {
            return refused();
        }
        for inner in messages(attribute, ATTRIBUTE_GRAPH) {
            // Deeper than any network: a file made to exhaust the stack.
            if depth > 16 {
                return Err("the file is damaged".to_owned());
            }
            refuse_external(&all(inner)?, depth + 1)?;
        }
    }
    Ok(())
}

fn contains(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}

/// An input or output that is a picture: its name, element type and four sides as they are written.
struct PicturePort<'a> {
    name: &'a str,
    element: u64,
    sides: [&'a [u8]; 4],
}

impl<'a> PicturePort<'a> {
    /// The error says what was expected and found.
    fn read(port: &'a [u8], planes: u64) -> Result<Self, String> {
        let name = messages(port, 1).next().unwrap_or_default();
        let name = std::str::from_utf8(name).map_err(|_| "has no name".to_owned())?;
        let tensor = messages(port, 2).flat_map(|kind| messages(kind, 1)).next();
        let tensor = tensor.ok_or_else(|| format!("{name} is not a tensor"))?;
        let element = Fields(tensor).find_map(|(number, field)| match field {
            WireField::Number(element) if number == 1 => Some(element),
            _ => None,
        });
        let element = match element {
            Some(element @ (FLOAT | FLOAT16)) => element,
            _ => return Err(format!("{name} is not of 32-bit or 16-bit floats")),
        };
        let sides: Vec<_> = messages(tensor, 2)
            .flat_map(|shape| messages(shape, 1))
            .collect();
        let Ok(sides) = <[&[u8]; 4]>::try_from(sides) else {
            return Err(format!(
                "{name} is not of shape [n, {planes}, height, width]"
            ));
        };
        let channels = Fields(sides[1]).find_map(|(number, field)| match field {
            WireField::Number(side) if number == 1 => Some(side),
            _ => None,
        });
        match channels {
            Some(found) if found != planes => {
                Err(format!("{name} has {found} channels, {planes} expected"))
            }
            _ => Ok(Self {
                name,
                element,
                sides,
            }),
        }
    }
}

/// Nodes one after the other, with their constants, as fields of a graph.
struct NodeChain<'a> {
    prefix: &'a str,
    side: &'a str,
    opset: u64,
    nodes: Vec<u8>,
    constants: Vec<u8>,
    /// The node written last, not yet among the others: its output may be given another name.
    count: usize,
}

impl<'a> NodeChain<'a> {
    fn new(prefix: &'a str, side: &'a str, opset: u64) -> Self {
        Self {
            prefix,
            side,
            opset,
            nodes: Vec::new(),
            constants: Vec::new(),
            count: 0,
        }
    }

    fn start(&self) -> String {
        format!("{}_{}", self.prefix, self.side)
    }

    fn name(&mut self) -> String {
        self.count += 1;
        format!("{}_{}{}", self.prefix, self.side, self.count)
    }

    fn write(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[AttributeValue<'_>],
    ) {
        put_node(&mut self.nodes, operator, inputs, output, attributes);
    }

    /// Adds a node and returns the name of its output.
    fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: &[AttributeValue<'_>],
    ) -> String {
        let output = self.name();
        self.write(operator, inputs, &output, attributes);
        output
    }

    /// Gives `value` the name `name`.
    fn end(&mut self, value: &str, name: &str) {
        self.write("Identity", &[value], name, &[]);
    }

    fn constant(&mut self, element: u64, sides: &[u64], data: &[u8]) -> String {
        let name = self.name();
        put_tensor(&mut self.constants, &name, element, sides, data);
        name
    }

    fn float(&mut self, value: f32) -> String {
        self.constant(FLOAT, &[], &value.to_le_bytes())
    }

    fn ints(&mut self, values: &[i64]) -> String {
        let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(INT64, &[values.len() as u64], &data)
    }

    /// `value * gain + shift`, in two roundings.
    fn scaled(&mut self, value: &str, gain: f32, shift: f32) -> String {
        let mut value = value.to_owned();
        if gain != 1.0 {
            let gain = self.float(gain);
            value = self.node("Mul", &[&value, &gain], &[]);
        }
        if shift != 0.0 {
            let shift = self.float(shift);
            value = self.node("Add", &[&value, &shift], &[]);
        }
        value
    }

    /// The channels of `[n, 3, h, w]` the other way round.
    fn reversed(&mut self, value: &str) -> String {
        let order = self.ints(&[2, 1, 0]);
        self.node(
            "Gather",
            &[value, &order],
            &[AttributeValue::Int("axis", 1)],
        )
    }

    /// `[n, 3, h, w]` to `[n, 3, h]`. Over the last axis alone, for which CUDA has a kernel of its own; others go through cuDNN.
    fn row_means(&mut self, value: &str) -> String {
        let keep = AttributeValue::Int("keepdims", 0);
        // The axes became an input in version 18.
        if self.opset >= 18 {
            let axes = self.ints(&[3]);
            self.node("ReduceMean", &[value, &axes], &[keep])
        } else {
            self.node(
                "ReduceMean",
                &[value],
                &[AttributeValue::Ints("axes", &[3]), keep],
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::inspect::is_context;
    use super::super::protobuf::{NODE, OPERATOR};
    use super::*;

    fn file(path: &str) -> Vec<u8> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        std::fs::read(folder.join(path)).unwrap()
    }

    const BGR: Encoding = Encoding {
        black: -1.0,
        white: 1.0,
        channels: Channels::Bgr,
    };

    #[test]
    fn what_cannot_carry_bytes_is_refused_with_the_reason() {
        let rgb = Encoding::default();
        for (path, reason) in [
            ("tiny/rubbish.onnx", "damaged"),
            ("tiny/grey-x4.onnx", "1 channels, 3 expected"),
            (
                "tiny/float64-x4.onnx",
                "output output is not of 32-bit or 16-bit floats",
            ),
            (
                "tiny/centre-face.onnx",
                "output predictions is not of shape",
            ),
        ] {
            let refused = byte_graph(&file(path), rgb).unwrap_err();
            assert!(refused.contains(reason), "{path}: {refused}");
        }
        let whole = file("tiny/bicubic-x4.onnx");
        let replaced = |from: &[u8], to: &[u8]| {
            let at = whole.windows(from.len()).position(|w| w == from).unwrap();
            let mut file = whole.clone();
            file[at..at + from.len()].copy_from_slice(to);
            file
        };
        // The version of the operators is the last that the file says.
        let old = replaced(&[0x42, 4, 0x0a, 0, 0x10, 13], &[0x42, 4, 0x0a, 0, 0x10, 10]);
        let refused = byte_graph(&old, rgb).unwrap_err();
        assert!(refused.contains("version 10; 11"), "{refused}");
        // A tensor whose data are said to lie elsewhere.
        let mut graph = Vec::new();
        put_message(&mut graph, INITIALIZER, &[(DATA_LOCATION << 3) as u8, 1]);
        let mut model = Vec::new();
        put_message(&mut model, GRAPH, &graph);
        put_message(&mut model, OPSET, &[0x10, 13]);
        let refused = byte_graph(&model, rgb).unwrap_err();
        assert!(refused.contains("another file"), "{refused}");
        // Two inputs.
        let two = port("a", FLOAT, &[&[], &[], &[], &[]]);
        let mut graph = Vec::new();
        put_message(&mut graph, INPUT, &two);
        put_message(&mut graph, INPUT, &two);
        let mut model = Vec::new();
        put_message(&mut model, GRAPH, &graph);
        put_message(&mut model, OPSET, &[0x10, 13]);
        let refused = byte_graph(&model, rgb).unwrap_err();
        assert!(refused.contains("one input expected, 2 found"), "{refused}");
    }

    #[test]
    fn damaged_files_do_no_harm() {
        let whole = file("tiny/bicubic-x4.onnx");
        for end in 0..whole.len() {
            assert!(byte_graph(&whole[..end], BGR).is_err(), "cut at {end}");
        }
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..4000 {
            let mut bent = whole.clone();
            // Not the weights alone, which are most of the file.
            let end = if random.bool() { 300 } else { bent.len() };
            bent[random.usize(..end)] = random.u8(..);
            let _ = byte_graph(&bent, BGR);
            let _ = is_context(&bent);
        }
        // Graphs in graphs in graphs.
        let mut nested = Vec::new();
        for _ in 0..2000 {
            let (mut attribute, mut node, mut graph) = (vec![], vec![], vec![]);
            put_message(&mut attribute, ATTRIBUTE_GRAPH, &nested);
            put_message(&mut node, ATTRIBUTE, &attribute);
            put_message(&mut graph, NODE, &node);
            nested = graph;
        }
        let mut model = Vec::new();
        put_message(&mut model, GRAPH, &nested);
        put_message(&mut model, OPSET, &[0x10, 13]);
        assert!(byte_graph(&model, BGR).is_err());
    }

    #[test]
    fn rewriting_twice_takes_other_names_and_a_context_is_told_from_a_network() {
        let once = byte_graph(&file("tiny/bicubic-x4.onnx"), BGR).unwrap();
        assert!(contains(&once, b"srfusion_bytes_in"));
        // It takes no floats any more.
        assert!(byte_graph(&once, BGR).unwrap_err().contains("floats"));
        assert!(!is_context(&once));
        let (mut node, mut graph, mut model) = (vec![], vec![], vec![]);
        put_message(&mut node, OPERATOR, b"EPContext");
        put_message(&mut graph, NODE, &node);
        put_message(&mut model, GRAPH, &graph);
        assert!(is_context(&model) && !is_context(&model[..model.len() - 1]));
    }

    #[test]
    fn bytes_come_out_as_the_engine_would_round_them() {
        use crate::picture::Rect;
        use crate::picture::tensor;
        use crate::picture::vector::pack_bytes;
        use crate::picture::{Frame, Size};
        use ort::value::TensorRef;

        let Ok(environment) = crate::runtime::library::environment(None) else {
            eprintln!("skipped: no ONNX Runtime");
            return;
        };
        let open = |model: &[u8]| {
            let mut builder = ort::session::Session::builder(&environment).unwrap();
            builder.commit_from_memory(model).unwrap()
        };
        let size = Size::new(23, 17);
        let mut data = vec![0; 3 * size.area()];
        fastrand::Rng::with_seed(6).fill(&mut data);
        let frame = Frame::new(&data, size, 3 * size.width).unwrap();
        let wide = Encoding {
            white: 255.0,
            ..Encoding::default()
        };
        for (path, encoding, is_newer) in [
            ("tiny/rgb-x4.onnx", Encoding::default(), false),
            ("tiny/inverted-x4.onnx", Encoding::default(), false),
            ("tiny/bicubic-x4.onnx", Encoding::default(), false),
            ("tiny/bicubic-x4.onnx", BGR, false),
            ("tiny/shifted-x4.onnx", wide, false),
            ("tiny/half-x4.onnx", Encoding::default(), false),
            ("tiny/half-x4.onnx", BGR, false),
            ("tiny/rgb-x4.onnx", BGR, true),
        ] {
            let mut model = file(path);
            if is_newer {
                // Version 18 of the operators, in which the axes of means are an input, has the same convolutions.
                let at = model.windows(4).rposition(|w| w == [0x42, 2, 0x10, 17]);
                let at = at.or(model
                    .windows(6)
                    .rposition(|w| w == [0x42, 4, 0x0a, 0, 0x10, 17]));
                let at = at.unwrap();
                let length = 2 + usize::from(model[at + 1]);
                model[at + length - 1] = 18;
            }
            let is_half = path.contains("half");
            let mut input = vec![0.0; 3 * size.area()];
            tensor::from_frame(
                &frame,
                Rect::whole(size),
                encoding,
                &mut input,
                &mut tensor::TensorRows::default(),
            );
            let half: Vec<half::f16> = input.iter().map(|v| half::f16::from_f32(*v)).collect();
            let shape = [1, 3, size.height, size.width];
            let mut plain = open(&model);
            let outputs = if is_half {
                plain.run(ort::inputs![
                    TensorRef::from_array_view((shape, &half[..])).unwrap()
                ])
            } else {
                plain.run(ort::inputs![
                    TensorRef::from_array_view((shape, &input[..])).unwrap()
                ])
            }
            .unwrap();
            let values: Vec<f32> = if is_half {
                let (_, values) = outputs[0].try_extract_tensor::<half::f16>().unwrap();
                values.iter().map(|v| v.to_f32()).collect()
            } else {
                outputs[0].try_extract_tensor::<f32>().unwrap().1.to_vec()
            };
            let big = size.scaled(4);
            let gain = 255.0 / (encoding.white - encoding.black);
            let planes = encoding
                .planes()
                .map(|p| &values[p * big.area()..][..big.area()]);
            let mut expected = vec![0u8; 3 * big.area()];
            assert!(pack_bytes(
                planes,
                gain,
                -encoding.black * gain,
                &mut expected
            ));

            let mut rewritten = open(&byte_graph(&model, encoding).unwrap());
            let shape = [1, size.height, size.width, 3];
            let outputs = rewritten
                .run(ort::inputs![
                    TensorRef::from_array_view((shape, &data[..])).unwrap()
                ])
                .unwrap();
            let (shape, found) = outputs[0].try_extract_tensor::<u8>().unwrap();
            assert_eq!(**shape, [1, big.height as i64, big.width as i64, 3]);
            let unequal = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
            let worst = found
                .iter()
                .zip(&expected)
                .map(|(a, b)| a.abs_diff(*b))
                .max();
            // Half precision may be fused otherwise with another node before it.
            assert!(
                worst <= Some(u8::from(is_half)),
                "{path}: {unequal} samples, {worst:?}"
            );
            assert!(found.iter().any(|v| *v > 0));
            let (shape, means) = outputs[1].try_extract_tensor::<f32>().unwrap();
            assert_eq!(**shape, [1, 3, big.height as i64]);
            assert!(tensor::all_finite(means));
        }
    }
}
