//! A document as it is now.

use super::link::{Link, Step};

/// The document with this id, as JSON; nothing if there is none. A hash is an object of texts.
pub(super) fn read(
    link: &mut dyn Link,
    prefix: &str,
    id: &[u8],
) -> Result<Option<Vec<u8>>, String> {
    let key = [prefix.as_bytes(), id].concat();
    let commands = [vec![b"JSON.GET".as_slice(), &key], vec![b"HGETALL", &key]];
    let replies = link.read(&commands)?;
    let mut walk = replies.walk();
    match walk.step() {
        Step::Text(json) => return Ok(Some(json.to_vec())),
        Step::Nil => return Ok(None),
        _ => {}
    }
    let mut object = serde_json::Map::new();
    for _ in 0..walk.list() / 2 {
        let [name, value] = [walk.string(), walk.string()]
            .map(|text| String::from_utf8_lossy(text.unwrap_or_default()).into_owned());
        object.insert(name, value.into());
    }
    Ok((!object.is_empty()).then(|| serde_json::Value::Object(object).to_string().into_bytes()))
}
