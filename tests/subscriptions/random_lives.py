"""Random lives of one subscription, folded in several orders; by hand as many as one likes:

python -m tests.subscriptions.random_lives 100000
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Sequence

from app.subscriptions.derive import Derived
from app.subscriptions.facts import Fact, FactKind
from statemachine import State
from tests.invariants import STATES
from tests.subscriptions.life_cycle_facts import (
    ENTERPRISE,
    IGNORED,
    PRICING,
    PRO,
    TRIALLESS,
    UNKNOWN,
    Made,
    Stored,
    at,
)

STATUSES = ("incomplete", "trialing", "active", "active", "past_due", "unpaid", "paused")
PRICES = (PRO, ENTERPRISE, TRIALLESS, IGNORED, UNKNOWN, None)
CHANGES: dict[str, Sequence[object]] = {
    "status": STATUSES,
    "price": PRICES,
    "latest_invoice": (0, 1, 2, None),
    "pending_update": (True, False),
    "collection_paused": (True, False),
    "cancel_at": (at(99), None),
}
PARTS = ("status", "prices", "latest_invoice", "cancel_at")
ACTS = ("updated",) * 5 + ("failed", "paid") * 2 + ("copied", "deleted")
ORDERS = 3
CREDITS = {"PRO": 20, "ENTERPRISE": 50, "TRIALLESS": 30}


def life(rng: random.Random) -> Made:
    """Up to twelve things that happen, several of them in one second."""
    made = Made()
    made.present = {"status": "incomplete", "price": PRO}
    second = 0
    if rng.random() < 0.8:
        made.created(0, rng.choice(STATUSES), rng.choice(PRICES[:3]) or PRO)
    for _ in range(rng.randint(1, 12)):
        second += rng.choice((0, 0, 1, 1, 2))
        act = rng.choice(ACTS)
        invoice = rng.choice((0, 1, 2))
        if act == "updated":
            names = rng.sample(list(CHANGES), rng.randint(1, 3))
            changes = {name: rng.choice(CHANGES[name]) for name in names}
            unread = [rng.choice(PARTS)] if rng.random() < 0.15 else []
            made.updated(second, None, unread, **changes)
        elif act == "failed":
            reason = rng.choice(("subscription_cycle", "subscription_update"))
            made.payment_failed(second, invoice, reason)
        elif act == "paid":
            made.payment_succeeded(second, invoice)
        elif act == "copied" and made.facts and made.facts[-1].kind is FactKind.UPDATED:
            made.copied(made.facts[-1].event_id, f"{made.facts[-1].event_id}_copy")
        elif act == "deleted" and rng.random() < 0.4:
            made.deleted(second)
    return made


def broken(made: Made, rng: random.Random) -> list[str]:
    """The invariants that the life breaks, in whatever order its facts come."""
    found: list[str] = []
    ends = []
    for _ in range(ORDERS):
        order = [*made.facts, *rng.sample(made.facts, rng.randint(0, len(made.facts)))]
        rng.shuffle(order)
        stored = Stored(made)
        for fact in order:
            folded = stored.take(fact)
        if folded != stored.whole():
            found.append("from a checkpoint it ends otherwise than from the whole history")
        ends.append(folded)
    if any(end != ends[0] for end in ends):
        found.append("it ends otherwise in another order")
    return found + _broken(ends[0].derived, made.facts)


def _broken(end: Derived, facts: Sequence[Fact]) -> list[str]:
    found: list[str] = []
    if any(fact.kind is FactKind.DELETED for fact in facts) and end.state is not State.CANCELED:
        found.append("it was deleted and is not canceled")
    snapshot = end.snapshot
    status = None if snapshot is None else snapshot.status
    ended = snapshot is not None and snapshot.kind is FactKind.DELETED
    if status is not None and not ended and end.state != STATES[status]:
        by = (status, str(end.state), str(end.trigger))
        if by not in (
            ("active", "past_due", "payment_failed"),
            ("past_due", "active", "payment_succeeded"),
        ):
            found.append(f"{end.state} by {end.trigger} while Stripe says {status}")
    if end.tier is not None and end.state is not State.ACTIVE:
        found.append(f"{end.state} gives {end.tier}")
    if end.tier is not None and snapshot is not None and "prices" not in snapshot.unread:
        known = PRICING.tier_of(snapshot.prices)
        if known is not None and known != end.tier:
            found.append(f"it gives {end.tier} for {snapshot.prices}")
        if not snapshot.prices:
            found.append(f"it gives {end.tier} for nothing")
    if end.grace_tier is not None and (end.state is not State.PAST_DUE or end.tier is not None):
        found.append("grace beside a tier")
    if end.grace_tier is not None and end.failing_since is None:
        found.append("grace without a failure")
    return found


def main() -> None:
    """Fold so many lives, and say what broke."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    wrong: Counter[str] = Counter()
    states: Counter[str] = Counter()
    for seed in range(count):
        rng = random.Random(seed)
        made = life(rng)
        if not made.facts:
            continue
        for text in broken(made, rng):
            wrong[text] += 1
            print(f"seed {seed}: {text}")
        states[str(made.derived().state)] += 1
    print(f"{count} lives, {sum(wrong.values())} invariants broken; ends: {dict(states)}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
