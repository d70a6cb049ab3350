"""The ping test of libp2p's interoperability matrix with py-libp2p, in both roles.

It follows the document of that test: `RPUSH listenerAddr` and `BLPOP listenerAddr`, its environment and its
lines. It knows nothing of Reef.
"""

import os
import sys
import time

import multiaddr
import redis
import trio
from libp2p import new_host
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.custom_types import TProtocol
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import Yamux

PING = TProtocol("/ipfs/ping/1.0.0")
NOISE = TProtocol("/noise")
YAMUX = TProtocol("/yamux/1.0.0")
PING_BYTES = 32


def say(text):
    print(text, file=sys.stderr, flush=True)


def host():
    pair = create_new_key_pair()
    noise = NoiseTransport(libp2p_keypair=pair, noise_privkey=create_noise_key_pair().private_key)
    return new_host(key_pair=pair, muxer_opt={YAMUX: Yamux}, sec_opt={NOISE: noise})


async def answer(stream):
    try:
        while True:
            payload = await stream.read(PING_BYTES)
            if not payload:
                break
            await stream.write(payload)
    except Exception:
        # The other side has gone.
        await stream.reset()


async def listen(store, timeout):
    say("Running as listener")
    node = host()
    node.set_stream_handler(PING, answer)
    address = multiaddr.Multiaddr(f"/ip4/{os.environ.get('ip', '0.0.0.0')}/tcp/0")
    async with node.run(listen_addrs=[address]):
        mine = str(node.get_addrs()[0])
        say(f"Publishing address to Redis: {mine}")
        store.rpush("listenerAddr", mine)
        say(f"Waiting for {timeout} seconds...")
        await trio.sleep(timeout)


async def dial(store, timeout):
    say("Running as dialer")
    say("Waiting for listener address from Redis...")
    found = await trio.to_thread.run_sync(lambda: store.blpop("listenerAddr", timeout=timeout))
    if not found:
        raise RuntimeError("Timeout waiting for listener address")
    say(f"Got listener address: {found[1]}")
    node = host()
    async with node.run(listen_addrs=[]):
        peer = info_from_p2p_addr(multiaddr.Multiaddr(found[1]))
        say(f"Connecting to {found[1]}")
        begun = time.monotonic()
        await node.connect(peer)
        say("Creating ping stream")
        stream = await node.new_stream(peer.peer_id, [PING])
        say(f"sending ping to {peer.peer_id}")
        sent = time.monotonic()
        payload = os.urandom(PING_BYTES)
        await stream.write(payload)
        echo = b""
        while len(echo) < PING_BYTES:
            part = await stream.read(PING_BYTES - len(echo))
            if not part:
                raise RuntimeError("the stream ended")
            echo += part
        done = time.monotonic()
        if echo != payload:
            raise RuntimeError("another pong than the ping")
        say(f"received pong from {peer.peer_id}")
        whole, rtt = (done - begun) * 1000, (done - sent) * 1000
        print(f'{{"handshakePlusOneRTTMillis": {whole:.2f}, "pingRTTMilllis": {rtt:.2f}}}', flush=True)
        # What it had to do is done; a peer that does not close is nobody's loss.
        os._exit(0)


def main():
    address = os.environ.get("redis_addr", "localhost:6379")
    name, port = address.rsplit(":", 1)
    timeout = int(os.environ.get("test_timeout_seconds", "15"))
    store = redis.Redis(host=name, port=int(port), decode_responses=True)
    store.ping()
    say(f"Connected to Redis at {address}")
    role = dial if os.environ["is_dialer"] == "true" else listen
    trio.run(role, store, timeout)


main()
