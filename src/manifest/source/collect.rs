//! Brings what lies on volumes, and what the kernel command line names, to where reconcile looks: what `quorate collect`
//! executes.
//!
//! Idempotent, and no judge: bytes are copied as they are, and reconcile verifies them like any other drop. A volume
//! or server that is not there, or holds nothing of ours, changes nothing.

use super::cmdline::{self, CommandLineError, Location};
use super::collected::{Collection, Kept, Lack, Slot, look};
use super::fetch::{self, FetchError};
use super::pair::{self, PairError};
use super::tls::{self, AuthorityError};
use super::volume::{self, VolumeError, Wanted};
use super::{DROPPED_MANIFEST, DROPPED_TRUST};
use crate::durable::DurableError;
use crate::journal::chain;
use crate::manifest::{DROPPED_BUNDLE, MOST_BUNDLE_BYTES, parse};
use crate::paths::Paths;
use crate::trust::clock::Clock;
use crate::trust::envelope;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// What a volume is looked through for.
const WANTED: [Wanted; 5] = [
    Wanted { name: DROPPED_MANIFEST, most: parse::MOST_BYTES },
    Wanted { name: SIGNATURE, most: envelope::MOST_BYTES },
    Wanted { name: DROPPED_TRUST, most: parse::MOST_BYTES },
    Wanted { name: "trust.yaml.sig", most: envelope::MOST_BYTES },
    Wanted { name: DROPPED_BUNDLE, most: MOST_BUNDLE_BYTES },
];

const SIGNATURE: &str = "manifest.yaml.sig";

/// Between two attempts to reach a server that nobody answers for.
const PAUSE: Duration = Duration::from_secs(2);

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
    /// It is not there now, for this reason.
    Awaited(String),
}

