//! How far a generator's output depends on its input, reckoned from its file: every operator is followed backwards from the output,
//! with the range of pixels that it reads.
//!
//! What is found is a bound: weights that are nought, and paths that cancel out, make a network see less far than its graph.

use std::collections::{HashMap, HashSet};

use super::protobuf::{
    ATTRIBUTE, ATTRIBUTE_TENSOR, DATA_TYPE, FLOAT, Fields, GRAPH, INITIALIZER, INT64, NODE,
    OPERATOR, OUTPUT, TENSOR_NAME, WireField, messages,
};
/// Fields of a node, an attribute and a tensor that only this file reads.
const NODE_INPUT: u64 = 1;
const NODE_OUTPUT: u64 = 2;
const NODE_DOMAIN: u64 = 7;
const ATTRIBUTE_NAME: u64 = 1;
const ATTRIBUTE_INT: u64 = 3;
const ATTRIBUTE_STRING: u64 = 4;
const ATTRIBUTE_FLOATS: u64 = 7;
const ATTRIBUTE_INTS: u64 = 8;
const TENSOR_DIMS: u64 = 1;
const TENSOR_INT64S: u64 = 7;
const TENSOR_RAW: u64 = 9;

/// Largest kernel, stride, dilation or padding that is reckoned with.
const LARGEST: i64 = 1 << 16;
/// Largest scale that is reckoned with: beyond that of any network.
const LARGEST_SCALE: usize = 16;
/// First input pixel that is looked at: far from every border.
const CENTRE: i64 = 1 << 24;
/// Input pixels that are looked at of a network that shrinks the picture on its way: enough for six halvings.
const PHASES: i64 = 64;

/// Operators that make each pixel of that pixel of their inputs.
const POINTWISE: &[&str] = &[
    "Abs",
    "Add",
    "BatchNormalization",
    "Cast",
    "Ceil",
    "Clip",
    "DequantizeLinear",
    "Div",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "Log",
    "Max",
    "Min",
    "Mish",
    "Mul",
    "Neg",
    "PRelu",
    "Pow",
    "QuantizeLinear",
    "Reciprocal",
    "Relu",
    "Round",
    "Selu",
    "Sigmoid",
    "Sign",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Sub",
    "Sum",
    "Tanh",
    "Where",
];

#[derive(Default)]
struct GraphNode<'a> {
    operator: &'a str,
    inputs: Vec<&'a str>,
    outputs: Vec<&'a str>,
    attributes: HashMap<&'a str, &'a [u8]>,
    /// Side of the block of a pixel shuffle that was written as transpositions.
    block: Option<i64>,
}

/// Pixels from the first to the last, in y and x.
type Window = [(i64, i64); 2];

/// What a file's graph says of how far its output depends on its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GraphReach {
    /// Receptive radius in input pixels.
    pub(crate) radius: usize,
    /// Whether the picture is shrunk on the way, so that a pixel's place decides how it is drawn.
    pub(crate) shrinks: bool,
}

/// The reach of the generator in the file `model`, which gives `scale` times the height and width. `None` if it has an operator of which
/// it is not known what it reads, or one that reads the whole picture.
pub(crate) fn graph_reach(model: &[u8], scale: usize) -> Option<GraphReach> {
    let graph = Graph::read(messages(model, GRAPH).next()?)?;
    let mut radius = 0;
    let scale = i64::try_from(scale)
        .ok()
        .filter(|_| scale <= LARGEST_SCALE)?;
    // Every place that an output pixel may have over its input pixel, and that one in a picture which was shrunk on the way.
    let shrinks = graph.shrinks();
    let phases = if shrinks { PHASES } else { 1 };
    for offset in 0..scale * phases {
        let (at, centre) = (CENTRE * scale + offset, CENTRE + offset / scale);
        let mut windows = HashMap::from([(graph.output, [(at, at); 2])]);
        for node in graph.nodes.iter().rev() {
            let outputs = node.outputs.iter().filter_map(|name| windows.get(name));
            let Some(window) = outputs.copied().reduce(union) else {
                continue;
            };
            let reads = graph.reads(node, window)?;
            let is_sane = |(first, last): &(i64, i64)| first.abs().max(last.abs()) < CENTRE << 16;
            if !reads.iter().all(is_sane) {
                return None;
            }
            for name in graph.picture_inputs(node) {
                let window = windows
                    .get(name)
                    .map_or(reads, |known| union(*known, reads));
                windows.insert(name, window);
            }
        }
        // What is no node's output is what goes in.
        let made: HashSet<_> = graph.nodes.iter().flat_map(|node| &node.outputs).collect();
        let (_, window) = windows.iter().find(|(name, _)| !made.contains(name))?;
        for (first, last) in window {
            radius = radius.max(centre - first).max(last - centre);
        }
    }
    // Of a network of another scale the windows drift away.
    let radius = usize::try_from(radius).ok().filter(|_| radius < LARGEST)?;
    Some(GraphReach { radius, shrinks })
}

