"""Which bodies count as Stripe's, with Stripe's own SDK as the peer."""

from __future__ import annotations

import time

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from app.webhooks.signature import HEADER_CHARS_MAX, SignatureError, sign, verify

NOW = 1_790_000_000
SECRET = "whsec_the_current_one"
OLD_SECRET = "whsec_the_one_before"
BODY = '{"id": "evt_1", "name": "Zoë"}'.encode()
GOOD = sign(BODY, SECRET, NOW)
V1 = GOOD.partition(",")[2]


def accepted(header: str | None, *secrets: str, body: bytes = BODY, now: int = NOW) -> bool:
    try:
        verify(body, header, secrets or (SECRET,), now)
    except SignatureError:
        return False
    return True


@given(st.text(), st.text(min_size=1).filter(str.strip), st.integers(1, 10**11))
def test_what_stripe_s_sdk_signs_we_accept_and_sign_alike(text: str, secret: str, at: int) -> None:
    header = stripe.WebhookSignature.generate_signature_header(text, secret, at)
    assert header == sign(text.encode(), secret, at)
    verify(text.encode(), header, [secret], at)


@given(st.text())
def test_what_we_sign_stripe_s_sdk_accepts(text: str) -> None:
    header = sign(text.encode(), SECRET, int(time.time()))
    assert stripe.WebhookSignature.verify_header(text, header, SECRET, 300)


@given(st.binary(), st.binary())
def test_a_signature_fits_one_body_only(body: bytes, other: bytes) -> None:
    header = sign(body, SECRET, NOW)
    assert accepted(header, body=body)
    assert accepted(header, body=other) is (body == other)


@pytest.mark.parametrize(
    ("skew_s", "good"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)]
)
def test_the_time_may_differ_by_300_seconds_both_ways(skew_s: int, good: bool) -> None:
    assert accepted(GOOD, now=NOW + skew_s) is good


def test_while_a_secret_rolls_either_side_may_know_only_one() -> None:
    other = sign(BODY, OLD_SECRET, NOW).partition(",")[2]
    both = f"{GOOD},{other}"
    assert accepted(both, SECRET)
    assert accepted(both, OLD_SECRET)
    assert accepted(GOOD, OLD_SECRET, SECRET)
    assert accepted(f"t={NOW},v1=ffff,v0=ignored,{V1}")
    assert not accepted(both, "whsec_a_third_one")


@pytest.mark.parametrize("secrets", [(), ("",), (" ",)])
def test_without_a_secret_nothing_is_accepted(secrets: tuple[str, ...]) -> None:
    header = sign(BODY, secrets[0] if secrets else "", NOW)
    with pytest.raises(SignatureError, match="No webhook secret"):
        verify(BODY, header, secrets, NOW)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        ",",
        "=",
        "t",
        f"t={NOW}",
        V1,
        f"t=,{V1}",
        f"t={NOW}.0,{V1}",
        f"t={NOW}e0,{V1}",
        f"t=-{NOW},{V1}",
        f"t=+{NOW},{V1}",
        f"t=0{NOW},{V1}",
        f"t= {NOW},{V1}",
        f"t=1_790_000_000,{V1}",
        f"t={'9' * 3_000},{V1}",
        f"t={'9' * 5_000},{V1}",
        f"t=nan,{V1}",
        f"t={NOW},t={NOW},{V1}",
        f"t={NOW},t={NOW + 1},{V1}",
        f"t={NOW},v1=",
        f"t={NOW},v1",
        f"t={NOW},v0={V1[3:]}",
        f"t={NOW},{V1.upper()}",
        f"t={NOW},{V1}=",
        f"t={NOW},{V1}0",
        f"t={NOW},{V1[:-1]}",
        f"t={NOW},v1=é",
        f"t=١٧٩٠٠٠٠٠٠٠,{V1}",
        f"{GOOD},é=1",
        GOOD + "," * HEADER_CHARS_MAX,
        f"t={NOW}\x00,{V1}",
        f"t={NOW}\n,{V1}",
        "\ud800",
    ],
)
def test_a_hostile_header_is_refused_with_our_error_only(header: str | None) -> None:
    assert not accepted(header)


pieces = st.sampled_from(["t=", "v1=", "v0=", ",", "=", str(NOW), V1[3:], "-", "é", "\x00"])


@given(st.lists(pieces | st.text(max_size=3)).map("".join) | st.text())
def test_no_header_raises_anything_else(header: str) -> None:
    good_items = {f"t={NOW}", V1} <= set(header.split(","))
    assert not accepted(header) or good_items


def test_the_refusal_says_why_without_the_secret() -> None:
    with pytest.raises(SignatureError) as caught:
        verify(BODY, sign(BODY, OLD_SECRET, NOW), [SECRET], NOW)
    assert caught.value.code == "invalid_signature"
    assert "whsec" not in str(caught.value)
