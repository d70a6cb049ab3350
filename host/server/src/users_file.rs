//! The file of users (`aclfile`): read as a whole, replaced in one step. What stands in it is the
//! engine's business.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use reef_engine::error::Error;

/// The file's name as it is told, and its content.
pub(crate) fn read(file: &Path) -> Result<(String, Vec<u8>), Error> {
    let name = file.display().to_string();
    match fs::read(file) {
        Ok(content) => Ok((name, content)),
        Err(error) => Err(Error::acl_file_unreadable(&name, &reason(&error))),
    }
}

/// What the operating system says, in its own words.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Writes beside the file, makes that durable, and lets it take the file's place.
pub(crate) fn write(file: &Path, content: &[u8]) -> io::Result<()> {
    // A link stays a link: what it points to is replaced.
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let draft = file.with_file_name(name);
    let written = write_draft(&draft, &file, content);
    if written.is_err() {
        // The draft may not exist; the error that counts is the one at hand.
        let _ = fs::remove_file(&draft);
    }
    written
}

fn write_draft(draft: &Path, file: &Path, content: &[u8]) -> io::Result<()> {
    let mut out = File::create(draft)?;
    if let Ok(before) = fs::metadata(file) {
        out.set_permissions(before.permissions())?;
    }
    out.write_all(content)?;
    out.sync_all()?;
    fs::rename(draft, file)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_a_failure_leaves_no_draft() {
        let folder = std::env::temp_dir().join(format!("reef-users-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("users.acl");
        for content in [b"one".as_slice(), b"other"] {
            write(&file, content).unwrap();
            assert_eq!(read(&file).unwrap().1, content);
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        assert!(write(&folder.join("nowhere/users.acl"), b"").is_err());
        // A folder in the file's place cannot be replaced.
        assert!(write(&folder, b"x").is_err());
        let error = read(&folder.join("nothing")).unwrap_err().to_string();
        assert!(error.ends_with("nothing': No such file or directory"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
