#!/bin/sh
# The life of three transactions, by redis-cli: created, moved on, found, listed, verified.
# Usage: transactions.sh [port]
set -eu
port="${1:-6379}"
ask() { redis-cli -e -p "$port" "$@"; }

relayer="example-$$"

echo "Three transactions; each takes the next nonce of its relayer:"
first=$(ask TX.CREATE "$relayer" NEXT 0x1234abcd 1000000000000000000)
second=$(ask TX.CREATE "$relayer" NEXT 0x1234abcd 2000000000000000000 GASLIMIT 21000)
third=$(ask TX.CREATE "$relayer" NEXT 0x1234abcd 3000000000000000000 TOKEN "order-$$")
echo "$first $second $third"

again=$(ask TX.CREATE "$relayer" NEXT 0x1234abcd 3000000000000000000 TOKEN "order-$$")
echo "The third request, sent again with its token, created nothing: $again"
test "$again" = "$third"

echo "The first is sent, then confirmed; record and indexes change together:"
ask TX.UPDATE "$first" sent HASH 0xbeef IF pending
ask TX.UPDATE "$first" confirmed

echo "What is finished stays as it is:"
if ask TX.UPDATE "$first" failed; then exit 1; fi

echo "The second fails once and gets a better price:"
ask TX.UPDATE "$second" SAME FAILURE GASPRICE 7 REASON "price too low"

echo "Who has nonce 1?"
ask TX.BYNONCE "$relayer" 1

echo "All that are pending, and their number:"
ask TX.LIST "$relayer" pending
ask TX.STATS "$relayer"

echo "Every index in both directions; no line is no fault:"
faults=$(ask TX.VERIFY "$relayer")
test -z "$faults" || { echo "$faults"; exit 1; }

ask TX.DELETE "$first" "$second" "$third" nobody
echo "done"
