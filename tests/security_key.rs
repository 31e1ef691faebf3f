//! Signatures of FIDO2 keys, judged by quorate and by ssh-keygen. The test is the authenticator: it signs as a token does
//! (CTAP2 §6.1.2, OpenSSH PROTOCOL.u2f), so every bit of it can be wrong in turn. Signatures made by OpenSSH itself with
//! its dummy token lie in `tests/bad_input/signature`.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use quorate::trust::clock::Clock;
use quorate::trust::envelope::Envelope;
use quorate::trust::keyring::Keyring;
use quorate::trust::policy::Policy;
use quorate::trust::{MANIFEST_NAMESPACE, Purpose, verify};
use sha2::{Digest, Sha256};
use ssh_key::public::{KeyData, SkEcdsaSha2NistP256, SkEd25519};
use ssh_key::{Algorithm, HashAlg, PrivateKey, PublicKey, Signature, SigningKey, SshSig};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

const BYTES: &[u8] = b"what is signed";
const TOUCHED: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;

/// A token with one key.
struct Token {
    secret: PrivateKey,
    application: String,
}

/// What a token says of one signature.
#[derive(Clone, Copy)]
struct Answer {
    flags: u8,
    counter: u32,
}

impl Token {
    fn new(place: &Path, kind: &str) -> Self {
        let path = place.join(kind);
        let made = Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", "", "-f"]).arg(&path).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let secret = PrivateKey::from_openssh(fs::read_to_string(path).unwrap()).unwrap();
        Self { secret, application: "ssh:".into() }
    }

    /// Its public key, which names the application that the token signs for.
    fn public(&self, application: &str) -> KeyData {
        match self.secret.public_key().key_data() {
            KeyData::Ed25519(key) => SkEd25519::new(*key, application).into(),
            KeyData::Ecdsa(ssh_key::public::EcdsaPublicKey::NistP256(point)) => {
                SkEcdsaSha2NistP256::new(*point, application).into()
            }
            other => panic!("{other:?}"),
        }
    }

    /// Signs; `said` is what it signs about itself, `told` what it says beside the signature.
    fn sign(&self, namespace: &str, bytes: &[u8], said: Answer, told: Answer) -> String {
        let trailer = |answer: Answer| [&[answer.flags][..], &answer.counter.to_be_bytes()].concat();
        let data = SshSig::signed_data(namespace, HashAlg::Sha512, bytes).unwrap();
        let message =
            [Sha256::digest(&self.application).to_vec(), trailer(said), Sha256::digest(&data).to_vec()].concat();
        fn plain(key: &impl SigningKey, message: &[u8]) -> Vec<u8> {
            key.try_sign(message).unwrap().as_bytes().to_vec()
        }
        let signed = [plain(&self.secret, &message), trailer(told)].concat();
        let key = self.public(&self.application);
        let algorithm = key.algorithm();
        let signature = Signature::new(algorithm, signed).unwrap();
        Envelope::new(SshSig::new(key, namespace, HashAlg::Sha512, signature).unwrap()).to_text().unwrap()
    }
}

/// What quorate says of a signature.
fn ours(allowed: &str, signature: &str, user_verification: bool) -> Result<(), String> {
    let keyring = Keyring::parse(allowed, Policy { user_verification, ..Policy::default() });
    assert!(keyring.spoiled().is_empty(), "{:?}", keyring.spoiled());
    let clock = Clock { now: jiff::Timestamp::now(), trusted: true };
    verify(BYTES.to_vec(), signature, &keyring, Purpose::NewInput(&clock)).map(drop).map_err(|error| error.to_string())
}

/// Whether ssh-keygen, which needs no token for that, accepts it.
fn openssh(place: &Path, allowed: &str, signature: &str) -> bool {
    for (name, content) in [("bytes", BYTES), ("allowed", allowed.as_bytes()), ("sig", signature.as_bytes())] {
        fs::write(place.join(name), content).unwrap();
    }
    Command::new("ssh-keygen")
        .args(["-Y", "verify", "-f", "allowed", "-I", "ops", "-n", MANIFEST_NAMESPACE, "-s", "sig"])
        .current_dir(place)
        .stdin(File::open(place.join("bytes")).unwrap())
        .output()
        .unwrap()
        .status
        .success()
}

