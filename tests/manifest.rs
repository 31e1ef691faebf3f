//! Bad manifests and signatures, through the real program: one file per reason, with exactly what is said and the exit
//! code. `UPDATE=1 cargo test --test manifest` writes the expectations anew; read the difference before committing it.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const QUORATE: &str = env!("CARGO_BIN_EXE_quorate");

fn here(place: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(place)
}

/// Runs quorate in a directory, so that messages show names that are the same everywhere.
fn quorate(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(QUORATE)
        .args(arguments)
        .current_dir(directory)
        .env_remove("SSH_AUTH_SOCK")
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

/// What people see, and the exit code.
fn transcript(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let seen = format!("{}{}exit code {}\n", text(&output.stdout), text(&output.stderr), output.status.code().unwrap());
    // The only thing that differs from run to run.
    match seen.split_once(", it is ") {
        Some((before, after)) => format!("{before}, it is NOW{}", &after[after.find(';').unwrap_or(0)..]),
        None => seen,
    }
}

/// Compares with the expectation beside the input, or writes it; returns what differs.
fn compare(expected: &Path, seen: &str) -> Option<String> {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(expected, seen).unwrap();
    }
    let wanted = fs::read_to_string(expected).unwrap_or_default();
    (wanted != seen).then(|| format!("--- {}\n{wanted}\n+++ seen\n{seen}", expected.display()))
}

/// The inputs of a directory in the order of names.
fn inputs(directory: &Path, suffix: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| name.ends_with(suffix))
        .collect();
    names.sort();
    names
}

