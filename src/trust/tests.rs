use super::*;
use crate::trust::policy::Policy;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::public::{KeyData, SkEd25519};
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, Signature, SigningKey, SshSig};

const BYTES: &[u8] = b"what is signed";

/// A key that is the same in every run: tests must not depend on chance.
pub(crate) fn key(seed: u8) -> PrivateKey {
    PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&[seed; 32])), "").unwrap()
}

pub(crate) fn line(key: &PrivateKey, name: &str, options: &str) -> String {
    format!("{name} {options} {}\n", key.public_key().to_openssh().unwrap())
}

pub(crate) fn sign(key: &PrivateKey, namespace: &str, bytes: &[u8]) -> String {
    key.sign(namespace, HashAlg::Sha512, bytes).unwrap().to_pem(LineEnding::LF).unwrap()
}

pub(crate) fn at(text: &str) -> Clock {
    Clock { now: text.parse().unwrap(), trusted: true }
}

fn outcome(signature: &str, allowed: &str, threshold: usize, clock: Clock) -> Result<Vec<String>, String> {
    let keyring = Keyring::parse(allowed, Policy { threshold, user_verification: false, ..Policy::default() });
    let result = verify(BYTES.to_vec(), signature, &keyring, Purpose::NewInput(&clock));
    result.map(|signed| signed.signers).map_err(|error| {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        format!("{error}{source}")
    })
}

const NOW: &str = "2026-11-22T20:00:00Z";

#[test]
fn a_listed_key_makes_the_seal() {
    let (ours, signature) = (key(1), sign(&key(1), MANIFEST_NAMESPACE, BYTES));
    for options in ["", "namespaces=\"quorate-manifest\"", "namespaces=\"git,quorate-*\"", "valid-after=\"20260101Z\""]
    {
        assert_eq!(outcome(&signature, &line(&ours, "ops@site", options), 1, at(NOW)), Ok(vec!["ops@site".into()]));
    }
}

#[test]
fn every_reason_not_to_trust_has_its_own_words() {
    let (ours, theirs) = (key(1), key(2));
    let good = sign(&ours, MANIFEST_NAMESPACE, BYTES);
    let allowed = line(&ours, "ops", "");
    let cut = &good[..good.len() / 2];
    let damaged = good.replacen("U1NIU0lH", "U1NIU0lI", 1);
    let ours_print = ours.fingerprint(HashAlg::Sha256);
    let table: Vec<(String, String, String)> = vec![
        (String::new(), allowed.clone(), "the signature cannot be read: it is empty; sign with 'quorate sign' or 'ssh-keygen -Y sign -n quorate-manifest'".into()),
        (cut.into(), allowed.clone(), "the signature cannot be read: signature 1 has no end: the file was cut off; deliver it again, or sign again".into()),
        (damaged, allowed.clone(), "the signature cannot be read: signature 1 is damaged; deliver it again, or sign again".into()),
        (format!("{good}garbage\n"), allowed.clone(), "the signature cannot be read: line 7 is no part of a signature; a signature file has only blocks from '-----BEGIN SSH SIGNATURE-----' to '-----END SSH SIGNATURE-----'".into()),
        (
            sign(&theirs, MANIFEST_NAMESPACE, BYTES),
            allowed.clone(),
            format!("no trusted signature: key {} is not an allowed signer; sign with a listed key, or list this one in the image", theirs.fingerprint(HashAlg::Sha256)),
        ),
        (
            sign(&ours, "git", BYTES),
            allowed.clone(),
            format!("no trusted signature: the signature of key {ours_print} is for 'git' and not for 'quorate-manifest'; sign with 'ssh-keygen -Y sign -n quorate-manifest'"),
        ),
        (
            sign(&ours, MANIFEST_NAMESPACE, b"other bytes"),
            allowed.clone(),
            format!("no trusted signature: the signature of 'ops' (key {ours_print}) is not one of these bytes; the manifest was changed after it was signed: sign it again"),
        ),
        (
            good.clone(),
            line(&ours, "ops", "namespaces=\"git\""),
            format!("no trusted signature: key {ours_print} of 'ops' may not sign for 'quorate-manifest'; add the namespace to its line in the image"),
        ),
        (
            good.clone(),
            line(&ours, "ops", "namespaces=\"*,!quorate-manifest\""),
            format!("no trusted signature: key {ours_print} of 'ops' may not sign for 'quorate-manifest'; add the namespace to its line in the image"),
        ),
        (
            good.clone(),
            line(&ours, "ops", "valid-before=\"20261122200000Z\""),
            format!("no trusted signature: key {ours_print} of 'ops' expired at 2026-11-22T20:00:00Z; sign with a key that is valid"),
        ),
        (
            good.clone(),
            line(&ours, "ops", "valid-after=\"20261123Z\""),
            format!("no trusted signature: key {ours_print} of 'ops' is valid only from 2026-11-23T00:00:00Z, it is 2026-11-22T20:00:00Z; wait, or set the clock"),
        ),
        (good.clone(), String::new(), "no key is trusted: the list of allowed signers has no usable line".into()),
        (
            good.clone(),
            line(&ours, "ops", "namespace=\"quorate-manifest\""),
            "no key is trusted: the list of allowed signers has no usable line (line 1 is not used: 'namespace' is not an option)".into(),
        ),
    ];
    for (signature, allowed, expected) in table {
        assert_eq!(outcome(&signature, &allowed, 1, at(NOW)), Err(expected));
    }
}

