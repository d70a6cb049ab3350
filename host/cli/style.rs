//! Colours and marks: only on a terminal, and never when `NO_COLOR` is set.

use std::io::IsTerminal;

/// Whether to colour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    colours: bool,
}

impl Style {
    /// As fits standard output.
    pub(super) fn of_stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colours: std::io::stdout().is_terminal() && !unwanted }
    }

    /// A check mark, or a cross.
    pub(super) fn mark(self, held: bool) -> String {
        if held { self.paint("32", "✓") } else { self.paint("31;1", "✗") }
    }

    /// A title.
    pub(super) fn title(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What stands back.
    pub(super) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
