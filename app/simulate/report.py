"""The outcome as tables and sentences that a person enjoys reading."""

from __future__ import annotations

from collections import Counter
from typing import Final

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from app.simulate.book_client import Account, Subscription
from app.simulate.engine import Found, Outcome
from app.simulate.expectation import ANY, Expected

# The closed list of verdicts, in the order of the columns, and why a delivery may end so.
# "accepted" is assumed of other receivers than Tallybook.
VERDICTS: Final = {
    "applied": "it moved a subscription, or confirmed where it stands",
    "duplicate": "received before: nothing is posted twice",
    "stale": "older than what is known: nothing is revived",
    "ignored": "nothing that credits hang on",
    "parked": "not understood: somebody must look",
    "queued": "its effects failed; the worker tries again",
    "refused": "of another mode than this book",
    "accepted": "another receiver than Tallybook",
}
_WRONG_IN_DEMO: Final = frozenset({"parked", "refused"})  # a queued one may be applied since
_REMEDIES: Final = {
    "queued": "Queued events failed and are tried again by the worker; is `tallybook worker` up?",
    "refused": "Refused: the book is live (TALLYBOOK_LIVEMODE); simulated events are test events.",
}
_TIER_STYLE: Final = {"FREE": "white", "PRO": "cyan", "ENTERPRISE": "magenta"}


def progress_bar(console: Console | None) -> Progress:
    """Return a bar with room for a sentence."""
    return Progress(
        BarColumn(bar_width=24),
        TextColumn("{task.description}", markup=False),
        console=console,
        disable=console is None,
        transient=True,
    )


def print_summary(console: Console, outcome: Outcome) -> bool:
    """Print a simulation's outcome; return whether all is right, as far as it was compared."""
    console.print(_by_scenario(outcome))
    verdicts = outcome.verdict_counts
    troubles = [remedy for verdict, remedy in _REMEDIES.items() if verdicts[verdict]]
    for remedy in troubles:
        console.print(remedy, style="red")
    _print_complaints(console, outcome)
    _print_surprises(console, outcome)
    sentence, right = _judged(outcome)
    console.print(sentence, style="bold green" if right else "bold red", highlight=False)
    if outcome.use_count or outcome.spend_count:
        acts = f"{outcome.spend_count:,} spends and {outcome.use_count:,} other acts"
        told = f"The application made {acts} of jobs; {outcome.refused_count:,} were refused."
        console.print(told, style="dim", highlight=False)
    return right and not troubles and not outcome.surprises


def print_demo(console: Console, outcome: Outcome) -> bool:
    """Print the demo's outcome: its people, the verdicts and a sentence; return whether right."""
    console.print()
    console.print(_people(outcome.found))
    _print_complaints(console, outcome)
    console.print(_by_verdict(outcome.verdict_counts))
    _print_surprises(console, outcome)
    wrong = any(outcome.verdict_counts[name] for name in _WRONG_IN_DEMO)
    right = not (wrong or outcome.surprises or outcome.difference_count)
    head = (
        Text("✓ All as it must be.", style="bold green")
        if right
        else Text("✗ Not as it must be; see above.", style="bold red")
    )
    entries = sum(one.posted.entry_count for one in outcome.found if one.posted)
    told = (
        f" {entries} ledger entries carry every balance; {outcome.spend_count} spends were "
        f"granted, {outcome.refused_count} refused for want of credits."
    )
    console.print(head.append(told, style="not bold"))
    return right


def _print_surprises(console: Console, outcome: Outcome) -> None:
    for surprise in outcome.surprises:
        console.print(f"✗ {surprise}, against the rules", style="red", markup=False)


