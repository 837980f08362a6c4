"""What a simulation came to: a table by life cycle, differences, and what to do about trouble."""

from __future__ import annotations

from collections import Counter
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from app.simulate.book_client import Account
from app.simulate.expectation import Expected
from app.simulate.simulation import Difference, Outcome

# In the order of the columns; "accepted" is what other receivers than Tallybook are taken to say.
VERDICTS: Final = (
    "applied", "duplicate", "stale", "ignored", "parked", "queued", "refused", "accepted",
)  # fmt: skip
_REMEDIES: Final = {
    "queued": "Queued events failed and are tried again by the worker; is `tallybook worker` up?",
    "refused": "Refused: the book is live (TALLYBOOK_LIVEMODE); simulated events are test events.",
}


def print_summary(console: Console, outcome: Outcome) -> bool:
    """Print it; whether all came as it must, as far as it was compared."""
    console.print(_table(outcome))
    verdicts = sum(outcome.verdicts.values(), Counter[str]())
    for verdict, remedy in _REMEDIES.items():
        if verdicts[verdict]:
            console.print(remedy, style="red")
    for one in outcome.differences:
        console.print(_complaint(one), markup=False, highlight=False, soft_wrap=True)
    sentence, right = _sentence(outcome)
    console.print(sentence, style="bold green" if right else "bold red", highlight=False)
    return right and not any(verdicts[verdict] for verdict in _REMEDIES)


def _table(outcome: Outcome) -> Table:
    seen = sum(outcome.verdicts.values(), Counter[str]())
    names = [name for name in VERDICTS if seen[name]]
    table = Table(title="Stripe's events", title_style="bold", box=box.SIMPLE_HEAD, padding=0)
    table.add_column("life cycle", no_wrap=True)
    for name in ("customers", "sent", *names, *(("dropped",) if outcome.dropped else ())):
        table.add_column(name, justify="right")
    cycles = sorted(outcome.verdicts.keys() | outcome.customers.keys() | outcome.dropped.keys())
    for cycle in cycles:
        table.add_row(cycle, *_cells(outcome, cycle, names))
    if len(cycles) > 1:
        total = Outcome(
            verdicts={"": seen},
            customers=Counter({"": outcome.customers.total()}),
            dropped=Counter({"": outcome.dropped.total()}),
        )
        table.add_row("all", *_cells(total, "", names), style="bold")
    return table


def _cells(outcome: Outcome, cycle: str, names: list[str]) -> list[str]:
    verdicts = outcome.verdicts.get(cycle, Counter())
    numbers = [outcome.customers[cycle], verdicts.total(), *(verdicts[name] for name in names)]
    if outcome.dropped.total():
        numbers.append(outcome.dropped[cycle])
    return [f"{number:,}" if number else "" for number in numbers]


def _sentence(outcome: Outcome) -> tuple[str, bool]:
    """What the comparison says, and whether that is as it must be."""
    compared = f"{outcome.compared_count:,} customers"
    if not outcome.finished:
        return "Interrupted: this is how far it came. The same seed goes on where it stood.", False
    if not outcome.compared_count:
        told = "Nothing was compared: that takes a key that may read (--data-dir or --key)."
        return told, True
    if not outcome.difference_count:
        return f"✓ {compared} have the state, tier and credits that they must have.", True
    if outcome.dropped.total():
        drifted = (
            f"{outcome.difference_count:,} of {compared} drifted, since "
            f"{outcome.dropped.total():,} events were dropped. With real Stripe, "
            "`tallybook reconcile` fetches what was missed."
        )
        return drifted, True
    return f"✗ {outcome.difference_count:,} of {compared} differ; see above.", False


def _complaint(one: Difference) -> str:
    is_ = "there is no such account" if one.account is None else _is(one.account)
    role = one.role
    return f"{role.account_id} ({role.life_cycle}): must be {_must(one.must)}; {is_}"


def _must(must: Expected) -> str:
    states = ", ".join(f"{name} {state}" for name, state in must.subscriptions.items())
    return f"{must.tier}, {must.state or 'no state'}, {must.available} available ({states})"


def _is(account: Account) -> str:
    states = ", ".join(f"{one.id} {one.state}" for one in account.subscriptions)
    state = account.state or "no state"
    return f"is {account.tier}, {state}, {account.available} available ({states})"
