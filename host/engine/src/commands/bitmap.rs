//! Strings as bits: single ones, counts, searches, operations on several strings, integer fields.

use alloc::vec::Vec;
use core::ops::Range;

use reef_resp::Writer;

use crate::args::Args;
use crate::command::{Command, Group, command};
use crate::error::Error;
use crate::keyspace::TextEdit;
use crate::keyspec::KeySpec;
use crate::step::Cx;
use crate::types::bitmap::{self, Field, Operation, Overflow};
use crate::types::number;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[
    command("SETBIT", setbit, 4)
        .group(Group::Bitmap)
        .write_denyoom()
        .key()
        .usage("key offset value")
        .since("2.2.0", "O(1)")
        .summary("Sets or clears the bit at offset of the string value. Creates the key if it doesn't exist."),
    command("GETBIT", getbit, 3)
        .group(Group::Bitmap)
        .readonly()
        .fast()
        .key()
        .usage("key offset")
        .since("2.2.0", "O(1)")
        .summary("Returns a bit value by offset."),
    command("BITCOUNT", bitcount, -2)
        .group(Group::Bitmap)
        .readonly()
        .key()
        .usage("key [start end [BYTE|BIT]]")
        .since("2.6.0", "O(N)")
        .summary("Counts the number of set bits (population counting) in a string."),
    command("BITPOS", bitpos, -3)
        .group(Group::Bitmap)
        .readonly()
        .key()
        .usage("key bit [start [end [BYTE|BIT]]]")
        .since("2.8.7", "O(N)")
        .summary("Finds the first set (1) or clear (0) bit in a string."),
    command("BITOP", bitop, -4)
        .group(Group::Bitmap)
        .write_denyoom()
        .keys(KeySpec::range(2, -1, 1))
        .usage("<AND|OR|XOR|NOT> destkey key [key ...]")
        .since("2.6.0", "O(N)")
        .summary("Performs bitwise operations on multiple strings, and stores the result."),
    command("BITFIELD", bitfield, -2)
        .group(Group::Bitmap)
        .write_denyoom()
        .key()
        .usage("key [<GET encoding offset|[OVERFLOW <WRAP|SAT|FAIL>] <SET encoding offset value|INCRBY encoding offset increment>> [<GET encoding offset|[OVERFLOW <WRAP|SAT|FAIL>] <SET encoding offset value|INCRBY encoding offset increment>> ...]]")
        .since("3.2.0", "O(1) for each subcommand specified")
        .summary("Performs arbitrary bitfield integer operations on strings."),
    command("BITFIELD_RO", bitfield_ro, -2)
        .group(Group::Bitmap)
        .readonly()
        .fast()
        .key()
        .usage("key [GET encoding offset [GET encoding offset ...]]")
        .since("6.0.0", "O(1) for each subcommand specified")
        .summary("Performs arbitrary read-only bitfield integer operations on strings."),
];

/// The offset of a bit. Behind a `#` it counts fields of this width, if there is one.
fn bit_offset(cx: &Cx<'_>, text: &[u8], field: Option<Field>) -> Result<u64, Error> {
    let (digits, width) = match (text, field) {
        ([b'#', digits @ ..], Some(field)) => (digits, i64::from(field.bits)),
        _ => (text, 1),
    };
    let offset = number::parse_i64(digits).and_then(|offset| offset.checked_mul(width));
    let offset = offset.and_then(|offset| u64::try_from(offset).ok());
    let fits = |offset: &u64| offset / 8 < cx.keys.rules.settings.string_bytes_max as u64;
    offset.filter(fits).ok_or(Error::BIT_OFFSET)
}

fn setbit(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let offset = bit_offset(cx, args.bytes()?, None)?;
    let on = args.integer_within(0..=1, Error::BIT_VALUE)? == 1;
    let byte = (offset / 8) as usize;
    cx.check_quota_of_string(byte)?;
    let before = cx.keys.edit_text(key, "setbit", |text| {
        text.grow(byte + 1);
        let before = bitmap::bit(text, offset);
        let old = text.get(byte).copied().unwrap_or(0);
        text.overwrite(byte, &[bitmap::with_bit(old, offset, on)]);
        Ok(before)
    })?;
    cx.reply.integer(i64::from(before));
    Ok(())
}

