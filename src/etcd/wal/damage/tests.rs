use super::*;

/// A log as etcd writes it: per segment the checksum so far, then records, padded to 8 bytes each.
fn log(segments: &[&[&[u8]]]) -> Vec<(String, Vec<u8>)> {
    let mut crc = 0;
    let mut written = Vec::new();
    for (number, records) in segments.iter().enumerate() {
        let mut bytes = frame(4, crc, None);
        for data in *records {
            crc = crc32c::crc32c_append(crc, data);
            bytes.extend(frame(2, crc, Some(data)));
        }
        bytes.extend([0; 64]);
        written.push((format!("{number:016x}-{:016x}.wal", number * 7), bytes));
    }
    written
}

fn frame(kind: u8, crc: u32, data: Option<&[u8]>) -> Vec<u8> {
    let mut record = vec![0x08, kind, 0x10];
    write_varint(&mut record, crc.into());
    if let Some(data) = data {
        record.push(0x1a);
        write_varint(&mut record, data.len() as u64);
        record.extend(data);
    }
    let padding = (8 - record.len() % 8) % 8;
    let mut length = record.len() as u64;
    if padding != 0 {
        length |= (0x80 | padding as u64) << 56;
    }
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(record);
    bytes.extend(vec![0; padding]);
    bytes
}

fn write_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

fn examine(log: &[(String, Vec<u8>)]) -> Result<(), Damage> {
    let mut examiner = Examiner::default();
    log.iter().enumerate().try_for_each(|(at, (name, bytes))| {
        let place = if at + 1 == log.len() { Place::Last } else { Place::Inner };
        examiner.segment(name, bytes, place)
    })
}

#[test]
fn a_sound_log_of_several_segments_is_sound_whether_or_not_its_beginning_was_purged() {
    let long = [7; 3000];
    let log = log(&[&[b"one", b""], &[&long, b"three"], &[b"four"]]);
    assert_eq!(examine(&log), Ok(()));
    assert_eq!(examine(&log[1..]), Ok(()), "etcd removes old segments");
    assert_eq!(examine(&[]), Ok(()));
}

#[test]
fn every_changed_byte_of_a_record_is_noticed() {
    let sound = log(&[&[b"the first record", b"the second one"], &[b"the third"]]);
    let end = sound[0].1.len() - 64;
    for at in 0..end {
        // Inside a frame only: padding is read by nobody, and a length of zero is the end of a preallocated segment.
        let mut torn = sound.clone();
        torn[0].1[at] ^= 0xff;
        let verdict = examine(&torn);
        let padding = verdict.is_ok();
        assert!(!padding || sound[0].1[at] == 0, "byte {at}: {:#x}", sound[0].1[at]);
    }
}

#[test]
fn a_last_record_that_a_power_cut_left_unfinished_is_for_etcd_to_cut_off() {
    let long = [7; 3000];
    let mut log = log(&[&[b"one"], &[&long]]);
    log[1].1[1024..1536].fill(0);
    assert_eq!(examine(&log), Ok(()));
    let mut inner = log.clone();
    inner.push(("0000000000000002-0000000000000010.wal".into(), Vec::new()));
    assert!(examine(&inner).is_err(), "a segment that was finished long ago is no such thing");
    log[1].1[1024..1536].fill(1);
    assert!(examine(&log).is_err(), "and neither are other bytes than zeros");
}

#[test]
fn gaps_foreign_names_and_lengths_beyond_the_end_are_damage() {
    let sound = log(&[&[b"one"], &[b"two"], &[b"three"]]);
    assert_eq!(examine(&[sound[0].clone(), sound[2].clone()]).unwrap_err().why, "the segment before it is missing");
    assert!(examine(&[("x.wal".into(), Vec::new())]).is_err());
    let mut torn = sound.clone();
    torn[2].1[16..24].fill(0x7f);
    assert!(examine(&torn).is_err());
    let mut cut = sound;
    cut[0].1.truncate(28);
    let damage = examine(&cut).unwrap_err();
    assert_eq!(damage.segment, "0000000000000000-0000000000000000.wal");
}