#[test]
fn a_threshold_counts_keys_and_not_signatures() {
    let (one, two) = (key(1), key(2));
    let allowed = line(&one, "alice", "") + &line(&two, "bob", "") + &line(&one, "alice-again", "");
    let by_one = sign(&one, MANIFEST_NAMESPACE, BYTES);
    let by_two = sign(&two, MANIFEST_NAMESPACE, BYTES);
    let other_hash = one.sign(MANIFEST_NAMESPACE, HashAlg::Sha256, BYTES).unwrap().to_pem(LineEnding::LF).unwrap();
    assert_eq!(
        outcome(&by_one, &allowed, 2, at(NOW)),
        Err("2 trusted keys have to sign, 1 did (alice); add a signature with 'quorate sign --append'".into())
    );
    assert_eq!(
        outcome(&format!("{by_one}{other_hash}\n"), &allowed, 2, at(NOW)),
        Err("2 trusted keys have to sign, 1 did (alice); 'alice' signed twice, which counts once; another key has to \
             sign; add a signature with 'quorate sign --append'"
            .into())
    );
    let both = outcome(&format!("{by_one}\n{by_two}"), &allowed, 2, at(NOW));
    assert_eq!(both, Ok(vec!["alice".into(), "bob".into()]));
    // What does not count does no harm beside what does.
    let stranger = sign(&key(3), MANIFEST_NAMESPACE, BYTES);
    assert!(outcome(&format!("{stranger}{by_one}{by_two}"), &allowed, 2, at(NOW)).is_ok());
}

#[test]
fn dates_stop_new_input_and_never_what_is_in_force() {
    let ours = key(1);
    let keyring = Keyring::parse(&line(&ours, "ops", "valid-before=\"20200101Z\""), Policy::default());
    let signature = sign(&ours, MANIFEST_NAMESPACE, BYTES);
    assert!(verify(BYTES.to_vec(), &signature, &keyring, Purpose::NewInput(&at(NOW))).is_err());
    assert!(verify(BYTES.to_vec(), &signature, &keyring, Purpose::InForce).is_ok());
}

#[test]
fn a_clock_that_nobody_vouches_for_proves_expiry_and_not_youth() {
    let ours = key(1);
    let signature = sign(&ours, MANIFEST_NAMESPACE, BYTES);
    let untrusted = |text: &str| Clock { now: text.parse::<Timestamp>().unwrap(), trusted: false };
    let young = line(&ours, "ops", "valid-after=\"20261123Z\"");
    assert!(outcome(&signature, &young, 1, untrusted("1970-01-01T00:00:17Z")).is_ok());
    let old = line(&ours, "ops", "valid-before=\"20200101Z\"");
    assert!(outcome(&signature, &old, 1, untrusted(NOW)).is_err());
}

