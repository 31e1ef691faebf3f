//! ISO9660 (ECMA-119), with Rock Ridge (IEEE P1282) and Joliet names.
//!
//! Of several name spaces Rock Ridge is taken first: it alone says that something is a link or a device.

use super::{Bytes, Files, VolumeError, Wanted, bounded, u16_at, u32_at};

/// ECMA-119 6.1.2. Other logical sector sizes do not occur on media that firmware or hypervisors hand out.
const SECTOR: usize = 2048;
/// ECMA-119 6.2.1: the descriptors begin behind the system area.
const FIRST_DESCRIPTOR: u64 = 16;
/// A volume has two or three; a set without an end is damaged.
const MOST_DESCRIPTORS: u64 = 32;
/// Some thousand entries: a volume that is made for a machine has a handful.
const MOST_DIRECTORY_BYTES: u32 = 256 * 1024;
/// SUSP 5.1: parts of an entry may be continued elsewhere, and there again.
const MOST_CONTINUATIONS: usize = 4;

pub(super) fn read(bytes: Bytes<'_>, wanted: &[Wanted]) -> Files {
    let Some(descriptors) = descriptors(bytes)? else { return Ok(None) };
    let primary = directory(bytes, &descriptors.primary, Names::Iso)?;
    let rock_ridge = primary.iter().any(|entry| entry.rock_ridge);
    let entries = match &descriptors.joliet {
        Some(joliet) if !rock_ridge => directory(bytes, joliet, Names::Joliet)?,
        _ => primary,
    };
    let mut files = Vec::new();
    for wanted in wanted {
        // Without Rock Ridge and Joliet names are in capitals.
        let is_it = |entry: &&Entry| match entry.rock_ridge || descriptors.joliet.is_some() {
            true => entry.name == wanted.name,
            false => entry.name.eq_ignore_ascii_case(wanted.name),
        };
        let Some(entry) = entries.iter().find(is_it) else { continue };
        if let Some(kind) = entry.odd_kind {
            return Err(VolumeError::NotAFile { name: wanted.name, kind });
        }
        let length = bounded(*wanted, entry.length)?;
        files.push((wanted.name, bytes.get(entry.offset, length)?));
    }
    Ok(Some(files))
}

/// The root directory records.
struct Descriptors {
    primary: Vec<u8>,
    joliet: Option<Vec<u8>>,
}

