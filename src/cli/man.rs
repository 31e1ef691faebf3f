//! `quorate man DIRECTORY`: manual pages for packagers, from the same definitions and texts as `--help` and
//! `quorate help`.
//!
//! One page per verb in section 1, one per topic in section 7 (tolerance is both). They are made, never edited.

use super::help::{TOPICS, Topic};
use super::{Cli, Exit};
use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
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
    for topic in &TOPICS {
        pages.push(Page { name: format!("quorate-{}.7", topic.name), content: explained(topic)? });
    }
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

fn explained(topic: &Topic) -> Result<Vec<u8>> {
    let mut roff = Roff::new();
    let name = format!("quorate-{}", topic.name);
    roff.control("TH", [name.to_uppercase().as_str(), "7"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{name} - {}", topic.title()))]);
    let (mut preformatted, mut paragraph) = (false, false);
    for line in topic.body().lines() {
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
    let mut content = Vec::new();
    roff.to_writer(&mut content)?;
    Ok(content)
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
    fn a_topic_keeps_its_headings_and_its_examples() {
        let text = "Title\n\nTHE FIRST\n\nWords.\n\n    an example\n\nMore words.\n";
        let page = String::from_utf8(explained(&Topic { name: "x", text }).unwrap()).unwrap();
        let lines: Vec<&str> = page.lines().skip_while(|line| !line.contains("FIRST")).collect();
        let expected =
            [".SH \"THE FIRST\"", ".PP", "Words.", ".PP", ".nf", "    an example", ".PP", ".fi", "More words."];
        assert_eq!(lines, expected);
    }
}
