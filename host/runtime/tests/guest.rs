//! Test guests: core modules written as text at the level of the canonical ABI, where a hostile
//! guest works, wrapped into components.
//!
//! Memory of a guest: a finished `OK` result at [`OK`], the manifest from [`MANIFEST`] on, free
//! scratch space at [`SCRATCH`], the heap of `cabi_realloc` behind it. The heap is emptied after
//! each call.

use std::fmt::Write;
use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Address of a result that says `+OK`.
pub(crate) const OK: u32 = 64;
/// Address of free space of 4 KiB, zero at the start.
pub(crate) const SCRATCH: u32 = 8192;
const MANIFEST: u32 = 1024;
const HEAP: u32 = 12288;

/// A guest to be built.
#[derive(Clone)]
pub(crate) struct Guest {
    name: String,
    version: String,
    commands: Vec<Entry>,
    wants: Vec<String>,
    describe: String,
    /// Functions and globals beside the standard ones.
    extra: String,
    start: String,
    /// WIT of a world that is used instead of `command-plugin`, and of packages it needs.
    world: Option<String>,
    imports: String,
}

#[derive(Clone)]
struct Entry {
    name: String,
    arity: i32,
    /// As in the manifest: 1 writes, 8 may park.
    flags: u8,
    body: String,
}