fn descriptors(bytes: Bytes<'_>) -> Result<Option<Descriptors>, VolumeError> {
    let (mut primary, mut joliet) = (None, None);
    for number in 0..MOST_DESCRIPTORS {
        let offset = (FIRST_DESCRIPTOR + number) * SECTOR as u64;
        let Some(sector) = bytes.get_if_there(offset, SECTOR)? else { break };
        if &sector[1..6] != b"CD001" {
            break;
        }
        let root = sector[156..190].to_vec();
        match sector[0] {
            1 if primary.is_none() => {
                if usize::from(u16_at(&sector, 128)) != SECTOR {
                    return Err(VolumeError::Damaged("its blocks do not have 2048 bytes"));
                }
                primary = Some(root);
            }
            // Joliet: the escape sequences of UCS-2, level 1 to 3.
            2 if matches!(&sector[88..91], b"%/@" | b"%/C" | b"%/E") => joliet = Some(root),
            255 => break,
            _ => {}
        }
    }
    Ok(primary.map(|primary| Descriptors { primary, joliet }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Iso,
    Joliet,
}

struct Entry {
    name: String,
    /// Whether Rock Ridge describes it.
    rock_ridge: bool,
    /// What it is when it is no regular file.
    odd_kind: Option<&'static str>,
    offset: u64,
    length: u32,
}

fn directory(bytes: Bytes<'_>, root: &[u8], names: Names) -> Result<Vec<Entry>, VolumeError> {
    let length = u32_at(root, 10);
    if length > MOST_DIRECTORY_BYTES {
        return Err(VolumeError::Damaged("its root directory is too long"));
    }
    let directory = bytes.get(extent(root), usize::try_from(length).unwrap_or(usize::MAX))?;
    let mut entries = Vec::new();
    // ECMA-119 6.8.1.1: a record does not cross a sector; what is left of the sector is zero.
    for sector in directory.chunks(SECTOR) {
        let mut rest = sector;
        while let Some(&size @ 1..) = rest.first() {
            let size = usize::from(size);
            let Some((record, next)) = rest.split_at_checked(size).filter(|_| size >= 34) else {
                return Err(VolumeError::Damaged("a directory record has no sensible length"));
            };
            entries.push(entry(bytes, record, names)?);
            rest = next;
        }
    }
    Ok(entries)
}

/// Where the extent of a record begins, behind its extended attributes (ECMA-119 9.1).
fn extent(record: &[u8]) -> u64 {
    let attributes = record.get(1).copied().unwrap_or_default();
    (u64::from(u32_at(record, 2)) + u64::from(attributes)) * SECTOR as u64
}

fn entry(bytes: Bytes<'_>, record: &[u8], names: Names) -> Result<Entry, VolumeError> {
    let flags = record[25];
    let name_length = usize::from(record[32]);
    let Some(name) = record.get(33..33 + name_length) else {
        return Err(VolumeError::Damaged("a name is longer than its record"));
    };
    let odd_kind = if flags & 0x02 != 0 {
        Some("a directory")
    } else if flags & 0x80 != 0 || record[26] != 0 || record[27] != 0 {
        Some("in several pieces")
    } else {
        None
    };
    let mut entry = Entry {
        name: match names {
            Names::Iso => String::from_utf8_lossy(name).into_owned(),
            Names::Joliet => ucs2(name),
        },
        rock_ridge: false,
        odd_kind,
        offset: extent(record),
        length: u32_at(record, 10),
    };
    // The version number, and the point of a name without an extension.
    if let Some(at) = entry.name.rfind(';') {
        entry.name.truncate(at);
    }
    if names == Names::Iso {
        entry.name.truncate(entry.name.trim_end_matches('.').len());
        // The system use area begins at an even offset.
        let at = 33 + name_length + usize::from(name_length.is_multiple_of(2));
        extend(&mut entry, bytes, record.get(at..).unwrap_or_default())?;
    }
    Ok(entry)
}

fn ucs2(name: &[u8]) -> String {
    let units = name.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    char::decode_utf16(units).map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Reads what Rock Ridge says of an entry.
fn extend(entry: &mut Entry, bytes: Bytes<'_>, area: &[u8]) -> Result<(), VolumeError> {
    let mut area = area.to_vec();
    let mut name = Vec::new();
    for _ in 0..=MOST_CONTINUATIONS {
        let mut continued = None;
        let mut rest = &area[..];
        while let Some(&[one, two, size]) = rest.first_chunk()
            && let Some((field, next)) = rest.split_at_checked(size.into())
            && field.len() >= 4
        {
            match &[one, two] {
                // P1282 4.1.4: flags, then a part of the name.
                b"NM" => name.extend(field.get(5..).unwrap_or_default()),
                // 4.1.1: the POSIX mode.
                b"PX" => {
                    entry.rock_ridge = true;
                    entry.odd_kind = entry.odd_kind.or(odd_mode(u32_at(field, 4)));
                }
                b"SL" => entry.odd_kind = Some("a symbolic link"),
                // SUSP 5.1: block, offset and length, each in both byte orders.
                b"CE" => continued = Some((u32_at(field, 4), u32_at(field, 12), u32_at(field, 20))),
                b"ST" => break,
                _ => {}
            }
            rest = next;
        }
        let Some((block, offset, length)) = continued else { break };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > SECTOR {
            return Err(VolumeError::Damaged("a directory record is continued for too long"));
        }
        area = bytes.get(u64::from(block) * SECTOR as u64 + u64::from(offset), length)?;
    }
    if !name.is_empty() {
        entry.rock_ridge = true;
        entry.name = String::from_utf8_lossy(&name).into_owned();
    }
    Ok(())
}

/// What a POSIX mode says that is no regular file.
fn odd_mode(mode: u32) -> Option<&'static str> {
    match mode & 0o170_000 {
        0o100_000 => None,
        0o040_000 => Some("a directory"),
        0o120_000 => Some("a symbolic link"),
        0o010_000 => Some("a pipe"),
        0o140_000 => Some("a socket"),
        _ => Some("a device"),
    }
}
