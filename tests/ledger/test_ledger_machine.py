"""The real use cases on PostgreSQL against a small integer model, in any order.

TALLYBOOK_MACHINE_EXAMPLES=500 makes it run longer than the suite's share of a minute.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.accounts import standing
from app.accounts.names import NameOrder, merge, rename
from app.accounts.put import put
from app.accounts.view import view
from app.allowance.catalogue import default_text
from app.audit.balance import balance
from app.audit.horizon import Horizons
from app.book import Book
from app.errors import BusyError, TallybookError
from app.infrastructure import clock
from app.jobs.tick import advance_clock
from app.ledger.clawbacks import Policy
from app.ledger.idempotency import RequestKey, request_key
from app.operators.acts import Operator
from app.reversals import journal as reverse
from app.reversals import record, returns, run
from app.reversals.journal import ReversalOrder
from app.reversals.record import Reversed
from app.reversals.returns import ReturnOrder
from app.spending import corrections, hold
from app.spending.keyed import Order
from app.spending.spend import SpendOrder, spend
from app.verify.verify import verify
from app.webhooks.receive import receive
from tests.as_owner import apply_tiers
from tests.conftest import NOW, new_server, open_database
from tests.ledger.account_model import (
    CARRY_OVER_MAX,
    NEVER,
    PACK_PRICE,
    AccountModel,
    ModelHold,
    ModelJournal,
    ModelPurchase,
    RefusedByModel,
)
from tests.money_events import make_dispute_event, make_refund_event, make_session_event
from tests.stripe_events import make_subscription_event

OPERATOR = Operator(actor="tests", reason="of the tests")

NAMES = ("user-a", "user-b", "user-c")
PRICES = {"PRO": "price_pro_monthly", "ENTERPRISE": "price_enterprise_monthly"}
EXAMPLES = int(os.environ.get("TALLYBOOK_MACHINE_EXAMPLES", "15"))
STEPS = int(os.environ.get("TALLYBOOK_MACHINE_STEPS", "40"))
# Shrinking a failure takes minutes: not in the suite's minute, but wherever one asks for more.
PHASES = set(hypothesis.Phase) - (
    set()
    if "TALLYBOOK_MACHINE_SHRINK" in os.environ
    else {hypothesis.Phase.shrink, hypothesis.Phase.explain}
)

Answer = TypeVar("Answer")
names = st.sampled_from(NAMES)
amounts = st.integers(1, 25)
policies = st.sampled_from(["write_off", "debt", "reject"])
indexes = st.integers(0, 10_000)


def expected(act: Callable[[], Answer]) -> Answer | str:
    """What the model answers, or its refusal's code."""
    try:
        return act()
    except RefusedByModel as refusal:
        return refusal.code


