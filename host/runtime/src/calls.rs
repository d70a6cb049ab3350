//! The way of one call: instance, first slice, reply; and how any call ends.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use reef_engine::backend::{Called, Caller, Conclusion, Park, Wake};
use reef_resp::{Argv, Writer};

use crate::border::{CommandError, Level};
use crate::breaker::Pause;
use crate::desk::Sampling;
use crate::failure::Failure;
use crate::instance::{Answer, Instance, Progress};
use crate::limits::{
    APART_BYTES_MAX, APART_PER_PLUGIN_MAX, ERROR_BYTES_MAX, INTERRUPTED_MAX,
    OVERSTAYING_PER_PLUGIN_MAX, SLICE_TICKS,
};
use crate::meter::Usage;
use crate::overstay::{Guest, Overstay, Stage};
use crate::parking::Refusal;
use crate::stopwatch::thread_cpu;
use crate::tally::{Cost, Ending, FIRST_SLICE_MAX, Sample};
use crate::ticker::Ticker;
use crate::version::Version;
use crate::{parking, texts, walk};

/// What a first slice is charged when nobody looked at the clock when it began.
const SLICE: Duration = Duration::from_millis(SLICE_TICKS);

/// Runs a command of a version on this thread, for one slice at most.
pub(crate) fn begin(
    version: Arc<Version>,
    command: u32,
    wake: Option<Wake<'_>>,
    (caller, argv): (&Caller, Argv<'_>),
    reply: &mut Writer,
    later: &mut dyn FnMut() -> Conclusion,
    overstay: &Overstay,
) -> Called {
    let plugin = &version.terms.plugin;
    let admitted = admit(&version, command, wake.is_some(), argv);
    let kill_mark = plugin.kill_mark();
    let protocol = reply.protocol();
    let mut instance = match admitted {
        Ok(Some(instance)) => instance,
        Ok(None) => {
            let stage = Stage::Waiting(caller.clone(), argv.into());
            overstay.admit(Guest::new(version, command, stage, kill_mark, protocol, later()));
            return Called::Later;
        }
        Err(text) => {
            reply.error(&text);
            return Called::Done;
        }
    };
    let sampling = instance.begin_call(command, wake, caller, argv);
    let allowance = &version.terms.services.allowance;
    version.terms.services.ticker.touch();
    let is_sampled = sampling == Sampling::Measure;
    let started = (is_sampled || allowance.is_limited()).then(Instant::now);
    let before = version.habit(command).is_to_be_timed().then(thread_cpu);
    let mut progress = instance.poll(started, Duration::ZERO);
    let mut more = Duration::ZERO;
    if matches!(progress, Progress::Running) {
        (progress, more) = go_on(&mut instance, &version.terms.services.ticker);
    }
    match progress {
        Progress::Answered(answer, usage) => {
            let took = started.map(|started| started.elapsed());
            if let Some(took) = took {
                allowance.charge(took.min(FIRST_SLICE_MAX));
                // The first call of an instance is long for its own reasons.
                if instance.calls() > 1 {
                    version.habit(command).lasted(took);
                }
            }
            if let Some(before) = before {
                version.habit(command).took(thread_cpu().saturating_sub(before));
            }
            let cost = took.filter(|_| is_sampled).map(Cost::of_sample);
            match finish(&version, command, Some(instance), answer, usage, cost, reply) {
                Some(park) => Called::Parked(park),
                None => Called::Done,
            }
        }
        Progress::Running => {
            version.habit(command).overstayed();
            let (started, spent) = match started {
                Some(started) => (started, started.elapsed().min(FIRST_SLICE_MAX)),
                None => (Instant::now() - SLICE, SLICE),
            };
            let stage = Stage::Begun(instance);
            let guest = Guest::new(version, command, stage, kill_mark, protocol, later());
            overstay.admit(Guest { started, spent: spent + more, slices: 1, ..guest });
            Called::Later
        }
    }
}

/// The instance in which a call begins on this thread, or none: it is to wait where long calls do. The
/// error is why it may not begin at all.
#[inline]
fn admit(
    version: &Version,
    command: u32,
    is_woken: bool,
    argv: Argv<'_>,
) -> Result<Option<Instance>, String> {
    may_begin(version, argv)?;
    let plugin = &version.terms.plugin;
    // Whoever was woken has waited long enough, and what woke it is not kept. Others wait if their
    // call may be a long one, or if there are too many of those already.
    let has_place = is_woken || plugin.overstaying.load(Relaxed) < OVERSTAYING_PER_PLUGIN_MAX;
    let is_apart = !is_woken
        && (!has_place || version.habit(command).is_slow())
        && argv.bytes() <= APART_BYTES_MAX;
    let instance = if is_apart || !has_place { None } else { version.instance() };
    let has_room = match is_apart {
        true => plugin.apart.load(Relaxed) < APART_PER_PLUGIN_MAX,
        false => instance.is_some(),
    };
    has_room.then_some(instance).ok_or_else(|| texts::too_many_calls(&plugin.name))
}

/// Lets a call go on that has not ended within its first slice, until it has used some CPU time more:
/// how much that was. A slice is over when the clock says so, and on a machine with more work than
/// cores that clock runs while this thread waits for its turn. A short call that was interrupted is no
/// long one.
#[cold]
fn go_on(instance: &mut Instance, ticker: &Ticker) -> (Progress, Duration) {
    let before = thread_cpu();
    loop {
        // While this thread had no core the ticker may have fallen asleep.
        ticker.touch();
        let progress = instance.poll(Some(Instant::now()), SLICE);
        let more = thread_cpu().saturating_sub(before);
        if more >= INTERRUPTED_MAX || !matches!(progress, Progress::Running) {
            return (progress, more);
        }
    }
}

/// Why a call may not begin, if it may not: said before it costs anybody a slice.
#[inline]
fn may_begin(version: &Version, argv: Argv<'_>) -> Result<(), String> {
    let plugin = &version.terms.plugin;
    if let Some(pause) = plugin.breaker.pause() {
        plugin.breaker.refuse();
        return Err(texts::paused(&plugin.name, pause.failures, pause.wait_ms));
    }
    if argv.bytes() as u64 > version.terms.limits.bytes {
        return Err(texts::arguments_too_large(&plugin.name, &version.terms.limits));
    }
    let may_begin = version.terms.services.allowance.may_begin(Instant::now);
    may_begin.map_err(|limit| texts::quota("cpu-ms-per-s", limit))
}

/// Says the answer to the client, counts the call, keeps or drops the instance. Gives what the call
/// is to be parked on, if it is.
#[inline]
pub(crate) fn finish(
    version: &Version,
    command: u32,
    instance: Option<Instance>,
    answer: Answer,
    usage: Usage,
    cost: Option<Cost>,
    reply: &mut Writer,
) -> Option<Box<Park>> {
    let mut park = None;
    let (ending, survives) = match answer {
        Answer::Reply(replies) => match walk::say(&replies, reply) {
            Ok(false) => (Ending::Reply, true),
            Ok(true) => (Ending::Error, true),
            Err(reason) => (fail(version, &Failure::InvalidReply(reason), reply), false),
        },
        Answer::Refused(error) => {
            refuse(&error, reply);
            (Ending::Error, true)
        }
        Answer::Park(claim, invoked_ms) => {
            match parking::check(version, command, &claim, invoked_ms) {
                Ok(checked) => {
                    park = Some(Box::new(checked));
                    (Ending::Reply, true)
                }
                Err(Refusal::Invalid(reason)) => {
                    (fail(version, &Failure::InvalidReply(reason), reply), false)
                }
                Err(Refusal::Denied(text)) => {
                    reply.error(&text);
                    (Ending::Error, true)
                }
            }
        }
        Answer::Failed(failure) => (fail(version, &failure, reply), false),
        Answer::Manifest(_) | Answer::Triggers(_) | Answer::Effects(_) => {
            let reason = "it described itself instead";
            (fail(version, &Failure::InvalidReply(reason), reply), false)
        }
    };
    if survives {
        version.terms.plugin.breaker.success();
    }
    let sample = Sample { ending, usage, cost };
    version.pool.put(instance.filter(|_| survives), command, &sample);
    park
}

#[cold]
fn fail(version: &Version, failure: &Failure, reply: &mut Writer) -> Ending {
    let text = failure.text(version.name(), &version.terms.limits);
    reply.error(&text);
    version.terms.note(Level::Error, &text);
    if failure.is_the_plugins() {
        let now_ms = version.terms.services.backend.now_ms();
        if let Some(pause) = version.terms.plugin.breaker.failure(now_ms, &text) {
            let Pause { failures, wait_ms } = pause;
            let line = format!("paused for {wait_ms} ms after {failures} failures in a row");
            version.terms.note(Level::Warning, &line);
        }
    }
    Ending::from(failure)
}

/// Says a handler's error: the code must look like one, the message is cut to a line.
fn refuse(error: &CommandError, reply: &mut Writer) {
    let is_code = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let valid = (1..=32).contains(&error.code.len()) && error.code.bytes().all(is_code);
    let code = if valid { error.code.as_str() } else { "ERR" };
    let mut end = error.message.len().min(ERROR_BYTES_MAX);
    while !error.message.is_char_boundary(end) {
        end -= 1;
    }
    reply.error(&format!("{code} {}", &error.message[..end]));
}