#[test]
fn quorate_and_openssh_agree_on_what_tokens_sign() {
    let place = tempfile::tempdir().unwrap();
    for kind in ["ed25519", "ecdsa"] {
        let token = Token::new(place.path(), kind);
        let line =
            |application: &str| format!("ops {}\n", PublicKey::from(token.public(application)).to_openssh().unwrap());
        let here = line("ssh:");
        let algorithm = token.public("ssh:").algorithm();
        assert!(matches!(algorithm, Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256), "{algorithm}");
        let good = Answer { flags: TOUCHED, counter: 7 };
        let verified = Answer { flags: TOUCHED | USER_VERIFIED, counter: u32::MAX };
        let forged = |told: Answer| token.sign(MANIFEST_NAMESPACE, BYTES, good, told);
        let table = [
            ("as it should be", here.clone(), forged(good), true),
            ("with a PIN", here.clone(), token.sign(MANIFEST_NAMESPACE, BYTES, verified, verified), true),
            ("of other bytes", here.clone(), token.sign(MANIFEST_NAMESPACE, b"other bytes", good, good), false),
            ("for another purpose", here.clone(), token.sign("git", BYTES, good, good), false),
            ("with another counter", here.clone(), forged(Answer { counter: 8, ..good }), false),
            ("with a PIN that was not asked", here.clone(), forged(Answer { flags: 0x05, ..good }), false),
            ("of a key for another application", line("ssh:other"), forged(good), false),
        ];
        for (what, allowed, signature, accepted) in table {
            assert_eq!(ours(&allowed, &signature, false).is_ok(), accepted, "{kind} {what}");
            assert_eq!(openssh(place.path(), &allowed, &signature), accepted, "ssh-keygen: {kind} {what}");
        }
        // What was signed about another application, under the key as it is listed.
        let other = Token { secret: token.secret.clone(), application: "ssh:other".into() };
        let signature = other.sign(MANIFEST_NAMESPACE, BYTES, good, good);
        assert!(ours(&here, &signature, false).is_err() && !openssh(place.path(), &here, &signature), "{kind}");
    }
}

/// Here the two differ on purpose: `ssh-keygen -Y verify` asks nobody whether the token was touched.
#[test]
fn only_a_touched_token_counts_although_openssh_takes_any() {
    let place = tempfile::tempdir().unwrap();
    for kind in ["ed25519", "ecdsa"] {
        let token = Token::new(place.path(), kind);
        let allowed = format!("ops {}\n", PublicKey::from(token.public("ssh:")).to_openssh().unwrap());
        let judged = |flags: u8, user_verification: bool| {
            let answer = Answer { flags, counter: 1 };
            let signature = token.sign(MANIFEST_NAMESPACE, BYTES, answer, answer);
            assert!(openssh(place.path(), &allowed, &signature), "{kind} {flags:#x}");
            ours(&allowed, &signature, user_verification)
        };
        for flags in [0x00, 0x01, 0x04, 0x05, 0x40, 0x80, 0xfe, 0xff] {
            let (touched, verified) = (flags & TOUCHED != 0, flags & USER_VERIFIED != 0);
            let plain = judged(flags, false);
            assert_eq!(plain.is_ok(), touched, "{kind} {flags:#x}: {plain:?}");
            if !touched {
                assert!(plain.unwrap_err().contains("nobody touched the security key of 'ops'"));
            }
            let strict = judged(flags, true);
            assert_eq!(strict.is_ok(), touched && verified, "{kind} {flags:#x}: {strict:?}");
        }
    }
}

/// 'sign --append' writes the signatures of others again: what OpenSSH made has to stay what it is.
#[test]
fn what_openssh_signed_with_a_token_is_written_back_byte_for_byte() {
    for name in ["good-sk-ed25519", "good-sk-ecdsa", "good", "good-ecdsa"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/bad_input/signature/{name}.sig"));
        let text = fs::read_to_string(path).unwrap();
        let [envelope] = Envelope::read_all(&text).unwrap().try_into().unwrap();
        assert_eq!(envelope.to_text().unwrap(), text, "{name}");
    }
}
