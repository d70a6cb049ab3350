//! A sink that fails over some documents, one way each, and makes a row of each other one.

use reef_sdk::sink::{Change, Changes, Column, Configuration, Kind, Sink, Table, Verdict};

/// Fails over some.
pub struct Hostile {
    hoard: Vec<Vec<u8>>,
}

impl Sink for Hostile {
    fn describe(config: &Configuration) -> Result<(Self, Vec<Table>), String> {
        match config.get("describe") {
            Some("loop") => forever(),
            Some("trap") => unreachable!(),
            Some("refuse") => return Err("no such thing".into()),
            _ => {}
        }
        let table = Table::new("rows", 1)
            .column(Column::new("id", Kind::Text))
            .column(Column::new("payload", Kind::Json).nullable());
        Ok((Self { hoard: Vec::new() }, vec![table]))
    }

    fn transform(&mut self, change: &Change<'_>, rows: &mut Changes) -> Verdict {
        match change.id {
            b"loop" => forever(),
            b"trap" => panic!("over this one"),
            b"recurse" => drop(deeper(change.id)),
            b"grow" => loop {
                self.hoard.push(vec![1; 1 << 20]);
            },
            b"lie-table" => {
                let _ = rows.upsert(7).value(change.id).null();
                return Verdict::Apply;
            }
            b"lie-width" => {
                let _ = rows.upsert(0).value(change.id);
                return Verdict::Apply;
            }
            b"huge-reason" => return Verdict::Reject("x".repeat(32 << 20)),
            b"reject" => return Verdict::Reject("not this one".into()),
            b"skip" => return Verdict::Skip,
            _ => {}
        }
        let _ = match change.image {
            Some(image) => rows.upsert(0).value(change.id).value(image),
            None => rows.delete(0).value(change.id),
        };
        Verdict::Apply
    }
}

fn forever() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

/// Until the stack ends.
#[expect(unconditional_recursion, reason = "that is what it is for")]
fn deeper(id: &[u8]) -> Vec<u8> {
    let mut more = deeper(std::hint::black_box(id));
    more.extend_from_slice(id);
    more
}

reef_sdk::export_sink!(Hostile);
