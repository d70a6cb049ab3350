//! The README's command lines, run as a reader would.

use std::process::Command;

use crate::served::{Served, is_here, run, succeeded};

const README: &str = include_str!("../README.md");

/// Command lines that are run elsewhere, or cannot be run from here, and where.
const ELSEWHERE: [(&str, &str); 8] = [
    ("cargo test", "this is it"),
    ("cargo run --release -- demo", "tests/cli.rs runs the demonstration"),
    ("cargo run --release -- serve", "every test here starts a server"),
    ("reef serve", "tests/cli.rs starts servers with files and flags"),
    ("reef demo", "tests/cli.rs runs the demonstration"),
    ("reef plugin load", "tests/cli.rs loads plugins"),
    ("reef bench", "the crate reef-bench runs against real servers"),
    ("redis-cli MONITOR", "tests/redis_cli.rs watches commands"),
];

/// The lines of the fenced blocks and the second column of the table, in order.
fn command_lines() -> Vec<String> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in README.lines() {
        if line.starts_with("```") {
            fenced = line == "```sh";
        } else if fenced {
            lines.push(line.to_owned());
        } else if line.starts_with("| ") {
            let command = line.rsplit('|').nth(1).unwrap_or_default().trim();
            if let Some(command) = command.strip_prefix('`').and_then(|c| c.strip_suffix('`')) {
                lines.push(command.to_owned());
            }
        }
    }
    lines
}

#[test]
fn every_command_line_of_the_readme_runs() {
    let lines = command_lines();
    assert!(lines.len() > 20, "the README's lines are found: {lines:?}");
    if !is_here("redis-cli") {
        return;
    }
    let server = Served::start(&[]);
    let mut id = String::new();
    for line in &lines {
        if ELSEWHERE.iter().any(|(start, _)| line.starts_with(start))
            || line.starts_with("RUST_LOG=")
        {
            continue;
        }
        let words: Vec<String> = line
            .split(' ')
            .map(|word| word.trim_matches('\'').replace("ID", &named(word, &id)))
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let out = match words.as_slice() {
            ["redis-cli", rest @ ..] => {
                let port = server.port().to_string();
                let mut command = Command::new("redis-cli");
                succeeded(command.args(["-e", "-p", &port]).args(rest).output().expect("it runs"))
            }
            ["reef", rest @ ..] => {
                let url = server.url();
                succeeded(run(&[rest, &["--url", &url]].concat()))
            }
            other => panic!("nobody knows how to run {other:?}"),
        };
        assert!(!out.is_empty(), "{line} says something");
        if line.starts_with("reef tx create") {
            let found = server.run(&["tx", "get-by-nonce", "relayer-1", "43", "--json"]);
            let json = succeeded(found);
            id = json
                .split("\"id\":")
                .nth(1)
                .and_then(|rest| rest.split('"').nth(1))
                .unwrap_or("")
                .to_owned();
            assert!(!id.is_empty(), "{json}");
        }
    }
}

/// `ID` alone stands for the transaction that was created; inside other words it is left alone.
fn named(word: &str, id: &str) -> String {
    if word == "ID" && !id.is_empty() { id.to_owned() } else { "ID".to_owned() }
}
