"""The plugin {{name}}: its commands."""

import reef
from greeting import greeting
from reef import Flags, Plugin, ReefError
from wit_world import exports

plugin = Plugin(
    name="{{name}}",
    version="0.1.0",
    summary="Greets people.",
    # What it has to be granted when it is loaded: commands it runs, keys it touches.
    wants=["INCR", "RPUSH", "GET", "~{{name}}:*"],
)


@plugin.command(
    "{{NAME}}.GREET",
    arity=2,
    usage="name",
    summary="Greets somebody and says how often that happened.",
    flags=Flags.WRITE | Flags.DENYOOM,
)
def greet(name):
    if not name:
        raise ReefError("nobody has no name")
    # Both or none: if `{{name}}:log` is no list, nobody is counted.
    times, _ = reef.apply(("INCR", b"{{name}}:count:" + name), ("RPUSH", "{{name}}:log", name))
    return greeting(name.decode(errors="replace"), times)


@plugin.command(
    "{{NAME}}.COUNT",
    arity=2,
    usage="name",
    summary="Says how often somebody was greeted.",
    flags=Flags.READONLY | Flags.FAST,
)
def count(name):
    (times,) = reef.read(("GET", b"{{name}}:count:" + name))
    return int(times or 0)


class Handler(exports.Handler):
    """What the component exports."""

    def describe(self):
        return plugin.describe()

    def call(self, command, cause, arguments):
        return plugin.call(command, cause, arguments)
