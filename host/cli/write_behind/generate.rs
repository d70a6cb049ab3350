//! `reef write-behind generate`: sessions that are created, changed and deleted, in the shares of the
//! file, each change with its event or without, and waited for as the file says.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Asked, load};
use crate::cli::Failure;
use crate::cli::progress;
use crate::cli::table::grouped;
use crate::config::pipeline::{PipelineFile, ZeroDataLoss};

/// The first user; the others have the numbers after it.
const FIRST_USER: u64 = 4_554;
/// How many users there are.
const USERS: u64 = 1_000;
const DEVICES: &[(&str, &str)] = &[
    ("android", "Pixel 8"),
    ("ios", "iPhone 15"),
    ("android", "Galaxy S24"),
    ("web", "Firefox"),
    ("ios", "iPad Air"),
];

/// Arguments of `reef write-behind generate`.
#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// The pipeline's file.
    file: PathBuf,
    /// How many operations; as many as the file says if it is not given.
    #[arg(long)]
    count: Option<u64>,
    /// Where chance begins: the same number makes the same choices.
    #[arg(long)]
    seed: Option<u64>,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::cli) struct Generated {
    pub(in crate::cli) created: u64,
    pub(in crate::cli) updated: u64,
    pub(in crate::cli) deleted: u64,
    /// Changes that too few copies confirmed in time.
    pub(in crate::cli) unconfirmed: u64,
}

pub(super) fn run(args: &GenerateArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let file = load(&args.file)?;
    let count = args.count.unwrap_or(file.dummy_data.num_records);
    let seed = match args.seed {
        Some(seed) => seed,
        None => getrandom::u64().map_err(|error| Failure::new(error.to_string()))?,
    };
    let made = generate(&file, count, seed)?;
    let [created, updated, deleted] = [made.created, made.updated, made.deleted].map(grouped);
    writeln!(out, "{created} sessions created, {updated} updated, {deleted} deleted")?;
    if made.unconfirmed > 0 {
        let unconfirmed = grouped(made.unconfirmed);
        return Err(Failure::new(format!(
            "{unconfirmed} changes were not confirmed by as many copies as zero_data_loss wants"
        )));
    }
    Ok(())
}

/// Makes so many changes.
pub(in crate::cli) fn generate(
    file: &PipelineFile,
    count: u64,
    seed: u64,
) -> Result<Generated, Failure> {
    let mut generator =
        Generator { server: Asked::of(file), file, random: seed, there: Vec::new(), users: 0 };
    let mut made = Generated::default();
    let bar = progress::bar(count);
    for _ in 0..count {
        generator.change(&mut made)?;
        if !generator.confirmed(&file.zero_data_loss)? {
            made.unconfirmed += 1;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(made)
}

struct Generator<'a> {
    server: Asked,
    file: &'a PipelineFile,
    random: u64,
    /// Sessions that are there.
    there: Vec<String>,
    users: u64,
}

impl Generator<'_> {
    /// SplitMix64: choices that can be made again.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn change(&mut self, made: &mut Generated) -> Result<(), Failure> {
        let data = &self.file.dummy_data;
        let (create, update) = (data.create_pct, data.create_pct + data.update_pct);
        let chance = (self.random() >> 11) as f64 / (1_u64 << 53) as f64;
        if chance < create || self.there.is_empty() {
            made.created += 1;
            self.create()
        } else if chance < update {
            made.updated += 1;
            self.update()
        } else {
            made.deleted += 1;
            self.delete()
        }
    }

    fn create(&mut self) -> Result<(), Failure> {
        let number = self.random();
        let id = format!("{number:016x}");
        let (kind, model) = DEVICES[(number % DEVICES.len() as u64) as usize];
        let user = FIRST_USER + self.users % USERS;
        self.users += 1;
        let session = json!({
            "user_id": format!("user_{user}"),
            "session_id": format!("sess_{id}"),
            "device_type": kind,
            "device_model": model,
            "ip_address": format!("10.{}.{}.{}", number >> 8 & 255, number >> 16 & 255, number >> 24 & 255),
            "status": "active",
            "pages": 1,
        })
        .to_string();
        let entity = self.file.write_behind.entity.clone();
        if self.file.dummy_data.perform_write_behind.insert {
            self.server.ask_words(&["DOC.INSERT", &entity, &session, "ID", &id])?;
        } else {
            self.server.ask_words(&["JSON.SET", &format!("{entity}:{id}"), "$", &session])?;
        }
        self.there.push(id);
        Ok(())
    }

    fn update(&mut self) -> Result<(), Failure> {
        let number = self.random();
        let id = self.there[(number % self.there.len() as u64) as usize].clone();
        let patch = json!({"status": "idle", "pages": number % 100}).to_string();
        let entity = self.file.write_behind.entity.clone();
        if self.file.dummy_data.perform_write_behind.update {
            self.server.ask_words(&["DOC.UPDATE", &entity, &id, &patch])?;
        } else {
            self.server.ask_words(&["JSON.MERGE", &format!("{entity}:{id}"), "$", &patch])?;
        }
        Ok(())
    }

    fn delete(&mut self) -> Result<(), Failure> {
        let number = self.random();
        let id = self.there.swap_remove((number % self.there.len() as u64) as usize);
        let entity = self.file.write_behind.entity.clone();
        if self.file.dummy_data.perform_write_behind.delete {
            self.server.ask_words(&["DOC.DELETE", &entity, &id])?;
        } else {
            self.server.ask_words(&["JSON.DEL", &format!("{entity}:{id}")])?;
        }
        Ok(())
    }

    /// Waits for copies; whether as many have the last change as there have to be.
    fn confirmed(&mut self, wanted: &ZeroDataLoss) -> Result<bool, Failure> {
        if !wanted.enabled {
            return Ok(true);
        }
        let timeout = wanted.wait_timeout_ms.to_string();
        let mut is_confirmed = true;
        if wanted.wait_for_replicas {
            let replicas = wanted.replicas.to_string();
            let reply = self.server.ask_words(&["WAIT", &replicas, &timeout])?;
            is_confirmed &= reply.walk().number().unwrap_or(0) >= u64::from(wanted.replicas);
        }
        if wanted.wait_for_aof_rewrite {
            let reply = self.server.ask_words(&["WAITAOF", "1", "0", &timeout])?;
            let mut walk = reply.walk();
            is_confirmed &= walk.list() == 2 && walk.number() == Some(1);
        }
        Ok(is_confirmed)
    }
}
