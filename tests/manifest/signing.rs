//! Signing on a workstation, with ssh-keygen as the judge; and the way of somebody who does it for the first time.

use super::{KEY_TYPES, QUORATE, Workstation, keygen, quorate};
use std::fs;
use std::process::Command;

#[test]
fn openssh_and_quorate_verify_each_others_signatures() {
    let workstation = Workstation::new();
    for (kind, _) in KEY_TYPES {
        let _ = fs::remove_file(workstation.place.path().join("manifest.yaml.sig"));
        let signed = workstation.quorate(&["sign", "--key", kind]);
        assert_eq!(signed.status.code(), Some(0), "{kind}: {signed:?}");
        let identity = format!("{kind}@site");
        assert!(workstation.openssh_accepts(&identity, "quorate-manifest"), "{kind}");
        assert!(!workstation.openssh_accepts(&identity, "git"), "{kind}");
        workstation.openssh_signs(kind, "quorate-manifest");
        let verified = workstation.quorate(&["verify", "--trust", "allowed_signers"]);
        assert_eq!(verified.status.code(), Some(0), "{kind}: {verified:?}");
        workstation.openssh_signs(kind, "git");
        assert_eq!(workstation.quorate(&["verify", "--trust", "allowed_signers"]).status.code(), Some(5), "{kind}");
    }
}

#[test]
fn signatures_are_collected_and_each_key_counts_once() {
    let workstation = Workstation::new();
    let verdict = |arguments: &[&str]| workstation.quorate(arguments).status.code();
    let threshold = ["verify", "--trust", "allowed_signers", "--threshold", "2"];
    assert_eq!(verdict(&["sign", "--key", "ed25519"]), Some(0));
    assert_eq!(verdict(&threshold), Some(5));
    assert_eq!(verdict(&["sign", "--key", "ed25519", "--append"]), Some(0));
    assert_eq!(verdict(&threshold), Some(5), "the same key again is still one");
    assert_eq!(verdict(&["sign", "--key", "ecdsa"]), Some(2), "another's signature is not thrown away");
    assert_eq!(verdict(&["sign", "--key", "ecdsa", "--append"]), Some(0));
    assert_eq!(verdict(&threshold), Some(0));
    let manifest = workstation.place.path().join("manifest.yaml");
    let changed = fs::read_to_string(&manifest).unwrap().replace("generation: 1", "generation: 2");
    fs::write(&manifest, changed).unwrap();
    assert_eq!(verdict(&["sign", "--key", "ecdsa", "--append"]), Some(2), "signatures of other bytes are not kept");
    assert_eq!(verdict(&["sign", "--key", "ecdsa"]), Some(0));
}

