"""The six customers of `tallybook demo` over 35 simulated days, from sign-up to cancellation.

Months have 28 to 31 days, so the days of renewals depend on the day on which the tape starts;
every story leaves room for both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from app.simulate.customer_story import Customer, Story

LENGTH: Final = timedelta(days=35, hours=18)
MINUTES_APART: Final = 7  # everybody acts at a minute of the own: no two steps share an instant
_TOKYO: Final = timedelta(hours=9)  # no summer time: a fixed offset


def ada(c: Customer) -> Story:
    """FREE; asks once for too much"""
    yield c.signs_up(pays=False)
    yield c.on(0, 9).spends(3, "summarize a page")
    yield c.on(4, 9).spends(5, "translate a letter")
    yield c.on(4, 10).spends(1, "translate another")
    yield c.on(19, 9).spends(4, "summarize a report")
    yield c.on(35, 9).spends(2, "summarize a page")


def ben(c: Customer) -> Story:
    """PRO; renews, events come twice"""
    yield c.on(1, 8).signs_up()
    sub = c.on(1, 9).subscription(c.low)
    subscribed = sub.subscribes()
    yield subscribed
    yield c.on(1, 10).repeat(subscribed, "subscribed: Stripe delivers it all again")
    yield c.on(2, 12).spends(12, "draw a logo")
    yield c.on(10, 12).spends(20, "draw a poster")
    yield sub.renews()
    c.wait(hours=1)
    paid = sub.pays()
    yield paid
    c.wait(hours=1)
    yield c.repeat(paid, "paid: Stripe delivers it again")
    yield c.on(35, 12).spends(4, "draw an icon")


def chiyo(c: Customer) -> Story:
    """Tokyo; PRO, then ENTERPRISE"""
    yield c.on(2, 1).signs_up("Asia/Tokyo", _TOKYO)
    sub = c.on(2, 2).subscription(c.low)
    # Stripe promises no order: that it is active arrives before that it was created.
    subscribed = sub.subscribes()
    yield replace(subscribed, acts=subscribed.acts[::-1])
    yield c.on(9, 2).spends(18, "read a contract")
    c.on(9, 3)
    yield sub.changes_to(c.high)
    yield c.on(9, 4).spends(25, "read the appendix")
    yield c.on(20, 4).spends(50, "read an archive")
    yield sub.renews()
    c.wait(hours=1)
    yield sub.pays()
    yield c.on(35, 4).spends(30, "read a contract")


def dora(c: Customer) -> Story:
    """PRO; fails to pay, recovers"""
    yield c.on(1, 5).signs_up()
    sub = c.on(1, 6).subscription(c.low)
    yield sub.subscribes()
    yield c.on(12, 6).spends(9, "write a song")
    yield sub.renews()
    c.wait(hours=1)
    yield sub.fails()
    c.wait(days=1)
    yield c.spends(16, "write an album")  # more than FREE gives: grace holds
    c.wait(days=1)
    yield sub.pays()
    yield c.on(35, 11).spends(6, "write a chorus")


def emil(c: Customer) -> Story:
    """PRO; never pays, grace runs out"""
    # He subscribed before anybody listened; one snapshot is enough.
    sub = c.on(-20, 3).subscription(c.low)
    yield c.on(1, 2).signs_up()
    c.on(1, 3)
    sub.was_known()
    yield sub.notes("red")
    c.on(3, 3)
    held_up = sub.notes("blue")
    yield c.on(5, 3).spends(11, "cut a film")
    yield sub.renews()
    c.wait(hours=1)
    yield sub.fails()
    c.wait(days=3)
    yield sub.fails()
    c.wait(days=2)
    yield sub.fails()
    c.wait(days=2, hours=-1)
    yield c.spends(3, "cut a clip")
    c.wait(hours=2)
    yield c.spends(2, "cut a clip")
    c.wait(hours=1)
    yield c.spends(1, "cut a clip")
    c.wait(days=7, hours=-2)
    yield sub.ends("payment_failed")
    c.wait(days=1)
    yield c.repeat(held_up, "was active: an old event arrives late")
    yield c.on(35, 3).spends(1, "cut a trailer")


def fay(c: Customer) -> Story:
    """ENTERPRISE; ends with its period"""
    # The application is an hour late: Stripe's events open the account under the customer's id.
    sub = c.on(2, 15).subscription(c.high)
    yield sub.subscribes()
    yield c.on(2, 16).signs_up()
    yield c.on(3, 15).spends(45, "train a model")
    c.on(12, 15)
    yield sub.asks_to_cancel()
    yield c.on(13, 15).spends(50, "train another")
    sub.reaches_period_end()
    c.wait(hours=-1)
    yield c.spends(20, "train a last one")
    c.wait(hours=1)
    yield sub.ends()
    yield c.on(35, 15).spends(3, "ask a question")


# In the order of the minutes at which they act; the first is introduced at the very start.
PEOPLE: Final[tuple[Callable[[Customer], Story], ...]] = (ada, ben, chiyo, dora, emil, fay)
