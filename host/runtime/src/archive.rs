//! Versions of a plugin that were replaced: kept, component and terms, so that one command brings one
//! back.
//!
//! The newest stay; how many, and how many bytes of components, is limited.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::digest::Digest;
use crate::limits::Limits;
use crate::request::{GrantRequest, LoadError, LoadRequest, Mode, Source};
use crate::texts;
use bytes::Bytes;

/// Replaced versions of one plugin that are kept.
pub(crate) const VERSIONS_MAX: usize = 4;
/// Bytes of their components.
pub(crate) const BYTES_MAX: u64 = 64 << 20;

/// A version as it can be loaded again.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    /// The version that it said it had.
    pub(crate) version: String,
    pub(crate) component: Bytes,
    pub(crate) digest: Digest,
    pub(crate) limits: Limits,
    pub(crate) grants: Vec<String>,
    pub(crate) config: BTreeMap<Box<str>, Arc<str>>,
    /// Whether it is kept with the data.
    pub(crate) is_kept: bool,
}

impl Past {
    /// What loads it again, in the place of what runs.
    pub(crate) fn request(&self, name: &str) -> LoadRequest {
        let pairs = self.config.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        let limits = self.limits.words();
        LoadRequest {
            mode: Mode::NewOrReplace,
            grants: GrantRequest::Words(self.grants.clone()),
            config: Some(pairs.collect()),
            is_kept: self.is_kept,
            limits: limits.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            ..LoadRequest::new(name, Source::Bytes(self.component.clone()))
        }
    }

    /// A version as a notice tells of it: as what would load it.
    pub(crate) fn read(version: String, request: LoadRequest) -> Result<Self, LoadError> {
        let Source::Bytes(component) = request.source else { return Err(texts::SYNTAX.into()) };
        let mut limits = Limits::default();
        for (limit, value) in &request.limits {
            limits.set(limit.as_bytes(), value.as_bytes())?;
        }
        let grants = match request.grants {
            GrantRequest::Words(words) => words,
            GrantRequest::Keep | GrantRequest::AllWanted => Vec::new(),
        };
        let config = request.config.unwrap_or_default();
        Ok(Self {
            version,
            digest: Digest::of(&component),
            component,
            limits,
            grants,
            config: config.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
            is_kept: true,
        })
    }

    /// Whether another one runs the same code on the same terms.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.digest == other.digest
            && self.limits == other.limits
            && self.grants == other.grants
            && self.config == other.config
    }
}

/// The replaced versions, newest first.
#[derive(Debug, Default)]
pub(crate) struct Archive(VecDeque<Past>);

impl Archive {
    /// Keeps a version that was replaced by `now`; the oldest make room. `bytes_max` may be less than
    /// what a plugin may keep at most.
    pub(crate) fn keep(&mut self, past: Past, now: Option<&Past>, bytes_max: u64) {
        let is_now = |other: &Past| now.is_some_and(|now| now.is_like(other));
        self.0.retain(|other| !other.is_like(&past) && !is_now(other));
        if !is_now(&past) {
            self.0.push_front(past);
        }
        self.0.truncate(VERSIONS_MAX);
        while self.bytes() > bytes_max.min(BYTES_MAX) {
            self.0.pop_back();
        }
    }

    /// Adds one that is older than all that are there.
    pub(crate) fn add_oldest(&mut self, past: Past) {
        let bytes = self.bytes() + past.component.len() as u64;
        if self.0.len() < VERSIONS_MAX && bytes <= BYTES_MAX {
            self.0.push_back(past);
        }
    }

    /// Forgets them all.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The newest one, or the newest one of this version or digest.
    pub(crate) fn find(&self, which: Option<&str>) -> Option<&Past> {
        let Some(which) = which else { return self.0.front() };
        let digest = Digest::parse(which.as_bytes());
        let is_meant = |past: &&Past| match digest {
            Some(digest) => past.digest == digest,
            None => past.version == which,
        };
        self.0.iter().find(is_meant)
    }

    /// All of them, newest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Past> {
        self.0.iter()
    }

    /// Bytes of the components.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.iter().map(|past| past.component.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(version: &str, bytes: usize) -> Past {
        let component = Bytes::from(format!("{version:bytes$}"));
        Past {
            version: version.into(),
            digest: Digest::of(&component),
            component,
            limits: Limits::default(),
            grants: Vec::new(),
            config: BTreeMap::new(),
            is_kept: true,
        }
    }

    fn versions(archive: &Archive) -> Vec<&str> {
        archive.all().map(|past| past.version.as_str()).collect()
    }

    #[test]
    fn the_newest_stay_and_none_is_there_twice() {
        let mut archive = Archive::default();
        (1..=6).for_each(|n| archive.keep(past(&n.to_string(), 9), None, u64::MAX));
        assert_eq!(versions(&archive), ["6", "5", "4", "3"]);
        archive.keep(past("4", 9), None, u64::MAX);
        assert_eq!(versions(&archive), ["4", "6", "5", "3"]);
        // Going back: what runs now is no version of the past.
        archive.keep(past("7", 9), Some(&past("6", 9)), u64::MAX);
        assert_eq!(versions(&archive), ["7", "4", "5", "3"]);
        archive.keep(past("8", 9), None, 20);
        assert_eq!(versions(&archive), ["8", "7"]);
        assert_eq!(archive.bytes(), 18);
    }

    #[test]
    fn one_is_found_by_version_and_by_digest() {
        let mut archive = Archive::default();
        assert!(archive.find(None).is_none());
        let mut other_terms = past("1", 9);
        other_terms.grants.push("SET".into());
        for past in [past("1", 9), other_terms, past("2", 9)] {
            archive.keep(past, None, u64::MAX);
        }
        assert_eq!(archive.find(None).unwrap().version, "2");
        assert_eq!(archive.find(Some("1")).unwrap().grants, ["SET"], "the newest of that version");
        let digest = past("2", 9).digest.to_string();
        assert_eq!(archive.find(Some(&digest)).unwrap().version, "2");
        assert!(archive.find(Some("3")).is_none());
    }
}