fn union(a: Window, b: Window) -> Window {
    [0, 1].map(|axis: usize| (a[axis].0.min(b[axis].0), a[axis].1.max(b[axis].1)))
}

struct Graph<'a> {
    nodes: Vec<GraphNode<'a>>,
    output: &'a str,
    initializers: HashMap<&'a str, &'a [u8]>,
    /// Names of values that do not depend on the picture.
    constants: HashSet<&'a str>,
}

impl<'a> Graph<'a> {
    fn read(graph: &'a [u8]) -> Option<Self> {
        let text = |bytes: &'a [u8]| std::str::from_utf8(bytes).ok();
        let initializers: HashMap<_, _> = messages(graph, INITIALIZER)
            .filter_map(|tensor| Some((text(messages(tensor, TENSOR_NAME).next()?)?, tensor)))
            .collect();
        let mut constants: HashSet<&str> = initializers.keys().copied().collect();
        let mut nodes = Vec::new();
        for bytes in messages(graph, NODE) {
            let names = |number| {
                messages(bytes, number)
                    .map(text)
                    .collect::<Option<Vec<_>>>()
            };
            let mut node = GraphNode {
                operator: text(messages(bytes, OPERATOR).next()?)?,
                inputs: names(NODE_INPUT)?,
                outputs: names(NODE_OUTPUT)?,
                attributes: HashMap::new(),
                block: None,
            };
            let domain = messages(bytes, NODE_DOMAIN).next().unwrap_or_default();
            if !(domain.is_empty() || domain == b"ai.onnx") {
                // Of others it is not known what they read, whatever they are called.
                node.operator = "";
            }
            for attribute in messages(bytes, ATTRIBUTE) {
                let name = text(messages(attribute, ATTRIBUTE_NAME).next()?)?;
                node.attributes.insert(name, attribute);
            }
            if node
                .inputs
                .iter()
                .all(|name| name.is_empty() || constants.contains(name))
            {
                constants.extend(&node.outputs);
            }
            nodes.push(node);
        }
        let mut outputs = messages(graph, OUTPUT);
        let output = text(messages(outputs.next()?, 1).next()?)?;
        let mut graph = outputs.next().is_none().then_some(Self {
            nodes,
            output,
            initializers,
            constants,
        })?;
        for index in 0..graph.nodes.len() {
            if let Some((source, block)) = graph.written_shuffle(&graph.nodes[index]) {
                let node = &mut graph.nodes[index];
                (node.operator, node.inputs, node.block) =
                    ("DepthToSpace", vec![source], Some(block));
            }
        }
        Some(graph)
    }

