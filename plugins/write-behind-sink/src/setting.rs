//! The setting `columns`: which member becomes which column.

use reef_sdk::sink::Kind;
use serde_json::Value;

use crate::path::Path;

/// Columns that a mapping may have.
const COLUMNS_MAX: usize = 500;

/// One column as it is configured.
#[derive(Debug)]
pub(crate) struct ColumnSetting {
    pub(crate) name: String,
    pub(crate) path: Path,
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
}

/// Reads a JSON list of columns.
pub(crate) fn columns(text: &str) -> Result<Vec<ColumnSetting>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("columns: {error}"))?;
    let list = value.as_array().filter(|list| !list.is_empty() && list.len() <= COLUMNS_MAX);
    let list = list.ok_or_else(|| format!("columns: a list of 1 to {COLUMNS_MAX} is expected"))?;
    list.iter().map(column).collect()
}

fn column(value: &Value) -> Result<ColumnSetting, String> {
    let text = |member: &str| value.get(member).and_then(Value::as_str);
    let name = text("name").ok_or("a column has no `name`")?;
    let refused = |reason: String| format!("column {name}: {reason}");
    let path = Path::parse(text("path").unwrap_or(name)).map_err(refused)?;
    let kind = kind(text("type").unwrap_or("text")).map_err(refused)?;
    let nullable = value.get("nullable").and_then(Value::as_bool).unwrap_or(false);
    if name == "id" {
        return Err(refused("the document's id has this name".into()));
    }
    Ok(ColumnSetting { name: name.into(), path, kind, nullable })
}

fn kind(word: &str) -> Result<Kind, String> {
    Ok(match word {
        "text" => Kind::Text,
        "integer" => Kind::Integer,
        "double" => Kind::Double,
        "boolean" => Kind::Boolean,
        "json" => Kind::Json,
        "timestamp" => Kind::Timestamp,
        _ => return Err(format!("`{word}` is not a type")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_column_is_named() {
        for (text, reason) in [
            ("[]", "a list of 1"),
            ("{}", "a list of 1"),
            (r#"[{"path": "a"}]"#, "no `name`"),
            (r#"[{"name": "a", "type": "blob"}]"#, "column a: `blob`"),
            (r#"[{"name": "id"}]"#, "column id: "),
            (r#"[{"name": "a", "path": "$..b"}]"#, "column a: "),
        ] {
            let error = columns(text).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn path_and_type_have_defaults() {
        let columns = columns(r#"[{"name": "user_id"}]"#).unwrap();
        assert_eq!(columns[0].path.to_string(), "user_id");
        assert!(matches!(columns[0].kind, Kind::Text));
    }
}
