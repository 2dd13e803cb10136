-- pin: read a pin and the session it names in one round trip.
-- KEYS 1 pin
-- ARGV 1 prefix of session keys. The session's key follows from the pin's record and so cannot be declared;
--        it carries the same partition tag and lives in the same slot. The script only reads.
-- Reply "ok", the pin's record f s i t v c, then the session's fields and values (none when it is missing).
local p = redis.call('HMGET', KEYS[1], 'f', 's', 'i', 't', 'v', 'c')
local reply = {'ok', p[1], p[2], p[3], p[4], p[5], p[6]}
if p[3] then
  for _, v in ipairs(redis.call('HGETALL', ARGV[1] .. p[3])) do
    reply[#reply + 1] = v
  end
end
return reply
