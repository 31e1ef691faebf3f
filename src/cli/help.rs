//! `quorate help [VERB|TOPIC]`: what a verb does, or one of the things to know before touching a cluster.
//!
//! The topics are plain text files beside this one, so that whoever corrects one needs no Rust; `quorate man` makes
//! manual pages of the same texts.

use super::{Cli, Exit};
use anyhow::{Context, Result, anyhow};
use clap::CommandFactory;
use std::fmt::Write;

/// Arguments of `quorate help`.
#[derive(Debug, clap::Args)]
pub struct HelpArgs {
    /// A verb, or a topic: tolerance, trust, genesis, recovery
    #[arg(value_name = "VERB|TOPIC")]
    about: Option<String>,
}

/// One thing to know.
#[derive(Debug)]
pub struct Topic {
    /// What it is asked for by.
    pub name: &'static str,
    /// Its first line is its title; lines in capitals are headings; indented lines are shown as they are.
    pub text: &'static str,
}

/// All of them, in the order in which a newcomer meets them.
pub const TOPICS: [Topic; 4] = [
    Topic { name: "tolerance", text: include_str!("topics/tolerance.txt") },
    Topic { name: "trust", text: include_str!("topics/trust.txt") },
    Topic { name: "genesis", text: include_str!("topics/genesis.txt") },
    Topic { name: "recovery", text: include_str!("topics/recovery.txt") },
];

/// Prints the explanation. A word that is both is the topic: `quorate tolerance --help` has the verb.
///
/// # Errors
/// [`Exit::Usage`] when there is no such verb or topic.
pub fn run(args: &HelpArgs) -> Result<Exit> {
    let mut command = Cli::command();
    let Some(about) = &args.about else {
        command.print_help().context("cannot write to standard output")?;
        println!("\nTopics ('quorate help TOPIC'):");
        for topic in &TOPICS {
            println!("  {:<12} {}", topic.name, topic.title());
        }
        return Ok(Exit::Fine);
    };
    if let Some(topic) = TOPICS.iter().find(|topic| topic.name == about) {
        print!("{}", topic.shown());
        return Ok(Exit::Fine);
    }
    command.build();
    match command.find_subcommand_mut(about) {
        Some(verb) => verb.print_long_help().context("cannot write to standard output")?,
        None => return Err(unknown(about)).context(Exit::Usage),
    }
    Ok(Exit::Fine)
}

fn unknown(about: &str) -> anyhow::Error {
    let topics: Vec<_> = TOPICS.iter().map(|topic| topic.name).collect();
    anyhow!("'{about}' is neither a verb ('quorate --help') nor a topic ({})", topics.join(", "))
}

/// Broad enough for an example, narrow enough to read.
const WIDTH: usize = 80;

impl Topic {
    /// Its first line.
    pub fn title(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default()
    }

    /// Everything below the title.
    pub fn body(&self) -> &'static str {
        self.text.split_once('\n').map_or("", |(_, body)| body.trim_start())
    }

    /// The text as a terminal shows it: paragraphs wrapped, the rest as it is.
    fn shown(&self) -> String {
        self.text.lines().fold(String::new(), |mut out, line| {
            // Writing to a String cannot fail; the Result is the trait's.
            let _ = if line.starts_with(' ') { writeln!(out, "{line}") } else { writeln!(out, "{}", wrapped(line)) };
            out
        })
    }
}

/// One paragraph in lines of at most [`WIDTH`] letters, broken at spaces.
fn wrapped(paragraph: &str) -> String {
    let mut out = String::new();
    let mut taken = 0;
    for word in paragraph.split(' ') {
        let length = word.chars().count();
        if taken > 0 && taken + 1 + length > WIDTH {
            out.push('\n');
            taken = 0;
        } else if taken > 0 {
            out.push(' ');
            taken += 1;
        }
        out.push_str(word);
        taken += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_topic_is_broader_than_a_page() {
        for topic in &TOPICS {
            for line in topic.shown().lines() {
                assert!(line.chars().count() <= WIDTH, "{}: {line}", topic.name);
            }
            assert!(
                topic.shown().split_whitespace().eq(topic.text.split_whitespace()),
                "{}: no word is lost",
                topic.name
            );
        }
    }

    #[test]
    fn a_topic_is_found_before_a_verb_of_its_name_and_nonsense_is_a_usage_error() {
        for topic in &TOPICS {
            assert!(!topic.title().is_empty() && topic.body().lines().count() > 10, "{}", topic.name);
        }
        let error = run(&HelpArgs { about: Some("quorom".into()) }).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Usage);
        assert!(format!("{error:#}").contains("tolerance, trust, genesis, recovery"));
    }

    #[test]
    fn every_verb_that_a_topic_names_exists() {
        let command = Cli::command();
        for topic in &TOPICS {
            let quoted = topic.text.split("'quorate ").skip(1);
            let shown = topic.text.lines().filter_map(|line| line.strip_prefix("    quorate "));
            for named in quoted.chain(shown) {
                let verb: String = named.chars().take_while(char::is_ascii_lowercase).collect();
                assert!(command.find_subcommand(&verb).is_some(), "{}: there is no 'quorate {verb}'", topic.name);
            }
        }
    }

    #[test]
    fn every_topic_that_the_program_points_to_exists() {
        let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        let mut pointers = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                for pointer in text.split("'quorate help ").skip(1) {
                    let name: String = pointer.chars().take_while(char::is_ascii_lowercase).collect();
                    let known = name.is_empty() || TOPICS.iter().any(|topic| topic.name == name);
                    assert!(known, "{}: there is no 'quorate help {name}'", path.display());
                    pointers += usize::from(!name.is_empty());
                }
            }
        }
        assert!(pointers > 5, "the pointers are written in another way now");
    }
}
