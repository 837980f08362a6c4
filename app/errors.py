"""Every error that Tallybook raises, as one tree; HTTP is decided in app.web.http.problems.

TallybookError
├── InvalidRequestError         the request is not what the schema says
│   └── SlowBodyError           its body did not arrive in time
├── RefusedError                well formed, but refused
│   ├── UnknownZoneError / InvalidCursorError / BeyondHorizonError
│   ├── PriceUnknownError / ReturnUrlError / RunDateError / HoldTooLongError
│   └── WebhookUrlError / KeyReusedError
├── UnknownThingError           there is no such …
│   ├── AccountUnknownError
│   ├── JournalUnknownError
│   └── …                       (code says which)
├── ConflictError               the state forbids it
│   ├── CustomerTakenError
│   ├── AccountClosedError / AccountSuspendedError / AccountMergedError / AccountTakenError
│   ├── HoldClosedError / HoldExpiredError
│   ├── NotReversibleError / ShortfallError / RunNotReversedError / ReturnExceedsSpendError
│   ├── StripeNotConfiguredError / NoCustomerError
│   ├── WebhookEndpointsFullError / WebhookEndpointDeletedError
│   └── NotSealedError / KeyInFlightError  (retryable)
├── InsufficientCreditsError
├── UnauthenticatedError / ForbiddenError
│   └── PageLinkError           a page's link that we did not sign
├── PageLinkExpiredError        one whose time is over
├── SignatureRefusedError       a webhook's signature or body
├── StripeFailedError           Stripe did not do what was asked
│   ├── StripeUnavailableError  (retryable) away, slow, too busy, or answering nonsense
│   └── StripeRefusedError      it said why
├── RateLimitedError            (retryable) too many calls of this key or address
├── BusyError                   (retryable) the horizon or the database did not come in time
└── ConfigurationError          settings, catalogue, migrations: stops a start
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class TallybookError(Exception):
    """Root of the tree: a closed ``code``, a sentence, facts, and whether to try again."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, **facts: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts: Mapping[str, object] = facts


class InvalidRequestError(TallybookError):
    """The request is not what the schema says."""

    code = "invalid_request"


class SlowBodyError(InvalidRequestError):
    """The body did not arrive in time; nothing of it was used."""

    code = "body_too_slow"
    retryable = True


class RefusedError(TallybookError):
    """Well formed, but refused."""

    code = "refused"


class UnknownZoneError(RefusedError):
    """No such IANA time zone."""

    code = "unknown_zone"


class InvalidCursorError(RefusedError):
    """The cursor was not made by this list with these filters."""

    code = "invalid_cursor"


class ReturnUrlError(RefusedError):
    """The address is on none of the origins that TALLYBOOK_RETURN_ORIGINS names."""

    code = "return_url"


class BeyondHorizonError(RefusedError):
    """``as_of`` is later than ``complete_to``."""

    code = "beyond_horizon"


class RunDateError(RefusedError):
    """A run's date that is over everywhere, or has begun nowhere."""

    code = "run_date"


class KeyReusedError(RefusedError):
    """The Idempotency-Key was used for other content."""

    code = "idempotency_key_reused"


class PriceUnknownError(RefusedError):
    """The catalogue sells nothing by this price."""

    code = "price_unknown"


class WebhookUrlError(RefusedError):
    """The address is not one that webhooks may go to."""

    code = "webhook_url"


class UnknownThingError(TallybookError):
    """There is no such thing."""

    code = "not_found"


class AccountUnknownError(UnknownThingError):
    """No account has this id, the application's or the customer's."""

    code = "account_unknown"


class WebhookEndpointUnknownError(UnknownThingError):
    """No webhook endpoint has this id."""

    code = "webhook_endpoint_unknown"


class WebhookMessageUnknownError(UnknownThingError):
    """No webhook message has this id."""

    code = "webhook_message_unknown"


class JournalUnknownError(UnknownThingError):
    """No journal has this id."""

    code = "journal_unknown"


class SubscriptionUnknownError(UnknownThingError):
    """No event told of this subscription."""

    code = "subscription_unknown"


class EventUnknownError(UnknownThingError):
    """No event of this id was received."""

    code = "event_unknown"


class HoldUnknownError(UnknownThingError):
    """No hold has this id."""

    code = "hold_unknown"


class ReversalUnknownError(UnknownThingError):
    """No reversal has this id."""

    code = "reversal_unknown"


class KeyUnknownError(UnknownThingError):
    """No good API key has this id."""

    code = "key_unknown"


