//! Statements for many rows at once. They depend on table, verb and number of rows only; numbers of
//! rows are few, so that prepared statements are used again.

use crate::plan::Verb;
use crate::table::Table;

use super::schema::{list, quoted};

/// The most parameters of a statement.
const PARAMETERS_MAX: usize = 65_535;

/// The numbers of rows that statements are made for, the largest first.
const SIZES: [usize; 12] = [1_000, 512, 256, 128, 64, 32, 16, 8, 4, 2, 1, 0];

/// How many of `rows` rows the next statement takes.
pub(super) fn step(rows: usize, width: usize) -> usize {
    let most = rows.min(PARAMETERS_MAX / width.max(1));
    SIZES.iter().copied().find(|size| *size <= most).unwrap_or(0).max(1)
}

/// How many values a row has.
pub(super) fn width(table: &Table, verb: Verb) -> usize {
    if verb == Verb::Delete { table.key } else { table.width() }
}

/// The text of a statement for `rows` rows.
pub(super) fn text(table: &Table, verb: Verb, rows: usize) -> String {
    let name = quoted(&table.name);
    let marks = format!("({})", vec!["?"; width(table, verb)].join(","));
    let all = vec![marks.as_str(); rows].join(",");
    let key = list(table.key_columns().iter());
    if verb == Verb::Delete {
        return format!("DELETE FROM {name} WHERE ({key}) IN ({all})");
    }
    let insertion = format!("INSERT INTO {name} ({}) VALUES {all}", list(table.valued()));
    if table.key == 0 {
        return insertion;
    }
    let mut set: Vec<String> = table
        .columns
        .iter()
        .skip(table.key)
        .filter(|column| !column.filled || verb == Verb::Replace)
        .map(|column| format!("{0} = VALUES({0})", quoted(&column.name)))
        .collect();
    if set.is_empty() {
        // Nothing but the key: what is there stays.
        set.push(format!("{0} = {0}", quoted(&table.columns[0].name)));
    }
    format!("{insertion} ON DUPLICATE KEY UPDATE {}", set.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_taken_in_few_sizes() {
        let mut sizes = std::collections::BTreeSet::new();
        for rows in 1..=1_000 {
            let mut left = rows;
            let mut steps = 0;
            while left > 0 {
                let next = step(left, 2);
                sizes.insert(next);
                left -= next;
                steps += 1;
            }
            assert!(steps <= 9, "{rows} rows in {steps} statements");
        }
        assert_eq!(sizes.len(), 11);
        assert_eq!(step(1_000, 400), 128, "no more parameters than there may be");
    }

    #[test]
    fn only_names_and_marks_are_in_a_statement() {
        let table = Table::payload("sessions");
        assert_eq!(
            text(&table, Verb::Upsert, 2),
            "INSERT INTO `sessions` (`id`, `payload`) VALUES (?,?),(?,?) \
             ON DUPLICATE KEY UPDATE `payload` = VALUES(`payload`)"
        );
        assert_eq!(
            text(&table, Verb::Delete, 2),
            "DELETE FROM `sessions` WHERE (`id`) IN ((?),(?))"
        );
    }
}
