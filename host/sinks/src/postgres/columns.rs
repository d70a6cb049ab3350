//! A column of a group of changes as an array of PostgreSQL, written straight into the message.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{IsNull, Kind as TypeKind, ToSql, Type, to_sql_checked};

use crate::moment::Moment;
use crate::plan::ChangeRef;
use crate::table::Kind;

/// One column of values. Text goes as it is: what is no text the server refuses.
#[derive(Debug)]
pub(super) struct Values<'a> {
    pub(super) changes: &'a [ChangeRef<'a>],
    pub(super) column: usize,
    pub(super) kind: Kind,
}

impl ToSql for Values<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let TypeKind::Array(element) = ty.kind() else { return Err("not an array".into()) };
        // One dimension, which may have NULLs, of this type, so many, counted from one.
        out.put_i32(1);
        out.put_i32(1);
        out.put_u32(element.oid());
        out.put_i32(i32::try_from(self.changes.len())?);
        out.put_i32(1);
        for change in self.changes {
            match change.value(self.column) {
                None => out.put_i32(-1),
                Some(bytes) => self.put(bytes, out)?,
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TEXT_ARRAY || *ty == Type::BYTEA_ARRAY
    }

    to_sql_checked!();
}

impl Values<'_> {
    fn put(&self, bytes: &[u8], out: &mut BytesMut) -> Result<(), Box<dyn Error + Sync + Send>> {
        if self.kind == Kind::Timestamp
            && let Some(moment) = Moment::parse(bytes)
        {
            let text = moment.sql() + "Z";
            out.put_i32(text.len() as i32);
            out.put_slice(text.as_bytes());
            return Ok(());
        }
        out.put_i32(i32::try_from(bytes.len())?);
        out.put_slice(bytes);
        Ok(())
    }
}
