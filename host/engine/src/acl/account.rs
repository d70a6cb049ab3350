//! A user with a name, as sessions hold it: immutable, and marked when another version takes its
//! place, so that a session finds out by looking at one byte.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU8, Ordering};

use super::user::User;

/// Nothing is refused.
const UNLIMITED: u8 = 0;
/// Commands are to be checked.
const LIMITED: u8 = 1;
/// Another version has taken its place, or the user is gone.
const OUTDATED: u8 = 2;

/// One version of a named user.
#[derive(Debug)]
pub struct Account {
    name: Box<[u8]>,
    shown: Arc<str>,
    /// The same for all versions; another user of this name, later, has another one.
    serial: u64,
    user: User,
    state: AtomicU8,
}

impl Account {
    pub(super) fn new(name: &[u8], serial: u64, user: User) -> Arc<Self> {
        let state = if user.is_unlimited() { UNLIMITED } else { LIMITED };
        Arc::new(Self {
            name: name.into(),
            shown: String::from_utf8_lossy(name).into(),
            serial,
            user,
            state: AtomicU8::new(state),
        })
    }

    /// The name as it was given.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The name as text.
    pub fn shown(&self) -> &Arc<str> {
        &self.shown
    }

    /// The rights.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// Tells the versions of one user from another one that has the name later.
    pub(super) fn serial(&self) -> u64 {
        self.serial
    }

    /// Whether every command may run without a check.
    #[inline]
    pub fn is_unlimited(&self) -> bool {
        self.state.load(Ordering::Acquire) == UNLIMITED
    }

    /// Whether another version has taken its place, or the user is gone.
    #[inline]
    pub fn is_outdated(&self) -> bool {
        self.state.load(Ordering::Acquire) == OUTDATED
    }

    /// Tells all sessions to look for another version.
    pub(super) fn outdate(&self) {
        self.state.store(OUTDATED, Ordering::Release);
    }
}
