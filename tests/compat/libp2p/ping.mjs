// The ping test of libp2p's interoperability matrix with js-libp2p, in both roles: see ping.py.

import { createLibp2p } from "libp2p";
import { tcp } from "@libp2p/tcp";
import { noise } from "@chainsafe/libp2p-noise";
import { yamux } from "@chainsafe/libp2p-yamux";
import { identify } from "@libp2p/identify";
import { ping } from "@libp2p/ping";
import { multiaddr } from "@multiformats/multiaddr";
import { createClient } from "redis";

// js-libp2p 3 wants Node 22; what it misses in 20 is this.
Promise.withResolvers ??= function () {
  const resolvers = {};
  resolvers.promise = new this((resolve, reject) => Object.assign(resolvers, { resolve, reject }));
  return resolvers;
};

const say = (text) => process.stderr.write(`${text}\n`);
const address = process.env.redis_addr ?? "localhost:6379";
const seconds = Number(process.env.test_timeout_seconds ?? "15");
const isDialer = process.env.is_dialer === "true";

const store = createClient({ url: `redis://${address}` });
await store.connect();
await store.ping();
say(`Connected to Redis at ${address}`);

const node = await createLibp2p({
  addresses: { listen: isDialer ? [] : [`/ip4/${process.env.ip ?? "0.0.0.0"}/tcp/0`] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: { identify: identify(), ping: ping() },
});

try {
  if (isDialer) {
    say("Running as dialer");
    say("Waiting for listener address from Redis...");
    const found = await store.blPop("listenerAddr", seconds);
    if (found === null) {
      throw new Error("Timeout waiting for listener address");
    }
    say(`Got listener address: ${found.element}`);
    say(`Connecting to ${found.element}`);
    const target = multiaddr(found.element);
    const begun = performance.now();
    const connection = await node.dial(target);
    say("Creating ping stream");
    say(`sending ping to ${connection.remotePeer}`);
    const first = await node.services.ping.ping(target);
    const whole = performance.now() - begun;
    say(`received pong from ${connection.remotePeer}`);
    const figures = { handshakePlusOneRTTMillis: whole, pingRTTMilllis: first };
    process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit(0));
  } else {
    say("Running as listener");
    const mine = node.getMultiaddrs()[0].toString();
    say(`Publishing address to Redis: ${mine}`);
    await store.rPush("listenerAddr", mine);
    say(`Waiting for ${seconds} seconds...`);
    setTimeout(() => process.exit(0), seconds * 1000);
  }
} catch (error) {
  say(`Error: ${error.message}`);
  process.exit(1);
}
