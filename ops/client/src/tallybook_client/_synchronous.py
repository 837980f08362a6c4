"""The client, and its holds."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx

from . import models
from ._retry import pause_s, refusal
from ._running import Beat, sleep
from .errors import HoldClosedError, HoldExpiredError, NoAnswerError, TallybookError

T = TypeVar("T")
BATCH_SPENDS_MAX = 1_000
HOLD_S = 900
_log = logging.getLogger("tallybook_client")


class Client:
    """A client of one book, with one API key.

    Every write carries an idempotency key, the given one or a random one. What got no answer, or
    an answer that says it may be retried, is sent again under the same key.

    Raises ProblemError (by code: InsufficientCreditsError, …) and NoAnswerError.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        attempts_max: int = 6,
        timeout_s: float = 15.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        if attempts_max < 1:
            raise ValueError("attempts_max is 1 or more")
        self._attempts_max = attempts_max
        self._http = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=timeout_s,
            transport=transport,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def put_account(
        self,
        account_id: str,
        *,
        time_zone: str | None = None,
        stripe_customer_id: str | None = None,
    ) -> models.Account:
        """Open an account, or change it; what is None is kept."""
        body = _given(time_zone=time_zone, stripe_customer_id=stripe_customer_id)
        return self._call(models.Account, "PUT", _account(account_id), body)

    def account(self, account_id: str) -> models.Account:
        """Read an account by its own or its customer's id."""
        return self._call(models.Account, "GET", _account(account_id))

    def balance(self, account_id: str, *, as_of: str | None = None) -> models.Balance:
        """Read the balance as the ledger stood at ``as_of`` (RFC 3339), or now."""
        params = _given(as_of=as_of)
        return self._call(models.Balance, "GET", f"{_account(account_id)}/balance", params=params)

    def balances(self, account_ids: Sequence[str]) -> models.Balances:
        """Read the balances of up to 1,000 accounts."""
        body = {"account_ids": list(account_ids)}
        return self._call(models.Balances, "POST", "/api/v1/accounts/balances", body)

    def page_link(
        self,
        account_id: str,
        *,
        expires_in_s: int | None = None,
        theme: str | None = None,
        accent: str | None = None,
        return_url: str | None = None,
        offers: Iterable[Mapping[str, str]] = (),
    ) -> models.PageLink:
        """Make a link to the account's page for its customer, to open or to embed.

        Each offer has ``price``, and may have ``label``.
        """
        body = _given(
            expires_in_s=expires_in_s,
            theme=theme,
            accent=accent,
            return_url=return_url,
            offers=[dict(offer) for offer in offers] or None,
        )
        return self._call(models.PageLink, "POST", f"{_account(account_id)}/page-links", body)

    def spend(
        self,
        account_id: str,
        amount: int,
        *,
        idempotency_key: str | None = None,
        reason: str | None = None,
        label: str | None = None,
        member: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> models.Spend:
        """Spend all of the amount, or nothing (InsufficientCreditsError)."""
        body = _given(amount=amount, reason=reason, label=label, member=member, metadata=metadata)
        path = f"{_account(account_id)}/spends"
        return self._call(models.Spend, "POST", path, body, key=idempotency_key or _key())

    def spend_batch(self, spends: Iterable[Mapping[str, Any]]) -> list[models.BatchResult]:
        """Spend from many accounts; a result for each, in order.

        Each item has ``account_id`` and ``amount``, and may have ``idempotency_key``, ``reason``,
        ``label``, ``member``, ``metadata``. Items that may be retried are.
        """
        items = [{"idempotency_key": _key(), **spend} for spend in spends]
        results: dict[int, models.BatchResult] = {}
        waiting = list(range(len(items)))
        for attempt in range(1, self._attempts_max + 1):
            for first in range(0, len(waiting), BATCH_SPENDS_MAX):
                part = waiting[first : first + BATCH_SPENDS_MAX]
                body = {"spends": [items[at] for at in part]}
                answer = self._answer("POST", "/api/v1/spends/batch", body)
                for at, result in zip(part, answer.json()["results"], strict=True):
                    results[at] = models.decode(models.BatchResult, result)
            waiting = [at for at in waiting if (found := results[at].problem) and found.retryable]
            if not waiting or attempt == self._attempts_max:
                break
            sleep(pause_s(attempt))
        return [results[at] for at in range(len(items))]

    def return_credits(
        self,
        account_id: str,
        *,
        spend_id: str | None = None,
        hold_id: str | None = None,
        of_idempotency_key: str | None = None,
        amount: int | None = None,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.Return:
        """Give back part of a spend, all that is left of it without an amount.

        The spend is named by one of ``spend_id``, ``hold_id`` and ``of_idempotency_key``.
        """
        body = _given(
            spend_id=spend_id,
            hold_id=hold_id,
            of_idempotency_key=of_idempotency_key,
            amount=amount,
            reason=reason,
        )
        path = f"{_account(account_id)}/returns"
        return self._call(models.Return, "POST", path, body, key=idempotency_key or _key())

    def hold(
        self,
        account_id: str,
        amount: int,
        *,
        expires_in_s: int = HOLD_S,
        idempotency_key: str | None = None,
        reason: str | None = None,
        label: str | None = None,
        member: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Held:
        """Hold credits for the length of a ``with`` block; see Held."""
        body = _given(
            amount=amount,
            expires_in_s=expires_in_s,
            reason=reason,
            label=label,
            member=member,
            metadata=metadata,
        )
        return Held(self, account_id, body, idempotency_key or _key())

    def place_hold(
        self, account_id: str, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> models.Hold:
        """Hold credits that nobody extends or releases for you; ``body`` as in the API."""
        path = f"{_account(account_id)}/holds"
        return self._call(models.Hold, "POST", path, body, key=idempotency_key or _key())

    def get_hold(self, hold_id: str) -> models.Hold:
        """Read a hold."""
        return self._call(models.Hold, "GET", _hold(hold_id))

    def extend_hold(
        self, hold_id: str, expires_in_s: int, *, idempotency_key: str | None = None
    ) -> models.Hold:
        """Move the deadline to this many seconds from now."""
        body = {"expires_in_s": expires_in_s}
        path = f"{_hold(hold_id)}/extend"
        return self._call(models.Hold, "POST", path, body, key=idempotency_key or _key())

    def capture_hold(
        self,
        hold_id: str,
        amount: int,
        *,
        over: models.Over = "refuse",
        final: bool = True,
        idempotency_key: str | None = None,
        reason: str | None = None,
        label: str | None = None,
        member: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> models.Capture:
        """Spend of a hold; ``over`` says what happens beyond it or after its deadline."""
        body = _given(
            amount=amount,
            over=over,
            final=final,
            reason=reason,
            label=label,
            member=member,
            metadata=metadata,
        )
        path = f"{_hold(hold_id)}/capture"
        return self._call(models.Capture, "POST", path, body, key=idempotency_key or _key())

    def release_hold(self, hold_id: str, *, idempotency_key: str | None = None) -> models.Hold:
        """Give back what a hold still holds."""
        path = f"{_hold(hold_id)}/release"
        return self._call(models.Hold, "POST", path, key=idempotency_key or _key())

    def accounts(self, **filters: Any) -> Iterator[models.ListedAccount]:
        """Iterate over the accounts; filters as in the API, such as ``tier``."""
        return self._pages(models.ListedAccount, "/api/v1/accounts", filters)

    def holds(self, account_id: str, **filters: Any) -> Iterator[models.Hold]:
        """Iterate over an account's holds, perhaps of one ``state``."""
        return self._pages(models.Hold, f"{_account(account_id)}/holds", filters)

    def entries(self, **filters: Any) -> Iterator[models.Entry]:
        """Iterate over the ledger's entries; filters as in the API, such as ``account_id``."""
        return self._pages(models.Entry, "/api/v1/ledger/entries", filters)

    def usage(self, **filters: Any) -> Iterator[models.Usage]:
        """Iterate over usage; ``from_`` and ``to`` bound it, ``by`` groups it."""
        named = {name.rstrip("_"): value for name, value in filters.items()}
        return self._pages(models.Usage, "/api/v1/usage", named)

    def alerts(self, **filters: Any) -> Iterator[models.Alert]:
        """Iterate over the alerts there are now, oldest first."""
        return self._pages(models.Alert, "/api/v1/alerts", filters)

    def _pages(self, kind: type[T], path: str, filters: Mapping[str, Any]) -> Iterator[T]:
        params = dict(filters)
        while True:
            page = (self._answer("GET", path, params=params)).json()
            for row in page["data"]:
                yield models.decode(kind, row)
            # The list of alerts can be followed: its cursor is never null, its last page is empty.
            if page["next_cursor"] is None or not page["data"]:
                return
            params["cursor"] = page["next_cursor"]

    def _call(
        self,
        kind: type[T],
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> T:
        answer = self._answer(method, path, body, params=params, key=key)
        return models.decode(kind, answer.json())

    def _answer(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = self._http.request(method, path, json=body, params=params, headers=headers)
            except httpx.TransportError as error:
                if attempt >= self._attempts_max:
                    raise NoAnswerError(f"{method} {path}: {error!r}", key) from error
                sleep(pause_s(attempt))
                continue
            problem = refusal(answer)
            if problem is None:
                return answer
            if not problem.retryable or attempt >= self._attempts_max:
                raise problem
            sleep(pause_s(attempt, answer))


class Held:
    """A hold for the length of a ``with`` block.

    It is extended while the block runs, each third of its time. What is not captured finally is
    released at the end, after an error too; the error of the block is never replaced.
    """

    def __init__(self, client: Client, account_id: str, body: Mapping[str, Any], key: str) -> None:
        self._client = client
        self._account_id = account_id
        self._body = body
        self._key = key
        self._placed: models.Hold | None = None
        self._beat: Beat | None = None
        self._closed = False

    @property
    def id(self) -> str:
        """The hold's id, inside the block."""
        if self._placed is None:
            raise RuntimeError("the hold is placed by its with block")
        return self._placed.id

    def __enter__(self) -> Held:
        self._placed = self._client.place_hold(
            self._account_id, self._body, idempotency_key=self._key
        )
        self._beat = Beat(self._body["expires_in_s"] / 3, self._extend)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end_beat()
        if self._closed:
            return
        try:
            self.release()
        except (HoldClosedError, HoldExpiredError):
            pass  # it holds nothing any more
        except TallybookError as failed:
            # Its deadline frees the credits; the block's own result or error matters more.
            _log.warning("hold %s could not be released: %s", self.id, failed)

    def capture(
        self, amount: int, *, over: models.Over = "refuse", final: bool = True, **more: Any
    ) -> models.Capture:
        """Spend of it; a final capture (the default) frees the rest. ``more`` as capture_hold."""
        if final:
            self._end_beat()
        done = self._client.capture_hold(self.id, amount, over=over, final=final, **more)
        self._closed = self._closed or final
        return done

    def release(self) -> models.Hold:
        """Give back what it still holds."""
        self._end_beat()
        done = self._client.release_hold(self.id)
        self._closed = True
        return done

    def _extend(self) -> bool:
        try:
            self._client.extend_hold(self.id, self._body["expires_in_s"])
        except NoAnswerError as failed:
            _log.warning("hold %s could not be extended yet: %s", self.id, failed)
        except TallybookError as failed:
            # A capture after the deadline says so itself.
            _log.warning("hold %s is extended no more: %s", self.id, failed)
            return False
        return True

    def _end_beat(self) -> None:
        if self._beat is not None:
            self._beat.end()
            self._beat = None


def _key() -> str:
    return uuid4().hex


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _account(account_id: str) -> str:
    return f"/api/v1/accounts/{quote(account_id, safe='')}"


def _hold(hold_id: str) -> str:
    return f"/api/v1/holds/{quote(hold_id, safe='')}"
