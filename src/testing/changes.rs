//! Damage to files and streams, for tests of what reads them: bits turned over, bytes set, parts cut out, doubled, moved and put in.

/// One damage: which kind, where, how long, and what.
pub type Change = (u8, u32, u32, u64);

/// Numbers at which readers go wrong.
const NUMBERS: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// `original` with `changes` done to it, one after the other. Any numbers are changes; the result has at most twice the bytes and 64 for
/// each change.
pub fn changed(original: &[u8], changes: &[Change]) -> Vec<u8> {
    let most = 2 * original.len();
    let mut bytes = original.to_vec();
    for &(kind, place, length, what) in changes {
        let at = place as usize % (bytes.len() + 1);
        let end = (at + 1 + length as usize % 64).min(bytes.len());
        match kind % 9 {
            // A bit.
            0 if at < bytes.len() => bytes[at] ^= 1 << (what % 8),
            // A byte.
            1 if at < bytes.len() => bytes[at] = what as u8,
            // The rest is cut off.
            2 => bytes.truncate(at),
            // A part is cut out,
            3 => drop(bytes.drain(at..end)),
            // doubled,
            4 if bytes.len() + end - at <= most => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            // moved,
            5 => {
                let part: Vec<u8> = bytes.drain(at..end).collect();
                let to = what as usize % (bytes.len() + 1);
                bytes.splice(to..to, part);
            }
            // or made of one byte.
            6 => bytes[at..end].fill(what as u8),
            // A number in one of the ways that files have them: with the least byte first or last, seven bits a byte, or in digits.
            7 => put(
                &mut bytes,
                at,
                NUMBERS[what as usize % NUMBERS.len()],
                length,
            ),
            8 => put(&mut bytes, at, what, length),
            _ => {}
        }
    }
    bytes
}

/// Writes `number` over what is at `at`, or puts it in.
fn put(bytes: &mut Vec<u8>, at: usize, number: u64, how: u32) {
    let written: Vec<u8> = match how % 5 {
        0 => number.to_le_bytes().to_vec(),
        1 => number.to_be_bytes().to_vec(),
        2 => (number as u32).to_be_bytes().to_vec(),
        3 => number.to_string().into_bytes(),
        _ => {
            let (mut left, mut written) = (number, Vec::new());
            while left >= 0x80 {
                written.push(left as u8 | 0x80);
                left >>= 7;
            }
            written.push(left as u8);
            written
        }
    };
    let end = if (how / 5).is_multiple_of(2) {
        (at + written.len()).min(bytes.len())
    } else {
        at
    };
    bytes.splice(at..end, written);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn any_numbers_are_changes() {
        let mut random = Random(0x1234_5678_9abc_def1);
        let mut different = 0;
        for round in 0..3000 {
            let original: Vec<u8> = (0..random.below(90)).map(|at| at as u8).collect();
            let mut any = || random.below(usize::MAX) as u64;
            let changes: Vec<Change> = (0..round % 7)
                .map(|_| (any() as u8, any() as u32, any() as u32, any()))
                .collect();
            let result = changed(&original, &changes);
            assert!(result.len() <= 2 * original.len() + 64 * changes.len());
            assert_eq!(result, changed(&original, &changes));
            different += usize::from(result != original);
        }
        assert!(different > 2000, "{different}");
        assert_eq!(changed(b"abc", &[(2, 1, 0, 0)]), b"a");
        assert_eq!(changed(b"abc", &[(0, 2, 0, 0)]), b"abb");
        assert_eq!(changed(b"", &[(7, 0, 5 + 3, 4)]), b"255");
    }
}