#[test]
fn every_bad_manifest_is_explained() {
    let directory = here("tests/bad_input/manifest");
    let names = inputs(&directory, ".yaml");
    assert!(names.len() > 40, "only {} inputs: is the directory complete?", names.len());
    let mut faults = Vec::new();
    for name in &names {
        let output = quorate(&directory, &["check", name]);
        assert!(matches!(output.status.code(), Some(3 | 6)), "{name}: {output:?}");
        faults.extend(compare(&directory.join(name).with_extension("expected"), &transcript(&output)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn check_and_sign_refuse_with_the_same_exit_code_and_sign_writes_nothing() {
    let directory = here("tests/bad_input/manifest");
    let key = tempfile::tempdir().unwrap();
    let key_path = key.path().join("key");
    keygen(&["-q", "-t", "ed25519", "-N", "", "-f", key_path.to_str().unwrap()]);
    for name in inputs(&directory, ".yaml") {
        let check = quorate(&directory, &["check", &name]);
        let sign = quorate(&directory, &["sign", &name, "--key", key_path.to_str().unwrap()]);
        assert_eq!(check.status.code(), sign.status.code(), "{name}");
        assert_eq!(check.stderr, sign.stderr, "{name}");
        assert!(!directory.join(format!("{name}.sig")).exists(), "{name}");
    }
}

#[test]
fn diagnostics_for_programs_name_place_rule_and_remedy() {
    let directory = here("tests/bad_input/manifest");
    let output = quorate(&directory, &["check", "duplicate-address.yaml", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.stderr.is_empty());
    let finding = &report["findings"][0];
    assert_eq!(finding["rule"], "duplicate-address");
    assert_eq!(finding["field"], "spec.masters[2].address");
    assert_eq!(finding["place"], serde_json::json!({ "line": 16, "column": 28, "endLine": 16, "endColumn": 38 }));
    assert_eq!(finding["related"][0]["place"]["line"], 14);
    for key in ["file", "weight", "what", "why", "help"] {
        assert!(finding[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {finding}");
    }
}

#[test]
fn a_manifest_of_ten_megabytes_is_not_read() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("manifest.yaml"), "a".repeat(10_000_000)).unwrap();
    let output = quorate(place.path(), &["check"]);
    assert_eq!(
        transcript(&output),
        "error[too-large]: the file has more than 262144 bytes\n --> manifest.yaml:1:1\n  |\n1 |\n  | ^\n  |\n  = why: it is \
         read before anything in it can be believed, so there is a bound\n  = help: check that this is the manifest; the \
         largest sensible one has a few kilobytes\n\nquorate: invalid manifest: 1 finding\nexit code 6\n"
    );
}

#[test]
fn every_bad_signature_is_explained() {
    let directory = here("tests/bad_input/signature");
    let names = inputs(&directory, ".sig");
    assert!(names.len() >= 10, "only {} inputs: is the directory complete?", names.len());
    let mut faults = Vec::new();
    for name in &names {
        let arguments = ["verify", "manifest.yaml", "--signature", name, "--trust", "allowed_signers"];
        let output = quorate(&directory, &arguments);
        assert_eq!(output.status.code() == Some(0), name.starts_with("good"), "{name}: {output:?}");
        faults.extend(compare(&directory.join(name).with_extension("expected"), &transcript(&output)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn an_unsigned_manifest_is_not_trusted() {
    let output =
        quorate(&here("tests/bad_input/signature"), &["verify", "manifest.yaml", "--trust", "allowed_signers"]);
    assert_eq!(
        transcript(&output),
        "quorate: not trusted: 'manifest.yaml' is not signed: there is no 'manifest.yaml.sig'; sign it with 'quorate \
         sign'\nexit code 5\n"
    );
}

fn keygen(arguments: &[&str]) -> Output {
    let output = Command::new("ssh-keygen").args(arguments).output().unwrap();
    assert!(output.status.success(), "ssh-keygen {arguments:?}: {output:?}");
    output
}

/// Keys of every type that ssh-keygen can make here, with a list of signers and a starter manifest.
struct Workstation {
    place: tempfile::TempDir,
}

const KEY_TYPES: [(&str, &[&str]); 2] = [("ed25519", &[]), ("ecdsa", &["-b", "256"])];

impl Workstation {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut signers = String::new();
        for (kind, options) in KEY_TYPES {
            let path = place.path().join(kind);
            let path = path.to_str().unwrap();
            keygen(&[&["-q", "-t", kind, "-N", "", "-f", path], options].concat());
            let public = fs::read_to_string(format!("{path}.pub")).unwrap();
            signers.push_str(&format!("{kind}@site namespaces=\"quorate-manifest\" {public}"));
        }
        fs::write(place.path().join("allowed_signers"), signers).unwrap();
        let starter = quorate(place.path(), &["init"]);
        fs::write(place.path().join("manifest.yaml"), starter.stdout).unwrap();
        Self { place }
    }

    fn quorate(&self, arguments: &[&str]) -> Output {
        quorate(self.place.path(), arguments)
    }

    /// Whether `ssh-keygen -Y verify` accepts the signature.
    fn openssh_accepts(&self, identity: &str, namespace: &str) -> bool {
        let manifest = fs::File::open(self.place.path().join("manifest.yaml")).unwrap();
        Command::new("ssh-keygen")
            .args(["-Y", "verify", "-f", "allowed_signers", "-I", identity, "-n", namespace, "-s", "manifest.yaml.sig"])
            .current_dir(self.place.path())
            .stdin(manifest)
            .output()
            .unwrap()
            .status
            .success()
    }

    fn openssh_signs(&self, key: &str, namespace: &str) {
        let _ = fs::remove_file(self.place.path().join("manifest.yaml.sig"));
        let path = |name: &str| self.place.path().join(name).to_str().unwrap().to_owned();
        keygen(&["-q", "-Y", "sign", "-n", namespace, "-f", &path(key), &path("manifest.yaml")]);
    }
}

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
fn every_example_is_accepted_with_the_digest_it_was_published_with() {
    let directory = here("spec/examples");
    let names = inputs(&directory, ".yaml");
    let published = fs::read_to_string(directory.join("SHA256SUMS")).unwrap();
    for name in &names {
        let output = quorate(&directory, &["check", name, "--json"]);
        assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let line = format!("{}  {name}", report["digest"].as_str().unwrap());
        assert!(published.lines().any(|known| known == line), "'{line}' is not in spec/examples/SHA256SUMS");
    }
    assert_eq!(published.lines().count(), names.len());
}

/// The rows of the table of fields, from the schema that the program prints.
fn field_rows(path: &str, schema: &serde_json::Value, rows: &mut String) {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str).collect();
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let text = value["description"].as_str().unwrap();
        let (text, default) = match text.split_once(" When left out: ") {
            Some((text, default)) => (text, default.trim_end_matches('.')),
            None => (text, if required.contains(&key.as_str()) { "required" } else { "" }),
        };
        let kind = match (&value["enum"], value["type"].as_str()) {
            (serde_json::Value::Array(words), _) => {
                words.iter().map(|word| format!("`{}`", word.as_str().unwrap())).collect::<Vec<_>>().join(" or ")
            }
            (_, Some("integer")) => format!("{} to {}", value["minimum"], value["maximum"]),
            (_, Some("array")) => "list".into(),
            (_, Some("object")) => "keys below".into(),
            (_, Some("boolean")) => "`true` or `false`".into(),
            _ => format!("like `{}`", example(value)),
        };
        let text = text.replace('|', "\\|");
        rows.push_str(&format!("| `{path}` | {kind} | {default} | {text} |\n"));
        field_rows(&path, value, rows);
        if value["items"].is_object() {
            field_rows(&format!("{path}[]"), &value["items"], rows);
        }
    }
}

/// The first example of a schema, without the words around it.
fn example(schema: &serde_json::Value) -> &str {
    let text = schema["examples"][0].as_str().unwrap();
    text.split([',']).next().unwrap().trim_end_matches(" in quotes")
}

#[test]
fn the_page_for_administrators_lists_every_field() {
    let schema: serde_json::Value = serde_json::from_slice(&quorate(&here("."), &["schema"]).stdout).unwrap();
    let mut rows = "\n| field | value | default | meaning |\n|---|---|---|---|\n".to_owned();
    field_rows("", &schema, &mut rows);
    let path = here("spec/manifest.md");
    let page = fs::read_to_string(&path).unwrap();
    let start = page.find("writes this table -->\n").unwrap() + "writes this table -->\n".len();
    let end = page.find("<!-- end of fields -->").unwrap();
    let wanted = format!("{}{rows}\n{}", &page[..start], &page[end..]);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap() == wanted, "the table is old: UPDATE=1 cargo test --test manifest");
}

#[test]
fn the_page_for_administrators_maps_every_rule_to_a_file_and_back() {
    let page = fs::read_to_string(here("spec/manifest.md")).unwrap();
    let table = &page[page.find("## What the file alone decides").unwrap()..];
    let directory = here("tests/bad_input/manifest");
    for name in inputs(&directory, ".expected") {
        let stem = name.trim_end_matches(".expected");
        for line in fs::read_to_string(directory.join(&name)).unwrap().lines() {
            let Some((_, rest)) = line.split_once('[').filter(|(level, _)| matches!(*level, "error" | "refused"))
            else {
                continue;
            };
            let rule = rest.split(']').next().unwrap();
            let row = table.lines().find(|row| row.starts_with(&format!("| `{rule}` |")));
            assert!(row.is_some_and(|row| row.contains(&format!("`{stem}`"))), "{rule} of {stem} is not in the table");
        }
    }
    for row in table.lines().filter(|row| row.starts_with("| `")) {
        let files = row.rsplit('|').nth(1).unwrap().split(',').map(|file| file.trim().trim_matches('`'));
        for file in files {
            let is_test = file.contains('_');
            assert!(is_test || directory.join(format!("{file}.yaml")).exists(), "no such file: {file}");
        }
    }
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
    assert!(said(&["verify", "--trust", "id.pub"]).contains("a name goes before it: 'ops@site ssh-ed25519 …'"));
    fs::write(path("signers"), format!("ops@site {}", fs::read_to_string(path("id.pub")).unwrap())).unwrap();
    assert_eq!(said(&["verify", "--trust", "signers"]), "");
    fs::write(path("manifest.yaml"), quorate(place.path(), &["init"]).stdout).unwrap();
    assert!(said(&["verify", "--trust", "signers"]).contains("was changed after it was signed: sign it again"));
}

/// Everything below a directory, to see that nothing changed.
fn tree(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut files, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_symlink() {
                files.push((path.clone(), fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()));
            } else if path.is_dir() {
                folders.push(path);
            } else {
                files.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// A host below a directory, whose image trusts one key, with a manifest in force that names other hosts: so nothing
/// is done to the machine that runs the test.
struct Host {
    workstation: Workstation,
    root: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { workstation: Workstation::new(), root: tempfile::tempdir().unwrap() };
        fs::create_dir_all(host.path("usr/lib/quorate/trust")).unwrap();
        fs::create_dir_all(host.path("etc/quorate/drop")).unwrap();
        host.trust(&host.workstation.place.path().join("allowed_signers"));
        let manifest = fs::read_to_string(here("spec/examples/three-masters.yaml")).unwrap();
        host.drop_signed(manifest.replace("hostname: m3", "serial: CZ-NOBODY").as_bytes());
        assert_eq!(host.run("reconcile").status.code(), Some(3), "it is none of the masters");
        assert!(host.path("var/lib/quorate/manifests/current/manifest.yaml").exists());
        host
    }

    fn path(&self, place: &str) -> PathBuf {
        self.root.path().join(place)
    }

    fn trust(&self, signers: &Path) {
        fs::copy(signers, self.path("usr/lib/quorate/trust/allowed_signers")).unwrap();
    }

    /// Drops bytes that are well signed, whatever they are.
    fn drop_signed(&self, bytes: &[u8]) {
        fs::write(self.workstation.place.path().join("manifest.yaml"), bytes).unwrap();
        self.workstation.openssh_signs("ed25519", "quorate-manifest");
        for name in ["manifest.yaml", "manifest.yaml.sig"] {
            fs::copy(self.workstation.place.path().join(name), self.path("etc/quorate/drop").join(name)).unwrap();
        }
    }

    fn run(&self, verb: &str) -> Output {
        let root = self.root.path().to_str().unwrap();
        let wait: &[&str] = if verb == "reconcile" { &["--wait", "0s"] } else { &[] };
        quorate(self.root.path(), &[&[verb, "--root", root], wait].concat())
    }
}

#[test]
fn a_host_refuses_what_check_refuses_and_keeps_what_is_in_force() {
    let host = Host::new();
    let before = tree(&host.path("var/lib/quorate"));
    let directory = here("tests/bad_input/manifest");
    for name in inputs(&directory, ".yaml") {
        host.drop_signed(&fs::read(directory.join(&name)).unwrap());
        let check = quorate(&directory, &["check", &name]);
        let reconcile = host.run("reconcile");
        assert_eq!(reconcile.status.code(), check.status.code(), "{name}: {reconcile:?}");
        assert_eq!(tree(&host.path("var/lib/quorate")), before, "{name}");
        // The whole message, without source lines: they may hold what does not belong in a journal.
        let told = String::from_utf8([reconcile.stdout, reconcile.stderr].concat()).unwrap();
        let expected = fs::read_to_string(directory.join(&name).with_extension("expected")).unwrap();
        let (_, what) = expected.lines().next().unwrap().split_once("]: ").unwrap();
        assert!(told.contains(what), "{name}: '{what}' is not in\n{told}");
        assert!(!told.contains("  |"), "{name}: {told}");
    }
    host.drop_signed("a".repeat(10_000_000).as_bytes());
    assert_eq!(host.run("reconcile").status.code(), Some(5), "it is too large to be looked at");
    assert_eq!(tree(&host.path("var/lib/quorate")), before);
}

#[test]
fn a_host_refuses_what_verify_refuses_and_keeps_what_is_in_force() {
    let host = Host::new();
    let before = tree(&host.path("var/lib/quorate"));
    let directory = here("tests/bad_input/signature");
    // Both lists: what is in force has to stay trusted.
    let ours = fs::read_to_string(host.workstation.place.path().join("allowed_signers")).unwrap();
    let theirs = fs::read_to_string(directory.join("allowed_signers")).unwrap();
    fs::write(host.path("usr/lib/quorate/trust/allowed_signers"), ours + &theirs).unwrap();
    fs::copy(directory.join("manifest.yaml"), host.path("etc/quorate/drop/manifest.yaml")).unwrap();
    let signature = host.path("etc/quorate/drop/manifest.yaml.sig");
    for name in inputs(&directory, ".sig").iter().filter(|name| !name.starts_with("good")) {
        fs::copy(directory.join(name), &signature).unwrap();
        let reconcile = host.run("reconcile");
        // A host takes a key that is not valid yet, because its clock may be behind; then the generation stops it.
        let expected = if name.starts_with("key-not-yet-valid") { 3 } else { 5 };
        assert_eq!(reconcile.status.code(), Some(expected), "{name}: {reconcile:?}");
        assert_eq!(tree(&host.path("var/lib/quorate")), before, "{name}");
    }
    fs::remove_file(&signature).unwrap();
    assert_eq!(host.run("reconcile").status.code(), Some(5), "unsigned");
    assert_eq!(tree(&host.path("var/lib/quorate")), before);
}
