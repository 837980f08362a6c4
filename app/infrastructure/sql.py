"""Named SQL statements, read from the ``.sql`` file beside the module that runs them.

A file holds statements one after another. Each begins with its name and says in a sentence what
it does; parameters have names, as in psql::

    -- name: lock_accounts
    -- Lock these accounts in the order of their ids.
    SELECT id, free FROM accounts WHERE id = ANY(:account_ids) ORDER BY id FOR UPDATE

A part is no statement by itself; statements include it, and each other's files' too::

    -- part: locked
    WITH locked AS (SELECT id FROM accounts FOR UPDATE)

    -- name: count_locked
    -- Lock every account and count them.
    -- include: ledger/statement.sql locked
    SELECT count(*) FROM locked

A line of a filter says which value it is for. Where that is None the line is left out, so that the
plan is made for the filters that are given, and finds their indexes. A plan that is shared by all
(``:kind IS NULL OR kind = :kind``) walks the whole table::

    SELECT id FROM lots WHERE id > :after
       AND kind = :kind                          -- given: kind

In the module of the same name::

    if TYPE_CHECKING:
        from app.accounts import row_types

    _SQL: Final[row_types.AccountsSql] = sql.beside(__file__)
    locked = await database.fetch(_SQL["lock_accounts"](account_ids=[7, 9]))

mypy knows the statements and their columns by the package's ``row_types.pyi`` (ops/row_types.py).

Own code instead of aiosql: its queries are untyped attributes that want a connection passed, while
ours come from the task's transaction.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, cast

_HEAD: Final = re.compile(r"^-- (name|part): (\w+)$", re.MULTILINE)
_INCLUDE: Final = re.compile(r"^-- include: ([\w/]+\.sql) (\w+)$", re.MULTILINE)
_GIVEN: Final = re.compile(r"^.*-- (given|absent): (\w+)$\n?", re.MULTILINE)
_ROOT: Final = Path(__file__).parents[1]  # the folder that includes are relative to
# strings, comments and casts are skipped, so that a colon in them is no parameter
_TOKEN: Final = re.compile(r"'(?:[^']|'')*'|--[^\n]*|::|:(?P<parameter>[a-z_][a-z0-9_]*)")

Row_co = TypeVar("Row_co", covariant=True)


class Call(tuple[Any, ...], Generic[Row_co]):
    """A statement's text and values, for mypy, which learns the rows' type; else a plain tuple."""


class Statement(Generic[Row_co]):
    """One statement: its name, its text for PostgreSQL, and its parameters in order.

    The ``text`` of a statement with filters contains all of them.
    """

    __slots__ = ("_filters", "_source", "_texts", "name", "parameters", "text", "wanted")

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self._source = source.strip() + "\n"
        self._filters = frozenset(found[2] for found in _GIVEN.finditer(self._source))
        self.text, self.parameters = _numbered(self._source)
        self.wanted = self._filters | set(self.parameters)
        self._texts: dict[frozenset[str], tuple[str, tuple[str, ...]]] = {}

    def __call__(self, **values: object) -> Call[Row_co]:
        """Return the text, and the values in the order of their numbers, for `Database`'s methods.

        Raises TypeError if a parameter has no value, or if a value has no parameter.
        """
        if values.keys() != self.wanted:
            raise TypeError(
                f"{self.name} takes {', '.join(sorted(self.wanted)) or 'nothing'};"
                f" given: {', '.join(values) or 'nothing'}."
            )
        text, parameters = self.text, self.parameters
        if self._filters:
            text, parameters = self._filtered(
                frozenset(one for one in self._filters if values[one] is not None)
            )
        return cast("Call[Row_co]", (text, *(values[parameter] for parameter in parameters)))

    def _filtered(self, given: frozenset[str]) -> tuple[str, tuple[str, ...]]:
        """Return the text and its parameters with only these filters."""
        if given not in self._texts:
            kept = _GIVEN.sub(
                lambda line: line[0] if (line[2] in given) == (line[1] == "given") else "",
                self._source,
            )
            self._texts[given] = _numbered(kept)
        return self._texts[given]


def _numbered(source: str) -> tuple[str, tuple[str, ...]]:
    """Return the text with numbers in place of names, and the names in their order."""
    numbers: dict[str, int] = {}

    def number(token: re.Match[str]) -> str:
        parameter = token["parameter"]
        if parameter is None:
            return token[0]
        return f"${numbers.setdefault(parameter, len(numbers) + 1)}"

    return _TOKEN.sub(number, source.strip()), tuple(numbers)


def beside(module: str | Path) -> Any:
    """Return the statements of the ``.sql`` file beside a module's ``__file__``, by name.

    Their type is the one in the package's ``row_types.pyi``.
    """
    return read(Path(module).with_suffix(".sql"))


def read(path: Path) -> Mapping[str, Statement[Any]]:
    """Return the statements of a file, by name.

    Raises ValueError if a name is given twice or if text comes before the first name.
    """
    return {
        name: Statement(name, _INCLUDE.sub(_included, source))
        for name, (kind, source) in _read(path).items()
        if kind == "name"
    }


@cache
def _read(path: Path) -> Mapping[str, tuple[str, str]]:
    """Return the statements and parts of a file: (name or part, text) by name."""
    before, *found = _HEAD.split(path.read_text(encoding="utf-8"))
    if any(line and not line.startswith("--") for line in before.splitlines()):
        raise ValueError(f"{path.name}: a statement stands before the first '-- name:'.")
    read: dict[str, tuple[str, str]] = {}
    for kind, name, source in zip(found[::3], found[1::3], found[2::3], strict=True):
        if name in read:
            raise ValueError(f"{path.name}: the name {name} is given twice.")
        read[name] = kind, source
    return read


def _included(include: re.Match[str]) -> str:
    path, part = include.groups()
    _, source = _read(_ROOT / path)[part]
    return _INCLUDE.sub(_included, source.strip())
