"""Strict reading of TOML values; it collects every problem, so that one pass names them all."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Final

_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,31}")
_METADATA_KEY: Final = re.compile(r"[\x21-\x7e]{1,40}")
_SHOWN_CHARS_MAX: Final = 60
_PRICE_CHARS_MAX: Final = 255


class Reading:
    """The reading of one file; a wrong value becomes a problem and a harmless default."""

    def __init__(self, file: str) -> None:
        self.problems: list[str] = []
        self._file = file
        self._place_of_price: dict[str, str] = {}

    def refuse(self, key: str, what: str, remedy: str) -> None:
        """Note one problem: the file, the key, what is wrong, what to do."""
        self.problems.append(f"{self._file}: {key} {what}; {remedy}")

    def only_keys(self, table: dict[str, object], known: Sequence[str], *, within: str) -> None:
        """Refuse every other key: a misspelt one would silently mean its default."""
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1, cutoff=0)
                remedy = f"did you mean {near[0]}? (known are {', '.join(known)})"
                self.refuse(_dotted(within, key), "is not a known key", remedy)

    def tables(
        self, document: dict[str, object], key: str
    ) -> Iterator[tuple[str, dict[str, object]]]:
        """Return the tables under the key whose names are valid, in the file's order."""
        tables = document.get(key, {})
        if not isinstance(tables, dict):
            self.refuse(key, f"is {_shown(tables)}", f"write tables such as [{key}.PRO]")
            return
        for name, table in tables.items():
            if not _NAME.fullmatch(name):
                remedy = "write 1 to 32 of A-Z, 0-9 and _, a letter first"
                self.refuse(_dotted(key, name), "is not a valid name", remedy)
            elif not isinstance(table, dict):
                self.refuse(_dotted(key, name), f"is {_shown(table)}", f"write [{key}.{name}]")
            else:
                yield name, table

    def table(self, document: dict[str, object], key: str) -> dict[str, object]:
        """Return the table under the key; an empty one if there is none."""
        table = document.get(key, {})
        if isinstance(table, dict):
            return table
        self.refuse(key, f"is {_shown(table)}", f"write [{key}]")
        return {}

    def names(
        self,
        table: dict[str, object],
        key: str,
        count_max: int,
        *,
        within: str,
        default: tuple[str, ...],
    ) -> tuple[str, ...]:
        """Return a list of texts of 1 to 40 printable characters, the form of Stripe's metadata
        keys.
        """
        value = table.get(key, list(default))
        if isinstance(value, list) and 0 < len(value) <= count_max:
            names = [
                name for name in value if isinstance(name, str) and _METADATA_KEY.fullmatch(name)
            ]
            if len(names) == len(value):
                return tuple(names)
        remedy = f'write 1 to {count_max} metadata keys such as ["tallybook_account_id"]'
        self.refuse(_dotted(within, key), f"is {_shown(value)}", remedy)
        return default

    def integer(
        self,
        table: dict[str, object],
        key: str,
        bounds: tuple[int, int],
        *,
        within: str,
        default: int | None = None,
    ) -> int:
        """Return a whole number within the bounds; a bool is refused, though Python calls it an
        int.
        """
        value = self._value(table, key, within, default)
        if type(value) is int and bounds[0] <= value <= bounds[1]:
            return value
        remedy = f"write a whole number from {bounds[0]} to {bounds[1]}"
        if value is not None:
            self.refuse(_dotted(within, key), f"is {_shown(value)}", remedy)
        return bounds[0]

    def truth(self, table: dict[str, object], key: str, *, within: str, default: bool) -> bool:
        """Return true or false; nothing else is accepted."""
        value = table.get(key, default)
        if isinstance(value, bool):
            return value
        self.refuse(_dotted(within, key), f"is {_shown(value)}", "write true or false")
        return default

    def one_of(
        self, table: dict[str, object], key: str, words: Sequence[str], *, within: str
    ) -> str:
        """Return one of these words; the first if the key is missing."""
        value = table.get(key, words[0])
        if isinstance(value, str) and value in words:
            return value
        remedy = "write " + " or ".join(f'"{word}"' for word in words)
        self.refuse(_dotted(within, key), f"is {_shown(value)}", remedy)
        return words[0]

    def prices(
        self,
        table: dict[str, object],
        key: str,
        *,
        within: str,
        default: tuple[str, ...] | None = None,
    ) -> tuple[str, ...]:
        """Return price ids; each may appear in only one place of the whole file."""
        value = self._value(table, key, within, default)
        if value is None or value == default:
            return ()
        place = _dotted(within, key)
        if not isinstance(value, list):
            self.refuse(place, f"is {_shown(value)}", 'write a list such as ["price_…"], or []')
            return ()
        return tuple(price for price in value if self._is_new_price(price, place))

    def _is_new_price(self, price: object, place: str) -> bool:
        if not isinstance(price, str) or not _is_price(price):
            remedy = f"write Stripe price ids, texts of 1 to {_PRICE_CHARS_MAX} characters"
            self.refuse(place, f"holds {_shown(price)}", remedy)
            return False
        if price.startswith(("prod_", "sub_", "cus_")):
            remedy = "write its price ids, price_…; Stripe's dashboard shows them under the product"
            self.refuse(place, f"holds {_shown(price)}, which is not a price id", remedy)
            return False
        if price in self._place_of_price:
            remedy = f"it stands in {self._place_of_price[price]} already, keep one of the two"
            self.refuse(place, f"holds {_shown(price)} again", remedy)
            return False
        self._place_of_price[price] = place
        return True

    def _value(self, table: dict[str, object], key: str, within: str, default: object) -> object:
        if key in table:
            return table[key]
        if default is None:
            self.refuse(_dotted(within, key), "is missing", f"add {key} to [{within}]")
        return default


def _is_price(text: str) -> bool:
    return 1 <= len(text) <= _PRICE_CHARS_MAX and text.isprintable() and text == text.strip()


def _dotted(within: str, key: str) -> str:
    return f"{within}.{key}" if within else key


def _shown(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= _SHOWN_CHARS_MAX else text[: _SHOWN_CHARS_MAX - 1] + "…"
