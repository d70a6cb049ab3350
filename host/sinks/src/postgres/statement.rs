//! The one statement of a commit. It depends on which tables and verbs a batch has, never on
//! values.

use crate::plan::Verb;
use crate::table::{Column, Kind, Table};

use super::schema::{list, quoted};

/// Which parts the statement has: tables and verbs in the order of the batch's groups, dead letters,
/// settled ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    pub(super) groups: Vec<(usize, Verb)>,
    pub(super) letters: bool,
    pub(super) settled: bool,
}

/// The position: eleven parameters come before everything else.
const FENCE: &str = "WITH fence AS (
UPDATE reef_offsets SET ms = $6, seq = $7, applied = $8, skipped = $9, dead = $10, added = $11,
  changed_at = now()
WHERE pipeline = $1 AND part = $2 AND epoch = $3 AND ms = $4 AND seq = $5 RETURNING 1)";

/// Its text. `types` has the type of each column of each table.
pub(super) fn text(shape: &Shape, tables: &[Table], types: &[Vec<String>]) -> String {
    let mut text = FENCE.to_owned();
    let mut next = 12;
    for (index, (table, verb)) in shape.groups.iter().enumerate() {
        let part = match verb {
            Verb::Delete => deletion(&tables[*table], &types[*table], &mut next),
            verb => insertion(&tables[*table], &types[*table], *verb, &mut next),
        };
        text.push_str(&format!(", g{index} AS ({part})"));
    }
    if shape.letters {
        text.push_str(&letters(&mut next));
    }
    if shape.settled {
        text.push_str(&format!(
            ", settled AS (DELETE FROM reef_dead_letters t USING \
             UNNEST(${next}::bigint[], ${}::bigint[]) AS u(ms, seq) \
             WHERE t.pipeline = $1 AND t.ms = u.ms AND t.seq = u.seq \
             AND EXISTS (SELECT 1 FROM fence))",
            next + 1
        ));
    }
    text.push_str(" SELECT count(*) FROM fence");
    text
}

/// Arrays as parameters: `UNNEST($12::text[], $13::text[]) AS u(c0, c1)`.
fn unnest<'a>(columns: impl Iterator<Item = &'a Column>, next: &mut usize) -> String {
    let mut arrays = Vec::new();
    for column in columns {
        let kind = if column.kind == Kind::Bytes { "bytea" } else { "text" };
        arrays.push(format!("${next}::{kind}[]"));
        *next += 1;
    }
    let names: Vec<String> = (0..arrays.len()).map(|index| format!("c{index}")).collect();
    format!("UNNEST({}) AS u({})", arrays.join(", "), names.join(", "))
}

fn insertion(table: &Table, types: &[String], verb: Verb, next: &mut usize) -> String {
    let valued = table.columns.iter().zip(types).filter(|(column, _)| !column.filled);
    let casts: Vec<String> =
        valued.enumerate().map(|(index, (_, kind))| format!("u.c{index}::{kind}")).collect();
    let mut text = format!(
        "INSERT INTO {} ({}) SELECT {} FROM {} WHERE EXISTS (SELECT 1 FROM fence)",
        quoted(&table.name),
        list(table.valued()),
        casts.join(", "),
        unnest(table.valued(), next)
    );
    if table.key == 0 {
        return text;
    }
    let set: Vec<String> = table
        .columns
        .iter()
        .skip(table.key)
        .filter(|column| !column.filled || verb == Verb::Replace)
        .map(|column| format!("{0} = EXCLUDED.{0}", quoted(&column.name)))
        .collect();
    let action = if set.is_empty() {
        "NOTHING".to_owned()
    } else {
        format!("UPDATE SET {}", set.join(", "))
    };
    text.push_str(&format!(" ON CONFLICT ({}) DO {action}", list(table.key_columns().iter())));
    text
}

fn deletion(table: &Table, types: &[String], next: &mut usize) -> String {
    let keys = table.key_columns();
    let same: Vec<String> = keys
        .iter()
        .zip(types)
        .enumerate()
        .map(|(index, (column, kind))| format!("t.{} = u.c{index}::{kind}", quoted(&column.name)))
        .collect();
    format!(
        "DELETE FROM {} t USING {} WHERE {} AND EXISTS (SELECT 1 FROM fence)",
        quoted(&table.name),
        unnest(keys.iter(), next),
        same.join(" AND ")
    )
}

fn letters(next: &mut usize) -> String {
    const COLUMNS: [(&str, &str); 10] = [
        ("ms", "bigint"),
        ("seq", "bigint"),
        ("entity", "text"),
        ("document", "bytea"),
        ("kind", "text"),
        ("at_ms", "bigint"),
        ("version", "bigint"),
        ("image", "bytea"),
        ("reason", "text"),
        ("failed_ms", "bigint"),
    ];
    let arrays: Vec<String> = COLUMNS
        .iter()
        .enumerate()
        .map(|(index, (_, kind))| format!("${}::{kind}[]", *next + index))
        .collect();
    *next += COLUMNS.len();
    let names = COLUMNS.map(|(name, _)| name).join(", ");
    let taken = COLUMNS.map(|(name, _)| format!("u.{name}")).join(", ");
    format!(
        ", letters AS (INSERT INTO reef_dead_letters (pipeline, part, {names}) \
         SELECT $1, $2, {taken} FROM UNNEST({}) AS u({names}) \
         WHERE EXISTS (SELECT 1 FROM fence) ON CONFLICT DO NOTHING)",
        arrays.join(", ")
    )
}
