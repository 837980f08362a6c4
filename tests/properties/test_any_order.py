"""Order and copies do not matter: life cycles drawn, shuffled, repeated, with spends between."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

from tests.api_client import Api
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import make_session_event
from tests.stripe_events import make_customer_event, make_invoice_event, make_subscription_event

VERDICTS = ("applied", "parked", "stale", "duplicate", "ignored")
CREDITS = {"FREE": 5, "PRO": 20, "ENTERPRISE": 50}
PRICES = ("price_pro_monthly", "price_enterprise_monthly")
STATUSES = ("trialing", "active", "active", "past_due", "unpaid", "paused")
INVOICES = ("paid", "payment_failed", "paid 1", "payment_failed 1", "payment_failed 2")
PARTS = ("status", "items", "metadata", "latest_invoice", "customer")
Event = dict[str, Any]
NUMBERS = count(1)  # each example has ids of its own, also while one is made smaller
# (what happens, seconds since the thing before); several things may share a second.
happenings = st.lists(
    st.tuples(
        st.one_of(
            st.tuples(st.just("status"), st.sampled_from(STATUSES)),
            st.tuples(st.just("price"), st.sampled_from(PRICES)),
            st.tuples(st.just("metadata"), st.sampled_from(["", "u1", "u2"])),
            st.tuples(st.just("customer"), st.sampled_from(["", "u2", "u3"])),
            st.tuples(st.just("invoice"), st.sampled_from(INVOICES)),
            st.tuples(st.just("latest_invoice"), st.sampled_from(["1", "2", ""])),
            st.tuples(st.just("pending_update"), st.sampled_from(["yes", ""])),
            st.tuples(st.just("quantity"), st.sampled_from(["0", "1"])),
            st.tuples(st.just("unreadable"), st.sampled_from(PARTS)),
            st.tuples(st.sampled_from(["session", "reference"]), st.sampled_from(["u1", "u2"])),
            st.tuples(st.sampled_from(["deleted", "customer deleted"]), st.just("")),
        ),
        st.integers(0, 2),
    ),
    min_size=2,
    max_size=6,
)


NAMED = """SELECT nullif(max(external_id), '') FROM claims
            WHERE customer_id = $1 AND rank = 2 AND stands"""


class SmallStripe:
    """Makes one customer's events as Stripe does, each update with its previous attributes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.at = NOW
        self.events: list[Event] = []
        self.email: str | None = None
        self.named: dict[str, str] = {}
        self.present: dict[str, Any] = {
            "status": "incomplete",
            "price": PRICES[0],
            "metadata": {},
            "latest_invoice": None,
            "pending_update": None,
            "quantity": 1,
        }
        self._subscription("created", None)

    def happens(self, kind: str, value: str, gap: int) -> None:
        """One thing, so many seconds after the last."""
        self.at += timedelta(seconds=gap)
        if kind in self.present:
            previous, before = self._previous(kind), self.present[kind]
            self.present[kind] = self._changed(kind, value)
            if kind == "metadata":
                previous = {kind: _before(before, self.present[kind])}
            self._subscription("updated", previous)
        elif kind == "unreadable":
            self._subscription("updated", {})
            self.events[-1]["data"]["object"][value] = 7
        elif kind == "deleted":
            self.present["status"] = "canceled"
            self._subscription("deleted", None)
        elif kind == "invoice":
            self.events.append(self._invoiced(*value.split()))
        elif kind in ("session", "reference"):
            self.events.append(self._session(kind, value))
        elif kind == "customer":
            self._customer("updated", self._metadata(value))
        else:
            self._customer("deleted", {})

    def _customer(self, kind: str, metadata: dict[str, str]) -> None:
        """Each update changes the address too, so that one order of them fits."""
        event = make_customer_event(
            self._id(), kind, self.at, customer=f"c_{self.name}", **metadata
        )
        number = len(self.events)
        event["data"]["object"]["email"] = f"{number}@b.example"
        if kind == "updated":
            previous = {"email": self.email, "metadata": _before(self.named, metadata)}
            event["data"]["previous_attributes"] = previous
            self.email, self.named = event["data"]["object"]["email"], metadata
        self.events.append(event)

    def _changed(self, kind: str, value: str) -> Any:
        if kind == "metadata":
            return self._metadata(value)
        if kind == "latest_invoice":
            return f"in_{self.name}_{value}" if value else None
        if kind == "pending_update":
            return {"expires_at": 1} if value else None
        return int(value) if kind == "quantity" else value

    def _metadata(self, user: str) -> dict[str, str]:
        return {"tallybook_account_id": f"{user}-{self.name}"} if user else {}

    def _previous(self, kind: str) -> Event:
        if kind == "price":
            return {"items": {"data": [{"price": {"id": self.present["price"]}}]}}
        if kind == "quantity":
            return {"items": {"data": [{"quantity": self.present["quantity"]}]}}
        return {kind: self.present[kind]}

    def _subscription(self, kind: str, previous: Event | None) -> None:
        self.events.append(
            make_subscription_event(
                self._id(),
                kind,
                self.at,
                status=self.present["status"],
                price=self.present["price"],
                metadata=dict(self.present["metadata"]),
                latest_invoice=self.present["latest_invoice"],
                pending_update=self.present["pending_update"],
                previous=previous,
                **self._ids(),
            )
        )
        (item,) = self.events[-1]["data"]["object"]["items"]["data"]
        item["quantity"] = self.present["quantity"]

    def _invoiced(self, kind: str, number: str = "") -> Event:
        """Of an invoice of its own, or of one that is tried again, made in that second."""
        which: Event = {}
        if number:
            made_at = NOW + timedelta(seconds=int(number))
            which = {"invoice": f"in_{self.name}_{number}", "made_at": made_at}
        return make_invoice_event(self._id(), kind, self.at, **self._ids(), **which)

    def _session(self, kind: str, user: str) -> Event:
        """The one that began the subscription, which names a user in either place."""
        return make_session_event(
            self._id(),
            self.at,
            session=f"cs_{self.name}_{len(self.events)}",
            intent=None,
            mode="subscription",
            metadata=self._metadata(user) if kind == "session" else {},
            reference=f"{user}-{self.name}" if kind == "reference" else None,
            **self._ids(),
        )

    def _ids(self) -> dict[str, str]:
        return {"subscription": f"s_{self.name}", "customer": f"c_{self.name}"}

    def _id(self) -> str:
        """Stripe's ids tell nothing of the order."""
        return f"{self.name}_{99 - len(self.events)}"


