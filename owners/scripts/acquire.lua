-- acquire: make a session the owner of a free pin, under a new token.
-- KEYS 1 pin · 2 epoch · 3 session asked for · 4 session that owned it last (3 again when there was none)
-- ARGV 1 expected token, "0" for absent · 2 expected sid, "" for absent · 3 sid · 4 floor
-- Reply status, then the pin's record f s i t v c:
--   won      it is OWNED(sid, mint) now
--   lost     another record stands, or its owner is not final
--   target   the session asked for takes no pins: not live, not ready, cordoned
--   hold     the epoch is not open
--   format   the record is of another format; nothing was changed
-- Re-sent after it won: lost, with the record it wrote.
local function answer(status, p)
  return {status, p[1], p[2], p[3], p[4], p[5], p[6]}
end
-- The common case first, and cheaply: nothing is there.
local p = {false, false, false, false, false, false}
if redis.call('EXISTS', KEYS[1]) == 1 then
  p = redis.call('HMGET', KEYS[1], 'f', 's', 'i', 't', 'v', 'c')
  if p[1] ~= '1' then return answer('format', p) end
end
local e = redis.call('HMGET', KEYS[2], 's', 'base', 'off')
if e[1] ~= 'open' then return answer('hold', p) end

local prev, expT = tonumber(p[4]) or 0, tonumber(ARGV[1])
local free
if not p[1] then
  free = expT == 0
elseif prev == expT and p[3] == ARGV[2] then
  local last = redis.call('HGET', KEYS[4], 'state')
  free = p[2] == 'r' or last == 'closed' or last == 'dead'
end
if not free then return answer('lost', p) end

local x = redis.call('HMGET', KEYS[3], 'f', 'state', 'ready', 'wanted', 'version')
if x[1] ~= '1' or x[2] ~= 'live' or x[3] ~= '1' or x[4] ~= '' then return answer('target', p) end

-- A floor above 2^52 is no time and would spend the token space: ignored, not refused.
local floor = tonumber(ARGV[4])
if not floor or floor < 0 or floor > 4503599627370496 then floor = 0 end
local now = redis.call('TIME')
local us = tonumber(now[1]) * 1000000 + tonumber(now[2])
-- base and off are what watchers know of a life of this store that it has lost: see raise.
local token = math.max(prev + 1, floor + 1, (tonumber(e[2]) or 0) + 1, us + (tonumber(e[3]) or 0))
if p[1] then redis.call('PERSIST', KEYS[1]) end -- only a released pin may expire
p = {'1', 'o', ARGV[3], string.format('%.0f', token), x[5] or '', p[6] or '0'}
redis.call('HSET', KEYS[1], 'f', '1', 's', 'o', 'i', ARGV[3], 't', p[4], 'v', p[5], 'c', p[6])
return answer('won', p)
