//! The little that is read out of an ONNX file without the runtime: whether its weights are 16-bit floats.
//!
//! The file is a protocol buffer. Field numbers are those of onnx.proto: graph 7 of the model, initializer 5 of the graph,
//! `data_type` 2 of a tensor, where 10 is `FLOAT16`.

const GRAPH: u64 = 7;
const INITIALIZER: u64 = 5;
const DATA_TYPE: u64 = 2;
const FLOAT16: u64 = 10;

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

/// The fields of a message, up to the first that is damaged.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn bytes(&mut self, count: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let tag = self.number()?;
        let field = match tag & 7 {
            0 => Field::Number(self.number()?),
            1 => self.bytes(8).map(|_| Field::Other)?,
            2 => {
                let count = self.number()?;
                Field::Bytes(self.bytes(count)?)
            }
            5 => self.bytes(4).map(|_| Field::Other)?,
            _ => return None,
        };
        Some((tag >> 3, field))
    }
}

fn messages(bytes: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    Fields(bytes).filter_map(move |(found, field)| match field {
        Field::Bytes(bytes) if found == number => Some(bytes),
        _ => None,
    })
}

/// Whether any weight in the file `model` is a 16-bit float: the network then computes in half precision, whatever its inputs
/// and outputs are.
pub(super) fn has_half(model: &[u8]) -> bool {
    messages(model, GRAPH)
        .flat_map(|graph| messages(graph, INITIALIZER))
        .any(|tensor| {
            Fields(tensor).any(|(number, field)| {
                number == DATA_TYPE && matches!(field, Field::Number(FLOAT16))
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_seen_in_the_file() {
        let tiny = |name: &str| {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny");
            std::fs::read(folder.join(name)).unwrap()
        };
        let half = tiny("half-x4.onnx");
        assert!(has_half(&half));
        assert!(!has_half(&tiny("bicubic-x4.onnx")));
        assert!(!has_half(&tiny("rubbish.onnx")));
        // Cut anywhere, it is still read without harm.
        for end in 0..half.len().min(600) {
            has_half(&half[..end]);
        }
        assert!(!has_half(&[]) && !has_half(&[0xff; 40]));
    }
}
