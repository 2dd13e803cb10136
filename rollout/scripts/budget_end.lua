-- Ends what budget_begin.lua began. Released: the token becomes a grant for the
-- acquire that follows, for a while: an object that nobody calls needs none.
-- Not released: the token goes back.
-- KEYS and the hash as in budget_take.lua
-- ARGV[1] the object, ARGV[2] 1 released, 0 not, ARGV[3] ms for which a grant holds, ARGV[4] burst of the class
-- Reply: 1, or 0 when there was no such move (any more).
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
if redis.call('ZREM', KEYS[2], ARGV[1]) == 0 then
  return 0
end
if ARGV[2] == '1' then
  redis.call('ZADD', KEYS[3], now + tonumber(ARGV[3]), ARGV[1])
  redis.call('HINCRBY', KEYS[1], 'released', 1)
else
  local burst = tonumber(redis.call('HGET', KEYS[1], 'burst') or ARGV[4])
  local tokens = tonumber(redis.call('HGET', KEYS[1], 'tokens') or burst)
  redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', math.min(burst, tokens + 1)))
  redis.call('HINCRBY', KEYS[1], 'failed', 1)
end
return 1
