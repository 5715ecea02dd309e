//! Network interpolation of two files in eight-bit numbers (ONNX's QDQ form): what [`super::mix`] does for floats, with scales made anew. Pure.
//!
//! Weights and biases are taken back to real numbers, mixed, and rounded to steps of their own again: for weights the greatest of a channel
//! over 127, for a bias the product of the steps that its sum has. What goes from layer to layer gets the range that covers both networks',
//! so that what lies between them is not cut; where both have the same steps, as pictures have, these stay.

use std::collections::HashMap;

use super::mix::{Pair, Tensor};
use super::protobuf::{
    ATTRIBUTE, FLOAT, INITIALIZER, INT8, INT32, INT64, NODE, OPERATOR, UINT8, WireField, all,
    bytes_of, messages,
};

/// Fields of a node: names of what it takes and gives.
const TAKES: u64 = 1;
const GIVES: u64 = 2;
/// Fields of an attribute.
const ATTRIBUTE_NAME: u64 = 1;
const ATTRIBUTE_NUMBER: u64 = 3;
/// Greatest weight in eight bits.
const MOST: f64 = 127.0;

/// The file whose weights lie between those of `first` and `second`, `share` (0 to 1) of the way, in eight-bit numbers as they are.
///
/// # Errors
/// How the two differ, if they are not the same network in eight-bit numbers, or what there is that is not understood.
pub(crate) fn mix_int8(first: &[u8], second: &[u8], share: f64) -> Result<Vec<u8>, String> {
    let pair = Pair::read(first, second)?;
    let (constants, others) = (constants(&pair.graph)?, constants(&pair.other)?);
    let new = Mixing {
        constants: &constants,
        others: &others,
        share,
        new: HashMap::new(),
    }
    .network(&pair.graph)?;
    pair.rewritten(|bytes| {
        let name = Tensor::read(bytes)?.name;
        let (constant, partner) = (&constants[name], others.get(name));
        match new.get(name) {
            Some(values) => Ok(constant.tensor.with(&constant.encoded(values))),
            None if partner.is_some_and(|partner| partner.values == constant.values) => {
                Ok(bytes.to_vec())
            }
            None => Err(format!(
                "expected the same numbers in {}, found others",
                words(name)
            )),
        }
    })
}

fn words(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// A constant and its numbers.
struct Constant<'a> {
    tensor: Tensor<'a>,
    values: Vec<f64>,
}

impl Constant<'_> {
    /// `values` in its type, little-endian. They are whole and in its range where its type is.
    fn encoded(&self, values: &[f64]) -> Vec<u8> {
        let each = |value: f64| -> Vec<u8> {
            match self.tensor.element {
                FLOAT => (value as f32).to_le_bytes().to_vec(),
                UINT8 => vec![value as u8],
                INT8 => (value as i8).to_le_bytes().to_vec(),
                _ => (value as i32).to_le_bytes().to_vec(),
            }
        };
        values.iter().flat_map(|value| each(*value)).collect()
    }
}

type Constants<'a> = HashMap<&'a [u8], Constant<'a>>;

fn constants<'a>(graph: &[(u64, WireField<'a>)]) -> Result<Constants<'a>, String> {
    let mut found = HashMap::new();
    for bytes in bytes_of(graph, INITIALIZER) {
        let tensor = Tensor::read(bytes)?;
        let values = numbers(&tensor)?;
        found.insert(tensor.name, Constant { tensor, values });
    }
    Ok(found)
}

/// The numbers of `tensor`, as many as its shape has.
fn numbers(tensor: &Tensor<'_>) -> Result<Vec<f64>, String> {
    let name = || words(tensor.name);
    let bytes = &tensor.values;
    let values: Vec<f64> = match (tensor.element, &tensor.numbers) {
        (INT8 | UINT8 | INT32, Some(numbers)) if bytes.is_empty() => {
            numbers.iter().map(|number| *number as f64).collect()
        }
        (_, Some(_)) => {
            return Err(format!(
                "expected numbers in one place, found several in {}",
                name()
            ));
        }
        (FLOAT, None) => chunks(bytes)
            .map(|four| f64::from(f32::from_le_bytes(four)))
            .collect(),
        (INT32, None) => chunks(bytes)
            .map(|four| f64::from(i32::from_le_bytes(four)))
            .collect(),
        (INT64, None) => chunks(bytes)
            .map(|eight| i64::from_le_bytes(eight) as f64)
            .collect(),
        (UINT8, None) => bytes.iter().map(|byte| f64::from(*byte)).collect(),
        (INT8, None) => bytes.iter().map(|byte| f64::from(*byte as i8)).collect(),
        (element, None) => {
            return Err(format!(
                "expected floats and whole numbers, found {} of ONNX's type {element}",
                name()
            ));
        }
    };
    let count = tensor.sides.iter().try_fold(1_usize, |size, side| {
        size.checked_mul(usize::try_from(*side).ok()?)
    });
    match count == Some(values.len()) {
        true => Ok(values),
        false => Err(format!(
            "expected as many values as its shape {:?} has, found {} in {}",
            tensor.sides,
            values.len(),
            name()
        )),
    }
}

