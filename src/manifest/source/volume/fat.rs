//! FAT12, FAT16 and FAT32 with long names, as in Microsoft's "FAT: General Overview of On-Disk Format" (1.03).

use super::{Bytes, Files, VolumeError, Wanted, bounded, u16_at, u32_at};

/// A root directory of FAT12 or FAT16 has at most 65 535 entries; one of FAT32 is not read further than that either.
const MOST_DIRECTORY_BYTES: usize = 65_536 * ENTRY;
const ENTRY: usize = 32;
const LONG_NAME: u8 = 0x0f;
const LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;

pub(super) fn read(bytes: Bytes<'_>, wanted: &[Wanted]) -> Files {
    let Some(boot) = bytes.get_if_there(0, 512)? else { return Ok(None) };
    let Some(layout) = Layout::of(&boot) else { return Ok(None) };
    let directory = match layout.root {
        Root::Region { offset, length } => bytes.get(offset, length)?,
        Root::Chain { cluster } => layout.chain(bytes, cluster, MOST_DIRECTORY_BYTES, Ending::Anywhere)?,
    };
    let entries = entries(&directory);
    let mut files = Vec::new();
    for wanted in wanted {
        let is_it = |entry: &&Entry| entry.name.eq_ignore_ascii_case(wanted.name);
        let Some(entry) = entries.iter().find(is_it) else { continue };
        if entry.attributes & DIRECTORY != 0 {
            return Err(VolumeError::NotAFile { name: wanted.name, kind: "a directory" });
        }
        let length = bounded(*wanted, entry.length)?;
        let content = match length {
            0 => Vec::new(),
            _ => layout.chain(bytes, entry.cluster, length, Ending::Exact)?,
        };
        files.push((wanted.name, content));
    }
    Ok(Some(files))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    Fat12,
    Fat16,
    Fat32,
}

enum Root {
    Region { offset: u64, length: usize },
    Chain { cluster: u32 },
}

/// How much of a chain is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// All of it, up to the limit.
    Anywhere,
    /// Exactly as many bytes as the limit.
    Exact,
}

/// Where everything lies, in bytes.
struct Layout {
    width: Width,
    table: u64,
    data: u64,
    cluster_bytes: usize,
    clusters: u32,
    root: Root,
}

impl Layout {
    /// Reads the BIOS parameter block; nothing when this is no FAT.
    fn of(boot: &[u8]) -> Option<Self> {
        let sector = u32::from(u16_at(boot, 11));
        let sectors_per_cluster = u32::from(boot[13]);
        let reserved = u32::from(u16_at(boot, 14));
        let tables = u32::from(boot[16]);
        let root_entries = u32::from(u16_at(boot, 17));
        let either = |short: u32, long: usize| if short == 0 { u32_at(boot, long) } else { short };
        let sectors = either(u16_at(boot, 19).into(), 32);
        let table_sectors = either(u16_at(boot, 22).into(), 36);
        let plausible = u16_at(boot, 510) == 0xaa55
            && matches!(boot[0], 0xeb | 0xe9)
            && matches!(sector, 512 | 1024 | 2048 | 4096)
            && sectors_per_cluster.is_power_of_two()
            && reserved > 0
            && matches!(tables, 1..=2)
            && table_sectors > 0;
        if !plausible {
            return None;
        }
        let root_sectors = (root_entries * 32).div_ceil(sector);
        let root = reserved.checked_add(tables.checked_mul(table_sectors)?)?;
        let data = root.checked_add(root_sectors)?;
        let clusters = sectors.checked_sub(data)? / sectors_per_cluster;
        let at = |number: u32| u64::from(number) * u64::from(sector);
        // The width follows from the count of clusters and from nothing else, but a FAT32 has no short table length.
        let width = match clusters {
            _ if u16_at(boot, 22) == 0 => Width::Fat32,
            ..4085 => Width::Fat12,
            _ => Width::Fat16,
        };
        Some(Self {
            width,
            table: at(reserved),
            data: at(data),
            cluster_bytes: usize::try_from(sectors_per_cluster * sector).ok()?,
            clusters,
            root: match width {
                Width::Fat32 => Root::Chain { cluster: u32_at(boot, 44) },
                _ => Root::Region { offset: at(root), length: usize::try_from(root_entries).ok()? * ENTRY },
            },
        })
    }

