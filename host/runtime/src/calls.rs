//! The way of one call: instance, first slice, reply; and how any call ends.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use reef_engine::backend::{Called, Caller, Conclusion, Park, Wake};
use reef_resp::{Argv, Writer};

use crate::border::CommandError;
use crate::desk::Sampling;
use crate::failure::Failure;
use crate::instance::{Answer, Instance, Progress};
use crate::limits::{ERROR_BYTES_MAX, OVERSTAYING_PER_PLUGIN_MAX, SLICE_TICKS};
use crate::meter::Usage;
use crate::overstay::{Guest, Overstay};
use crate::parking::Refusal;
use crate::tally::{Cost, Ending, FIRST_SLICE_MAX, Sample};
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
    if let Some(pause) = plugin.breaker.pause() {
        reply.error(&texts::paused(&plugin.name, pause.failures, pause.wait_ms));
        return Called::Done;
    }
    if argv.bytes() as u64 > version.terms.limits.bytes {
        reply.error(&texts::arguments_too_large(&plugin.name, &version.terms.limits));
        return Called::Done;
    }
    let allowance = &version.terms.services.allowance;
    if let Err(limit) = allowance.may_begin(Instant::now) {
        reply.error(&texts::quota("cpu-ms-per-s", limit));
        return Called::Done;
    }
    // Refused before it costs this thread a slice.
    let room = plugin.overstaying.load(Relaxed) < OVERSTAYING_PER_PLUGIN_MAX;
    let Some(mut instance) = room.then(|| version.instance()).flatten() else {
        reply.error(&texts::too_many_calls(&plugin.name));
        return Called::Done;
    };
    let sampling = instance.begin_call(command, wake, caller, argv);
    let kill_mark = plugin.kill_mark();
    version.terms.services.ticker.touch();
    let is_sampled = sampling == Sampling::Measure;
    let started = (is_sampled || allowance.is_limited()).then(Instant::now);
    match instance.poll(started, Duration::ZERO) {
        Progress::Answered(answer, usage) => {
            let took = started.map(|started| started.elapsed());
            if let Some(took) = took {
                allowance.charge(took.min(FIRST_SLICE_MAX));
            }
            let cost = took.filter(|_| is_sampled).map(Cost::of_sample);
            match finish(&version, command, Some(instance), answer, usage, cost, reply) {
                Some(park) => Called::Parked(park),
                None => Called::Done,
            }
        }
        Progress::Running => {
            let (started, spent) = match started {
                Some(started) => (started, started.elapsed().min(FIRST_SLICE_MAX)),
                None => (Instant::now() - SLICE, SLICE),
            };
            let guest = Guest {
                version,
                command,
                instance,
                kill_mark,
                started,
                spent,
                protocol: reply.protocol(),
                conclusion: later(),
            };
            overstay.admit(guest);
            Called::Later
        }
    }
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
    version.terms.note(crate::border::Level::Error, &text);
    if failure.is_the_plugins() {
        version.terms.plugin.breaker.failure();
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
