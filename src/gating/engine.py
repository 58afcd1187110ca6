"""The holds that snaps have on each other's refreshes, and their limits. Pure.

Whatever the order of calls: no snap holds another for longer than 48 hours since it first held it, nor any snap beyond
90 days since that one's last refresh; only the administrator (`system`) may. A clock set back gives at most this anew.
"""

import collections.abc
import datetime
import typing

from gating import affected

Time = datetime.datetime
Span = datetime.timedelta
Gates = dict[str, collections.abc.Callable[[affected.Pending], typing.Literal["hold", "proceed"] | None]]
Failures = dict[str, Exception]

MAXIMUM_POSTPONEMENT = Span(days=95)
MAXIMUM_SELF_HOLD = MAXIMUM_POSTPONEMENT - Span(days=5)
MAXIMUM_OTHER_HOLD = Span(hours=48)
SYSTEM = "system"
FOR_EVER = Time.max.replace(tzinfo=datetime.UTC)


class GatingError(Exception):
    """What was asked for is not possible; the text is snapd's. left: for how long the snap may still be held."""

    def __init__(self, text: str, left: Span | None = None):
        super().__init__(text)
        self.left = left or Span()


class HoldError(GatingError):
    """Some snaps cannot be held. refused: why not, by the name of the snap."""

    def __init__(self, refused: dict[str, GatingError]):
        super().__init__("cannot hold some snaps:" + "".join(f"\n - {error}" for error in refused.values()))
        self.refused = refused


class Hold(typing.NamedTuple):
    """One snap's hold on another."""

    first_held: Time
    until: Time


