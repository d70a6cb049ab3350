//! The house rules as tests: which crate may know which, and what every source file must have.
//!
//! Each rule prints its reason when it is broken. Rules that the compiler or clippy can hold
//! (`no_std` in the engine, no `unwrap`, no printing) are held there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Which of our crates a crate may depend on, and why no others.
const ARROWS: &[(&str, &[&str], &str)] = &[
    ("host/resp", &[], "resp knows bytes only"),
    ("host/engine", &["reef-resp"], "the engine does no I/O and knows resp's reply writer only"),
    (
        "host/storage",
        &["reef-resp"],
        "storage keeps files; what stands in them is the engine's business",
    ),
    (
        "host/sinks",
        &[],
        "sinks carry events to databases; engine and plugins are behind the traits Source and Planner",
    ),
    (
        "host/server",
        &["reef-engine", "reef-resp", "reef-storage"],
        "server and runtime meet through the traits in engine::backend, never each other",
    ),
    (
        "host/runtime",
        &["reef-engine", "reef-resp"],
        "runtime and server meet through the traits in engine::backend, never each other",
    ),
    ("host/http", &[], "the door speaks RESP with a server through the entrance that it is given"),
    ("host/bundled", &[], "bundled plugins are bytes; what they do is the runtime's business"),
    ("host/bench", &[], "the load generator sees a server as a client does"),
    ("plugins/sdk", &[], "guests depend on wit/ only, never on the host"),
    ("plugins/tx-repo", &["reef-sdk"], "a bundled plugin is what a stranger could have written"),
    ("plugins/rendezvous", &["reef-sdk"], "a bundled plugin is what a stranger could have written"),
    (
        "plugins/write-behind",
        &["reef-sdk"],
        "a bundled plugin is what a stranger could have written",
    ),
    (
        "plugins/write-behind-sink",
        &["reef-sdk"],
        "a bundled sink is what a stranger could have written",
    ),
    ("plugins/hostile", &["reef-sdk"], "a hostile plugin is what a stranger could have written"),
    (
        "plugins/test-kit",
        &["reef-engine", "reef-resp", "reef-runtime", "reef-transcript"],
        "the kit runs components as a server does, without sockets, and judges by transcripts",
    ),
    ("tests/transcript", &[], "transcripts judge servers from outside"),
    (
        "tests/fuzz",
        &["reef-engine", "reef-resp", "reef-transcript"],
        "fuzzing calls what takes bytes from strangers, without sockets or guests",
    ),
    (
        "tests/histories",
        &["reef-engine", "reef-fuzz", "reef-transcript"],
        "histories know the built server by its port only; the commands to send come from its table",
    ),
    ("tests/clients", &[], "clients know the built server by its port only"),
    ("examples/libp2p-ping", &[], "a program that meets others through any Redis knows none"),
    ("examples/multi-tenant", &["reef-sdk"], "an example is what a stranger would write"),
    ("examples/plugin-hello", &["reef-sdk"], "an example is what a stranger would write"),
    ("examples/rate-limiter", &["reef-sdk"], "an example is what a stranger would write"),
    ("examples/leaderboard", &["reef-sdk"], "an example is what a stranger would write"),
    ("examples/payment-ledger", &["reef-sdk"], "an example is what a stranger would write"),
];

#[test]
fn crates_know_only_what_they_may() {
    for (crate_dir, allowed, reason) in ARROWS {
        let manifest = root().join(crate_dir).join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap_or_else(|e| panic!("{crate_dir}: {e}"));
        for dependency in own_dependencies(&text) {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{crate_dir} depends on {dependency}, but {reason}"
            );
        }
    }
}

/// Our crates in the `[dependencies]` and `[build-dependencies]` of a manifest.
fn own_dependencies(manifest: &str) -> Vec<String> {
    let mut section = "";
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if matches!(section, "[dependencies]" | "[build-dependencies]")
            && line.starts_with("reef-")
        {
            let name = line.split([' ', '=', '.']).next().unwrap_or_default();
            found.push(name.to_owned());
        }
    }
    found
}

