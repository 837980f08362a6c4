"""The pages of a pretend Stripe: Checkout, the customer portal, and an overview."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Final

from app.simulate.fake_subscription import FakeSubscription
from app.simulate.pretend_stripe.account import StripeAccount
from app.simulate.price_list import PriceList
from app.simulate.stripe_objects import JsonObject

_STYLE: Final = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } td { padding: .25rem .5rem .25rem 0 }
button { font: inherit; padding: .3rem .9rem; margin: 0 .4rem .4rem 0; cursor: pointer }
form { display: inline } .note { opacity: .75; font-size: .9rem }
"""


def page(
    title: str, *parts: str, said: str = "", deliveries: Sequence[tuple[str, str]] = ()
) -> str:
    """Return a whole page; ``said`` tells what just happened, ``deliveries`` what was sent."""
    sent = "".join(f"<tr><td>{escape(kind)}<td>{escape(verdict)}" for kind, verdict in deliveries)
    told = f"<h2>Events</h2><table>{sent}</table>" if sent else ""
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8>"
        f"<meta name=viewport content='width=device-width'><title>{escape(title)}</title>"
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>"
        f"{f'<p role=status><b>{escape(said)}</b></p>' if said else ''}"
        f"{''.join(parts)}{told}"
        "<p class=note>A pretend Stripe, by <code>tallybook simulate --stripe</code>: no money "
        "moves. <a href='/'>All that it holds</a></p>"
    )


def button(action: str, label: str, *, loses: bool = False) -> str:
    """Return a button that posts; ``loses`` adds a box that keeps its events back."""
    box = "<label> <input type=checkbox name=keep_back> keep the events back</label>"
    return (
        f"<form method=post action='{escape(action)}'><button>{escape(label)}</button>"
        f"{box if loses else ''}</form>"
    )


def checkout(session: JsonObject) -> list[str]:
    """Return the parts of a Checkout page."""
    items: Any = session["line_items"]
    rows = [
        (f"{one['quantity']} x {one['price']['id']}", _dollars(one["price"]["unit_amount"]))
        for one in items["data"]
    ]
    here = f"/checkout/{session['id']}"
    if session["status"] != "open":
        return [_table(rows), f"<p>This session is {escape(str(session['status']))}.</p>"]
    return [
        _table([*rows, ("Total", _dollars(session["amount_total"]))]),
        button(f"{here}/pay", "Pay", loses=True),
        "<p>",
        button(f"{here}/decline", "Decline the card"),
        button(f"{here}/leave", "Leave without paying"),
        "<p class=note>With its events kept back, <code>tallybook reconcile</code> can be tried, "
        "which asks for what did not arrive.</p>",
    ]


def portal(
    session: JsonObject, subscriptions: Iterable[FakeSubscription], prices: PriceList
) -> list[str]:
    """Return the parts of a customer's portal."""
    here = f"/portal/{session['id']}"
    parts = [_subscription(here, one, prices) for one in subscriptions]
    back = session["return_url"]
    link = f"<p><a href='{escape(str(back))}'>Back to the application</a></p>" if back else ""
    return [*(parts or ["<p>No subscription runs.</p>"]), link]


def _subscription(here: str, one: FakeSubscription, prices: PriceList) -> str:
    base = f"{here}/{one.id}"
    until = f"ends {one.cancel_at:%-d %B %Y}" if one.cancel_at else "renews"
    others = [offer for offer in prices.subscriptions if offer.price.id != one.price.id]
    changes = [
        button(
            f"{base}/price/{offer.price.id}",
            f"{'Upgrade' if offer.price.cents > one.price.cents else 'Change'} to {offer.price.id}",
        )
        for offer in others
    ]
    return (
        f"<h2>{escape(one.price.id)}</h2><p>{escape(one.status)}, {until}, period to "
        f"{one.running.ends_at:%-d %B %Y}</p>"
        + "".join(changes)
        + "<p>"
        + button(f"{base}/cancel-later", "Cancel at the period's end")
        + button(f"{base}/cancel", "Cancel now")
        + "<p>"
        + button(f"{base}/fail", "Let a payment fail")
        + button(f"{base}/pay", "Pay the newest invoice")
    )


def overview(account: StripeAccount) -> list[str]:
    """Return the parts of the page of all that there is."""
    waiting = len(account.undelivered())
    parts = [f"<p>{waiting} events wait for delivery. {button('/deliver', 'Send them')}</p>"]
    parts += ["<h2>Subscriptions</h2>"]
    rows = [(one.id, f"{one.status}, {one.price.id}") for one in account.subscriptions.values()]
    parts += [_table(rows) if rows else "<p>None.</p>", "<h2>Packs</h2>"]
    for one in account.purchases.values():
        base = f"/charges/{one.charge_id}"
        back = f", {_dollars(one.refunded_cents)} given back" if one.refunded_cents else ""
        parts += [f"<p>{escape(one.charge_id)}: {_dollars(one.cents)}{back} "]
        if one.refunded_cents < one.cents:
            parts += [button(f"{base}/refund", "Refund")]
        if one.disputed_at is None:
            parts += [button(f"{base}/dispute", "Dispute")]
        else:
            parts += [button(f"{base}/win", "Win for you"), button(f"{base}/lose", "Lose")]
        parts += ["</p>"]
    return parts if account.purchases else [*parts, "<p>None.</p>"]


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return f"<table>{''.join(f'<tr><td>{escape(a)}<td>{escape(b)}' for a, b in rows)}</table>"


def _dollars(cents: object) -> str:
    assert isinstance(cents, int)
    return f"${cents / 100:,.2f}"
