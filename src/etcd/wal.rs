//! Whether etcd's write-ahead log can still be read: the proof that a failing start is the log's fault (fault 19).
//!
//! The format is etcd's (server/storage/wal): segments `SEQUENCE-INDEX.wal` without a gap; in them frames of a length
//! and a record, whose checksum runs on through all segments (CRC-32C). etcd reads all of it at every start and
//! repairs by itself what a power cut leaves: a last record that was not written to its end. Everything else it refuses
//! for ever. Pure: it reads nothing, and what it is not sure of it does not call damaged.

use std::fmt;

/// Where the log ends to be readable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub segment: String,
    /// Offset in it, in bytes.
    pub offset: usize,
    /// What is wrong there.
    pub why: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the log is damaged: '{}' at byte {}: {}", self.segment, self.offset, self.why)
    }
}

/// Reads a log segment by segment, oldest first.
#[derive(Debug, Default)]
pub struct Examiner {
    /// Checksum over everything read so far; etcd begins with zero, which stands for "not known yet".
    crc: u32,
    sequence: Option<u64>,
}

/// Whether a segment is the one that etcd wrote to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Another one follows.
    Inner,
    /// None follows: its last record may be cut short.
    Last,
}

impl Examiner {
    /// Reads the next segment.
    ///
    /// # Errors
    /// The first place that etcd cannot read.
    pub fn segment(&mut self, name: &str, bytes: &[u8], place: Place) -> Result<(), Damage> {
        let damage = |offset: usize, why: &str| Damage { segment: name.to_owned(), offset, why: why.to_owned() };
        let number = sequence(name).ok_or_else(|| damage(0, "its name is no segment's"))?;
        if self.sequence.is_some_and(|last| last + 1 != number) {
            return Err(damage(0, "the segment before it is missing"));
        }
        self.sequence = Some(number);
        let mut at = 0;
        while let Some(frame) = Frame::read(&bytes[at..]) {
            let data = at + LENGTH_BYTES;
            let Some(record) = bytes.get(data..data + frame.record) else {
                return Err(damage(at, "a record is longer than its segment"));
            };
            match self.record(record) {
                Ok(()) => {}
                // A page that never reached the disk: etcd cuts the log off here.
                Err(_) if place == Place::Last && has_empty_sector(record, data) => return Ok(()),
                Err(why) => return Err(damage(at, why)),
            }
            at = data + frame.record + frame.padding;
        }
        Ok(())
    }

    fn record(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        let record = Record::parse(bytes).ok_or("a record cannot be parsed")?;
        if record.kind == CHECKSUM {
            if self.crc != 0 && record.crc != self.crc {
                return Err("its checksum does not continue that of the segment before it");
            }
            self.crc = record.crc;
            return Ok(());
        }
        self.crc = crc32c::crc32c_append(self.crc, record.data);
        if record.crc == self.crc { Ok(()) } else { Err("the checksum of a record is wrong") }
    }
}

/// The sequence number in `SEQUENCE-INDEX.wal`.
fn sequence(name: &str) -> Option<u64> {
    let (sequence, index) = name.strip_suffix(".wal")?.split_once('-')?;
    u64::from_str_radix(index, 16).ok()?;
    u64::from_str_radix(sequence, 16).ok()
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

/// Whether one of the disk sectors under `record`, which begins at `offset` of its file, holds nothing but zeros.
fn has_empty_sector(record: &[u8], offset: usize) -> bool {
    let (first, rest) = record.split_at(record.len().min(SECTOR_BYTES - offset % SECTOR_BYTES));
    std::iter::once(first)
        .chain(rest.chunks(SECTOR_BYTES))
        .any(|sector| !sector.is_empty() && sector.iter().all(|byte| *byte == 0))
}

const LENGTH_BYTES: usize = 8;
/// etcd's minSectorSize.
const SECTOR_BYTES: usize = 512;
/// Seven bits each, of 64.
const MOST_VARINT_BYTES: usize = 10;
/// The kind of record that carries the checksum over from the segment before.
const CHECKSUM: u64 = 4;

#[cfg(test)]
mod tests;
