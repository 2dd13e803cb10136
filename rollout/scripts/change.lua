-- Replaces the record of one app if nobody changed it since it was read.
-- KEYS[1] record, a hash {rev, data}   KEYS[2] set of apps   KEYS[3] list of changes, newest first
-- ARGV[1] revision as read, "0" for none   ARGV[2] data   ARGV[3] app   ARGV[4] the change   ARGV[5] changes kept
-- ARGV[6] a word unique to this change, by which a re-sent call knows that it has already been done
-- KEYS[4…] budgets that take on the rollout's limits with the same change
-- ARGV[7] rate   ARGV[8] burst   ARGV[9] in flight; 0 = the class's own
-- Reply: the new revision, or -1 when another one stands.
local rev = tonumber(redis.call('HGET', KEYS[1], 'rev') or '0')
if rev == tonumber(ARGV[1]) + 1 and redis.call('HGET', KEYS[1], 'word') == ARGV[6] then
  return rev
end
if rev ~= tonumber(ARGV[1]) then
  return -1
end
redis.call('HSET', KEYS[1], 'rev', rev + 1, 'data', ARGV[2], 'word', ARGV[6])
redis.call('SADD', KEYS[2], ARGV[3])
redis.call('LPUSH', KEYS[3], ARGV[4])
redis.call('LTRIM', KEYS[3], 0, tonumber(ARGV[5]) - 1)
for i = 4, #KEYS do
  redis.call('HDEL', KEYS[i], 'rate', 'burst', 'inflight')
  if tonumber(ARGV[7]) > 0 then
    redis.call('HSET', KEYS[i], 'rate', ARGV[7], 'burst', ARGV[8])
  end
  if tonumber(ARGV[9]) > 0 then
    redis.call('HSET', KEYS[i], 'inflight', ARGV[9])
  end
end
return rev + 1
