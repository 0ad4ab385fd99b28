#include "shared/shared_scripts.h"

#define NOW                                                                                        \
    "local t = redis.call('TIME')\n"                                                               \
    "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"                                          \
    "local us = t[1] * 1000000 + t[2]\n"                                                           \
    "local P, me = ARGV[1], ARGV[2]\n"                                                             \
    "local function int(x) return string.format('%.0f', x) end\n"

/* Writes a change of a ban, and removes up to 16 expired changes, so that they do not accumulate. A
 * lift of all removes the changes that are not later. Orders and questions have the stamp 9e15, so
 * a lift does not remove them. */
#define BAN                                                                                        \
    "local function order(s) return string.find(s, '^[eq]:') end\n"                                \
    "local function stamp(s) return tonumber(redis.call('ZSCORE', P .. 'b:a', s)) end\n"           \
    "local function ends(s) return tonumber(redis.call('ZSCORE', P .. 'b:u', s)) or 0 end\n"       \
    "local function drop(s)\n"                                                                     \
    "  redis.call('ZREM', P .. 'b:l', s) redis.call('ZREM', P .. 'b:u', s)\n"                      \
    "  redis.call('ZREM', P .. 'b:a', s) redis.call('HDEL', P .. 'b:v', s)\n"                      \
    "end\n"                                                                                        \
    "local function clear(at)\n"                                                                   \
    "  if redis.call('ZCOUNT', P .. 'b:a', '(' .. int(at), '+inf') == 0 then\n"                    \
    "    redis.call('DEL', P .. 'b:l', P .. 'b:u', P .. 'b:a', P .. 'b:v')\n"                      \
    "    return\n"                                                                                 \
    "  end\n"                                                                                      \
    "  for _, s in ipairs(redis.call('ZRANGEBYSCORE', P .. 'b:a', '-inf', int(at))) do drop(s) "   \
    "end\n"                                                                                        \
    "end\n"                                                                                        \
    "local function ban(subject, kind, by, left, at)\n"                                            \
    "  if subject == '*' then clear(at) end\n"                                                     \
    "  local old = redis.call('ZRANGEBYSCORE', P .. 'b:u', '-inf', int(now), 'LIMIT', 0, 16)\n"    \
    "  for _, s in ipairs(old) do drop(s) end\n"                                                   \
    "  if redis.call('ZCARD', P .. 'b:l') >= 131072 then\n"                                        \
    "    drop(redis.call('ZRANGE', P .. 'b:l', 0, 0)[1])\n"                                        \
    "  end\n"                                                                                      \
    "  local n = redis.call('HINCRBY', P .. 'b:m', 'n', 1)\n"                                      \
    "  redis.call('ZADD', P .. 'b:l', int(n), subject)\n"                                          \
    "  redis.call('ZADD', P .. 'b:u', int(now + left), subject)\n"                                 \
    "  redis.call('ZADD', P .. 'b:a', int(at), subject)\n"                                         \
    "  redis.call('HSET', P .. 'b:v', subject, kind .. ' ' .. by)\n"                               \
    "end\n"

