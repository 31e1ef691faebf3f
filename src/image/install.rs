//! Puts the table into a tree, or compares the tree with it.
//!
//! Every path is resolved inside the tree (openat2(2) with `RESOLVE_IN_ROOT`): a link such as `/lib -> /usr/lib`
//! leads where it would lead on the running system, and no link leads out of the tree. A file is replaced as a
//! whole, and only when it differs, so that installing twice changes nothing and keeps every timestamp.

use super::{Content, Entry, Payload, Standing};
use crate::durable::{self, DurableError};
use crate::trust::keyring::Keyring;
use crate::trust::policy::Policy;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::fstat;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Why a tree was not installed into, or not compared.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The directory itself cannot be opened.
    #[error("cannot open the tree '{}'", root.display())]
    Root {
        /// As named on the command line.
        root: PathBuf,
        #[allow(missing_docs)]
        source: io::Error,
    },
    /// `/` was named without consent.
    #[error("'{}' is the running system: name the directory of the image, or add --yes inside a container build", root.display())]
    RunningSystem {
        /// As named on the command line.
        root: PathBuf,
    },
    /// Nothing in it says that it is an operating system.
    #[error(
        "'{}' is no operating system tree, it has neither usr/lib/os-release nor etc/os-release: name the root of the image",
        root.display()
    )]
    NotATree {
        /// As named on the command line.
        root: PathBuf,
    },
    /// A file that comes with the command cannot be read.
    #[error("cannot read {what} '{}'", path.display())]
    Payload {
        /// What it was to become.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        #[allow(missing_docs)]
        source: io::Error,
    },
    /// The trust file would leave the image with fewer signers than it seems to name.
    #[error("'{}' is no usable list of signers: {why}", path.display())]
    Trust {
        /// As named on the command line.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// An operation inside the tree failed.
    #[error("cannot {attempt} '/{}' of the tree", path.display())]
    Tree {
        /// What was attempted.
        attempt: &'static str,
        /// Relative to the root of the tree.
        path: PathBuf,
        #[allow(missing_docs)]
        source: io::Error,
    },
    /// A file could not be replaced.
    #[error("cannot place '/{}' in the tree", path.display())]
    Place {
        /// Relative to the root of the tree.
        path: PathBuf,
        #[allow(missing_docs)]
        source: DurableError,
    },
}

/// Whether the tree may be the system that is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunningSystem {
    /// Refuse it.
    Refused,
    /// The caller means it, as in a container build.
    Allowed,
}

impl Payload {
    /// Reads what comes with the command.
    ///
    /// # Errors
    /// Names the file that cannot be read.
    pub fn read(quorate: &Path, vrrpd: &Path, trust: &Path) -> Result<Self, InstallError> {
        let read = |what, path: &Path| {
            fs::read(path).map_err(|source| InstallError::Payload { what, path: path.to_owned(), source })
        };
        let payload = Self {
            quorate: read("the program", quorate)?,
            vrrpd: read("the VRRP daemon", vrrpd)?,
            trust: read("the trust file", trust)?,
        };
        match unusable(&payload.trust) {
            Some(why) => Err(InstallError::Trust { path: trust.to_owned(), why }),
            None => Ok(payload),
        }
    }
}

/// What is wrong with a trust file. An image that trusts nobody can never be given a manifest, and a signer whose line
/// is spoiled would be missed only when their signature is needed: both are mistakes of the build.
fn unusable(trust: &[u8]) -> Option<String> {
    let Ok(text) = std::str::from_utf8(trust) else { return Some("it is not text".into()) };
    let keyring = Keyring::parse(text, Policy::default());
    match keyring.spoiled().first() {
        Some(spoiled) => Some(spoiled.clone()),
        None => keyring.is_empty().then(|| "it names nobody who may sign manifests".into()),
    }
}

/// An operating system tree.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
}

impl Tree {
    /// Opens the tree below `root`.
    ///
    /// # Errors
    /// When it cannot be opened, is no operating system, or is the running one without consent.
    pub fn open(root: &Path, running: RunningSystem) -> Result<Self, InstallError> {
        let named = || root.to_owned();
        let unreadable = |error: Errno| InstallError::Root { root: named(), source: error.into() };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let open = |path: &Path| nix::fcntl::open(path, flags, nix::sys::stat::Mode::empty()).map_err(unreadable);
        let identity = |fd: &OwnedFd| fstat(fd).map(|stat| (stat.st_dev, stat.st_ino)).map_err(unreadable);
        let tree = Self { root: open(root)? };
        if running == RunningSystem::Refused && identity(&tree.root)? == identity(&open(Path::new("/"))?)? {
            return Err(InstallError::RunningSystem { root: named() });
        }
        let marks = ["usr/lib/os-release", "etc/os-release"];
        if marks.into_iter().any(|mark| tree.resolve(Path::new(mark), OFlag::O_PATH).is_ok()) {
            Ok(tree)
        } else {
            Err(InstallError::NotATree { root: named() })
        }
    }