fn getbit(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let offset = bit_offset(cx, args.bytes()?, None)?;
    let on = cx.keys.text(key)?.is_some_and(|text| bitmap::bit(text, offset));
    cx.reply.integer(i64::from(on));
    Ok(())
}

/// In what the ends of a range are given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Byte,
    Bit,
}

impl Unit {
    fn take(args: &mut Args<'_>) -> Result<Self, Error> {
        match args.one_of(&["BYTE", "BIT"]) {
            Some(0) => Ok(Self::Byte),
            Some(_) => Ok(Self::Bit),
            None => Err(Error::Syntax),
        }
    }

    /// The bits from `start` to `end`, both included, negative ones counted from the end.
    fn range(self, text: &[u8], start: i64, end: i64) -> Range<u64> {
        let width = if self == Self::Bit { 1 } else { 8 };
        let len = (text.len() as i64 * 8) / width;
        let from_end = |index: i64| if index < 0 { (len + index).max(0) } else { index };
        let (start, end) = (from_end(start), from_end(end).min(len - 1));
        if start > end { 0..0 } else { (start * width) as u64..((end + 1) * width) as u64 }
    }
}

fn bitcount(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let Some(text) = cx.keys.text(args.bytes()?)? else {
        args.skip_rest();
        cx.reply.integer(0);
        return Ok(());
    };
    let range = match args.left() {
        0 => 0..text.len() as u64 * 8,
        2 | 3 => {
            let (start, end) = (args.integer()?, args.integer()?);
            if start < 0 && end < 0 && start > end {
                // Nobody looks at the unit then, or at how long the string is.
                args.skip_rest();
                0..0
            } else {
                let unit = if args.is_done() { Unit::Byte } else { Unit::take(args)? };
                unit.range(text, start, end)
            }
        }
        _ => return Err(Error::Syntax),
    };
    cx.reply.integer(bitmap::count(text, range) as i64);
    Ok(())
}

fn bitpos(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let (key, bit) = (args.bytes()?, args.integer()?);
    if bit != 0 && bit != 1 {
        return Err(Error::BIT_ARGUMENT);
    }
    let on = bit == 1;
    let Some(text) = cx.keys.text(key)? else {
        // A missing key is zeros without end.
        args.skip_rest();
        cx.reply.integer(if on { -1 } else { 0 });
        return Ok(());
    };
    if args.left() > 3 {
        return Err(Error::Syntax);
    }
    let start = if args.is_done() { 0 } else { args.integer()? };
    let mut ends = *args;
    let end = ends.maybe();
    let unit = if ends.is_done() { Unit::Byte } else { Unit::take(&mut ends)? };
    let range = match end {
        Some(_) => unit.range(text, start, args.integer()?),
        None => unit.range(text, start, -1),
    };
    args.skip_rest();
    let position = match bitmap::find(text, on, range.clone()) {
        Some(position) => position as i64,
        // Without an end, the zeros behind the string count.
        None if !on && end.is_none() && !range.is_empty() => range.end as i64,
        None => -1,
    };
    cx.reply.integer(position);
    Ok(())
}

fn bitop(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let operation = match args.one_of(&["AND", "OR", "XOR", "NOT"]).ok_or(Error::Syntax)? {
        0 => Operation::And,
        1 => Operation::Or,
        2 => Operation::Xor,
        _ => Operation::Not,
    };
    let destination = args.bytes()?;
    if operation == Operation::Not && args.left() != 1 {
        return Err(Error::BITOP_NOT);
    }
    let mut ahead = *args;
    for key in ahead.rest() {
        cx.keys.text(key)?;
    }
    let text = |key| cx.keys.peek(key).and_then(|slot| slot.as_text()).unwrap_or_default();
    let result = bitmap::combine(operation, &args.rest().map(text).collect::<Vec<_>>());
    cx.reply.integer(result.len() as i64);
    if result.is_empty() {
        cx.keys.remove(destination);
    } else {
        cx.keys.set_buffer(destination, result, "set");
    }
    Ok(())
}

