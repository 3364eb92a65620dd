//! The map of rooms in the documentation of `src/lib.rs` is true.
//!
//! The map is a table with the columns `room`, `may look into` and `foreign crates that live only here`, in names between
//! commas; `everything below` means all rooms of the rows below. The source is read as text: what a room names by a path
//! (`crate::label`, `super::super::label`, groups in `use`, `gix::open`) is what it looks into. Tests inside the rooms are
//! exempt. A crate that no row names may be used anywhere.

mod scan;

use scan::Scan;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const HEADER: [&str; 3] = [
    "room",
    "may look into",
    "foreign crates that live only here",
];

/// One row of the map.
#[derive(Debug, PartialEq, Eq)]
struct Room {
    name: String,
    may_look_into: BTreeSet<String>,
    crates: BTreeSet<String>,
}

/// The rows of the map in the documentation of the crate; none when there is no map.
fn parse_map(lib: &str) -> Vec<Room> {
    let rows: Vec<[String; 3]> = lib
        .lines()
        .map_while(|line| line.strip_prefix("//!").or(line.is_empty().then_some("")))
        .map(str::trim)
        .skip_while(|line| cells(line).is_none_or(|cells| cells != HEADER))
        .skip(2) // the header and the line below it
        .map_while(cells)
        .collect();
    let names: Vec<String> = rows.iter().flat_map(|[room, ..]| list(room)).collect();
    let mut below = names.iter();
    let to_room = |[_, may_look_into, crates]: &[String; 3]| {
        let name = below.next()?.clone();
        let may_look_into = if may_look_into == "everything below" {
            below.clone().cloned().collect()
        } else {
            list(may_look_into).collect()
        };
        let crates = list(crates).map(|name| name.replace('-', "_")).collect();
        Some(Room {
            name,
            may_look_into,
            crates,
        })
    };
    rows.iter().filter_map(to_room).collect()
}

/// The three cells of a row of a table.
fn cells(line: &str) -> Option<[String; 3]> {
    let row = line.strip_prefix('|')?.strip_suffix('|')?;
    let cells: Vec<String> = row.split('|').map(|cell| cell.trim().to_owned()).collect();
    cells.try_into().ok()
}

fn list(cell: &str) -> impl Iterator<Item = String> {
    cell.split(',')
        .map(|name| name.trim().trim_matches(['`', '/']).to_owned())
        .filter(|name| !name.is_empty())
}

/// The names of the crates that `Cargo.toml` lists for the program itself, as code spells them.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim().replace('-', "_"))
        .collect()
}

/// Everything in which the source (paths from the crate's top, and texts) differs from the map, sorted.
fn violations(
    map: &[Room],
    sources: &[(String, String)],
    crates: &BTreeSet<String>,
) -> Vec<String> {
    let scans: Vec<Scan> = scan::scan_all(sources, crates);
    let rooms: BTreeMap<&str, &Room> = map.iter().map(|room| (room.name.as_str(), room)).collect();
    let mut found = BTreeSet::new();
    for scan in &scans {
        let Some(room) = rooms.get(scan.room.as_str()) else {
            found.insert(format!("the map has no room `{}`", scan.room));
            continue;
        };
        for other in &scan.rooms {
            if !rooms.contains_key(other.as_str()) {
                found.insert(format!("{}: `{other}` is no room", scan.path));
            } else if !room.may_look_into.contains(other) {
                let (path, room) = (&scan.path, &room.name);
                found.insert(format!("{path}: `{room}` may not look into `{other}`"));
            }
        }
        for name in scan.crates.difference(&room.crates) {
            let owners = map.iter().filter(|owner| owner.crates.contains(name));
            let owners: Vec<&str> = owners.map(|owner| owner.name.as_str()).collect();
            if !owners.is_empty() {
                let (path, owners) = (&scan.path, owners.join("`, `"));
                found.insert(format!(
                    "{path}: the crate `{name}` lives only in `{owners}`"
                ));
            }
        }
    }
    found.extend(stale_rows(map, &scans));
    found.extend(circle(map));
    found.into_iter().collect()
}

/// What the map says about rooms and crates that are not there.
fn stale_rows(map: &[Room], scans: &[Scan]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for room in map {
        let name = &room.name;
        if !seen.insert(name) {
            found.insert(format!("the map has two rows for `{name}`"));
        }
        let own: Vec<&Scan> = scans.iter().filter(|scan| scan.room == *name).collect();
        if own.is_empty() {
            found.insert(format!(
                "the map has a room `{name}` that the source has not"
            ));
        }
        for unused in &room.crates {
            if !own.iter().any(|scan| scan.crates.contains(unused)) {
                found.insert(format!("`{name}` does not use the crate `{unused}`"));
            }
        }
        for other in &room.may_look_into {
            if !map.iter().any(|room| room.name == *other) {
                found.insert(format!(
                    "`{name}` may look into `{other}`, which is no room"
                ));
            }
        }
    }
    found
}