/// Why what the command line names was not copied.
#[derive(Debug, thiserror::Error)]
enum NamedError {
    #[error(transparent)]
    CommandLine(#[from] CommandLineError),
    #[error("the server cannot be trusted")]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    File(#[from] PairError),
    #[error("there is no '{}'", .0.display())]
    Absent(PathBuf),
}

/// Copies from every volume with one of our labels.
///
/// # Errors
/// When a copy cannot be written. What is wrong with a volume is an outcome.
pub fn volumes(paths: &Paths) -> Result<Vec<Collected>, DurableError> {
    let collection = Collection::begin(paths)?;
    let mut found = labelled(&paths.labels());
    // A complaint about a volume that is gone helps nobody; a copy of it stays.
    for complaint in look(paths).1 {
        if matches!(complaint.slot, Slot::Volume(..)) && !found.contains(&complaint.slot) {
            collection.withdraw(&complaint.slot)?;
        }
    }
    let (mut collected, mut done) = (Vec::new(), Vec::new());
    while let Some(slot) = found.iter().find(|slot| !done.contains(*slot)) {
        collected.extend(volume(&collection, paths, slot)?);
        done.push(slot.clone());
        // While one is read another may be attached, and systemd does not start a unit again that is still running.
        found = labelled(&paths.labels());
    }
    Ok(collected)
}

fn volume(collection: &Collection, paths: &Paths, slot: &Slot) -> Result<Option<Collected>, DurableError> {
    let Slot::Volume(_, label) = slot else { return Ok(None) };
    let place = paths.labels().join(label);
    let origin = format!("volume {}", place.display());
    let outcome = match read(&place) {
        Ok(files) if files.is_empty() => {
            collection.withdraw(slot)?;
            Outcome::Nothing
        }
        Ok(files) => keep(collection, slot, &origin, files)?,
        Err(error) => {
            let why = chain(&error);
            collection.complain(slot, Lack::Refused, &origin, &why)?;
            Outcome::Refused(why)
        }
    };
    Ok(Some(Collected { origin, outcome }))
}

/// Copies what the kernel command line names; nothing when it names nothing.
///
/// At boot the network comes late, and when is not to be known: as long as `patience` lasts, nothing was copied yet, and
/// nobody answers, it is tried again. A server that answers anything is not asked again: what it lacks does not come by
/// asking, and every master would. `tell` hears of the first silence, and of what came in the end.
///
/// # Errors
/// When a copy cannot be written. What is wrong with what is named is an outcome.
pub async fn command_line(
    paths: &Paths,
    clock: impl Fn() -> Clock,
    patience: Duration,
    tell: &mut dyn FnMut(&Collected),
) -> Result<Option<Collected>, DurableError> {
    let named = cmdline::read(&command_line_words(paths));
    let origin = match &named {
        Ok(None) => return Ok(None),
        Ok(Some(Location::File(path))) => format!("kernel command line, {}", path.display()),
        Ok(Some(Location::Url { url, .. })) => format!("kernel command line, {url}"),
        Err(_) => "kernel command line".to_owned(),
    };
    let until = Instant::now() + patience;
    let mut told = None;
    loop {
        // Not under the lock: a server may take its time.
        let files = match &named {
            Ok(Some(location)) => bring(location, paths, clock()).await,
            Ok(None) => return Ok(None),
            Err(error) => Err(error.clone().into()),
        };
        let silence = matches!(&files, Err(NamedError::Fetch(error)) if error.is_silence());
        let copied = || look(paths).0.iter().any(|copy| copy.slot == Slot::CommandLine);
        let again = silence && Instant::now() + PAUSE <= until && !copied();
        // Silence has other words from one moment to the next, and every new complaint wakes reconcile.
        if !again || told.is_none() {
            let outcome = settle(&Collection::begin(paths)?, &origin, files)?;
            let collected = Collected { origin: origin.clone(), outcome };
            if told.as_ref() != Some(&collected) {
                tell(&collected);
            }
            if !again {
                return Ok(Some(collected));
            }
            told = Some(collected);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Keeps what was brought, or a complaint about what was not.
fn settle(collection: &Collection, origin: &str, files: Result<Files, NamedError>) -> Result<Outcome, DurableError> {
    let slot = Slot::CommandLine;
    let error = match files {
        Ok(files) => return keep(collection, &slot, origin, files),
        Err(error) => error,
    };
    let passes = match &error {
        NamedError::Fetch(error) => error.passes(),
        NamedError::Absent(_) => true,
        NamedError::CommandLine(_) | NamedError::Authority(_) | NamedError::File(_) => false,
    };
    let why = chain(&error);
    collection.complain(&slot, if passes { Lack::Awaited } else { Lack::Refused }, origin, &why)?;
    Ok(if passes { Outcome::Awaited(why) } else { Outcome::Refused(why) })
}

type Files = Vec<(&'static str, Vec<u8>)>;

fn keep(collection: &Collection, slot: &Slot, origin: &str, files: Files) -> Result<Outcome, DurableError> {
    Ok(match collection.keep(slot, origin, &files)? {
        Kept::New => Outcome::Copied(files.into_iter().map(|(name, _)| name).collect()),
        Kept::Same => Outcome::Unchanged,
    })
}

/// The command line that this system was started with. A container sees the kernel's too, but was not started with it.
fn command_line_words(paths: &Paths) -> Vec<String> {
    let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    if paths.container().exists() {
        read(paths.init_command_line()).split('\0').map(str::to_owned).collect()
    } else {
        cmdline::words(&read(paths.kernel_command_line()))
    }
}

async fn bring(location: &Location, paths: &Paths, clock: Clock) -> Result<Files, NamedError> {
    match location {
        Location::Url { url, authority } => {
            let tls = tls::client(authority, paths, clock.now)?;
            let (manifest, signature) = fetch::fetch(url, tls, fetch::DEADLINE).await?;
            Ok(vec![(DROPPED_MANIFEST, manifest), (SIGNATURE, signature)])
        }
        Location::File(path) => {
            let manifest = paths.at(path);
            let mut files = Vec::new();
            for Wanted { name, most } in WANTED {
                let place = match name {
                    DROPPED_MANIFEST => manifest.clone(),
                    SIGNATURE => pair::beside(&manifest),
                    _ => manifest.with_file_name(name),
                };
                let most = u64::try_from(most).unwrap_or(u64::MAX);
                files.extend(pair::file(&place, most)?.map(|bytes| (name, bytes)));
            }
            if files.iter().any(|(name, _)| *name == DROPPED_MANIFEST) {
                Ok(files)
            } else {
                Err(NamedError::Absent(path.clone()))
            }
        }
    }
}

/// Which of our labels udev has seen, in the order of precedence.
fn labelled(labels: &Path) -> Vec<Slot> {
    let entries = fs::read_dir(labels).into_iter().flatten().filter_map(Result::ok);
    let mut slots: Vec<Slot> = entries.filter_map(|entry| Slot::volume(entry.file_name().to_str()?)).collect();
    slots.sort();
    slots
}

fn read(place: &Path) -> Result<Files, VolumeError> {
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
