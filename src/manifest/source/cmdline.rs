//! What the kernel command line says about the manifest: `quorate.manifest=` and `quorate.ca=`.
//!
//! The command line is as little trusted as any carrier. It names where something lies; the signature counts.

use crate::ident::Digest;
use std::path::PathBuf;

/// `quorate.manifest=`
const MANIFEST: &str = "quorate.manifest";
/// `quorate.ca=`
const CA: &str = "quorate.ca";

/// Where the manifest is said to lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file of this host, with the others beside it.
    File(PathBuf),
    /// A file on a server, its signatures at the same URL with `.sig`.
    Url {
        /// As written.
        url: String,
        /// Who vouches for the server.
        authority: Authority,
    },
}

/// Who vouches for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// The certificates that the image carries for it.
    Image,
    /// The certificates in this file.
    File(PathBuf),
    /// A certificate that the server sends, by the SHA-256 digest of its public key (SubjectPublicKeyInfo).
    Key(Digest),
}

/// Why the command line names nothing that could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandLineError {
    /// Neither a path nor a URL.
    #[error("'{MANIFEST}={0}' is neither an absolute path nor an https:// URL")]
    Location(String),
    /// Not encrypted, and so not from where it says.
    #[error("'{MANIFEST}={0}' is not encrypted; serve it as https://")]
    Plain(String),
    /// More than the name of a file.
    #[error("'{MANIFEST}={0}' has a user, a query or a fragment; serve it under a name without")]
    Parts(String),
    /// No certificate is meant.
    #[error("'{CA}={0}' is neither an absolute path nor 'sha256:' with 64 lower-case hexadecimal digits")]
    Authority(String),
}

/// What the words of a command line name; nothing when they do not speak of a manifest. Of several the last one counts,
/// as everywhere on that line.
///
/// # Errors
/// Says which word cannot be understood.
pub fn read(words: &[String]) -> Result<Option<Location>, CommandLineError> {
    let last = |key: &str| {
        let of_key = |word: &String| word.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
        words.iter().rev().find_map(of_key)
    };
    let Some(manifest) = last(MANIFEST) else { return Ok(None) };
    if manifest.starts_with('/') {
        return Ok(Some(Location::File(manifest.into())));
    }
    if manifest.starts_with("http://") {
        return Err(CommandLineError::Plain(manifest));
    }
    let Some(rest) = manifest.strip_prefix("https://").filter(|rest| rest.contains('/')) else {
        return Err(CommandLineError::Location(manifest));
    };
    if rest.contains(['@', '?', '#']) {
        // A password must not get into the journal.
        let shown = manifest.rfind('@').map_or(manifest.clone(), |at| format!("https://…{}", &manifest[at..]));
        return Err(CommandLineError::Parts(shown));
    }
    let authority = match last(CA) {
        None => Authority::Image,
        Some(path) if path.starts_with('/') => Authority::File(path.into()),
        Some(key) => match key.strip_prefix("sha256:").and_then(|digest| digest.parse().ok()) {
            Some(digest) => Authority::Key(digest),
            None => return Err(CommandLineError::Authority(key)),
        },
    };
    Ok(Some(Location::Url { url: manifest, authority }))
}

/// The words of the kernel's command line: divided by blanks outside double quotes, which do not belong to a word.
pub fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            _ if character.is_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            _ => word.push(character),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> String {
        match read(&words(line)) {
            Ok(None) => "nothing".into(),
            Ok(Some(location)) => format!("{location:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_line_names_a_file_or_a_url_or_nothing() {
        let pin = "ab".repeat(32);
        let url = |authority: &str| format!(r#"Url {{ url: "https://host/m.yaml", authority: {authority} }}"#);
        for (line, expected) in [
            ("root=/dev/vda quiet", "nothing".into()),
            ("quorate.manifest", "nothing".into()),
            ("quorate.manifestation=/x", "nothing".into()),
            ("quiet quorate.manifest=/efi/manifest.yaml\n", r#"File("/efi/manifest.yaml")"#.into()),
            ("\"quorate.manifest=/a b\"", r#"File("/a b")"#.into()),
            ("quorate.manifest=\"/a b\"", r#"File("/a b")"#.into()),
            ("quorate.manifest=/one quorate.manifest=/two", r#"File("/two")"#.into()),
            ("quorate.manifest=https://host/m.yaml", url("Image")),
            ("quorate.ca=/run/ca.pem quorate.manifest=https://host/m.yaml", url(r#"File("/run/ca.pem")"#)),
            (&format!("quorate.manifest=https://host/m.yaml quorate.ca=sha256:{pin}"), url(&format!("Key({pin})"))),
        ] {
            assert_eq!(told(line), expected, "{line}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_in_its_own_words() {
        for (line, expected) in [
            ("quorate.manifest=", "'quorate.manifest=' is neither an absolute path nor an https:// URL"),
            ("quorate.manifest=m.yaml", "'quorate.manifest=m.yaml' is neither an absolute path nor an https:// URL"),
            (
                "quorate.manifest=https://host",
                "'quorate.manifest=https://host' is neither an absolute path nor an https:// URL",
            ),
            (
                "quorate.manifest=http://host/m",
                "'quorate.manifest=http://host/m' is not encrypted; serve it as https://",
            ),
            (
                "quorate.manifest=https://me:secret@host/m",
                "'quorate.manifest=https://…@host/m' has a user, a query or a fragment; serve it under a name without",
            ),
            (
                "quorate.manifest=https://host/m?token=1",
                "'quorate.manifest=https://host/m?token=1' has a user, a query or a fragment; serve it under a name without",
            ),
            (
                "quorate.manifest=https://host/m quorate.ca=sha256:AB",
                "'quorate.ca=sha256:AB' is neither an absolute path nor 'sha256:' with 64 lower-case hexadecimal digits",
            ),
        ] {
            assert_eq!(told(line), expected, "{line}");
        }
    }
}
