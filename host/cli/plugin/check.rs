//! `reef plugin check`: what a component imports, is, wants and costs, and whether a server would
//! refuse it. In process, by the very runtime that servers have.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use reef_runtime::{CommandFacts, Inspection, Nature};
use reef_test_kit::{Kit, Limits, Source};
use serde_json::{Value, json};

use super::load::pair;
use super::project::COMPONENT;
use crate::cli::Failure;
use crate::cli::table::{Align, Table, counted, grouped, write_fields};

/// Arguments of `reef plugin check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The component.
    #[arg(default_value = COMPONENT)]
    file: PathBuf,
    /// A budget that it would have: cpu-ms, memory, host-calls or bytes.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    limit: Vec<(String, String)>,
}

pub(super) fn run(args: &CheckArgs, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let mut limits = Limits::default();
    for (name, value) in &args.limit {
        limits.set(name.as_bytes(), value.as_bytes()).map_err(plain)?;
    }
    let found = inspect(Source::Path(args.file.clone()), limits, Vec::new())?;
    match json {
        true => writeln!(out, "{:#}", as_json(&found))?,
        false => show(&found, &args.file, out)?,
    }
    match found.refusal {
        None => Ok(()),
        Some(reason) => Err(Failure::new(format!("it would be refused: {}", text_of(&reason)))),
    }
}

/// What a component wants to be granted.
pub(super) fn wanted(
    component: Vec<u8>,
    config: &[(String, String)],
    file: &Path,
) -> Result<Vec<String>, Failure> {
    let found = inspect(Source::Bytes(component.into()), Limits::default(), config.to_vec())?;
    let wants = found.nature.map(|nature| nature.wants);
    wants.ok_or_else(|| {
        let reason = found.refusal.unwrap_or_default();
        Failure::new(format!("{} does not say what it wants: {}", file.display(), text_of(&reason)))
    })
}

fn inspect(
    source: Source,
    limits: Limits,
    config: Vec<(String, String)>,
) -> Result<Inspection, Failure> {
    Kit::new().plugins().inspect(source, limits, config).map_err(|error| plain(error.to_string()))
}

/// An error of the runtime as a sentence.
fn plain(text: String) -> Failure {
    Failure::new(text_of(&text))
}

fn text_of(error: &str) -> &str {
    error.strip_prefix("ERR ").unwrap_or(error)
}

fn show(found: &Inspection, file: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let mut fields = Vec::new();
    if let Some(nature) = &found.nature {
        fields.push(("plugin", format!("{} {}: {}", nature.name, nature.version, nature.summary)));
    }
    let component_bytes = found.component_bytes as u64;
    let native_bytes = grouped(found.native_bytes as u64);
    fields.push(("component", format!("{}, {} bytes", file.display(), grouped(component_bytes))));
    fields.push((
        "native code",
        format!("{native_bytes} bytes, compiled in {} ms", ms(found.compile_us)),
    ));
    if let Some(nature) = &found.nature {
        let memory = grouped(nature.memory_bytes);
        fields.push((
            "an instance",
            format!("{memory} bytes of memory, there in {} ms", ms(nature.describe_us)),
        ));
        fields.push(("wants", nature.wants.join(" ")));
    }
    fields.push(("imports", imports(&found.imports)));
    write_fields(out, &fields)?;
    let Some(nature) = &found.nature else { return Ok(()) };
    writeln!(out)?;
    commands(&nature.commands).write(out)?;
    if found.refusal.is_none() {
        let grants: Vec<String> =
            nature.wants.iter().map(|word| format!(" --grant '{word}'")).collect();
        let (name, file) = (&nature.name, file.display());
        writeln!(out, "\nreef plugin load {name} {file}{}", grants.concat())?;
    }
    Ok(())
}

fn ms(us: u64) -> String {
    format!("{:.1}", us as f64 / 1000.0)
}

/// Interfaces by name; those of WASI, which are all empty, in number.
fn imports(interfaces: &[String]) -> String {
    let (wasi, own): (Vec<&str>, Vec<&str>) =
        interfaces.iter().map(String::as_str).partition(|name| name.starts_with("wasi:"));
    let mut words: Vec<String> = own.into_iter().map(str::to_owned).collect();
    if !wasi.is_empty() {
        words.push(format!(
            "and {} of WASI, without files or network",
            counted(wasi.len() as u64, "interface")
        ));
    }
    words.join(" ")
}

fn commands(commands: &[CommandFacts]) -> Table {
    let mut table = Table::new(&[
        ("command", Align::Left),
        ("arguments", Align::Left),
        ("arity", Align::Right),
        ("flags", Align::Left),
        ("keys", Align::Left),
        ("summary", Align::Left),
    ]);
    for command in commands {
        let (first, last, step) = command.keys;
        let keys = if first == 0 { String::new() } else { format!("{first} {last} {step}") };
        let (arity, flags) = (command.arity.to_string(), command.flags.join(" "));
        let CommandFacts { name, usage, summary, .. } = command;
        table.row([name, usage, &arity, &flags, &keys, summary]);
    }
    table
}

fn as_json(found: &Inspection) -> Value {
    let nature = found.nature.as_ref().map(nature);
    json!({
        "component_bytes": found.component_bytes,
        "native_bytes": found.native_bytes,
        "compile_us": found.compile_us,
        "imports": found.imports,
        "plugin": nature,
        "refusal": found.refusal,
    })
}

fn nature(nature: &Nature) -> Value {
    let command = |command: &CommandFacts| {
        let (first, last, step) = command.keys;
        json!({
            "name": command.name,
            "usage": command.usage,
            "summary": command.summary,
            "arity": command.arity,
            "flags": command.flags,
            "keys": { "first": first, "last": last, "step": step },
        })
    };
    json!({
        "name": nature.name,
        "version": nature.version,
        "summary": nature.summary,
        "wants": nature.wants,
        "commands": nature.commands.iter().map(command).collect::<Vec<_>>(),
        "describe_us": nature.describe_us,
        "memory_bytes": nature.memory_bytes,
    })
}
