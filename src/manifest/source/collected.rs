//! What `quorate collect` copied for reconcile to read: one directory per carrier in `/run/quorate/collected`.
//!
//! A carrier is slow, hostile or gone, and reading it takes other rights than reconcile has; so it is copied, and what
//! is copied is as little trusted as any drop. A directory is exchanged as a whole: a manifest and the signature that
//! came with it are never apart. It stays until the next boot, also when the carrier goes away. What could not be
//! copied leaves a complaint beside it, for reconcile to report.

use crate::durable::{self, DurableError};
use crate::paths::Paths;
use nix::fcntl::{Flock, FlockArg, RenameFlags, renameat2};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The labels of volumes that are looked at, in the order of precedence. Case does not matter: FAT knows capitals only.
pub const LABELS: [&str; 3] = ["QUORATE", "cidata", "config-2"];

/// Where a copy came from, in words, beside the copy.
const ORIGIN: &str = "origin";
/// A directory that was exchanged or is being filled.
const ASIDE: &str = ".aside";
/// Neither an origin nor a reason is longer.
const MOST_WORDS_BYTES: u64 = 4096;

/// A carrier, as far as there is one place for each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// A volume, with the place of its label in [`LABELS`] and the label as udev gives it.
    Volume(usize, String),
    /// What the kernel command line names.
    CommandLine,
}

impl Slot {
    /// The slot of a volume; nothing when the label is none of [`LABELS`].
    pub fn volume(label: &str) -> Option<Self> {
        let at = LABELS.iter().position(|known| label.eq_ignore_ascii_case(known))?;
        Some(Self::Volume(at, label.to_owned()))
    }

    fn name(&self) -> String {
        match self {
            Slot::Volume(_, label) => format!("volume-{label}"),
            Slot::CommandLine => "command-line".into(),
        }
    }

    fn named(name: &str) -> Option<Self> {
        match name.strip_prefix("volume-") {
            Some(label) => Self::volume(label),
            None => (name == "command-line").then_some(Self::CommandLine),
        }
    }
}

/// A copy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Copy {
    /// Of which carrier.
    pub slot: Slot,
    /// Where it was found, in words.
    pub origin: String,
    /// Where it lies.
    pub directory: PathBuf,
}

/// Whether something that could not be copied needs somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// It stays so until somebody changes something.
    Refused,
    /// It is not there now, and is looked for again.
    Awaited,
}

impl Lack {
    const ALL: [Lack; 2] = [Lack::Refused, Lack::Awaited];

    /// What the file `SLOT.…` ends with.
    fn suffix(self) -> &'static str {
        match self {
            Lack::Refused => "refused",
            Lack::Awaited => "awaited",
        }
    }
}

/// Something that could not be copied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// From which carrier.
    pub slot: Slot,
    /// Whether it passes.
    pub lack: Lack,
    /// Where it was found, in words.
    pub origin: String,
    /// Why, and what to do.
    pub why: String,
}

/// Everything that is there, in the order of precedence.
pub fn look(paths: &Paths) -> (Vec<Copy>, Vec<Complaint>) {
    let (mut copies, mut complaints) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(paths.collected()).into_iter().flatten().filter_map(Result::ok) {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let path = entry.path();
        let complaint = Lack::ALL.into_iter().find_map(|lack| {
            let slot = name.strip_suffix(lack.suffix())?.strip_suffix('.')?;
            Slot::named(slot).map(|slot| (slot, lack))
        });
        if let Some((slot, lack)) = complaint {
            let words = words(&path).unwrap_or_default();
            let (origin, why) = words.split_once('\n').unwrap_or((name, "its complaint cannot be read"));
            complaints.push(Complaint { slot, lack, origin: origin.into(), why: why.trim_end().into() });
        } else if let Some(slot) = Slot::named(name) {
            let origin = words(&path.join(ORIGIN)).unwrap_or_else(|| path.display().to_string());
            copies.push(Copy { slot, origin, directory: path });
        }
    }
    copies.sort();
    complaints.sort();
    (copies, complaints)
}

