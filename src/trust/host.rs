//! What the image and this host say: whose signatures count, what is the least generation, what time it is.

use super::Purpose;
use super::clock::Clock;
use super::keyring::Keyring;
use super::policy::{self, Policy};
use super::rollback::Restart;
use super::rotation::{self, Root, RotationError};
use crate::durable::{self, DurableError};
use crate::ident::{Digest, Generation};
use crate::paths::Paths;
use crate::version::ImageVersion;
use jiff::Timestamp;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A list of signers or a policy larger than this is a mistake (1 MiB).
const MOST_TRUST_BYTES: u64 = 1 << 20;

/// A file that is there and cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read '{}'", path.display())]
pub struct ReadError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Why the trust files of the image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A file cannot be read.
    #[error("the trust files or the os-release of the image cannot be read")]
    Read(#[from] ReadError),
    /// An accepted trust file does not follow the one before it.
    #[error("the accepted trust file '{}' cannot be used; restore it, or boot an image with a newer trust", path.display())]
    Rotation {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<RotationError>,
    },
    /// The least generation of the image is not a number.
    #[error("'{}' has to hold one number, the least generation that is accepted", .0.display())]
    LeastGeneration(PathBuf),
    /// The trust policy has mistakes.
    #[error("the trust policy cannot be used")]
    Policy(#[source] Box<crate::yaml::finding::Findings>),
}

/// The list of allowed signers with its policy, from the image. Absent files trust nobody.
///
/// # Errors
/// When a file is there and cannot be used: a broken policy is never taken for a weaker one.
fn image_root(paths: &Paths) -> Result<Root, ImageError> {
    let policy = match text(&paths.trust_policy())? {
        Some(text) => policy::parse(&paths.trust_policy().display().to_string(), &text)
            .map_err(|findings| ImageError::Policy(Box::new(findings)))?,
        None => Policy::default(),
    };
    let keyring = Keyring::parse(&text(&paths.allowed_signers())?.unwrap_or_default(), policy);
    let restart = policy.restart.map(|at| Restart { version: policy.version, at });
    Ok(Root { version: policy.version, digest: None, keyring, restart })
}

/// Whom this host trusts, and whom it trusted before.
#[derive(Debug, Clone)]
pub struct Roots {
    /// The versions before, oldest first.
    pub earlier: Vec<Root>,
    /// The version in force.
    pub current: Root,
}

impl Roots {
    /// Puts the next version in force.
    pub fn advance(&mut self, next: Root) {
        self.earlier.push(std::mem::replace(&mut self.current, next));
    }

    /// The versions from `version` on.
    pub fn since(&self, version: u64) -> impl Iterator<Item = &Root> {
        self.earlier.iter().chain([&self.current]).filter(move |root| root.version >= version)
    }

    /// Whether a trust file is one of these versions.
    pub fn has(&self, digest: Digest) -> bool {
        self.earlier.iter().chain([&self.current]).any(|root| root.digest == Some(digest))
    }
}

/// The image's list and every accepted trust file after it.
///
/// # Errors
/// When a file is there and cannot be used. A version that cannot be read is not skipped: it may have taken a key away.
pub fn roots(paths: &Paths) -> Result<Roots, ImageError> {
    let mut roots = Roots { earlier: Vec::new(), current: image_root(paths)? };
    loop {
        let file = trust_file(paths, roots.current.version + 1);
        let Some(content) = text(&file)? else { return Ok(roots) };
        let signature = text(&beside(&file))?.unwrap_or_default();
        let next = rotation::succeed(&roots.current, content.as_bytes(), &signature, Purpose::InForce)
            .map_err(|source| ImageError::Rotation { path: file, source: Box::new(source) })?;
        roots.advance(next);
    }
}

/// Keeps an accepted trust file.
///
/// # Errors
/// When it cannot be written.
pub fn keep_root(paths: &Paths, version: u64, content: &[u8], signature: &str) -> Result<(), DurableError> {
    let file = trust_file(paths, version);
    durable::directory(&paths.trust_files(), 0o755)?;
    // The signature first: a trust file without one would stop the next run.
    durable::replace(&beside(&file), signature.as_bytes(), 0o644, None)?;
    durable::replace(&file, content, 0o644, None)
}

fn trust_file(paths: &Paths, version: u64) -> PathBuf {
    paths.trust_files().join(format!("{version}.yaml"))
}

fn beside(file: &Path) -> PathBuf {
    file.with_extension("yaml.sig")
}

/// The least generation that the image accepts; it survives a wiped `/var`.
///
/// # Errors
/// When the file is there and holds no number.
pub fn least_generation(paths: &Paths) -> Result<Generation, ImageError> {
    let path = paths.min_generation();
    match text(&path)? {
        Some(text) => text.trim().parse().map(Generation).map_err(|_| ImageError::LeastGeneration(path)),
        None => Ok(Generation(0)),
    }
}

/// The version of the image that runs here; none when os-release(5) does not name one.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn image_version(paths: &Paths) -> Result<Option<ImageVersion>, ImageError> {
    let release = match text(&paths.os_release())? {
        Some(release) => Some(release),
        None => text(&paths.vendor_os_release())?,
    };
    Ok(release.and_then(|release| ImageVersion::of_os_release(&release)))
}