/// A room that can be reached from itself, if there is one: takes away rooms that look into nothing that is left.
fn circle(map: &[Room]) -> Option<String> {
    let mut left: Vec<&Room> = map.iter().collect();
    loop {
        let names: BTreeSet<&str> = left.iter().map(|room| room.name.as_str()).collect();
        let before = left.len();
        left.retain(|room| {
            room.may_look_into
                .iter()
                .any(|to| names.contains(to.as_str()))
        });
        if left.len() == before {
            let names: Vec<&str> = left.iter().map(|room| room.name.as_str()).collect();
            return (before > 0).then(|| format!("a circle of rooms: `{}`", names.join("`, `")));
        }
    }
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file below a folder, by its path from the crate's top.
fn sources(folder: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).expect("the folder is there") {
        let entry = entry.expect("the folder can be read");
        let name = entry.file_name();
        let path = format!("{folder}/{}", name.to_str().expect("names are UTF-8"));
        if entry.path().is_dir() {
            found.extend(sources(&path));
        } else if entry
            .path()
            .extension()
            .is_some_and(|suffix| suffix == "rs")
        {
            let text = read(&path);
            found.push((path, text));
        }
    }
    found.sort();
    found
}

#[test]
fn the_map_of_rooms_is_true() {
    let map = parse_map(&read("src/lib.rs"));
    assert!(!map.is_empty(), "src/lib.rs has no table {HEADER:?}");
    let crates = dependencies(&read("Cargo.toml"));
    let found = violations(&map, &sources("src"), &crates);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

const MAP: &str = "\
//! A program.
//!
//! | room | may look into | foreign crates that live only here |
//! |---|---|---|
//! | `main` | `cli` | |
//! | `cli/` | everything below | `clap` |
//! | `http` | `label`, `tree` | warp, hyper-util |
//! | `label` | | |
//! | `tree` | `label` | |
//!
//! And more.

pub mod cli;
";

/// What the checks say about these files, with the rest of the rooms in order.
#[track_caller]
fn check(files: &[(&str, &str)], expected: &[&str]) {
    let good = [
        ("src/lib.rs", MAP),
        ("src/main.rs", "fn main() { gitboot::cli::run(); }"),
        ("src/cli/mod.rs", "use clap::Parser; use crate::http;"),
        ("src/http.rs", "use warp::Filter; use hyper_util::rt;"),
        ("src/label.rs", ""),
        ("src/tree.rs", "use crate::label::Labels;"),
    ];
    let replaced = |path: &str| files.iter().any(|(other, _)| *other == path);
    let sources: Vec<(String, String)> = good
        .iter()
        .filter(|(path, _)| !replaced(path))
        .chain(files)
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect();
    let crates = "[package]\nname = \"x\"\n[dependencies]\n# why\nclap = 4\nwarp = { a = 1 }\nhyper-util = 1\nbytes = 1\nhttp = 1\n[dev-dependencies]\nproptest = 1\n";
    let crates = dependencies(crates);
    assert_eq!(violations(&parse_map(MAP), &sources, &crates), expected);
}

#[test]
fn reads_the_map() {
    let map = parse_map(MAP);
    let names: Vec<&str> = map.iter().map(|room| room.name.as_str()).collect();
    assert_eq!(names, ["main", "cli", "http", "label", "tree"]);
    let cli = map.iter().find(|room| room.name == "cli").unwrap();
    let below = ["http", "label", "tree"].map(str::to_owned);
    assert_eq!(cli.may_look_into, BTreeSet::from(below));
    let http = map.iter().find(|room| room.name == "http").unwrap();
    let crates = ["hyper_util", "warp"].map(str::to_owned);
    assert_eq!(http.crates, BTreeSet::from(crates));
    assert_eq!(parse_map("//! No table.\npub mod cli;\n"), []);
}

#[test]
fn finds_nothing_where_all_is_well() {
    check(&[], &[]);
}

#[test]
fn finds_a_planted_look_into_another_room() {
    for text in [
        "use crate::tree::Tree;",
        "use crate::{tree::Tree};",
        "use crate::{\n    label::{self, Labels},\n    tree::{Blob as B, Tree},\n};",
        "fn f() -> crate::tree::Tree { todo!() }",
        "use super::tree;",
        "use super::{tree as forest};",
        "mod inner { use super::super::tree; }",
        "pub(crate) fn f() { super::tree::g(); }",
        "fn f(x: &'static str) -> char { crate::tree::g('\"', '\\'', \"\"); 'x' }",
        "const X: &str = r#\"\"#; fn f() { let y = [..crate::tree::LEN]; }",
        "#[cfg(test)] mod tests { use crate::cli; } fn f() { crate::tree::g() }",
        "#[cfg(test)] use crate::{cli}; fn f() { crate::tree::g() }",
        "#[cfg(not(test))] use crate::tree;",
    ] {
        let expected = "src/label.rs: `label` may not look into `tree`";
        check(&[("src/label.rs", text)], &[expected]);
    }
    let files = [
        ("src/label/mod.rs", "mod value;"),
        ("src/label/value.rs", "use super::super::tree;"),
        ("src/label.rs", ""),
    ];
    let expected = "src/label/value.rs: `label` may not look into `tree`";
    check(&files, &[expected]);
    let main = [("src/main.rs", "use gitboot::{cli, tree};")];
    check(&main, &["src/main.rs: `main` may not look into `tree`"]);
}

#[test]
fn finds_a_planted_foreign_crate() {
    for text in [
        "use warp::Filter;",
        "use ::warp::Filter;",
        "use warp;",
        "use warp::{self, Filter};",
        "use {bytes::Bytes, warp::Filter as F};",
        "fn f() { warp::serve(); }",
        "fn f() { ::warp::serve(); }",
        "#[derive(warp::Thing)] struct X;",
        "fn f<T: warp::Filter>() -> Vec::<warp::Reply> {}",
    ] {
        let expected = "src/label.rs: the crate `warp` lives only in `http`";
        check(&[("src/label.rs", text)], &[expected]);
    }
}

#[test]
fn knows_what_is_no_use() {
    for text in [
        "// crate::tree and warp::serve\n/* use crate::tree; /* nested */ use warp::x; */",
        "/// See [`crate::tree`].\nfn f() {}",
        "const X: &str = \"use crate::tree; \\\" warp::serve\";",
        "const X: &str = r##\"crate::tree \"# warp::serve\"##; const Y: &[u8] = b\"warp::x\";",
        "#[cfg(test)]\n#[allow(x)]\nmod tests { use crate::tree; fn f() { warp::x() } }",
        "#[cfg(test)] fn helper() -> [u8; 2] { crate::tree::g() }",
        "#![cfg(test)]\nuse crate::tree;",
        "fn f(warp: X) { warp.serve(); x.warp::<Y>(); self::tree::g(); thing::warp::x(); }",
        "mod warp; fn f() { warp::serve() }",
        "use bytes::fake as warp; fn f() { warp::serve() }",
        "mod inner { use super::own; } mod own {}",
        "use crate::label::own; pub(in crate::label) fn f() -> impl X + use<'a> {}",
        "fn f() { bytes::Bytes::new(); http::Uri::x(); proptest::x(); }",
    ] {
        check(&[("src/label.rs", text)], &[]);
    }
    let files = [
        ("src/label/mod.rs", "#[cfg(test)] mod tests;\nmod value;"),
        ("src/label/tests.rs", "use crate::tree; use warp::x;"),
        ("src/label/tests/more.rs", "use crate::tree;"),
        ("src/label.rs", ""),
    ];
    check(&files, &[]);
}

#[test]
fn finds_a_map_that_has_rotted() {
    let extra = [("src/attic.rs", "")];
    check(&extra, &["the map has no room `attic`"]);
    let unknown = [("src/label.rs", "use crate::attic::X;")];
    check(&unknown, &["src/label.rs: `attic` is no room"]);
    let gone = [("src/http.rs", "use warp::Filter;")];
    check(&gone, &["`http` does not use the crate `hyper_util`"]);
    let map = |rows: &[&str]| {
        let row = |row: &&str| format!("//! {row}\n");
        let rows: String = rows.iter().map(row).collect::<Vec<_>>().concat();
        let map = parse_map(&format!(
            "//! | {} |\n//! |---|---|---|\n{rows}",
            HEADER.join(" | ")
        ));
        let sources = [("src/a.rs".to_owned(), String::new())];
        violations(&map, &sources, &BTreeSet::new())
    };
    assert_eq!(map(&["| `a` | | |"]), Vec::<String>::new());
    let expected = ["`a` may look into `b`, which is no room"];
    assert_eq!(map(&["| `a` | `b` | |"]), expected);
    let expected = ["the map has two rows for `a`"];
    assert_eq!(map(&["| `a` | | |", "| `a` | | |"]), expected);
    let expected = [
        "a circle of rooms: `a`, `b`",
        "the map has a room `b` that the source has not",
    ];
    assert_eq!(map(&["| `a` | `b` | |", "| `b` | `a` | |"]), expected);
}
