//! The log of one plugin: bounded rings of lines. What does not fit is dropped and counted.
//!
//! What the host has to say (why calls failed, pauses, versions) is kept apart from what the plugin
//! writes, so that a plugin that floods its log cannot drive it out; readers see one log.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::border::Level;

/// Lines of the plugin that are kept, and of the host.
pub(crate) const LINES_MAX: [usize; 2] = [900, 100];
/// Bytes of the lines of either that are kept.
pub(crate) const TOTAL_BYTES_MAX: usize = 256 << 10;
/// Bytes of a line that are kept.
pub(crate) const LINE_BYTES_MAX: usize = 1 << 10;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Milliseconds since 1970.
    pub(crate) at_ms: u64,
    pub(crate) level: Level,
    /// One line of text without control characters.
    pub(crate) text: Box<str>,
}

impl Level {
    /// The level as the log shows it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Who wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    Plugin,
    Host,
}

/// The last lines of both authors.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Rings>);

#[derive(Debug, Default)]
struct Rings {
    /// By author.
    rings: [Ring; 2],
    /// Lines so far: their order.
    written: u64,
    dropped: u64,
}

/// Lines and their numbers, oldest first.
#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<(u64, Line)>,
    bytes: usize,
}

impl Journal {
    /// Appends a line; the author's oldest ones make room.
    pub(crate) fn write(&self, author: Author, at_ms: u64, level: Level, text: &str) {
        let line = Line { at_ms, level, text: one_line(text) };
        let Rings { rings, written, dropped } = &mut *self.0.lock();
        let ring = &mut rings[author as usize];
        *written += 1;
        ring.bytes += line.text.len();
        ring.lines.push_back((*written, line));
        while ring.lines.len() > LINES_MAX[author as usize] || ring.bytes > TOTAL_BYTES_MAX {
            let Some((_, oldest)) = ring.lines.pop_front() else { break };
            ring.bytes -= oldest.text.len();
            *dropped += 1;
        }
    }

    /// The last `count` lines, oldest first.
    pub(crate) fn tail(&self, count: usize) -> Vec<Line> {
        let rings = self.0.lock();
        let both = rings.rings.iter().flat_map(|ring| ring.lines.iter().rev().take(count));
        let mut lines: Vec<&(u64, Line)> = both.collect();
        lines.sort_unstable_by_key(|(number, _)| *number);
        let last = lines.len().saturating_sub(count);
        lines[last..].iter().map(|(_, line)| line.clone()).collect()
    }

    /// How many lines were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.lock().dropped
    }
}

fn one_line(text: &str) -> Box<str> {
    let mut end = text.len().min(LINE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let kept = text[..end].trim_end_matches(['\r', '\n']);
    if kept.contains(char::is_control) {
        kept.replace(char::is_control, " ").into()
    } else {
        kept.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLUGIN_LINES_MAX: usize = LINES_MAX[Author::Plugin as usize];

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| &*line.text).collect()
    }

    #[test]
    fn a_full_journal_drops_the_oldest_line_and_counts_it() {
        let journal = Journal::default();
        let write = |n: usize| journal.write(Author::Plugin, 0, Level::Info, &n.to_string());
        (0..=PLUGIN_LINES_MAX).for_each(write);
        let lines = journal.tail(usize::MAX);
        assert_eq!(lines.len(), PLUGIN_LINES_MAX);
        assert_eq!(&*lines[0].text, "1");
        assert_eq!(journal.dropped(), 1);
        assert_eq!(texts(&journal.tail(1)), ["900"]);
    }

    #[test]
    fn long_lines_are_bounded_by_their_bytes() {
        let journal = Journal::default();
        let line = "x".repeat(LINE_BYTES_MAX);
        (0..PLUGIN_LINES_MAX).for_each(|_| journal.write(Author::Plugin, 0, Level::Info, &line));
        assert_eq!(journal.tail(usize::MAX).len(), TOTAL_BYTES_MAX / LINE_BYTES_MAX);
    }

    #[test]
    fn a_flood_does_not_drive_out_what_the_host_says() {
        let journal = Journal::default();
        journal.write(Author::Plugin, 0, Level::Info, "first");
        journal.write(Author::Host, 0, Level::Error, "trap");
        journal.write(Author::Plugin, 0, Level::Info, "second");
        assert_eq!(texts(&journal.tail(9)), ["first", "trap", "second"], "in the order of writing");
        assert_eq!(texts(&journal.tail(2)), ["trap", "second"]);
        (0..5_000).for_each(|_| journal.write(Author::Plugin, 0, Level::Error, "flood"));
        assert_eq!(&*journal.tail(usize::MAX)[0].text, "trap");
    }

    #[test]
    fn a_line_is_cut_at_a_character_and_stays_one_line() {
        let journal = Journal::default();
        let write = |text: &str| journal.write(Author::Plugin, 0, Level::Info, text);
        write(&"\u{e9}".repeat(LINE_BYTES_MAX));
        write("x\u{e9}\r\ny\n");
        write(&format!("a{}", "\u{e9}".repeat(LINE_BYTES_MAX)));
        let lines = journal.tail(3);
        assert_eq!(lines[0].text.len(), LINE_BYTES_MAX);
        assert_eq!(&*lines[1].text, "x\u{e9}  y");
        assert_eq!(lines[2].text.len(), LINE_BYTES_MAX - 1);
    }
}
