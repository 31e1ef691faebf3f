//! Files in the root directory of an ISO9660 or FAT volume, read without mounting it.
//!
//! Whoever hands out the volume is not trusted yet. Mounting it would give its bytes to a filesystem driver in the
//! kernel and would need CAP_SYS_ADMIN; here they are read by safe code in a process without capabilities. It knows no
//! more than it needs: the root directory, regular files of bounded size, nothing is ever written. Every length
//! comes with a limit, every chain with a count, so that each damaged volume ends in an error (`tests/fuzz`).

mod fat;
mod iso9660;

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A file that is looked for, with the most bytes that are read of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Its name in the root directory.
    pub name: &'static str,
    /// A longer file is refused.
    pub most: usize,
}

/// What a volume is formatted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// ECMA-119, with the long names of Rock Ridge or Joliet where they are there.
    Iso9660,
    /// FAT12, FAT16 or FAT32 with long names.
    Fat,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Iso9660 => "iso9660",
            Format::Fat => "vfat",
        })
    }
}

/// What was found on a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its format.
    pub format: Format,
    /// Those of the wanted files that are there, in the order in which they were asked for.
    pub files: Vec<(&'static str, Vec<u8>)>,
}

/// Why a volume was not read.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// Another filesystem, or none.
    #[error("it holds neither ISO9660 nor FAT; format it as one of them")]
    Unknown,
    /// It contradicts itself or ends too early.
    #[error("its filesystem is damaged ({0}); write it again")]
    Damaged(&'static str),
    /// Larger than anything sensible.
    #[error("'{name}' has {bytes} bytes, at most {most} are read; check that it is the right file")]
    TooLarge {
        /// Which.
        name: &'static str,
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        most: usize,
    },
    /// A directory, link or device where a file belongs.
    #[error("'{name}' is {kind}; put the file itself into the root directory")]
    NotAFile {
        /// Which.
        name: &'static str,
        /// What it is.
        kind: &'static str,
    },
    /// The device does not give its bytes.
    #[error("it cannot be read")]
    Io(#[source] io::Error),
}

/// The bytes of a volume.
pub trait Medium {
    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] behind the end; otherwise what the device says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl Medium for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}

impl Medium for [u8] {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).ok();
        let bytes = start.and_then(|start| self.get(start..start.checked_add(buffer.len())?));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Reads those of `wanted` that lie in the root directory.
///
/// # Errors
/// When the volume is none of ours, is damaged, or something else than a file of sensible size has a wanted name.
pub fn read(medium: &(impl Medium + ?Sized), wanted: &[Wanted]) -> Result<Volume, VolumeError> {
    let bytes = Bytes(&|offset, buffer: &mut [u8]| medium.read_at(offset, buffer));
    // ISO9660 leaves the first 32 KiB to whoever wants them, so a hybrid image may begin like a FAT.
    if let Some(files) = iso9660::read(bytes, wanted)? {
        return Ok(Volume { format: Format::Iso9660, files });
    }
    match fat::read(bytes, wanted)? {
        Some(files) => Ok(Volume { format: Format::Fat, files }),
        None => Err(VolumeError::Unknown),
    }
}

/// The files found, or nothing when the volume has another format.
type Files = Result<Option<Vec<(&'static str, Vec<u8>)>>, VolumeError>;

/// A medium, as the readers see it.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a dyn Fn(u64, &mut [u8]) -> io::Result<()>);

impl Bytes<'_> {
    /// `length` bytes from `offset` on.
    fn get(self, offset: u64, length: usize) -> Result<Vec<u8>, VolumeError> {
        let mut bytes = vec![0; length];
        match self.0(offset, &mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(VolumeError::Damaged("it ends too early"))
            }
            Err(error) => Err(VolumeError::Io(error)),
        }
    }

    /// The same; nothing where the medium has ended.
    fn get_if_there(self, offset: u64, length: usize) -> Result<Option<Vec<u8>>, VolumeError> {
        match self.get(offset, length) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(VolumeError::Damaged(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The length of a wanted file, when it is sensible.
fn bounded(wanted: Wanted, bytes: u32) -> Result<usize, VolumeError> {
    match usize::try_from(bytes) {
        Ok(length) if length <= wanted.most => Ok(length),
        _ => Err(VolumeError::TooLarge { name: wanted.name, bytes: bytes.into(), most: wanted.most }),
    }
}

/// A little-endian number of two bytes at `at`; 0 behind the end.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

/// A little-endian number of four bytes at `at`; 0 behind the end.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
