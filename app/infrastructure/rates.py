"""Rate limits from the settings, and the address that a call comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, TypeAlias

import msgspec

Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address

_RATE: Final = re.compile(r"([1-9][0-9]{0,9})/([1-9][0-9]{0,4})", re.ASCII)
OFF: Final = "off"
ADDRESS_BITS_OF_6: Final = 64  # one customer's line has a whole /64
# parsing a whole header of 360 kB stopped the process for 0.9 s
HOPS_MAX: Final = 32
FORWARDED_CHARS_MAX: Final = 4_096


class Rate(msgspec.Struct, frozen=True):
    """At most ``limit`` calls in ``window_s`` seconds; after a burst, evenly."""

    limit: int
    window_s: int


class RateLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The rates of API keys, and of addresses that call without a valid key."""

    of_key: Rate
    of_address: Rate


DEFAULT: Final = RateLimits(of_key=Rate(30_000, 60), of_address=Rate(120, 60))


def parse(text: str | None) -> RateLimits | None:
    """Return the rates of `CALLS/SECONDS,CALLS/SECONDS`: each key, each address; None if off.

    Raises ValueError.
    """
    if text is None:
        return DEFAULT
    if text == OFF:
        return None
    rates = [_rate(part.strip()) for part in text.split(",")]
    if len(rates) > 2:
        raise ValueError(text)
    return RateLimits(of_key=rates[0], of_address=rates[1] if rates[1:] else DEFAULT.of_address)


def _rate(text: str) -> Rate:
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return Rate(int(found[1]), int(found[2]))


def parse_networks(text: str | None) -> tuple[Network, ...]:
    """Return addresses and networks, separated by commas; raise ValueError."""
    return tuple(ip_network(part.strip()) for part in (text or "").split(",") if part.strip())


def client_ip(
    peer: str | None, forwarded: Sequence[str], trusted: tuple[Network, ...]
) -> Address | None:
    """Return the caller's address: the last hop that is not our proxy; None if the peer has none.

    Anyone may send `X-Forwarded-For`, so it is read only as far as trusted proxies wrote it.
    ``forwarded`` has every line of it: a proxy may add its own line below the caller's.
    """
    last = _address(peer or "")
    hops = _last_hops(forwarded)
    while last is not None and any(last in network for network in trusted):
        before = _address(next(hops, ""))
        if before is None:
            break
        last = before
    return last


def bucket_of(address: Address | None) -> str:
    """Return the name under which an address' calls are counted."""
    if address is None:
        return "unknown"
    if address.version == 4:
        return str(address)
    return str(ip_network((address, ADDRESS_BITS_OF_6), strict=False))


def _last_hops(forwarded: Sequence[str]) -> Iterator[str]:
    """Yield the hops of all lines from the last one on, as far back as can matter."""
    whole = ",".join(forwarded)
    hops = whole[-FORWARDED_CHARS_MAX:].split(",")
    if len(whole) > FORWARDED_CHARS_MAX:
        del hops[0]  # it may be the end of one
    return reversed(hops[-HOPS_MAX:])


@lru_cache(4_096)
def _address(text: str) -> Address | None:
    """Return an address; a socket of both families writes IPv4 as `::ffff:192.0.2.1`."""
    try:
        parsed = ip_address(text.strip())
    except ValueError:
        return None
    return (parsed.ipv4_mapped if parsed.version == 6 else None) or parsed
