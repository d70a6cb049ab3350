//! `reef demo fault-tolerance`: clients that die, networks that fail, kills, crowds and full disks;
//! and what was promised is there after each.
//!
//! Every server is a process of its own, so that `kill -9` is one.

mod crowd;
mod disk;
mod kills;
mod partition;
mod waiters;

use super::stage::Stage;
use crate::cli::Failure;

/// Shows all of it.
pub(super) fn show(stage: &mut Stage<'_>) -> Result<(), Failure> {
    waiters::show(stage)?;
    partition::clients(stage)?;
    partition::replica(stage)?;
    kills::show(stage)?;
    crowd::show(stage)?;
    disk::show(stage)
}
