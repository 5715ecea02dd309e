//! Protocol buffers, as far as ONNX files need them: reading and writing fields. Field numbers and element types are those of
//! onnx.proto.

/// Fields of a model.
pub(super) const IR_VERSION: u64 = 1;
pub(super) const PRODUCER: u64 = 2;
pub(super) const GRAPH: u64 = 7;
pub(super) const OPSET: u64 = 8;
/// Fields of a graph.
pub(super) const NODE: u64 = 1;
pub(super) const GRAPH_NAME: u64 = 2;
pub(super) const INITIALIZER: u64 = 5;
pub(super) const INPUT: u64 = 11;
pub(super) const OUTPUT: u64 = 12;
pub(super) const SPARSE_INITIALIZER: u64 = 15;
/// Fields of a node.
pub(super) const OPERATOR: u64 = 4;
pub(super) const ATTRIBUTE: u64 = 5;
/// Fields of an attribute.
pub(super) const ATTRIBUTE_TENSOR: u64 = 5;
pub(super) const ATTRIBUTE_GRAPH: u64 = 6;
/// Fields of a tensor.
pub(super) const DATA_TYPE: u64 = 2;
pub(super) const TENSOR_NAME: u64 = 8;
pub(super) const EXTERNAL_DATA: u64 = 13;
pub(super) const DATA_LOCATION: u64 = 14;
/// Element types.
pub(super) const FLOAT: u64 = 1;
pub(super) const UINT8: u64 = 2;
pub(super) const INT8: u64 = 3;
pub(super) const INT32: u64 = 6;
pub(super) const INT64: u64 = 7;
pub(super) const FLOAT16: u64 = 10;

#[derive(Clone, Copy)]
pub(super) enum WireField<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

/// The fields of a message, up to the first that is damaged.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

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

    /// What is left, as numbers one after the other.
    pub(super) fn numbers(mut self) -> impl Iterator<Item = i64> {
        std::iter::from_fn(move || self.number().map(|value| value as i64))
    }

    fn bytes(&mut self, count: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, WireField<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let tag = self.number()?;
        let field = match tag & 7 {
            0 => WireField::Number(self.number()?),
            1 => self.bytes(8).map(|_| WireField::Other)?,
            2 => {
                let count = self.number()?;
                WireField::Bytes(self.bytes(count)?)
            }
            5 => self.bytes(4).map(|_| WireField::Other)?,
            _ => return None,
        };
        Some((tag >> 3, field))
    }
}

pub(super) fn messages(bytes: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    Fields(bytes).filter_map(move |(found, field)| match field {
        WireField::Bytes(bytes) if found == number => Some(bytes),
        _ => None,
    })
}

/// Every field of a message; the error says that it is damaged.
pub(super) fn all(bytes: &[u8]) -> Result<Vec<(u64, WireField<'_>)>, String> {
    let mut fields = Fields(bytes);
    let mut found = Vec::new();
    while !fields.0.is_empty() {
        match fields.next() {
            // What `Other` stands for does not occur at the levels that are copied.
            Some((_, WireField::Other)) | None => return Err("the file is damaged".to_owned()),
            Some(field) => found.push(field),
        }
    }
    Ok(found)
}

pub(super) fn bytes_of<'a>(
    fields: &[(u64, WireField<'a>)],
    number: u64,
) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter_map(move |(found, field)| match field {
        WireField::Bytes(bytes) if *found == number => Some(*bytes),
        _ => None,
    })
}

pub(super) fn one<'a>(
    fields: &[(u64, WireField<'a>)],
    number: u64,
    what: &str,
) -> Result<&'a [u8], String> {
    let mut found = bytes_of(fields, number);
    match (found.next(), found.next()) {
        (Some(bytes), None) => Ok(bytes),
        _ => Err(format!("the file has not one {what}")),
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn put_number(out: &mut Vec<u8>, number: u64, value: u64) {
    put_varint(out, number << 3);
    put_varint(out, value);
}

pub(super) fn put_float(out: &mut Vec<u8>, number: u64, value: f32) {
    put_varint(out, number << 3 | 5);
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_message(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(out, number << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(super) fn put(out: &mut Vec<u8>, number: u64, field: &WireField<'_>) {
    match field {
        WireField::Number(value) => put_number(out, number, *value),
        WireField::Bytes(bytes) => put_message(out, number, bytes),
        WireField::Other => {}
    }
}
