//! The pipeline against real databases: PostgreSQL and MariaDB of the machine, each in a folder of a
//! test's own, and SQLite. Where one is missing its tests say so, and fail if `REEF_REQUIRE_PEERS=1`.

#![expect(clippy::unwrap_used, reason = "what fails in a test's tools fails the test")]

mod carrying;
mod crashes;
mod messages;
mod secret;
mod support;
mod trouble;

/// Makes each test one for every database.
macro_rules! on_each_database {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[test] fn $name() { crate::support::database::Database::sqlite().iter().for_each(super::$name); })*
        }
        mod postgres {
            $(#[test] fn $name() { crate::support::database::Database::postgres().iter().for_each(super::$name); })*
        }
        mod mariadb {
            $(#[test] fn $name() { crate::support::database::Database::mariadb().iter().for_each(super::$name); })*
        }
    };
}
use on_each_database;
