//! The floors of the house, held by reading every `use`: imports run downwards only, and between subjects only as
//! listed here (spec/architecture.md; the table in src/lib.rs).

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The floors, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Floor {
    Words,
    Decisions,
    Drivers,
    Shells,
    Faces,
}

/// Modules that name things for everybody.
const WORDS: &[&str] = &["ident", "plan", "file", "paths", "message", "version"];

/// Drivers that belong to no subject; every driver, shell and face may use them.
const SERVICES: &[&str] = &["durable", "journal", "tls"];

/// Drivers do I/O and decide nothing; each is named for the world it touches.
const DRIVERS: &[&str] = &[
    "durable",
    "journal",
    "etcd::client",
    "etcd::client::memory",
    "etcd::driver",
    "etcd::genesis::marker",
    "etcd::genesis::peer",
    "etcd::highwater::mark",
    "etcd::membership",
    "etcd::observe",
    "etcd::poll",
    "etcd::probe",
    "etcd::recovery::restore",
    "etcd::snapshot",
    "etcd::storage",
    "etcd::survey",
    "image::install",
    "manifest::source",
    "manifest::source::collected",
    "manifest::source::fetch",
    "manifest::source::pair",
    "manifest::source::tls",
    "manifest::source::volume",
    "manifest::source::volume::fat",
    "manifest::source::volume::iso9660",
    "network::kernel",
    "pki::host",
    "pki::workshop",
    "report::gather",
    "report::journal",
    "report::units",
    "systemd::bus",
    "tls",
    "trust::agent",
    "trust::host",
    "trust::signing",
    "trust::store",
    "vrrp::address",
    "vrrp::fact",
    "vrrp::guard",
    "vrrp::health::probe",
    "vrrp::health::prober",
    "vrrp::keeper",
    "vrrp::lease",
    "vrrp::links",
    "vrrp::netlink",
    "vrrp::release",
    "vrrp::router",
    "vrrp::scribe",
    "vrrp::scribe::note",
    "vrrp::scribe::record",
    "vrrp::socket",
    "vrrp::watch",
];

/// Shells drive decisions against the world. `reconcile/plan` is none: it joins the subjects' plans, and is pure.
const SHELLS: &[&str] = &[
    "manifest::intake",
    "manifest::intake::mark",
    "manifest::intake::rotate",
    "manifest::source::collect",
    "reconcile::account",
    "reconcile::apply",
    "reconcile::attempt",
    "reconcile::input",
    "reconcile::lock",
    "reconcile::machine",
    "reconcile::observe",
    "reconcile::run",
    "reconcile::sim",
    "vrrp::driver",
    "vrrp::driver::event_loop",
    "vrrp::driver::event_loop::perform",
    "vrrp::driver::event_loop::reload",
];

/// Which subjects a subject may import from, besides words, services (from drivers up) and itself.
const NEIGHBOURS: &[(&str, &[&str])] = &[
    ("quorum", &[]),
    ("yaml", &[]),
    ("trust", &["yaml"]),
    ("manifest", &["quorum", "trust", "yaml"]),
    ("pki", &["manifest"]),
    ("image", &["manifest", "trust"]),
    ("network", &["manifest"]),
    ("systemd", &["manifest"]),
    ("vrrp", &["manifest", "systemd", "network"]),
    ("etcd", &["manifest", "pki", "quorum", "systemd"]),
    ("status", &["etcd", "manifest", "network", "pki", "quorum", "vrrp"]),
    ("report", &[]),
    ("reconcile", &["etcd", "manifest", "network", "pki", "quorum", "status", "systemd", "trust", "vrrp"]),
];

