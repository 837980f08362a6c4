"""How limits are stated, and whose address a call comes from."""

from __future__ import annotations

import time

import pytest

from app.infrastructure import settings
from app.infrastructure.rates import (
    DEFAULT,
    FORWARDED_CHARS_MAX,
    HOPS_MAX,
    Rate,
    bucket_of,
    client_ip,
    parse,
    parse_networks,
)
from tests.contract.test_settings import GOOD, refusal

PROXIES = parse_networks("10.0.0.0/8, 2001:db8::/32")


def test_a_limit_is_calls_by_seconds_for_keys_and_then_addresses() -> None:
    both = parse("600/60,20/10")
    assert both is not None
    assert (both.of_key, both.of_address) == (Rate(600, 60), Rate(20, 10))
    one = parse("5/1")
    assert one is not None
    assert (one.of_key, one.of_address) == (Rate(5, 1), DEFAULT.of_address)
    assert parse(None) == DEFAULT
    assert parse("off") is None


@pytest.mark.parametrize("text", ["", "0/60", "60", "60/0", "-1/1", "1/1,1/1,1/1", "1/1,", "٣/1"])
def test_what_is_no_limit_stops_the_start(text: str) -> None:
    if text:
        assert "TALLYBOOK_RATE_LIMIT is neither" in refusal(GOOD | {"TALLYBOOK_RATE_LIMIT": text})
    with pytest.raises(ValueError, match=r"^"):
        parse(text)


def test_a_proxy_that_is_no_network_stops_the_start() -> None:
    told = refusal(GOOD | {"TALLYBOOK_TRUSTED_PROXIES": "proxy.example"})
    assert "TALLYBOOK_TRUSTED_PROXIES" in told
    loaded = settings.load(GOOD | {"TALLYBOOK_TRUSTED_PROXIES": "192.0.2.7,10.0.0.0/8"})
    assert len(loaded.trusted_proxies) == 2


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.9", "192.0.2.1"),  # a stranger may claim anything
        ("10.1.1.1", "198.51.100.9", "198.51.100.9"),
        ("10.1.1.1", "203.0.113.5, 198.51.100.9", "198.51.100.9"),  # the first is the client's word
        ("10.1.1.1", "198.51.100.9, 10.2.2.2", "198.51.100.9"),
        ("10.1.1.1", "10.3.3.3, 10.2.2.2", "10.3.3.3"),
        ("10.1.1.1", "nonsense", "10.1.1.1"),
        ("10.1.1.1", None, "10.1.1.1"),
        ("10.1.1.1", "", "10.1.1.1"),
        ("2001:db8::1", "2001:67c:2:3:4:5:6:7", "2001:67c:2:3::/64"),
        (None, "198.51.100.9", "unknown"),
        ("a.socket", None, "unknown"),
        ("::ffff:10.1.1.1", "198.51.100.9", "198.51.100.9"),  # a socket of both families
        ("10.1.1.1", "::ffff:198.51.100.9", "198.51.100.9"),
        ("::ffff:192.0.2.1", None, "192.0.2.1"),
    ],
)
def test_a_forwarded_address_counts_only_behind_our_own_proxies(
    peer: str | None, forwarded: str | None, address: str
) -> None:
    lines = [] if forwarded is None else [forwarded]
    assert bucket_of(client_ip(peer, lines, PROXIES)) == address


def test_a_header_of_any_length_is_read_to_a_bound() -> None:
    """360 kB of hops took 0.9 s, in which the process answered nobody."""
    long = ",".join(["10.9.9.9"] * 40_000)
    started = time.perf_counter()
    for _ in range(100):
        assert bucket_of(client_ip("192.0.2.1", [long], PROXIES)) == "192.0.2.1"
        assert bucket_of(client_ip("10.1.1.1", [long], PROXIES)) == "10.9.9.9"
    assert time.perf_counter() - started < 1.0


def test_only_the_last_hops_count_and_never_a_part_of_one() -> None:
    ours = ["10.1.1.1"] * (HOPS_MAX - 1)
    far = ["198.51.100.9", *ours]
    assert bucket_of(client_ip("10.1.1.1", [",".join(far)], PROXIES)) == "198.51.100.9"
    assert (
        bucket_of(client_ip("10.1.1.1", [",".join(["198.51.100.9", "10.1.1.1", *ours])], PROXIES))
        == "10.1.1.1"
    )
    # Cut at the bound, `198.51.100.9` would read `8.51.100.9`, which is an address too.
    padded = "198.51.100.9" + " " * (FORWARDED_CHARS_MAX - 10)
    assert bucket_of(client_ip("10.1.1.1", [padded], PROXIES)) == "10.1.1.1"
