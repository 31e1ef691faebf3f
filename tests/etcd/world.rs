//! One test's world: a network namespace, a cluster CA, and the manifests of its masters.

use quorate::etcd::Desired;
use quorate::ident::{Digest, Generation, NodeName};
use quorate::manifest::EtcdPhase;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The newest packaged etcd; the one that the demo uses.
pub const NEWEST: &str = "forky";

const STACK_BYTES: usize = 32 << 20;

/// The etcd binary of one Debian suite, installed into the cache if need be; or why there is none.
pub fn etcd(suite: &str) -> Result<PathBuf, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/etcd/install.sh");
    let run = Command::new(script).arg(suite).output().map_err(|error| error.to_string())?;
    if run.status.success() {
        Ok(PathBuf::from(String::from_utf8_lossy(&run.stdout).trim()))
    } else {
        Err(format!("no etcd of {suite}: {}", String::from_utf8_lossy(&run.stderr).lines().last().unwrap_or("")))
    }
}

/// The longest scenario takes two minutes on a busy machine. One that waits for what never comes has to end as well.
const LIFETIME: Duration = Duration::from_secs(900);

/// Runs `test` in a network namespace of this thread's own, with the etcd of `suite`. Prints SKIPPED and why when
/// that cannot be had.
pub fn with_etcd<F: Future<Output = ()>>(suite: &str, test: impl FnOnce(World) -> F + Send) {
    let binary = match etcd(suite) {
        Ok(binary) => binary,
        Err(why) => return println!("SKIPPED: {why}"),
    };
    let inside = || {
        if let Err(errno) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET) {
            return println!("SKIPPED: no network namespace of its own (root is needed): {errno}");
        }
        assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ended = runtime.block_on(async { tokio::time::timeout(LIFETIME, test(World::new(binary))).await });
        assert!(ended.is_ok(), "the scenario has not ended within {LIFETIME:?}");
    };
    // A scenario is one future, large without optimisation.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, inside).unwrap();
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Gives this thread, and what it starts from now on, mounts of its own.
pub fn private_mounts() {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    let private = nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE;
    nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
}

/// An ext4 file system of its own under a directory, in a file beside it: a data partition that can be full, read-only
/// or missing. [`private_mounts`] first.
pub struct Partition {
    image: PathBuf,
    place: PathBuf,
}

impl Partition {
    /// Makes one of `size_mib` megabytes and mounts it over `place`; or says why there is none.
    pub fn over(place: &Path, size_mib: u64) -> Result<Self, String> {
        let partition = Self { image: place.with_extension("ext4"), place: place.to_owned() };
        std::fs::File::create(&partition.image).unwrap().set_len(size_mib << 20).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&partition.image))?;
        partition.mount(&[]).map(|()| partition)
    }

    /// Mounts it, with options such as `-oro`.
    pub fn mount(&self, options: &[&str]) -> Result<(), String> {
        run(Command::new("mount").arg("-oloop").args(options).arg(&self.image).arg(&self.place))
    }

    /// Takes it away; what lay below it shows.
    pub fn unmount(&self) {
        run(Command::new("umount").arg(&self.place)).unwrap();
    }
}

impl Drop for Partition {
    fn drop(&mut self) {
        // Fails where it is not mounted. The loop device goes with the last mount of it.
        let _done = Command::new("umount").arg("--lazy").arg(&self.place).stderr(Stdio::null()).status();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let run = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if run.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", String::from_utf8_lossy(&run.stderr))) }
}

/// The cluster CA, a directory for everything, and the etcd binary.
pub struct World {
    pub etcd: PathBuf,
    pub place: tempfile::TempDir,
    ca: Issuer<'static, KeyPair>,
    ca_pem: String,
}

impl World {
    pub fn new(etcd: PathBuf) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "test cluster CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca_pem = params.self_signed(&key).unwrap().pem();
        Self { etcd, place: tempfile::tempdir().unwrap(), ca: Issuer::new(params, key), ca_pem }
    }

    /// Puts the key material of `name` where `quorate pki` and the drop put it.
    pub fn issue(&self, directory: &Path, name: &str, address: IpAddr) {
        std::fs::create_dir_all(directory).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec![name.to_owned(), address.to_string(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        std::fs::write(directory.join("node.key"), key.serialize_pem()).unwrap();
        std::fs::write(directory.join("node.crt"), certificate.pem()).unwrap();
        std::fs::write(directory.join("ca.crt"), &self.ca_pem).unwrap();
    }
}

/// The address of master number `number`.
pub fn address(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 1, number))
}

/// The name of master number `number`.
pub fn name(number: u8) -> NodeName {
    format!("m{number}").parse().unwrap()
}

/// What a manifest of these masters asks of master `me`.
pub fn desired(me: u8, masters: &[u8], generation: u64) -> Desired {
    Desired {
        me: name(me),
        address: address(me),
        members: masters.iter().map(|number| (name(*number), address(*number))).collect(),
        phase: EtcdPhase::Genesis,
        cluster: "3f0c6a52-5d0e-4b8e-9a3f-6f2f7a1d9c10".parse().unwrap(),
        generation: Generation(generation),
        digest: Digest::of(format!("{masters:?} {generation}").as_bytes()),
    }
}
