//! Of the changes of a batch, only what matters at its end: for each key its last change.
//!
//! A row that is deleted and comes again is another row (its time of insertion is another one), so
//! that becomes a replacement. In a table without a key every change is kept. What is left is grouped
//! by table and verb; different keys do not depend on one another's order.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::plan::{ChangeRef, Verb};
use crate::table::Table;

/// Rows to be written, at most one change for each key.
#[derive(Debug)]
pub struct Rows<'a> {
    tables: &'a [Table],
    groups: Vec<Group<'a>>,
}

/// Changes of one kind in one table.
#[derive(Debug)]
pub struct Group<'a> {
    /// The index of the table.
    pub table: usize,
    /// What is done.
    pub verb: Verb,
    /// The changes.
    pub changes: Vec<ChangeRef<'a>>,
}

impl<'a> Rows<'a> {
    /// No row.
    pub fn none(tables: &'a [Table]) -> Self {
        Self { tables, groups: Vec::new() }
    }

    /// What is left of changes in their order. Their tables and widths must be right.
    pub fn of(tables: &'a [Table], changes: impl ExactSizeIterator<Item = ChangeRef<'a>>) -> Self {
        let mut kept: Vec<ChangeRef<'a>> = Vec::with_capacity(changes.len());
        let mut last: HashMap<Key<'a>, usize, foldhash::fast::RandomState> =
            HashMap::with_capacity_and_hasher(
                changes.len(),
                foldhash::fast::RandomState::default(),
            );
        for mut change in changes {
            let Some(table) = tables.get(change.table) else { continue };
            if table.key == 0 {
                kept.push(change);
                continue;
            }
            match last.entry(Key { change, len: table.key }) {
                Entry::Vacant(entry) => {
                    entry.insert(kept.len());
                    kept.push(change);
                }
                Entry::Occupied(entry) => {
                    let before = &mut kept[*entry.get()];
                    if before.verb != Verb::Upsert && change.verb == Verb::Upsert {
                        change.verb = Verb::Replace;
                    }
                    *before = change;
                }
            }
        }
        Self { tables, groups: grouped(tables, kept) }
    }

    /// All tables, of which some have rows here.
    pub fn tables(&self) -> &'a [Table] {
        self.tables
    }

    /// Changes by table and verb, in a fixed order of these; none is empty.
    pub fn groups(&self) -> &[Group<'a>] {
        &self.groups
    }

    /// How many changes are left.
    pub fn len(&self) -> usize {
        self.groups.iter().map(|group| group.changes.len()).sum()
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

fn grouped<'a>(tables: &[Table], kept: Vec<ChangeRef<'a>>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let room = kept.len();
    for change in kept {
        let verb = effective(&tables[change.table], change.verb);
        match groups.iter_mut().find(|group| group.table == change.table && group.verb == verb) {
            Some(group) => group.changes.push(change),
            None => {
                let mut changes = Vec::with_capacity(room);
                changes.push(change);
                groups.push(Group { table: change.table, verb, changes });
            }
        }
    }
    groups.sort_by_key(|group| (group.table, group.verb));
    groups
}

/// A replacement differs from an upsert only where the database fills a column.
fn effective(table: &Table, verb: Verb) -> Verb {
    let filled = table.key > 0 && table.columns.iter().any(|column| column.filled);
    if verb == Verb::Replace && !filled { Verb::Upsert } else { verb }
}

/// A row's identity: its table and the values of its key.
#[derive(Clone, Copy)]
struct Key<'a> {
    change: ChangeRef<'a>,
    len: usize,
}

impl std::hash::Hash for Key<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_usize(self.change.table);
        for column in 0..self.len {
            self.change.value(column).hash(state);
        }
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.change.table == other.change.table
            && self.len == other.len
            && (0..self.len).all(|column| self.change.value(column) == other.change.value(column))
    }
}

