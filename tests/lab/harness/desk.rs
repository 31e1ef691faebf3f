//! The administrator's desk: the key that signs, the trust that is baked, and the manifest, made with the real
//! commands that the administrator would type.

use super::must;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory of the administrator, and the program.
#[derive(Debug)]
pub struct Desk {
    directory: PathBuf,
    quorate: PathBuf,
}

impl Desk {
    /// Makes the desk with a fresh OpenSSH key and the `allowed_signers` that names it.
    pub fn set_up(directory: &Path, quorate: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(directory)?;
        let desk = Self { directory: directory.to_owned(), quorate: quorate.to_owned() };
        must(
            Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", "admin@lab", "-f"])
                .arg(desk.directory.join("admin")),
        )?;
        let public = fs::read_to_string(desk.directory.join("admin.pub"))?;
        fs::write(desk.trust(), format!("admin@lab namespaces=\"quorate-manifest\" {public}"))?;
        Ok(desk)
    }

    /// The `allowed_signers` file.
    pub fn trust(&self) -> PathBuf {
        self.directory.join("allowed_signers")
    }
}
