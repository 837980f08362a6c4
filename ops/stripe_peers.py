"""Drive programs that play Stripe with Stripe's SDK, each beside a running book; compare the ends.

Run it by `make stripe-peers`. One peer is localstripe, which nobody here wrote; it stands in an
environment of its own, and is spoken to over HTTP alone. The other is our own pretend Stripe.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import stripe
from rich.console import Console
from rich.table import Table

from app.embedded.devbook import DevBook
from app.embedded.ports import LOOPBACK, free_port
from app.simulate.pretend_stripe.serve import KEY
from ops.soak.book import ROOT, running

ACCOUNT: Final = "peer-1"
EVENTS_S_MAX: Final = 6.0  # localstripe sends its events a second after the act
APART_S: Final = 1.1  # two acts of one second have no order, and Stripe is asked for it later
START_S_MAX: Final = 20.0
PRICES: Final = {"price_pro_monthly": 2_000, "price_enterprise_monthly": 5_000}  # as shipped


@dataclass
class Peer:
    """A program that plays Stripe; ``item`` is its word for what a subscription sells."""

    name: str
    base: str
    item: str
    client: stripe.StripeClient
    subscription: Any = None
    customer: Any = None

    def subscribe(self) -> None:
        """Subscribe to PRO."""
        self.subscription = self.client.v1.subscriptions.create(
            {"customer": self.customer.id, "items": [{self.item: "price_pro_monthly"}]}  # type: ignore[misc, list-item]
        )

    def upgrade(self) -> None:
        """Change to ENTERPRISE."""
        params: Any = {"items": [{self.item: "price_enterprise_monthly"}]}
        self.client.v1.subscriptions.update(self.subscription.id, params)

    def pause(self) -> None:
        """Pause the subscription."""
        self.client.v1.subscriptions.pause(self.subscription.id)

    def resume(self) -> None:
        """Go on with it."""
        self.client.v1.subscriptions.resume(self.subscription.id)

    def refund(self) -> None:
        """Give back what the newest charge took; a subscription's refund moves no credits."""
        charge = self.client.v1.charges.list({"limit": 1}).data[0]
        self.client.v1.refunds.create({"charge": charge.id})

    def cancel(self) -> None:
        """End the subscription."""
        self.client.v1.subscriptions.cancel(self.subscription.id)

    def delete_customer(self) -> None:
        """Delete the customer."""
        self.client.v1.customers.delete(self.customer.id)


@dataclass
class Run:
    """The steps at one peer, and the rows of the report."""

    peer: Peer
    book: DevBook
    data_dir: Path
    rows: list[tuple[str, ...]] = field(default_factory=list)
    wrong: int = 0

    def step(self, name: str, act: Callable[[], None], must: tuple[str, int]) -> None:
        """Do it, and wait for its end: by the peer's events, else by reconcile."""
        time.sleep(APART_S)
        act()
        how = "events"
        if not self._becomes(must):
            how = self._reconcile()
            self._becomes(must)
        is_ = self._stands()
        right = is_ == must
        self.wrong += not right
        mark = "✓" if right else "✗"
        told = [" ".join(map(str, one)) if one else "no account" for one in (must, is_)]
        self.rows.append((f"{mark} {self.peer.name}", name, *told, how))

    def finish(self) -> None:
        """Count the alarms: no event of a peer may be parked."""
        parked = self._get("/api/v1/events?verdict=parked")["data"]
        reasons = sorted({one["reason"] for one in parked})
        self.wrong += bool(parked)
        mark = "✗" if parked else "✓"
        told = f"{len(parked)}: {'; '.join(reasons)}" if parked else "0"
        self.rows.append((f"{mark} {self.peer.name}", "events that raise an alarm", "0", told, ""))

    def _becomes(self, must: tuple[str, int]) -> bool:
        ends_at = time.monotonic() + EVENTS_S_MAX
        while self._stands() != must:
            if time.monotonic() > ends_at:
                return False
            time.sleep(0.1)
        return True

    def _stands(self) -> tuple[str, int] | None:
        account = self._get(f"/api/v1/accounts/{ACCOUNT}")
        return (account["tier"], account["available"]) if "tier" in account else None

    def _get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.book.keys.auditor}"}
        return httpx.get(f"{self.book.base_url}{path}", headers=headers, trust_env=False).json()

    def _reconcile(self) -> str:
        environment = {**os.environ, **settings(self.peer)}
        command = [sys.executable, "-P", "-m", "app", "reconcile", "--data-dir", str(self.data_dir)]
        ended = subprocess.run(  # noqa: S603 - our own program
            command, env=environment, cwd=ROOT, check=False, capture_output=True, text=True
        )
        return f"reconcile {ended.stderr.strip()}".strip()


def settings(peer: Peer) -> dict[str, str]:
    """Return the settings of a book that asks this peer."""
    return {"STRIPE_API_KEY": KEY, "STRIPE_API_BASE": peer.base}