    /// What the pixel shuffle whose last operator is `node` takes, and the side of its block, if it is written as the kit writes those of
    /// eight-bit files: channels last, cut into rows and columns, rows moved out, and all that as one plane.
    fn written_shuffle(&self, node: &GraphNode<'a>) -> Option<(&'a str, i64)> {
        let before = |node: &GraphNode<'a>, operator: &str| {
            let maker = self.maker(node.inputs.first()?)?;
            (maker.operator == operator).then_some(maker)
        };
        let moves =
            |node: &GraphNode<'a>, axes: &[i64]| ints(node, "perm").as_deref() == Some(axes);
        let rows = before(node, "Transpose").filter(|_| node.operator == "Reshape")?;
        let cells = before(rows, "Reshape")?;
        let last = before(cells, "Transpose")?;
        if !(moves(rows, &[0, 1, 3, 2, 4]) && moves(last, &[0, 2, 3, 1])) {
            return None;
        }
        let [0, 0, 0, block, columns] = *self.whole_numbers(cells.inputs.get(1)?)? else {
            return None;
        };
        let sides = self
            .maker(node.inputs.get(1)?)
            .filter(|sides| sides.operator == "Mul")?;
        before(sides, "Shape")?;
        let larger = self.whole_numbers(sides.inputs.get(1)?)?;
        let same = block == columns && larger == [1, 1, block, block];
        Some((*last.inputs.first()?, sane(block).filter(|_| same)?))
    }

    /// Whether any node shrinks the picture.
    fn shrinks(&self) -> bool {
        self.nodes.iter().any(|node| {
            let strides = ints(node, "strides").unwrap_or_default();
            node.operator == "SpaceToDepth"
                || node.operator != "ConvTranspose" && strides.iter().any(|stride| *stride > 1)
        })
    }

    /// Names of the inputs of `node` that depend on the picture and are a picture themselves.
    fn picture_inputs<'n>(&'n self, node: &'n GraphNode<'a>) -> impl Iterator<Item = &'a str> + 'n {
        let most = match node.operator {
            // What follows the picture says where to, not what.
            "Resize" | "Upsample" | "Pad" | "Slice" | "Clip" | "Split" | "Gather" => 1,
            _ => usize::MAX,
        };
        let depends = |name: &&str| !name.is_empty() && !self.constants.contains(name);
        node.inputs.iter().copied().take(most).filter(depends)
    }

    /// What `node` reads of its inputs for `window` of its outputs; `None` if that is not known.
    fn reads(&self, node: &GraphNode<'a>, window: Window) -> Option<Window> {
        match node.operator {
            name if POINTWISE.contains(&name) => Some(window),
            "Conv" | "ConvInteger" => self.convolved(node, window, 1),
            "QLinearConv" => self.convolved(node, window, 3),
            "AveragePool" | "MaxPool" => self.convolved(node, window, usize::MAX),
            "ConvTranspose" => self.transposed(node, window),
            "DepthToSpace" => {
                let block = sane(node.block.or_else(|| int(node, "blocksize"))?)?;
                Some(window.map(|(first, last)| (first.div_euclid(block), last.div_euclid(block))))
            }
            "SpaceToDepth" => {
                let block = sane(int(node, "blocksize")?)?;
                Some(window.map(|(first, last)| (first * block, last * block + block - 1)))
            }
            "Resize" | "Upsample" => self.resized(node, window),
            "Concat" | "Split" => {
                let axis = int(node, "axis").unwrap_or(0);
                matches!(axis, 1 | -3).then_some(window)
            }
            "Gather" => (int(node, "axis") == Some(1)).then_some(window),
            "Slice" => {
                let axes = ints(node, "axes").or_else(|| self.whole_numbers(node.inputs.get(3)?));
                axes?.iter().all(|axis| *axis == 1).then_some(window)
            }
            "ReduceMax" | "ReduceMean" | "ReduceMin" | "ReduceSum" => {
                let axes = ints(node, "axes").or_else(|| self.whole_numbers(node.inputs.get(1)?));
                (axes? == [1] && int(node, "keepdims") != Some(0)).then_some(window)
            }
            "Pad" => {
                let pads =
                    ints(node, "pads").or_else(|| self.whole_numbers(node.inputs.get(1)?))?;
                let [_, _, top, left, _, _, _, _] = *pads.as_slice() else {
                    return None;
                };
                let [(top, bottom), (left, right)] =
                    [(window[0], top), (window[1], left)].map(|((first, last), before)| {
                        (first.saturating_sub(before), last.saturating_sub(before))
                    });
                Some([(top, bottom), (left, right)])
            }
            _ => None,
        }
    }

    /// Kernel sides, strides, dilations and padding before the picture, for y and x.
    fn kernel(&self, node: &GraphNode<'a>, weights: usize) -> Option<[[i64; 4]; 2]> {
        let sides = ints(node, "kernel_shape")
            .or_else(|| Some(self.dims(node.inputs.get(weights)?)?.get(2..)?.to_vec()))?;
        let [height, width] = *sides.as_slice() else {
            return None;
        };
        let pair = |name: &str| -> Option<[i64; 2]> {
            match ints(node, name) {
                Some(values) => values.try_into().ok(),
                None => Some([1, 1]),
            }
        };
        let (strides, dilations) = (pair("strides")?, pair("dilations")?);
        let all =
            |sides: [i64; 2]| [0, 1].map(|i: usize| dilations[i].saturating_mul(sides[i] - 1));
        let before = match (string(node, "auto_pad"), ints(node, "pads")) {
            (None | Some(b"NOTSET"), Some(pads)) => [*pads.first()?, *pads.get(1)?],
            (None | Some(b"NOTSET" | b"VALID"), _) => [0, 0],
            (Some(b"SAME_UPPER"), _) if strides == [1, 1] => {
                all([height, width]).map(|total| total / 2)
            }
            (Some(b"SAME_LOWER"), _) if strides == [1, 1] => {
                all([height, width]).map(|total| total - total / 2)
            }
            _ => return None,
        };
        let axis = |side: i64, i: usize| -> Option<[i64; 4]> {
            let padding = Some(before[i]).filter(|padding| (0..=LARGEST).contains(padding))?;
            Some([sane(side)?, sane(strides[i])?, sane(dilations[i])?, padding])
        };
        Some([axis(height, 0)?, axis(width, 1)?])
    }

    fn convolved(&self, node: &GraphNode<'a>, window: Window, weights: usize) -> Option<Window> {
        let kernel = self.kernel(node, weights)?;
        Some([0, 1].map(|axis: usize| {
            let ([side, stride, dilation, before], (first, last)) = (kernel[axis], window[axis]);
            let start = first * stride - before;
            (start, last * stride - before + (side - 1) * dilation)
        }))
    }

    fn transposed(&self, node: &GraphNode<'a>, window: Window) -> Option<Window> {
        if matches!(string(node, "auto_pad"), Some(kind) if kind != b"NOTSET") {
            return None;
        }
        let kernel = self.kernel(node, 1)?;
        Some([0, 1].map(|axis: usize| {
            let ([side, stride, dilation, before], (first, last)) = (kernel[axis], window[axis]);
            let reach = (side - 1) * dilation;
            let start = (first + before - reach + stride - 1).div_euclid(stride);
            (start, (last + before).div_euclid(stride))
        }))
    }

    fn resized(&self, node: &GraphNode<'a>, window: Window) -> Option<Window> {
        let scales = node
            .inputs
            .get(if node.operator == "Resize" { 2 } else { 1 })?;
        let [n, c, height, width] = *self.numbers(scales)?.as_slice() else {
            return None;
        };
        if [n, c] != [1.0, 1.0] {
            return None;
        }
        let transform = string(node, "coordinate_transformation_mode").unwrap_or(b"half_pixel");
        if transform == b"align_corners" || transform == b"tf_crop_and_resize" {
            return None;
        }
        // How many pixels before and after the one it falls on are read.
        let (before, after) = match string(node, "mode").unwrap_or(b"nearest") {
            b"nearest" => {
                let floors = transform != b"asymmetric"
                    || string(node, "nearest_mode") == Some(b"floor")
                    || node.operator == "Upsample";
                (0, i64::from(!floors))
            }
            b"linear" => (1, 1),
            b"cubic" => (2, 2),
            _ => return None,
        };
        let axis = |scale: f64, (first, last): (i64, i64)| -> Option<(i64, i64)> {
            if scale == 1.0 {
                return Some((first, last));
            }
            let whole = scale.fract() == 0.0 && (2.0..64.0).contains(&scale);
            let scale = whole.then_some(scale as i64)?;
            Some((
                first.div_euclid(scale) - before,
                last.div_euclid(scale) + after,
            ))
        };
        Some([axis(height, window[0])?, axis(width, window[1])?])
    }

    /// The node that makes `name`.
    fn maker(&self, name: &str) -> Option<&GraphNode<'a>> {
        self.nodes.iter().find(|node| node.outputs.contains(&name))
    }

    /// Sides of the constant `name`, also where it is kept in fewer bits.
    fn dims(&self, name: &str) -> Option<Vec<i64>> {
        if let Some(tensor) = self.initializers.get(name) {
            return Some(numbers_of(tensor, TENSOR_DIMS));
        }
        let node = self.maker(name)?;
        match node.operator {
            "Constant" => Some(numbers_of(tensor(node)?, TENSOR_DIMS)),
            "DequantizeLinear" | "Cast" | "Identity" | "QuantizeLinear" => {
                let inner = self.initializers.get(node.inputs.first()?)?;
                Some(numbers_of(inner, TENSOR_DIMS))
            }
            _ => None,
        }
    }

    /// The constant `name`, a list of few numbers.
    fn numbers(&self, name: &str) -> Option<Vec<f64>> {
        if let Some(tensor) = self.initializers.get(name) {
            return values_of(tensor);
        }
        let node = self.maker(name).filter(|_| self.constants.contains(name))?;
        match node.operator {
            "Constant" => match node.attributes.get("value_floats") {
                Some(attribute) => {
                    let packed = messages(attribute, ATTRIBUTE_FLOATS).next()?;
                    Some(floats(packed))
                }
                None => values_of(tensor(node)?),
            },
            "Concat" => {
                let parts = node.inputs.iter().map(|name| {
                    let of = self.initializers.get(name).copied();
                    of.or_else(|| tensor(self.maker(name)?)).and_then(values_of)
                });
                Some(parts.collect::<Option<Vec<_>>>()?.concat())
            }
            _ => None,
        }
    }

    fn whole_numbers(&self, name: &str) -> Option<Vec<i64>> {
        Some(self.numbers(name)?.into_iter().map(|v| v as i64).collect())
    }
}

