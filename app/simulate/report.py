"""What happened, as tables that a person enjoys reading."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.simulate.book_client import Account, BookClient, PlayError, Subscription
from app.simulate.expectation import Expected
from app.simulate.play import Played
from app.simulate.tape import Customer

# Why a delivery may end so; the list of verdicts is closed. The last three must not happen here.
_MEANING: Final = {
    "applied": "it moved a subscription, or confirmed where it stands",
    "duplicate": "received before: nothing is posted twice",
    "stale": "older than what is known: nothing is revived",
    "ignored": "nothing that credits hang on",
    "queued": "its effects failed; the worker tries again",
    "parked": "not understood: somebody must look",
    "refused": "of another mode than this book",
}
_WRONG: Final = frozenset({"parked", "refused"})  # a queued one may have been applied since
_TIER_STYLE: Final = {"FREE": "white", "PRO": "cyan", "ENTERPRISE": "magenta"}


@dataclass(frozen=True)
class Found:
    """A customer's account in the end, and what its entries add up to."""

    customer: Customer
    account: Account
    credits: Counter[str]  # by kind of entry
    posted: int  # what all its entries add up to
    entry_count: int

    @property
    def actual(self) -> Expected:
        """What is, in the words of what must be."""
        return Expected(
            tier=self.account.tier,
            state=self.account.state,
            available=self.account.available,
            granted=self.credits["grant"],
            spent=self.credits["spend"],
            expired=self.credits["expiry"],
        )

    @property
    def right(self) -> bool:
        """Whether it came as it must, and the entries carry the balance."""
        return self.actual == self.customer.expected and self.posted == self.account.balance


async def look_up(client: BookClient, customer: Customer) -> Found:
    """Read the account and all its entries."""
    account = await client.account(customer.account_id)
    if account is None:
        raise PlayError(f"The account {customer.account_id} is gone.")
    credits: Counter[str] = Counter()
    posted = entry_count = 0
    async for entry in client.entries(customer.account_id):
        credits[entry.kind] += entry.amount
        posted += entry.change
        entry_count += 1
    return Found(customer, account, credits, posted, entry_count)


def print_report(console: Console, played: Played, found: list[Found]) -> bool:
    """Print both tables and the sentence under them; whether all is right."""
    console.print()
    console.print(_customers(found))
    for one in found:
        if not one.right:
            console.print(_complaint(one), style="red", markup=False, highlight=False)
    console.print(_verdicts(played.verdicts))
    for surprise in played.surprises:
        console.print(f"✗ {surprise}, against the rules", style="red", markup=False)
    right = (
        all(one.right for one in found)
        and not played.surprises
        and not any(played.verdicts[name] for name in _WRONG)
    )
    console.print(_sentence(played, found, right))
    return right


def _customers(found: list[Found]) -> Table:
    # Two lines a customer, few rules: it fits into 80 columns.
    table = Table(title="Six customers, five weeks", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("customer")
    table.add_column("now")
    for name in ("granted", "spent", "expired", "available"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        table.add_row(*_row(one))
    return table


def _row(one: Found) -> list[Text]:
    who = Text("✓ ", style="green") if one.right else Text("✗ ", style="red")
    who.append(one.customer.account_id, style="bold default")
    who.append(f"\n{one.customer.story}", style="dim default")
    actual = one.actual
    now = Text(actual.tier, style=_TIER_STYLE.get(actual.tier, ""))
    if actual.state is not None:
        now.append(f", {actual.state}", style="default")
    subscriptions = "\n".join(map(_subscription, one.account.subscriptions))
    now.append(f"\n{subscriptions or 'no subscription'}", style="dim default")
    numbers = (actual.granted, actual.spent, actual.expired)
    available = Text(str(actual.available), style="bold")
    return [who, now, *(Text(str(number)) for number in numbers), available]


def _subscription(one: Subscription) -> str:
    price = (one.price_id or "no price").removeprefix("price_").replace("_", " ")
    if one.state == "canceled" or one.period_end_at is None:
        return f"{price}, over"
    until = "ends" if one.cancel_at_period_end else "to"
    return f"{price}, {until} {one.period_end_at:%-d %b}"


def _complaint(one: Found) -> str:
    if one.actual == one.customer.expected:
        return (
            f"✗ {one.account.id}: the entries add up to {one.posted}, "
            f"the balance is {one.account.balance}"
        )
    return f"✗ {one.account.id}: must be {_words(one.customer.expected)}; is {_words(one.actual)}"


def _words(what: Expected) -> str:
    return (
        f"{what.tier} {what.state or 'without subscription'}, {what.available} available, "
        f"{what.granted} granted, {what.spent} spent, {what.expired} expired"
    )


def _verdicts(verdicts: Counter[str]) -> Table:
    table = Table(title="Stripe's events", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("verdict", no_wrap=True)
    table.add_column("deliveries", justify="right")
    table.add_column("meaning")
    for name in [*_MEANING, *sorted(set(verdicts) - set(_MEANING))]:
        if verdicts[name]:
            style = "red" if name in _WRONG else ""
            table.add_row(name, str(verdicts[name]), _MEANING.get(name, "?"), style=style)
    return table


def _sentence(played: Played, found: list[Found], right: bool) -> Text:
    entries = sum(one.entry_count for one in found)
    told = (
        f" {entries} ledger entries carry every balance; {played.spend_count} spends were "
        f"granted, {played.refused_count} refused for want of credits."
    )
    if right:
        return Text("✓ All as it must be.", style="bold green").append(told, style="not bold")
    return Text("✗ Not as it must be; see above.", style="bold red").append(told, style="not bold")