const char *const shared_script_text[SHARED_SCRIPTS] = {
    [SHARED_BEAT] = NOW
    "local mine = P .. 'g:' .. me\n"
    "local fresh = 1 - redis.call('HEXISTS', mine, '')\n"
    "redis.call('HSET', mine, '', ARGV[3])\n"
    "redis.call('PEXPIRE', mine, ARGV[4])\n"
    "redis.call('ZREMRANGEBYSCORE', P .. 'gates', '-inf', int(now))\n"
    "redis.call('ZADD', P .. 'gates', int(now + ARGV[4]), me)\n"
    "local gates = {}\n"
    "for _, g in ipairs(redis.call('ZRANGE', P .. 'gates', 0, 63)) do\n"
    "  local info = redis.call('HGET', P .. 'g:' .. g, '')\n"
    "  if info then gates[#gates + 1] = g gates[#gates + 1] = info end\n"
    "end\n"
    "local epoch = redis.call('HGET', P .. 'b:m', 'e')\n"
    "if not epoch then\n"
    "  epoch = me .. '.' .. int(now)\n"
    "  local top = redis.call('ZREVRANGE', P .. 'b:l', 0, 0, 'WITHSCORES')[2] or 0\n"
    "  redis.call('HSET', P .. 'b:m', 'e', epoch, 'n', int(top))\n"
    "end\n"
    "local since = epoch == ARGV[5] and '(' .. ARGV[6] or '-inf'\n"
    "local list = redis.call('ZRANGEBYSCORE', P .. 'b:l', since, '+inf', 'WITHSCORES',\n"
    "  'LIMIT', 0, 256)\n"
    "local changes = {}\n"
    "for i = 1, #list, 2 do\n"
    "  local v = redis.call('HGET', P .. 'b:v', list[i]) or ''\n"
    "  local kind, by = string.match(v, '^(%a+) (.*)$')\n"
    "  local left = (tonumber(redis.call('ZSCORE', P .. 'b:u', list[i])) or 0) - now\n"
    "  local at = int(tonumber(redis.call('ZSCORE', P .. 'b:a', list[i])) or 0)\n"
    "  for _, x in ipairs({int(list[i + 1]), list[i], kind or '-', by or '-', int(left), at}) do\n"
    "    changes[#changes + 1] = x\n"
    "  end\n"
    "end\n"
    "return {fresh, epoch, gates, changes, us}\n",

    [SHARED_ENTER] = NOW
    "local subject, total, max = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])\n"
    "if max > 0 then\n"
    "  for _, g in ipairs(redis.call('ZRANGEBYSCORE', P .. 'gates', '(' .. int(now), '+inf',\n"
    "      'LIMIT', 0, 64)) do\n"
    "    if g ~= me then\n"
    "      total = total + (tonumber(redis.call('HGET', P .. 'g:' .. g, subject)) or 0)\n"
    "    end\n"
    "  end\n"
    "  if total > max then return {1} end\n"
    "end\n"
    "local count, step = tonumber(ARGV[8]), tonumber(ARGV[9])\n"
    "if count > 0 then\n"
    "  local key = P .. 'r:' .. ARGV[7]\n"
    "  local full = math.max(tonumber(redis.call('GET', key)) or 0, us)\n"
    "  if full > us + step * (count - 1) then return {2} end\n"
    "  full = full + step\n"
    "  redis.call('SET', key, int(full), 'PX', int(math.ceil((full - us) / 1000) + 1))\n"
    "end\n"
    "redis.call('HSET', P .. 'g:' .. me, subject, ARGV[4])\n"
    "redis.call('PEXPIRE', P .. 'g:' .. me, ARGV[6])\n"
    "return {0}\n",

    [SHARED_COUNT] = NOW "local mine = P .. 'g:' .. me\n"
                         "for i = 4, #ARGV, 2 do\n"
                         "  if ARGV[i] == '*' then\n"
                         "    local info = redis.call('HGET', mine, '')\n"
                         "    redis.call('DEL', mine)\n"
                         "    if info then redis.call('HSET', mine, '', info) end\n"
                         "  elseif ARGV[i + 1] == '0' then redis.call('HDEL', mine, ARGV[i])\n"
                         "  else redis.call('HSET', mine, ARGV[i], ARGV[i + 1]) end\n"
                         "end\n"
                         "redis.call('PEXPIRE', mine, ARGV[3])\n"
                         "return {0}\n",

    [SHARED_POINTS] = NOW BAN
    "local net, slot_ms = ARGV[3], tonumber(ARGV[5])\n"
    "local subject, key = 'n:' .. net, P .. 'p:' .. net\n"
    "local v = redis.call('HGET', P .. 'b:v', subject)\n"
    "if v and string.sub(v, 1, 5) ~= 'lift ' and ends(subject) > now then return {1} end\n"
    "local slot, sum = math.floor(now / slot_ms), 0\n"
    "redis.call('HINCRBY', key, int(slot), ARGV[4])\n"
    "local all = redis.call('HGETALL', key)\n"
    "for i = 1, #all, 2 do\n"
    "  local at = tonumber(all[i]) or 0\n"
    "  if at < slot - 8 or at > slot then redis.call('HDEL', key, all[i])\n"
    "  else sum = sum + (tonumber(all[i + 1]) or 0) end\n"
    "end\n"
    "redis.call('PEXPIRE', key, int(slot_ms * 9))\n"
    "if sum < tonumber(ARGV[6]) then return {0} end\n"
    "redis.call('DEL', key)\n"
    "local later = math.max(stamp(subject) or 0, stamp('*') or 0) + 1\n"
    "ban(subject, 'points', '-', tonumber(ARGV[7]), math.max(us, later))\n"
    "return {1}\n",

    [SHARED_BAN] = NOW BAN
    "local skipped = 0\n"
    "for i = 3, #ARGV, 5 do\n"
    "  local subject, kind, left = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])\n"
    "  for _, s in ipairs({subject, '*'}) do\n"
    "    if ends(s) <= now then drop(s) end\n"
    "  end\n"
    "  local at = math.max(math.min(us, tonumber(ARGV[i + 3])), tonumber(ARGV[i + 4]))\n"
    "  local old, all = stamp(subject), stamp('*') or -1\n"
    "  local v = redis.call('HGET', P .. 'b:v', subject) or ''\n"
    "  if order(subject) then\n"
    "    ban(subject, kind, me, left, 9e15)\n"
    "  elseif (old or -1) > at or all > at or\n"
    "      kind == 'points' and string.sub(v, 1, 7) == 'manual ' and ends(subject) > now + left "
    "or\n"
    "      old == at and string.sub(v, 1, #kind + 1) == kind .. ' ' then\n"
    "    skipped = skipped + 1\n"
    "  else\n"
    "    if string.sub(subject, 1, 2) == 'n:' then\n"
    "      redis.call('DEL', P .. 'p:' .. string.sub(subject, 3))\n"
    "    end\n"
    "    ban(subject, kind, me, left, at)\n"
    "  end\n"
    "end\n"
    "return {skipped}\n",

    [SHARED_PUSH] = "local key = ARGV[1] .. 'v:' .. ARGV[3]\n"
                    "if redis.call('LLEN', key) >= tonumber(ARGV[6]) then return {0} end\n"
                    "redis.call('RPUSH', key, ARGV[2], ARGV[4] .. ARGV[5])\n"
                    "redis.call('PEXPIRE', key, ARGV[7])\n"
                    "return {1}\n",

    [SHARED_PULL] = "return redis.call('LRANGE', ARGV[1] .. 'v:' .. ARGV[3], ARGV[4], ARGV[5])\n",

    [SHARED_PUT] = "for i = 4, #ARGV, 2 do\n"
                   "  local key = ARGV[1] .. ARGV[i]\n"
                   "  if string.sub(ARGV[i], 1, 2) == 'k:' then\n"
                   "    redis.call('SET', key, ARGV[i + 1], 'PX', ARGV[3])\n"
                   "  else\n"
                   "    if redis.call('TYPE', key).ok ~= 'list' then redis.call('DEL', key) end\n"
                   "    redis.call('RPUSH', key, ARGV[i + 1])\n"
                   "    redis.call('LTRIM', key, -16, -1)\n"
                   "    redis.call('PEXPIRE', key, ARGV[3])\n"
                   "  end\n"
                   "end\n"
                   "return {0}\n",

    [SHARED_FETCH] = "local out = {}\n"
                     "for i = 3, #ARGV do\n"
                     "  local key, found = ARGV[1] .. ARGV[i], {}\n"
                     "  if string.sub(ARGV[i], 1, 2) == 'k:' then\n"
                     "    local text = redis.pcall('GET', key)\n"
                     "    if text then\n"
                     "      redis.call('DEL', key)\n"
                     "      found = {type(text) == 'string' and text or ''}\n"
                     "    end\n"
                     "  else\n"
                     "    found = redis.pcall('LRANGE', key, 0, 15)\n"
                     "    if found.err then redis.call('DEL', key) found = {''} end\n"
                     "  end\n"
                     "  out[#out + 1] = found\n"
                     "end\n"
                     "return out\n",
};