fn sane(value: i64) -> Option<i64> {
    (1..=LARGEST).contains(&value).then_some(value)
}

fn int(node: &GraphNode<'_>, name: &str) -> Option<i64> {
    numbers_of(node.attributes.get(name)?, ATTRIBUTE_INT).pop()
}

fn ints(node: &GraphNode<'_>, name: &str) -> Option<Vec<i64>> {
    Some(numbers_of(node.attributes.get(name)?, ATTRIBUTE_INTS))
}

fn string<'a>(node: &GraphNode<'a>, name: &str) -> Option<&'a [u8]> {
    messages(node.attributes.get(name)?, ATTRIBUTE_STRING).next()
}

/// The tensor that a `Constant` gives.
fn tensor<'a>(node: &GraphNode<'a>) -> Option<&'a [u8]> {
    messages(node.attributes.get("value")?, ATTRIBUTE_TENSOR).next()
}

/// The numbers in field `number`, each for itself or packed.
fn numbers_of(message: &[u8], number: u64) -> Vec<i64> {
    let mut numbers = Vec::new();
    for (found, field) in Fields(message) {
        match field {
            WireField::Number(value) if found == number => numbers.push(value as i64),
            WireField::Bytes(packed) if found == number => numbers.extend(Fields(packed).numbers()),
            _ => {}
        }
    }
    numbers
}

