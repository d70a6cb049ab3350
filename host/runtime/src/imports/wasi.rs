//! WASI 0.2 over an empty context: what the standard libraries of Rust, JavaScript and Python
//! import without needing it.
//!
//! There are no files, sockets, arguments, environment or input; clocks and random numbers work;
//! what is printed goes to the plugin's log. Any other function traps when it is called, with its
//! name. Functions are linked by name and dynamic types, so that every 0.2.x version fits.
//!
//! It deliberately does not wait: a plugin that wants to sleep is told so by a trap.

use std::time::Duration;

use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Linker, Resource, ResourceType, Val};
use wasmtime::{Engine, StoreContextMut, bail};

use crate::border::Level;
use crate::desk;
use crate::journal::{Author, LINE_BYTES_MAX};
use crate::state::State;

/// Every WASI resource: a number that says which stream it is.
struct Handle;

const STDIN: u32 = 0;
const STDOUT: u32 = 1;
const STDERR: u32 = 2;
const POLLABLE: u32 = 3;

/// Most random bytes given at once.
const RANDOM_BYTES_MAX: u64 = 64 << 10;
/// Bytes that a stream takes at once.
const WRITE_BYTES_MAX: u64 = 4 << 10;

type Cx<'a, 'b, T> = &'a mut StoreContextMut<'b, T>;

/// What of its host an instance's WASI functions reach.
pub(crate) trait Surroundings: 'static {
    /// One call of a host function; an error stops the guest.
    fn count(&mut self) -> wasmtime::Result<()>;
    /// Milliseconds since 1970.
    fn now_ms(&mut self) -> u64;
    /// 64 random bits.
    fn random(&mut self) -> wasmtime::Result<u64>;
    /// Takes a line that was printed.
    fn print(&mut self, level: Level, line: &str);
}

impl Surroundings for State {
    fn count(&mut self) -> wasmtime::Result<()> {
        self.meter.alive()?;
        Ok(self.meter.count()?)
    }

    fn now_ms(&mut self) -> u64 {
        Self::now_ms(self)
    }

    fn random(&mut self) -> wasmtime::Result<u64> {
        Self::random(self)
    }

    fn print(&mut self, level: Level, line: &str) {
        let at_ms = Self::now_ms(self);
        self.terms.plugin.journal.write(Author::Plugin, at_ms, level, line);
    }
}

/// Whether an import belongs to WASI.
pub(crate) fn is_wasi(interface: &str) -> bool {
    interface.starts_with("wasi:")
}

