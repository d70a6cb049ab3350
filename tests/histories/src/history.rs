//! Operations as clients saw them.

use std::fmt;

use crate::model::{Action, Answer, Step};

/// Something that somebody asked for.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Who.
    pub client: usize,
    /// What.
    pub action: Action,
    /// When it was sent: it happens no earlier. Nanoseconds since the history began.
    pub invoked: u64,
    /// When it was over: it happens no later. [`NEVER`] if nobody can say.
    pub returned: u64,
    /// What was said; nothing if the connection was lost, so that it may have happened or not.
    pub answers: Option<Vec<Answer>>,
    /// Operations of the same history, by their place, that happened before it for another reason than
    /// time: what a replica had acknowledged before it was promoted.
    pub after: Vec<usize>,
}

/// The end of what may still happen at any time.
pub const NEVER: u64 = u64::MAX;

impl Operation {
    /// Its steps; none if it is a promotion.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        match &self.action {
            Action::Run { steps, .. } => steps,
            Action::Fork { .. } => &[],
        }
    }

    /// The line it runs on; nothing if it is a promotion.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        match self.action {
            Action::Run { line, .. } => Some(line),
            Action::Fork { .. } => None,
        }
    }

    /// Whether it can change anything.
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.steps().iter().any(Step::is_write)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = |nanos: u64| match nanos {
            NEVER => "...".to_owned(),
            nanos => format!("{}.{:03}", nanos / 1000, nanos % 1000),
        };
        write!(f, "{}..{} us ", micros(self.invoked), micros(self.returned))?;
        write!(f, "client {}: {}", self.client, self.action)?;
        match &self.answers {
            Some(answers) if answers.is_empty() => Ok(()),
            Some(answers) => write!(f, " -> {answers:?}"),
            None => write!(f, " -> unknown"),
        }
    }
}

/// Whoever was lost on this line before, was lost to a process that is gone since `time`: nothing of it
/// happens later.
pub fn end_unknown(history: &mut [Operation], line: usize, time: u64) {
    for operation in history {
        if operation.returned == NEVER
            && operation.line() == Some(line)
            && operation.invoked <= time
        {
            operation.returned = time;
        }
    }
}
