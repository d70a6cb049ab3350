#!/bin/sh
# Two tenants on the server at port $1: one hostile, and its neighbour, whose latency is shown live,
# once a second: alone, and then beside the other.
set -eu
port=$1
folder=$(dirname "$0")
component=$folder/target/wasm32-wasip2/release/hostile.wasm

operator() { redis-cli -e -p "$port" "$@"; }
hostile() { redis-cli -p "$port" --no-auth-warning --user hostile --pass secret-h "$@"; }
neighbour() { redis-cli -e -p "$port" --no-auth-warning --user neighbour --pass secret-n "$@"; }

# One second of PING, in milliseconds.
show_latency() {
    neighbour --latency --raw | { read -r least most average count || true
        echo "$1: least $least, average $average, most $most ms of $count pings"; }
}

# One connection that does what it can, for a while.
attack() {
    yes "$1" | timeout 8 redis-cli -p "$port" --no-auth-warning --user hostile --pass secret-h \
        >/dev/null 2>&1 || true
}

echo "operator: two tenants, one of them with limits"
operator TENANT CREATE hostile PASSWORD secret-h \
    LIMIT cpu-ms-per-s 100 memory 8mb ops-per-s 2000 connections 4
operator TENANT CREATE neighbour PASSWORD secret-n
echo "hostile: loads a plugin of its own"
hostile -X component PLUGIN LOAD hostile component GRANT SET '~flood:*' <"$component"
neighbour SET greeting hello

for second in 1 2 3; do show_latency "alone  $second s"; done
echo "hostile: spins, eats memory and floods, on three connections"
attack HOSTILE.SPIN &
attack HOSTILE.EAT &
attack HOSTILE.FLOOD &
for second in 1 2 3 4 5; do show_latency "beside $second s"; done

echo "what stops the hostile one is named, and is its own:"
for command in HOSTILE.SPIN HOSTILE.FLOOD 'SET more memory'; do
    # shellcheck disable=SC2086
    hostile $command
done
echo "neighbour: has all it had"
neighbour GET greeting
wait
operator TENANT INFO hostile | paste - - | grep -E 'commands|refused|used-memory'
operator TENANT DROP hostile
operator TENANT DROP neighbour
