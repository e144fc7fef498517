"""Keep every account's health in Redis for readers: a cache of the log, never the record.

    churn:health:<account>        hash   g, o  position of the tick that wrote it: generation, offset
                                         p     AccountHealth as JSON
                                         i, d  what the indexes hold of it; day of the last history point
                                         x     T of the tick that erased it: nothing from before it is shown again.
                                               An account that is gone since has g, o and x alone
    churn:history:<account>       list   [at, health, band], oldest first, at most 400; a fourth member `true` marks
                                         a day reconstructed from an imported history
    churn:by:health               zset   account, by health; `unknown` comes last
    churn:by:arr                  zset   account, by ARR, largest first
    churn:by:name                 zset   name, NUL, account: in alphabetical order
    churn:by:{band,owner,segment,parent}:<value>    zset   account, by health; children by their parent's id
    churn:filling                 hash   partition -> the fill under way, by a random name
    churn:filled                  hash   partition -> generation, once all its accounts are written;
                                         of:<generation> -> how many partitions it has

One script writes many accounts; positions are compared as decimal strings, so that a stale writer changes nothing.
The keys are not spread for Redis Cluster.
"""

import base64
import binascii
import uuid
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple, cast

import msgspec
from redis.asyncio import Redis

from shared.contracts.health import AccountHealth, Band
from shared.contracts.partition import partition_of
from shared.contracts.topics import PARTITIONS
from shared.contracts.topology import Topology

ROWS_PER_CALL: Final = 500
"""Redis serves nobody else during a script; 500 accounts take it a few milliseconds."""
HISTORY_POINTS: Final = 400
STEPS_PER_CALL: Final = 2000
_SEPARATOR: Final = "\x1f"
_OF: Final = b"of:"

_WRITE: Final = """
local function cmp(a, b)
  if #a ~= #b then return #a < #b and -1 or 1 end
  if a == b then return 0 end
  return a < b and -1 or 1
end
local function split(index)
  local parts = {}
  for part in string.gmatch(index .. '\\31', '([^\\31]*)\\31') do parts[#parts + 1] = part end
  return parts
end
local function leave(account, old)
  redis.call('ZREM', 'churn:by:band:' .. old[2], account)
  if old[3] ~= '' then redis.call('ZREM', 'churn:by:owner:' .. old[3], account) end
  if old[4] ~= '' then redis.call('ZREM', 'churn:by:segment:' .. old[4], account) end
  redis.call('ZREM', 'churn:by:name', old[6] .. '\\0' .. account)
  if old[7] and old[7] ~= '' then redis.call('ZREM', 'churn:by:parent:' .. old[7], account) end
end
local function enter(account, new)
  local score = new[1] == '' and '+inf' or new[1]
  redis.call('ZADD', 'churn:by:health', score, account)
  redis.call('ZADD', 'churn:by:band:' .. new[2], score, account)
  if new[3] ~= '' then redis.call('ZADD', 'churn:by:owner:' .. new[3], score, account) end
  if new[4] ~= '' then redis.call('ZADD', 'churn:by:segment:' .. new[4], score, account) end
  redis.call('ZADD', 'churn:by:arr', new[5], account)
  redis.call('ZADD', 'churn:by:name', 0, new[6] .. '\\0' .. account)
  if new[7] ~= '' then redis.call('ZADD', 'churn:by:parent:' .. new[7], score, account) end
end
local function remove(account, old)
  if old then
    leave(account, split(old))
    redis.call('ZREM', 'churn:by:health', account)
    redis.call('ZREM', 'churn:by:arr', account)
  end
  redis.call('DEL', 'churn:health:' .. account)
end
local g, o, points, results = ARGV[1], ARGV[2], tonumber(ARGV[3]), {}
for n, row in ipairs(cmsgpack.unpack(ARGV[4])) do
  local account, payload, index, at, erased = row[1], row[2], row[3], row[4], row[5]
  local key = 'churn:health:' .. account
  local was = redis.call('HMGET', key, 'g', 'o', 'i', 'd', 'x')
  local order = 1
  if was[1] then
    order = cmp(g, was[1])
    if order == 0 then order = cmp(o, was[2]) end
  end
  if order < 0 then
    results[n] = 0
  elseif order == 0 then
    results[n] = (redis.call('HGET', key, 'p') or '') == payload and 2 or 3
  else
    if erased >= 0 and tonumber(was[5] or -1) < erased then
      remove(account, was[3])
      redis.call('DEL', 'churn:history:' .. account)
      redis.call('HSET', key, 'g', g, 'o', o, 'x', string.format('%.0f', erased))
      was = {false, false, false, false}
    end
    if payload ~= '' then
      local day = string.format('%d', math.floor(at / 86400000))
      redis.call('HSET', key, 'g', g, 'o', o, 'p', payload, 'i', index, 'd', day)
      if was[3] ~= index or was[4] ~= day then
        local old, new = was[3] and split(was[3]), split(index)
        if was[3] ~= index then
          if old then leave(account, old) end
          enter(account, new)
        end
        if not old or old[1] ~= new[1] or old[2] ~= new[2] or was[4] ~= day then
          local health = new[1] == '' and 'null' or new[1]
          local history = 'churn:history:' .. account
          redis.call('RPUSH', history, string.format('[%.0f,%s,"%s"]', at, health, new[2]))
          redis.call('LTRIM', history, -points, -1)
        end
      end
    end
    results[n] = 1
  end
end
return results
"""

