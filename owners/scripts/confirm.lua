-- confirm: does (sid, token) own the pin now? The write gives WAIT something to wait for.
-- KEYS 1 pin
-- ARGV 1 sid · 2 token
-- Reply status, then the pin's record f s i t v c:
--   ok       it does, and its highest confirmed token is written
--   no       another record stands
--   format   the record is of another format; nothing was changed
local p = redis.call('HMGET', KEYS[1], 'f', 's', 'i', 't', 'v', 'c')
local function answer(status)
  return {status, p[1], p[2], p[3], p[4], p[5], p[6]}
end
if p[1] ~= '1' and (p[1] or p[2] or p[3] or p[4]) then return answer('format') end
if p[2] ~= 'o' or p[3] ~= ARGV[1] or tonumber(p[4]) ~= tonumber(ARGV[2]) then return answer('no') end
p[6] = p[4]
redis.call('HSET', KEYS[1], 'c', p[6])
return answer('ok')
