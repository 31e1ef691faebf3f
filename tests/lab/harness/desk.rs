//! The administrator's desk: the key that signs, the trust that is baked, and the manifest, made with the real
//! commands that the administrator would type.

use super::master::{DropPlace, Master};
use super::{Lab, must};
use anyhow::Context as _;
use quorate::manifest::parse::parse;
use quorate::pki::profile::{self, Profile};
use quorate::pki::workshop::Workshop;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A directory of the administrator, and the program.
#[derive(Debug)]
pub struct Desk {
    directory: PathBuf,
    quorate: PathBuf,
}

/// Whose key signs.
#[derive(Debug, Clone, Copy)]
pub enum Signer {
    /// The one that the image trusts.
    Admin,
    /// Nobody the image knows.
    Stranger,
}

impl Desk {
    /// Makes the desk with a fresh OpenSSH key and the `allowed_signers` that names it.
    pub fn set_up(directory: &Path, quorate: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(directory)?;
        let desk = Self { directory: directory.to_owned(), quorate: quorate.to_owned() };
        for key in ["admin", "stranger"] {
            let mut make = Command::new("ssh-keygen");
            make.args(["-q", "-t", "ed25519", "-N", "", "-C", &format!("{key}@lab"), "-f"]).arg(directory.join(key));
            must(&mut make)?;
        }
        let public = fs::read_to_string(desk.directory.join("admin.pub"))?;
        fs::write(desk.trust(), format!("admin@lab namespaces=\"quorate-manifest\" {public}"))?;
        Ok(desk)
    }

    /// Everything from the starter manifest to the signed one, for a new cluster; each command with what it printed.
    pub fn prepare(&self) -> anyhow::Result<Vec<(String, String)>> {
        self.prepare_edited(str::to_owned)
    }

    /// The same, with a further edit of the starter.
    pub fn prepare_edited(&self, edit: impl Fn(&str) -> String) -> anyhow::Result<Vec<(String, String)>> {
        let former = self.directory.join("pki");
        if former.exists() {
            fs::remove_dir_all(former)?;
        }
        let starter = self.quorate(&["init", "--masters", "3", "--name", "lab"])?;
        // The lab has no API server: the probe asks etcd's client port instead.
        let manifest = edit(&starter.replace("https: \"https://127.0.0.1:6443/livez\"", "tcp: \"127.0.0.1:2379\""));
        fs::write(self.directory.join("manifest.yaml"), &manifest)?;
        let mut told = vec![("quorate init --masters 3 >manifest.yaml   # then edited".to_owned(), spec_of(&manifest))];
        for command in ["check manifest.yaml", "pki init", "pki issue manifest.yaml", "sign manifest.yaml --key admin"]
        {
            let arguments: Vec<_> = command.split(' ').collect();
            told.push((format!("quorate {command}"), self.quorate(&arguments)?));
        }
        Ok(told)
    }

    /// The desk of an earlier run, or a new one: an image keeps the trust it was built with.
    pub fn kept(directory: &Path, quorate: &Path) -> anyhow::Result<Self> {
        let desk = Self { directory: directory.to_owned(), quorate: quorate.to_owned() };
        if desk.trust().exists() { Ok(desk) } else { Self::set_up(directory, quorate) }
    }

    /// Whether [`Desk::prepare`] has run.
    pub fn has_manifest(&self) -> bool {
        self.directory.join("manifest.yaml.sig").exists()
    }

    /// Signs bytes with the desk's own key or a stranger's, as `ssh-keygen -Y sign` does, which asks no questions
    /// about what it signs.
    pub fn sign_unasked(&self, manifest: &[u8], signer: Signer) -> anyhow::Result<Vec<u8>> {
        let key = match signer {
            Signer::Admin => "admin",
            Signer::Stranger => "stranger",
        };
        let (place, signature) = (self.directory.join("unasked"), self.directory.join("unasked.sig"));
        fs::write(&place, manifest)?;
        if signature.exists() {
            fs::remove_file(&signature)?;
        }
        let mut sign = Command::new("ssh-keygen");
        sign.args(["-q", "-Y", "sign", "-n", "quorate-manifest", "-f"]).arg(self.directory.join(key)).arg(&place);
        must(&mut sign)?;
        Ok(fs::read(signature)?)
    }

    /// A new bundle for one master that is valid for so much longer: nothing that 'pki issue' would make.
    pub fn bundle_valid_for(&self, master: &Master, left: Duration) -> anyhow::Result<Vec<u8>> {
        let text = fs::read(self.directory.join("manifest.yaml"))?;
        let manifest = parse("manifest.yaml", &text).map_err(|findings| anyhow::anyhow!("{findings}"))?.manifest;
        let master = manifest.master(&master.name.parse()?).context("the manifest has no such master")?;
        let now = jiff::Timestamp::now();
        let profile = Profile { not_after: now.checked_add(left)?, ..profile::node(&manifest, master, now) };
        Ok(Workshop::at(&self.directory.join("pki")).authority()?.issue(&profile)?.to_pem().into_bytes())
    }

    /// The drop for one master.
    pub fn drop_for(&self, master: &Master) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
        self.files_for(&master.name)
    }

    /// The same, for the master of that name.
    pub fn files_for(&self, master: &str) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
        let read = |path: PathBuf| fs::read(self.directory.join(path));
        Ok(vec![
            ("node.pem", read(PathBuf::from("pki/nodes").join(master).join("node.pem"))?),
            ("manifest.yaml.sig", read("manifest.yaml.sig".into())?),
            ("manifest.yaml", read("manifest.yaml".into())?),
        ])
    }

    /// The program, run at the desk.
    pub fn quorate(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = must(Command::new(&self.quorate).args(arguments).current_dir(&self.directory))?;
        // Reports go to stdout, findings to stderr; at the desk one reads both.
        Ok([output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat())
    }

    /// The `allowed_signers` file.
    pub fn trust(&self) -> PathBuf {
        self.directory.join("allowed_signers")
    }
}

impl Lab {
    /// The same manifest to every master that is on, and to each its own bundle.
    pub fn drop_everywhere(&self) -> anyhow::Result<()> {
        self.masters.iter().filter(|master| master.is_on()).try_for_each(|master| {
            let files = self.desk.drop_for(master)?;
            let files: Vec<_> = files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
            master.put_drop(DropPlace::Run, &files)
        })
    }
}

/// The part of a manifest that a reader looks at first.
fn spec_of(manifest: &str) -> String {
    manifest.lines().skip_while(|line| !line.starts_with("spec:")).collect::<Vec<_>>().join("\n")
}