/// One step of BITFIELD.
struct FieldStep {
    action: Action,
    field: Field,
    offset: u64,
}

enum Action {
    Get,
    Set(i64, Overflow),
    Increment(i64, Overflow),
}

fn take_steps(cx: &Cx<'_>, args: &mut Args<'_>) -> Result<Vec<FieldStep>, Error> {
    let (mut steps, mut overflow) = (Vec::new(), Overflow::Wrap);
    while !args.is_done() {
        let word = args.one_of(&["GET", "SET", "INCRBY", "OVERFLOW"]).ok_or(Error::Syntax)?;
        if args.left() < [2, 3, 3, 1][word] {
            return Err(Error::Syntax);
        }
        if word == 3 {
            let kind = args.one_of(&["WRAP", "SAT", "FAIL"]).ok_or(Error::OVERFLOW_TYPE)?;
            overflow = [Overflow::Wrap, Overflow::Saturate, Overflow::Fail][kind];
            continue;
        }
        let field = Field::parse(args.bytes()?).ok_or(Error::FIELD_TYPE)?;
        let offset = bit_offset(cx, args.bytes()?, Some(field))?;
        let action = match word {
            0 => Action::Get,
            1 => Action::Set(args.integer()?, overflow),
            _ => Action::Increment(args.integer()?, overflow),
        };
        steps.push(FieldStep { action, field, offset });
    }
    Ok(steps)
}

impl FieldStep {
    fn writes(&self) -> bool {
        !matches!(self.action, Action::Get)
    }

    /// What the step answers, and what it writes. Nothing at all if the value does not fit and that
    /// is to fail.
    fn run(&self, text: &[u8]) -> Option<(i64, Option<i64>)> {
        let old = self.field.get(text, self.offset);
        let (value, increment, overflow) = match self.action {
            Action::Get => return Some((old, None)),
            Action::Set(value, overflow) => (value, 0, overflow),
            Action::Increment(increment, overflow) => (old, increment, overflow),
        };
        let (new, overflows) = self.field.add(value, increment, overflow);
        let fails = overflows && overflow == Overflow::Fail;
        let answer = if matches!(self.action, Action::Set(..)) { old } else { new };
        (!fails).then_some((answer, Some(new)))
    }

    fn apply(&self, text: &mut TextEdit<'_>, reply: &mut Writer) {
        let Some((answer, written)) = self.run(text) else { return reply.nil() };
        if let Some(value) = written {
            let bytes = self.field.put(text, self.offset, value);
            text.overwrite(self.field.bytes(self.offset).start, &bytes);
        }
        reply.integer(answer);
    }
}

fn bitfield(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let steps = take_steps(cx, args)?;
    let written = steps.iter().filter(|step| step.writes());
    let Some(len) = written.map(|step| step.field.bytes(step.offset).end).max() else {
        return say_fields(cx, key, &steps);
    };
    cx.check_quota_of_string(len)?;
    cx.reply.array(steps.len());
    let reply = &mut *cx.reply;
    cx.keys.edit_text(key, "setbit", |text| {
        text.grow(len);
        steps.iter().for_each(|step| step.apply(text, reply));
        Ok(())
    })
}

fn bitfield_ro(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let key = args.bytes()?;
    let steps = take_steps(cx, args)?;
    if steps.iter().any(FieldStep::writes) {
        return Err(Error::BITFIELD_RO);
    }
    say_fields(cx, key, &steps)
}

fn say_fields(cx: &mut Cx<'_>, key: &[u8], steps: &[FieldStep]) -> Result<(), Error> {
    let text = cx.keys.text(key)?.unwrap_or_default();
    cx.reply.array(steps.len());
    steps.iter().for_each(|step| cx.reply.integer(step.field.get(text, step.offset)));
    Ok(())
}