/// One collection at a time: udev and an administrator may start two.
#[derive(Debug)]
pub struct Collection {
    place: PathBuf,
    _lock: Flock<File>,
}

/// Whether a copy is a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It has other bytes than the one before it, or there was none.
    New,
    /// It is there already.
    Same,
}

impl Collection {
    /// Makes the directory for root alone, and waits for another collection to end.
    ///
    /// # Errors
    /// When it cannot be made or locked.
    pub fn begin(paths: &Paths) -> Result<Self, DurableError> {
        durable::directory(&paths.run(), 0o755)?;
        let place = paths.collected();
        durable::directory(&place, 0o700)?;
        let failed = durable::failed("lock", &place);
        match File::open(&place).map(|directory| Flock::lock(directory, FlockArg::LockExclusive)) {
            Ok(Ok(lock)) => Ok(Self { place, _lock: lock }),
            Ok(Err((_, error))) => Err(failed(error.into())),
            Err(error) => Err(failed(error)),
        }
    }

    /// Puts `files` in the place of the copy before them, all at once, and withdraws the complaint.
    ///
    /// # Errors
    /// Names the file; the copy before is still there.
    pub fn keep(&self, slot: &Slot, origin: &str, files: &[(&str, Vec<u8>)]) -> Result<Kept, DurableError> {
        let place = self.place.join(slot.name());
        self.withdraw(slot)?;
        let texts = files.iter().map(|(name, bytes)| (*name, &bytes[..])).chain([(ORIGIN, origin.as_bytes())]);
        if holds(&place, texts.clone()) {
            return Ok(Kept::Same);
        }
        let aside = self.place.join(ASIDE);
        remove(&aside)?;
        durable::directory(&aside, 0o700)?;
        for (name, bytes) in texts {
            durable::replace(&aside.join(name), bytes, 0o600, None)?;
        }
        let (here, flags) = (nix::fcntl::AT_FDCWD, RenameFlags::RENAME_EXCHANGE);
        let flags = if place.exists() { flags } else { RenameFlags::empty() };
        renameat2(here, &aside, here, &place, flags)
            .map_err(|error| durable::failed("rename into place", &place)(error.into()))?;
        remove(&aside)?;
        durable::sync_directory(&self.place)?;
        Ok(Kept::New)
    }

    /// Leaves a complaint; a copy that is there stays.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn complain(&self, slot: &Slot, lack: Lack, origin: &str, why: &str) -> Result<(), DurableError> {
        let text = format!("{origin}\n{why}\n");
        let place = self.complaint(slot, lack);
        // Writing the same again would wake reconcile for nothing.
        if words(&place).is_some_and(|words| words == text.trim_end()) {
            return Ok(());
        }
        self.withdraw(slot)?;
        durable::replace(&place, text.as_bytes(), 0o600, None)
    }

    /// Takes a complaint back.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn withdraw(&self, slot: &Slot) -> Result<(), DurableError> {
        Lack::ALL.into_iter().try_for_each(|lack| {
            let place = self.complaint(slot, lack);
            match fs::remove_file(&place) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(durable::failed("remove", &place)(error)),
                _ => Ok(()),
            }
        })
    }

    fn complaint(&self, slot: &Slot, lack: Lack) -> PathBuf {
        self.place.join(format!("{}.{}", slot.name(), lack.suffix()))
    }
}

/// Whether `place` holds exactly these files.
fn holds<'a>(place: &Path, files: impl Iterator<Item = (&'a str, &'a [u8])>) -> bool {
    let mut count = 0;
    for (name, bytes) in files {
        count += 1;
        if !fs::read(place.join(name)).is_ok_and(|found| found == bytes) {
            return false;
        }
    }
    fs::read_dir(place).is_ok_and(|entries| entries.count() == count)
}

fn remove(directory: &Path) -> Result<(), DurableError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(durable::failed("remove", directory)(error)),
        _ => Ok(()),
    }
}

fn words(path: &Path) -> Option<String> {
    let bytes = super::pair::file(path, MOST_WORDS_BYTES).ok().flatten()?;
    String::from_utf8(bytes).ok().map(|text| text.trim_end().to_owned())
}