def _by_scenario(outcome: Outcome) -> Table:
    seen = outcome.verdict_counts
    names = [name for name in VERDICTS if seen[name]]
    dropped = ["dropped"] if outcome.dropped.total() else []
    table = Table(title="Stripe's events", title_style="bold", box=box.SIMPLE_HEAD, padding=0)
    table.add_column("life cycle", no_wrap=True)
    for name in ("customers", "sent", *names, *dropped):
        table.add_column(name, justify="right")

    def add(name: str, verdicts: Counter[str], *counts: int, style: str = "") -> None:
        customers, lost = counts
        numbers = [customers, verdicts.total(), *(verdicts[verdict] for verdict in names)]
        numbers += [lost] if dropped else []
        table.add_row(name, *(f"{n:,}" if n else "" for n in numbers), style=style)

    scenarios = sorted(outcome.verdicts.keys() | outcome.customers.keys() | outcome.dropped.keys())
    for name in scenarios:
        verdicts = outcome.verdicts.get(name, Counter())
        add(name, verdicts, outcome.customers[name], outcome.dropped[name])
    if len(scenarios) > 1:
        add("all", seen, outcome.customers.total(), outcome.dropped.total(), style="bold")
    return table


def _judged(outcome: Outcome) -> tuple[str, bool]:
    """Return what the comparison says, and whether that is as it must be."""
    compared = f"{outcome.compared_count:,} accounts"
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


def _print_complaints(console: Console, outcome: Outcome) -> None:
    for one in outcome.found:
        if one.wrong:
            told = f"✗ {one.account_id} ({one.role.scenario}): {_complaint(one)}"
            console.print(told, style="red", markup=False, highlight=False, soft_wrap=True)


def _complaint(one: Found) -> str:
    if one.must == one.is_ and one.account is not None and one.posted is not None:
        return f"the entries add up to {one.posted.change}, the balance is {one.account.balance}"
    is_ = "there is no such account" if one.account is None else f"is {_told(one.is_)}"
    return f"must be {_told(one.must)}; {is_}"


def _told(one: Expected | None) -> str:
    if one is None:
        return "no account"
    sums = f"{one.granted} granted, {one.spent} spent, {one.expired} expired"
    customer = "" if one.customer_id == ANY else f", customer {one.customer_id}"
    states = [f"{name} {state}" for name, state in one.subscriptions.items()]
    ends = [f"{name} ends {at:%Y-%m-%d %H:%M}" for name, at in one.ends.items() if at]
    return (
        f"{one.tier}, {one.state or 'no state'}, {one.available} available, {sums}{customer} "
        f"({', '.join(states + ends) or 'no subscription'})"
    )


def _people(found: list[Found]) -> Table:
    # Two lines a customer, few rules: it fits into 80 columns.
    table = Table(title="Six customers, five weeks", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("customer")
    table.add_column("now")
    for name in ("granted", "spent", "expired", "available"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        if one.account is not None and one.is_ is not None:
            table.add_row(*_person(one, one.account, one.is_))
    return table


def _person(one: Found, account: Account, is_: Expected) -> list[Text]:
    who = Text("✗ ", style="red") if one.wrong else Text("✓ ", style="green")
    who.append(one.account_id, style="bold default")
    who.append(f"\n{one.role.sentence}", style="dim default")
    now = Text(is_.tier, style=_TIER_STYLE.get(is_.tier, ""))
    if is_.state is not None:
        now.append(f", {is_.state}", style="default")
    subscriptions = "\n".join(map(_subscription, account.subscriptions))
    now.append(f"\n{subscriptions or 'no subscription'}", style="dim default")
    numbers = (Text(str(number)) for number in (is_.granted, is_.spent, is_.expired))
    return [who, now, *numbers, Text(str(is_.available), style="bold")]


def _subscription(one: Subscription) -> str:
    price = (one.price_id or "no price").removeprefix("price_").replace("_", " ")
    if one.state == "canceled" or one.period_end_at is None:
        return f"{price}, over"
    until = "ends" if one.cancel_at_period_end else "to"
    return f"{price}, {until} {one.period_end_at:%-d %b}"


def _by_verdict(verdicts: Counter[str]) -> Table:
    table = Table(title="Stripe's events", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("verdict", no_wrap=True)
    table.add_column("deliveries", justify="right")
    table.add_column("meaning")
    for name in [*VERDICTS, *sorted(set(verdicts) - set(VERDICTS))]:
        if verdicts[name]:
            style = "red" if name in _WRONG_IN_DEMO else ""
            table.add_row(name, str(verdicts[name]), VERDICTS.get(name, "?"), style=style)
    return table
