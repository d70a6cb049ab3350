//! What a pipeline needs in the keyspace before it begins: the group that shows its position, the index
//! over the documents, and events for documents that were there before.

use super::link::{Link, Step, Words};
use super::stream::GROUP;
use crate::config::pipeline::PipelineFile;

/// Makes what is not there yet. What is there already stays as it is.
pub(super) fn prepare(link: &mut dyn Link, file: &PipelineFile) -> Result<(), String> {
    let stream = file.stream();
    let group = vec![b"XGROUP".as_slice(), b"CREATE", stream.as_bytes(), GROUP, b"0", b"MKSTREAM"];
    run(link, &group, b"BUSYGROUP")?;
    index(link, file)
}

/// Runs a command whose error may be that it has run before.
fn run(link: &mut dyn Link, command: &[&[u8]], done_before: &[u8]) -> Result<(), String> {
    let replies = link.command(command)?;
    match replies.walk().step() {
        Step::Error(text) if !text.starts_with(done_before) => {
            Err(String::from_utf8_lossy(text).into_owned())
        }
        _ => Ok(()),
    }
}

fn index(link: &mut dyn Link, file: &PipelineFile) -> Result<(), String> {
    let wanted = &file.search_index;
    if !wanted.create_index || wanted.fields.is_empty() {
        return Ok(());
    }
    let entity = &file.write_behind.entity;
    let name = wanted.index_name.clone().unwrap_or_else(|| format!("idx:{entity}"));
    let prefix = file.write_behind.capture.clone().unwrap_or_else(|| format!("{entity}:"));
    let paths: Vec<String> =
        wanted.fields.iter().map(|field| format!("$.{}", field.name)).collect();
    let head = ["FT.CREATE", &name, "ON", "JSON", "PREFIX", "1", &prefix, "SCHEMA"];
    let mut command: Words<'_> = head.iter().map(|word| word.as_bytes()).collect();
    for (field, path) in wanted.fields.iter().zip(&paths) {
        command.extend([path.as_bytes(), b"AS", field.name.as_bytes(), field.kind.as_bytes()]);
    }
    run(link, &command, b"Index already exists")
}

/// Events for documents that were there before, once: whether it was done is a key of its own.
pub(super) fn snapshot(link: &mut dyn Link, file: &PipelineFile) -> Result<(), String> {
    let entity = file.write_behind.entity.as_bytes();
    let done = format!("{}:snapshot:{}", file.streams.prefix, file.write_behind.entity);
    let replies = link.read(&[vec![b"EXISTS", done.as_bytes()]])?;
    let carrying = &file.write_behind;
    if !carrying.snapshot.unwrap_or(carrying.capture.is_some())
        || replies.walk().number() == Some(1)
    {
        return Ok(());
    }
    let mut cursor = "0".to_owned();
    loop {
        let words = [b"DOC.SNAPSHOT".as_slice(), entity, b"CURSOR", cursor.as_bytes()];
        let replies = link.command(&[&words[..], &[b"COUNT", b"1000"]].concat())?;
        let mut walk = replies.walk();
        match walk.step() {
            Step::Error(text) => return Err(String::from_utf8_lossy(text).into_owned()),
            _ => cursor = String::from_utf8_lossy(walk.string().unwrap_or(b"0")).into_owned(),
        }
        if cursor == "0" {
            break;
        }
    }
    link.write(&[vec![b"SET", done.as_bytes(), b"1"]]).map(drop)
}
