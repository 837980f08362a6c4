"""Verification of the webhooks that Tallybook sends; needs the extra ``webhooks``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import InvalidWebhookError


def verify_webhook(body: bytes, headers: Mapping[str, str], *secrets: str) -> dict[str, Any]:
    """Read a webhook that one of the secrets signed within five minutes of now.

    Raises InvalidWebhookError.
    """
    from standardwebhooks import Webhook, WebhookVerificationError  # noqa: PLC0415 - an extra

    named = {name.lower(): value for name, value in headers.items()}
    for secret in secrets:
        try:
            read = Webhook(secret).verify(body, named)
        except WebhookVerificationError:
            continue
        if isinstance(read, dict):
            return read
    raise InvalidWebhookError("no secret signed this webhook")
