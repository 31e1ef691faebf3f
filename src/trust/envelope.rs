//! Signature files: one or more SSHSIG blocks (OpenSSH `PROTOCOL.sshsig`), armoured, one after the other.
//!
//! `ssh-keygen -Y sign` writes one block; several signers append theirs. Between blocks there is white space and
//! nothing else. A file that is damaged anywhere is refused as a whole: it is not what somebody meant to deliver.
//! For FIDO2 keys the flags and counter at the end of the signature are read here, because the signature also
//! verifies when nobody touched the key.

use ssh_key::{Algorithm, EcdsaCurve, HashAlg, LineEnding, SshSig};

/// A block has some 400 bytes; sixteen signers is more than any policy asks for.
pub const MOST_BYTES: usize = 64 * 1024;
const MOST_BLOCKS: usize = 16;

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// FIDO2 flags: somebody touched the key (CTAP2 §6.1).
const USER_PRESENT: u8 = 0x01;
/// FIDO2 flags: the key knew who, by PIN or finger.
const USER_VERIFIED: u8 = 0x04;
/// One byte of flags and four of counter follow the signature proper.
const FIDO_TRAILER_BYTES: usize = 5;

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    signature: SshSig,
}

/// What a FIDO2 key says of the person in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// An ordinary key: it does not say.
    NotAsked,
    /// Nobody touched it.
    Absent,
    /// It was touched.
    Touched,
    /// It was touched, and a PIN or finger was checked.
    UserVerified,
}

/// Why a signature file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// It has no block.
    #[error("it is empty; sign with 'quorate sign' or 'ssh-keygen -Y sign -n quorate-manifest'")]
    Empty,
    /// It is too large.
    #[error("it has {0} bytes, signature files have at most {MOST_BYTES}; deliver only the signatures")]
    TooLarge(usize),
    /// It has too many blocks.
    #[error("it has more than {MOST_BLOCKS} signatures; deliver only those that are needed")]
    TooMany,
    /// Something stands between or around the blocks.
    #[error("line {line} is no part of a signature; a signature file has only blocks from '{BEGIN}' to '{END}'")]
    Stray {
        /// Counted from 1.
        line: usize,
    },
    /// A block has no end.
    #[error("signature {block} has no end: the file was cut off; deliver it again, or sign again")]
    Truncated {
        /// Counted from 1.
        block: usize,
    },
    /// A block does not hold a signature.
    #[error("signature {block} is damaged; deliver it again, or sign again")]
    Damaged {
        /// Counted from 1.
        block: usize,
        /// What the decoder said.
        #[source]
        source: ssh_key::Error,
    },
}

/// The same block with flags and counter beside the signature proper, where PROTOCOL.u2f has them. ssh-key 0.6.7 does so
/// when it reads, and writes them *into* it for ECDSA keys of tokens: what it wrote, nobody could read.
fn trailer_beside(text: &str, signature_bytes: usize) -> Option<String> {
    let block = pem::parse(text).ok()?;
    let mut bytes = block.contents().to_vec();
    // The last string of the block is the signature; its length stands right before it.
    let length_at = bytes.len().checked_sub(signature_bytes + 4)?;
    let proper = u32::try_from(signature_bytes.checked_sub(FIDO_TRAILER_BYTES)?).ok()?;
    bytes.get_mut(length_at..length_at + 4)?.copy_from_slice(&proper.to_be_bytes());
    let as_openssh = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF).set_line_wrap(70);
    Some(pem::encode_config(&pem::Pem::new(block.tag(), bytes), as_openssh))
}

impl Envelope {
    /// All signatures of a file.
    ///
    /// # Errors
    /// The first thing that makes the file unfit.
    pub fn read_all(text: &str) -> Result<Vec<Envelope>, EnvelopeError> {
        if text.len() > MOST_BYTES {
            return Err(EnvelopeError::TooLarge(text.len()));
        }
        let mut envelopes = Vec::new();
        let mut open: Option<String> = None;
        for (at, line) in text.lines().map(str::trim_end).enumerate() {
            let block = envelopes.len() + 1;
            open = match open {
                None if line.is_empty() => None,
                None if line == BEGIN => Some(format!("{BEGIN}\n")),
                None => return Err(EnvelopeError::Stray { line: at + 1 }),
                Some(armour) if line == END => {
                    let pem = format!("{armour}{END}\n");
                    let signature = SshSig::from_pem(pem).map_err(|source| EnvelopeError::Damaged { block, source })?;
                    envelopes.push(Envelope { signature });
                    if envelopes.len() > MOST_BLOCKS {
                        return Err(EnvelopeError::TooMany);
                    }
                    None
                }
                Some(_) if line == BEGIN => return Err(EnvelopeError::Truncated { block }),
                Some(armour) => Some(format!("{armour}{line}\n")),
            };
        }
        match (open, envelopes.is_empty()) {
            (Some(_), _) => Err(EnvelopeError::Truncated { block: envelopes.len() + 1 }),
            (None, true) => Err(EnvelopeError::Empty),
            (None, false) => Ok(envelopes),
        }
    }

    /// Wraps a signature, for writing.
    pub fn new(signature: SshSig) -> Self {
        Self { signature }
    }

    /// The armoured block, as `ssh-keygen` writes it.
    ///
    /// # Errors
    /// When the signature cannot be encoded.
    pub fn to_text(&self) -> Result<String, ssh_key::Error> {
        let mut text = self.signature.to_pem(LineEnding::LF)?;
        if self.key().algorithm() == Algorithm::SkEcdsaSha2NistP256 {
            text =
                trailer_beside(&text, self.signature.signature_bytes().len()).ok_or(ssh_key::Error::FormatEncoding)?;
        }
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(text)
    }

    /// The key that claims to have made it.
    pub fn key(&self) -> &ssh_key::public::KeyData {
        self.signature.public_key()
    }

    /// Its fingerprint, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        self.key().fingerprint(HashAlg::Sha256).to_string()
    }

    /// What it was made for.
    pub fn namespace(&self) -> &str {
        self.signature.namespace()
    }

    /// The algorithm, if it is one of those that count: no RSA (RUSTSEC-2023-0071 has no fixed release).
    pub fn algorithm(&self) -> Result<Algorithm, Algorithm> {
        match self.key().algorithm() {
            good @ (Algorithm::Ed25519
            | Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }
            | Algorithm::SkEd25519
            | Algorithm::SkEcdsaSha2NistP256) => Ok(good),
            other => Err(other),
        }
    }

    /// Whether it is a signature of exactly these bytes.
    pub fn covers(&self, bytes: &[u8]) -> bool {
        let key = ssh_key::PublicKey::from(self.key().clone());
        key.verify(self.namespace(), bytes, &self.signature).is_ok()
    }

    /// What the key says of the person in front of it; meaningful once [`Self::covers`] holds.
    pub fn presence(&self) -> Presence {
        if !matches!(self.key().algorithm(), Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256) {
            return Presence::NotAsked;
        }
        let bytes = self.signature.signature_bytes();
        let flags = bytes.len().checked_sub(FIDO_TRAILER_BYTES).and_then(|at| bytes.get(at)).copied().unwrap_or(0);
        match (flags & USER_PRESENT != 0, flags & USER_VERIFIED != 0) {
            (false, _) => Presence::Absent,
            (true, false) => Presence::Touched,
            (true, true) => Presence::UserVerified,
        }
    }
}
