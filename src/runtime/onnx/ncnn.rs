//! Networks in ncnn's format, a text of layers and a file of weights, become ONNX files, layer by layer. Those layers are known that
//! super-resolution networks use; a network with another one is refused by its name.

use std::collections::HashMap;

use half::f16;

use super::protobuf::{
    FLOAT, GRAPH, GRAPH_NAME, INPUT, IR_VERSION, OPSET, OUTPUT, PRODUCER, put_message, put_number,
};
use super::write::{AttributeValue, port, put_node, put_tensor};

/// How a text of layers begins.
const MAGIC: &str = "7767517";
/// In front of a layer's kernel: that it is stored in floats of 32 or 16 bits.
const SINGLE: u32 = 0;
const HALF: u32 = 0x0130_6B47;
/// Arrays among a layer's parameters have keys from here on downwards.
const ARRAYS: i64 = -23300;
/// Version of the operators, and of the file format of the release that brought it: runtimes from 1.12 on read them.
const OPERATORS: u64 = 17;
const FILE_FORMAT: u64 = 8;

/// The layers that are known.
const LAYERS: [&str; 12] = [
    "BinaryOp",
    "Concat",
    "Convolution",
    "ConvolutionDepthWise",
    "Eltwise",
    "Input",
    "Interp",
    "PReLU",
    "PixelShuffle",
    "ReLU",
    "Sigmoid",
    "Split",
];

/// An ONNX file that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// Content of the file: `input` f32[n, 3, height, width] to `output`.
    pub model: Vec<u8>,
    /// How many weights it has.
    pub parameters: u64,
}

/// Makes an ONNX file, whose graph is called `name`, of a network in ncnn's format: `param` is the text of layers, `bin` the weights, which are
/// floats of 32 or 16 bits and become such of 32.
///
/// # Errors
/// What is wrong: what was expected and found.
pub fn ncnn_to_onnx(param: &str, bin: &[u8], name: &str) -> Result<Converted, String> {
    let mut lines = param.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    if first != MAGIC {
        let found: String = first.chars().take(40).collect();
        return Err(format!(
            "expected ncnn's text of layers, which begins with {MAGIC}, found '{found}'"
        ));
    }
    // The number of layers and of what goes between them.
    lines.next();
    let mut builder = Builder {
        weights: Weights {
            bytes: bin,
            used: 0,
        },
        nodes: Vec::new(),
        constants: Vec::new(),
        values: HashMap::new(),
        parameters: 0,
    };
    let mut last = None;
    for line in lines {
        let layer = Layer::read(line)?;
        last = Some(builder.layer(&layer)?);
    }
    let Some(last) = last else {
        return Err("expected layers, found none".to_owned());
    };
    let (used, all) = (builder.weights.used, bin.len());
    if used != all {
        return Err(format!(
            "the layers have {used} bytes of weights, the file of weights has {all}: they do not belong together"
        ));
    }
    builder.node("Identity", &[&last], "output", &[]);
    let named = |name: &str| {
        let mut side = Vec::new();
        put_message(&mut side, 2, name.as_bytes());
        side
    };
    let mut three = Vec::new();
    put_number(&mut three, 1, 3);
    let mut graph = builder.nodes;
    put_message(&mut graph, GRAPH_NAME, name.as_bytes());
    graph.extend(builder.constants);
    for (field, name, height, width) in [(INPUT, "input", "h", "w"), (OUTPUT, "output", "H", "W")] {
        let (n, height, width) = (named("n"), named(height), named(width));
        let sides: [&[u8]; 4] = [&n, &three, &height, &width];
        put_message(&mut graph, field, &port(name, FLOAT, &sides));
    }
    let mut operators = Vec::new();
    put_message(&mut operators, 1, b"");
    put_number(&mut operators, 2, OPERATORS);
    let mut model = Vec::with_capacity(graph.len() + 64);
    put_number(&mut model, IR_VERSION, FILE_FORMAT);
    put_message(&mut model, PRODUCER, b"srfusion");
    put_message(&mut model, GRAPH, &graph);
    put_message(&mut model, OPSET, &operators);
    Ok(Converted {
        model,
        parameters: builder.parameters,
    })
}

/// The file of weights, read from front to back.
struct Weights<'a> {
    bytes: &'a [u8],
    used: usize,
}