_PAGE: Final = """
local walked, after, limit, steps = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local rank = 0
if after ~= '' then
  local at = redis.call('ZRANK', walked, after)
  if at and (walked == 'churn:by:name' or redis.call('ZSCORE', walked, after) == ARGV[4]) then
    rank = at + 1
  elseif walked == 'churn:by:name' then
    rank = redis.call('ZLEXCOUNT', walked, '-', '[' .. after)
  else
    rank = redis.call('ZCOUNT', walked, '-inf', '(' .. ARGV[4])
  end
end
local found, last, score = {}, '', ''
local members = redis.call('ZRANGE', walked, rank, rank + steps - 1, 'WITHSCORES')
for n = 1, #members, 2 do
  local account = members[n]
  if walked == 'churn:by:name' then account = string.match(account, '%z(.*)$') end
  local kept = true
  for k = 2, #KEYS do kept = kept and redis.call('ZSCORE', KEYS[k], account) end
  last, score = members[n], members[n + 1]
  if kept then
    found[#found + 1] = redis.call('HGET', 'churn:health:' .. account, 'p')
    if #found == limit then break end
  end
end
local rest = #members == 2 * steps or (#members > 0 and last ~= members[#members - 1])
return {found, rest and last or '', rest and score or ''}
"""


_PUT_HISTORY: Final = """
local points, known = {}, {}
local erased = tonumber(redis.call('HGET', KEYS[2], 'x') or -1)
local function take(raw)
  local point = cjson.decode(raw)
  if point[1] < erased then return end
  local at, reconstructed = string.format('%.0f', point[1]), point[4] == true
  if known[at] and (reconstructed or not points[known[at]].reconstructed) then return end
  if not known[at] then known[at] = #points + 1 end
  points[known[at]] = {at = point[1], raw = raw, reconstructed = reconstructed}
end
for _, raw in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do take(raw) end
for n = 2, #ARGV do take(ARGV[n]) end
table.sort(points, function(a, b) return a.at < b.at end)
redis.call('DEL', KEYS[1])
for n = math.max(1, #points - ARGV[1] + 1), #points do redis.call('RPUSH', KEYS[1], points[n].raw) end
"""


_END_FILL: Final = """
if redis.call('HGET', 'churn:filling', ARGV[1]) ~= ARGV[3] then return 0 end
redis.call('HDEL', 'churn:filling', ARGV[1])
redis.call('HSET', 'churn:filled', ARGV[1], ARGV[2], 'of:' .. ARGV[2], ARGV[4])
return 1
"""


class Written(IntEnum):
    """What became of one account in a write."""

    OLDER = 0
    """Redis holds a later position; nothing was changed."""
    WRITTEN = 1
    SAME = 2
    """Redis holds the same position and the same bytes."""
    CONFLICT = 3
    """Redis holds the same position with other bytes: scoring was not deterministic. Nothing was changed."""


class HealthRow(NamedTuple):
    """One account to write: `payload` is its AccountHealth as JSON, the rest is what the indexes need.

    An empty payload removes the account; `erased` is when (T, epoch ms) it was removed last: its history begins there.
    A tuple because a tick makes tens of thousands; `health` in milli-points, `at` epoch ms.
    """

    account: str
    payload: bytes
    health: int | None
    band: str
    at: int
    owner: str | None = None
    segment: str | None = None
    arr: int | None = None
    name: str | None = None
    parent: str | None = None
    erased: int | None = None


