//! MariaDB and MySQL: a batch is one transaction of few statements with many rows each. Keys are
//! compared byte by byte: the default collations take "A" and "a", or "x" and "x ", for the same.

mod errors;
mod schema;
mod statement;
mod target;

use std::sync::Arc;

use crate::server::Server;
use crate::table::Table;
use crate::target::{Destination, Owner, Target};

/// A database of MariaDB (10.3 and later) or MySQL (8.0.17 and later).
#[derive(Clone, Debug)]
pub struct MySql {
    /// Where it is.
    pub server: Server,
    /// Make tables that are not there.
    pub create_tables: bool,
}

impl Destination for MySql {
    fn open(&self, tables: &Arc<[Table]>, owner: &Owner) -> Box<dyn Target> {
        Box::new(target::MySqlTarget::new(self.clone(), Arc::clone(tables), owner.clone()))
    }

    fn describe(&self) -> String {
        format!("mysql {}", self.server)
    }
}
