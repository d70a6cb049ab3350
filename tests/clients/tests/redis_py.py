"""redis-py against a server: python3 redis_py.py PORT PROTOCOL"""

import sys

import redis

port, protocol = int(sys.argv[1]), int(sys.argv[2])


def connect():
    return redis.Redis(port=port, protocol=protocol, decode_responses=True)


r = connect()
r.flushall()
assert r.ping()

# Pipelines, in order, and with an error in the middle.
pipe = r.pipeline(transaction=False)
for number in range(2000):
    pipe.rpush("log", number)
assert pipe.execute() == list(range(1, 2001))
assert r.lrange("log", 0, -1) == [str(number) for number in range(2000)]
pipe = r.pipeline(transaction=False)
pipe.incr("counter").incr("log").incr("counter")
one, error, two = pipe.execute(raise_on_error=False)
assert (one, two) == (1, 2) and isinstance(error, redis.ResponseError), error

# MULTI, and WATCH that is broken once.
with r.pipeline() as pipe:
    assert pipe.set("a", 1).incr("a").execute() == [True, 2]
rounds = 0


def double(pipe):
    global rounds
    rounds += 1
    before = int(pipe.get("a"))
    if rounds == 1:
        connect().incrby("a", 10)
    pipe.multi()
    pipe.set("a", before * 2)


r.transaction(double, "a")
assert (r.get("a"), rounds) == ("24", 2)

# A plugin's commands, alone and in a pipeline.
assert r.execute_command("TX.CREATE", "r", 7, "0x1", 5, "ID", "t") == "t"
pipe = r.pipeline(transaction=False)
pipe.execute_command("TX.UPDATE", "t", "sent")
pipe.smembers("relayer:r:status:sent")
json, members = pipe.execute()
assert '"status":"sent"' in json and members == {"t"}, (json, members)
try:
    r.execute_command("TX.CREATE", "r", 7, "0x1", 6)
    raise SystemExit("a nonce was used twice")
except redis.ResponseError as refused:
    assert "is used by 't'" in str(refused), refused
# A batch is atomic by itself; inside MULTI a plugin's command is refused, and nothing runs.
try:
    r.pipeline().set("never", 1).execute_command("TX.GET", "t").execute()
    raise SystemExit("a plugin's command ran inside MULTI")
except redis.ResponseError as refused:
    assert "not allowed inside a transaction" in str(refused), refused
assert r.get("never") is None

# Iteration.
r.mset({f"key:{number}": number for number in range(2000)})
assert len(set(r.scan_iter("key:*", count=100))) == 2000
r.sadd("set", *range(1000))
assert len(set(r.sscan_iter("set"))) == 1000
r.hset("hash", mapping={f"f{number}": number for number in range(1000)})
assert dict(r.hscan_iter("hash"))["f7"] == "7"
assert r.hgetall("hash")["f999"] == "999"
r.zadd("zset", {"a": 1.5, "b": 2})
scores = [tuple(pair) for pair in r.zrange("zset", 0, -1, withscores=True)]
assert scores == [("a", 1.5), ("b", 2.0)], scores

# Big values.
big = "0123456789" * 1_000_000
r.set("big", big)
assert r.get("big") == big

# A connection that was ended is replaced.
victim = r.client_id()
connect().client_kill_filter(_id=victim)
r.set("after", "kill")
assert r.get("after") == "kill" and r.client_id() != victim

print("all well")