#[test]
fn a_line_that_is_not_understood_is_not_used() {
    let ours = key(1);
    let public = ours.public_key().to_openssh().unwrap();
    let blob = public.split_whitespace().nth(1).unwrap();
    let table = [
        (format!("ops cert-authority {public}"), "a certificate authority does not sign manifests, only keys do"),
        (format!("ops namespaces=git {public}"), "the value of 'namespaces' has to stand in double quotes"),
        (format!("ops namespaces=\"git {public}"), "a quote is not closed"),
        (format!("ops namespaces=\"a\",namespaces=\"b\" {public}"), "'namespaces' is written twice"),
        (format!("ops namespaces=\"a\", {public}"), "'' is not an option"),
        (
            format!("ops valid-after=\"20260101\" {public}"),
            "'20260101' has no time zone, so it would mean another time on every host; end it in 'Z'",
        ),
        (
            format!("ops valid-after=\"20261301Z\" {public}"),
            "'20261301Z' is not a time; write it like 20261122Z or 202611222000Z",
        ),
        (
            format!("ops valid-after=\"20260102Z\",valid-before=\"20260101Z\" {public}"),
            "its 'valid-before' is not after its 'valid-after'",
        ),
        (public.clone(), "it begins with the key; a name goes before it: 'ops@site ssh-ed25519 …'"),
        ("ops ssh-ed25519".into(), "it has no key"),
        (format!("ops sk-ssh-ed25519@openssh.com {blob}"), "its key cannot be read (unknown algorithm)"),
        ("ops ssh-ed25519 AAAA".into(), "its key cannot be read (Base64 encoding error: invalid Base64 length)"),
        (format!("\u{feff}ops {public}"), "its principals have characters that cannot be seen"),
    ];
    for (text, why) in table {
        let keyring = Keyring::parse(&text, Policy::default());
        assert_eq!(keyring.spoiled(), [format!("line 1 is not used: {why}")], "{text}");
        assert!(keyring.is_empty());
    }
    let good =
        Keyring::parse(&format!("# comment\n\n\t\"two words\" NAMESPACES=\"a b\" {public} c\r\n"), Policy::default());
    assert!(good.spoiled().is_empty() && !good.is_empty(), "{:?}", good.spoiled());
    // An empty list of namespaces allows none.
    let signature = sign(&ours, MANIFEST_NAMESPACE, BYTES);
    assert!(outcome(&signature, &line(&ours, "ops", "namespaces=\"\""), 1, at(NOW)).is_err());
}

/// A signature as a FIDO2 token makes it (OpenSSH PROTOCOL.u2f): what is signed is hashed together with the
/// application, the flags and a counter, which then follow the signature.
fn token_signature(seed: u8, flags: u8) -> (KeyData, String) {
    let application = "ssh:";
    let pair = Ed25519Keypair::from_seed(&[seed; 32]);
    let key = KeyData::SkEd25519(SkEd25519::new(pair.public, application.to_owned()));
    let data = SshSig::signed_data(MANIFEST_NAMESPACE, HashAlg::Sha512, BYTES).unwrap();
    let mut trailer = vec![flags];
    trailer.extend(7_u32.to_be_bytes());
    let message = [Sha256::digest(application).to_vec(), trailer.clone(), Sha256::digest(&data).to_vec()].concat();
    fn raw(key: &impl SigningKey, message: &[u8]) -> Signature {
        key.try_sign(message).unwrap()
    }
    let plain = raw(&self::key(seed), &message);
    let signature = Signature::new(Algorithm::SkEd25519, [plain.as_bytes().to_vec(), trailer].concat()).unwrap();
    let envelope = SshSig::new(key.clone(), MANIFEST_NAMESPACE, HashAlg::Sha512, signature).unwrap();
    (key, envelope.to_pem(LineEnding::LF).unwrap())
}

#[test]
fn a_security_key_counts_only_when_it_was_touched() {
    let judged = |flags: u8, user_verification: bool| {
        let (key, signature) = token_signature(4, flags);
        let public = ssh_key::PublicKey::from(key).to_openssh().unwrap();
        let keyring =
            Keyring::parse(&format!("ops {public}\n"), Policy { threshold: 1, user_verification, ..Policy::default() });
        assert!(keyring.spoiled().is_empty(), "{:?}", keyring.spoiled());
        let clock = at(NOW);
        verify(BYTES.to_vec(), &signature, &keyring, Purpose::NewInput(&clock))
            .map(|signed| signed.signers.concat())
            .map_err(|error| error.to_string())
    };
    assert_eq!(judged(0x01, false), Ok("ops".into()));
    assert_eq!(judged(0x05, true), Ok("ops".into()));
    assert_eq!(
        judged(0x00, false),
        Err(
            "no trusted signature: nobody touched the security key of 'ops' when it signed; touch it, or make the key \
             without 'no-touch-required'"
                .into()
        )
    );
    assert_eq!(judged(0x04, false), judged(0x00, false), "a PIN is no touch");
    assert_eq!(
        judged(0x01, true),
        Err("no trusted signature: the security key of 'ops' did not check a PIN or finger; make the key with \
             'verify-required'"
            .into())
    );
}
