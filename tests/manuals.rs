//! Manual pages and completions, read by the programs that will read them: groff, bash, zsh and fish.

#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "groff and the shells are the peers that these tests ask")]

use std::fs;
use std::process::{Command, Output, Stdio};

fn quorate(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_quorate")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn installed(program: &str, test: &str) -> bool {
    let there = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        println!("SKIPPED {test}: {program} is not installed");
    }
    there
}

#[test]
fn groff_formats_every_page_without_a_warning() {
    if !installed("groff", "the manual pages (Debian package groff-base)") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let listed = quorate(&["man", place.path().to_str().unwrap()]);
    let pages: Vec<_> = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(String::from_utf8_lossy(&listed.stdout).lines().count(), pages.len());
    for page in pages {
        let groff = Command::new("groff").args(["-man", "-ww", "-Tascii", "-P-cbou"]).arg(&page).output().unwrap();
        let said = String::from_utf8_lossy(&groff.stderr);
        assert!(groff.status.success() && said.is_empty(), "{}: {said}", page.display());
        let shown = String::from_utf8_lossy(&groff.stdout);
        assert!(shown.contains("NAME"), "{}: {shown}", page.display());
    }
}

#[test]
fn the_page_of_the_daemon_says_what_its_help_says() {
    let place = tempfile::tempdir().unwrap();
    quorate(&["man", place.path().to_str().unwrap()]);
    // A page has its hyphens escaped, and lines broken where the text has none.
    let page = fs::read_to_string(place.path().join("quorate-vrrpd.8")).unwrap().replace("\\-", "-");
    let help = Command::new(env!("CARGO_BIN_EXE_quorate-vrrpd")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for option in help.split_whitespace().filter(|word| word.starts_with("--")) {
        let name = option.trim_end_matches([',', '.']);
        assert!(page.contains(name), "{name}: {page}");
    }
    for line in help.lines().skip_while(|line| *line != "SIGNALS").filter(|line| line.len() > 40) {
        assert!(page.contains(line.trim()), "{line}: {page}");
    }
}

#[test]
fn bash_offers_the_verbs() {
    if !installed("bash", "a completion in bash") {
        return;
    }
    let script = String::from_utf8(quorate(&["completions", "bash"]).stdout).unwrap();
    let asked =
        format!("{script}\nCOMP_WORDS=(quorate st) COMP_CWORD=1; _quorate quorate st quorate; echo ${{COMPREPLY[*]}}");
    let bash = Command::new("bash").args(["-c", &asked]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&bash.stdout).trim(), "status", "{}", String::from_utf8_lossy(&bash.stderr));
}

/// The completion script of `shell` in a file, and what the shell says to `asked`, run with that file as `$1`.
fn completes(shell: &str, options: &[&str], asked: &str) -> Option<String> {
    if !installed(shell, &format!("a completion in {shell}")) {
        return None;
    }
    let place = tempfile::tempdir().unwrap();
    let script = place.path().join("_quorate");
    fs::write(&script, quorate(&["completions", shell]).stdout).unwrap();
    let asked = asked.replace("SCRIPT", script.to_str().unwrap());
    let output = Command::new(shell).args(options).args(["-c", &asked]).env("HOME", place.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.is_empty(), "{shell}: {said}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn fish_offers_verbs_and_options() {
    let asked = "source SCRIPT; complete -C 'quorate st'; complete -C 'quorate reconcile --t'";
    let Some(offered) = completes("fish", &["--no-config"], asked) else { return };
    for word in ["status\t", "--try\t"] {
        assert!(offered.lines().any(|line| line.starts_with(word)), "fish does not offer '{word}':\n{offered}");
    }
}

#[test]
fn zsh_registers_the_completion_and_offers_the_verbs() {
    // What would be shown is handed to _describe; here it is printed.
    let asked = "autoload -Uz compinit && compinit -D && source SCRIPT && print $_comps[quorate] \
                 && _describe() { print -l -- $commands } && _quorate_commands";
    let Some(offered) = completes("zsh", &["-f"], asked) else { return };
    assert_eq!(offered.lines().next(), Some("_quorate"), "{offered}");
    for verb in ["status:", "plan:", "reconcile:", "help:"] {
        assert!(offered.lines().any(|line| line.starts_with(verb)), "zsh does not offer '{verb}':\n{offered}");
    }
}

#[test]
fn install_places_what_man_and_completions_print() {
    let tree = tempfile::tempdir().unwrap();
    for directory in ["usr/bin", "usr/lib/systemd/system", "etc"] {
        fs::create_dir_all(tree.path().join(directory)).unwrap();
    }
    fs::write(tree.path().join("usr/lib/os-release"), "ID=debian\n").unwrap();
    let trust = tree.path().join("allowed_signers");
    let key = "AAAAC3NzaC1lZDI1NTE5AAAAIHSEE5cKUKtKcEv+ClMIOLQGu0hjqRPpDyMsWAeWtSW4";
    fs::write(&trust, format!("ops namespaces=\"quorate-manifest\" ssh-ed25519 {key}\n")).unwrap();
    let root = tree.path().to_str().unwrap();
    let vrrpd = env!("CARGO_BIN_EXE_quorate-vrrpd");
    quorate(&["install", "--root", root, "--trust", trust.to_str().unwrap(), "--vrrpd", vrrpd]);
    let placed = |path: &str| fs::read(tree.path().join(path)).unwrap();
    assert_eq!(placed("usr/share/bash-completion/completions/quorate"), quorate(&["completions", "bash"]).stdout);
    for page in ["man1/quorate-status.1", "man7/quorate-recovery.7", "man8/quorate-vrrpd.8"] {
        assert!(placed(&format!("usr/share/man/{page}")).windows(3).any(|word| word == b".TH"), "{page}");
    }
}
