//! `reef plugin test`: builds the component, runs the project's own tests, then its transcripts against the
//! real engine.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use reef_test_kit::{GrantRequest, Kit, LoadRequest, Source};
use serde_json::json;

use super::build::build;
use super::load::pair;
use super::project::{Language, Project, ProjectArgs};
use crate::cli::Failure;
use crate::cli::table::counted;

/// Arguments of `reef plugin test`.
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// What the plugin reads as its configuration.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    config: Vec<(String, String)>,
    /// A budget: cpu-ms, memory, host-calls or bytes.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    limit: Vec<(String, String)>,
    /// Take the component that is there.
    #[arg(long)]
    no_build: bool,
    /// Write what is seen into the transcripts as what is expected, for you to read.
    #[arg(long)]
    update: bool,
}

pub(super) fn run(args: &TestArgs, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let project = args.project.open()?;
    if !args.no_build {
        // First: tests of the project's own may load the component, too.
        build(&project)?;
    }
    own_tests(&project)?;
    let mut kit = load(&project, args)?;
    let files = transcripts(&project.folder.join("tests"))?;
    let mut mismatches = Vec::new();
    for file in &files {
        if args.update {
            update(&mut kit, file)?;
        }
        mismatches.extend(kit.transcript(file).map_err(Failure::new)?);
    }
    if json {
        let texts: Vec<String> = mismatches.iter().map(ToString::to_string).collect();
        let report = json!({ "transcripts": files.len(), "mismatches": texts });
        writeln!(out, "{report:#}")?;
    } else {
        for mismatch in &mismatches {
            writeln!(out, "{mismatch}")?;
        }
        if mismatches.is_empty() {
            let held = counted(files.len() as u64, "transcript");
            writeln!(out, "as expected in RESP2 and RESP3: {held}")?;
        }
    }
    match mismatches.len() {
        0 => Ok(()),
        found => Err(Failure::new(format!("not as expected: {}", counted(found as u64, "step")))),
    }
}

/// What the language's own tool runs.
fn own_tests(project: &Project) -> Result<(), Failure> {
    match project.language {
        Language::Rust => project.run("cargo", &["test", "--quiet"]),
        Language::JavaScript => project.run("npm", &["test", "--silent"]),
        Language::Python => {
            let tests = fs::read_dir(project.folder.join("tests")).into_iter().flatten().flatten();
            let is_test = |name: &str| name.starts_with("test") && name.ends_with(".py");
            match tests.filter(|entry| entry.file_name().to_str().is_some_and(is_test)).count() {
                0 => Ok(()),
                _ => project
                    .run("python3", &["-B", "-m", "unittest", "discover", "-q", "-s", "tests"]),
            }
        }
    }
}

fn load(project: &Project, args: &TestArgs) -> Result<Kit, Failure> {
    let kit = Kit::new();
    kit.add(LoadRequest {
        grants: GrantRequest::AllWanted,
        config: Some(args.config.clone()),
        limits: args.limit.clone(),
        ..LoadRequest::new("plugin", Source::Path(project.component()))
    })?;
    Ok(kit)
}

/// The transcripts of a folder, by name.
fn transcripts(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let mut files: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    Ok(files)
}

fn update(kit: &mut Kit, file: &Path) -> Result<(), Failure> {
    let name = file.display().to_string();
    let text =
        fs::read_to_string(file).map_err(|error| Failure::new(format!("{name}: {error}")))?;
    let seen = kit.record(&name, &text).map_err(Failure::new)?;
    if seen != text {
        fs::write(file, seen).map_err(|error| Failure::new(format!("{name}: {error}")))?;
    }
    Ok(())
}
