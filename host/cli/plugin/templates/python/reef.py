"""Reef for plugins in Python: commands, batches and replies as Python values.

What crosses to the server is laid out in columns (see wit/types.wit); nobody but this file knows.
It belongs to this project: change what you like.

A reply of the server becomes None, True for OK, int, float, bool, bytes, list or dict; an error
inside a reply becomes a ReefError among the others. What a command returns is turned into a reply in
the same way: None, bool, int, float, str, bytes, list, tuple, set, dict, OK, or Status("..."). A command
that has nothing to answer yet returns Park(...). `context` tells the time, the configuration and who calls.

An exception that no command catches is an error for the caller; where it came from is in PLUGIN LOG.
"""

from componentize_py_types import Err
from wit_world.exports import handler
from wit_world.imports import context, engine, types

OK = types.Node_Ok()

Flags = handler.CommandFlags


class Status(str):
    """A reply that only says how it went, as redis-cli shows it without quotes."""


class ReefError(Exception):
    """An error as clients see it: an upper-case code, and a line of text."""

    def __init__(self, message, code="ERR"):
        super().__init__(f"{code} {message}")
        self.code, self.message = code, message


class Park:
    """"Call me again when one of these keys is written, or after so long": what a command returns that is
    declared with Flags.BLOCKING. It begins anew then, with the same arguments; `plugin.timed_out` tells
    whether its time is over. The time counts from when the client called; 0 is without end."""

    def __init__(self, *keys, timeout_ms=0):
        self.keys, self.timeout_ms = keys, timeout_ms

    def deadline(self):
        return context.invoked_at() + int(self.timeout_ms) if self.timeout_ms else 0


class Stale(Exception):
    """Another client was faster: read again, decide again. `retry` does."""


def _bytes(value):
    if isinstance(value, bytes):
        return value
    return str(value).encode()


def _items(values):
    values = [_bytes(value) for value in values]
    return types.Items([len(value) for value in values], b"".join(values))


def _commands(commands):
    words = _items(word for command in commands for word in command)
    return types.Commands([len(command) for command in commands], words.lengths, words.data)


def _raised(error):
    """The error of a step as a ReefError."""
    value = getattr(error, "value", None)
    if isinstance(value, tuple):
        return ReefError(value[1].message, value[1].code)
    name = type(error).__name__.removeprefix("Error_")
    if name == "ReadOnly":
        # The text begins with its own code.
        code, _, message = value.partition(" ")
        return ReefError(message, code)
    code, text = _REFUSALS.get(name, ("ERR", name))
    return ReefError(value or text, code)


_REFUSALS = {
    "AccessDenied": ("NOPERM", ""),
    "BatchTooLarge": ("ERR", "batch too large"),
    "OutOfMemory": ("OOM", "command not allowed when used memory > 'maxmemory'."),
    "QuotaExceeded": ("QUOTA", ""),
    "CrossSlot": ("CROSSSLOT", "Keys in request don't hash to the same slot"),
}


class _Walk:
    """Reads replies from their pre-order walk."""

    def __init__(self, replies):
        self.nodes, self.data, self.at = iter(replies.nodes), replies.data, 0

    def text(self, length):
        self.at += length
        return self.data[self.at - length : self.at]

    def value(self):
        node = next(self.nodes)
        match node:
            case types.Node_Nil():
                return None
            case types.Node_Ok():
                return True
            case types.Node_Bulk(length) | types.Node_Status(length):
                return self.text(length)
            case types.Node_Error(length):
                code, _, message = self.text(length).decode().partition(" ")
                return ReefError(message, code)
            case types.Node_Array(count) | types.Node_Set(count):
                return [self.value() for _ in range(count)]
            case types.Node_Pairs(count):
                return {self.value(): self.value() for _ in range(count)}
            case _:
                return node.value

    def values(self, count):
        return [self.value() for _ in range(count)]


def read(*commands, watch=()):
    """Runs read-only commands, each a tuple, at one instant. Gives their replies; with `watch`, the
    replies and the versions of those keys, to be guarded by a batch."""
    try:
        view = engine.read(_commands(commands), _items(watch))
    except Err as error:
        raise _raised(error.value) from None
    replies = _Walk(view.replies).values(len(commands))
    return (replies, dict(zip(map(_bytes, watch), view.versions))) if watch else replies