@contextmanager
def localstripe(program: Path, folder: Path) -> Iterator[Peer]:
    """Run localstripe for the length of a block."""
    port = free_port()
    command = [str(program), "--port", str(port), "--from-scratch"]
    with _started(command, folder, port) as base:
        peer = Peer("localstripe", base, "plan", _client(base))
        product = peer.client.v1.products.create({"name": "Pro"})
        for price, cents in PRICES.items():
            plan: Any = {"id": price, "amount": cents, "currency": "usd", "interval": "month"}
            peer.client.v1.plans.create({**plan, "product": product.id})
        yield peer


@contextmanager
def pretend(folder: Path) -> Iterator[Peer]:
    """Run our own pretend Stripe for the length of a block."""
    port = free_port()
    command = [sys.executable, "-P", "-m", "app", "simulate", "--stripe", str(port)]
    with _started([*command, "--data-dir", str(folder / "book")], folder, port) as base:
        yield Peer("simulate --stripe", base, "price", _client(base))


@contextmanager
def _started(command: Sequence[str], folder: Path, port: int) -> Iterator[str]:
    with (folder / "peer").open("wb") as said:
        process = subprocess.Popen(  # noqa: S603 - a program that the caller names
            command,
            cwd=folder,
            stdout=said,
            stderr=said,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    try:
        base = f"http://{LOOPBACK}:{port}"
        ends_at = time.monotonic() + START_S_MAX
        while not _answers(base):
            if process.poll() is not None or time.monotonic() > ends_at:
                raise RuntimeError(f"{command[0]}: {(folder / 'peer').read_text()}")
            time.sleep(0.1)
        yield base
    finally:
        process.terminate()
        process.wait()


def _answers(base: str) -> bool:
    try:
        httpx.get(base, trust_env=False)
    except httpx.TransportError:
        return False
    return True


def _client(base: str) -> stripe.StripeClient:
    return stripe.StripeClient(KEY, base_addresses={"api": base})


def drive(peer: Peer, folder: Path) -> Run:
    """Play the steps at a peer beside a book of its own."""
    with running(folder, None, settings(peer)) as started:
        book = started.wait()
        run = Run(peer, book, started.data_dir)
        if peer.item == "plan":
            _tell_localstripe(peer, book)
        named = {"tallybook_account_id": ACCOUNT}
        peer.customer = peer.client.v1.customers.create({"email": "a@b.example", "metadata": named})
        if peer.item == "plan":
            _give_card(peer)
        run.step("subscribes to PRO", peer.subscribe, ("PRO", 20))
        if peer.item == "plan":
            # localstripe 1.15.10 sends no event of a change, and answers 500 to the list of refunds
            # since a time, which ends `reconcile` there: the book cannot know of it.
            run.step("upgrades, untold", peer.upgrade, ("PRO", 20))
            run.step("is refunded", peer.refund, ("PRO", 20))
        else:
            run.step("upgrades to ENTERPRISE", peer.upgrade, ("ENTERPRISE", 50))
            run.step("pauses", peer.pause, ("FREE", 5))
            run.step("resumes", peer.resume, ("ENTERPRISE", 50))
        run.step("cancels", peer.cancel, ("FREE", 5))
        run.step("subscribes again", peer.subscribe, ("PRO", 20))
        run.step("is deleted", peer.delete_customer, ("FREE", 5))
        run.finish()
    return run


def _tell_localstripe(peer: Peer, book: DevBook) -> None:
    url = f"{book.base_url}/api/webhooks/stripe"
    told = {"url": url, "secret": book.stripe_webhook_secret}
    httpx.post(f"{peer.base}/_config/webhooks/book", data=told, trust_env=False).raise_for_status()


def _give_card(peer: Peer) -> None:
    card: Any = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2040, "cvc": "123"}
    method = peer.client.v1.payment_methods.create({"type": "card", "card": card})
    peer.client.v1.payment_methods.attach(method.id, {"customer": peer.customer.id})
    default: Any = {"invoice_settings": {"default_payment_method": method.id}}
    peer.client.v1.customers.update(peer.customer.id, default)


def main() -> int:
    """Play at every peer; return 1 if an end is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--localstripe", type=Path, help="its program; left out, ours alone plays")
    program = parser.parse_args().localstripe
    runs = []
    with tempfile.TemporaryDirectory(prefix="tallybook-peers-") as name:
        if program is not None:
            folder = Path(name, "localstripe")
            folder.mkdir()
            with localstripe(program.absolute(), folder) as peer:
                runs.append(drive(peer, folder))
        folder = Path(name, "pretend")
        folder.mkdir()
        with pretend(folder) as peer:
            runs.append(drive(peer, folder))
    table = Table("peer", "act", "must be", "is", "told by", box=None)
    for run in runs:
        for row in run.rows:
            table.add_row(*row)
    Console().print(table)
    return int(any(run.wrong for run in runs))


if __name__ == "__main__":
    sys.exit(main())
