//! A plugin's project: where it is, in which language, and how programs run there.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use clap::{Args, ValueEnum};

use crate::cli::Failure;

/// Which project.
#[derive(Debug, Args)]
pub(super) struct ProjectArgs {
    /// Its folder.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

impl ProjectArgs {
    /// The project in that folder, or in the current one.
    pub(super) fn open(&self) -> Result<Project, Failure> {
        Project::open(self.path.as_deref().unwrap_or(Path::new("")))
    }
}

/// A language that projects are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// A crate with the SDK, built by cargo.
    Rust,
    /// A module, built by componentize-py.
    Python,
    /// A module, built by componentize-js.
    #[value(name = "javascript", alias = "js")]
    JavaScript,
}

/// A project that is there.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) folder: PathBuf,
    pub(super) language: Language,
}

/// What `build` leaves in the project's folder.
pub(super) const COMPONENT: &str = "plugin.wasm";

impl Project {
    /// The project in a folder.
    fn open(folder: &Path) -> Result<Self, Failure> {
        let marks = [
            ("Cargo.toml", Language::Rust),
            ("package.json", Language::JavaScript),
            ("app.py", Language::Python),
        ];
        let found = marks.into_iter().find(|(file, _)| folder.join(file).is_file());
        let nothing = || {
            let shown = if folder == Path::new("") { Path::new(".") } else { folder }.display();
            Failure::new(format!(
                "{shown} is no plugin's project: it has no Cargo.toml, package.json or app.py"
            ))
        };
        let (_, language) = found.ok_or_else(nothing)?;
        Ok(Self { folder: folder.to_owned(), language })
    }

    /// Where the component is.
    pub(super) fn component(&self) -> PathBuf {
        self.folder.join(COMPONENT)
    }

    /// Runs a program in the project's folder whose output people may watch; the words that it was
    /// started with are part of the sentence if it fails.
    pub(super) fn run(&self, program: impl AsRef<OsStr>, args: &[&str]) -> Result<(), Failure> {
        // What is for machines goes to standard output alone.
        let mut command = self.command(program, args);
        command.stdout(std::io::stderr());
        let status = command.status().map_err(|error| cannot_run(&command, &error))?;
        if status.success() { Ok(()) } else { Err(failed(&command)) }
    }

    /// Runs a program and takes what it writes on standard output.
    pub(super) fn output(
        &self,
        program: impl AsRef<OsStr>,
        args: &[&str],
    ) -> Result<Vec<u8>, Failure> {
        let mut command = self.command(program, args);
        command.stderr(Stdio::inherit());
        let output = command.output().map_err(|error| cannot_run(&command, &error))?;
        let Output { status, stdout, .. } = output;
        if status.success() { Ok(stdout) } else { Err(failed(&command)) }
    }

    fn command(&self, program: impl AsRef<OsStr>, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null());
        if self.folder != Path::new("") {
            command.current_dir(&self.folder);
        }
        command
    }
}

fn words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

fn failed(command: &Command) -> Failure {
    Failure::new(format!("`{}` failed", words(command)))
}

fn cannot_run(command: &Command, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot run `{}`: {error}", words(command)))
}
