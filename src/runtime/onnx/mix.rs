//! Network interpolation (Wang et al., "ESRGAN", 2018, section 3.4): of two files with the same network one whose every weight lies between
//! theirs.

use std::collections::HashMap;

use super::protobuf::{
    DATA_LOCATION, DATA_TYPE, EXTERNAL_DATA, FLOAT, Fields, GRAPH, GRAPH_NAME, INITIALIZER, INT64,
    SPARSE_INITIALIZER, TENSOR_NAME, WireField, all, bytes_of, one, put, put_message, put_number,
};

/// Field of a graph that only people read.
const GRAPH_WORDS: u64 = 10;
/// Fields of a tensor: its sides, and its values as floats and as bytes.
const SIDES: u64 = 1;
const FLOAT_VALUES: u64 = 4;
const INT32_VALUES: u64 = 5;
const RAW_VALUES: u64 = 9;

/// The file whose weights are (1 - `share`) times those of `first` and `share` times those of `second`; all else is as in `first`. Weights are
/// reckoned in floats of 64 bits and rounded once.
///
/// # Errors
/// How the two differ, if they are not the same network in floats of 32 bits.
pub(crate) fn mix(first: &[u8], second: &[u8], share: f64) -> Result<Vec<u8>, String> {
    let pair = Pair::read(first, second)?;
    let mut others = HashMap::new();
    for tensor in bytes_of(&pair.other, INITIALIZER) {
        let tensor = Tensor::read(tensor)?;
        others.insert(tensor.name, tensor);
    }
    let mut mixed = 0;
    let written = pair.rewritten(|bytes| {
        let tensor = Tensor::read(bytes)?;
        let name = String::from_utf8_lossy(tensor.name);
        let Some(partner) = others.remove(tensor.name) else {
            return Err(format!(
                "expected the same weights, found {name} in one alone"
            ));
        };
        if (tensor.element, &tensor.sides) != (partner.element, &partner.sides) {
            return Err(format!(
                "expected weights of the same shape, found {name} of {:?} and of {:?}",
                tensor.sides, partner.sides
            ));
        }
        if tensor.element == FLOAT {
            mixed += 1;
            tensor.mixed(&partner, share)
        } else if tensor.element == INT64 {
            // Sizes and places, not weights.
            if (&tensor.values, &tensor.numbers) != (&partner.values, &partner.numbers) {
                return Err(format!("expected the same numbers in {name}, found others"));
            }
            Ok(bytes.to_vec())
        } else {
            Err(format!(
                "expected weights in floats of 32 bits, found {name} of ONNX's type {}",
                tensor.element
            ))
        }
    })?;
    if let Some(name) = others.into_keys().next() {
        let name = String::from_utf8_lossy(name);
        return Err(format!(
            "expected the same weights, found {name} in one alone"
        ));
    }
    if mixed == 0 {
        return Err("expected weights, found none".to_owned());
    }
    Ok(written)
}

