"""How many calls are let through in which time, as the settings state it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

import msgspec

Network: TypeAlias = IPv4Network | IPv6Network

_RATE: Final = re.compile(r"([1-9][0-9]{0,9})/([1-9][0-9]{0,4})", re.ASCII)
OFF: Final = "off"
ADDRESS_BITS_OF_6: Final = 64  # one customer's line has a whole /64


class Rate(msgspec.Struct, frozen=True):
    """At most ``limit`` calls in ``window_s`` seconds; after a burst, evenly."""

    limit: int
    window_s: int


class RateLimits(msgspec.Struct, frozen=True, kw_only=True):
    """For each API key; and for each address whose calls bring no good key."""

    of_key: Rate
    of_address: Rate


DEFAULT: Final = RateLimits(of_key=Rate(30_000, 60), of_address=Rate(120, 60))


def parse(text: str | None) -> RateLimits | None:
    """`CALLS/SECONDS` for each key and, after a comma, for each address; None where it is off.

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
    """Addresses and networks by comma; raises ValueError."""
    return tuple(ip_network(part.strip()) for part in (text or "").split(",") if part.strip())


def client_address(peer: str | None, forwarded: Sequence[str], trusted: tuple[Network, ...]) -> str:
    """Who calls: the last hop that is no proxy of ours, in `X-Forwarded-For` as far as we trust it.

    Anybody may send that header, so that it counts only as far as trusted proxies wrote it.
    ``forwarded`` is every line of it: a proxy may add one of its own below the caller's.
    """
    told = [hop.strip() for hop in ",".join(forwarded).split(",")]
    hops = [_plain(hop) for hop in (peer or "", *reversed(told))]
    last = hops[0]
    for hop in hops:
        if not _is_address(hop):
            break
        last = hop
        if not any(ip_address(hop) in network for network in trusted):
            break
    return _bucket(last)


def _plain(hop: str) -> str:
    """An IPv4 address as such where a socket of both families tells it as `::ffff:192.0.2.1`."""
    if not _is_address(hop):
        return hop
    parsed = ip_address(hop)
    return str((parsed.ipv4_mapped if parsed.version == 6 else None) or hop)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _bucket(address: str) -> str:
    if not _is_address(address):
        return "unknown"
    parsed = ip_address(address)
    if parsed.version == 4:
        return str(parsed)
    return str(ip_network((parsed, ADDRESS_BITS_OF_6), strict=False))
