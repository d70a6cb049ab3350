//! Whose fault an error of MariaDB or MySQL is.

use mysql_async::{DriverError, Error, ServerError};

use crate::target::{Outcome, TargetFault};

/// What became of a statement before the one that commits.
pub(super) fn outcome(error: &Error) -> Outcome {
    match error {
        Error::Server(server) => of_server(server),
        // Half of the batch may fit.
        Error::Driver(DriverError::PacketTooLarge) => Outcome::Poison(error.to_string()),
        _ => Outcome::Retry(error.to_string()),
    }
}

fn of_server(error: &ServerError) -> Outcome {
    let text = format!("{} ({}): {}", error.code, error.state, error.message);
    match error.code {
        // Deadlock, lock wait, read-only, too many connections and the like are nobody's fault.
        1213 | 1205 | 1290 | 1836 | 1040 | 1203 => Outcome::Retry(text),
        // A packet that is too large, in pieces it may fit; checks and JSON of MySQL; what is no text;
        // nesting that is too deep for a parser.
        1153 | 3819 | 3140..=3156 | 1300 | 1366 | 1411 | 1436 | 4025 | 4038 => {
            Outcome::Poison(text)
        }
        // No such table or column, no right to it, a column that cannot be written, no such function.
        1044 | 1142 | 1143 | 1146 | 1054 | 1136 | 1227 | 1364 | 1906 | 3105 => Outcome::Drift(text),
        _ => match error.state.get(..2).unwrap_or_default() {
            "22" | "23" | "21" | "44" | "45" | "01" => Outcome::Poison(text),
            "42" => Outcome::Drift(text),
            _ => Outcome::Retry(text),
        },
    }
}

/// The same where nothing is to be committed.
pub(super) fn fault(error: &Error) -> TargetFault {
    match outcome(error) {
        Outcome::Drift(text) => TargetFault::Drift(text),
        _ => TargetFault::Down(error.to_string()),
    }
}
