//! The end of the log: whose it is and how far it goes. The last segment tells everything.
//!
//! Checksums are etcd's to verify: a torn end only makes the log look longer by the entry that etcd will cut off.

use super::{ENTRY, Frame, LENGTH_BYTES, METADATA, Record, SNAPSHOT, STATE, number};

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

/// Reads the last segment, whose first entry would be `first`. Nothing when it is not understood.
pub fn read(segment: &[u8], first: u64) -> Option<Log> {
    let (mut owner, mut term, mut commit, mut last) = (None, 0, 0, first.saturating_sub(1));
    let mut at = 0;
    while let Some(frame) = Frame::read(&segment[at..]) {
        let data = at + LENGTH_BYTES;
        // Cut off in the middle of the last write.
        let Some(record) = segment.get(data..data + frame.record).and_then(Record::parse) else { break };
        let field = |field| number(record.data, field);
        match record.kind {
            METADATA => owner = Some((field(1)?, field(2)?)),
            ENTRY => (term, last) = (term.max(field(2)?), field(3)?),
            STATE => (term, commit) = (term.max(field(1)?), field(3)?),
            SNAPSHOT => (term, last) = (term.max(field(2)?), last.max(field(1)?)),
            _ => {}
        }
        at = (data + frame.record + frame.padding).min(segment.len());
    }
    let (member, cluster) = owner?;
    Some(Log { cluster, member, term, commit, last })
}

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
