//! A guest whose manifest is not acceptable. The configuration value `lie` chooses how; without it
//! two commands have one name.

#![cfg(target_arch = "wasm32")]

use reef_sdk::bindings::exports::reef::plugin::handler::{self, Command, CommandFlags, Manifest};
use reef_sdk::bindings::reef::plugin::context;
use reef_sdk::bindings::reef::plugin::types::{CommandError, ItemsResult};

struct Exports;

impl handler::Guest for Exports {
    fn describe() -> Result<Manifest, String> {
        let lie = context::config("lie").unwrap_or_default();
        let honest = command("LIE.ONE");
        let commands = match lie.as_str() {
            "none" => vec![honest],
            "no-commands" => vec![],
            "shadow" => vec![command("GET")],
            "empty-name" => vec![command("")],
            "lower-case" => vec![command("lie.one")],
            "line-break" => vec![command("LIE\r\nONE")],
            "long-name" => vec![command(&"L".repeat(1 << 16))],
            "long-summary" => vec![Command { summary: "s".repeat(1 << 22), ..honest }],
            "arity" => vec![Command { arity: 0, ..honest }],
            "keys" => vec![Command { first_key: 5, last_key: 2, key_step: 1, ..honest }],
            "key-step" => vec![Command { first_key: 1, last_key: 1, key_step: 0, ..honest }],
            "flags" => {
                vec![Command { flags: CommandFlags::WRITE | CommandFlags::READONLY, ..honest }]
            }
            "many" => (0..100_000).map(|number| command(&format!("LIE.N{number}"))).collect(),
            _ => vec![command("LIE.ONE"), honest],
        };
        Ok(Manifest {
            name: if lie == "name" { "no\r\nname".into() } else { "describe-lies".into() },
            version: "0.1.0".into(),
            summary: "Not to be trusted.".into(),
            commands,
            wants: vec![],
        })
    }

    fn call(_: u32, _: handler::Cause, _: ItemsResult) -> Result<handler::Outcome, CommandError> {
        Err(CommandError { code: "ERR".into(), message: "must never be called".into() })
    }
}

fn command(name: &str) -> Command {
    Command {
        name: name.to_owned(),
        usage: String::new(),
        summary: "Lies.".to_owned(),
        complexity: "O(1)".to_owned(),
        since: "0.1.0".to_owned(),
        arity: 1,
        flags: CommandFlags::READONLY,
        first_key: 0,
        last_key: 0,
        key_step: 0,
    }
}

reef_sdk::bindings::export_component!(Exports with_types_in reef_sdk::bindings);