def _before(old: dict[str, str], new: dict[str, str]) -> dict[str, str | None]:
    """The previous attributes of metadata: a key that is new was null."""
    keys = old.keys() | new.keys()
    return {key: old.get(key) for key in keys if old.get(key) != new.get(key)}


def stripe_of(name: str, drawn: Sequence[tuple[tuple[str, str], int]]) -> SmallStripe:
    stripe = SmallStripe(name)
    for (kind, value), gap in drawn:
        stripe.happens(kind, value, gap)
    return stripe


def life_of(name: str, drawn: Sequence[tuple[tuple[str, str], int]]) -> list[Event]:
    return stripe_of(name, drawn).events


async def end_of(api: Api, database: Any, name: str) -> dict[str, Any]:
    """What must not depend on the order."""
    row = await database.fetchrow("SELECT * FROM subscriptions WHERE id = $1", f"s_{name}")
    grace: datetime | None = row["grace_ends_at"]
    accounts = await accounts_of(api, database, name)
    return {
        "state": row["state"],
        "status": row["status"],
        "grace": (row["grace_tier"], grace),
        "gives": row["tier"],
        "prices": row["price_ids"],
        "accounts": [one and (one["id"].replace(name, ""), one["tier"]) for one in accounts],
        "began": row["created_at"],
        "last": row["last_event_id"].replace(name, ""),
        "settled_to": row["settled_to"],
    }


