//! A guest that refuses to be loaded.

#![cfg(target_arch = "wasm32")]

use reef_sdk::bindings::exports::reef::plugin::handler;
use reef_sdk::bindings::reef::plugin::types::{CommandError, ItemsResult};

struct Exports;

impl handler::Guest for Exports {
    fn describe() -> Result<handler::Manifest, String> {
        Err("this guest refuses to be loaded\\r\\n+OK".to_owned())
    }

    fn call(_: u32, _: handler::Cause, _: ItemsResult) -> Result<handler::Outcome, CommandError> {
        Err(CommandError { code: "ERR".into(), message: "must never be called".into() })
    }
}

reef_sdk::bindings::export_component!(Exports with_types_in reef_sdk::bindings);