class Sort(StrEnum):
    """Order of a listing: worst health first with `unknown` last, largest ARR first, or by name."""

    HEALTH = "health"
    ARR = "arr"
    NAME = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which accounts to list; None means any."""

    band: Band | None = None
    owner: str | None = None
    segment: str | None = None

    def keys(self) -> Sequence[str]:
        """Return the sorted sets an account must be in."""
        wanted = {"band": self.band, "owner": self.owner, "segment": self.segment}
        return [f"churn:by:{name}:{_clean(value)}" for name, value in wanted.items() if value is not None]


class Point(msgspec.Struct, frozen=True, array_like=True):
    """One point of an account's history; `reconstructed` from an imported history, not known at the time."""

    at: int
    health: int | None
    band: Band
    reconstructed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some accounts of a listing, and the cursor of the rest (None at its end)."""

    healths: Sequence[AccountHealth]
    cursor: str | None


class BadCursor(ValueError):
    """A cursor that no listing gave."""


class NotFilled(Exception):
    """Redis was emptied and is still being written: what it lacks may exist."""


class HealthStore:
    """Write and read the health of accounts. Owns nothing: the client is closed by who made it.

    Redis errors are raised as redis-py has them. A missing account is None, never healthy.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._write = redis.register_script(_WRITE)
        self._page = redis.register_script(_PAGE)
        self._put_history = redis.register_script(_PUT_HISTORY)
        self._end_fill = redis.register_script(_END_FILL)

    async def write(self, generation: int, offset: int, rows: Sequence[HealthRow]) -> list[int]:
        """Write accounts of one partition as of one tick; return one `Written` number a row, in order.

        Position is (generation, offset). In one script call up to 500 accounts, one call after the other.
        """
        position = (str(generation), str(offset), HISTORY_POINTS)
        results: list[int] = []
        for start in range(0, len(rows), ROWS_PER_CALL):
            packed = msgspec.msgpack.encode([_packed(row) for row in rows[start : start + ROWS_PER_CALL]])
            results += cast("list[int]", await self._write(keys=(), args=(*position, packed)))
        return results

    async def get(self, account: str) -> AccountHealth | None:
        """Return the health of an account, or None if Redis has none."""
        payload = await cast("Awaitable[bytes | None]", self._redis.hget(f"churn:health:{account}", "p"))
        return None if payload is None else msgspec.json.decode(payload, type=AccountHealth)

    async def children(self, parents: Sequence[str], *, limit: int) -> list[AccountHealth]:
        """Return accounts that name one of `parents` as theirs, the worst health of each first, `limit` in all."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for parent in parents:
                pipe.zrange(f"churn:by:parent:{_clean(parent)}", 0, limit - 1)
            found = [account for accounts in await pipe.execute() for account in accounts][:limit]
            for account in found:
                pipe.hget(b"churn:health:" + account, "p")
            payloads = await pipe.execute()
        healths = [msgspec.json.decode(payload, type=AccountHealth) for payload in payloads if payload]
        named = set(parents)
        return [health for health in healths if health.attributes.parent in named]

    async def erased_at(self, account: str) -> int | None:
        """Return when (T, epoch ms) an account was erased last, None if never; raise NotFilled if Redis can't tell."""
        key = f"churn:health:{account}"
        position, erased = await cast("Awaitable[list[bytes | None]]", self._redis.hmget(key, ["g", "x"]))
        if position is None and not await self.is_filled(account):
            raise NotFilled(account)
        return None if erased is None else int(erased)

    async def history(self, account: str) -> list[Point]:
        """Return what Redis holds of an account's history, oldest first: changes of health or band, and one a day."""
        key = f"churn:history:{account}"
        raw = await cast("Awaitable[list[bytes]]", self._redis.lrange(key, 0, -1))
        return [msgspec.json.decode(point, type=Point) for point in raw]

    async def put_history(self, points: Mapping[str, Sequence[Point]]) -> None:
        """Add points to the histories of accounts, in their place by time; what was known then is never replaced.

        Points from before an account was erased are left out.
        """
        for account, some in points.items():
            args: list[int | bytes] = [HISTORY_POINTS, *(_history_point(point) for point in some)]
            keys = [f"churn:history:{account}", f"churn:health:{account}"]
            await self._put_history(keys=keys, args=args)

    async def page(
        self, *, where: Filter, sort: Sort = Sort.HEALTH, limit: int = 50, cursor: str | None = None
    ) -> Page:
        """Return up to `limit` accounts after `cursor`. An account that moves between two pages may come twice.

        Looks at 2,000 accounts a script call, so that no listing holds up a writer. Raises BadCursor.
        """
        keys = await self._keys(where, sort)
        after, score = _decode_cursor(cursor)
        healths: list[AccountHealth] = []
        while True:
            args = (after, limit - len(healths), STEPS_PER_CALL, score)
            found, after, score = cast("tuple[list[bytes], bytes, bytes]", await self._page(keys=keys, args=args))
            healths += [msgspec.json.decode(payload, type=AccountHealth) for payload in found if payload]
            if not after or len(healths) >= limit:
                return Page(healths=healths, cursor=_encode_cursor(after, score) if after else None)

    async def filled(self) -> Mapping[int, int]:
        """Return the generation by partition of which every account was written since Redis was last emptied."""
        return (await self._filled())[1]

    async def begin_fill(self, partition: int) -> str:
        """Note that every account of a partition is about to be written, and return the fill's name for `end_fill`."""
        fill = uuid.uuid4().hex
        await self._redis.hset("churn:filling", str(partition), fill)
        return fill

    async def end_fill(self, topology: Topology, partition: int, *, fill: str) -> bool:
        """Say that every account of a partition is in Redis; False when Redis was emptied since the fill began.

        Another fill that began since makes it False too. Until it is True, `filled` asks for a rewrite.
        """
        args = (str(partition), str(topology.generation), fill, str(topology.partitions))
        return bool(await self._end_fill(keys=(), args=args))

    async def is_filled(self, account: str) -> bool:
        """Say whether an account that is not in Redis does not exist: its partition was written in full."""
        topology, filled = await self._filled()
        return filled.get(partition_of(account.encode(), partitions=topology.partitions)) == topology.generation

    async def is_whole(self) -> bool:
        """Say whether no account is missing: every partition was written in full."""
        topology, filled = await self._filled()
        return all(filled.get(number) == topology.generation for number in range(topology.partitions))

    async def _filled(self) -> tuple[Topology, Mapping[int, int]]:
        """Return the last generation that Redis was told of, and what `filled` returns."""
        raw = await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall("churn:filled"))
        sizes = {1: PARTITIONS}  # a deployment that has not said anything else
        sizes |= {int(field.removeprefix(_OF)): int(size) for field, size in raw.items() if field.startswith(_OF)}
        filled = {int(field): int(generation) for field, generation in raw.items() if not field.startswith(_OF)}
        return Topology(generation=max(sizes), partitions=sizes[max(sizes)]), filled

    async def _keys(self, where: Filter, sort: Sort) -> Sequence[str]:
        filters = where.keys()
        if sort is not Sort.HEALTH or not filters:
            return [f"churn:by:{sort}", *filters]
        sizes = [await self._redis.zcard(key) for key in filters]
        return [key for _, key in sorted(zip(sizes, filters, strict=True))]  # every one is in order of health


