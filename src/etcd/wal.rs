//! etcd's write-ahead log, read while etcd is stopped.
//!
//! The format is etcd's (server/storage/wal), the same in 3.4 to 3.6: segments `SEQUENCE-INDEX.wal` without a gap; in them frames
//! of a length and a record, padded to eight bytes, whose checksum runs on through all segments (CRC-32C). Each segment begins with
//! the checksum so far, the metadata and the state. A frame of length 0 is space not yet written.
//!
//! [`damage`] tells whether it can be read to its end, [`tail`] whose it is and how far it goes.

pub mod damage;
pub mod tail;

/// The sequence number of a segment and the index of the first entry that it may hold, from its name.
pub fn segment(name: &str) -> Option<(u64, u64)> {
    let (sequence, index) = name.strip_suffix(".wal")?.split_once('-')?;
    Some((u64::from_str_radix(sequence, 16).ok()?, u64::from_str_radix(index, 16).ok()?))
}

/// The length field before a record: 56 bits of length, and in the top byte how much padding follows, if its first
/// bit is set.
struct Frame {
    record: usize,
    padding: usize,
}

impl Frame {
    /// Nothing at the end of the file, or where it was only preallocated.
    fn read(bytes: &[u8]) -> Option<Self> {
        let field = u64::from_le_bytes(bytes.get(..LENGTH_BYTES)?.try_into().ok()?);
        let record = usize::try_from(field & !(0xff << 56)).ok()?;
        let padding = if field >> 63 == 1 { usize::from((field >> 56) as u8 & 0x7) } else { 0 };
        (field != 0).then_some(Self { record, padding })
    }
}

/// walpb.Record: 1 kind, 2 checksum, 3 data.
struct Record<'a> {
    kind: u64,
    crc: u32,
    data: &'a [u8],
}

impl<'a> Record<'a> {
    fn parse(mut bytes: &'a [u8]) -> Option<Self> {
        let mut record = Record { kind: 0, crc: 0, data: &[] };
        while let Some((&tag, rest)) = bytes.split_first() {
            let (value, rest) = varint(rest)?;
            bytes = rest;
            match tag {
                0x08 => record.kind = value,
                0x10 => record.crc = u32::try_from(value).ok()?,
                0x1a => (record.data, bytes) = bytes.split_at_checked(usize::try_from(value).ok()?)?,
                _ => return None,
            }
        }
        Some(record)
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate().take(MOST_VARINT_BYTES) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

/// The number in field `number` of a protobuf message; 0 where it is absent, as protobuf has it.
fn number(mut message: &[u8], number: u64) -> Option<u64> {
    const VARINT: u64 = 0;
    const BYTES: u64 = 2;
    let mut found = 0;
    while !message.is_empty() {
        let (key, rest) = varint(message)?;
        let (value, rest) = varint(rest)?;
        message = match key & 7 {
            VARINT => rest,
            BYTES => rest.get(usize::try_from(value).ok()?..)?,
            _ => return None,
        };
        if key == number << 3 | VARINT {
            found = value;
        }
    }
    Some(found)
}

const LENGTH_BYTES: usize = 8;
/// Seven bits each, of 64.
const MOST_VARINT_BYTES: usize = 10;
// The kinds of records.
const METADATA: u64 = 1;
const ENTRY: u64 = 2;
const STATE: u64 = 3;
/// It carries the checksum over from the segment before.
const CHECKSUM: u64 = 4;
const SNAPSHOT: u64 = 5;