/// Ends the agent that the test started.
struct Agent(std::process::Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_key_that_only_the_agent_can_use_signs_through_it() {
    let workstation = Workstation::new();
    let place = workstation.place.path();
    let socket = place.join("agent");
    // -D keeps it in the foreground, so that it is ours to end.
    let agent = Agent(
        Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(std::process::Stdio::null()).spawn().unwrap(),
    );
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !socket.exists() {
        assert!(std::time::Instant::now() < deadline, "ssh-agent did not start");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let added =
        Command::new("ssh-add").arg("-q").arg(place.join("ed25519")).env("SSH_AUTH_SOCK", &socket).output().unwrap();
    assert!(added.status.success(), "{added:?}");
    fs::remove_file(place.join("ed25519")).unwrap();
    let sign = |key: &str| {
        Command::new(QUORATE)
            .args(["sign", "--key", key])
            .current_dir(place)
            .env("SSH_AUTH_SOCK", &socket)
            .output()
            .unwrap()
    };
    let signed = sign("ed25519.pub");
    assert_eq!(signed.status.code(), Some(0), "{signed:?}");
    assert!(workstation.openssh_accepts("ed25519@site", "quorate-manifest"));
    assert_eq!(workstation.quorate(&["verify", "--trust", "allowed_signers"]).status.code(), Some(0));
    let refused = sign("ecdsa.pub");
    assert_eq!(
        String::from_utf8(refused.stderr).unwrap(),
        "quorate: usage: cannot use 'ecdsa.pub': ssh-agent has to sign with it; load it with 'ssh-add', then sign again: \
         ssh-agent does not hold this key\n"
    );
    drop(agent);
}

#[test]
fn a_trust_file_is_checked_and_signed_for_its_own_purpose() {
    let workstation = Workstation::new();
    let place = workstation.place.path();
    let public = fs::read_to_string(place.join("ecdsa.pub")).unwrap();
    let text = format!("kind: TrustRoot\nversion: 2\nsigners: |\n  ops@site {public}");
    fs::write(place.join("trust.yaml"), text).unwrap();
    let sign = |arguments: &[&str]| workstation.quorate(&[&["sign", "trust.yaml", "--trust-file"], arguments].concat());
    assert_eq!(sign(&["--key", "ed25519"]).status.code(), Some(0));
    let second = sign(&["--key", "ecdsa", "--append"]);
    assert!(String::from_utf8(second.stdout).unwrap().contains("version 2,"), "{:?}", second.stderr);
    let signature = fs::read_to_string(place.join("trust.yaml.sig")).unwrap();
    assert_eq!(signature.matches("BEGIN SSH SIGNATURE").count(), 2);
    // It is no signature of a manifest, and a trust file is no manifest.
    assert_eq!(workstation.quorate(&["sign", "trust.yaml", "--key", "ed25519"]).status.code(), Some(6));
    fs::write(place.join("trust.yaml"), "kind: TrustRoot\nversion: 2\nsingers: ''\n").unwrap();
    let misspelt = sign(&["--key", "ed25519"]);
    assert_eq!(misspelt.status.code(), Some(6));
    assert!(String::from_utf8(misspelt.stderr).unwrap().contains("did you mean 'signers'?"));
}

/// What somebody tries who has read nothing but `--help`: each mistake says by itself what to do.
#[test]
fn a_newcomer_is_led_from_nothing_to_a_signed_manifest() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path("id").to_str().unwrap()]);
    let said = |arguments: &[&str]| String::from_utf8(quorate(place.path(), arguments).stderr).unwrap();
    assert_eq!(
        said(&["check"]),
        "quorate: usage: cannot open 'manifest.yaml'; begin with 'quorate init > manifest.yaml': No such file or \
         directory (os error 2)\n"
    );
    assert_eq!(
        said(&["init", "--masters", "4"]),
        "quorate: refused: 4 masters tolerate the loss of 1, no more than 3 do, and need 3 of 4 to agree: list 3 or 5 \
         masters\n"
    );
    assert!(said(&["init", "--masters", "1"]).ends_with("start with 3 masters, or for a trial with '--test'\n"));
    fs::write(path("manifest.yaml"), quorate(place.path(), &["init"]).stdout).unwrap();
    assert_eq!(said(&["check"]), "");
    assert!(said(&["sign", "--key", "manifest.yaml"]).ends_with(
        "cannot use 'manifest.yaml': it is no OpenSSH key; give the private key, or its '.pub' if ssh-agent holds the \
         private one\n"
    ));
    assert_eq!(said(&["sign", "--key", "id"]), "");
    assert!(said(&["verify"]).contains("lines like 'ops@site ssh-ed25519 AAAA…', a name and a public key"));
    assert_eq!(
        said(&["verify", "--trust", "id"]),
        "quorate: usage: 'id' is a private key; --trust wants a list of public keys with names: 'ops@site ssh-ed25519 \
         AAAA…'\n"
    );
    assert!(said(&["verify", "--trust", "id.pub"]).contains("a name goes before it: 'ops@site ssh-ed25519 …'"));
    fs::write(path("signers"), format!("ops@site {}", fs::read_to_string(path("id.pub")).unwrap())).unwrap();
    assert_eq!(said(&["verify", "--trust", "signers"]), "");
    fs::write(path("manifest.yaml"), quorate(place.path(), &["init"]).stdout).unwrap();
    assert!(said(&["verify", "--trust", "signers"]).contains("was changed after it was signed: sign it again"));
}
