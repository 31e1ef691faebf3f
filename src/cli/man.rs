//! `quorate man DIRECTORY`: manual pages for packagers, from the same definitions and texts as `--help` and
//! `quorate help`.
//!
//! One page per verb in section 1, the manifest in section 5, one page per topic in section 7 (tolerance is a verb as
//! well), the daemon in section 8. They are made, never edited.

use super::help::{TOPICS, Topic};
use super::{Cli, Exit, vrrpd};
use crate::manifest::schema::schema;
use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use serde_json::Value as Json;
use std::fs;
use std::path::PathBuf;

/// Arguments of `quorate man`.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Where the pages are written; it is created
    directory: PathBuf,
}

/// One manual page.
#[derive(Debug)]
pub struct Page {
    /// `quorate-status.1`.
    pub name: String,
    /// In roff.
    pub content: Vec<u8>,
}

/// Writes every page.
///
/// # Errors
/// When the directory cannot be written.
pub fn run(args: &ManArgs) -> Result<Exit> {
    fs::create_dir_all(&args.directory).with_context(|| format!("cannot create '{}'", args.directory.display()))?;
    for page in pages()? {
        let path = args.directory.join(&page.name);
        fs::write(&path, &page.content).with_context(|| format!("cannot write '{}'", path.display()))?;
        println!("{}", path.display());
    }
    Ok(Exit::Fine)
}

/// All pages.
///
/// # Errors
/// None that a memory buffer could have.
pub fn pages() -> Result<Vec<Page>> {
    let mut command = Cli::command();
    // Gives every verb its full name and the options it inherits.
    command.build();
    let mut pages = Vec::new();
    verb(command, &mut pages)?;
    pages.push(Page { name: "quorate-manifest.5".into(), content: manifest()? });
    for topic in &TOPICS {
        pages.push(Page { name: format!("quorate-{}.7", topic.name), content: explained(topic)? });
    }
    pages.push(Page { name: "quorate-vrrpd.8".into(), content: daemon()? });
    Ok(pages)
}

/// The page of one command and, below it, those of its verbs.
fn verb(command: clap::Command, pages: &mut Vec<Page>) -> Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        verb(below.clone(), pages)?;
    }
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let mut content = Vec::new();
    Man::new(command).title(name.to_uppercase()).render(&mut content)?;
    pages.push(Page { name: format!("{name}.1"), content });
    Ok(())
}

/// The page of the VRRP daemon: its options, and what its `--help` says below them.
fn daemon() -> Result<Vec<u8>> {
    let man = Man::new(vrrpd::Arguments::command()).title("QUORATE-VRRPD").section("8");
    let mut content = Vec::new();
    man.render_title(&mut content)?;
    man.render_name_section(&mut content)?;
    man.render_synopsis_section(&mut content)?;
    man.render_description_section(&mut content)?;
    man.render_options_section(&mut content)?;
    let mut roff = Roff::new();
    prose(vrrpd::MORE.lines(), &mut roff);
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman("quorate-status(1), quorate-manifest(5), nft(8), RFC 9568")]);
    roff.to_writer(&mut content)?;
    Ok(content)
}

/// The page of the manifest: an example, and every field as the schema has it.
fn manifest() -> Result<Vec<u8>> {
    let mut roff = headed("quorate-manifest", "5", "the one document that a cluster is kept by");
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([roman(
        "A manifest and its signature, manifest.yaml and manifest.yaml.sig, lie in a drop directory: /run/quorate/drop, \
         /etc/quorate/drop or /var/lib/quorate/drop. The highest generation that is trusted and valid comes into force. \
         Unknown keys are errors.",
    )]);
    roff.control("SH", ["EXAMPLE"]);
    roff.control("nf", []);
    include_str!("../../spec/examples/three-masters.yaml").lines().for_each(|line| {
        roff.text([roman(line)]);
    });
    roff.control("fi", []);
    roff.control("SH", ["FIELDS"]);
    fields("", &schema(), &mut roff);
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman("quorate-check(1), quorate-init(1), quorate-sign(1), quorate-tolerance(7), quorate-trust(7)")]);
    written(&roff)
}