    /// The names of the `.network` files that the image's builder put into the tree, in order, each once. systemd
    /// numbers its own 80 to 89; they are for containers and virtual machines of the host, not for its links.
    ///
    /// # Errors
    /// When a directory that exists cannot be read.
    pub fn network_files(&self) -> Result<Vec<String>, InstallError> {
        let mut names = Vec::new();
        for place in ["etc/systemd/network", "usr/lib/systemd/network"] {
            let place = Path::new(place);
            let failed = |source| InstallError::Tree { attempt: "list", path: place.to_owned(), source };
            let Some(directory) = self.directory(place)? else { continue };
            for entry in fs::read_dir(directory).map_err(failed)? {
                let name = entry.map_err(failed)?.file_name();
                let builders = |name: &&str| name.ends_with(".network") && !name.starts_with('8');
                names.extend(name.to_str().filter(builders).map(str::to_owned));
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Whether a program of that path is there.
    pub fn has(&self, path: &Path) -> bool {
        self.resolve(path, OFlag::O_PATH).is_ok()
    }

    /// How the tree stands against `entry`.
    ///
    /// # Errors
    /// When what is there cannot be read.
    pub fn standing(&self, entry: &Entry<'_>) -> Result<Standing, InstallError> {
        let failed = |source| InstallError::Tree { attempt: "read", path: entry.path.clone(), source };
        let Some(directory) = self.directory(parent(&entry.path))? else { return Ok(Standing::Missing) };
        let place = directory.join(name(&entry.path));
        let found = match fs::symlink_metadata(&place) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Standing::Missing),
            Err(error) => return Err(failed(error)),
        };
        Ok(match &entry.content {
            Content::Directory { mode } if found.is_dir() => {
                if found.permissions().mode() & 0o7777 == *mode {
                    Standing::Same
                } else {
                    Standing::WrongMode
                }
            }
            Content::Directory { .. } => Standing::Changed,
            Content::Link { target } => {
                let same = found.is_symlink() && fs::read_link(&place).map_err(failed)? == *target;
                if same { Standing::Same } else { Standing::Changed }
            }
            Content::File { bytes, mode } => {
                if !found.is_file() || fs::read(&place).map_err(failed)? != *bytes {
                    Standing::Changed
                } else if found.permissions().mode() & 0o7777 != *mode {
                    Standing::WrongMode
                } else {
                    Standing::Same
                }
            }
        })
    }

    /// Makes the tree have `entry`; returns how it stood before.
    ///
    /// # Errors
    /// Names the path in the tree; what was there before is still there.
    pub fn place(&self, entry: &Entry<'_>) -> Result<Standing, InstallError> {
        let standing = self.standing(entry)?;
        if standing == Standing::Same {
            return Ok(standing);
        }
        let place = self.make_directory(parent(&entry.path))?.join(name(&entry.path));
        match &entry.content {
            Content::File { bytes, mode } => durable::replace(&place, bytes, *mode, None)
                .map_err(|source| InstallError::Place { path: entry.path.clone(), source })?,
            Content::Directory { mode } => durable::directory(&place, *mode)
                .map_err(|source| InstallError::Place { path: entry.path.clone(), source })?,
            Content::Link { target } => {
                let failed = |source| InstallError::Tree { attempt: "link", path: entry.path.clone(), source };
                // symlink(2) replaces nothing, rename(2) does.
                let new = place.with_file_name(".quorate-link.new");
                match fs::remove_file(&new) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                    _ => {}
                }
                std::os::unix::fs::symlink(target, &new).map_err(failed)?;
                fs::rename(&new, &place).map_err(failed)?;
            }
        }
        Ok(standing)
    }

    /// Where a directory of the tree really is, links followed inside the tree; `None` when it is not there.
    fn directory(&self, path: &Path) -> Result<Option<PathBuf>, InstallError> {
        let failed = |attempt| move |source| InstallError::Tree { attempt, path: path.to_owned(), source };
        match self.resolve(path, OFlag::O_PATH | OFlag::O_DIRECTORY) {
            Ok(found) => {
                let real = fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd())).map_err(failed("find"))?;
                Ok(Some(real))
            }
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(failed("open")(error.into())),
        }
    }

    /// The same, made with its parents when it is not there.
    fn make_directory(&self, path: &Path) -> Result<PathBuf, InstallError> {
        if let Some(directory) = self.directory(path)? {
            return Ok(directory);
        }
        let failed = |source| InstallError::Tree { attempt: "create the directory", path: path.to_owned(), source };
        let directory = self.make_directory(parent(path))?.join(name(path));
        fs::create_dir(&directory).map_err(failed)?;
        // Not left to the umask of whoever builds the image.
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).map_err(failed)?;
        Ok(directory)
    }

    fn resolve(&self, path: &Path, flags: OFlag) -> Result<OwnedFd, Errno> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_IN_ROOT);
        openat2(&self.root, path, how)
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn name(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}

#[cfg(test)]
#[path = "install/tests.rs"]
mod tests;