impl Guest {
    /// A guest without commands.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            version: "1.0.0".into(),
            commands: Vec::new(),
            wants: Vec::new(),
            describe: format!("(i32.const {MANIFEST})"),
            extra: String::new(),
            start: String::new(),
            world: None,
            imports: String::new(),
        }
    }

    /// Adds a command. The body leaves the address of a result; `$lengths`, `$count`, `$data` and
    /// `$bytes` are its arguments.
    pub(crate) fn command(mut self, name: &str, body: impl Into<String>) -> Self {
        self.commands.push(Entry { name: name.into(), arity: -1, flags: 1, body: body.into() });
        self
    }

    /// Adds a command that may park.
    pub(crate) fn blocking(mut self, name: &str, body: impl Into<String>) -> Self {
        self.commands.push(Entry { name: name.into(), arity: -1, flags: 9, body: body.into() });
        self
    }

    /// A guest with one command.
    pub(crate) fn one(command: &str, body: impl Into<String>) -> Self {
        Self::new("test").command(command, body)
    }

    pub(crate) fn version(mut self, version: &str) -> Self {
        self.version = version.into();
        self
    }

    pub(crate) fn wants(mut self, words: &[&str]) -> Self {
        self.wants = words.iter().map(|word| (*word).into()).collect();
        self
    }

    /// Replaces the body of `describe`.
    pub(crate) fn describe(mut self, body: &str) -> Self {
        self.describe = body.into();
        self
    }

    pub(crate) fn extra(mut self, text: &str) -> Self {
        self.extra.push_str(text);
        self
    }

    /// Code that runs when the module is instantiated.
    pub(crate) fn start(mut self, body: &str) -> Self {
        self.start = format!("(func $start {body}) (start $start)");
        self
    }

    /// Another world, `test:guest/guest`, as WIT packages; its imports as core text.
    pub(crate) fn world(mut self, wit: &str, imports: &str) -> Self {
        self.world = Some(wit.into());
        self.imports = imports.into();
        self
    }

    /// The core module as text.
    fn text(&self) -> String {
        let mut bodies = String::new();
        for (index, entry) in self.commands.iter().enumerate() {
            let body = &entry.body;
            write!(bodies, "(if (i32.eq (local.get $command) (i32.const {index}))").unwrap();
            write!(bodies, " (then (return {body})))").unwrap();
        }
        let image = escaped(&self.manifest());
        let Self { extra, start, describe, imports, .. } = self;
        format!(
            r#"(module
  (import "reef:plugin/engine@0.1.0" "apply" (func $apply (param i32 i32)))
  (import "reef:plugin/engine@0.1.0" "read" (func $read
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "reef:plugin/context@0.1.0" "log" (func $log (param i32 i32 i32)))
  (import "reef:plugin/context@0.1.0" "now" (func $now (result i64)))
  (import "reef:plugin/context@0.1.0" "random" (func $random (result i64)))
  (import "reef:plugin/context@0.1.0" "config" (func $config (param i32 i32 i32)))
  (import "reef:plugin/context@0.1.0" "caller" (func $caller (param i32)))
  (import "reef:plugin/context@0.1.0" "remaining" (func $remaining (param i32)))
  (import "reef:plugin/context@0.1.0" "counter-add" (func $counter_add (param i32 i32 i64)))
  {imports}
  (memory (export "memory") 1)
  (global $heap (mut i32) (i32.const {HEAP}))
  (data (i32.const {OK}) "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\80\00\00\00\01")
  (data (i32.const 128) "\01")
  (data (i32.const {MANIFEST}) "{image}")
  {extra}
  {start}
  (func (export "cabi_realloc") (param $old i32) (param $size i32) (param $align i32)
    (param $new i32) (result i32)
    (local $at i32) (local $end i32)
    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (local.set $end (i32.add (local.get $at) (local.get $new)))
    (if (i32.gt_u (local.get $end) (i32.mul (memory.size) (i32.const 65536)))
      (then
        (if (i32.eq (i32.const -1) (memory.grow (i32.add (i32.const 1)
              (i32.div_u (local.get $new) (i32.const 65536)))))
          (then unreachable))))
    (global.set $heap (local.get $end))
    (memory.copy (local.get $at) (local.get $old) (local.get $size))
    (local.get $at))
  (func (export "reef:plugin/handler@0.1.0#describe") (result i32) {describe})
  (func (export "reef:plugin/handler@0.1.0#call") (param $command i32) (param $cause i32)
    (param $key i32) (param $key_len i32) (param $lengths i32) (param $count i32)
    (param $data i32) (param $bytes i32) (result i32)
    (local $i i32) (local $j i64)
    {bodies}
    unreachable)
  (func (export "cabi_post_reef:plugin/handler@0.1.0#call") (param i32)
    (global.set $heap (i32.const {HEAP})))
)"#
        )
    }

    /// The result of `describe` as it lies in memory from [`MANIFEST`] on.
    fn manifest(&self) -> Vec<u8> {
        let mut image = Image { bytes: vec![0; 44], base: MANIFEST };
        image.text(4, &self.name);
        image.text(12, &self.version);
        image.text(20, "A guest under test.");
        let commands = image.block(60 * self.commands.len());
        image.word(28, commands + MANIFEST);
        image.word(32, self.commands.len() as u32);
        for (index, entry) in self.commands.iter().enumerate() {
            let at = commands as usize + 60 * index;
            image.text(at, &entry.name);
            for (offset, text) in [(8, "[arg ...]"), (16, "Tests."), (24, "O(1)"), (32, "1.0.0")] {
                image.text(at + offset, text);
            }
            image.word(at + 40, entry.arity as u32);
            image.bytes[at + 44] = entry.flags;
        }
        let wants = image.block(8 * self.wants.len());
        image.word(36, wants + MANIFEST);
        image.word(40, self.wants.len() as u32);
        for (index, word) in self.wants.iter().enumerate() {
            image.text(wants as usize + 8 * index, word);
        }
        assert!(image.bytes.len() < (SCRATCH - MANIFEST) as usize, "the manifest is too long");
        image.bytes
    }

    /// The component.
    pub(crate) fn build(&self) -> Vec<u8> {
        let mut module = wat::parse_str(self.text()).expect("the guest's text is valid");
        let mut resolve = Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let (mut package, _) = resolve.push_dir(wit).expect("wit/ is valid");
        let mut world = "command-plugin";
        if let Some(text) = &self.world {
            package = resolve.push_str("guest.wit", text).expect("the world is valid");
            world = "guest";
        }
        let world = resolve.select_world(&[package], Some(world)).expect("the world is there");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        let mut encoder = ComponentEncoder::default();
        let encoder = encoder.module(&module).expect("a module for the world");
        encoder.encode().expect("a component")
    }

    /// The core module, not wrapped.
    pub(crate) fn core(&self) -> Vec<u8> {
        wat::parse_str(self.text()).expect("the guest's text is valid")
    }
}

/// Bytes that will lie at an address, with pointers into themselves.
struct Image {
    bytes: Vec<u8>,
    base: u32,
}

impl Image {
    fn word(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn text(&mut self, at: usize, text: &str) {
        let address = self.base + self.bytes.len() as u32;
        self.bytes.extend_from_slice(text.as_bytes());
        self.word(at, address);
        self.word(at + 4, text.len() as u32);
    }

    /// A block of zeros, aligned; its offset.
    fn block(&mut self, len: usize) -> u32 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = self.bytes.len();
        self.bytes.resize(at + len, 0);
        at as u32
    }
}

/// Bytes as a string of the text format.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "\\{byte:02x}").unwrap();
        text
    })
}