/// One entry per key, in the order of the schema; what may be left out says so in its text.
fn fields(path: &str, object: &Json, roff: &mut Roff) {
    let required = |key: &str| object["required"].as_array().is_some_and(|keys| keys.iter().any(|known| known == key));
    for (key, value) in object["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        roff.control("TP", []);
        roff.text([bold(&path)]);
        let text = value["description"].as_str().unwrap_or_default();
        roff.text([roman(if required(key) { format!("{text} Required.") } else { text.to_owned() })]);
        fields(&path, value, roff);
        fields(&format!("{path}[]"), &value["items"], roff);
    }
}

fn headed(name: &str, section: &str, title: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("TH", [name.to_uppercase().as_str(), section]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{name} - {title}"))]);
    roff
}

fn written(roff: &Roff) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    roff.to_writer(&mut content)?;
    Ok(content)
}

fn explained(topic: &Topic) -> Result<Vec<u8>> {
    let mut roff = headed(&format!("quorate-{}", topic.name), "7", topic.title());
    prose(topic.body().lines(), &mut roff);
    written(&roff)
}

/// Lines in capitals are headings, indented ones are shown as they are.
fn prose<'a>(lines: impl Iterator<Item = &'a str>, roff: &mut Roff) {
    let (mut preformatted, mut paragraph) = (false, false);
    for line in lines {
        if line.is_empty() {
            paragraph = true;
            continue;
        }
        let indented = line.starts_with(' ');
        if is_heading(line) {
            roff.control("SH", [line]);
        } else {
            if paragraph {
                roff.control("PP", []);
            }
            if indented != preformatted {
                roff.control(if indented { "nf" } else { "fi" }, []);
            }
            roff.text([roman(line)]);
        }
        (preformatted, paragraph) = (indented, false);
    }
}

fn is_heading(line: &str) -> bool {
    line.chars().all(|letter| letter.is_ascii_uppercase() || letter == ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_and_every_topic_has_its_page() {
        let pages = pages().unwrap();
        let has = |name: &str| pages.iter().any(|page| page.name == name);
        for verb in Cli::command().get_subcommands() {
            assert!(has(&format!("quorate-{}.1", verb.get_name())), "{}", verb.get_name());
        }
        for topic in &TOPICS {
            assert!(has(&format!("quorate-{}.7", topic.name)), "{}", topic.name);
        }
        assert!(has("quorate.1"));
    }

    #[test]
    fn the_page_of_the_daemon_has_its_options_and_no_others() {
        let page = String::from_utf8(daemon().unwrap()).unwrap();
        let has = |text: &str| page.contains(text);
        assert!(page.lines().any(|line| line.starts_with(".TH QUORATE-VRRPD 8")), "{page}");
        assert!(has("config") && has("release") && has(".SH SIGNALS") && has(".SH \"EXIT STATUS\""), "{page}");
        assert!(!has("guard"), "what the daemon starts by itself is nobody's option: {page}");
    }

    #[test]
    fn the_page_of_the_manifest_has_every_field_with_its_path() {
        let page = String::from_utf8(manifest().unwrap()).unwrap();
        for field in ["metadata.generation", "spec.vip.addresses", "spec.masters[].identity.mac", "spec.etcd.phase"] {
            assert!(page.contains(&format!(".TP\n\\fB{field}\\fR\n")), "{field}: {page}");
        }
    }

    #[test]
    fn a_topic_keeps_its_headings_and_its_examples() {
        let text = "Title\n\nTHE FIRST\n\nWords.\n\n    an example\n\nMore words.\n";
        let page = String::from_utf8(explained(&Topic { name: "x", text }).unwrap()).unwrap();
        let lines: Vec<&str> = page.lines().skip_while(|line| !line.contains("FIRST")).collect();
        let expected =
            [".SH \"THE FIRST\"", ".PP", "Words.", ".PP", ".nf", "    an example", ".PP", ".fi", "More words."];
        assert_eq!(lines, expected);
    }
}
