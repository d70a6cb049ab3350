//! SQLite: an embedded file, written in WAL mode and made durable at every commit.

mod schema;
mod target;

use std::path::PathBuf;
use std::sync::Arc;

use crate::table::Table;
use crate::target::{Destination, Owner, Target};

/// A file of SQLite.
#[derive(Clone, Debug)]
pub struct Sqlite {
    /// Where it is; made if it is not there.
    pub path: PathBuf,
    /// Make tables that are not there.
    pub create_tables: bool,
}

impl Destination for Sqlite {
    fn open(&self, tables: &Arc<[Table]>, owner: &Owner) -> Box<dyn Target> {
        Box::new(target::SqliteTarget::new(self.clone(), Arc::clone(tables), owner.clone()))
    }

    fn describe(&self) -> String {
        format!("sqlite {}", self.path.display())
    }
}