fn floats(raw: &[u8]) -> Vec<f64> {
    let (values, _) = raw.as_chunks::<4>();
    values
        .iter()
        .map(|v| f64::from(f32::from_le_bytes(*v)))
        .collect()
}

/// Values of a small tensor of floats or whole numbers.
fn values_of(tensor: &[u8]) -> Option<Vec<f64>> {
    let raw = messages(tensor, TENSOR_RAW).next();
    match (numbers_of(tensor, DATA_TYPE).pop()? as u64, raw) {
        (FLOAT, Some(raw)) => Some(floats(raw)),
        // Packed, in the field for floats.
        (FLOAT, None) => Some(floats(messages(tensor, 4).next().unwrap_or_default())),
        (INT64, Some(raw)) => {
            let (values, _) = raw.as_chunks::<8>();
            Some(
                values
                    .iter()
                    .map(|v| i64::from_le_bytes(*v) as f64)
                    .collect(),
            )
        }
        (INT64, None) => {
            let values = numbers_of(tensor, TENSOR_INT64S);
            Some(values.into_iter().map(|v| v as f64).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::protobuf::{put_message, put_number};
    use super::*;

    fn models() -> std::path::PathBuf {
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
    }

    #[test]
    fn the_shipped_generators_see_as_far_as_the_catalogue_says() {
        let catalogue = crate::models::Catalogue::load(&models()).unwrap();
        let mut seen = 0;
        for entry in catalogue.entries() {
            let Some(radius) = entry.receptive_radius else {
                continue;
            };
            let file = std::fs::read(models().join(&entry.file)).unwrap();
            let still = |radius| {
                Some(GraphReach {
                    radius,
                    shrinks: false,
                })
            };
            assert_eq!(graph_reach(&file, 4), still(radius), "{}", entry.name);
            // The same network in eight-bit numbers sees as far.
            if let Some(int8) = &entry.int8_file {
                let file = std::fs::read(models().join(int8)).unwrap();
                assert_eq!(graph_reach(&file, 4), still(radius), "{int8}");
            }
            seen += 1;
        }
        assert!(seen >= 4, "{seen}");
    }

    enum Given<'a> {
        Int(&'a str, u64),
        Ints(&'a str, &'a [u64]),
        Text(&'a str, &'a str),
    }

    fn node(operator: &str, inputs: &[&str], output: &str, given: &[Given<'_>]) -> Vec<u8> {
        let mut node = Vec::new();
        for input in inputs {
            put_message(&mut node, NODE_INPUT, input.as_bytes());
        }
        put_message(&mut node, NODE_OUTPUT, output.as_bytes());
        put_message(&mut node, OPERATOR, operator.as_bytes());
        for attribute in given {
            let mut written = Vec::new();
            match attribute {
                Given::Int(name, value) => {
                    put_message(&mut written, ATTRIBUTE_NAME, name.as_bytes());
                    put_number(&mut written, ATTRIBUTE_INT, *value);
                }
                Given::Ints(name, values) => {
                    put_message(&mut written, ATTRIBUTE_NAME, name.as_bytes());
                    for value in *values {
                        put_number(&mut written, ATTRIBUTE_INTS, *value);
                    }
                }
                Given::Text(name, value) => {
                    put_message(&mut written, ATTRIBUTE_NAME, name.as_bytes());
                    put_message(&mut written, ATTRIBUTE_STRING, value.as_bytes());
                }
            }
            put_message(&mut node, ATTRIBUTE, &written);
        }
        node
    }

    /// `x` to `y` by `nodes`; `scales` doubles the picture, `w` has a kernel of 3 x 3.
    fn model(nodes: &[Vec<u8>]) -> Vec<u8> {
        let (mut graph, mut output, mut model) = (Vec::new(), Vec::new(), Vec::new());
        for node in nodes {
            put_message(&mut graph, NODE, node);
        }
        for (name, dims, raw) in [
            ("w", &[8, 8, 3, 3][..], &[][..]),
            ("scales", &[4], &[1.0, 1.0, 2.0, 2.0_f32]),
        ] {
            let mut tensor = Vec::new();
            for side in dims {
                put_number(&mut tensor, TENSOR_DIMS, *side);
            }
            put_number(&mut tensor, DATA_TYPE, FLOAT);
            put_message(&mut tensor, TENSOR_NAME, name.as_bytes());
            let raw: Vec<u8> = raw.iter().flat_map(|v| v.to_le_bytes()).collect();
            put_message(&mut tensor, TENSOR_RAW, &raw);
            put_message(&mut graph, INITIALIZER, &tensor);
        }
        put_message(&mut output, 1, b"y");
        put_message(&mut graph, OUTPUT, &output);
        put_message(&mut model, GRAPH, &graph);
        model
    }

    #[test]
    fn each_operator_adds_what_it_reads() {
        let same = [Given::Ints("pads", &[1, 1, 1, 1])];
        let conv = |from: &str, to: &str| node("Conv", &[from, "w"], to, &same);
        let shuffle =
            |from: &str| node("DepthToSpace", &[from], "y", &[Given::Int("blocksize", 4)]);
        let double = |from: &str, to: &str, mode| {
            node(
                "Resize",
                &[from, "", "scales"],
                to,
                &[Given::Text("mode", mode)],
            )
        };
        for (what, nodes, expected) in [
            (
                "two convolutions",
                vec![conv("x", "a"), conv("a", "b"), shuffle("b")],
                Some(2),
            ),
            (
                "a dilated one beside a plain one",
                vec![
                    node(
                        "Conv",
                        &["x", "w"],
                        "a",
                        &[
                            Given::Ints("pads", &[4, 4, 4, 4]),
                            Given::Ints("dilations", &[4, 4]),
                        ],
                    ),
                    conv("x", "b"),
                    node("Add", &["a", "b"], "c", &[]),
                    shuffle("c"),
                ],
                Some(4),
            ),
            (
                "down by two and up again",
                vec![
                    node(
                        "Conv",
                        &["x", "w"],
                        "a",
                        &[
                            Given::Ints("pads", &[1, 1, 1, 1]),
                            Given::Ints("strides", &[2, 2]),
                        ],
                    ),
                    double("a", "b", "nearest"),
                    shuffle("b"),
                ],
                // The second pixel of a pair reads what the first reads: one more to the left.
                Some(2),
            ),
            (
                "convolutions on the enlarged picture count for less",
                vec![
                    double("x", "a", "nearest"),
                    conv("a", "b"),
                    double("b", "c", "nearest"),
                    conv("c", "y"),
                ],
                Some(1),
            ),
            (
                "linear",
                vec![double("x", "a", "linear"), double("a", "y", "nearest")],
                Some(1),
            ),
            (
                "the whole picture",
                vec![node("GlobalAveragePool", &["x"], "a", &[]), shuffle("a")],
                None,
            ),
            (
                "something unknown",
                vec![node("Magic", &["x"], "a", &[]), shuffle("a")],
                None,
            ),
            (
                "transpositions that are no pixel shuffle",
                vec![
                    node(
                        "Transpose",
                        &["x"],
                        "a",
                        &[Given::Ints("perm", &[0, 2, 3, 1])],
                    ),
                    node("Reshape", &["a", "scales"], "b", &[]),
                    node(
                        "Transpose",
                        &["b"],
                        "c",
                        &[Given::Ints("perm", &[0, 1, 3, 2, 4])],
                    ),
                    node("Reshape", &["c", "scales"], "y", &[]),
                ],
                None,
            ),
            ("another scale than is said", vec![conv("x", "y")], None),
        ] {
            let reach = graph_reach(&model(&nodes), 4);
            assert_eq!(reach.map(|reach| reach.radius), expected, "{what}");
            if let Some(reach) = reach {
                assert_eq!(reach.shrinks, what.starts_with("down"), "{what}");
            }
        }
        let enlarged = model(&[conv("x", "a"), conv("a", "y")]);
        assert_eq!(graph_reach(&enlarged, 1).unwrap().radius, 2);
        let twice = model(&[conv("x", "a"), double("a", "y", "nearest")]);
        assert_eq!(graph_reach(&twice, 2).unwrap().radius, 1);
    }

    #[test]
    fn damaged_files_do_no_harm() {
        let mut random = fastrand::Rng::with_seed(7);
        for (file, graph) in [
            ("tiny/bicubic-x4.onnx", 1500),
            ("general-x4-fast.int8.onnx", 9000),
        ] {
            let whole = std::fs::read(models().join(file)).unwrap();
            for end in 0..whole.len().min(3000) {
                graph_reach(&whole[..end], 4);
            }
            for _ in 0..3000 {
                let mut bent = whole.clone();
                let at = random.usize(..bent.len().min(graph));
                bent[at] = random.u8(..);
                graph_reach(&bent, 4);
            }
        }
    }
}
