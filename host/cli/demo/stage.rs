//! What a demonstration shows: numbered steps, what was asked as redis-cli would show it, and
//! checks with a mark; or all of it as one JSON document.

use std::io::Write;

use redis::{FromRedisValue, Value};
use serde_json::json;

use crate::cli::Failure;
use crate::cli::client::{Client, ClientError};
use crate::cli::style::Style;
use crate::cli::table::{counted, shown};

/// A demonstration under way.
pub(super) struct Stage<'a> {
    out: &'a mut dyn Write,
    json: bool,
    style: Style,
    steps: Vec<Step>,
}

struct Step {
    title: String,
    checks: Vec<(String, bool)>,
}

impl<'a> Stage<'a> {
    /// An empty one.
    pub(super) fn new(json: bool, out: &'a mut dyn Write) -> Self {
        Self { out, json, style: Style::of_stdout(), steps: Vec::new() }
    }

    /// Begins the next step.
    pub(super) fn step(&mut self, title: &str) -> Result<(), Failure> {
        self.steps.push(Step { title: title.to_owned(), checks: Vec::new() });
        let title = format!("{}. {title}", self.steps.len());
        self.line(&format!("\n{}", self.style.title(&title)))
    }

    /// Something worth knowing.
    pub(super) fn say(&mut self, text: &str) -> Result<(), Failure> {
        self.line(&format!("   {text}"))
    }

    /// Runs a command and shows it with its reply.
    pub(super) fn ask<T: FromRedisValue>(
        &mut self,
        client: &mut Client,
        words: &[&str],
    ) -> Result<T, Failure> {
        let reply: Value = client.call(words)?;
        self.exchange(words, &lines(&reply))?;
        redis::from_redis_value(reply).map_err(Into::into)
    }

    /// Runs a command that must be refused and shows it; returns the refusal, if it was one.
    pub(super) fn ask_in_vain(
        &mut self,
        client: &mut Client,
        words: &[&str],
    ) -> Result<Option<ClientError>, Failure> {
        match client.call::<Value>(words) {
            Ok(reply) => {
                self.exchange(words, &lines(&reply))?;
                Ok(None)
            }
            Err(error) if error.code().is_some() => {
                self.exchange(words, &[format!("(error) {error}")])?;
                Ok(Some(error))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn exchange(&mut self, words: &[&str], reply: &[String]) -> Result<(), Failure> {
        let words: Vec<String> = words.iter().map(|word| shortened(word)).collect();
        self.line(&format!("   {}", self.style.dim(&format!("> {}", words.join(" ")))))?;
        reply.iter().try_for_each(|line| self.line(&format!("   {}", self.style.dim(line))))
    }

    /// One check: whether this sentence is true.
    pub(super) fn check(&mut self, held: bool, sentence: &str) -> Result<(), Failure> {
        let mark = self.style.mark(held);
        if let Some(step) = self.steps.last_mut() {
            step.checks.push((sentence.to_owned(), held));
        }
        self.line(&format!(" {mark} {}", shown(sentence)))
    }

    /// Sums up: an error if a check did not hold, or if there was none.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        let checks = self.steps.iter().flat_map(|step| &step.checks);
        let all = checks.clone().count() as u64;
        let failed = checks.filter(|(_, held)| !held).count() as u64;
        if self.json {
            let steps = self.steps.iter().map(|step| {
                let checks = step.checks.iter();
                let checks = checks.map(|(text, held)| json!({ "check": text, "held": held }));
                json!({ "step": step.title, "checks": checks.collect::<Vec<_>>() })
            });
            let steps: Vec<serde_json::Value> = steps.collect();
            let report = json!({ "checks": all, "failed": failed, "steps": steps });
            writeln!(self.out, "{report:#}")?;
        } else if failed == 0 {
            let steps = counted(self.steps.len() as u64, "step");
            self.line(&format!("\n{steps}, {}, all held", counted(all, "check")))?;
        }
        match failed {
            0 if all > 0 => Ok(()),
            _ => Err(Failure::new(format!("{failed} of {all} checks did not hold"))),
        }
    }

    fn line(&mut self, text: &str) -> Result<(), Failure> {
        if !self.json {
            writeln!(self.out, "{text}")?;
            // Each line when it is known: somebody is watching.
            self.out.flush()?;
        }
        Ok(())
    }
}

/// How many lines of a reply are shown.
const LINES_MAX: usize = 12;

/// A reply as redis-cli shows it; of a long one the beginning.
fn lines(reply: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    write_reply(reply, "", &mut lines);
    if lines.len() > LINES_MAX {
        let more = lines.len() - LINES_MAX;
        lines.truncate(LINES_MAX);
        lines.push(format!("... and {more} lines more"));
    }
    lines
}

/// The first line goes behind what was begun, the others are indented as deep.
fn write_reply(reply: &Value, begun: &str, lines: &mut Vec<String>) {
    let text = match reply {
        Value::Nil => "(nil)".to_owned(),
        Value::Int(number) => format!("(integer) {number}"),
        Value::BulkString(bytes) => format!("\"{}\"", shown(&String::from_utf8_lossy(bytes))),
        Value::SimpleString(text) => shown(text),
        Value::Okay => "OK".to_owned(),
        Value::Array(items) if items.is_empty() => "(empty array)".to_owned(),
        Value::Array(items) => {
            let indent = " ".repeat(begun.chars().count());
            for (index, item) in items.iter().enumerate() {
                let before = if index == 0 { begun } else { &indent };
                write_reply(item, &format!("{before}{}) ", index + 1), lines);
            }
            return;
        }
        other => format!("{other:?}"),
    };
    lines.push(format!("{begun}{text}"));
}

/// A word of a command, if need be without its end.
fn shortened(word: &str) -> String {
    const CHARS_MAX: usize = 48;
    match word.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}...", shown(&word[..at])),
        None => shown(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_look_as_in_redis_cli() {
        let text = |text: &str| Value::BulkString(text.into());
        let nested = Value::Array(vec![text("b"), Value::Nil]);
        let reply = Value::Array(vec![text("a\n"), nested, Value::Array(vec![]), Value::Int(3)]);
        let expected =
            ["1) \"a\\n\"", "2) 1) \"b\"", "   2) (nil)", "3) (empty array)", "4) (integer) 3"];
        assert_eq!(lines(&reply), expected);
        let long = Value::Array(vec![Value::Int(0); LINES_MAX + 2]);
        assert_eq!(lines(&long).last().map(String::as_str), Some("... and 2 lines more"));
    }

    #[test]
    fn one_failed_check_fails_the_demonstration_and_none_does_too() {
        let mut out = Vec::new();
        let mut stage = Stage::new(false, &mut out);
        stage.step("a").unwrap();
        stage.check(true, "is").unwrap();
        stage.check(false, "is not").unwrap();
        assert_eq!(stage.end().unwrap_err().to_string(), "1 of 2 checks did not hold");
        assert_eq!(String::from_utf8(out).unwrap(), "\n1. a\n ✓ is\n ✗ is not\n");
        assert!(Stage::new(true, &mut Vec::new()).end().is_err());
    }
}