def _history_point(point: Point) -> bytes:
    members = [point.at, point.health, point.band]
    return msgspec.json.encode([*members, True] if point.reconstructed else members)


def _packed(row: HealthRow) -> tuple[str, str, str, int, int]:
    # one MessagePack argument instead of four Redis ones: redis-py spends 3 us on each; Redis reads text, not `bin`
    account, payload, health, band, at, owner, segment, arr, name, parent, erased = row
    shown = "" if health is None else health
    index = _SEPARATOR.join(
        (f"{shown}", band, _clean(owner), _clean(segment), f"{-(arr or 0)}", _clean(name).casefold(), _clean(parent))
    )
    return account, payload.decode(), index, at, -1 if erased is None else erased


def _clean(text: str | None) -> str:
    if not text or text.isprintable():
        return text or ""
    return text.replace(_SEPARATOR, " ").replace("\0", " ")


def _encode_cursor(after: bytes, score: bytes) -> str:
    return base64.urlsafe_b64encode(score + b"\x1f" + after).decode()


def _decode_cursor(cursor: str | None) -> tuple[bytes, bytes]:
    if cursor is None:
        return b"", b""
    try:
        score, separator, after = base64.b64decode(cursor, altchars=b"-_", validate=True).partition(b"\x1f")
        float(score)
    except (ValueError, binascii.Error):
        raise BadCursor("no listing gave this cursor") from None
    if not separator or not after:
        raise BadCursor("no listing gave this cursor")
    return after, score
