//! A snapshot on this host's own disk before a voter is removed (M8), and no more of them than are useful.

use super::EtcdError;
use super::client::{ClientError, Endpoint};
use super::cluster::View;
use crate::durable;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

/// Snapshots kept: the one of this change, and two to fall back on.
const KEPT: usize = 3;
/// For the whole snapshot. etcd's default database limit of 2 GiB needs half of this at 70 MB/s.
const DEADLINE: Duration = Duration::from_secs(60);

/// Where the snapshots lie, below the directory of the markers.
pub fn directory(markers: &Path) -> PathBuf {
    markers.join("snapshots")
}

/// Streams a snapshot from `endpoint` to disk and forgets the oldest ones.
///
/// # Errors
/// It could not be read or written; nothing was changed.
pub async fn take(endpoint: &Endpoint, markers: &Path, view: &View) -> Result<PathBuf, EtcdError> {
    let place = directory(markers);
    durable::directory(&place, 0o700)?;
    let path = place.join(format!("{:x}-{}.db", view.cluster, unix_s()));
    let new = path.with_extension("new");
    let failed = |attempt: &'static str, path: &Path| {
        let path = path.to_owned();
        move |source| EtcdError::File { attempt, path, source }
    };
    let unread = |source| EtcdError::Client { what: "reading a snapshot".into(), source };
    let mut file = File::create(&new).map_err(failed("create", &new))?;
    let mut stream = endpoint.snapshot().await.map_err(unread)?;
    let copy = async {
        while let Some(part) = stream.message().await.map_err(|error| unread(endpoint.broken("snapshot", &error)))? {
            file.write_all(part.blob()).map_err(failed("write", &new))?;
        }
        Ok::<_, EtcdError>(())
    };
    let late = || unread(ClientError::TimedOut { call: "snapshot", address: endpoint.address() });
    timeout(DEADLINE, copy).await.map_err(|_| late())??;
    file.sync_all().map_err(failed("sync", &new))?;
    fs::rename(&new, &path).map_err(failed("rename into place", &path))?;
    durable::sync_directory(&place)?;
    forget(&place).map_err(failed("clean up", &place))?;
    Ok(path)
}

/// Leaves the newest; their names end in the time they were taken.
fn forget(place: &Path) -> std::io::Result<()> {
    let mut found = fs::read_dir(place)?.map(|file| Ok(file?.path())).collect::<std::io::Result<Vec<_>>>()?;
    found.sort_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok());
    for old in found.iter().rev().skip(KEPT) {
        fs::remove_file(old)?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a driver: it dates what it keeps")]
fn unix_s() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_snapshots_are_kept() {
        let place = tempfile::tempdir().unwrap();
        for number in 0..5_u64 {
            let file = File::create(place.path().join(format!("c-{number}.db"))).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(number)).unwrap();
        }
        forget(place.path()).unwrap();
        let mut left: Vec<_> = fs::read_dir(place.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["c-2.db", "c-3.db", "c-4.db"]);
    }
}
