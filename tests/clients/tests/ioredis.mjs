// ioredis against a server: node ioredis.mjs PORT

import assert from "node:assert/strict";
import { Redis } from "ioredis";

const port = Number(process.argv[2]);

for (const enableAutoPipelining of [false, true]) {
  const client = new Redis(port, "127.0.0.1", { enableAutoPipelining });
  client.on("error", () => {}); // Ended connections are part of the test.
  await client.flushall();

  const pipeline = client.pipeline();
  for (let number = 0; number < 2000; number++) pipeline.rpush("log", number);
  const results = await pipeline.exec();
  assert.deepEqual(results, Array.from({ length: 2000 }, (_, n) => [null, n + 1]));
  const log = await client.lrange("log", 0, -1);
  assert.deepEqual(log, Array.from({ length: 2000 }, (_, n) => String(n)));

  // Joined commands keep their order, too.
  const counted = await Promise.all(log.map(() => client.incr("counter")));
  assert.deepEqual(counted, Array.from({ length: 2000 }, (_, n) => n + 1));

  const mixed = await client.multi().set("a", 1).incr("log").incr("a").exec();
  assert.equal(mixed[0][1], "OK");
  assert.match(mixed[1][0].message, /WRONGTYPE/);
  assert.equal(mixed[2][1], 2);

  assert.equal(await client.call("TX.CREATE", "r", 7, "0x1", 5, "ID", "t"), "t");
  const both = await client.pipeline().call("TX.UPDATE", "t", "sent").call("TX.GET", "t").exec();
  assert.equal(both[0][1], both[1][1]);
  await assert.rejects(client.call("TX.UPDATE", "t", "pending"), /cannot be pending/);

  await client.mset(log.flatMap((n) => [`key:${n}`, n]));
  const found = new Set();
  for await (const keys of client.scanStream({ match: "key:*", count: 100 })) {
    for (const key of keys) found.add(key);
  }
  assert.equal(found.size, 2000);

  const big = "0123456789".repeat(1_000_000);
  await client.set("big", big);
  assert.equal(await client.get("big"), big);

  // A connection that was ended is replaced.
  const victim = await client.client("ID");
  const other = client.duplicate();
  const back = new Promise((resolve) => client.once("ready", resolve));
  assert.equal(await other.client("KILL", "ID", victim), 1);
  await back;
  await client.set("after", "kill");
  assert.equal(await client.get("after"), "kill");
  assert.notEqual(await client.client("ID"), victim);
  other.disconnect();
  client.disconnect();
}

console.log("all well");
