-- release: the owner gives its pin back.
-- KEYS 1 pin
-- ARGV 1 sid · 2 token · 3 milliseconds after which a released pin is collected
-- Reply status, then the pin's record f s i t v c:
--   ok       it is RELEASED(token) now, or was already
--   no       another record stands
--   format   the record is of another format; nothing was changed
local p = redis.call('HMGET', KEYS[1], 'f', 's', 'i', 't', 'v', 'c')
local function answer(status)
  return {status, p[1], p[2], p[3], p[4], p[5], p[6]}
end
if p[1] ~= '1' and (p[1] or p[2] or p[3] or p[4]) then return answer('format') end
if p[3] ~= ARGV[1] or tonumber(p[4]) ~= tonumber(ARGV[2]) then return answer('no') end
if p[2] == 'o' then
  redis.call('HSET', KEYS[1], 's', 'r')
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  p[2] = 'r'
end
return answer('ok')