/// Body of a command that replies with these nodes and this text. A node is a tag and a payload.
/// Uses [`SCRATCH`].
pub(crate) fn reply(nodes: &[(u8, u64)], data: &str) -> String {
    let mut body = String::new();
    let (at, nodes_at, data_at) = (SCRATCH, SCRATCH + 64, SCRATCH + 1024);
    for (index, (tag, payload)) in nodes.iter().enumerate() {
        let address = nodes_at + 16 * index as u32;
        write!(body, "(i32.store8 (i32.const {address}) (i32.const {tag}))").unwrap();
        let payload = *payload as i64;
        write!(body, "(i64.store (i32.const {}) (i64.const {payload}))", address + 8).unwrap();
    }
    for (offset, byte) in (data_at..).zip(data.bytes()) {
        write!(body, "(i32.store8 (i32.const {offset}) (i32.const {byte}))").unwrap();
    }
    for (offset, value) in [
        (0, 0),
        (8, 0),
        (16, nodes_at),
        (20, nodes.len() as u32),
        (24, data_at),
        (28, data.len() as u32),
    ] {
        write!(body, "(i32.store (i32.const {}) (i32.const {value}))", at + offset).unwrap();
    }
    format!("(block (result i32) {body} (i32.const {at}))")
}

/// Tags of nodes.
pub(crate) mod tag {
    pub(crate) const NIL: u8 = 0;
    pub(crate) const INTEGER: u8 = 2;
    pub(crate) const STATUS: u8 = 5;
    pub(crate) const BULK: u8 = 6;
    pub(crate) const ERROR: u8 = 7;
    pub(crate) const ARRAY: u8 = 8;
}

/// Body of a command that runs these commands as one batch and says `OK`, or the failure as an
/// error whose code is `E` and whose message is the case of the error as a letter from `a` on.
/// `versions` are guards: a key, and the version it must have.
pub(crate) fn batch(commands: &[&[&str]], versions: &[(&str, u64)]) -> String {
    let counts: Vec<u32> = commands.iter().map(|command| command.len() as u32).collect();
    let arguments = || commands.iter().flat_map(|command| command.iter());
    let lengths: Vec<u32> = arguments().map(|argument| argument.len() as u32).collect();
    let data: String = arguments().copied().collect();
    columns(&counts, &lengths, data.as_bytes(), versions)
}

/// The same with columns that need not add up.
pub(crate) fn columns(
    counts: &[u32],
    lengths: &[u32],
    data: &[u8],
    versions: &[(&str, u64)],
) -> String {
    let words = |values: &[u32]| -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    };
    let guards: Vec<u32> = versions.iter().map(|(key, _)| key.len() as u32).collect();
    let keys: Vec<u8> = versions.iter().flat_map(|(key, _)| key.bytes()).collect();
    let numbers: Vec<u8> = versions.iter().flat_map(|(_, version)| version.to_le_bytes()).collect();
    let lists: [(Vec<u8>, usize); 8] = [
        (words(&guards), guards.len()),
        (keys.clone(), keys.len()),
        (numbers, versions.len()),
        (Vec::new(), 0),
        (Vec::new(), 0),
        (words(counts), counts.len()),
        (words(lengths), lengths.len()),
        (data.to_vec(), data.len()),
    ];
    let mut body = String::new();
    let mut at = SCRATCH + 256;
    for (index, (bytes, len)) in lists.iter().enumerate() {
        let slot = SCRATCH + 8 * index as u32;
        write!(body, "(i32.store (i32.const {slot}) (i32.const {at}))").unwrap();
        write!(body, "(i32.store (i32.const {}) (i32.const {len}))", slot + 4).unwrap();
        for (offset, byte) in (at..).zip(bytes) {
            write!(body, "(i32.store8 (i32.const {offset}) (i32.const {byte}))").unwrap();
        }
        at = (at + bytes.len() as u32).next_multiple_of(8);
    }
    assert!(at < HEAP, "the batch is too long");
    let (result, failed) = (SCRATCH + 128, SCRATCH + 192);
    // The outcome `stale` is said as the letter `s`.
    format!(
        "(block (result i32) {body}
          (call $apply (i32.const {SCRATCH}) (i32.const {result}))
          (if (result i32) (i32.eqz (i32.or (i32.load8_u (i32.const {result}))
                                            (i32.load8_u (i32.const {}))))
            (then (i32.const {OK}))
            (else
              (i32.store8 (i32.const {failed}) (i32.const 1))
              (i32.store (i32.const {}) (i32.const {}))
              (i32.store (i32.const {}) (i32.const 1))
              (i32.store (i32.const {}) (i32.const {}))
              (i32.store (i32.const {}) (i32.const 1))
              (i32.store8 (i32.const {}) (i32.const 69))
              (i32.store8 (i32.const {}) (select
                (i32.add (i32.const 97) (i32.load8_u (i32.const {})))
                (i32.const 115)
                (i32.load8_u (i32.const {result}))))
              (i32.const {failed}))))",
        result + 4,
        failed + 8,
        failed + 32,
        failed + 12,
        failed + 16,
        failed + 33,
        failed + 20,
        failed + 32,
        failed + 33,
        result + 4,
    )
}
