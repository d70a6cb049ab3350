//! Whose fault an error of PostgreSQL is.

use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use crate::target::{Outcome, TargetFault};

/// What became of the statement that ended like this. Only what the server says of its own accord,
/// and then goes on, is certain not to have been committed.
pub(super) fn outcome(error: &Error) -> Outcome {
    let Some(database) = error.as_db_error() else { return Outcome::Unknown(told(error)) };
    if matches!(database.severity(), "FATAL" | "PANIC") {
        return Outcome::Unknown(text(database));
    }
    let code = database.code().code();
    match &code[..2.min(code.len())] {
        // Data exceptions, broken constraints, limits of a value, what triggers and views refuse.
        "22" | "23" | "54" | "21" | "P0" | "44" => Outcome::Poison(text(database)),
        // Names, types, permissions. A column that is always generated is said in class 42 as well.
        "42" | "3F" => Outcome::Drift(text(database)),
        _ => Outcome::Retry(text(database)),
    }
}

/// The same before anything is to be committed.
pub(super) fn fault(error: &Error) -> TargetFault {
    let Some(database) = error.as_db_error() else { return TargetFault::Down(told(error)) };
    // Two that make the same table at once are no drift.
    match (outcome(error), database.code().code()) {
        (Outcome::Drift(text), code) if code != "42P07" => TargetFault::Drift(text),
        _ => TargetFault::Down(text(database)),
    }
}

fn text(database: &DbError) -> String {
    let mut text = format!("{}: {}", database.code().code(), database.message());
    if let Some(detail) = database.detail() {
        text.push_str(". ");
        text.push_str(detail);
    }
    text
}

/// An error with what lies behind it.
fn told(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
