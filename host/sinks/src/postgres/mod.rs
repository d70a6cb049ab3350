//! PostgreSQL: a batch is one statement, and so one round trip: columns as arrays of text that are
//! unnested and cast, together with the position and its fence.

mod columns;
mod errors;
mod schema;
mod statement;
mod target;

use std::sync::Arc;

use crate::server::Server;
use crate::table::Table;
use crate::target::{Destination, Owner, Target};

/// A database of PostgreSQL.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// Where it is.
    pub server: Server,
    /// Make tables that are not there.
    pub create_tables: bool,
}

impl Destination for Postgres {
    fn open(&self, tables: &Arc<[Table]>, owner: &Owner) -> Box<dyn Target> {
        Box::new(target::PostgresTarget::new(self.clone(), Arc::clone(tables), owner.clone()))
    }

    fn describe(&self) -> String {
        format!("postgresql {}", self.server)
    }
}
