"""Named SQL statements, read from the ``.sql`` file beside the module that runs them.

A file holds statements one after another. Each begins with its name and says in a sentence what
it does; parameters have names, as in psql::

    -- name: lock_accounts
    -- Lock these accounts in the order of their ids.
    SELECT id, free FROM accounts WHERE id = ANY(:account_ids) ORDER BY id FOR UPDATE

In the module of the same name::

    _SQL: Final = sql.beside(__file__)
    rows = await database.fetch(*_SQL["lock_accounts"](account_ids=[7, 9]))

Own code instead of aiosql: its queries are untyped attributes that want a connection passed, while
ours come from the task's transaction.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
# Strings, comments and casts are passed over, so that a colon in them is no parameter.
_TOKEN: Final = re.compile(r"'(?:[^']|'')*'|--[^\n]*|::|:(?P<parameter>[a-z_][a-z0-9_]*)")


class Statement:
    """One statement: its name, the text that PostgreSQL gets, and its parameters in order."""

    __slots__ = ("name", "parameters", "text")

    def __init__(self, name: str, source: str) -> None:
        numbers: dict[str, int] = {}

        def numbered(token: re.Match[str]) -> str:
            parameter = token["parameter"]
            if parameter is None:
                return token[0]
            return f"${numbers.setdefault(parameter, len(numbers) + 1)}"

        self.name = name
        self.text = _TOKEN.sub(numbered, source.strip())
        self.parameters = tuple(numbers)

    def __call__(self, **values: object) -> tuple[str, *tuple[object, ...]]:
        """The text and the values in the order of their numbers, for `Database`'s methods.

        Raises TypeError when a parameter has no value, or a value no parameter.
        """
        if values.keys() != set(self.parameters):
            raise TypeError(
                f"{self.name} takes {', '.join(self.parameters) or 'nothing'};"
                f" given: {', '.join(values) or 'nothing'}."
            )
        return self.text, *(values[parameter] for parameter in self.parameters)


def beside(module: str) -> Mapping[str, Statement]:
    """The statements of the ``.sql`` file beside a module's ``__file__``, by name."""
    return read(Path(module).with_suffix(".sql"))


def read(path: Path) -> Mapping[str, Statement]:
    """The statements of a file, by name.

    Raises ValueError when a name is given twice or text stands before the first.
    """
    before, *parts = _NAME.split(path.read_text(encoding="utf-8"))
    if any(line and not line.startswith("--") for line in before.splitlines()):
        raise ValueError(f"{path.name}: a statement stands before the first '-- name:'.")
    statements: dict[str, Statement] = {}
    for name, source in zip(parts[::2], parts[1::2], strict=True):
        if name in statements:
            raise ValueError(f"{path.name}: the name {name} is given twice.")
        statements[name] = Statement(name, source)
    return statements
