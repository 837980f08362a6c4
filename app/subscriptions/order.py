"""The order in which Stripe made a subscription's events, as far as they show it.

Stripe promises no order, and ``created`` is in whole seconds. Within one second ``.created`` comes
first and ``.deleted`` last; between them ``previous_attributes`` link each update to the one
before it. Invoice facts come before the second's snapshots, which outrank them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

import msgspec

from app.subscriptions.facts import SNAPSHOT_KINDS, Fact, FactKind
from statemachine import trigger_of_status

# Chains are found by trying orders: 7! = 5,040 at worst. If one second has more updates of one
# subscription, the rule for ties decides.
CHAIN_LENGTH_MAX: Final = 7

_RANK: Final = {
    FactKind.PAYMENT_FAILED: 0,
    FactKind.PAYMENT_SUCCEEDED: 1,
    FactKind.CREATED: 2,
    FactKind.UPDATED: 3,
    FactKind.DELETED: 4,
    FactKind.CUSTOMER_DELETED: 5,
}
# If nothing shows which came last: canceled before past_due before active before created.
_WEIGHT: Final = {"begin": 0, "activate": 1, "fall_due": 2, "cancel": 3}


class Detail(msgspec.Struct, frozen=True):
    """An update's raw object and its ``previous_attributes``."""

    after: dict[str, Any]
    previous: dict[str, Any]


def undecided(facts: Sequence[Fact], before: Fact | None = None) -> set[str]:
    """Return the ids of events whose raw objects ``in_order`` needs.

    These are updates that share a second, and the snapshot before them; ``before`` is the last
    snapshot that is settled already.
    """
    wanted: set[str] = set()
    if len({fact.occurred_at for fact in facts}) == len(facts):
        return wanted  # no two share a second; this is the usual case
    for seconds_facts in _seconds(facts):
        updates = [fact for fact in seconds_facts if fact.kind is FactKind.UPDATED]
        first = [fact for fact in seconds_facts if fact.kind is FactKind.CREATED]
        if len(updates) > 1:
            start = first[-1] if first else before
            wanted.update(fact.event_id for fact in updates)
            wanted.update({start.event_id} if start else ())
        snapshots = [fact for fact in seconds_facts if fact.kind in SNAPSHOT_KINDS]
        if len(updates) > 1 and snapshots[-1].kind is FactKind.UPDATED:
            before = None  # which of them is last is decided later
            wanted.update(fact.event_id for fact in updates)
        elif snapshots:
            before = snapshots[-1]
    return wanted


def in_order(
    facts: Sequence[Fact], details: Mapping[str, Detail], before: Fact | None = None
) -> tuple[list[Fact], bool]:
    """Return the facts in order, each change once, and whether the rule for ties decided the last.

    ``before`` is the last snapshot that is settled already, all of it in earlier seconds.
    """
    ordered: list[Fact] = []
    tied = False
    for seconds_facts in _seconds(facts):
        updates = [fact for fact in seconds_facts if fact.kind is FactKind.UPDATED]
        tied = False
        if len(updates) > 1:
            head = [fact for fact in seconds_facts if _RANK[fact.kind] < _RANK[FactKind.UPDATED]]
            start = last_snapshot(ordered + head) or before
            updates, tied = _chain(updates, start, details)
            tail = [fact for fact in seconds_facts if _RANK[fact.kind] > _RANK[FactKind.UPDATED]]
            tied = tied and not tail  # a deletion is always the end
            ordered += head + updates + tail
        else:
            ordered += seconds_facts
    return ordered, tied


def _seconds(facts: Sequence[Fact]) -> Iterator[list[Fact]]:
    by_time = sorted(facts, key=lambda f: (f.occurred_at, _RANK[f.kind], f.event_id))
    for _, group in groupby(by_time, key=lambda fact: fact.occurred_at):
        yield list(group)


def last_snapshot(facts: Sequence[Fact]) -> Fact | None:
    """Return the last snapshot among facts in order."""
    return next((fact for fact in reversed(facts) if fact.kind in SNAPSHOT_KINDS), None)


def _chain(
    updates: Sequence[Fact], start: Fact | None, details: Mapping[str, Detail]
) -> tuple[list[Fact], bool]:
    distinct = _without_copies(updates, details)
    if len(distinct) == 1:
        return distinct, False
    paths: list[list[Fact]] = []
    if len(distinct) <= CHAIN_LENGTH_MAX:
        starts = [details[start.event_id].after] if start and start.event_id in details else []
        for begin in (*starts, None):  # the snapshot before may never have arrived
            paths = list(_paths(distinct, begin, details))
            if paths:
                break
    if paths and len({path[-1].event_id for path in paths}) == 1:
        return paths[0], False
    return sorted(distinct, key=_tie_order), True


def _paths(
    left: Sequence[Fact], begin: dict[str, Any] | None, details: Mapping[str, Detail]
) -> Iterator[list[Fact]]:
    if not left:
        yield []
        return
    for fact in left:
        if begin is None or _matches(details[fact.event_id].previous, begin):
            rest = [other for other in left if other is not fact]
            for path in _paths(rest, details[fact.event_id].after, details):
                yield [fact, *path]


def _matches(previous: object, value: object) -> bool:
    """Return whether ``value`` holds all that ``previous`` says of it; Stripe names changed parts
    only.

    A key that was not there before, as of metadata, is null in ``previous``.
    """
    if isinstance(previous, dict) and isinstance(value, dict):
        return all(_matches(part, value.get(key)) for key, part in previous.items())
    if isinstance(previous, list) and isinstance(value, list):
        return len(previous) == len(value) and all(map(_matches, previous, value))
    return previous == value


def _without_copies(updates: Sequence[Fact], details: Mapping[str, Detail]) -> list[Fact]:
    """Return the updates without copies: Stripe may make two events for one change."""
    distinct: list[Fact] = []
    for fact in updates:
        if all(details[fact.event_id] != details[other.event_id] for other in distinct):
            distinct.append(fact)
    return distinct


def _tie_order(fact: Fact) -> tuple[int, str]:
    trigger = trigger_of_status(fact.status or "")
    return (_WEIGHT.get(str(trigger), 0), fact.event_id)
