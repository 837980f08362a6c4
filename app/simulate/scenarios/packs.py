"""The life cycles of credit packs: bought, refunded, disputed."""

from __future__ import annotations

from app.simulate.customer_story import Customer, Story
from app.simulate.scenarios.scenario import Need, scenario


@scenario(Need.PACK)
def pack_bought(c: Customer) -> Story:
    """Buys a credit pack."""
    yield c.pack().is_bought()


@scenario(Need.PACK)
def pack_refunded_partially(c: Customer) -> Story:
    """Buys a pack, is given back a quarter, then a tenth."""
    pack = c.pack()
    yield pack.is_bought()
    c.wait(days=3)
    yield pack.is_refunded(0.25)
    c.wait(days=1)
    yield pack.is_refunded(0.1)


@scenario(Need.PACK)
def pack_disputed_won(c: Customer) -> Story:
    """The bank takes the money back, and returns it: so do the credits."""
    pack = c.pack()
    yield pack.is_bought()
    c.wait(days=6)
    yield pack.is_disputed()
    c.wait(days=20)
    yield pack.is_won()


@scenario(Need.PACK)
def pack_disputed_lost(c: Customer) -> Story:
    """The bank takes the money back, and keeps it."""
    pack = c.pack()
    yield pack.is_bought()
    c.wait(days=6)
    yield pack.is_disputed()
    c.wait(days=20)
    yield pack.is_lost()


@scenario(Need.PACK)
def pack_times_five(c: Customer) -> Story:
    """Buys five packs in one session, and is given a fifth of the money back."""
    pack = c.pack(quantity=5, shows_items=True)
    yield pack.is_bought()
    c.wait(days=2)
    yield pack.is_refunded(0.2)


@scenario(Need.PACK)
def pack_captured_later(c: Customer) -> Story:
    """The money for a pack is captured a day after Checkout; the credits come then."""
    pack = c.pack()
    yield pack.is_authorized()
    c.wait(days=1)
    yield pack.is_captured()


@scenario(Need.PACK)
def pack_beside_subscription(c: Customer) -> Story:
    """Buys a pack in the Checkout session that begins a subscription."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    yield sub.buys_beside(c.random.choice(c.setting.prices.packs))
