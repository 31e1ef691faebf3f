//! Whether the log can still be read: the proof that a failing start is the log's fault (fault 19).
//!
//! etcd reads all of it at every start and repairs by itself what a power cut leaves: a last record that was not written
//! to its end. Everything else it refuses for ever. Pure: it reads nothing, and what it is not sure of it does not call damaged.

use super::{CHECKSUM, Frame, LENGTH_BYTES, Record, segment};
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
        let (number, _) = segment(name).ok_or_else(|| damage(0, "its name is no segment's"))?;
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

/// Whether one of the disk sectors under `record`, which begins at `offset` of its file, holds nothing but zeros.
fn has_empty_sector(record: &[u8], offset: usize) -> bool {
    let (first, rest) = record.split_at(record.len().min(SECTOR_BYTES - offset % SECTOR_BYTES));
    std::iter::once(first)
        .chain(rest.chunks(SECTOR_BYTES))
        .any(|sector| !sector.is_empty() && sector.iter().all(|byte| *byte == 0))
}

/// etcd's minSectorSize.
const SECTOR_BYTES: usize = 512;

#[cfg(test)]
mod tests;
