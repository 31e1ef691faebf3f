//! Where everything lives on a host, in one table (spec/architecture.md, "Files on the host").
//!
//! All paths hang below a root so that a test or an image build can use a directory instead of `/`.

use std::path::{Path, PathBuf};

/// The table of paths below one root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    root: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self::below("/")
    }
}

/// Declares one accessor per path, with its place below the root.
macro_rules! paths {
    ($($(#[$doc:meta])* $name:ident: $place:literal,)*) => {
        impl Paths {
            $($(#[$doc])* pub fn $name(&self) -> PathBuf { self.root.join($place) })*
        }
    };
}

impl Paths {
    /// The table below `root`.
    pub fn below(root: impl AsRef<Path>) -> Self {
        Self { root: root.as_ref().to_owned() }
    }

    /// Where an absolute path of the host lies.
    pub fn at(&self, absolute: &Path) -> PathBuf {
        self.root.join(absolute.strip_prefix("/").unwrap_or(absolute))
    }

    /// The directories where a manifest may be dropped, highest precedence first. Precedence only breaks
    /// ties: the highest valid generation wins wherever it lies.
    pub fn drops(&self) -> [PathBuf; 3] {
        [self.run_drop(), self.etc_drop(), self.var_drop()]
    }
}

paths! {
    /// Keys that may sign, baked into the image.
    allowed_signers: "usr/lib/quorate/trust/allowed_signers",
    /// How many of them must (optional; one when absent).
    trust_policy: "usr/lib/quorate/trust/policy.yaml",
    /// The least generation that this image accepts (optional): it survives a wiped `/var`.
    min_generation: "usr/lib/quorate/min-generation",
    /// systemd's idea of when the system was built; its modification time cannot be later than now.
    clock_epoch: "usr/lib/clock-epoch",
    /// The last time that systemd-timesyncd knew.
    timesync_clock: "var/lib/systemd/timesync/clock",
    /// Present once systemd-timesyncd has synchronised the clock in this boot.
    timesync_synchronized: "run/systemd/timesync/synchronized",
    /// A manifest baked into the image (optional; its signature beside it with `.sig`).
    baked_manifest: "usr/lib/quorate/manifest.yaml",
    /// Certificates of whoever may serve a manifest over HTTPS (optional).
    https_ca: "usr/lib/quorate/trust/https-ca.pem",
    /// The kernel's command line.
    kernel_command_line: "proc/cmdline",
    /// The arguments of process 1: in a container the kernel's command line is that of the host.
    init_command_line: "proc/1/cmdline",
    /// systemd writes the kind of container there, and nothing when there is none.
    container: "run/systemd/container",
    /// The credentials that the hypervisor, firmware or boot loader passed to this system (systemd-creds(1)).
    system_credentials: "run/credentials/@system",
    /// Volatile drop directory.
    run_drop: "run/quorate/drop",
    /// Drop directory for provisioning.
    etc_drop: "etc/quorate/drop",
    /// Persistent drop directory.
    var_drop: "var/lib/quorate/drop",
    /// Where udev names volumes by their labels.
    labels: "dev/disk/by-label",
    /// What was copied from volumes and from what the kernel command line names.
    collected: "run/quorate/collected",
    /// Volatile state: what is rendered, status, lock.
    run: "run/quorate",
    /// One reconcile at a time.
    lock: "run/quorate/lock",
    /// The status document; one writer, reconcile.
    status: "run/quorate/status.json",
    /// Prometheus text file.
    metrics: "run/quorate/metrics.prom",
    /// The configuration rendered for quorate-vrrpd.
    vrrpd_config: "run/quorate/vrrpd.json",
    /// What quorate-vrrpd says of itself; one writer, the daemon.
    vrrpd_state: "run/quorate/vrrpd/state.json",
    /// What is rendered for quorate-etcd.service: environment and key material, owned by its user.
    etcd_run: "run/quorate/etcd",
    /// Durable state of quorate.
    state: "var/lib/quorate",
    /// Accepted manifests, content-addressed, with the link `current`.
    manifests: "var/lib/quorate/manifests",
    /// Accepted trust files, `VERSION.yaml` with `VERSION.yaml.sig`.
    trust_files: "var/lib/quorate/trust",
    /// Highest accepted generation and its digest.
    ratchet: "var/lib/quorate/highwater.json",
    /// Genesis and membership markers, outside the etcd data directory.
    markers: "var/lib/quorate/etcd",
    /// The node's key, certificate and cluster CA, installed from the dropped bundle.
    node_pki: "var/lib/quorate/pki",
    /// etcd's tool for data directories at rest; a recovery restores with it.
    etcdutl: "usr/bin/etcdutl",
    /// etcd's own data.
    etcd_data: "var/lib/etcd",
    /// os-release(5), what the administrator or the image put in its place; usually a link to the other.
    os_release: "etc/os-release",
    /// os-release(5), of the vendor.
    vendor_os_release: "usr/lib/os-release",
    /// machine-id(5).
    machine_id: "etc/machine-id",
    /// SMBIOS serial number of the machine; readable by root only.
    smbios_serial: "sys/class/dmi/id/product_serial",
    /// SMBIOS UUID of the machine.
    smbios_uuid: "sys/class/dmi/id/product_uuid",
}