    /// Reads the chain of clusters that begins at `cluster`, at most `limit` bytes of it. A chain that runs in a circle
    /// ends there too.
    fn chain(&self, bytes: Bytes<'_>, mut cluster: u32, limit: usize, ending: Ending) -> Result<Vec<u8>, VolumeError> {
        let mut content = Vec::new();
        loop {
            // Clusters are counted from 2.
            let Some(index) = cluster.checked_sub(2).filter(|index| *index < self.clusters) else {
                return Err(VolumeError::Damaged("a chain of clusters leads nowhere"));
            };
            let take = self.cluster_bytes.min(limit - content.len());
            content.extend(bytes.get(self.data + u64::from(index) * self.cluster_bytes as u64, take)?);
            if content.len() >= limit {
                return Ok(content);
            }
            match self.next(bytes, cluster)? {
                Some(next) => cluster = next,
                None if ending == Ending::Exact => return Err(VolumeError::Damaged("a file is shorter than it says")),
                None => return Ok(content),
            }
        }
    }

    /// The cluster that follows; nothing at the end of the chain.
    fn next(&self, bytes: Bytes<'_>, cluster: u32) -> Result<Option<u32>, VolumeError> {
        let at = u64::from(cluster);
        let (next, end) = match self.width {
            Width::Fat12 => {
                let pair = u16_at(&bytes.get(self.table + at + at / 2, 2)?, 0);
                (u32::from(if cluster.is_multiple_of(2) { pair & 0xfff } else { pair >> 4 }), 0xff8)
            }
            Width::Fat16 => (u16_at(&bytes.get(self.table + at * 2, 2)?, 0).into(), 0xfff8),
            Width::Fat32 => (u32_at(&bytes.get(self.table + at * 4, 4)?, 0) & 0x0fff_ffff, 0x0fff_fff8),
        };
        Ok((next < end).then_some(next))
    }
}

struct Entry {
    name: String,
    attributes: u8,
    cluster: u32,
    length: u32,
}

fn entries(directory: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut long = LongName::default();
    for raw in directory.chunks_exact(ENTRY) {
        match raw[0] {
            0 => break,
            0xe5 => long = LongName::default(),
            _ if raw[11] & 0x3f == LONG_NAME => long.add(raw),
            _ => {
                let name = std::mem::take(&mut long).name_of(raw).unwrap_or_else(|| short_name(raw));
                if raw[11] & LABEL == 0 {
                    entries.push(Entry {
                        name,
                        attributes: raw[11],
                        cluster: u32::from(u16_at(raw, 20)) << 16 | u32::from(u16_at(raw, 26)),
                        length: u32_at(raw, 28),
                    });
                }
            }
        }
    }
    entries
}

/// The parts of a long name, which stand before its entry from the last to the first.
#[derive(Default)]
struct LongName {
    units: Vec<u16>,
    missing: u8,
    checksum: u8,
}

impl LongName {
    fn add(&mut self, raw: &[u8]) {
        let (number, last, checksum) = (raw[0] & 0x1f, raw[0] & 0x40 != 0, raw[13]);
        if last {
            *self = Self { units: Vec::new(), missing: number, checksum };
        }
        if number == 0 || number != self.missing || checksum != self.checksum {
            return *self = Self::default();
        }
        let part = [1..11, 14..26, 28..32].into_iter().flat_map(|range| raw[range].chunks_exact(2));
        let part: Vec<u16> = part.map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        self.units.splice(0..0, part);
        self.missing -= 1;
    }

    /// The long name of an entry, when all of its parts belong to it.
    fn name_of(self, raw: &[u8]) -> Option<String> {
        let checksum = raw[..11].iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        if self.units.is_empty() || self.missing != 0 || self.checksum != checksum {
            return None;
        }
        let units = self.units.into_iter().take_while(|unit| *unit != 0);
        Some(char::decode_utf16(units).map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
    }
}

fn short_name(raw: &[u8]) -> String {
    let part = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches(' ').to_owned();
    match part(&raw[8..11]) {
        extension if extension.is_empty() => part(&raw[..8]),
        extension => format!("{}.{extension}", part(&raw[..8])),
    }
}