impl<'a> Weights<'a> {
    fn take(&mut self, count: usize, each: usize) -> Result<&'a [u8], String> {
        let left = self.bytes.get(self.used..).unwrap_or_default();
        let wanted = count.checked_mul(each);
        let Some(taken) = wanted.and_then(|wanted| left.get(..wanted)) else {
            return Err(format!(
                "the file of weights ends after {} bytes, and more are needed: it does not belong to the layers",
                self.bytes.len()
            ));
        };
        self.used += taken.len();
        Ok(taken)
    }

    /// As they are, little-endian: biases and slopes.
    fn plain(&mut self, count: usize) -> Result<Vec<u8>, String> {
        Ok(self.take(count, 4)?.to_vec())
    }

    /// Behind a word that says how they are stored: kernels.
    fn tagged(&mut self, count: usize, layer: &str) -> Result<Vec<u8>, String> {
        let word = self.take(1, 4)?;
        let tag = word.try_into().map_or(u32::MAX, u32::from_le_bytes);
        match tag {
            SINGLE => self.plain(count),
            HALF => {
                let values = self.take(count, 2)?;
                let single = |pair: &[u8]| f16::from_le_bytes([pair[0], pair[1]]).to_f32();
                let wide: Vec<u8> = values
                    .chunks_exact(2)
                    .flat_map(|pair| single(pair).to_le_bytes())
                    .collect();
                // What follows begins at a multiple of four.
                self.used = self.used.next_multiple_of(4).min(self.bytes.len());
                Ok(wide)
            }
            other => Err(format!(
                "layer {layer}: expected weights in floats of 32 or 16 bits, found such stored as {other:#010x}"
            )),
        }
    }
}

/// A line of the text.
struct Layer<'a> {
    kind: &'a str,
    name: &'a str,
    inputs: Vec<&'a str>,
    outputs: Vec<&'a str>,
    numbers: HashMap<i64, f64>,
    arrays: HashMap<i64, Vec<f64>>,
}

impl<'a> Layer<'a> {
    fn read(line: &'a str) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        let (kind, name) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let wrong = |found: &str| {
            format!(
                "layer {name}: expected counts, names and parameters such as 0=64, found '{found}'"
            )
        };
        let mut count = || -> Result<usize, String> {
            let word = words.next().unwrap_or_default();
            word.parse().map_err(|_| wrong(word))
        };
        let (first, second) = (count()?, count()?);
        let mut names = |count: usize| -> Result<Vec<&'a str>, String> {
            let found: Vec<_> = words.by_ref().take(count).collect();
            match found.len() == count {
                true => Ok(found),
                false => Err(wrong("the end of the line")),
            }
        };
        let (inputs, outputs) = (names(first)?, names(second)?);
        let (mut numbers, mut arrays) = (HashMap::new(), HashMap::new());
        for word in words {
            let Some((Ok(key), value)) = word.split_once('=').map(|(k, v)| (k.parse::<i64>(), v))
            else {
                return Err(wrong(word));
            };
            let number = |text: &str| text.parse::<f64>().map_err(|_| wrong(word));
            if key <= ARRAYS {
                // The first says how many there are.
                let values: Result<Vec<_>, _> = value.split(',').skip(1).map(number).collect();
                arrays.insert(ARRAYS - key, values?);
            } else {
                numbers.insert(key, number(value)?);
            }
        }
        Ok(Self {
            kind,
            name,
            inputs,
            outputs,
            numbers,
            arrays,
        })
    }

    fn number(&self, key: i64, default: f64) -> f64 {
        self.numbers.get(&key).copied().unwrap_or(default)
    }

    /// A whole number that is not negative.
    fn count(&self, key: i64, default: usize) -> Result<usize, String> {
        let value = self.number(key, default as f64);
        if value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value) {
            return Ok(value as usize);
        }
        Err(self.wrong(&format!("{key}={value}"), "a whole number, not negative"))
    }

    fn array(&self, key: i64) -> &[f64] {
        self.arrays.get(&key).map_or(&[], Vec::as_slice)
    }

    fn input(&self) -> Result<&'a str, String> {
        let first = self.inputs.first();
        first.copied().ok_or_else(|| self.wrong("none", "an input"))
    }

    fn wrong(&self, found: &str, expected: &str) -> String {
        let (kind, name) = (self.kind, self.name);
        format!("layer {name}, a {kind}: expected {expected}, found {found}")
    }
}

/// Turns layers into nodes.
struct Builder<'a> {
    weights: Weights<'a>,
    nodes: Vec<u8>,
    constants: Vec<u8>,
    /// What each of ncnn's values is called in the graph.
    values: HashMap<String, String>,
    parameters: u64,
}

