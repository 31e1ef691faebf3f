//! Brings what lies on volumes to where reconcile looks: what `quorate collect` executes.
//!
//! Idempotent, and no judge: bytes are copied as they are, and reconcile verifies them like any other drop. A volume
//! that is not there, or holds nothing of ours, changes nothing.

use super::collected::{Collection, Kept, Slot, look};
use super::volume::{self, VolumeError, Wanted};
use super::{DROPPED_MANIFEST, DROPPED_TRUST};
use crate::durable::DurableError;
use crate::journal::chain;
use crate::manifest::{DROPPED_BUNDLE, MOST_BUNDLE_BYTES, parse};
use crate::paths::Paths;
use crate::trust::envelope;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// What a volume is looked through for.
const WANTED: [Wanted; 5] = [
    Wanted { name: DROPPED_MANIFEST, most: parse::MOST_BYTES },
    Wanted { name: "manifest.yaml.sig", most: envelope::MOST_BYTES },
    Wanted { name: DROPPED_TRUST, most: parse::MOST_BYTES },
    Wanted { name: "trust.yaml.sig", most: envelope::MOST_BYTES },
    Wanted { name: DROPPED_BUNDLE, most: MOST_BUNDLE_BYTES },
];

/// What came of one carrier.
#[derive(Debug, PartialEq, Eq)]
pub struct Collected {
    /// Where it was found, in words.
    pub origin: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of looking into a carrier.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// These files were copied.
    Copied(Vec<&'static str>),
    /// The copy is there already.
    Unchanged,
    /// It holds nothing of ours.
    Nothing,
    /// It cannot be used, for this reason.
    Refused(String),
}

/// Copies from every volume with one of our labels.
///
/// # Errors
/// When a copy cannot be written. What is wrong with a volume is an outcome.
pub fn volumes(paths: &Paths) -> Result<Vec<Collected>, DurableError> {
    let collection = Collection::begin(paths)?;
    let found = labelled(&paths.labels());
    // A complaint about a volume that is gone helps nobody; a copy of it stays.
    for complaint in look(paths).1 {
        if matches!(complaint.slot, Slot::Volume(..)) && !found.contains(&complaint.slot) {
            collection.withdraw(&complaint.slot)?;
        }
    }
    let mut collected = Vec::new();
    for slot in found {
        let Slot::Volume(_, label) = &slot else { continue };
        let place = paths.labels().join(label);
        let origin = format!("volume {}", place.display());
        let outcome = match read(&place) {
            Ok(files) if files.is_empty() => {
                collection.withdraw(&slot)?;
                Outcome::Nothing
            }
            Ok(files) => match collection.keep(&slot, &origin, &files)? {
                Kept::New => Outcome::Copied(files.into_iter().map(|(name, _)| name).collect()),
                Kept::Same => Outcome::Unchanged,
            },
            Err(error) => {
                let why = chain(&error);
                collection.complain(&slot, &origin, &why)?;
                Outcome::Refused(why)
            }
        };
        collected.push(Collected { origin, outcome });
    }
    Ok(collected)
}

/// Which of our labels udev has seen, in the order of precedence.
fn labelled(labels: &Path) -> Vec<Slot> {
    let entries = fs::read_dir(labels).into_iter().flatten().filter_map(Result::ok);
    let mut slots: Vec<Slot> = entries.filter_map(|entry| Slot::volume(entry.file_name().to_str()?)).collect();
    slots.sort();
    slots
}

fn read(place: &Path) -> Result<Vec<(&'static str, Vec<u8>)>, VolumeError> {
    let device = open(place).map_err(VolumeError::Io)?;
    Ok(volume::read(&device, &WANTED)?.files)
}

/// Opens the device that udev's link leads to. A drive without a medium must not make anybody wait.
fn open(place: &Path) -> io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;
    let device = OpenOptions::new().read(true).custom_flags(flags).open(place)?;
    let kind = device.metadata()?.file_type();
    // An image file stands for a device where there is none, as in a test.
    if kind.is_block_device() || kind.is_file() { Ok(device) } else { Err(io::Error::other("it is no block device")) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_what_a_drop_directory_holds() {
        let names = [DROPPED_MANIFEST, DROPPED_TRUST].map(|name| [name.to_owned(), format!("{name}.sig")]).concat();
        assert!(WANTED.iter().map(|wanted| wanted.name).eq(names.iter().map(String::as_str).chain([DROPPED_BUNDLE])));
    }

    #[test]
    fn labels_are_taken_in_their_order_and_in_any_case() {
        let root = tempfile::tempdir().unwrap();
        for label in ["config-2", "CIDATA", "QUORATE", "quorate", "quorate2", "root"] {
            fs::write(root.path().join(label), "").unwrap();
        }
        let labels: Vec<String> = labelled(root.path())
            .into_iter()
            .map(|slot| match slot {
                Slot::Volume(_, label) => label,
                Slot::CommandLine => unreachable!(),
            })
            .collect();
        assert_eq!(labels, ["QUORATE", "quorate", "CIDATA", "config-2"]);
        assert!(labelled(Path::new("/no/such/directory")).is_empty());
    }
}
