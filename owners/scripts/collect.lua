-- collect: forget the index entry of a session whose record has expired.
-- KEYS 1 session · 2 index of sessions
-- ARGV 1 sid
-- Reply "ok" when it is not indexed now, "kept" when its record exists.
if redis.call('EXISTS', KEYS[1]) == 1 then return {'kept'} end
redis.call('SREM', KEYS[2], ARGV[1])
return {'ok'}
