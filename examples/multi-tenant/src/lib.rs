//! A neighbour nobody wants: a plugin that never ends, takes all memory, and writes as much as it may.

use std::hint::black_box;

use reef_sdk::{Answer, Batch, Call, Command, Result, export_plugin};

const COMMANDS: &[Command] = &[
    Command::new("HOSTILE.SPIN", spin)
        .summary("Never ends of its own accord.")
        .complexity("O(infinity)")
        .since("0.1.0")
        .arity(1),
    Command::new("HOSTILE.EAT", eat)
        .summary("Takes memory until there is none.")
        .complexity("O(infinity)")
        .since("0.1.0")
        .arity(1),
    Command::new("HOSTILE.FLOOD", flood)
        .summary("Writes a thousand values of a kilobyte.")
        .complexity("O(1)")
        .since("0.1.0")
        .arity(1)
        .write(),
];

fn spin(call: &mut Call<'_>) -> Result<Answer> {
    call.arguments.end()?;
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

fn eat(call: &mut Call<'_>) -> Result<Answer> {
    call.arguments.end()?;
    let mut eaten = Vec::new();
    loop {
        eaten.push(black_box(vec![1_u8; 1 << 20]));
    }
}

fn flood(call: &mut Call<'_>) -> Result<Answer> {
    call.arguments.end()?;
    let seed = call.host.random();
    let mut batch = Batch::new();
    let value = [b'x'; 1024];
    for number in 0..1000_u32 {
        batch.command("SET").arg(format!("flood:{seed}:{number}").as_bytes()).arg(&value[..]);
    }
    call.host.apply(&batch)?.applied()?;
    Ok(Answer::integer(1000))
}

export_plugin! {
    name: "hostile",
    version: "0.1.0",
    summary: "Spins, eats and floods.",
    commands: COMMANDS,
    wants: &["SET", "~flood:*"],
}