impl Builder<'_> {
    fn node(&mut self, operator: &str, inputs: &[&str], output: &str, with: &[AttributeValue<'_>]) {
        put_node(&mut self.nodes, operator, inputs, output, with);
    }

    /// Adds weights, little-endian, and returns their name.
    fn weights(&mut self, layer: &Layer<'_>, part: &str, sides: &[usize], data: &[u8]) -> String {
        self.parameters += data.len() as u64 / 4;
        let sides: Vec<u64> = sides.iter().map(|side| *side as u64).collect();
        let name = format!("weights.{}.{part}", layer.name);
        put_tensor(&mut self.constants, &name, FLOAT, &sides, data);
        name
    }

    /// Adds numbers that are no weights, and returns their name: one without sides, several as a list.
    fn numbers(&mut self, layer: &Layer<'_>, part: &str, values: &[f32]) -> String {
        let name = format!("numbers.{}.{part}", layer.name);
        let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let several = [values.len() as u64];
        let sides: &[u64] = if values.len() == 1 { &[] } else { &several };
        put_tensor(&mut self.constants, &name, FLOAT, sides, &data);
        name
    }

    /// Adds what `layer` does, and returns what its first output is called.
    fn layer(&mut self, layer: &Layer<'_>) -> Result<String, String> {
        let Some(output) = layer.outputs.first() else {
            return Err(layer.wrong("none", "an output"));
        };
        let mut inputs = Vec::with_capacity(layer.inputs.len());
        for input in &layer.inputs {
            let known = self.values.get(*input).cloned();
            inputs.push(known.ok_or_else(|| layer.wrong(input, "values of layers before it"))?);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let name = match layer.kind {
            "Input" if self.values.is_empty() => "input".to_owned(),
            "Input" => return Err(layer.wrong("a second one", "one input of the network")),
            "Split" => {
                layer.input()?;
                inputs[0].to_owned()
            }
            _ => format!("value.{output}"),
        };
        if !matches!(layer.kind, "Input" | "Split") {
            layer.input()?;
            self.operation(layer, &inputs, &name)?;
        }
        for output in &layer.outputs {
            if self
                .values
                .insert((*output).to_owned(), name.clone())
                .is_some()
            {
                return Err(layer.wrong(output, "values that no other layer gives"));
            }
        }
        Ok(name)
    }

    fn operation(&mut self, layer: &Layer<'_>, from: &[&str], to: &str) -> Result<(), String> {
        match layer.kind {
            "Convolution" => self.convolution(layer, from[0], 1, to),
            "ConvolutionDepthWise" => {
                let groups = layer.count(7, 1)?;
                self.convolution(layer, from[0], groups, to)
            }
            "PReLU" => {
                let count = layer.count(0, 0)?;
                let slopes = self.weights.plain(count)?;
                let slopes = self.weights(layer, "slope", &[count, 1, 1], &slopes);
                self.node("PRelu", &[from[0], &slopes], to, &[]);
                Ok(())
            }
            "ReLU" => {
                match layer.number(0, 0.0) as f32 {
                    0.0 => self.node("Relu", &from[..1], to, &[]),
                    slope => {
                        let slope = AttributeValue::Float("alpha", slope);
                        self.node("LeakyRelu", &from[..1], to, &[slope]);
                    }
                }
                Ok(())
            }
            "Sigmoid" => {
                self.node("Sigmoid", &from[..1], to, &[]);
                Ok(())
            }
            "Concat" => {
                // ncnn does not count the batch.
                if layer.number(0, 0.0) != 0.0 {
                    let found = layer.number(0, 0.0).to_string();
                    return Err(layer.wrong(&found, "planes behind one another, axis 0"));
                }
                self.node("Concat", from, to, &[AttributeValue::Int("axis", 1)]);
                Ok(())
            }
            "PixelShuffle" => {
                let with = [
                    AttributeValue::Int("blocksize", layer.count(0, 1)? as u64),
                    AttributeValue::Text(
                        "mode",
                        if layer.count(1, 0)? == 0 {
                            "CRD"
                        } else {
                            "DCR"
                        },
                    ),
                ];
                self.node("DepthToSpace", &from[..1], to, &with);
                Ok(())
            }
            "Interp" => self.interpolation(layer, from[0], to),
            "BinaryOp" => self.binary(layer, from, to),
            "Eltwise" => self.elements(layer, from, to),
            other => Err(format!(
                "expected layers of the kinds {}, found {other} ({})",
                LAYERS.join(", "),
                layer.name
            )),
        }
    }

    fn convolution(
        &mut self,
        layer: &Layer<'_>,
        from: &str,
        groups: usize,
        to: &str,
    ) -> Result<(), String> {
        for (key, what) in [
            (8, "weights in floats, none quantised by ncnn"),
            (18, "borders of zeros"),
            (19, "weights in the file"),
        ] {
            if layer.number(key, 0.0) != 0.0 {
                return Err(layer.wrong(&format!("{key}={}", layer.number(key, 0.0)), what));
            }
        }
        let (count, size) = (layer.count(0, 0)?, layer.count(6, 0)?);
        let wide = layer.count(1, 0)?;
        let tall = layer.count(11, wide)?;
        let each = [count, tall, wide]
            .iter()
            .try_fold(1_usize, |product, side| product.checked_mul(*side))
            .filter(|each| *each > 0 && size > 0 && size.is_multiple_of(*each));
        let Some(each) = each else {
            return Err(layer.wrong(
                &format!("{size} weights, {count} planes of {wide}x{tall}"),
                "as many weights for each",
            ));
        };
        let kernel = self.weights.tagged(size, layer.name)?;
        let kernel = self.weights(layer, "kernel", &[count, size / each, tall, wide], &kernel);
        let mut given = vec![from, kernel.as_str()];
        let bias = match layer.count(5, 0)? {
            0 => None,
            _ => {
                let bias = self.weights.plain(count)?;
                Some(self.weights(layer, "bias", &[count], &bias))
            }
        };
        given.extend(bias.as_deref());
        let left = layer.count(4, 0)?;
        let (top, right) = (layer.count(14, left)?, layer.count(15, left)?);
        let bottom = layer.count(16, top)?;
        let (step, apart) = (layer.count(3, 1)?, layer.count(2, 1)?);
        let [kernel_shape, strides, dilations] = [
            [tall, wide],
            [layer.count(13, step)?, step],
            [layer.count(12, apart)?, apart],
        ]
        .map(|pair| pair.map(|side| side as u64));
        let pads = [top, left, bottom, right].map(|side| side as u64);
        let with = [
            AttributeValue::Ints("kernel_shape", &kernel_shape),
            AttributeValue::Ints("pads", &pads),
            AttributeValue::Ints("strides", &strides),
            AttributeValue::Ints("dilations", &dilations),
            AttributeValue::Int("group", groups as u64),
        ];
        // The activation that ncnn merged into the layer.
        let kind = layer.count(9, 0)?;
        if kind == 0 {
            self.node("Conv", &given, to, &with);
            return Ok(());
        }
        let sum = format!("sum.{}", layer.name);
        self.node("Conv", &given, &sum, &with);
        match (kind, layer.array(10)) {
            (1, _) => self.node("Relu", &[&sum], to, &[]),
            (2, [slope, ..]) => {
                let slope = AttributeValue::Float("alpha", *slope as f32);
                self.node("LeakyRelu", &[&sum], to, &[slope]);
            }
            (3, [low, high, ..]) => {
                let low = self.numbers(layer, "low", &[*low as f32]);
                let high = self.numbers(layer, "high", &[*high as f32]);
                self.node("Clip", &[&sum, &low, &high], to, &[]);
            }
            (4, _) => self.node("Sigmoid", &[&sum], to, &[]),
            (other, given) => {
                return Err(layer.wrong(
                    &format!("activation {other} with {} numbers", given.len()),
                    "none, ReLU, leaky ReLU, clip or sigmoid with its numbers",
                ));
            }
        }
        Ok(())
    }

    fn interpolation(&mut self, layer: &Layer<'_>, from: &str, to: &str) -> Result<(), String> {
        let (kind, tall, wide) = (
            layer.count(0, 0)?,
            layer.number(1, 1.0),
            layer.number(2, 1.0),
        );
        let is_whole = tall == wide && tall >= 1.0 && tall.fract() == 0.0;
        if !is_whole || !matches!(kind, 1 | 2) {
            return Err(layer.wrong(
                &format!("kind {kind} by {tall} x {wide}"),
                "nearest (1) or bilinear (2) enlargement by one whole number",
            ));
        }
        let scales = self.numbers(layer, "scales", &[1.0, 1.0, tall as f32, wide as f32]);
        let place = |name| AttributeValue::Text("coordinate_transformation_mode", name);
        let with = match kind {
            1 => vec![
                AttributeValue::Text("mode", "nearest"),
                place("asymmetric"),
                AttributeValue::Text("nearest_mode", "floor"),
            ],
            _ => vec![
                AttributeValue::Text("mode", "linear"),
                place(match layer.count(6, 0)? {
                    0 => "half_pixel",
                    _ => "align_corners",
                }),
            ],
        };
        self.node("Resize", &[from, "", &scales], to, &with);
        Ok(())
    }

    fn binary(&mut self, layer: &Layer<'_>, from: &[&str], to: &str) -> Result<(), String> {
        const KINDS: [&str; 6] = ["Add", "Sub", "Mul", "Div", "Max", "Min"];
        let kind = layer.count(0, 0)?;
        let Some(operator) = KINDS.get(kind) else {
            return Err(layer.wrong(&kind.to_string(), "an operation of 0 to 5"));
        };
        if layer.count(1, 0)? != 0 {
            let number = self.numbers(layer, "number", &[layer.number(2, 0.0) as f32]);
            self.node(operator, &[from[0], &number], to, &[]);
            return Ok(());
        }
        let [first, second] = from else {
            return Err(layer.wrong(&from.len().to_string(), "two inputs, or one and a number"));
        };
        self.node(operator, &[first, second], to, &[]);
        Ok(())
    }

    /// Product, weighted sum or maximum of several values.
    fn elements(&mut self, layer: &Layer<'_>, from: &[&str], to: &str) -> Result<(), String> {
        let kind = layer.count(0, 0)?;
        let operator = match kind {
            0 => "Mul",
            1 => "Add",
            2 => "Max",
            other => return Err(layer.wrong(&other.to_string(), "an operation of 0 to 2")),
        };
        let factors = layer.array(1);
        if from.len() < 2 || (!factors.is_empty() && factors.len() != from.len()) {
            let found = format!("{} inputs, {} factors", from.len(), factors.len());
            return Err(layer.wrong(&found, "several inputs, and a factor for each or none"));
        }
        let mut terms: Vec<String> = from.iter().map(|name| (*name).to_owned()).collect();
        for (index, (term, factor)) in terms.iter_mut().zip(factors).enumerate() {
            if kind == 1 && *factor != 1.0 {
                let factor = self.numbers(layer, &format!("factor{index}"), &[*factor as f32]);
                let scaled = format!("term.{}.{index}", layer.name);
                self.node("Mul", &[term, &factor], &scaled, &[]);
                *term = scaled;
            }
        }
        let mut total = terms[0].clone();
        for (index, term) in terms.iter().enumerate().skip(1) {
            let name = match index + 1 == terms.len() {
                true => to.to_owned(),
                false => format!("total.{}.{index}", layer.name),
            };
            self.node(operator, &[&total, term], &name, &[]);
            total = name;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "7767517\n3 3\nInput in 0 1 data\nConvolution c 1 1 data a 0=3 1=1 5=1 6=9\nReLU r 1 1 a b\n";

    fn weights() -> Vec<u8> {
        // The word, nine weights of a kernel and three of a bias.
        vec![0; 4 * (1 + 9 + 3)]
    }

    #[test]
    fn what_does_not_fit_is_named() {
        assert_eq!(ncnn_to_onnx(LINES, &weights(), "n").unwrap().parameters, 12);
        let refused = |lines: &str, bin: &[u8]| ncnn_to_onnx(lines, bin, "n").unwrap_err();
        for (from, to, said) in [
            ("7767517", "hello", "begins with 7767517, found 'hello'"),
            ("ReLU", "Softmax", "found Softmax (r)"),
            ("6=9", "6=9000", "does not belong to the layers"),
            ("6=9", "6=10", "as many weights for each"),
            ("6=9", "6=9 8=1", "none quantised by ncnn"),
            ("6=9", "6=9 4=-233", "found 4=-233"),
            ("6=9", "6=9 9=5", "activation 5"),
            ("6=9", "6=9 9=2", "activation 2 with 0 numbers"),
            ("6=9", "nonsense", "found 'nonsense'"),
            ("1 1 a b", "1 1 q b", "found q"),
            ("1 1 a b", "1 1 a a", "no other layer gives"),
            ("1 1 a b", "0 1 b", "an input"),
            ("1 1 a b", "1 9 a b", "the end of the line"),
            (
                "Input in 0 1 data\n",
                "Input in 0 1 data\nInput two 0 1 e\n",
                "one input",
            ),
        ] {
            let found = refused(&LINES.replace(from, to), &weights());
            assert!(found.contains(said), "{to}: {found}");
        }
        let mut long = weights();
        long.extend([0; 4]);
        assert!(refused(LINES, &long).contains("52 bytes of weights, the file of weights has 56"));
        let mut other = weights();
        other[0] = 7;
        assert!(refused(LINES, &other).contains("stored as 0x00000007"));
        assert!(refused("7767517\n0 0\n", &[]).contains("found none"));
        // Cut anywhere, it is an error or a network of fewer layers, and no harm.
        for end in 0..LINES.len() {
            let _ = ncnn_to_onnx(&LINES[..end], &weights(), "n");
        }
    }
}