async def accounts_of(api: Api, database: Any, name: str) -> list[dict[str, Any] | None]:
    """The account that the customer is tied to, and the one that receives its subscription.

    One under the customer's own id that receives nothing counts as none: it is opened by a
    subscription that is told before the session that names its receiver, and not by one after.
    """
    numbers = await database.fetchrow(
        """SELECT (SELECT account_id FROM customers WHERE id = $1),
                  (SELECT account_id FROM subscriptions WHERE id = $2)""",
        f"c_{name}",
        f"s_{name}",
    )
    query = "SELECT public_id FROM account_names WHERE account_id = $1"
    names = [await database.fetchval(query, number) for number in numbers]
    found = [await api.account(one) if one else None for one in names]
    idle = [one and one["id"] == f"c_{name}" and not one["subscriptions"] for one in found]
    return [None if none else one for none, one in zip(idle, found, strict=True)]


# Made smaller by hand: each try is some forty requests.
@settings(max_examples=40, phases=(Phase.explicit, Phase.generate))
@given(
    drawn=happenings,
    shuffle=st.randoms(use_true_random=False),
    copies=st.integers(0, 3),
    spends=st.lists(st.integers(1, 30), max_size=3),
)
async def test_a_life_cycle_ends_the_same_in_any_order(
    api, database, drawn, shuffle, copies, spends
) -> None:
    """State, grace, ties and tiers; the balances less what was spent, wherever it was spent."""
    note(drawn)
    number = next(NUMBERS)
    sorted_name, name = f"a{number}", f"b{number}"
    for event in life_of(sorted_name, drawn):
        assert await api.deliver(event) in VERDICTS
    events = life_of(name, drawn)
    steps: list[Any] = events + [shuffle.choice(events) for _ in range(copies)]
    shuffle.shuffle(steps)
    for amount in spends:
        steps.insert(shuffle.randrange(1, len(steps) + 1), amount)
    spent = 0
    for at, step in enumerate(steps):
        if isinstance(step, int):
            answer = await api.spend(f"c_{name}", step, f"key-{name}-{at}")
            spent += step if answer.status_code == 201 else 0
        else:
            assert await api.deliver(step) in VERDICTS
        for account in await accounts_of(api, database, name):
            if account is not None:
                assert 0 <= account["available"] <= CREDITS[account["tier"]]
    assert await end_of(api, database, name) == await end_of(api, database, sorted_name)
    named = stripe_of(name, drawn).named.get("tallybook_account_id")
    assert await database.fetchval(NAMED, f"c_{name}") == named
    # Without a spend the balances end the same too; what was spent counts where it was moved to.
    whole = [one and one["available"] for one in await accounts_of(api, database, sorted_name)]
    left = [one and one["available"] for one in await accounts_of(api, database, name)]
    if not spent:
        assert left == whole
    for one, other in zip(left, whole, strict=True):
        assert (one is None) == (other is None)
        assert one is None or other is None or max(0, other - spent) <= one <= other
    assert await differences(database) == []


# Who says it, of which of two subscriptions, and the account that is named.
NAMES = ["", "u1", "u2"]
sayings = st.lists(
    st.tuples(
        st.one_of(
            st.tuples(
                st.sampled_from(["incomplete", "active", "past_due"]),
                st.sampled_from(["s1", "s2"]),
                st.sampled_from(NAMES),
            ),
            st.tuples(
                st.sampled_from(["metadata", "link", "reference", "setup", "unpaid"]),
                st.sampled_from(["s1", "s2"]),
                st.sampled_from(NAMES[1:]),
            ),
            st.tuples(st.just("customer"), st.just(""), st.sampled_from(NAMES)),
        ),
        st.integers(0, 2),
    ),
    min_size=2,
    max_size=6,
)