def apply(*commands, guards=None, absent=()):
    """Runs commands, each a tuple, as one batch: all or nothing. With `guards` (versions by key, from
    `read`) or keys that must be `absent` it may raise Stale."""
    guards = guards or {}
    batch = engine.Batch(
        types.Guards(_items(guards.keys()), list(guards.values()), _items(absent)),
        _commands(commands),
        engine.OnError.ROLL_BACK,
        False,
    )
    try:
        outcome = engine.apply(batch)
    except Err as error:
        raise _raised(error.value) from None
    if isinstance(outcome, engine.Outcome_Stale):
        raise Stale
    return _Walk(outcome.value).values(len(commands))


def retry(round, times=1000):
    """Runs a function that reads, decides and applies until it is not Stale. A call's budget of CPU time ends
    what never ends."""
    for _ in range(times):
        try:
            return round()
        except Stale:
            continue
    raise ReefError("too many concurrent changes of the same keys, try again", "CONTENDED")


class _Reply:
    """Builds the walk of one reply."""

    def __init__(self):
        self.nodes, self.data = [], bytearray()

    def leaf(self, kind, value):
        value = _bytes(value)
        self.data += value
        self.nodes.append(kind(len(value)))

    def add(self, value):
        match value:
            case None:
                self.nodes.append(types.Node_Nil())
            case types.Node_Ok():
                self.nodes.append(value)
            case bool():
                self.nodes.append(types.Node_Boolean(value))
            case int():
                self.nodes.append(types.Node_Integer(value))
            case float():
                self.nodes.append(types.Node_Double(value))
            case Status():
                self.leaf(types.Node_Status, value)
            case ReefError():
                self.leaf(types.Node_Error, f"{value.code} {value.message}")
            case bytes() | str():
                self.leaf(types.Node_Bulk, value)
            case dict():
                self.nodes.append(types.Node_Pairs(len(value)))
                for key, member in value.items():
                    self.add(key)
                    self.add(member)
            case set() | frozenset():
                self.nodes.append(types.Node_Set(len(value)))
                for member in value:
                    self.add(member)
            case _:
                value = list(value)
                self.nodes.append(types.Node_Array(len(value)))
                for member in value:
                    self.add(member)


def _log_crash(message, trace):
    """Into PLUGIN LOG. The module `traceback` would look for source files, and there are none in a plugin."""
    context.log(context.Level.ERROR, message)
    while trace is not None:
        code = trace.tb_frame.f_code
        where = f"{code.co_filename}:{trace.tb_lineno}, in {code.co_name}"
        context.log(context.Level.ERROR, where)
        trace = trace.tb_next


class Plugin:
    """What the plugin is, and its commands in the order of their declaration."""

    def __init__(self, name, version, summary, wants):
        self.name, self.version, self.summary, self.wants = name, version, summary, wants
        self.commands, self.functions = [], []
        self.timed_out = False

    def command(self, name, *, arity, usage="", summary="", complexity="O(1)", since=None,
                flags=Flags(0), keys=(0, 0, 0)):
        """Declares the function below it as a command. It gets its arguments as bytes."""

        def declare(function):
            since_version = since or self.version
            self.commands.append(handler.Command(
                name, usage, summary, complexity, since_version, arity, flags, *keys))
            self.functions.append(function)
            return function

        return declare

    def describe(self):
        return handler.Manifest(self.name, self.version, self.summary, self.commands, self.wants)

    def call(self, command, cause, arguments):
        self.timed_out = isinstance(cause, handler.Cause_TimedOut)
        at, words = 0, []
        for length in arguments.lengths:
            words.append(arguments.data[at : at + length])
            at += length
        try:
            answer = self.functions[command](*words[1:])
        except ReefError as error:
            raise Err(types.CommandError(error.code, error.message)) from None
        except Exception as error:
            message = f"{type(error).__name__}: {error}".replace("\n", " ")
            _log_crash(message, error.__traceback__)
            raise Err(types.CommandError("ERR", message)) from None
        if isinstance(answer, Park):
            return handler.Outcome_Park(handler.Park(_items(answer.keys), answer.deadline()))
        reply = _Reply()
        reply.add(answer)
        return handler.Outcome_Reply(types.Replies(reply.nodes, bytes(reply.data)))
