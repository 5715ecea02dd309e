//! Marks in the packets of H.264 and H.265: user data (SEI "user data unregistered") put in front of the first slice of a picture. Pure.
//!
//! A packet here is one access unit, its NAL units each behind their length (ISO/IEC 14496-15). The SEI has a NAL unit of its own, which
//! decoders that do not know it pass over; nothing else of the packet is touched.

use std::ops::Range;

use crate::video::encoder::Codec;

/// Payload type of user data whose meaning a UUID tells.
const USER_DATA_UNREGISTERED: u8 = 5;

/// How the NAL units of a track are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    codec: Codec,
    /// Bytes of a length.
    length: usize,
}

impl Units {
    /// As the track's header says, that of H.264 (avcC) or H.265 (hvcC); `None` for other codings, and for no such header.
    pub fn of(codec: Codec, header: &[u8]) -> Option<Self> {
        let place = match codec {
            Codec::H264 => 4,
            Codec::H265 => 21,
            _ => return None,
        };
        let length = usize::from(header.get(place)? & 3) + 1;
        // The standards have no lengths of three bytes.
        (header.first() == Some(&1) && length != 3).then_some(Self { codec, length })
    }

    /// `packet` with the user data `said` of `uuid` in front of its first slice; `None` if it is no sequence of units with a slice.
    pub fn insert(self, packet: &[u8], uuid: &[u8; 16], said: &[u8]) -> Option<Vec<u8>> {
        let at = self.first_slice(packet)?;
        let unit = self.unit(uuid, said);
        let length = u32::try_from(unit.len()).ok()?.to_be_bytes();
        let (unused, length) = length.split_at(4 - self.length);
        if unused.iter().any(|byte| *byte > 0) {
            return None;
        }
        Some([&packet[..at], length, &unit, &packet[at..]].concat())
    }

    /// Where the first slice's length begins.
    fn first_slice(self, packet: &[u8]) -> Option<usize> {
        let mut found = None;
        let mut at = 0;
        // To the end: of what is not understood as a whole nothing is changed.
        while at < packet.len() {
            let body = self.body(packet, at)?;
            let first = *packet.get(body.start)?;
            let slice = match self.codec {
                // A prefix of a slice (14) and what only some decoders know (20) belong to it.
                Codec::H264 => matches!(first & 0x1f, 1..=5 | 14 | 20),
                _ => first >> 1 & 0x3f < 32,
            };
            if slice && found.is_none() {
                found = Some(at);
            }
            at = body.end;
        }
        found
    }

    /// The bytes of the unit whose length is at `at`.
    fn body(self, packet: &[u8], at: usize) -> Option<Range<usize>> {
        let start = at.checked_add(self.length)?;
        let length = packet.get(at..start)?;
        let length = length
            .iter()
            .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        let end = start.checked_add(length)?;
        (length > 0 && end <= packet.len()).then_some(start..end)
    }