#[test]
fn imports_run_downwards_and_only_to_listed_neighbours() {
    let house = House::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let faults: Vec<String> = house.files.iter().flat_map(|file| house.faults(file)).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_folder_has_its_place_in_the_table() {
    let house = House::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    for file in &house.files {
        let known = floor(&file.module) == Floor::Faces
            || file.module == "lib"
            || WORDS.contains(&file.subject())
            || SERVICES.contains(&file.subject())
            || NEIGHBOURS.iter().any(|(subject, _)| *subject == file.subject());
        assert!(known, "{} belongs to no subject that this test knows", file.module);
    }
}

#[test]
fn grouped_renamed_and_nested_imports_are_all_read() {
    let text = "use crate::trust::{store::{self, Store}, Verified as V};\nlet x = crate::network::kernel::links();\n\
                // use crate::comment;\n#[cfg(test)]\nmod tests { use crate::vrrp; }";
    let expected = ["trust::store::self", "trust::store::Store", "trust::Verified", "network::kernel::links"];
    assert_eq!(imports(text, "pki::issue"), BTreeSet::from(expected.map(String::from)));
    assert_eq!(imports("use super::store::x;", "trust::envelope"), BTreeSet::from(["trust::store::x".into()]));
}

#[test]
fn an_import_from_above_is_a_fault() {
    let file = |module: &str, imports: &[&str]| Source {
        module: module.into(),
        imports: imports.iter().map(|path| (*path).to_owned()).collect(),
    };
    let house = House {
        files: vec![
            file("ident", &["trust::Verified"]),
            file("trust", &["ident::Digest", "network::kernel::KernelError"]),
            file("network::kernel", &["durable::replace", "network::plan::plan", "ident::Digest"]),
            file("network::plan", &["network::kernel::links"]),
            file("etcd::plan", &["network::plan::plan"]),
            file("durable", &["ident::Digest"]),
            file("vrrp::driver", &["network::kernel::links", "durable::replace"]),
        ],
    };
    let faulty: Vec<bool> = house.files.iter().map(|file| house.faults(file).count() > 0).collect();
    assert_eq!(faulty, [true, false, false, true, true, false, false]);
}

/// One source file and what it imports from the crate.
struct Source {
    /// `trust::store` for `src/trust/store.rs`, `trust` for `src/trust/mod.rs`.
    module: String,
    imports: BTreeSet<String>,
}

impl Source {
    fn subject(&self) -> &str {
        subject(&self.module)
    }
}

struct House {
    files: Vec<Source>,
}

impl House {
    fn read(root: PathBuf) -> Self {
        let mut files = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("tests.rs") {
                    let place = path.strip_prefix(&root).unwrap().with_extension("");
                    let module = place.to_str().unwrap().replace('/', "::");
                    let module = module.strip_suffix("::mod").unwrap_or(&module).to_owned();
                    let imports = imports(&fs::read_to_string(&path).unwrap(), &module);
                    files.push(Source { module, imports });
                }
            }
        }
        files.sort_by(|one, other| one.module.cmp(&other.module));
        Self { files }
    }

    fn faults<'a>(&'a self, file: &'a Source) -> impl Iterator<Item = String> + 'a {
        file.imports.iter().filter_map(|import| {
            let target = self.module_of(import)?;
            // The error of a driver is a word: an error enum of a decision may carry it as its source.
            let why = if import.ends_with("Error") { None } else { fault(&file.module, target) }?;
            Some(format!("{} ({:?}) imports {import}: {why}", file.module, floor(&file.module)))
        })
    }

    /// The module that an imported path lies in: its longest beginning that is a file.
    fn module_of(&self, import: &str) -> Option<&str> {
        let within = |file: &&Source| {
            import == file.module || import.strip_prefix(&file.module).is_some_and(|rest| rest.starts_with("::"))
        };
        self.files.iter().filter(within).map(|file| file.module.as_str()).max_by_key(|module| module.len())
    }
}

/// Why `from` may not import from `to`.
fn fault(from: &str, to: &str) -> Option<String> {
    let (high, low) = (floor(from), floor(to));
    if from == to {
        return None;
    }
    if low > high {
        return Some(format!("that is on a higher floor ({low:?})"));
    }
    let free = low == Floor::Words || high == Floor::Faces || subject(from) == subject(to);
    if free || (SERVICES.contains(&to) && high >= Floor::Drivers) {
        return None;
    }
    let neighbours = NEIGHBOURS.iter().find(|(subject_of, _)| *subject_of == subject(from)).map(|(_, list)| *list);
    let listed = neighbours.is_some_and(|list| list.contains(&subject(to)));
    (!listed).then(|| format!("'{}' is no listed neighbour of '{}'", subject(to), subject(from)))
}

fn floor(module: &str) -> Floor {
    if module == "main" || matches!(subject(module), "bin" | "cli") {
        Floor::Faces
    } else if SHELLS.contains(&module) {
        Floor::Shells
    } else if DRIVERS.contains(&module) {
        Floor::Drivers
    } else if WORDS.contains(&module) || module == "lib" {
        Floor::Words
    } else {
        Floor::Decisions
    }
}

fn subject(module: &str) -> &str {
    module.split("::").next().unwrap_or(module)
}

/// The crate paths that a file names outside its tests, groups spelled out, without `crate::`.
fn imports(text: &str, module: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    let code: String = code.lines().map(|line| line.split("//").next().unwrap_or(line)).collect::<Vec<_>>().join("\n");
    let parent = module.rsplit_once("::").map_or(String::new(), |(parent, _)| format!("{parent}::"));
    let mut found = BTreeSet::new();
    for (start, base) in [("crate::", String::new()), ("quorate::", String::new()), ("super::", parent)] {
        for (at, _) in code.match_indices(start) {
            let whole_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if whole_word {
                expand(&code[at + start.len()..], &base, &mut found);
            }
        }
    }
    found
}

/// Reads one path, or a group of them, at the beginning of `text`; returns what follows it.
fn expand<'a>(text: &'a str, base: &str, found: &mut BTreeSet<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            match rest.strip_prefix('}') {
                Some(after) => return after,
                None if rest.is_empty() => return rest,
                None => rest = expand(rest, base, found),
            }
        }
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let path = format!("{base}{name}");
    if let Some(deeper) = rest.strip_prefix("::") {
        return expand(deeper, &format!("{path}::"), found);
    }
    if !name.is_empty() {
        found.insert(path);
    }
    // A renaming belongs to this name; anything else that is no part of a group ends it.
    let rest = rest.trim_start();
    let rest = rest
        .strip_prefix("as ")
        .map_or(rest, |renamed| renamed.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'));
    if rest.starts_with(['}', ',']) || rest.is_empty() {
        rest
    } else {
        &rest[rest.chars().next().map_or(0, char::len_utf8)..]
    }
}
