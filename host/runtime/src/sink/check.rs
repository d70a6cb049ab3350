//! Whether a plan adds up: whoever reads it afterwards need not ask again.

use super::border::{SinkOperation, SinkPlan, SinkTable, SinkVerdict};

/// The error is the first thing that is wrong with a plan for this many events.
pub(super) fn check(
    plan: &SinkPlan,
    events: usize,
    tables: &[SinkTable],
) -> Result<(), &'static str> {
    if plan.verdicts.len() != events {
        return Err("it has not one verdict for each event");
    }
    let changes = plan.verdicts.iter().map(|verdict| match verdict {
        SinkVerdict::Apply(changes) => u64::from(*changes),
        SinkVerdict::Skip | SinkVerdict::Reject(_) => 0,
    });
    let (tables_said, operations) = (plan.tables.len(), plan.operations.len());
    if tables_said != operations || changes.sum::<u64>() != tables_said as u64 {
        return Err("its verdicts promise another number of changes");
    }
    let mut values = 0;
    for (table, operation) in plan.tables.iter().zip(&plan.operations) {
        let table = tables.get(*table as usize).ok_or("it names a table that is not there")?;
        values += match operation {
            SinkOperation::Upsert => table.columns.iter().filter(|one| !one.insert_time).count(),
            SinkOperation::Delete if table.key_columns == 0 => {
                return Err("it deletes from a ledger");
            }
            SinkOperation::Delete => table.key_columns as usize,
        };
    }
    if values != plan.lengths.len() {
        return Err("a change has not one value for each column");
    }
    let bytes = plan.lengths.iter().filter(|length| **length != SinkPlan::NULL);
    if bytes.map(|length| u64::from(*length)).sum::<u64>() != plan.data.len() as u64 {
        return Err("the lengths of its values do not add up");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::border::{SinkColumn, SinkKind};
    use super::*;

    fn tables() -> Vec<SinkTable> {
        let column = |name: &str, insert_time| SinkColumn {
            name: name.into(),
            kind: SinkKind::Text,
            nullable: true,
            insert_time,
        };
        let columns = vec![column("id", false), column("payload", false), column("at", true)];
        let ledger = SinkTable { name: "l".into(), columns: columns.clone(), key_columns: 0 };
        vec![SinkTable { name: "t".into(), columns, key_columns: 1 }, ledger]
    }

    fn good() -> SinkPlan {
        SinkPlan {
            verdicts: vec![
                SinkVerdict::Apply(2),
                SinkVerdict::Skip,
                SinkVerdict::Reject("".into()),
            ],
            tables: vec![0, 0],
            operations: vec![SinkOperation::Upsert, SinkOperation::Delete],
            lengths: vec![2, SinkPlan::NULL, 1],
            data: b"abc".to_vec(),
        }
    }

    #[test]
    fn only_what_adds_up_passes() {
        assert_eq!(check(&good(), 3, &tables()), Ok(()));
        assert!(check(&good(), 2, &tables()).is_err());
        for spoil in [
            (|plan: &mut SinkPlan| plan.verdicts[1] = SinkVerdict::Apply(1)) as fn(&mut SinkPlan),
            |plan| plan.verdicts[0] = SinkVerdict::Apply(u32::MAX),
            |plan| plan.tables[0] = 2,
            |plan| plan.tables[1] = 1,
            |plan| plan.operations.truncate(1),
            |plan| plan.lengths[0] = 3,
            |plan| plan.lengths[0] = u32::MAX - 1,
            |plan| plan.lengths.truncate(2),
            |plan| plan.data.push(0),
        ] {
            let mut plan = good();
            spoil(&mut plan);
            assert!(check(&plan, 3, &tables()).is_err(), "{plan:?}");
        }
    }
}
