-- acquire: make a session the owner of free pins, each under a new token. Calls that meet are one execution of it: most
-- of what it costs (to be called, the epoch, the session, the time) is the same for all of them.
-- KEYS 1 epoch · 2 session asked for · then for each pin: the pin, and where one is expected the session that owned it last
-- ARGV 1 sid · then for each pin: floor · expected token, "0" for absent · and where one is expected: expected sid
-- Reply for each pin: status, then its record f s i t v c; of one that is won only t v c:
--   won      it is OWNED(sid, mint) now
--   lost     another record stands, or its owner is not final
--   target   the session asked for takes no pins: not live, not ready, cordoned
--   hold     the epoch is not open
--   format   the record is of another format; nothing was changed
-- Re-sent after it won: lost, with the record it wrote.
local call, sid = redis.call, ARGV[1]
local e = call('HMGET', KEYS[1], 's', 'base', 'off')
local x = call('HMGET', KEYS[2], 'f', 'state', 'ready', 'wanted', 'version')
local now = call('TIME')
local us = tonumber(now[1]) * 1000000 + tonumber(now[2])
local none, replies, k, a = {false, false, false, false, false, false}, {}, 3, 2
while KEYS[k] do
  local pin, floor, expT, p, prev, free, status = KEYS[k], tonumber(ARGV[a]), tonumber(ARGV[a + 1]), none, 0, nil, nil
  k, a = k + 1, a + 2
  if call('EXISTS', pin) == 1 then
    p = call('HMGET', pin, 'f', 's', 'i', 't', 'v', 'c')
    prev = tonumber(p[4]) or 0
  end
  if expT == 0 then
    free = p == none
  else
    if prev == expT and p[3] == ARGV[a] then
      local last = call('HGET', KEYS[k], 'state')
      free = p[2] == 'r' or last == 'closed' or last == 'dead'
    end
    k, a = k + 1, a + 1
  end
  if p ~= none and p[1] ~= '1' then
    status = 'format'
  elseif e[1] ~= 'open' then
    status = 'hold'
  elseif not free then
    status = 'lost'
  elseif x[1] ~= '1' or x[2] ~= 'live' or x[3] ~= '1' or x[4] ~= '' then
    status = 'target'
  else
    -- A floor above 2^52 is no time and would spend the token space: ignored, not refused.
    if not floor or floor < 0 or floor > 4503599627370496 then floor = 0 end
    -- base and off are what watchers know of a life of this store that it has lost: see raise.
    local token = math.max(prev + 1, floor + 1, (tonumber(e[2]) or 0) + 1, us + (tonumber(e[3]) or 0))
    local t, v, c = string.format('%.0f', token), x[5] or '', p[6] or '0'
    if p ~= none then call('PERSIST', pin) end -- only a released pin may expire
    call('HSET', pin, 'f', '1', 's', 'o', 'i', sid, 't', t, 'v', v, 'c', c)
    replies[#replies + 1] = {'won', t, v, c}
  end
  if status then replies[#replies + 1] = {status, p[1], p[2], p[3], p[4], p[5], p[6]} end
end
return replies