fn chunks<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes
        .chunks_exact(N)
        .map(|part| <[u8; N]>::try_from(part).unwrap_or([0; N]))
}

/// A node: its operator, what it takes and what it gives, and its axis.
struct Node<'a> {
    operator: &'a [u8],
    takes: Vec<&'a [u8]>,
    gives: Vec<&'a [u8]>,
    axis: Option<u64>,
}

fn node(bytes: &[u8]) -> Node<'_> {
    let axis = messages(bytes, ATTRIBUTE).find_map(|attribute| {
        let fields = all(attribute).ok()?;
        let named = bytes_of(&fields, ATTRIBUTE_NAME).any(|name| name == b"axis");
        named.then(|| {
            fields.iter().find_map(|(number, field)| match field {
                WireField::Number(value) if *number == ATTRIBUTE_NUMBER => Some(*value),
                _ => None,
            })
        })?
    });
    Node {
        operator: messages(bytes, OPERATOR).next().unwrap_or_default(),
        takes: messages(bytes, TAKES).collect(),
        gives: messages(bytes, GIVES).collect(),
        axis,
    }
}

/// `real` in whole `steps`, each of which is that of as many numbers one after the other, none beyond `most`.
fn rounded(real: &[f64], steps: &[f64], most: f64) -> Vec<f64> {
    let each = (real.len() / steps.len().max(1)).max(1);
    let whole = |(i, value): (usize, &f64)| (value / steps[i / each]).round().clamp(-most, most);
    real.iter().enumerate().map(whole).collect()
}

/// What is made of the constants of two networks.
struct Mixing<'a> {
    constants: &'a Constants<'a>,
    others: &'a Constants<'a>,
    share: f64,
    new: HashMap<&'a [u8], Vec<f64>>,
}