impl Eq for Key<'_> {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::Plan;
    use crate::table::{Column, Kind};

    fn tables() -> Vec<Table> {
        let ledger = Table {
            name: "ledger".to_owned(),
            columns: vec![Column::new("line", Kind::Text)],
            key: 0,
        };
        let mut plain = Table::payload("plain");
        plain.columns.pop();
        vec![Table::payload("documents"), ledger, plain]
    }

    fn rows<'a>(tables: &'a [Table], plan: &'a Plan) -> Rows<'a> {
        Rows::of(tables, (0..plan.len()).map(|index| plan.at(index)))
    }

    #[test]
    fn a_row_that_went_and_came_again_is_replaced() {
        let tables = tables();
        let mut plan = Plan::default();
        for (table, verb) in
            [(0, Verb::Upsert), (0, Verb::Delete), (0, Verb::Upsert), (0, Verb::Upsert)]
        {
            plan.change(table, verb, [Some(&b"a"[..]), Some(b"{}")]);
        }
        plan.change(2, Verb::Delete, [Some(&b"a"[..])]);
        plan.change(2, Verb::Upsert, [Some(&b"a"[..]), None]);
        let rows = rows(&tables, &plan);
        let kinds: Vec<_> =
            rows.groups().iter().map(|g| (g.table, g.verb, g.changes.len())).collect();
        assert_eq!(kinds, [(0, Verb::Replace, 1), (2, Verb::Upsert, 1)]);
    }

    #[test]
    fn a_ledger_keeps_every_line() {
        let tables = tables();
        let mut plan = Plan::default();
        for _ in 0..3 {
            plan.change(1, Verb::Upsert, [Some(&b"same"[..])]);
        }
        assert_eq!(rows(&tables, &plan).len(), 3);
    }

    #[test]
    fn keys_that_only_look_alike_are_different() {
        let tables = vec![Table {
            name: "pairs".to_owned(),
            columns: vec![Column::new("a", Kind::Text), Column::new("b", Kind::Text)],
            key: 2,
        }];
        let mut plan = Plan::default();
        for (a, b) in [("x", "yz"), ("xy", "z"), ("x", "yz "), ("X", "yz"), ("x", "yz")] {
            plan.change(0, Verb::Upsert, [Some(a.as_bytes()), Some(b.as_bytes())]);
        }
        assert_eq!(rows(&tables, &plan).len(), 4);
    }

    #[test]
    fn what_is_left_leads_where_all_changes_lead() {
        let tables = tables();
        for seed in 0..200u32 {
            let mut random = seed.wrapping_mul(2_654_435_761) | 1;
            let mut next = move |below: u32| {
                random ^= random << 13;
                random ^= random >> 17;
                random ^= random << 5;
                random % below
            };
            let mut plan = Plan::default();
            let mut naive: BTreeMap<(usize, Vec<u8>), u32> = BTreeMap::new();
            let steps: Vec<_> =
                (0..60).map(|n| (next(2) as usize * 2, next(9), next(3), n)).collect();
            for &(table, key, verb, n) in &steps {
                let key = key.to_string().into_bytes();
                if verb == 0 {
                    plan.change(table, Verb::Delete, [Some(&key[..])]);
                    naive.remove(&(table, key));
                } else {
                    plan.change(
                        table,
                        Verb::Upsert,
                        [Some(&key[..]), Some(n.to_string().as_bytes())],
                    );
                    naive.insert((table, key), n);
                }
            }
            let rows = rows(&tables, &plan);
            let mut left: BTreeMap<(usize, Vec<u8>), u32> = BTreeMap::new();
            for change in rows.groups().iter().flat_map(|group| &group.changes) {
                let key = (change.table, change.value(0).unwrap().to_vec());
                if let Some(value) = change.value(1) {
                    left.insert(key, str::from_utf8(value).unwrap().parse().unwrap());
                }
            }
            assert_eq!(left, naive);
        }
    }
}
