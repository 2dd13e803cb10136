-- raise: tell the store what a watcher saw of its token clock, by which acquire mints: its time plus what watchers added.
-- It shows less than was seen when the store has lost its data, or an older copy took its place, and its time was set back as well.
-- KEYS 1 epoch
-- ARGV 1 the highest that was seen · 2 that, and how long ago it was: what the clock would show now; both in microseconds
-- Reply "ok", or "raised" where it showed less, then what the token clock shows now; "none" without an epoch.
local e = redis.call('HMGET', KEYS[1], 'id', 'base', 'off')
if not e[1] then return {'none'} end
local t = redis.call('TIME')
local us = tonumber(t[1]) * 1000000 + tonumber(t[2])
local base, off = tonumber(e[2]) or 0, tonumber(e[3]) or 0
local status, seen, goal = 'ok', tonumber(ARGV[1]), tonumber(ARGV[2])
-- Like a floor, what is above 2^52 is no time.
if seen > us + off and goal <= 4503599627370496 then
  status, base, off = 'raised', math.max(base, goal), math.max(off, goal - us)
  redis.call('HSET', KEYS[1], 'base', string.format('%.0f', base), 'off', string.format('%.0f', off))
end
return {status, string.format('%.0f', math.max(base, us + off))}
