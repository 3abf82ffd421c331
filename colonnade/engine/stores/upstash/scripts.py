"""What runs within Redis, each script as one: nothing else happens in between, and it is one command to pay for.

Numbers are doubles in Lua, so scores stay texts. Texts are compared for equality only, or byte by byte: ``<`` goes by
the server's language. Answers are JSON, since a list of Redis ends for some clients at its first null.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Final


@dataclass(frozen=True)
class Script:
    """A script and its name in the server's cache."""

    text: str
    reads: bool = False
    """Whether it only reads: then a token that may only read can run it."""

    @cached_property
    def digest(self) -> str:
        """How the server calls it once it knows it."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


_COMMON: Final = """
local call, prefix, head = redis.call, KEYS[1], cjson.decode(ARGV[1])
local null = cjson.null
local facts = head.facts
local function row_of(member) return prefix .. facts.row .. member end
local function fields(member, names)
  local found = call('HMGET', row_of(member), unpack(names))
  for i = 1, #names do if not found[i] then found[i] = null end end
  return found
end
"""

FETCH: Final = Script(
    _COMMON
    + """
local rows, size, done = {}, 0, 0
for _, member in ipairs(head.members) do
  if size > head.bytes then break end
  done = done + 1
  if call('EXISTS', row_of(member)) == 1 then
    local found = fields(member, head.columns)
    for i = 1, #found do if found[i] ~= null then size = size + #found[i] end end
    rows[#rows + 1] = found
  end
end
return cjson.encode({done = done, rows = rows})
""",
    reads=True,
)
"""Rows by their keys, as many as come to some bytes."""

PAGES: Final = Script(
    _COMMON
    + """
local down, tied_down, size = head.down, head.tied_down, 0

local function is_before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local function range(set, backwards, from, to, ...)
  if backwards then return call('ZREVRANGEBYSCORE', set, to, from, 'WITHSCORES', ...) end
  return call('ZRANGEBYSCORE', set, from, to, 'WITHSCORES', ...)
end

-- How many rows of a moment come no later than one of them, which may be gone meanwhile.
local function passed(set, at, last)
  local there, tied, count = call('ZSCORE', set, last) == at, range(set, tied_down, at, at), 0
  for i = 1, #tied, 2 do
    if not there and tied[i] ~= last and is_before(tied[i], last) == tied_down then break end
    count = count + 1
    if tied[i] == last then break end
  end
  return count
end

-- Redis has rows of one moment the other way round: whole moments are taken, and each is turned.
local function turned(set, lo, hi, found, skip, count)
  local first, last = found[2], found[#found]
  local near, far, ahead = first, last, nil
  if down then
    near, far, ahead = last, first, call('ZCOUNT', set, '(' .. first, hi)
  else
    ahead = call('ZCOUNT', set, lo, '(' .. first)
  end
  local all, ordered = range(set, not down, near, far), {}
  local stop = #all
  while stop > 0 do
    local start = stop - 1
    while start > 1 and all[start - 1] == all[stop] do start = start - 2 end
    for i = start, stop do ordered[#ordered + 1] = all[i] end
    stop = start - 1
  end
  local from, kept = 2 * (skip - ahead), {}
  for i = from + 1, math.min(from + 2 * count, #ordered) do kept[#kept + 1] = ordered[i] end
  return kept
end

local function page(turn)
  local set, lo, hi, skip, count = prefix .. turn.set, turn.low, turn.high, turn.skip, head.count
  if size > head.bytes then return {rows = {}, at = turn.after, more = true, inexact = false} end
  if turn.after ~= null then
    skip = passed(set, turn.after[1], turn.after[2])
    if down then hi = turn.after[1] else lo = turn.after[1] end
  end
  local found = range(set, down, lo, hi, 'LIMIT', string.format('%.0f', skip), string.format('%.0f', count))
  if down ~= tied_down and #found > 0 then found = turned(set, lo, hi, found, skip, count) end
  local rows, at, taken, inexact = {}, turn.after, 0, false
  for i = 1, #found, 2 do
    if size > head.bytes then break end
    local row = fields(found[i], head.columns)
    for n = 1, #row do if row[n] ~= null then size = size + #row[n] end end
    if call('EXISTS', row_of(found[i])) == 1 then rows[#rows + 1] = row end
    if math.abs(tonumber(found[i + 1])) >= 9007199254740992 then inexact = true end
    at, taken = {found[i + 1], found[i]}, taken + 1
  end
  return {rows = rows, at = at, more = taken == count or 2 * taken < #found, inexact = inexact}
end

local pages = {}
for i, turn in ipairs(head.turns) do pages[i] = page(turn) end
return cjson.encode(pages)
""",
    reads=True,
)
"""Rows of stretches of sorted sets, each in its order from a place on: without the first ``skip``, or after a row."""

_WRITING: Final = (
    _COMMON
    + """
local function sets_of(row)
  local sets = {}
  for _, set in ipairs(facts.sets) do
    local values = {}
    for i, column in ipairs(set.columns) do
      if row[column] == nil then values = nil break end
      values[i] = row[column]
    end
    if values then sets[prefix .. set.name .. table.concat(values, '\\0')] = true end
  end
  for _, set in ipairs(facts.nulls) do
    if row[set.column] == nil then sets[prefix .. set.name] = true end
  end
  return sets
end

local function stored(member)
  local score = call('ZSCORE', prefix .. facts.all, member)
  if not score then return nil, nil end
  local row = {}
  if #facts.watched > 0 then
    local found = call('HMGET', row_of(member), unpack(facts.watched))
    for i, column in ipairs(facts.watched) do row[column] = found[i] or nil end
  end
  return row, score
end

local function place(member, before, after, score, moved)
  for set in pairs(before) do if not after[set] then call('ZREM', set, member) end end
  for set in pairs(after) do if moved or not before[set] then call('ZADD', set, score, member) end end
  if moved then call('ZADD', prefix .. facts.all, score, member) end
end

local function is_as(member, names, values)
  local found = fields(member, names)
  for i = 1, #names do if found[i] ~= values[i] then return false end end
  return true
end

local function change(member, score, names, values)
  local before, old = stored(member)
  local row, gone, kept = {}, {}, {}
  for column, value in pairs(before or {}) do row[column] = value end
  for i, name in ipairs(names) do
    if values[i] == null then
      row[name] = nil
      gone[#gone + 1] = name
    else
      row[name] = values[i]
      kept[#kept + 1] = name
      kept[#kept + 1] = values[i]
    end
  end
  score = score == null and old or score
  place(member, before and sets_of(before) or {}, sets_of(row), score, score ~= old)
  if before and #gone > 0 then call('HDEL', row_of(member), unpack(gone)) end
  if #kept > 0 then call('HSET', row_of(member), unpack(kept)) end
end

local function remove(member)
  local before = stored(member)
  if not before then return false end
  for set in pairs(sets_of(before)) do call('ZREM', set, member) end
  call('ZREM', prefix .. facts.all, member)
  call('DEL', row_of(member))
  return true
end
"""
)

PUT: Final = Script(
    _WRITING
    + """
local rows, columns = cjson.decode(ARGV[2]), head.columns
if head.expected ~= null then
  local expected = cjson.decode(ARGV[3])
  for i, row in ipairs(rows) do
    if expected[i] == null then
      if call('EXISTS', row_of(row[1])) == 1 then return 0 end
    elseif not is_as(row[1], head.expected, expected[i]) then
      return 0
    end
  end
end
local at = {}
for i, name in ipairs(columns) do at[name] = i + 2 end
for _, row in ipairs(rows) do
  local member, score = row[1], row[2]
  local before, old = stored(member)
  local final = facts.final ~= '' and before and before[facts.final] and row[at[facts.final]] == null
  if not final then
    for _, name in ipairs(facts.once) do
      if before and before[name] then
        row[at[name]] = before[name]
        if name == facts.time then score = old end
      end
    end
    local values = {}
    for i = 1, #columns do values[i] = row[i + 2] end
    change(member, score, columns, values)
  end
end
return 1
""",
)
"""Rows kept by the rules of ``Put``; 0, and nothing written, where what is expected is not what is there."""

ALTER: Final = Script(
    _WRITING
    + """
local changed, missed = 0, {}
local function holds(member)
  for _, each in ipairs(head.conditions) do
    local found = call('HGET', row_of(member), each[1])
    local op, value = each[2], each[3]
    if op == 'null' then
      if found then return false end
    elseif op == 'set' then
      if not found then return false end
    elseif not found then
      return false
    elseif op == '=' then
      if found ~= value then return false end
    else
      -- Moments, all of one width: digits sort alike everywhere.
      local fits = (op == '<' and found < value) or (op == '<=' and found <= value)
        or (op == '>' and found > value) or (op == '>=' and found >= value) or (op == '!=' and found ~= value)
      if not fits then return false end
    end
  end
  return true
end
local members, more = head.members, false
if members == null then
  members = {}
  for _, each in ipairs(head.stretches) do
    local left = string.format('%.0f', head.count - #members)
    local found = call('ZRANGEBYSCORE', prefix .. each.set, each.low, each.high, 'LIMIT', '0', left)
    for _, member in ipairs(found) do members[#members + 1] = member end
    if #members == head.count then more = true break end
  end
end
for i, member in ipairs(members) do
  if call('EXISTS', row_of(member)) == 1 then
    if head.expected ~= null and not is_as(member, head.expected, head.rows[i]) then
      missed[#missed + 1] = member
    elseif holds(member) then
      changed = changed + 1
      if head.names == null then remove(member) else change(member, head.score, head.names, head.values) end
    end
  end
end
return cjson.encode({changed = changed, missed = missed, more = more})
""",
)
"""Rows changed or removed, by their keys or all within stretches of sets, where conditions hold."""