class Gating:
    """All holds of a machine. refreshed: when each installed snap was last refreshed.

    state: held snap -> holding snap -> first-held and hold-until (RFC 3339; null: no end), as JSON values. What is not
    understood in it has no effect, and stays.
    """

    def __init__(self, refreshed: collections.abc.Mapping[str, Time], state: dict[str, typing.Any] | None = None):
        self._refreshed = refreshed
        self._unknown = {held: found for held, found in (state or {}).items() if not isinstance(found, dict)}
        self._holds = {held: {**found} for held, found in (state or {}).items() if isinstance(found, dict)}

    @property
    def state(self) -> dict[str, typing.Any]:
        """The state, to be stored."""
        return self._unknown | {held: entries for held, entries in self._holds.items() if entries}

    def holders(self, held: str) -> dict[str, Hold]:
        """Who holds the snap, in force or not."""
        return {holder: hold for holder, entry in self._holds.get(held, {}).items() if (hold := _parse(holder, entry))}

    def left(self, holder: str, held: str, now: Time) -> Span:
        """For how long the holder may still hold the snap. Raises KeyError for one that is not installed."""
        refreshed, first = self._refreshed[held], self.holders(held).get(holder, Hold(now, now)).first_held
        allowed = MAXIMUM_SELF_HOLD if holder == held else MAXIMUM_OTHER_HOLD
        # A first hold in the future is a clock that was wrong.
        limit = FOR_EVER if holder == SYSTEM else min(min(first, now) + allowed, refreshed + MAXIMUM_SELF_HOLD)
        return limit - now

    def hold(self, holder: str, duration: Span | None, *affecting: str, now: Time, atomic: bool = False) -> Span:
        """Hold snaps; the shortest time left among them. duration: cut off at the limits; None: all that is left.

        Raises HoldError where some cannot be held: the others are; if atomic none is, and its earlier holds on all go.
        With nothing changed, raises KeyError as `left` does, and ValueError for a duration that is not positive.
        """
        if duration is not None and duration <= Span():
            raise ValueError(f"a holding duration of {duration.total_seconds()}s: it must be positive, or None")
        left = {held: self.left(holder, held, now) for held in affecting}
        refused = {held: error for held in left if (error := _refusal(holder, held, duration, left[held]))}
        if refused and atomic:
            self.proceed(holder, affecting)
            raise HoldError(refused)
        for held in left.keys() - refused.keys():
            until = now + min(duration or left[held], left[held])
            first = min(self.holders(held).get(holder, Hold(now, now)).first_held, now)
            times = {"first-held": first.isoformat(), "hold-until": None if until == FOR_EVER else until.isoformat()}
            entries = self._holds.setdefault(held, {})
            entries[holder] = {**entries[holder], **times} if isinstance(entries.get(holder), dict) else times
        if refused:
            raise HoldError(refused)
        return min(left.values(), default=Span())

    def proceed(self, holder: str, only: collections.abc.Collection[str] | None = None) -> None:
        """Drop the holder's holds, everywhere or on the snaps named."""
        self._drop(lambda held, each: each == holder and (only is None or held in only))

    def _drop(self, dropped: collections.abc.Callable[[str, str], bool]) -> None:
        for held, entries in self._holds.items():
            gone = {each for each in self.holders(held) if dropped(held, each)}  # what is not understood stays
            self._holds[held] = {each: entry for each, entry in entries.items() if each not in gone}

    def proceed_now(self, holder: str, candidates: affected.Candidates, now: Time, in_progress: bool) -> list[str]:
        """What is refreshed at once, its holds forgotten: updates that this holder holds, and nobody else.

        Nothing of the schedule changes. Raises GatingError where a refresh is in progress or nothing is held.
        """
        if in_progress:
            raise GatingError("there is an auto-refresh in progress")
        held = sorted(name for name in self._holds if holder in self.holders(name))
        if not held:
            raise GatingError(f'no snaps are held by snap "{holder}"')
        free = [name for name in held if name in candidates and set(self._in_force(name, now)) <= {holder}]
        self.reset(*free)
        return free

    def prune(self, candidates: collections.abc.Container[str]) -> None:
        """Forget the snaps that have no update any more. The administrator's holds stay."""
        self._drop(lambda held, holder: held not in candidates and holder != SYSTEM)

    def reset(self, *refreshed: str) -> None:
        """Forget the snaps that are about to be refreshed. The administrator's holds stay."""
        self._drop(lambda held, holder: held in refreshed and holder != SYSTEM)

    def forget(self, snap: str) -> None:
        """Forget a snap that was removed, as held and as holder."""
        self._drop(lambda held, holder: snap in (held, holder))

    def held(self, now: Time) -> dict[str, tuple[str, ...]]:
        """Snaps that must not be refreshed now, and who holds each."""
        return {held: found for held in sorted(self._holds) if (found := self._in_force(held, now))}

    def _in_force(self, held: str, now: Time) -> tuple[str, ...]:
        # A hold is not in force before it has begun: it was made while the clock was ahead.
        timely = self._refreshed.get(held, now) + MAXIMUM_POSTPONEMENT >= now
        holds = {each: hold for each, hold in self.holders(held).items() if hold.until >= now}
        return tuple(sorted(each for each, (first, _) in holds.items() if each == SYSTEM or (timely and first <= now)))

    def to_refresh(self, candidates: collections.abc.Iterable[str], now: Time) -> tuple[list[str], list[str]]:
        """The updates that go ahead now, and those that are skipped since their snap is held; in order of name."""
        held, names = self.held(now), sorted(candidates)
        return [name for name in names if name not in held], [name for name in names if name in held]

    def ask(self, gates: Gates, updates: affected.Candidates, system: affected.System, now: Time) -> Failures:
        """Ask the gates of the snaps that the updates touch, one after the other in order of name.

        One that fails means hold, as long as the limits allow; one that says nothing means proceed. The failures:
        the gate's own, or the HoldError of a hold beyond the limits. Raises LookupError as `affected` does.
        """
        failures: Failures = {}
        for name, touched in affected.affected(updates, system).items():
            try:
                answer = gates[name](affected.pending(name, updates, system)) if name in gates else None
            except Exception as error:  # whatever is wrong with a gate: hold
                failures[name], answer = error, "hold"
            try:
                if answer == "hold":
                    self.hold(name, None, *sorted(touched.by), now=now)
                else:
                    self.proceed(name)
            except HoldError as error:
                failures.setdefault(name, error)
        return failures


def _refusal(holder: str, held: str, wanted: Span | None, left: Span) -> GatingError | None:
    if left <= Span():
        return GatingError(f'snap "{holder}" cannot hold snap "{held}" anymore, maximum refresh postponement exceeded')
    if holder == SYSTEM or wanted is None or wanted <= (MAXIMUM_SELF_HOLD if holder == held else MAXIMUM_OTHER_HOLD):
        return None
    what = f'snap "{held}" of {duration_text(wanted)} by snap "{holder}"'
    return GatingError(f"requested holding duration for {what} exceeds maximum holding time", left)


def _parse(holder: str, entry: typing.Any) -> Hold | None:
    try:
        until = FOR_EVER.isoformat() if holder == SYSTEM and entry["hold-until"] is None else entry["hold-until"]
        return Hold(*(Time.fromisoformat(each).astimezone(datetime.UTC) for each in (entry["first-held"], until)))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def duration_text(duration: Span) -> str:
    """A duration, not a negative one, as Go writes it, to the second: 49h0m0s."""
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    hours = f"{minutes // 60}h" if minutes >= 60 else ""
    return hours + (f"{minutes % 60}m" if minutes else "") + f"{seconds}s"