/// Adds one imported interface to a linker: every function and resource that the component names.
pub(crate) fn link<T: Surroundings>(
    linker: &mut Linker<T>,
    engine: &Engine,
    interface: &str,
    ty: &ComponentInstance,
) -> wasmtime::Result<()> {
    let mut instance = linker.instance(interface)?;
    let short = interface.split('@').next().unwrap_or(interface);
    for (name, item) in ty.exports(engine) {
        match item.ty {
            ComponentItem::Resource(_) => {
                instance.resource(name, ResourceType::host::<Handle>(), |_, _| Ok(()))?;
            }
            ComponentItem::ComponentFunc(_) => {
                let full = format!("{short}#{name}");
                instance.func_new(name, move |mut cx, _, parameters, results| {
                    run(&full, &mut cx, parameters, results)
                })?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn run<T: Surroundings>(
    name: &str,
    cx: Cx<'_, '_, T>,
    parameters: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    cx.data_mut().count()?;
    let handles = handles(cx, parameters)?;
    let result = call(name, cx, parameters, &handles)?;
    match (results, result) {
        ([], _) => Ok(()),
        ([slot], Some(value)) => {
            *slot = value;
            Ok(())
        }
        _ => bail!("{name} has an unexpected type"),
    }
}

/// Runs one function. Names that are missing here trap.
fn call<T: Surroundings>(
    name: &str,
    cx: Cx<'_, '_, T>,
    parameters: &[Val],
    handles: &[u32],
) -> wasmtime::Result<Option<Val>> {
    let (interface, function) = name.split_once('#').unwrap_or((name, ""));
    match interface {
        "wasi:cli/exit" => bail!("the guest called exit"),
        "wasi:cli/environment" => Ok(Some(match function {
            "initial-cwd" => Val::Option(None),
            _ => Val::List(Vec::new()),
        })),
        "wasi:cli/stdin" => handle(cx, STDIN),
        "wasi:cli/stdout" => handle(cx, STDOUT),
        "wasi:cli/stderr" => handle(cx, STDERR),
        "wasi:cli/terminal-stdin" | "wasi:cli/terminal-stdout" | "wasi:cli/terminal-stderr" => {
            Ok(Some(Val::Option(None)))
        }
        "wasi:filesystem/preopens" => Ok(Some(Val::List(Vec::new()))),
        "wasi:clocks/wall-clock" => Ok(Some(wall_clock(function, cx))),
        "wasi:clocks/monotonic-clock" => monotonic_clock(name, function),
        "wasi:random/random" | "wasi:random/insecure" | "wasi:random/insecure-seed" => {
            random(name, function, cx, parameters)
        }
        "wasi:io/streams" => stream(name, function, cx, parameters, handles),
        "wasi:io/poll" => poll(name, function, parameters),
        _ => unavailable(name),
    }
}

fn unavailable(name: &str) -> wasmtime::Result<Option<Val>> {
    bail!("a plugin has no {name}")
}

fn handle<T: Surroundings>(cx: Cx<'_, '_, T>, number: u32) -> wasmtime::Result<Option<Val>> {
    let resource = Resource::<Handle>::new_own(number);
    Ok(Some(Val::Resource(resource.try_into_resource_any(cx)?)))
}

/// The same instant as `context.now`.
fn wall_clock<T: Surroundings>(function: &str, cx: Cx<'_, '_, T>) -> Val {
    let time_ms = if function == "resolution" { 1 } else { cx.data_mut().now_ms() };
    let time = Duration::from_millis(time_ms);
    Val::Record(vec![
        ("seconds".into(), Val::U64(time.as_secs())),
        ("nanoseconds".into(), Val::U32(time.subsec_nanos())),
    ])
}

fn monotonic_clock(name: &str, function: &str) -> wasmtime::Result<Option<Val>> {
    match function {
        // Time of this call: nothing about the machine shows.
        "now" => Ok(Some(Val::U64(desk::spent().as_nanos() as u64))),
        "resolution" => Ok(Some(Val::U64(1_000))),
        _ => unavailable(name),
    }
}

fn random<T: Surroundings>(
    name: &str,
    function: &str,
    cx: Cx<'_, '_, T>,
    parameters: &[Val],
) -> wasmtime::Result<Option<Val>> {
    let state = cx.data_mut();
    match (function, parameters) {
        ("get-random-u64" | "get-insecure-random-u64", _) => Ok(Some(Val::U64(state.random()?))),
        ("insecure-seed" | "get-insecure-seed", _) => {
            Ok(Some(Val::Tuple(vec![Val::U64(state.random()?), Val::U64(state.random()?)])))
        }
        ("get-random-bytes" | "get-insecure-random-bytes", [Val::U64(len)]) => {
            if *len > RANDOM_BYTES_MAX {
                bail!("{name} gives up to {RANDOM_BYTES_MAX} bytes");
            }
            let mut bytes = Vec::with_capacity(*len as usize + 8);
            while (bytes.len() as u64) < *len {
                bytes.extend(state.random()?.to_le_bytes().map(Val::U8));
            }
            bytes.truncate(*len as usize);
            Ok(Some(Val::List(bytes)))
        }
        _ => unavailable(name),
    }
}

/// Streams: input is at its end, output goes to the log.
fn stream<T: Surroundings>(
    name: &str,
    function: &str,
    cx: Cx<'_, '_, T>,
    parameters: &[Val],
    handles: &[u32],
) -> wasmtime::Result<Option<Val>> {
    let done = Ok(Some(Val::Result(Ok(None))));
    match function {
        "[method]output-stream.check-write" => {
            Ok(Some(Val::Result(Ok(Some(Box::new(Val::U64(WRITE_BYTES_MAX)))))))
        }
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
            if let ([_, Val::List(bytes)], [stream]) = (parameters, handles) {
                print(cx, *stream, bytes);
            }
            done
        }
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => done,
        "[method]output-stream.subscribe" | "[method]input-stream.subscribe" => {
            handle(cx, POLLABLE)
        }
        "[method]input-stream.read"
        | "[method]input-stream.blocking-read"
        | "[method]input-stream.skip"
        | "[method]input-stream.blocking-skip" => {
            let closed = Val::Variant("closed".into(), None);
            Ok(Some(Val::Result(Err(Some(Box::new(closed))))))
        }
        _ => unavailable(name),
    }
}

/// Only streams can be waited for here, and they are always ready.
fn poll(name: &str, function: &str, parameters: &[Val]) -> wasmtime::Result<Option<Val>> {
    match (function, parameters) {
        ("[method]pollable.ready", _) => Ok(Some(Val::Bool(true))),
        ("[method]pollable.block", _) => Ok(None),
        ("poll", [Val::List(pollables)]) => {
            Ok(Some(Val::List((0..pollables.len() as u32).map(Val::U32).collect())))
        }
        _ => unavailable(name),
    }
}

fn print<T: Surroundings>(cx: Cx<'_, '_, T>, stream: u32, bytes: &[Val]) {
    let level = if stream == STDERR { Level::Warning } else { Level::Info };
    let kept = bytes.iter().take(LINE_BYTES_MAX).filter_map(|byte| match byte {
        Val::U8(byte) => Some(*byte),
        _ => None,
    });
    let text: Vec<u8> = kept.collect();
    for line in String::from_utf8_lossy(&text).lines().filter(|line| !line.is_empty()) {
        cx.data_mut().print(level, line);
    }
}

/// The numbers of the handles among parameters. Taking a number gives the guest's handle back, as
/// a dynamic host function must for those that it only borrowed.
fn handles<T: Surroundings>(cx: Cx<'_, '_, T>, parameters: &[Val]) -> wasmtime::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for parameter in parameters {
        match parameter {
            Val::Resource(handle) => {
                numbers.push(Resource::<Handle>::try_from_resource_any(*handle, &mut *cx)?.rep());
            }
            Val::List(values) if matches!(values.first(), Some(Val::Resource(_))) => {
                numbers.extend(handles(cx, values)?);
            }
            _ => {}
        }
    }
    Ok(numbers)
}
