//! The settings of the plugin `write-behind` that follow from the files of pipelines.

use crate::config::pipeline::PipelineFile;

/// The name under which it is loaded.
pub(crate) const NAME: &str = "write-behind";

/// The settings, by name. Without files they are empty: the plugin's own defaults hold.
///
/// # Errors
/// What two files do not agree on: there is one plugin for all of them.
pub(crate) fn settings(files: &[PipelineFile]) -> Result<Vec<(String, String)>, String> {
    let Some(first) = files.first() else { return Ok(Vec::new()) };
    let common = common(first);
    for other in &files[1..] {
        let theirs = self::common(other);
        if let Some(((name, _), _)) = common.iter().zip(&theirs).find(|(ours, their)| ours != their)
        {
            return Err(format!("the files of pipelines do not agree on {name}"));
        }
    }
    let carried = |file: &PipelineFile| file.write_behind.clone();
    let captured: Vec<String> = files
        .iter()
        .map(carried)
        .filter_map(|one| one.capture.map(|prefix| format!("{prefix}={}", one.entity)))
        .collect();
    let expiring: Vec<String> = files
        .iter()
        .map(carried)
        .filter(|one| one.expiry_deletes && one.capture.is_none())
        .map(|one| one.entity)
        .collect();
    let lists = [("capture", captured), ("entities", expiring)];
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let lists = lists.map(|(name, list)| (name.to_owned(), list.join(" ")));
    Ok(common.into_iter().chain(lists).collect())
}

/// What all files have to say alike.
fn common(file: &PipelineFile) -> Vec<(String, String)> {
    let logs = &file.streams.log_streams;
    let settings = [
        ("prefix", file.streams.prefix.clone()),
        ("log-success", logs.redis_success.clone()),
        ("log-fail", logs.redis_fail.clone()),
        ("log-retry", logs.redis_retry.clone()),
        ("backlog-max", file.write_behind.backlog_max.to_string()),
        ("when-full", file.write_behind.when_full.word().into()),
    ];
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> PipelineFile {
        PipelineFile::parse(&format!("sqlite: {{path: x}}\n{text}")).unwrap()
    }

    #[test]
    fn files_are_put_together() {
        let files = [
            file("write_behind: {entity: a}"),
            file("write_behind: {entity: b, capture: 'person:'}"),
            file("write_behind: {entity: c, expiry_deletes: false}"),
        ];
        let settings = settings(&files).unwrap();
        let said = |name: &str| settings.iter().find(|(one, _)| one == name).map(|(_, it)| &**it);
        assert_eq!((said("entities"), said("capture")), (Some("a"), Some("person:=b")));
        assert_eq!((said("prefix"), said("backlog-max")), (Some("stream"), Some("1000000")));
    }

    #[test]
    fn what_they_do_not_agree_on_is_named() {
        let files = [file("streams: {prefix: a}"), file("streams: {prefix: b}")];
        assert!(settings(&files).unwrap_err().contains("prefix"));
    }
}
