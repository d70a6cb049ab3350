// Reef for plugins in JavaScript: commands, batches and replies as JavaScript values.
//
// What crosses to the server is laid out in columns (see wit/types.wit); nobody but this file knows.
// It belongs to this project: change what you like.
//
// A reply of the server becomes null, true for OK, a number (a BigInt when it is too large for one), a
// boolean, a Uint8Array, an array or a Map; an error inside a reply becomes a ReefError among the
// others. What a command returns is turned into a reply in the same way; strings may stand for
// bytes, and there are Set, plain objects, `OK` and `new Status('...')`. A command that has nothing to
// answer yet returns `new Park(...)`. `context` tells the time, the configuration and who calls.
//
// What a command throws beside a ReefError is an error for the caller, and stands in PLUGIN LOG.

import * as context from 'reef:plugin/context@0.1.0';
import * as engine from 'reef:plugin/engine@0.1.0';

export { context };

export const OK = Symbol('OK');

/** A reply that only says how it went, as redis-cli shows it without quotes. */
export class Status {
  constructor(text) {
    this.text = text;
  }
}

/** An error as clients see it: an upper-case code, and a line of text. */
export class ReefError extends Error {
  constructor(message, code = 'ERR') {
    super(message);
    this.code = code;
  }
}

/**
 * "Call me again when one of these keys is written, or after so long": what a command returns that is
 * declared as `blocking`. It begins anew then, with the same arguments; `timedOut()` tells whether its time
 * is over. The time counts from when the client called; 0 is without end.
 */
export class Park {
  constructor(keys, { timeoutMs = 0 } = {}) {
    this.keys = keys;
    this.timeoutMs = timeoutMs;
  }

  deadline() {
    return this.timeoutMs > 0 ? context.invokedAt() + BigInt(Math.ceil(this.timeoutMs)) : 0n;
  }
}

let isOver = false;

/** Whether this call was parked, and its time is over. */
export const timedOut = () => isOver;

/** Another client was faster: read again, decide again. `retry` does. */
export class Stale extends Error {}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const text = (bytes) => decoder.decode(bytes);

const bytes = (value) => (value instanceof Uint8Array ? value : encoder.encode(String(value)));