class RunUnknownError(UnknownThingError):
    """No run has this id."""

    code = "run_unknown"


class VerificationUnknownError(UnknownThingError):
    """No verification that was asked for has this id."""

    code = "verification_unknown"


class SealUnknownError(UnknownThingError):
    """No such seal was made, or none covers this tile."""

    code = "seal_unknown"


class ConflictError(TallybookError):
    """The state of things forbids it."""

    code = "conflict"


class CustomerTakenError(ConflictError):
    """Another account was given this customer by a PUT."""

    code = "customer_taken"


class AccountClosedError(ConflictError):
    """A closed account gets no grants."""

    code = "account_closed"


class AccountSuspendedError(ConflictError):
    """A suspended account spends and holds nothing until it is resumed."""

    code = "account_suspended"


class AccountMergedError(ConflictError):
    """The account was merged into another, for good."""

    code = "account_merged"


class AccountTakenError(ConflictError):
    """Another account, or a customer of another one, has this id."""

    code = "account_taken"


class HoldClosedError(ConflictError):
    """The hold was captured or released already."""

    code = "hold_closed"


class HoldTooLongError(RefusedError):
    """A hold lasts seven days at most, however often it is extended."""

    code = "hold_too_long"


class HoldExpiredError(ConflictError):
    """The hold's deadline is past: it holds nothing."""

    code = "hold_expired"


class NotReversibleError(ConflictError):
    """Only spends, captures, grants, purchases and adjustments are reversed."""

    code = "not_reversible"


class ReturnExceedsSpendError(ConflictError):
    """More would come back than was spent and has not come back yet."""

    code = "return_exceeds_spend"


class ShortfallError(ConflictError):
    """The policy `reject` forbids a reversal that cannot take back all."""

    code = "shortfall"


class RunNotReversedError(ConflictError):
    """Only a run that was taken back, to its end, is run again."""

    code = "run_not_reversed"


class NotSealedError(ConflictError):
    """No seal covers what is asked for yet; the next one will."""

    code = "not_sealed"
    retryable = True


class KeyInFlightError(ConflictError):
    """A request under the same Idempotency-Key is under way."""

    code = "idempotency_key_in_flight"
    retryable = True


class StripeNotConfiguredError(ConflictError):
    """It takes Stripe's API, and there is no key."""

    code = "stripe_not_configured"


class NoCustomerError(ConflictError):
    """The account has no Stripe customer."""

    code = "no_customer"


class WebhookEndpointsFullError(ConflictError):
    """There are as many webhook endpoints as there may be."""

    code = "webhook_endpoints_full"


class WebhookEndpointDeletedError(ConflictError):
    """The message's endpoint was deleted."""

    code = "webhook_endpoint_deleted"


class InsufficientCreditsError(TallybookError):
    """Fewer credits are free than the act needs; facts: available, required, next_grant_at."""

    code = "insufficient_credits"


class UnauthenticatedError(TallybookError):
    """No API key, or not a good one."""

    code = "unauthenticated"


class ForbiddenError(TallybookError):
    """The key lacks the scope."""

    code = "forbidden"


class PageLinkError(ForbiddenError):
    """The link of a page was not signed here, or was changed."""

    code = "page_link_refused"


class PageLinkExpiredError(TallybookError):
    """The link of a page has ended; the application makes a new one."""

    code = "page_link_expired"


class SignatureRefusedError(TallybookError):
    """The webhook's signature or body is not Stripe's."""

    code = "invalid_signature"


class PayloadRefusedError(TallybookError):
    """The webhook is signed, and its body is no Stripe event."""

    code = "invalid_payload"


class StripeFailedError(TallybookError):
    """Stripe did not do what was asked."""

    code = "stripe_failed"


class StripeUnavailableError(StripeFailedError):
    """Stripe is away, slow or too busy, or its answer cannot be read."""

    retryable = True


class StripeRefusedError(StripeFailedError):
    """Stripe refused and said why; ``status`` is its HTTP status.

    ``missing`` where it said that there is no such object, which a mere 404 does not.
    """

    def __init__(self, detail: str, status: int, *, missing: bool = False) -> None:
        super().__init__(detail)
        self.status = status
        self.missing = missing


class RateLimitedError(TallybookError):
    """Too many calls of one key, or of one address without a good key; facts: retry_after_s."""

    code = "rate_limited"
    retryable = True


class BusyError(TallybookError):
    """Something needed did not come in time."""

    code = "busy"
    retryable = True


class ConfigurationError(TallybookError):
    """A setting, the catalogue or the database's shape forbids the start."""

    code = "configuration"
