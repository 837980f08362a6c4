"""The settings of Stripe's API: a key that is none, or goes to the wrong place, stops the start."""

from __future__ import annotations

import pytest

from app.errors import ConfigurationError
from app.infrastructure import settings
from tests.contract.test_settings import GOOD


@pytest.mark.parametrize(
    ("more", "livemode"),
    [
        ({"STRIPE_API_KEY": "sk_test_12345"}, "false"),
        ({"STRIPE_API_KEY": "rk_live_51Habc"}, "true"),
        ({"STRIPE_API_KEY": "sk_4eC39HqLyjWD"}, "true"),
        ({"STRIPE_API_KEY": "sk_test_12345", "STRIPE_API_BASE": "http://127.0.0.1:8420/"}, "no"),
        ({"STRIPE_API_KEY": "sk_test_12345", "STRIPE_API_BASE": "http://[::1]:8420"}, "no"),
        ({"STRIPE_API_KEY": "sk_test_12345", "STRIPE_API_BASE": "https://proxy.example"}, "no"),
    ],
)
def test_these_are_taken(more: dict[str, str], livemode: str) -> None:
    loaded = settings.load(GOOD | more | {"TALLYBOOK_LIVEMODE": livemode})
    assert loaded.stripe_api_key == more["STRIPE_API_KEY"]
    assert loaded.stripe_api_base == (more.get("STRIPE_API_BASE", "").rstrip("/") or None)
    assert more["STRIPE_API_KEY"] not in repr(loaded)


def test_without_a_key_nothing_is_wrong() -> None:
    assert settings.load(GOOD | {"STRIPE_API_KEY": ""}).stripe_api_key is None


@pytest.mark.parametrize(
    "key",
    [
        "changeme99",
        "pk_test_12345",
        "sk_test_changeme",
        "sk_test_xxxxxxxxx",
        "sk_test_",
        "sk_live_…",
        "whsec_0123456789",
        "sk_test_1234\n5",
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings.load(GOOD | {"STRIPE_API_KEY": key})
    assert "STRIPE_API_KEY is no key of Stripe's, or a placeholder" in refused.value.detail
    assert key not in refused.value.detail


@pytest.mark.parametrize(("key", "livemode"), [("sk_test_12345", "true"), ("rk_live_9a8b7", "no")])
def test_a_key_of_the_other_mode_is_refused(key: str, livemode: str) -> None:
    with pytest.raises(ConfigurationError, match="one mode alone"):
        settings.load(GOOD | {"STRIPE_API_KEY": key, "TALLYBOOK_LIVEMODE": livemode})


@pytest.mark.parametrize(
    "base",
    [
        "http://stripe.example",
        "http://10.0.0.1:8420",
        "ftp://127.0.0.1",
        "127.0.0.1:8420",
        "https://user:pass@stripe.example",
        "https://stripe.example/v1",
        "https://",
        "https://x:y",
        "http://127.0.0.1.evil.example",
        "https://stripe.example?a=b",
    ],
)
def test_the_key_is_sent_nowhere_in_the_clear(base: str) -> None:
    with pytest.raises(ConfigurationError, match="STRIPE_API_BASE is neither"):
        settings.load(GOOD | {"STRIPE_API_KEY": "sk_test_12345", "STRIPE_API_BASE": base})
