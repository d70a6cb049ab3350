//! `reef plugin new`, `build`, `check` and `test` where they say no, and for programs. What they do for a
//! project is shown by the README and the examples, which `readme.rs` runs.

use std::fs;
use std::process::{Command, Output};
use std::time::Instant;

use crate::served::{Served, is_here, run, sentence, stranger, succeeded};

fn at(verb: &str, folder: &str) -> Output {
    run(&["plugin", verb, "--path", folder])
}

#[test]
fn a_new_project_takes_no_place_that_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shout").display().to_string();
    for language in ["rust", "python", "javascript"] {
        let path = format!("{path}-{language}");
        let made =
            run(&["plugin", "new", "shout", "--language", language, "--path", &path, "--json"]);
        let made: serde_json::Value = serde_json::from_str(&succeeded(made)).expect("JSON");
        let files = made["files"].as_array().expect("files");
        assert!(files.iter().any(|file| file == "README.md"));
        for file in files.iter().filter_map(serde_json::Value::as_str) {
            assert!(
                fs::metadata(format!("{path}/{file}")).is_ok_and(|file| file.len() > 0),
                "{file}"
            );
        }
        let again = run(&["plugin", "new", "shout", "--path", &path]);
        assert!(sentence(&again).contains("not empty"));
    }
    assert_eq!(run(&["plugin", "new", "No Name"]).status.code(), Some(2));
    assert!(sentence(&at("build", &format!("{path}-javascript"))).contains("npm install"));
}

#[test]
fn where_nothing_is_nothing_is_built() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display().to_string();
    assert!(sentence(&at("build", &path)).contains("no plugin's project"));
    assert!(sentence(&at("test", &path)).contains("no plugin's project"));
    fs::write(folder.path().join("Cargo.toml"), "rubbish").expect("written");
    let failed = at("build", &path);
    assert_eq!(failed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&failed.stderr).contains("reef: `cargo build"));
}

#[test]
fn a_component_is_checked_without_a_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tx.wasm");
    fs::write(&file, reef_bundled::TX_REPO).expect("written");
    let file = file.display().to_string();
    let found = succeeded(run(&["plugin", "check", &file, "--json"]));
    let found: serde_json::Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!(found["refusal"], serde_json::Value::Null);
    let commands = found["plugin"]["commands"].as_array().expect("commands");
    assert!(commands.iter().any(|command| command["name"] == "TX.CREATE"));
    assert!(found["native_bytes"].as_u64() > found["component_bytes"].as_u64());
    let shown = succeeded(run(&["plugin", "check", &file]));
    assert!(shown.contains("TX.CREATE") && shown.contains("--grant '~tx:*'"), "{shown}");
    // Its memory does not suffice to start.
    let refused = run(&["plugin", "check", &file, "--limit", "memory=64kb"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("it would be refused"));
    fs::write(&file, "no component").expect("written");
    assert!(sentence(&run(&["plugin", "check", &file])).contains("wasm"));
}

/// Seconds of CPU in what `times` of a shell says of its children: `1m2.5s 0m1.25s`.
fn cpu_seconds(times: &str) -> f64 {
    let of_children = times.lines().last().expect("a line of times");
    let seconds = |time: &str| -> f64 {
        let (minutes, seconds) = time.trim_end_matches('s').split_once('m').expect("minutes");
        let number = |text: &str| text.parse::<f64>().expect("a number");
        number(minutes) * 60.0 + number(seconds)
    };
    of_children.split(' ').map(seconds).sum()
}

/// Where nothing of it was ever compiled: what the README promises. The minute it names is for an idle
/// machine, and is printed here; what is checked is that it takes no multiple of it in CPU time.
#[test]
fn a_new_plugin_answers_its_first_command_after_the_shown_commands() {
    if !is_here("rustup") {
        return;
    }
    let (server, folder) = (Served::start(&["--save", ""]), tempfile::tempdir().expect("a folder"));
    let script = format!(
        "\"$0\" plugin new shout && cd shout && \"$0\" plugin build && \
         \"$0\" plugin load shout plugin.wasm --grant-wanted --url {} && times",
        server.url()
    );
    let mut shell = Command::new("sh");
    stranger(&mut shell).env_remove("CARGO_TARGET_DIR").current_dir(folder.path());
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_reef")]);
    let began = Instant::now();
    let said = succeeded(shell.output().expect("a shell runs"));
    let mut connection = server.connect();
    let mut greet = redis::cmd("SHOUT.GREET");
    let reply: String = greet.arg("Ada").query(&mut connection).expect("it answers");
    let (took_s, cpu_s) = (began.elapsed().as_secs_f64(), cpu_seconds(&said));
    assert_eq!(reply, "Hello Ada, for the 1. time");
    println!("a new plugin answered after {took_s:.1} s and {cpu_s:.1} s of CPU");
    assert!((1.0..180.0).contains(&cpu_s), "{cpu_s} s of CPU in {took_s} s");
}