impl<'a> Mixing<'a> {
    /// The new numbers of what changes, by name.
    fn network(
        mut self,
        graph: &[(u64, WireField<'a>)],
    ) -> Result<HashMap<&'a [u8], Vec<f64>>, String> {
        let nodes: Vec<Node<'a>> = bytes_of(graph, NODE).map(node).collect();
        let is_constant = |name: &[u8]| self.constants.contains_key(name);
        let (mut weights, mut biases, mut steps) = (HashMap::new(), Vec::new(), HashMap::new());
        let mut activations = Vec::new();
        for node in &nodes {
            if !matches!(node.operator, b"QuantizeLinear" | b"DequantizeLinear") {
                continue;
            }
            let (&[value, scale, zero], &[given]) = (&node.takes[..], &node.gives[..]) else {
                return Err("expected numbers in eight bits to have a zero, found none".to_owned());
            };
            if !is_constant(value) {
                activations.push((scale, zero));
                steps.insert(given, scale);
            } else if self.constants[value].tensor.element == INT32 {
                biases.push((given, value, scale));
            } else {
                self.weight(value, scale, zero, node.axis)?;
                weights.insert(given, scale);
            }
        }
        for (scale, zero) in activations {
            self.activation(scale, zero)?;
        }
        for (given, value, scale) in biases {
            let user = nodes
                .iter()
                .find(|node| node.takes.get(2) == Some(&given))
                .ok_or("expected a layer for each bias, found none")?;
            let (step, weight) = (steps.get(user.takes[0]), weights.get(user.takes[1]));
            let (Some(step), Some(weight)) = (step, weight) else {
                return Err("expected a layer of weights in eight bits, found another".to_owned());
            };
            self.bias(value, scale, step, weight)?;
        }
        Ok(self.new)
    }

    /// The numbers of `name` in both.
    fn both(&self, name: &[u8]) -> Result<(&'a [f64], &'a [f64]), String> {
        let pair = self.constants.get(name).zip(self.others.get(name));
        match pair {
            Some((one, other))
                if (one.tensor.element, &one.tensor.sides)
                    == (other.tensor.element, &other.tensor.sides) =>
            {
                Ok((&one.values, &other.values))
            }
            _ => Err(format!(
                "expected weights of the same shape, found {} of two",
                words(name)
            )),
        }
    }

    /// What `name` has been made, or what it is in the first.
    fn current(&self, name: &[u8]) -> &[f64] {
        self.new
            .get(name)
            .map_or_else(|| &self.constants[name].values[..], Vec::as_slice)
    }

    /// Real numbers between those of `value` in both, whose steps are `scale`: one, or one for each of the first side.
    fn between(&self, value: &[u8], scale: &[u8]) -> Result<Vec<f64>, String> {
        let ((a, b), (s, t)) = (self.both(value)?, self.both(scale)?);
        if s.is_empty() || !a.len().is_multiple_of(s.len()) {
            return Err(format!(
                "expected a step for each channel, found {} for {} numbers of {}",
                s.len(),
                a.len(),
                words(value)
            ));
        }
        let each = (a.len() / s.len()).max(1);
        let real =
            |i: usize| (1.0 - self.share) * a[i] * s[i / each] + self.share * b[i] * t[i / each];
        Ok((0..a.len()).map(real).collect())
    }

    fn weight(
        &mut self,
        value: &'a [u8],
        scale: &'a [u8],
        zero: &[u8],
        axis: Option<u64>,
    ) -> Result<(), String> {
        let (zeros, other_zeros) = self.both(zero)?;
        let channels = self.both(scale)?.0.len();
        if self.constants[value].tensor.element != INT8
            || zeros.iter().chain(other_zeros).any(|zero| *zero != 0.0)
            || (channels > 1 && axis != Some(0))
        {
            return Err(format!(
                "expected weights of eight bits around 0 with steps for their first side, found others in {}",
                words(value)
            ));
        }
        let real = self.between(value, scale)?;
        let each = (real.len() / channels).max(1);
        let steps: Vec<f64> = real
            .chunks(each)
            .map(|channel| {
                let most = channel.iter().fold(0.0_f64, |most, w| most.max(w.abs()));
                // As it will be read: in floats of 32 bits. A channel of nothing keeps a step that can be divided by.
                f64::from((most.max(1e-12) / MOST) as f32)
            })
            .collect();
        self.new.insert(value, rounded(&real, &steps, MOST));
        self.new.insert(scale, steps);
        Ok(())
    }

    fn activation(&mut self, scale: &'a [u8], zero: &'a [u8]) -> Result<(), String> {
        let ((s, t), (z, y)) = (self.both(scale)?, self.both(zero)?);
        let (&[s], &[t], &[z], &[y]) = (s, t, z, y) else {
            return Err(format!(
                "expected one step for what goes from layer to layer, found {} in {}",
                s.len(),
                words(scale)
            ));
        };
        if (s, z) == (t, y) {
            return Ok(());
        }
        if self.constants[zero].tensor.element != UINT8 {
            return Err(format!(
                "expected bytes from layer to layer, found another type in {}",
                words(zero)
            ));
        }
        let least = (-z * s).min(-y * t);
        let most = ((255.0 - z) * s).max((255.0 - y) * t);
        let step = f64::from(((most - least) / 255.0) as f32);
        self.new.insert(scale, vec![step]);
        self.new
            .insert(zero, vec![(-least / step).round().clamp(0.0, 255.0)]);
        Ok(())
    }

    fn bias(
        &mut self,
        value: &'a [u8],
        scale: &'a [u8],
        step: &[u8],
        weight: &[u8],
    ) -> Result<(), String> {
        let real = self.between(value, scale)?;
        let steps = self.current(step)[0];
        let steps: Vec<f64> = self
            .current(weight)
            .iter()
            .map(|weight| f64::from((steps * weight) as f32))
            .collect();
        if steps.len() != self.both(scale)?.0.len() {
            return Err(format!(
                "expected a step for each channel, found {} in {}",
                steps.len(),
                words(scale)
            ));
        }
        let whole = rounded(&real, &steps, f64::from(i32::MAX));
        self.new.insert(value, whole);
        self.new.insert(scale, steps);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::protobuf::{GRAPH, one};
    use super::*;

    fn file(name: &str) -> Vec<u8> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        std::fs::read(folder.join(name)).unwrap()
    }

    fn read(file: &[u8]) -> HashMap<String, (Vec<i64>, Vec<f64>)> {
        let fields = all(file).unwrap();
        let graph = all(one(&fields, GRAPH, "graph").unwrap()).unwrap();
        let found = constants(&graph).unwrap();
        found
            .into_iter()
            .map(|(name, constant)| (words(name), (constant.tensor.sides, constant.values)))
            .collect()
    }

    /// The real numbers of `value`, whose steps are `scale`.
    fn real(
        of: &HashMap<String, (Vec<i64>, Vec<f64>)>,
        value: &str,
        scale: &str,
    ) -> (Vec<f64>, Vec<f64>) {
        let (steps, values) = (&of[scale].1, &of[value].1);
        let each = values.len() / steps.len();
        let numbers = values.iter().enumerate();
        (
            numbers.map(|(i, v)| v * steps[i / each]).collect(),
            (0..values.len()).map(|i| steps[i / each]).collect(),
        )
    }

    #[test]
    fn every_weight_lies_between_to_half_a_step() {
        let (first, second) = (
            file("general-x4-camera.int8.onnx"),
            file("general-x4-natural.int8.onnx"),
        );
        let mixed = mix_int8(&first, &second, 0.3).unwrap();
        let (first, second, mixed) = (read(&first), read(&second), read(&mixed));
        assert_eq!(first.len(), mixed.len());
        let mut seen = 0;
        for (value, scale) in mixed.keys().filter_map(|name| {
            let weight = name.strip_suffix("_quantized")?;
            let scales = [format!("{weight}_scale"), format!("{name}_scale")];
            let scale = scales.into_iter().find(|s| mixed.contains_key(s))?;
            Some((name, scale))
        }) {
            let (a, _) = real(&first, value, &scale);
            let (b, _) = real(&second, value, &scale);
            let (found, steps) = real(&mixed, value, &scale);
            for i in 0..found.len() {
                let wanted = 0.7 * a[i] + 0.3 * b[i];
                assert!(
                    (found[i] - wanted).abs() <= 0.5001 * steps[i],
                    "{value} {i}"
                );
            }
            // All seven bits are used.
            if value.contains("weight") {
                let most = mixed[value].1.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
                assert_eq!(most, 127.0, "{value}");
            }
            seen += 1;
        }
        assert_eq!(seen, 28, "weights and biases of 14 layers");
        // What goes from layer to layer has room for both; pictures keep their steps.
        for name in ["features", "body.5.relu", "tail"] {
            let range = |of: &HashMap<String, (Vec<i64>, Vec<f64>)>| {
                let step = of[&format!("{name}_scale")].1[0];
                let zero = of[&format!("{name}_zero_point")].1[0];
                (-zero * step, (255.0 - zero) * step, step)
            };
            let (one, other, new) = (range(&first), range(&second), range(&mixed));
            assert!(new.0 <= one.0.min(other.0) + new.2 && new.1 >= one.1.max(other.1) - new.2);
        }
        assert_eq!(mixed["input_scale"], first["input_scale"]);
        // A bias has the steps of what it is added to.
        let steps = &mixed["body.0.bias_quantized_scale"].1;
        for (i, step) in steps.iter().enumerate() {
            let product = mixed["features_scale"].1[0] * mixed["body.0.weight_scale"].1[i];
            assert!((step / product - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn one_network_alone_stays_as_it_is() {
        let first = file("face-x4.int8.onnx");
        let mixed = mix_int8(&first, &first, 0.4).unwrap();
        let (first, mixed) = (read(&first), read(&mixed));
        for (value, scale) in [
            ("head.weight_quantized", "head.weight_scale"),
            ("body.3.bias_quantized", "body.3.bias_quantized_scale"),
        ] {
            let (a, _) = real(&first, value, scale);
            let (b, steps) = real(&mixed, value, scale);
            assert!((0..a.len()).all(|i| (a[i] - b[i]).abs() <= 0.5001 * steps[i]));
        }
        assert_eq!(first["body.7.relu_scale"], mixed["body.7.relu_scale"]);
    }

    #[test]
    fn other_networks_and_damaged_files_are_refused() {
        let (first, floats) = (file("general-x4.int8.onnx"), file("general-x4.onnx"));
        let quality = file("general-x4-quality.int8.onnx");
        for other in [&floats, &quality] {
            let found = mix_int8(&first, other, 0.5).unwrap_err();
            assert!(found.contains("same layers"), "{found}");
        }
        let found = mix_int8(&floats, &file("general-x4-camera.onnx"), 0.5).unwrap_err();
        assert!(found.contains("the same numbers"), "{found}");
        for end in (0..first.len()).step_by(911) {
            assert!(mix_int8(&first, &first[..end], 0.5).is_err(), "{end}");
        }
        for place in (0..first.len()).step_by(397) {
            let mut bent = first.clone();
            bent[place] ^= 0x15;
            // Refused or mixed, never a panic.
            let _ = mix_int8(&first, &bent, 0.5);
            let _ = mix_int8(&bent, &first, 0.5);
        }
    }
}
