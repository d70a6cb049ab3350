#!lua name=reef_tx_benchmark

-- What the plugin tx-repo does, for servers that have no plugins: the same keys, the same checks.

local STATUSES = {
  pending = 1, sent = 2, submitted = 3, mined = 4,
  confirmed = 5, failed = 5, canceled = 5, expired = 5,
}

local function status_key(relayer, status)
  return 'relayer:' .. relayer .. ':status:' .. status
end

local function nonce_key(relayer, nonce)
  return 'relayer:' .. relayer .. ':nonce:' .. nonce
end

-- The nonce travels as text: Lua's numbers are exact up to 2^53 only.
local function record(relayer, id, nonce, to, value, now_ms)
  local text = cjson.encode({
    id = id, relayer_id = relayer, to = to, value = value, status = 'pending',
  })
  return string.sub(text, 1, -2) .. ',"nonce":' .. nonce
    .. ',"created_at":' .. now_ms .. ',"updated_at":' .. now_ms .. '}'
end

-- keys: tx, lookup, nonce, pending, relayers, count; arguments: relayer, id, nonce, to, value, now
redis.register_function('reef_tx_create', function(keys, args)
  if redis.call('EXISTS', keys[1], keys[2], keys[3]) > 0 then
    return redis.error_reply('NONCEUSED id or nonce is used')
  end
  local relayer, id = args[1], args[2]
  redis.call('SET', keys[1], record(relayer, id, args[3], args[4], args[5], args[6]))
  redis.call('SET', keys[3], id)
  redis.call('SET', keys[2], relayer)
  redis.call('SADD', keys[4], id)
  redis.call('SADD', keys[5], relayer)
  redis.call('INCR', keys[6])
  return id
end)

-- keys: tx; arguments: id, status, hash, now
redis.register_function('reef_tx_update', function(keys, args)
  local text = redis.call('GET', keys[1])
  if not text then
    return redis.error_reply('NOTX no such transaction')
  end
  local tx = cjson.decode(text)
  local before, after = tx.status, args[2]
  if STATUSES[before] >= STATUSES[after] then
    return redis.error_reply('ILLEGALSTATUS it is ' .. before)
  end
  tx.status, tx.hash, tx.hashes, tx.updated_at = after, args[3], { args[3] }, tonumber(args[4])
  text = cjson.encode(tx)
  redis.call('SET', keys[1], text)
  redis.call('SREM', status_key(tx.relayer_id, before), args[1])
  redis.call('SADD', status_key(tx.relayer_id, after), args[1])
  return text
end)

-- keys: relayers, count, pending; arguments: relayer, now, then id, nonce, to, value of each
redis.register_function('reef_tx_create_many', function(keys, args)
  local relayer, now_ms = args[1], args[2]
  local wanted, pairs_, ids = {}, {}, {}
  for at = 3, #args, 4 do
    local id, nonce = args[at], args[at + 1]
    local tx, lookup, user = 'tx:' .. id, 'lookup:' .. id, nonce_key(relayer, nonce)
    wanted[#wanted + 1], wanted[#wanted + 2], wanted[#wanted + 3] = tx, lookup, user
    pairs_[#pairs_ + 1] = tx
    pairs_[#pairs_ + 1] = record(relayer, id, nonce, args[at + 2], args[at + 3], now_ms)
    pairs_[#pairs_ + 1] = lookup
    pairs_[#pairs_ + 1] = relayer
    pairs_[#pairs_ + 1] = user
    pairs_[#pairs_ + 1] = id
    ids[#ids + 1] = id
  end
  if redis.call('EXISTS', unpack(wanted)) > 0 then
    return redis.error_reply('NONCEUSED an id or a nonce is used')
  end
  redis.call('MSET', unpack(pairs_))
  redis.call('SADD', keys[3], unpack(ids))
  redis.call('SADD', keys[1], relayer)
  redis.call('INCRBY', keys[2], #ids)
  return ids
end)

-- keys: tx of each; arguments: id of each, all of one relayer
redis.register_function('reef_tx_delete_many', function(keys, args)
  local gone, members, relayer, number = {}, {}, nil, 0
  for at, text in ipairs(redis.call('MGET', unpack(keys))) do
    if text then
      local tx = cjson.decode(text)
      relayer, number = tx.relayer_id, number + 1
      gone[#gone + 1] = keys[at]
      gone[#gone + 1] = 'lookup:' .. args[at]
      gone[#gone + 1] = nonce_key(relayer, string.format('%.0f', tx.nonce))
      members[tx.status] = members[tx.status] or {}
      table.insert(members[tx.status], args[at])
    end
  end
  if number == 0 then
    return 0
  end
  redis.call('DEL', unpack(gone))
  for status, ids in pairs(members) do
    redis.call('SREM', status_key(relayer, status), unpack(ids))
  end
  local count = 'relayer:' .. relayer .. ':count'
  if redis.call('DECRBY', count, number) == 0 then
    redis.call('DEL', count)
    redis.call('SREM', 'relayers', relayer)
  end
  return number
end)
