//! `reef plugin ...`: an author's loop (`new`, `build`, `check`, `test`), which needs no server, and the
//! plugins of a running server, over RESP (`PLUGIN ...`). One file per verb.
//!
//! A component is read here and sent as bytes, so the server may be on another machine.

mod build;
mod check;
mod info;
mod list;
mod load;
mod log;
mod new;
mod project;
mod stats;
mod template;
mod test;
mod value;
mod versions;

use std::io::Write;

use clap::{Args, Subcommand};
use redis::Cmd;
use serde_json::json;

use self::load::Component;
use super::Failure;
use super::client::{Client, Server};
use super::table::{counted, shown};

/// Arguments of `reef plugin`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  reef plugin new counter && cd counter && reef plugin build && reef plugin test\n  reef plugin load counter counter.wasm --grant INCRBY --grant '~counter:*' --limit cpu-ms=20\n  reef plugin replace counter counter-2.wasm\n  reef plugin stats counter"
)]
pub(super) struct PluginArgs {
    /// The server: redis://[user:password@]host[:port][/database] or unix:///path.
    #[arg(long, global = true, value_name = "URL", default_value = "redis://127.0.0.1:6379")]
    url: String,
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    #[command(flatten)]
    Author(AuthorCommand),
    #[command(flatten)]
    Operator(OperatorCommand),
}

/// What needs no server.
#[derive(Debug, Subcommand)]
enum AuthorCommand {
    /// Write a new project.
    New(new::NewArgs),
    /// Build the project's component, as plugin.wasm.
    Build(project::ProjectArgs),
    /// Show what a component imports, is, wants and costs, and whether it would be refused.
    Check(check::CheckArgs),
    /// Build the component, run the project's own tests, then its stories against the real engine.
    Test(test::TestArgs),
}

/// What a server is asked.
#[derive(Debug, Subcommand)]
enum OperatorCommand {
    /// Load a component.
    Load {
        #[command(flatten)]
        component: Component,
        /// Replace the plugin of that name, if there is one.
        #[arg(long)]
        replace: bool,
    },
    /// Put another component in the place of a plugin; its calls in flight are finished.
    Replace {
        #[command(flatten)]
        component: Component,
    },
    /// Unload a plugin.
    Unload {
        /// Its name.
        name: String,
    },
    /// Stop the calls of a plugin that are in flight.
    Kill {
        /// Its name.
        name: String,
    },
    /// Show the loaded plugins.
    List,
    /// Show what a plugin is and on which terms it runs.
    Info {
        /// Its name.
        name: String,
    },
    /// Show calls, failures and latencies, by command for one plugin.
    Stats {
        /// Its name; all plugins without one.
        name: Option<String>,
    },
    /// Show the versions that a plugin can be rolled back to.
    Versions {
        /// Its name.
        name: String,
    },
    /// Put an earlier version in the place of the one that runs, without a failed call.
    Rollback {
        /// Its name.
        name: String,
        /// The version, or its digest; the one before without it.
        to: Option<String>,
    },
    /// Show what a plugin logged.
    Log {
        /// Its name.
        name: String,
        /// How many lines, the newest last.
        #[arg(long)]
        count: Option<u64>,
    },
}

pub(super) fn run(args: PluginArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let PluginArgs { url, json, command } = args;
    match command {
        PluginCommand::Author(AuthorCommand::New(args)) => new::run(&args, json, out),
        PluginCommand::Author(AuthorCommand::Build(args)) => build::run(&args, json, out),
        PluginCommand::Author(AuthorCommand::Check(args)) => check::run(&args, json, out),
        PluginCommand::Author(AuthorCommand::Test(args)) => test::run(&args, json, out),
        PluginCommand::Operator(command) => ask(&url, json, command, out),
    }
}

fn ask(
    url: &str,
    json: bool,
    command: OperatorCommand,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    // What is wrong with the file is said without asking the server.
    let loading = match &command {
        OperatorCommand::Load { component, replace } => Some(component.command("LOAD", *replace)?),
        OperatorCommand::Replace { component } => Some(component.command("REPLACE", false)?),
        _ => None,
    };
    // RESP3 tells maps from lists.
    let mut client = Server::at(url)?.with_resp3().connect()?;
    client.demand("PLUGIN", "PLUGIN command: it is no Reef server")?;
    let client = &mut client;
    match command {
        OperatorCommand::Load { component, .. } => {
            done(client, loading, "loaded", &component.name, json, out)
        }
        OperatorCommand::Replace { component } => {
            done(client, loading, "replaced", &component.name, json, out)
        }
        OperatorCommand::Unload { name } => {
            let mut unload = redis::cmd("PLUGIN");
            unload.arg("UNLOAD").arg(&name);
            done(client, Some(unload), "unloaded", &name, json, out)
        }
        OperatorCommand::Kill { name } => {
            let calls: u64 = client.call(&["PLUGIN", "KILL", &name])?;
            match json {
                true => writeln!(out, "{:#}", json!({ "name": name, "killed_calls": calls }))?,
                false => writeln!(out, "{} stopped", counted(calls, "call"))?,
            }
            Ok(())
        }
        OperatorCommand::List => list::run(client, json, out),
        OperatorCommand::Info { name } => info::run(client, &name, json, out),
        OperatorCommand::Stats { name } => stats::run(client, name.as_deref(), json, out),
        OperatorCommand::Versions { name } => versions::run(client, &name, json, out),
        OperatorCommand::Rollback { name, to } => {
            let mut command = redis::cmd("PLUGIN");
            command.arg("ROLLBACK").arg(&name).arg(to);
            done(client, Some(command), "rolled back", &name, json, out)
        }
        OperatorCommand::Log { name, count } => log::run(client, &name, count, json, out),
    }
}

/// Runs a command that answers OK.
fn done(
    client: &mut Client,
    command: Option<Cmd>,
    verb: &str,
    name: &str,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if let Some(command) = command {
        client.run::<()>(&command)?;
    }
    match json {
        true => writeln!(out, "{:#}", json!({ "name": name, "result": verb }))?,
        false => writeln!(out, "plugin {} {verb}", shown(name))?,
    }
    Ok(())
}