function concatenated(parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function items(values) {
  const parts = [...values].map(bytes);
  return { lengths: Uint32Array.from(parts, (part) => part.length), data: concatenated(parts) };
}

function columns(commands) {
  const { lengths, data } = items(commands.flat());
  return { counts: Uint32Array.from(commands, (command) => command.length), lengths, data };
}

/** Runs a step; what it was refused with is thrown as a ReefError. */
function step(run) {
  try {
    return run();
  } catch (error) {
    const { tag, val } = error.payload ?? error;
    if (tag === undefined) throw error;
    if (Array.isArray(val)) throw new ReefError(val[1].message, val[1].code);
    if (tag === 'read-only') {
      // The text begins with its own code.
      const [code, ...message] = val.split(' ');
      throw new ReefError(message.join(' '), code);
    }
    const [code, text] = REFUSALS[tag] ?? ['ERR', tag];
    throw new ReefError(val ?? text, code);
  }
}

const REFUSALS = {
  'access-denied': ['NOPERM'],
  'batch-too-large': ['ERR', 'batch too large'],
  'out-of-memory': ['OOM', "command not allowed when used memory > 'maxmemory'."],
  'quota-exceeded': ['QUOTA'],
  'cross-slot': ['CROSSSLOT', "Keys in request don't hash to the same slot"],
};

/** Reads replies from their pre-order walk. */
class Walk {
  constructor({ nodes, data }) {
    this.nodes = nodes[Symbol.iterator]();
    this.data = data;
    this.at = 0;
  }

  bytes(length) {
    this.at += length;
    return this.data.slice(this.at - length, this.at);
  }

  value() {
    const { tag, val } = this.nodes.next().value;
    switch (tag) {
      case 'nil':
        return null;
      case 'ok':
        return true;
      case 'integer':
        return Number.isSafeInteger(Number(val)) ? Number(val) : val;
      case 'bulk':
      case 'status':
        return this.bytes(val);
      case 'error': {
        const [code, ...message] = text(this.bytes(val)).split(' ');
        return new ReefError(message.join(' '), code);
      }
      case 'array':
      case 'set':
        return this.values(val);
      case 'pairs':
        return new Map(Array.from({ length: val }, () => [this.value(), this.value()]));
      default:
        return val;
    }
  }

  values(count) {
    return Array.from({ length: count }, () => this.value());
  }
}

/**
 * Runs read-only commands, each an array, at one instant. Gives their replies, and one version for each
 * watched key, to be guarded by a batch.
 */
export function read(commands, watch = []) {
  const view = step(() => engine.read(columns(commands), items(watch)));
  return { replies: new Walk(view.replies).values(commands.length), versions: [...view.versions] };
}

/**
 * Runs commands, each an array, as one batch: all or nothing; gives their replies. With `guards`
 * (pairs of a key and its version) or keys that must be `absent` it may throw Stale.
 */
export function apply(commands, { guards = [], absent = [] } = {}) {
  const outcome = step(() =>
    engine.apply({
      guards: {
        keys: items(guards.map(([key]) => key)),
        versions: BigUint64Array.from(guards, ([, version]) => version),
        absent: items(absent),
      },
      commands: columns(commands),
      onError: 'roll-back',
      discardReplies: false,
    }),
  );
  if (outcome.tag === 'stale') throw new Stale();
  return new Walk(outcome.val).values(commands.length);
}

/**
 * Runs a function that reads, decides and applies until it throws Stale no more. A call's budget of CPU
 * time ends what never ends.
 */
export function retry(round, times = 1000) {
  for (let turn = 0; turn < times; turn += 1) {
    try {
      return round();
    } catch (error) {
      if (!(error instanceof Stale)) throw error;
    }
  }
  throw new ReefError('too many concurrent changes of the same keys, try again', 'CONTENDED');
}

/** Builds the walk of one reply. */
class Reply {
  nodes = [];
  parts = [];

  leaf(tag, value) {
    const part = bytes(value);
    this.parts.push(part);
    this.nodes.push({ tag, val: part.length });
  }

  list(tag, values) {
    this.nodes.push({ tag, val: values.length });
    values.flat(tag === 'pairs' ? 1 : 0).forEach((value) => this.add(value));
  }

  add(value) {
    if (value === null || value === undefined) this.nodes.push({ tag: 'nil' });
    else if (value === OK) this.nodes.push({ tag: 'ok' });
    else if (typeof value === 'boolean') this.nodes.push({ tag: 'boolean', val: value });
    else if (typeof value === 'bigint') this.nodes.push({ tag: 'integer', val: value });
    else if (Number.isSafeInteger(value)) this.nodes.push({ tag: 'integer', val: BigInt(value) });
    else if (typeof value === 'number') this.nodes.push({ tag: 'double', val: value });
    else if (typeof value === 'string' || value instanceof Uint8Array) this.leaf('bulk', value);
    else if (value instanceof Status) this.leaf('status', value.text);
    else if (value instanceof ReefError) this.leaf('error', `${value.code} ${value.message}`);
    else if (Array.isArray(value)) this.list('array', value);
    else if (value instanceof Set) this.list('set', [...value]);
    else if (value instanceof Map) this.list('pairs', [...value]);
    else this.list('pairs', Object.entries(value));
  }
}

function split({ lengths, data }) {
  let at = 0;
  return Array.from(lengths, (length) => data.slice(at, (at += length)));
}

/** The component's export: what the plugin is, and what its commands run, in the order of the list. */
export function plugin({ name, version, summary, wants, commands }) {
  const described = commands.map((command) => ({
    name: command.name,
    usage: command.usage ?? '',
    summary: command.summary ?? '',
    complexity: command.complexity ?? 'O(1)',
    since: command.since ?? version,
    arity: command.arity,
    flags: command.flags ?? {},
    firstKey: command.keys?.[0] ?? 0,
    lastKey: command.keys?.[1] ?? 0,
    keyStep: command.keys?.[2] ?? 0,
  }));
  return {
    describe: () => ({ name, version, summary, commands: described, wants }),
    call(index, cause, words) {
      isOver = cause.tag === 'timed-out';
      const reply = new Reply();
      try {
        const answer = commands[index].run(...split(words).slice(1));
        if (answer instanceof Park) {
          return { tag: 'park', val: { keys: items(answer.keys), deadline: answer.deadline() } };
        }
        reply.add(answer);
      } catch (error) {
        throw refused(error);
      }
      return { tag: 'reply', val: { nodes: reply.nodes, data: concatenated(reply.parts) } };
    },
  };
}

/** What the caller hears of something thrown; where that was no refusal, the log has where it came from. */
function refused(error) {
  if (error instanceof ReefError) return { code: error.code, message: error.message };
  const lines = `${error}\n${error?.stack ?? ''}`.split('\n').filter((line) => line !== '');
  lines.forEach((line) => context.log('error', line));
  return { code: 'ERR', message: lines[0] ?? 'the plugin failed' };
}
