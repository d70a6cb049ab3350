//! The log of one plugin: a bounded ring of lines. What does not fit is dropped and counted.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::border::Level;

/// Lines that are kept.
pub(crate) const LINES_MAX: usize = 1_000;
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

/// The last [`LINES_MAX`] lines.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Line>,
    dropped: u64,
}

impl Journal {
    /// Appends a line; the oldest one makes room.
    pub(crate) fn write(&self, at_ms: u64, level: Level, text: &str) {
        let line = Line { at_ms, level, text: one_line(text) };
        let mut ring = self.0.lock();
        if ring.lines.len() == LINES_MAX {
            ring.lines.pop_front();
            ring.dropped += 1;
        }
        ring.lines.push_back(line);
    }

    /// The last `count` lines, oldest first.
    pub(crate) fn tail(&self, count: usize) -> Vec<Line> {
        let ring = self.0.lock();
        ring.lines.iter().skip(ring.lines.len().saturating_sub(count)).cloned().collect()
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

    #[test]
    fn a_full_journal_drops_the_oldest_line_and_counts_it() {
        let journal = Journal::default();
        (0..=LINES_MAX).for_each(|n| journal.write(n as u64, Level::Info, &n.to_string()));
        let lines = journal.tail(LINES_MAX + 5);
        assert_eq!(lines.len(), LINES_MAX);
        assert_eq!(&*lines[0].text, "1");
        assert_eq!(journal.dropped(), 1);
        assert_eq!(&*journal.tail(1)[0].text, "1000");
    }

    #[test]
    fn a_line_is_cut_at_a_character_and_stays_one_line() {
        let journal = Journal::default();
        journal.write(0, Level::Info, &"\u{e9}".repeat(LINE_BYTES_MAX));
        journal.write(0, Level::Info, "x\u{e9}\r\ny\n");
        journal.write(0, Level::Info, &format!("a{}", "\u{e9}".repeat(LINE_BYTES_MAX)));
        let lines = journal.tail(3);
        assert_eq!(lines[0].text.len(), LINE_BYTES_MAX);
        assert_eq!(&*lines[1].text, "x\u{e9}  y");
        assert_eq!(lines[2].text.len(), LINE_BYTES_MAX - 1);
    }
}
