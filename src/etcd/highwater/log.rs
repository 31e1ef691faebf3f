//! The end of etcd's write-ahead log, read while etcd is stopped: whose it is and how far it goes.
//!
//! The format is etcd's `wal` package, the same in 3.4 to 3.6. A segment is a row of frames: eight bytes little-endian, of which
//! the lower 56 bits are the length of the record and the upper eight say how it is padded to a multiple of eight; then a
//! protobuf `walpb.Record`. A frame of length 0 is space not yet written. Each segment begins with the metadata and the
//! state, so the last one tells everything. Checksums are etcd's to verify: a torn end only makes the log
//! look longer by the entry that etcd will cut off.

/// Whose log it is and where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// The etcd cluster.
    pub cluster: u64,
    /// The member.
    pub member: u64,
    /// The raft term that it has seen.
    pub term: u64,
    /// Up to which entry it knows that a majority has it.
    pub commit: u64,
    /// The index of its last entry.
    pub last: u64,
}

/// The index of the first entry that a segment may hold, from its name: `SEQUENCE-INDEX.wal` in hexadecimal.
pub fn first_index(name: &str) -> Option<u64> {
    let (_, index) = name.strip_suffix(".wal")?.split_once('-')?;
    u64::from_str_radix(index, 16).ok()
}

/// Reads the last segment, whose first entry would be `first`. Nothing when it is not understood.
pub fn read(segment: &[u8], first: u64) -> Option<Log> {
    let (mut owner, mut term, mut commit, mut last) = (None, 0, 0, first.saturating_sub(1));
    let mut rest = segment;
    while let Some((frame, next)) = rest.split_first_chunk::<8>() {
        let field = u64::from_le_bytes(*frame);
        let length = usize::try_from(field & LENGTH).ok()?;
        let padding = if field >> 63 == 1 { usize::try_from(field >> 56 & 7).ok()? } else { 0 };
        // Unwritten, or cut off in the middle of the last write.
        if length == 0 || next.len() < length + padding {
            break;
        }
        let (record, next) = next.split_at(length);
        let Some(record) = message(record) else { break };
        let number = |message: &Message<'_>, field| message.number(field).unwrap_or_default();
        match (record.number(1)?, record.bytes(3).and_then(message)) {
            (METADATA, Some(data)) => owner = Some((number(&data, 1), number(&data, 2))),
            (ENTRY, Some(data)) => {
                (term, last) = (term.max(number(&data, 2)), number(&data, 3));
            }
            (STATE, Some(data)) => (term, commit) = (term.max(number(&data, 1)), number(&data, 3)),
            (SNAPSHOT, Some(data)) => {
                (term, last) = (term.max(number(&data, 2)), last.max(number(&data, 1)));
            }
            _ => {}
        }
        rest = next.get(padding..)?;
    }
    let (member, cluster) = owner?;
    Some(Log { cluster, member, term, commit, last })
}

/// The fields of one protobuf message that a log is made of: numbers and bytes.
struct Message<'a>(Vec<(u64, Field<'a>)>);

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Message<'a> {
    fn number(&self, field: u64) -> Option<u64> {
        self.0.iter().find_map(|(found, value)| match value {
            Field::Number(number) if *found == field => Some(*number),
            _ => None,
        })
    }

    fn bytes(&self, field: u64) -> Option<&'a [u8]> {
        self.0.iter().find_map(|(found, value)| match value {
            Field::Bytes(bytes) if *found == field => Some(*bytes),
            _ => None,
        })
    }
}

fn message(mut rest: &[u8]) -> Option<Message<'_>> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (key, after) = varint(rest)?;
        let (value, after) = match key & 7 {
            0 => varint(after).map(|(number, after)| (Field::Number(number), after))?,
            2 => {
                let (length, after) = varint(after)?;
                let length = usize::try_from(length).ok().filter(|length| *length <= after.len())?;
                let (bytes, after) = after.split_at(length);
                (Field::Bytes(bytes), after)
            }
            _ => return None,
        };
        fields.push((key >> 3, value));
        rest = after;
    }
    Some(Message(fields))
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7f).checked_shl(u32::try_from(7 * at).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(at + 1..)?));
        }
    }
    None
}

/// The lower 56 bits of a frame's first field.
const LENGTH: u64 = (1 << 56) - 1;
const METADATA: u64 = 1;
const ENTRY: u64 = 2;
const STATE: u64 = 3;
const SNAPSHOT: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Field `number` with this value.
    fn put(out: &mut Vec<u8>, key: u64, mut value: u64) {
        out.push(u8::try_from(key << 3).unwrap());
        while value >= 0x80 {
            out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        out.push(u8::try_from(value).unwrap());
    }

    fn record(kind: u64, fields: &[u64]) -> Vec<u8> {
        let mut data = Vec::new();
        for (key, value) in (1..).zip(fields) {
            put(&mut data, key, *value);
        }
        let mut record = Vec::new();
        put(&mut record, 1, kind);
        put(&mut record, 2, 0xdead_beef);
        record.extend([0x1a, u8::try_from(data.len()).unwrap()]);
        record.extend(data);
        let padding = (8 - record.len() % 8) % 8;
        let flag = if padding == 0 { 0 } else { 0x80 | u64::try_from(padding).unwrap() };
        let mut frame = (u64::try_from(record.len()).unwrap() | flag << 56).to_le_bytes().to_vec();
        frame.extend(&record);
        frame.resize(frame.len() + padding, 0);
        frame
    }

    fn segment() -> Vec<u8> {
        let rows: [(u64, &[u64]); 6] = [
            (4, &[]),
            (METADATA, &[u64::MAX, 0xc1]),
            (STATE, &[3, 1, 100]),
            (ENTRY, &[0, 3, 101]),
            (ENTRY, &[0, 3, 102]),
            (STATE, &[4, 1, 102]),
        ];
        rows.iter().flat_map(|(kind, fields)| record(*kind, fields)).collect()
    }

    #[test]
    fn the_last_segment_tells_whose_it_is_and_where_it_ends() {
        let expected = Log { cluster: 0xc1, member: u64::MAX, term: 4, commit: 102, last: 102 };
        let mut bytes = segment();
        assert_eq!(read(&bytes, 101), Some(expected));
        bytes.resize(bytes.len() + 4096, 0);
        assert_eq!(read(&bytes, 101), Some(expected), "space not yet written");
        let torn = segment();
        assert_eq!(
            read(&torn[..torn.len() - 5], 101),
            Some(Log { term: 3, commit: 100, ..expected }),
            "cut off in the last write"
        );
        let fresh: Vec<u8> = [record(METADATA, &[7, 8]), record(STATE, &[5, 1, 200])].concat();
        assert_eq!(
            read(&fresh, 201),
            Some(Log { cluster: 8, member: 7, term: 5, commit: 200, last: 200 }),
            "no entry yet"
        );
        assert_eq!(read(&[], 1), None);
        assert_eq!(read(&record(STATE, &[5, 1, 200]), 1), None, "nobody's");
    }

    #[test]
    fn a_name_tells_the_first_index() {
        assert_eq!(first_index("0000000000000001-00000000000000ff.wal"), Some(255));
        assert_eq!(first_index("0.tmp"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..200, cut in 0usize..200) {
            let _read = read(&bytes, 1);
            let mut damaged = segment();
            let at = at.min(damaged.len() - 1);
            damaged[at] ^= bytes.first().copied().unwrap_or(1);
            damaged.truncate(cut.max(1));
            let _read = read(&damaged, 1);
        }
    }
}