class LedgerMachine(RuleBasedStateMachine):
    """Two accounts, their models, and one clock; a loop and a database of the machine's own."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.serial = 0
        self.now = NOW
        self.holds: list[tuple[int, str, ModelHold]] = []
        self.journals: list[tuple[int, str, ModelJournal]] = []
        self.spends: list[tuple[SpendOrder, int]] = []
        self.subscriptions: dict[str, str | None] = dict.fromkeys(NAMES)
        self.made: dict[str, datetime] = {}  # when Stripe made each subscription
        self.remembered: list[tuple[datetime, str, dict[str, int]]] = []
        self.reversals: list[tuple[int, ModelJournal]] = []
        self.payments: list[tuple[str, str, ModelPurchase]] = []
        self.runner.run(self._open())
        self.models = {name: AccountModel(NOW) for name in NAMES}
        self.shells = dict(self.models)  # as they began: whose openings and top-ups are whose
        self.called = {name: name for name in NAMES}  # by which id it is asked for
        self.roots = {name: name for name in NAMES}  # which account has its all
        # Whether the last call may have left what is due unposted where the model posted it.
        self.lax = False

    async def _open(self) -> None:
        server = await self.stack.enter_async_context(new_server())
        database = await self.stack.enter_async_context(open_database(server.application_url, 3))
        self.book, self.horizons = Book(database), Horizons()
        await clock.stand(database, NOW)
        await apply_tiers(self.book, catalogue())
        for name in NAMES:
            await put(self.book, name, f"cus_{name}", None, "tests")
        rows = await database.fetch("SELECT external_id, id FROM accounts")
        self.numbers = {row["external_id"]: row["id"] for row in rows}

    def teardown(self) -> None:
        try:
            self.runner.run(self._at_the_end())
        finally:
            self.runner.run(self.stack.aclose())
            self.runner.close()

    async def _at_the_end(self) -> None:
        checks = await verify(self.book.database)
        assert [text for check in checks for text in check.differences] == []
        for instant, name, sides in self.remembered:
            found = await self._balance(name, instant)
            if found is not None:
                assert found == sides, (name, instant)

    def ask(self, act: Awaitable[Answer]) -> Answer | str:
        """The real answer, or the refusal's code."""

        async def asked() -> Answer | str:
            try:
                return await act
            except TallybookError as error:
                return error.code

        return self.runner.run(asked())

    def order(self) -> Order:
        return Order(actor="tests", key=self.key(), reason="a reason")

    def key(self) -> RequestKey:
        self.serial += 1
        return request_key(f"key-{self.serial}", "POST", "/tests", {"serial": self.serial})

    # Spends.

    @rule(name=names, amount=amounts)
    def a_spend(self, name: str, amount: int) -> None:
        order = SpendOrder(
            account_id=self.called[name], amount=amount, actor="tests", key=self.key()
        )
        (answer,) = self.runner.run(spend(self.book, [order]))
        journal = expected(lambda: self.models[name].spend(amount))
        if isinstance(journal, str):
            assert isinstance(answer, TallybookError)
            assert answer.code == journal
            if journal != "account_suspended":
                assert answer.facts["available"] == self.models[name].available()
            return
        assert not isinstance(answer, TallybookError), answer
        assert answer.available == self.models[name].available()
        assert len(answer.entry_ids) == len(journal.taken)
        self.journals.append((answer.journal_id, name, journal))
        self.spends.append((order, answer.journal_id))

    @precondition(lambda self: self.spends)
    @rule(index=indexes)
    def a_spend_again_under_its_key(self, index: int) -> None:
        order, journal_id = self.spends[index % len(self.spends)]
        (answer,) = self.runner.run(spend(self.book, [order]))
        assert not isinstance(answer, TallybookError)
        assert (answer.journal_id, answer.replayed) == (journal_id, True)
        self.lax = True

    # Holds.

    @rule(name=names, amount=amounts, seconds=st.sampled_from([60, 900, 40_000, 86_400]))
    def a_hold(self, name: str, amount: int, seconds: int) -> None:
        answer = self.ask(hold.place(self.book, self.called[name], amount, seconds, self.order()))
        held = expected(lambda: self.models[name].hold(amount, seconds))
        if isinstance(held, str):
            assert answer == held
            return
        assert not isinstance(answer, str), answer
        number = answer.answer["hold_id"]
        assert isinstance(number, int)
        self.holds.append((number, name, held))

    @precondition(lambda self: self.holds)
    @rule(
        index=indexes,
        share=st.integers(1, 6),
        over=st.sampled_from([*[hold.Over.REFUSE] * 2, *hold.Over]),
        final=st.booleans(),
    )
    def a_capture(self, index: int, share: int, over: hold.Over, *, final: bool) -> None:
        number, name, held = self.holds[-1 - index % len(self.holds)]
        amount = max(1, held.amount * share // 5)  # 6 fifths are too much
        wanted = hold.Capture(amount=amount, over=over, final=final, debt_max=10**6)
        answer = self.ask(hold.capture(self.book, number, wanted, self.order()))
        journal = expected(lambda: self.models[name].capture(held, amount, over, final=final))
        if isinstance(journal, str):
            assert answer == journal
            return
        assert not isinstance(answer, str), answer
        assert answer.answer["uncovered"] == amount - sum(part for _, part in journal.taken)
        if journal.taken:
            self.journals.append((answer.journal_id, name, journal))

    @precondition(lambda self: self.holds)
    @rule(index=indexes, seconds=st.sampled_from([60, 40_000, 86_400]))
    def an_extension(self, index: int, seconds: int) -> None:
        number, name, held = self.holds[-1 - index % len(self.holds)]
        answer = self.ask(hold.extend(self.book, number, seconds, self.order()))
        refusal = expected(lambda: self.models[name].extend(held, seconds))
        assert answer == refusal if refusal else not isinstance(answer, str)

    @precondition(lambda self: self.holds)
    @rule(index=indexes)
    def a_release(self, index: int) -> None:
        number, name, held = self.holds[-1 - index % len(self.holds)]
        answer = self.ask(hold.release(self.book, number, self.order()))
        refusal = expected(lambda: self.models[name].release(held))
        assert answer == refusal if refusal else not isinstance(answer, str)

    @precondition(lambda self: any(one.kind in ("spend", "capture") for *_, one in self.journals))
    @rule(index=indexes, amount=amounts)
    def a_return(self, index: int, amount: int) -> None:
        """Part of a spend or capture, which may have come back in part already."""
        spends = [one for one in self.journals if one[2].kind in ("spend", "capture")]
        number, name, journal = spends[-1 - index % len(spends)]
        wanted = ReturnOrder(spend=number, amount=amount)
        answer = self.ask(returns.give_back(self.book, self.called[name], wanted, self.order()))
        given = expected(lambda: self.models[name].give_back(journal, amount))
        if isinstance(given, str):
            assert answer == given
            return
        assert not isinstance(answer, str), answer
        self.journals.append((answer.journal_id, name, given))

    # What operators give and take.

    @rule(
        name=names,
        amount=amounts,
        hours=st.sampled_from([None, 1, 7, 30]),
        priority=st.sampled_from([None, 50, 300]),
    )
    def a_grant(self, name: str, amount: int, hours: int | None, priority: int | None) -> None:
        if self.models[name].closed:
            return
        ends = self.now + timedelta(hours=hours) if hours else None
        granting = corrections.grant(
            self.book, self.called[name], amount, self.order(), expires_at=ends, priority=priority
        )
        answer = self.ask(granting)
        assert not isinstance(answer, str), answer
        given = self.models[name].grant(amount, ends or NEVER, priority or 300)
        self.journals.append((answer.journal_id, name, given))

    @rule(name=names, amount=st.integers(-15, 15).filter(bool))
    def an_adjustment(self, name: str, amount: int) -> None:
        answer = self.ask(corrections.adjust(self.book, self.called[name], amount, self.order()))
        model = self.models[name]
        if amount > 0:
            journal = expected(lambda: model.grant(amount, NEVER, 300, "adjustment"))
        else:
            journal = expected(lambda: model.spend(-amount, "adjustment"))
        if isinstance(journal, str):
            assert answer == journal
            return
        assert not isinstance(answer, str), answer
        self.journals.append((answer.journal_id, name, journal))

    @rule(name=names, chance=st.integers(0, 14))
    def a_close(self, name: str, chance: int) -> None:
        if chance or self.models[name].suspended:
            return
        self.runner.run(standing.close(self.book, self.called[name], OPERATOR))
        self.models[name].close()

    @rule(name=names, chance=st.integers(0, 2))
    def a_suspension_or_its_end(self, name: str, chance: int) -> None:
        model = self.models[name]
        if chance or model.closed:
            return
        act = standing.resume if model.suspended else standing.suspend
        self.runner.run(act(self.book, self.called[name], OPERATOR))
        if model.suspended:
            model.resume()
        else:
            model.suspend()

    @rule(name=names, chance=st.integers(0, 4))
    def a_rename(self, name: str, chance: int) -> None:
        """The old id goes on to mean it."""
        if chance or name != self.roots[name]:
            return
        old, key = self.called[name], self.key()
        self.called[name] = f"{name}-{self.serial}"
        order = NameOrder(by=OPERATOR, key=key)
        assert not isinstance(self.ask(rename(self.book, old, self.called[name], order)), str)
        assert self.runner.run(view(self.book, old)).public_id == self.called[name]

    @rule(name=names, into=names, chance=st.integers(0, 1))
    def a_merge(self, name: str, into: str, chance: int) -> None:
        source, target = self.roots[name], self.roots[into]
        if chance or self.models[source].suspended or self.models[target].suspended:
            return
        order = NameOrder(by=OPERATOR, key=self.key())
        answer = self.ask(merge(self.book, self.called[name], self.called[into], order))
        if source == target:
            assert answer == "refused"
            return
        refusal = expected(lambda: self.models[source].merge_into(self.models[target]))
        if refusal:
            assert answer == refusal
            return
        assert not isinstance(answer, str), answer
        for one, root in self.roots.items():
            if root == source:
                self.roots[one], self.models[one] = target, self.models[target]
        # Of then it is asked as of now: what the two had together.
        both: dict[datetime, dict[str, int]] = {}
        for instant, one, sides in self.remembered:
            if one in (source, target):
                sums = both.setdefault(instant, dict.fromkeys(sides, 0))
                both[instant] = {side: sums[side] + sides[side] for side in sides}
        self.remembered = [one for one in self.remembered if one[1] not in (source, target)]
        self.remembered += [(instant, target, sides) for instant, sides in both.items()]

    # Stripe.

    @rule(name=names, tier=st.sampled_from(["PRO", "ENTERPRISE", "FREE"]))
    def a_change_of_tier(self, name: str, tier: str) -> None:
        """FREE by canceling, which is final: the next subscription has an id of its own."""
        self.serial += 1
        current = self.subscriptions[name]
        if current is None and tier == "FREE":
            return
        subscription = current or f"sub_{self.serial}"
        kind = "deleted" if tier == "FREE" else "updated" if current else "created"
        at = NOW + timedelta(seconds=self.serial)
        made_at = self.made.setdefault(subscription, at)
        event = make_subscription_event(
            f"evt_{self.serial}",
            kind,
            at,
            status="canceled" if tier == "FREE" else "active",
            price=PRICES.get(tier, PRICES["PRO"]),
            subscription=subscription,
            customer=f"cus_{name}",
            previous={} if kind == "updated" else None,
        )
        self.subscriptions[name] = None if tier == "FREE" else subscription
        received = self.runner.run(receive(self.book, json.dumps(event).encode(), livemode=False))
        assert received.outcome == "applied"
        # An event that changes no tier leaves the account in peace: what is due stays due.
        if current is None or self.models[name].gives.get(name, "FREE") != tier:
            self.models[name].entitle(name, tier, made_at)

    # Money.

    @rule(name=names)
    def a_purchase(self, name: str) -> None:
        self.serial += 1
        at, payment = NOW + timedelta(seconds=self.serial), f"pi_{self.serial}"
        event = make_session_event(
            f"evt_{self.serial}",
            at,
            session=f"cs_{self.serial}",
            intent=payment,
            customer=f"cus_{name}",
            amount=PACK_PRICE,
        )
        assert self._deliver(event) == "applied"
        journal_id = self.runner.run(
            self.book.database.fetchval(
                "SELECT journal_id FROM purchases WHERE payment_key = $1", payment
            )
        )
        journal = self.models[name].buy(at)
        self.journals.append((journal_id, name, journal))
        self.payments.append((payment, name, self.models[name].purchases[-1]))

    def _deliver(self, event: dict[str, Any]) -> str:
        received = self.runner.run(receive(self.book, json.dumps(event).encode(), livemode=False))
        return str(received.outcome)

    def _bought(self, index: int) -> tuple[str, str, ModelPurchase]:
        return self.payments[-1 - index % len(self.payments)]

    def _money_event(self, event: dict[str, Any], name: str, one: ModelPurchase) -> None:
        assert self._deliver(event) == ("ignored" if one.closed else "applied")
        self.models[name].money_moved(one)

    @precondition(lambda self: self.payments)
    @rule(index=indexes, amount=st.integers(1, PACK_PRICE), fails=st.booleans())
    def a_refund(self, index: int, amount: int, fails: bool) -> None:
        """A new one, or one that was made fails."""
        payment, name, one = self._bought(index)
        self.serial += 1
        failing = sorted(one.refunds)[:1] if fails else []
        refund = failing[0] if failing else f"re_{self.serial}"
        if failing:
            amount = one.refunds.pop(refund)
        else:
            one.refunds[refund] = amount
        event = make_refund_event(
            f"evt_{self.serial}",
            NOW + timedelta(seconds=self.serial),
            amount,
            "refund.failed" if failing else "refund.created",
            refund=refund,
            intent=payment,
            status="failed" if failing else "succeeded",
            charge=f"ch_{payment}",
            made_at=NOW,
        )
        self._money_event(event, name, one)

    @precondition(lambda self: self.payments)
    @rule(
        index=indexes,
        amount=st.integers(1, PACK_PRICE),
        status=st.sampled_from(["needs_response", "under_review", "won", "lost"]),
    )
    def a_dispute(self, index: int, amount: int, status: str) -> None:
        """One of a payment's, of an amount that stays, takes any turn."""
        payment, name, one = self._bought(index)
        self.serial += 1
        dispute = f"du_{payment}"
        amount, _ = one.disputes.get(dispute, (amount, ""))
        one.disputes[dispute] = (amount, status)
        event = make_dispute_event(
            f"evt_{self.serial}",
            NOW + timedelta(seconds=self.serial),
            status,
            "updated",
            dispute=dispute,
            amount=amount,
            intent=payment,
            charge=f"ch_{payment}",
        )
        self._money_event(event, name, one)

    # Reversals.

    def _reversible(self) -> list[tuple[int, str, ModelJournal]]:
        return [*self.journals, *self.runner.run(self._postings())]

    async def _postings(self) -> list[tuple[int, str, ModelJournal]]:
        """The openings and top-ups that stand: the n-th journal is the model's n-th."""
        found: list[tuple[int, str, ModelJournal]] = []
        for name, model in self.shells.items():
            for kind, journals in (("opening", model.openings), ("top_up", model.top_ups)):
                rows = await self.book.database.fetch(
                    """SELECT journals.id FROM journals WHERE kind = $2 AND id IN (
                           SELECT journal_id FROM entries WHERE account_id = $1) ORDER BY id""",
                    self.numbers[name],
                    kind,
                )
                # The model may be ahead by what is computed and not posted; never behind.
                assert len(rows) == len(journals)
                found += [(row["id"], name, one) for row, one in zip(rows, journals, strict=True)]
        return found

    def _order_of_reversal(self, policy: str) -> ReversalOrder:
        return ReversalOrder(
            reason="a reason", policy=Policy(policy), actor="tests", key=self.key()
        )

    @rule(index=indexes, policy=policies, dry_run=st.sampled_from([False, False, False, True]))
    def a_reversal(self, index: int, policy: str, dry_run: bool) -> None:
        reversible = self._reversible()
        number, name, journal = reversible[-1 - index % len(reversible)]
        order = self._order_of_reversal(policy)
        again = journal.answer is not None
        before = self._copy()
        answer = self.ask(reverse.reverse_journal(self.book, number, order, dry_run=dry_run))
        wanted = expected(lambda: self.models[name].reverse(journal, policy))
        if isinstance(wanted, str):
            assert answer == wanted
            self._restore(before)
            return
        assert not isinstance(answer, str), answer
        assert answer.replayed is again
        assert _numbers(answer) == wanted
        if dry_run and not again:
            assert (answer.number, answer.journal_id) == (None, None)
            self._restore(before)
        elif not again:
            assert answer.number is not None
            self.reversals.append((answer.number, journal))

    @rule(index=indexes, policy=policies)
    def a_reversal_of_a_run(self, index: int, policy: str) -> None:
        runs = self.runner.run(self.book.database.fetch("SELECT id FROM runs ORDER BY id"))
        if not runs:
            return
        run_id = runs[-1 - index % len(runs)]["id"]
        rows = self.runner.run(
            self.book.database.fetch(
                "SELECT id FROM journals WHERE run_id = $1 ORDER BY id", run_id
            )
        )
        of_run = {row["id"] for row in rows}
        parts = [one for one in self._reversible() if one[0] in of_run]
        again = self.runner.run(
            self.book.database.fetchval("SELECT true FROM reversals WHERE of_run_id = $1", run_id)
        )
        order = self._order_of_reversal(policy)
        answer = self.ask(run.reverse_run(self.book, run_id, order, dry_run=False, within_s=60))
        assert not isinstance(answer, str), answer
        assert (answer.state, answer.replayed) == ("done", bool(again))
        if again:
            return
        reversed_count = skipped = 0
        for _, name, journal in parts:
            if journal.answer is not None:
                continue
            # Ask a copy first: what is skipped leaves all as it is, what is due too.
            model, one = copy.deepcopy((self.models[name], journal))
            wanted = expected(partial(model.reverse, one, policy))
            if not isinstance(wanted, str):
                self.models[name].reverse(journal, policy)
            skipped += isinstance(wanted, str)
            reversed_count += not isinstance(wanted, str)
        assert (answer.journal_count, answer.skipped) == (reversed_count, skipped)

    # Time.

    @rule(
        minutes=st.sampled_from([1, 10, 61, 300, 700, 1_440, 1_441, 2_900]),
        tick=st.booleans(),
    )
    def time_passes(self, minutes: int, tick: bool) -> None:
        for name, model in self.models.items():
            if name == self.roots[name]:
                self.remembered.append((self.now, name, _sides(model)))
        # A microsecond more each time, so that no two things end in the same instant by chance.
        self.serial += 1
        self.now += timedelta(minutes=minutes, microseconds=self.serial)
        if tick:
            self.runner.run(advance_clock(self.book, self.now))
        else:
            self.runner.run(clock.stand(self.book.database, self.now))
        for name, model in self.models.items():
            if name == self.roots[name]:
                if tick:
                    model.tick_to(self.now)
                model.now = self.now

    # Reads.

    @precondition(lambda self: self.remembered)
    @rule(index=indexes)
    def a_balance_as_of_then(self, index: int) -> None:
        instant, name, sides = self.remembered[index % len(self.remembered)]
        found = self.runner.run(self._balance(name, instant))
        assert found in (None, sides)

    async def _balance(self, name: str, instant: datetime) -> dict[str, object] | None:
        try:
            found = await balance(self.book.database, self.horizons, self.called[name], instant)
        except BusyError:  # another test's long transaction on the same server
            return None
        return {
            "balance": found.balance,
            "free": found.free,
            "held": found.held,
            "debt": found.debt,
        }

    @invariant()
    def every_read_says_what_the_model_says(self) -> None:
        lax, self.lax = self.lax, False
        for name, model in self.models.items():
            self.runner.run(self._compare(name, model, lax=lax))

    async def _compare(self, name: str, model: AccountModel, *, lax: bool) -> None:
        seen = await view(self.book, self.called[name])
        posted = {
            "free": seen.free,
            "held": seen.held,
            "debt": seen.debt,
            "balance": seen.balance,
            "lots": [
                (lot.source, lot.free, lot.held, lot.priority, lot.expires_at)
                for lot in seen.lots
                if lot.free or lot.held
            ],
        }
        available, owed = model.found_by_a_spend()
        assert seen.available == available, name
        if lax and posted != model.posted():
            model.post_due()
        assert posted == model.posted(), f"{name}: {posted['lots']} {model.posted()['lots']}"
        assert not (seen.debt and seen.free), "debt never stands beside free credits"
        assert not (owed and available), "nor does a spend find them so"

    @precondition(lambda self: self.holds)
    @invariant()
    def every_hold_is_in_its_state(self) -> None:
        for number, name, held in self.holds[-5:]:
            found = self.runner.run(hold.find(self.book, number))
            due = held.state == "held" and held.ends <= self.now
            shown = "captured" if held.captured else "expired"
            assert found.state == (shown if due else held.shown)
            whose = self.called[self.roots[name]]
            assert (found.captured, found.account_id) == (held.captured, whose)

    @precondition(lambda self: self.reversals)
    @invariant()
    def every_reversal_is_as_far_as_it_has_come(self) -> None:
        for number, journal in self.reversals[-5:]:
            found = self.runner.run(record.find(self.book.database, number))
            if journal.clawbacks or journal.back:
                each, owed = journal.clawbacks, journal.owed
                wanted = (
                    sum(one.requested for one in each) + sum(owed),
                    sum(one.clawed for one in each) + owed[0],
                    sum(one.held for one in each),
                    sum(one.shortfall for one in each),
                    sum(one.expired for one in each) + owed[1],
                    0,
                )
                assert _numbers(found) == wanted

    def _copy(self) -> tuple[Any, ...]:
        """What a refused or dry reversal must leave as it is; one copy: parts are shared."""
        everything = (self.models, self.shells, self.journals, self.holds, self.payments)
        return copy.deepcopy((*everything, self.reversals))

    def _restore(self, before: tuple[Any, ...]) -> None:
        self.models, self.shells, self.journals, self.holds, self.payments = before[:-1]
        self.reversals = before[-1]


def catalogue() -> str:
    """The shipped one, carrying over what the model does."""
    text = default_text().replace("carry_over_max = 0\n", "")
    for tier, most in CARRY_OVER_MAX.items():
        text = text.replace(f"[tiers.{tier}]\n", f"[tiers.{tier}]\ncarry_over_max = {most}\n")
    return text


def _numbers(one: Reversed) -> tuple[int, ...]:
    return (one.requested, one.clawed, one.held, one.shortfall, one.expired, one.carried)


def _sides(model: AccountModel) -> dict[str, int]:
    return {name: int(str(model.posted()[name])) for name in ("balance", "free", "held", "debt")}


def test_every_order_of_acts_leaves_what_plain_integers_say() -> None:
    lives: list[int] = []

    class Counted(LedgerMachine):
        def teardown(self) -> None:
            super().teardown()
            lives.append(self.serial)

    run_state_machine_as_test(
        Counted,
        settings=hypothesis.settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, phases=tuple(PHASES)
        ),
    )
    assert len(lives) >= EXAMPLES, "so many books were verified at their end"
    assert sum(lives) > EXAMPLES, "and they were acted upon"