    /// The NAL unit of one message.
    fn unit(self, uuid: &[u8; 16], said: &[u8]) -> Vec<u8> {
        let mut unit = match self.codec {
            // SEI; of H.265 the one in front of a picture, layer 0, the lowest temporal layer.
            Codec::H264 => vec![6],
            _ => vec![39 << 1, 1],
        };
        let mut body = vec![USER_DATA_UNREGISTERED];
        let size = uuid.len() + said.len();
        body.extend(std::iter::repeat_n(0xff, size / 255));
        body.push((size % 255) as u8);
        body.extend(uuid);
        body.extend(said);
        // The bit that ends the data.
        body.push(0x80);
        let mut zeros = 0;
        for byte in body {
            // Three such bytes would look like the start of a unit, or are kept for later: a byte is put between.
            if zeros == 2 && byte <= 3 {
                unit.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            unit.push(byte);
        }
        unit
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const UUID: [u8; 16] = [9; 16];

    fn units(codec: Codec, length: u8) -> Units {
        let mut header = vec![1; 23];
        (header[4], header[21]) = (0xfc | (length - 1), 0xfc | (length - 1));
        Units::of(codec, &header).unwrap()
    }

    fn packet(length: usize, bodies: &[&[u8]]) -> Vec<u8> {
        let mut packet = Vec::new();
        for body in bodies {
            packet.extend(&(body.len() as u32).to_be_bytes()[4 - length..]);
            packet.extend(*body);
        }
        packet
    }

    /// The units of a packet, as an independent reader finds them.
    fn bodies(mut packet: &[u8], length: usize) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while !packet.is_empty() {
            let mut bytes = [0; 4];
            bytes[4 - length..].copy_from_slice(&packet[..length]);
            let end = length + u32::from_be_bytes(bytes) as usize;
            found.push(packet[length..end].to_vec());
            packet = &packet[end..];
        }
        found
    }

    #[test]
    fn a_mark_stands_before_the_first_slice() {
        let h264: [&[u8]; 4] = [&[9, 0xf0], &[0x67, 1, 2], &[0x68, 3], &[0x65, 4, 5]];
        let h265: [&[u8]; 4] = [&[64, 1, 7], &[66, 1, 8], &[38, 1, 9], &[38, 1, 10]];
        for length in [1, 2, 4] {
            let marked = units(Codec::H264, length)
                .insert(&packet(length.into(), &h264), &UUID, b"hello")
                .unwrap();
            let found = bodies(&marked, length.into());
            assert_eq!(found.len(), 5);
            let sei = [&[6, 5, 21][..], &UUID, b"hello", &[0x80]].concat();
            assert_eq!(found[3], sei);
            assert_eq!(found[4], h264[3]);
            let marked = units(Codec::H265, length)
                .insert(&packet(length.into(), &h265), &UUID, b"hello")
                .unwrap();
            let found = bodies(&marked, length.into());
            let sei = [&[78, 1, 5, 21][..], &UUID, b"hello", &[0x80]].concat();
            assert_eq!((found.len(), &found[2]), (5, &sei));
        }
    }

    #[test]
    fn nothing_in_a_mark_looks_like_the_start_of_a_unit() {
        let mut random = 7_u64;
        for size in 0..1200 {
            let said: Vec<u8> = (0..size)
                .map(|_| {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    // Mostly zeros and what must not follow them.
                    (random >> 60) as u8 & 3 & (random >> 40) as u8
                })
                .collect();
            let units = units(Codec::H264, 4);
            let marked = units
                .insert(&packet(4, &[&[0x65, 1]]), &UUID, &said)
                .unwrap();
            let sei = bodies(&marked, 4).swap_remove(0);
            assert!(sei.windows(3).all(|w| w[..2] != [0, 0] || w[2] >= 3));
            // Read back: bytes between are taken out.
            let (mut read, mut zeros) = (Vec::new(), 0);
            for &byte in &sei[1..] {
                if zeros >= 2 && byte == 3 {
                    zeros = 0;
                    continue;
                }
                zeros = if byte == 0 { zeros + 1 } else { 0 };
                read.push(byte);
            }
            let mut at = 1;
            let mut told = 0;
            while read[at] == 255 {
                (told, at) = (told + 255, at + 1);
            }
            told += usize::from(read[at]);
            assert_eq!((read[0], told), (5, 16 + size));
            assert_eq!(read[at + 17..at + 1 + told], said);
            assert_eq!(read[at + 1 + told..], [0x80]);
        }
    }

    #[test]
    fn what_is_not_understood_is_left_alone() {
        let units = units(Codec::H264, 4);
        let whole = packet(4, &[&[0x67, 1], &[0x65, 2, 3]]);
        for cut in 1..whole.len() {
            // But where it is cut between two units there is no slice.
            assert_eq!(units.insert(&whole[..cut], &UUID, b"x"), None, "{cut}");
        }
        assert_eq!(units.insert(&[], &UUID, b"x"), None);
        assert_eq!(units.insert(&[0, 0, 0, 0], &UUID, b"x"), None);
        assert_eq!(units.insert(&[0xff; 64], &UUID, b"x"), None);
        // More than a length of one byte can tell.
        let short = super::tests::units(Codec::H264, 1);
        assert_eq!(short.insert(&packet(1, &[&[0x65]]), &UUID, &[1; 300]), None);
        assert_eq!(Units::of(Codec::Av1, &[1; 30]), None);
        assert_eq!(Units::of(Codec::H264, &[1, 2]), None);
        assert_eq!(Units::of(Codec::H264, &[0; 30]), None);
    }
}
