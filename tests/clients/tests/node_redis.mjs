// node-redis against a server: node node_redis.mjs PORT

import assert from "node:assert/strict";
import { createClient } from "redis";

const port = Number(process.argv[2]);

for (const RESP of [2, 3]) {
  const client = createClient({ socket: { port, host: "127.0.0.1" }, RESP });
  client.on("error", () => {}); // Ended connections are part of the test.
  await client.connect();
  await client.flushAll();

  // Commands of one tick are pipelined.
  const pushes = Array.from({ length: 2000 }, (_, number) => client.rPush("log", String(number)));
  assert.deepEqual(await Promise.all(pushes), Array.from({ length: 2000 }, (_, n) => n + 1));
  const log = await client.lRange("log", 0, -1);
  assert.deepEqual(log, Array.from({ length: 2000 }, (_, n) => String(n)));

  const [, two] = await client.multi().set("a", 1).incr("a").exec();
  assert.equal(two, 2);
  const results = await client.multi().incr("a").incr("log").incr("a").exec().catch((e) => e);
  assert.match(String(results.errors().next().value ?? results), /WRONGTYPE/);
  assert.equal(await client.get("a"), "4");

  const words = ["TX.CREATE", "r", "7", "0x1", "5", "ID", "t"];
  assert.equal(await client.sendCommand(words), "t");
  assert.match(await client.sendCommand(["TX.UPDATE", "t", "sent"]), /"status":"sent"/);
  await assert.rejects(client.sendCommand(["TX.UPDATE", "t", "pending"]), /cannot be pending/);

  await client.mSet(Object.fromEntries(log.map((n) => [`key:${n}`, n])));
  const found = new Set();
  for await (const keys of client.scanIterator({ MATCH: "key:*", COUNT: 100 })) {
    for (const key of [keys].flat()) found.add(key);
  }
  assert.equal(found.size, 2000);

  const big = "0123456789".repeat(1_000_000);
  await client.set("big", big);
  assert.equal(await client.get("big"), big);

  // A connection that was ended is replaced.
  const victim = await client.sendCommand(["CLIENT", "ID"]);
  const other = await client.duplicate().connect();
  const back = new Promise((resolve) => client.once("ready", resolve));
  assert.equal(await other.sendCommand(["CLIENT", "KILL", "ID", String(victim)]), 1);
  await back;
  await client.set("after", "kill");
  assert.equal(await client.get("after"), "kill");
  assert.notEqual(await client.sendCommand(["CLIENT", "ID"]), victim);
  other.destroy();
  client.destroy();
}

console.log("all well");
