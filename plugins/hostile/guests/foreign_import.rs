//! A guest that imports what no host grants: a made-up interface to files. It must be refused at
//! load, with the import named.

#![cfg(target_arch = "wasm32")]

use reef_sdk::{Answer, Call, Command, Result};

mod foreign {
    wit_bindgen::generate!({
        inline: "
            package evil:host;
            interface files {
                read: func(path: string) -> list<u8>;
            }
            world thief {
                import files;
            }
        ",
    });
}

const COMMANDS: &[Command] = &[Command::new("THIEF.READ", read).arity(2).readonly()];

fn read(call: &mut Call<'_>) -> Result<Answer> {
    Ok(Answer::bulk(foreign::evil::host::files::read(call.arguments.text()?)))
}

reef_sdk::export_plugin! {
    name: "thief",
    version: "0.1.0",
    summary: "Wants to read files.",
    commands: COMMANDS,
    wants: &[],
}