class SmallCheckout:
    """Events of one customer with two subscriptions, and of the sessions that began them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.at = NOW
        self.events: list[Event] = []

    def says(self, kind: str, which: str, user: str, gap: int) -> None:
        """One event, so many seconds after the last."""
        self.at += timedelta(seconds=gap)
        event_id = f"{self.name}_{len(self.events):02}"
        account = f"{user}-{self.name}" if user else ""
        metadata = {"tallybook_account_id": account} if account else {}
        customer, subscription = f"c_{self.name}", f"{which}_{self.name}"
        if kind == "customer":
            event = make_customer_event(event_id, "updated", self.at, customer=customer, **metadata)
        elif kind in ("incomplete", "active", "past_due"):
            event = make_subscription_event(
                event_id,
                "updated",
                self.at,
                status=kind,
                price=PRICES[which == "s2"],
                metadata=metadata,
                subscription=subscription,
                customer=customer,
                previous={},
            )
        else:
            event = self._session(kind, event_id, subscription, account)
        self.events.append(event)

    def _session(self, kind: str, event_id: str, subscription: str, account: str) -> Event:
        """Its maker names the account, or a browser does, by a payment link or a reference."""
        begins = kind not in ("setup", "unpaid")
        mode = "subscription" if begins else "payment" if kind == "unpaid" else "setup"
        return make_session_event(
            event_id,
            self.at,
            session=f"cs_{event_id}",
            intent=None,
            customer=f"c_{self.name}",
            metadata={} if kind == "reference" else {"tallybook_account_id": account},
            status="paid" if begins else "unpaid",
            mode=mode,
            reference=account if kind == "reference" else None,
            subscription=subscription if begins else None,
            payment_link="plink_1" if kind in ("link", "reference") else None,
        )


def said(name: str, drawn: Sequence[tuple[tuple[str, str, str], int]]) -> list[Event]:
    checkout = SmallCheckout(name)
    for (kind, which, user), gap in drawn:
        checkout.says(kind, which, user, gap)
    return checkout.events


async def receivers(database: Any, name: str) -> list[tuple[str, ...]]:
    """The account that the customer is tied to, and that of each subscription with its tier."""
    rows = await database.fetch(
        """SELECT customers.id, rank::text AS what, public_id FROM customers
             LEFT JOIN account_names USING (account_id) WHERE id = $1
            UNION ALL
           SELECT subscriptions.id, state || ' ' || coalesce(tier, grace_tier, '-'), public_id
             FROM subscriptions LEFT JOIN account_names USING (account_id)
            WHERE customer_id = $1 ORDER BY 1""",
        f"c_{name}",
    )
    return [tuple(str(value).replace(name, "") for value in row) for row in rows]


@settings(max_examples=40, phases=(Phase.explicit, Phase.generate))
@given(drawn=sayings, shuffle=st.randoms(use_true_random=False), copies=st.integers(0, 3))
async def test_sessions_metadata_and_references_end_the_same_in_any_order(
    api, database, drawn, shuffle, copies
) -> None:
    """Ties and receivers of two subscriptions, in whichever order their names are told."""
    number = next(NUMBERS)
    sorted_name, name = f"d{number}", f"e{number}"
    for event in said(sorted_name, drawn):
        assert await api.deliver(event) in VERDICTS
    events = said(name, drawn)
    steps = events + [shuffle.choice(events) for _ in range(copies)]
    shuffle.shuffle(steps)
    for event in steps:
        assert await api.deliver(event) in VERDICTS
    assert await receivers(database, name) == await receivers(database, sorted_name)
    assert await differences(database) == []


SEVEN = (
    (("status", "active"), 3),
    (("price", PRICES[1]), 0),
    (("invoice", "payment_failed"), 4),
    (("invoice", "paid"), 2),
    (("status", "past_due"), 5),
    (("deleted", ""), 0),
)


@settings(max_examples=25)
@given(order=st.permutations(range(7)))
async def test_seven_events_end_the_same_in_the_database_too(api, database, order) -> None:
    """A sample; all 5,040 orders are folded in tests/subscriptions."""
    number = next(NUMBERS)
    events = life_of(f"o{number}", SEVEN)
    assert len(events) == 7
    for index in order:
        assert await api.deliver(events[index]) in ("applied", "stale")
    end = await end_of(api, database, f"o{number}")
    assert (end["state"], end["gives"], end["last"]) == ("canceled", None, "_93")
    assert [tier for _, tier in end["accounts"]] == ["FREE", "FREE"]
    assert end["settled_to"] == NOW + timedelta(seconds=9)
    assert await differences(database) == []
