"""The addresses that webhooks may go to: public ones by https, and configured private networks.

A name is resolved once, its addresses are judged, and the connection uses the number. So a name
that points to another host a moment later (DNS rebinding) leads nowhere.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

import httpx

from app.errors import WebhookUrlError
from app.infrastructure.rates import Address, Network

URL_CHARS_MAX: Final = 2_000
RESOLVE_SECONDS_MAX: Final = 5.0

# is_global is true for these, but each contains another address to which it leads.
_WRAPPING: Final = tuple(
    ipaddress.ip_network(text)
    for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")
)


async def resolve(url: str, allowed: tuple[Network, ...]) -> str:
    """Return the numeric address to connect to.

    Raises WebhookUrlError if the URL or any address of its name is forbidden, OSError if the name
    is unknown, TimeoutError if nobody answers.
    """
    scheme, host, port = _parts(url)
    try:
        async with asyncio.timeout(RESOLVE_SECONDS_MAX):
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a part of the name has more than 63 characters, or none
        raise WebhookUrlError("The URL's host is no name of a host.") from None
    addresses = [str(place[0]).partition("%")[0] for *_, place in found]
    judge(scheme, map(ipaddress.ip_address, addresses), allowed)
    return addresses[0]


async def check(url: str, allowed: tuple[Network, ...]) -> None:
    """Raise WebhookUrlError for an address that each delivery would refuse.

    A name that is not known yet is accepted.
    """
    try:
        await resolve(url, allowed)
    except (OSError, TimeoutError):
        return


def judge(scheme: str, addresses: Iterable[Address], allowed: tuple[Network, ...]) -> None:
    """Raise WebhookUrlError unless connections by this scheme are allowed to all addresses."""
    for address in addresses:
        if any(address in network for network in allowed):
            continue
        if not is_public(address):
            raise WebhookUrlError(
                f"{address} is not public; TALLYBOOK_WEBHOOKS_PRIVATE names the private networks "
                "that webhooks may go to."
            )
        if scheme != "https":
            raise WebhookUrlError("A public address must be an https one.")


def is_public(address: Address) -> bool:
    """Return whether the address is one host of the public Internet."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in _WRAPPING):
            return False
    return address.is_global and not (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
    )


def _parts(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        httpx.URL(url)  # which would be asked to connect, and may reach more
    except (ValueError, httpx.InvalidURL):
        raise WebhookUrlError("This is no URL.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise WebhookUrlError("Webhooks go to an https address.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise WebhookUrlError("A webhook's address has no user, password or fragment.")
    if port == 0 or len(url) > URL_CHARS_MAX:
        raise WebhookUrlError("This is no address that can be connected to.")
    return parts.scheme, host, port or (443 if parts.scheme == "https" else 80)