/// Two files of the same network, whose graphs differ in weights and words alone.
pub(super) struct Pair<'a> {
    fields: Vec<(u64, WireField<'a>)>,
    /// Fields of the graph of the first, and of the second.
    pub(super) graph: Vec<(u64, WireField<'a>)>,
    pub(super) other: Vec<(u64, WireField<'a>)>,
}

impl<'a> Pair<'a> {
    pub(super) fn read(first: &'a [u8], second: &'a [u8]) -> Result<Self, String> {
        let (fields, other_fields) = (all(first)?, all(second)?);
        let graph = all(one(&fields, GRAPH, "graph")?)?;
        let other = all(one(&other_fields, GRAPH, "graph")?)?;
        for parts in [&graph, &other] {
            if bytes_of(parts, SPARSE_INITIALIZER).next().is_some() {
                return Err("expected weights one by one, found sparse ones".to_owned());
            }
        }
        same_structure(&graph, &other)?;
        Ok(Self {
            fields,
            graph,
            other,
        })
    }

    /// The first file with what `constant` makes of each of its constants, all else as it is.
    pub(super) fn rewritten(
        &self,
        mut constant: impl FnMut(&'a [u8]) -> Result<Vec<u8>, String>,
    ) -> Result<Vec<u8>, String> {
        let mut graph = Vec::new();
        for (number, field) in &self.graph {
            match (*number, field) {
                (INITIALIZER, WireField::Bytes(bytes)) => {
                    put_message(&mut graph, INITIALIZER, &constant(bytes)?);
                }
                (number, field) => put(&mut graph, number, field),
            }
        }
        let mut written = Vec::new();
        for (number, field) in &self.fields {
            match *number {
                GRAPH => put_message(&mut written, GRAPH, &graph),
                number => put(&mut written, number, field),
            }
        }
        Ok(written)
    }
}

/// Whether all but weights and words is the same, in the same order.
fn same_structure(
    first: &[(u64, WireField<'_>)],
    second: &[(u64, WireField<'_>)],
) -> Result<(), String> {
    let counts = |number: &u64| ![INITIALIZER, GRAPH_NAME, GRAPH_WORDS].contains(number);
    let parts = |fields: &[(u64, WireField<'_>)]| -> Vec<Vec<u8>> {
        let counted = fields.iter().filter(|(number, _)| counts(number));
        counted
            .map(|(number, field)| {
                let mut part = Vec::new();
                put(&mut part, *number, field);
                part
            })
            .collect()
    };
    let (first, second) = (parts(first), parts(second));
    if first == second {
        return Ok(());
    }
    let place = first.iter().zip(&second).position(|(a, b)| a != b);
    Err(format!(
        "expected two networks of the same layers, found {} and {} parts of which the {}. differ",
        first.len(),
        second.len(),
        place.unwrap_or_else(|| first.len().min(second.len())) + 1
    ))
}

/// A constant of a graph.
pub(super) struct Tensor<'a> {
    pub(super) name: &'a [u8],
    pub(super) element: u64,
    pub(super) sides: Vec<i64>,
    /// Values as bytes, little-endian; where they lie in a field for another type, that field, as it is.
    pub(super) values: Vec<u8>,
    /// Values that lie in the field for whole numbers of up to 32 bits.
    pub(super) numbers: Option<Vec<i64>>,
}

impl<'a> Tensor<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let mut tensor = Self {
            name: b"",
            element: 0,
            sides: Vec::new(),
            values: Vec::new(),
            numbers: None,
        };
        let mut fields = Fields(bytes);
        while !fields.0.is_empty() {
            let Some((number, field)) = fields.next() else {
                return Err("the file is damaged".to_owned());
            };
            match (number, field) {
                (SIDES, WireField::Number(side)) => tensor.sides.push(side as i64),
                (SIDES, WireField::Bytes(packed)) => tensor.sides.extend(Fields(packed).numbers()),
                (DATA_TYPE, WireField::Number(element)) => tensor.element = element,
                (TENSOR_NAME, WireField::Bytes(name)) => tensor.name = name,
                (EXTERNAL_DATA, _) | (DATA_LOCATION, WireField::Number(1)) => {
                    return Err("its weights lie in another file".to_owned());
                }
                // One after the other, which is the same in both fields.
                (FLOAT_VALUES | RAW_VALUES, WireField::Bytes(values)) => {
                    tensor.values.extend_from_slice(values);
                }
                (INT32_VALUES, WireField::Bytes(packed)) => {
                    let numbers = tensor.numbers.get_or_insert_default();
                    numbers.extend(Fields(packed).numbers());
                }
                (INT32_VALUES, WireField::Number(number)) => {
                    let numbers = tensor.numbers.get_or_insert_default();
                    numbers.push(number as i64);
                }
                (number, field) if (4..12).contains(&number) => {
                    put(&mut tensor.values, number, &field);
                }
                _ => {}
            }
        }
        Ok(tensor)
    }

    /// It with its values between its own and those of `other`.
    fn mixed(&self, other: &Self, share: f64) -> Result<Vec<u8>, String> {
        let count = self.sides.iter().try_fold(4_usize, |size, side| {
            size.checked_mul(usize::try_from(*side).ok()?)
        });
        if count != Some(self.values.len()) || count != Some(other.values.len()) {
            let name = String::from_utf8_lossy(self.name);
            return Err(format!(
                "expected as many values as its shape {:?} has, found others in {name}",
                self.sides
            ));
        }
        let value =
            |four: &[u8]| f64::from(f32::from_le_bytes([four[0], four[1], four[2], four[3]]));
        let pairs = self
            .values
            .chunks_exact(4)
            .zip(other.values.chunks_exact(4));
        let values: Vec<u8> = pairs
            .flat_map(|(a, b)| (((1.0 - share) * value(a) + share * value(b)) as f32).to_le_bytes())
            .collect();
        Ok(self.with(&values))
    }

    /// It with the bytes `values` in place of its own.
    pub(super) fn with(&self, values: &[u8]) -> Vec<u8> {
        let mut written = Vec::with_capacity(values.len() + 64);
        for side in &self.sides {
            put_number(&mut written, SIDES, *side as u64);
        }
        put_number(&mut written, DATA_TYPE, self.element);
        put_message(&mut written, TENSOR_NAME, self.name);
        put_message(&mut written, RAW_VALUES, values);
        written
    }
}

#[cfg(test)]
mod tests {
    use super::super::ncnn_to_onnx;
    use super::*;

    /// A small network whose weights are `weights`, thirteen of them.
    fn network(layers: &str, weights: &[f32]) -> Vec<u8> {
        let lines = format!("7767517\n3 3\nInput in 0 1 data\n{layers}");
        let mut bin = vec![0; 4];
        bin.extend(weights.iter().flat_map(|weight| weight.to_le_bytes()));
        ncnn_to_onnx(&lines, &bin, "n").unwrap().model
    }

    const LAYERS: &str = "Convolution c 1 1 data a 0=3 1=1 5=1 6=9\nReLU r 1 1 a b\n";

    #[test]
    fn every_weight_lies_between() {
        let weights = |of: f32| -> Vec<f32> { (0..12).map(|i| of * (0.1 + i as f32)).collect() };
        let (first, second) = (weights(1.0), weights(-3.7));
        let mixed = mix(&network(LAYERS, &first), &network(LAYERS, &second), 0.3).unwrap();
        let expected: Vec<f32> = first
            .iter()
            .zip(&second)
            .map(|(a, b)| (0.7 * f64::from(*a) + 0.3 * f64::from(*b)) as f32)
            .collect();
        assert_eq!(mixed, network(LAYERS, &expected));
        // Without a share of the other it is the first, and the other way round.
        for (share, whole) in [(0.0, &first), (1.0, &second)] {
            let mixed = mix(&network(LAYERS, &first), &network(LAYERS, &second), share);
            assert_eq!(mixed.unwrap(), network(LAYERS, whole));
        }
    }

    #[test]
    fn other_networks_are_refused_with_the_reason() {
        let first = network(LAYERS, &[0.5; 12]);
        let refused = |other: &[u8]| mix(&first, other, 0.5).unwrap_err();
        let other = network(&LAYERS.replace("ReLU", "Sigmoid"), &[0.5; 12]);
        assert!(refused(&other).contains("same layers"));
        let other = network(&LAYERS.replace(" c ", " d "), &[0.5; 12]);
        assert!(refused(&other).contains("same layers"));
        let wide = LAYERS.replace("0=3 1=1 5=1 6=9", "0=4 1=1 5=1 6=12");
        let found = refused(&network(&wide, &[0.5; 16]));
        assert!(
            found.contains("[3, 3, 1, 1] and of [4, 3, 1, 1]"),
            "{found}"
        );
        let tiny = |name: &str| {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny");
            std::fs::read(folder.join(name)).unwrap()
        };
        let half = tiny("half-x4.onnx");
        let found = mix(&half, &half, 0.5).unwrap_err();
        assert!(found.contains("32 bits"), "{found}");
        assert!(mix(&first, &tiny("rubbish.onnx"), 0.5).is_err());
        // Cut anywhere, it is refused, or read without harm where only what comes after the graph is lacking.
        for end in 0..first.len() {
            let (one, other) = (
                mix(&first, &first[..end], 0.5),
                mix(&first[..end], &first, 0.5),
            );
            assert!(
                end > first.len() - 16 || (one.is_err() && other.is_err()),
                "{end}"
            );
        }
    }
}