#[test]
fn every_crate_has_its_arrow() {
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = text.lines().find(|line| line.starts_with("members")).unwrap();
    for member in members.split('"').skip(1).step_by(2).filter(|member| *member != ".") {
        let known = ARROWS.iter().any(|(dir, _, _)| *dir == member)
            || member.starts_with("plugins/hostile/");
        assert!(known, "{member} is missing in ARROWS: say what it may depend on, and why");
    }
}

/// All Rust sources of the repository with their text.
fn sources() -> BTreeMap<PathBuf, String> {
    fn walk(dir: &Path, found: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(dir).expect("a folder of ours").flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.insert(path.clone(), fs::read_to_string(&path).expect("text"));
            }
        }
    }
    let mut found = BTreeMap::new();
    for dir in ["host", "plugins", "tests", "examples"] {
        if root().join(dir).is_dir() {
            walk(&root().join(dir), &mut found);
        }
    }
    found
}

/// Fails with every place that `broken` finds, and with the reason.
fn check(reason: &str, broken: impl Fn(&Path, &str) -> Vec<String>) {
    let mut places = Vec::new();
    for (path, text) in sources() {
        let shown = path.strip_prefix(root()).unwrap_or(&path).to_owned();
        places.extend(
            broken(&shown, &text).into_iter().map(|what| format!("{}: {what}", shown.display())),
        );
    }
    assert!(places.is_empty(), "{reason}\n  {}", places.join("\n  "));
}

#[test]
fn every_file_says_what_it_is_for() {
    check(
        "a file opens with a `//!` header: what it is for, and what it does not do",
        |_, text| {
            let has_header = text.trim_start().starts_with("//!");
            if has_header { vec![] } else { vec!["no header".to_owned()] }
        },
    );
}

#[test]
fn no_file_is_a_heap() {
    const LINES_MAX: usize = 1500;
    check("one noun per file; at 1,500 lines it is several", |_, text| {
        let lines = text.lines().count();
        if lines > LINES_MAX { vec![format!("{lines} lines")] } else { vec![] }
    });
    const BANNED: [&str; 4] = ["utils.rs", "common.rs", "helpers.rs", "misc.rs"];
    check("a file is named by its noun", |path, _| {
        let name = path.file_name().unwrap_or_default();
        BANNED.iter().filter(|banned| name == **banned).map(|b| (*b).to_owned()).collect()
    });
}

#[test]
fn time_is_read_in_one_place() {
    check(
        "only clock.rs reads the time of day, so that everything else can be given another",
        |path, text| {
            let production = text.split("#[cfg(test)]").next().unwrap_or_default();
            let watched =
                path.starts_with("host/server/src") || path.starts_with("host/engine/src");
            if watched && !path.ends_with("clock.rs") && production.contains("SystemTime::now") {
                return vec!["SystemTime::now".to_owned()];
            }
            vec![]
        },
    );
}

#[test]
fn error_texts_have_one_home_in_the_engine() {
    check(
        "RESP error texts stand in engine/src/error.rs and nowhere else in the engine",
        |path, text| {
            if !path.starts_with("host/engine/src")
                || path.ends_with("error.rs")
                || path.starts_with("host/engine/src/solo")
            {
                return vec![];
            }
            let production = text.split("#[cfg(test)]").next().unwrap_or_default();
            let lines = production.lines().filter(|line| !line.trim_start().starts_with("//"));
            lines
                .filter(|line| line.contains("\"ERR "))
                .map(|line| line.trim().to_owned())
                .collect()
        },
    );
}

#[test]
fn the_engine_cannot_reach_the_world() {
    for krate in ["host/engine/src/lib.rs", "host/resp/src/lib.rs"] {
        let text = fs::read_to_string(root().join(krate)).unwrap();
        assert!(text.contains("#![no_std]"), "{krate}: `no_std` is what keeps clocks and I/O out");
    }
}