/// Reads the clock of this host. It is trusted when systemd-timesyncd says that it is synchronised:
/// asking the kernel (adjtimex) is what the sandbox of the units forbids, together with setting it.
#[expect(clippy::disallowed_methods, reason = "the driver that reads the clock for everybody else")]
pub fn clock(paths: &Paths) -> Clock {
    let system = Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH);
    floor(paths, system)
}

/// The system clock, raised to what cannot be later than now: systemd's epoch, the date of the image, and what time
/// synchronisation last left behind.
fn floor(paths: &Paths, system: Timestamp) -> Clock {
    let modified = |path: &Path| {
        let time = std::fs::symlink_metadata(path).and_then(|metadata| metadata.modified()).ok()?;
        Timestamp::try_from(time).ok()
    };
    let not_later = [paths.clock_epoch(), paths.timesync_clock(), paths.allowed_signers()];
    let trusted = std::fs::symlink_metadata(paths.timesync_synchronized()).is_ok();
    Clock::floor(system, not_later.iter().filter_map(|path| modified(path)), trusted)
}

/// The text of a small file; `None` where there is none.
pub(super) fn text(path: &Path) -> Result<Option<String>, ReadError> {
    let Some(bytes) = bytes(path, MOST_TRUST_BYTES)? else { return Ok(None) };
    String::from_utf8(bytes).map(Some).map_err(|_| ReadError {
        path: path.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"),
    })
}

/// The bytes of a file of at most `most` bytes; `None` where there is none.
pub(super) fn bytes(path: &Path, most: u64) -> Result<Option<Vec<u8>>, ReadError> {
    let failed = |source| ReadError { path: path.to_owned(), source };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {most} bytes"))));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_policy_is_not_a_weaker_one() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        assert!(roots(&paths).unwrap().current.keyring.is_empty());
        fs::create_dir_all(paths.trust_policy().parent().unwrap()).unwrap();
        fs::write(paths.trust_policy(), "treshold: 2\n").unwrap();
        assert!(matches!(roots(&paths), Err(ImageError::Policy(_))));
    }

    #[test]
    fn the_image_may_name_a_least_generation() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        assert_eq!(least_generation(&paths).unwrap(), Generation(0));
        fs::create_dir_all(paths.min_generation().parent().unwrap()).unwrap();
        fs::write(paths.min_generation(), "12\n").unwrap();
        assert_eq!(least_generation(&paths).unwrap(), Generation(12));
        fs::write(paths.min_generation(), "twelve").unwrap();
        assert!(least_generation(&paths).is_err());
    }

    #[test]
    fn the_version_of_the_image_is_that_of_os_release() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        assert_eq!(image_version(&paths).unwrap(), None);
        for (path, content, version) in [
            (paths.vendor_os_release(), "ID=bareos\nIMAGE_VERSION=7\n", ImageVersion::parse("7")),
            (paths.os_release(), "IMAGE_VERSION=\"8.1\"\n", ImageVersion::parse("8.1")),
            (paths.os_release(), "ID=bareos\n", None),
        ] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
            assert_eq!(image_version(&paths).unwrap(), version, "{content}");
        }
        fs::write(paths.os_release(), [0xff]).unwrap();
        assert!(image_version(&paths).is_err(), "what cannot be read is not taken for absent");
    }

    /// Each thing that cannot be later than now raises the clock, and none of them makes it trusted.
    #[test]
    fn a_clock_that_is_behind_is_raised_by_what_cannot_be_later() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (unset, known) = (at("1970-01-01T00:00:17Z"), at("2026-11-22T20:00:00Z"));
        type Place = fn(&Paths) -> PathBuf;
        let places: [(&str, Place); 3] = [
            ("systemd's epoch", Paths::clock_epoch),
            ("what time synchronisation left behind", Paths::timesync_clock),
            ("the trust of the image", Paths::allowed_signers),
        ];
        for (what, place) in places {
            let root = tempfile::tempdir().unwrap();
            let paths = Paths::below(root.path());
            assert_eq!(floor(&paths, unset), Clock { now: unset, trusted: false });
            fs::create_dir_all(place(&paths).parent().unwrap()).unwrap();
            fs::File::create(place(&paths)).unwrap().set_modified(SystemTime::from(known)).unwrap();
            assert_eq!(floor(&paths, unset), Clock { now: known, trusted: false }, "{what}");
            let later = at("2026-11-23T20:00:00Z");
            assert_eq!(floor(&paths, later).now, later, "{what} is not later than the clock");
        }
    }

    #[test]
    fn timesyncd_vouches_for_the_clock() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        assert!(!floor(&paths, Timestamp::UNIX_EPOCH).trusted);
        fs::create_dir_all(paths.timesync_synchronized().parent().unwrap()).unwrap();
        fs::write(paths.timesync_synchronized(), "").unwrap();
        assert!(floor(&paths, Timestamp::UNIX_EPOCH).trusted);
    }
}
