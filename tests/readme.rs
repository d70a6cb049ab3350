//! The command lines of the README and of the examples, run as a reader would.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::served::{Served, is_here, reef, stranger, succeeded};

/// Command lines that are run elsewhere, or cannot be run from here, and where.
const ELSEWHERE: [(&str, &str); 8] = [
    ("cargo run --release -- demo", "tests/cli.rs runs the demonstration"),
    ("cargo run --release -- serve", "every test here starts a server"),
    ("reef serve", "tests/cli.rs starts servers with files and flags"),
    ("reef demo", "tests/cli.rs runs the demonstration"),
    ("reef plugin load NAME", "tests/cli.rs loads plugins"),
    ("reef bench", "the crate reef-bench runs against real servers"),
    ("redis-cli MONITOR", "tests/redis_cli.rs watches commands"),
    ("RUST_LOG=", "tests/cli.rs starts servers"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The lines of the fenced blocks and the second column of the table, in order.
fn command_lines(document: &str) -> Vec<String> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in document.lines() {
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

/// Somebody who types what a document says.
struct Reader<'a> {
    server: &'a Served,
    /// The one that it was told to start, if it was.
    own: Option<Served>,
    folder: PathBuf,
    /// Where new projects are made.
    elsewhere: tempfile::TempDir,
    /// What stands for `ID`: the transaction that was created last.
    id: String,
}

impl<'a> Reader<'a> {
    fn new(server: &'a Served, folder: &str) -> Self {
        let elsewhere = tempfile::tempdir().expect("a folder");
        let folder = root().join(folder);
        Self { server, own: None, folder, elsewhere, id: String::new() }
    }

    fn server(&self) -> &Served {
        self.own.as_ref().unwrap_or(self.server)
    }

    fn follow(&mut self, document: &str, lines_min: usize) {
        let lines = command_lines(document);
        assert!(lines.len() >= lines_min, "the command lines are found: {lines:?}");
        for line in &lines {
            let is_ours = line.starts_with("reef serve --write-behind ");
            if is_ours || !ELSEWHERE.iter().any(|(start, _)| line.starts_with(start)) {
                self.run(line);
            }
        }
    }

    fn run(&mut self, line: &str) {
        // `ID` stands for the transaction that was created before, where it is about transactions.
        let is_about_transactions =
            !self.id.is_empty() && (line.contains("tx ") || line.contains("TX."));
        let known = |word| if word == "ID" && is_about_transactions { &*self.id } else { word };
        let words: Vec<&str> = words(line).into_iter().map(known).collect();
        let mut command = match words.as_slice() {
            ["cargo", "test"] if self.folder == root() => return,
            ["cd", folder] => {
                let inner = self.folder.join(folder);
                self.folder = if inner.is_dir() { inner } else { root().join(folder) };
                return;
            }
            ["reef", "serve", "--write-behind", file] => {
                let file = self.folder.join(file);
                self.own = Some(Served::start(&["--write-behind", file.to_str().expect("text")]));
                return;
            }
            ["redis-cli", rest @ ..] => {
                let mut command = Command::new("redis-cli");
                command.args(["-e", "-p", &self.server().port().to_string()]).args(rest);
                command
            }
            ["reef", rest @ ..] => {
                if rest.starts_with(&["plugin", "new"]) {
                    // Nothing new comes into the repository.
                    self.folder = self.elsewhere.path().to_owned();
                }
                let mut command = reef();
                stranger(&mut command).args(rest).args(["--url", &self.server().url()]);
                command
            }
            [script, _port] if script.starts_with("./") => {
                let mut command = Command::new(self.folder.join(script));
                command.arg(self.server().port().to_string());
                command
            }
            [program @ ("cargo" | "rustup"), rest @ ..] => {
                let mut command = Command::new(program);
                // In its own folder, where the next lines look for what was built.
                stranger(&mut command).args(rest).env_remove("CARGO_TARGET_DIR");
                command
            }
            other => panic!("nobody knows how to run {other:?}"),
        };
        let output = command.current_dir(&self.folder).stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("{line}: {error}"));
        let quiet = output.stdout.is_empty() && output.stderr.is_empty();
        succeeded(output);
        assert!(!quiet, "{line} says something");
        if line.starts_with("reef tx create") {
            let found = self.server().run(&["tx", "get-by-nonce", "relayer-1", "43", "--json"]);
            let json: serde_json::Value = serde_json::from_str(&succeeded(found)).expect("JSON");
            json["id"].as_str().expect("it has an id").clone_into(&mut self.id);
        }
    }
}

/// The words of a command line, of which some may stand between apostrophes.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        match at % 2 {
            0 => words.extend(part.split(' ').filter(|word| !word.is_empty())),
            _ => words.push(part),
        }
    }
    words
}

/// In a project where nothing was built before. Its own tests may need the component.
#[test]
fn what_the_readme_of_a_new_project_says_works() {
    const NEEDS_COMPONENT: &str = "//! Needs the component.\n\n#[test]\nfn it_is_there() {\n    \
        assert!(std::path::Path::new(\"plugin.wasm\").exists());\n}\n";
    if !is_here("redis-cli") || !is_here("rustup") {
        return;
    }
    let server = Served::start(&["--save", ""]);
    let mut reader = Reader::new(&server, ".");
    reader.run("reef plugin new till");
    reader.run("cd till");
    let path = reader.folder.join("tests/component.rs");
    std::fs::write(path, NEEDS_COMPONENT).expect("written");
    reader.run("reef plugin test");
    let readme = std::fs::read_to_string(reader.folder.join("README.md")).expect("a README");
    reader.follow(&readme, 10);
}

#[test]
fn every_command_line_of_the_readme_runs() {
    if is_here("redis-cli") && is_here("rustup") {
        let server = Served::start(&[]);
        Reader::new(&server, ".").follow(&text("README.md"), 30);
    }
}

#[test]
fn every_command_line_of_the_examples_runs() {
    if !is_here("redis-cli") || !is_here("rustup") {
        return;
    }
    let examples = std::fs::read_dir(root().join("examples")).expect("there are examples");
    let mut read = 0;
    for example in examples.flatten() {
        let folder = format!("examples/{}", example.file_name().to_string_lossy());
        let server = Served::start(&[]);
        Reader::new(&server, &folder).follow(&text(&format!("{folder}/README.md")), 5);
        read += 1;
    }
    assert!(read >= 5, "{read} examples");
}

#[test]
fn the_plugin_in_the_readme_is_the_one_that_is_built() {
    let readme = text("README.md");
    for (language, file) in [("toml", "Cargo.toml"), ("rust", "src/lib.rs")] {
        let code = text(&format!("examples/plugin-hello/{file}"));
        assert!(
            readme.contains(&format!("```{language}\n{code}```\n")),
            "the README shows {file} as it is"
        );
    }
}
