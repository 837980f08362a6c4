"""Read variables of the environment, and turn their texts into values.

A text without a value adds a sentence to ``problems``, so that a start reports all at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from app.errors import ConfigurationError
from app.infrastructure import rates

_WITNESS: Final = re.compile(r"(https?://[!-<>-~]+)=([!-*\--~]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44})")
_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+")  # it goes into headers


def read_variable(environment: Mapping[str, str], name: str) -> str | None:
    """Return the variable, or the text of the file that ``NAME_FILE`` names; None if unset or
    empty.
    """
    value = environment.get(name)
    path = environment.get(f"{name}_FILE")
    if value and path:
        raise ConfigurationError(f"Both {name} and {name}_FILE are set; unset one of them.")
    if path:
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigurationError(
                f"{name}_FILE names a file that cannot be read: {error}."
            ) from error
        except UnicodeDecodeError:  # its text would show some of the secret
            raise ConfigurationError(f"{name}_FILE names a file that is not UTF-8.") from None
    return value or None


def witnesses(value: str | None, problems: list[str]) -> tuple[tuple[str, str], ...]:
    """Return the witnesses of a list URL=NAME+HASH+KEY, separated by commas."""
    stated = [_WITNESS.fullmatch(one) for one in parts_of(value)]
    found = [(one[1].rstrip("/"), one[2]) for one in stated if one]
    if len(found) < len(stated):
        problems.append("TALLYBOOK_WITNESSES is not a list of URL=NAME+HASH+KEY.")
    return tuple(found)


def parts_of(value: str | None) -> tuple[str, ...]:
    """Return the parts between commas."""
    return tuple(part.strip() for part in (value or "").split(",") if part.strip())


def flag(value: str | None, name: str, problems: list[str]) -> bool:
    """Return true or false; false if it is not set."""
    if value is None:
        return False
    if value.lower() in ("true", "1", "yes"):
        return True
    if value.lower() not in ("false", "0", "no"):
        problems.append(f"{name} is neither true nor false.")
    return False


def number(value: str | None, name: str, problems: list[str], least: int, default: int) -> int:
    """Return a whole number, or the default if it is not set."""
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and least <= int(value) <= 1_000_000):
        problems.append(f"{name} is not a whole number from {least} to 1000000.")
        return default
    return int(value)


def rate_limits(value: str | None, problems: list[str]) -> rates.RateLimits | None:
    """Return the rates CALLS/SECONDS of a key and of an address."""
    try:
        return rates.parse(value)
    except ValueError:
        problems.append(
            "TALLYBOOK_RATE_LIMIT is neither off nor CALLS/SECONDS, such as 600/60 or 600/60,60/60."
        )
        return None


def networks(
    values: Mapping[str, str | None], name: str, problems: list[str]
) -> tuple[rates.Network, ...]:
    """Return addresses and networks, separated by commas."""
    try:
        return rates.parse_networks(values[name])
    except ValueError:
        problems.append(f"{name} is not a list of networks, such as 10.0.0.0/8,192.0.2.7.")
        return ()


def origin_of(address: str) -> str:
    """Return the scheme, host and port of an address, as browsers compare them; raise
    ValueError.
    """
    parts = urlsplit(address)
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    shown = f"[{host}]" if ":" in host else host
    usual = {"https": 443, "http": 80}.get(scheme)
    return f"{scheme}://{shown}" + (f":{parts.port}" if parts.port not in (None, usual) else "")


def origins(values: Mapping[str, str | None], name: str, problems: list[str]) -> frozenset[str]:
    """Return origins, separated by commas."""
    stated = [part.strip() for part in (values[name] or "").split(",") if part.strip()]
    if not all(map(_is_origin, stated)):
        problems.append(f"{name} is not a list of origins, such as https://shop.example.")
        return frozenset()
    return frozenset(map(origin_of, stated))


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        known = parts.scheme in ("https", "http") and parts.hostname is not None
        return known and parts.port != 0 and _ORIGIN.fullmatch(text) is not None
    except ValueError:
        return False


def one_of(value: str | None, name: str, words: tuple[str, ...], problems: list[str]) -> str:
    """Return the word, or the first of all if none is set."""
    if value is not None and value not in words:
        problems.append(f"{name} is none of {', '.join(words)}.")
    return value or words[0]
