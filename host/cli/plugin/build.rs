//! `reef plugin build`: runs the tool of the project's language and puts the component in one place.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::project::{COMPONENT, Language, Project, ProjectArgs};
use crate::cli::Failure;
use crate::cli::table::grouped;

/// What components in Rust are built for.
const TARGET: &str = "wasm32-wasip2";

pub(super) fn run(args: &ProjectArgs, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let project = args.open()?;
    let bytes = build(&project)?;
    let component = project.component().display().to_string();
    match json {
        true => writeln!(out, "{:#}", json!({ "component": component, "bytes": bytes }))?,
        false => writeln!(out, "{component}  {} bytes", grouped(bytes))?,
    }
    Ok(())
}

/// Builds the component; its size.
pub(super) fn build(project: &Project) -> Result<u64, Failure> {
    match project.language {
        Language::Rust => rust(project)?,
        Language::Python => python(project)?,
        Language::JavaScript => javascript(project)?,
    }
    Ok(fs::metadata(project.component())?.len())
}

fn rust(project: &Project) -> Result<(), Failure> {
    has_target()?;
    let args = ["build", "--release", "--target", TARGET, "--lib"];
    let messages = ["--message-format", "json-render-diagnostics"];
    let output = project.output("cargo", &[&args[..], &messages[..]].concat())?;
    let built = artifact(&project.folder, &output)
        .ok_or_else(|| Failure::new("cargo built no component: is `crate-type` a \"cdylib\"?"))?;
    // Whoever reads the component meanwhile reads the old one or the new one.
    let new = project.component().with_extension(format!("{}.new", std::process::id()));
    fs::copy(&built, &new)?;
    Ok(fs::rename(&new, project.component())?)
}

/// Says what to do where the standard library for components is missing, before cargo says it at
/// length.
fn has_target() -> Result<(), Failure> {
    let asked =
        Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
    let asked = asked.map_err(|error| Failure::new(format!("cannot run `rustc`: {error}")))?;
    if Path::new(String::from_utf8_lossy(&asked.stdout).trim()).is_dir() {
        return Ok(());
    }
    Err(Failure::new(format!("Rust cannot build components yet: rustup target add {TARGET}")))
}

/// The component of the project itself among what cargo says it has made.
fn artifact(folder: &Path, messages: &[u8]) -> Option<PathBuf> {
    let manifest = fs::canonicalize(folder.join("Cargo.toml")).ok()?;
    let mut found = None;
    for line in messages.split(|byte| *byte == b'\n') {
        let Ok(message) = serde_json::from_slice::<Value>(line) else { continue };
        let is_ours =
            message["manifest_path"].as_str().is_some_and(|path| Path::new(path) == manifest);
        let files = message["filenames"].as_array().filter(|_| is_ours);
        let mut wasm = files.into_iter().flatten().filter_map(Value::as_str);
        found = wasm.rfind(|file| file.ends_with(".wasm")).map(PathBuf::from).or(found);
    }
    found
}

fn python(project: &Project) -> Result<(), Failure> {
    let own = Path::new(".venv/bin/componentize-py");
    let has_own = project.folder.join(own).is_file();
    let program = if has_own {
        fs::canonicalize(project.folder.join(".venv/bin"))?.join("componentize-py")
    } else {
        "componentize-py".into()
    };
    let args = [
        "-d",
        "wit",
        "-w",
        "command-plugin",
        "componentize",
        "app",
        "-o",
        COMPONENT,
        "--stub-wasi",
    ];
    project.run(program, &args)
}

fn javascript(project: &Project) -> Result<(), Failure> {
    if !project.folder.join("node_modules").is_dir() {
        return Err(Failure::new("what it is built with is not there yet: npm install"));
    }
    project.run("npm", &["run", "--silent", "build"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_the_projects_own() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("Cargo.toml");
        fs::write(&manifest, "").unwrap();
        let manifest = fs::canonicalize(manifest).unwrap();
        let message = |path: &str, files: &[&str]| {
            format!(
                "{}\n",
                json!({ "reason": "compiler-artifact", "manifest_path": path, "filenames": files })
            )
        };
        let ours = message(&manifest.display().to_string(), &["/t/a.rlib", "/t/a.wasm"]);
        let text = format!("not json\n{}{ours}", message("/other/Cargo.toml", &["/t/b.wasm"]));
        assert_eq!(artifact(folder.path(), text.as_bytes()), Some("/t/a.wasm".into()));
        assert_eq!(artifact(folder.path(), b"{}\n"), None);
    }
}
