"""The types of rows, for mypy: a ``row_types.pyi`` in each package that has ``.sql`` files.

PostgreSQL says which columns a statement gives; what is selected as ``accounts.*`` has the type of
the table's rows, in that of app.tables. A test compares these files with the database, and writes
them anew: `WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py`. Nothing reads them at run
time, where a row stays asyncpg's record. A column may also be None where its table or a join
allows it: PostgreSQL tells names and types, and no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

_HEAD: Final = (
    '"""Rows of this package\'s statements. Generated: WRITE_ROWS=1 pytest'
    ' tests/infrastructure/test_row_types.py"""\n'
)
_TYPES: Final = {
    "bool": "bool",
    "bytea": "bytes",
    "date": "date",
    "float8": "float",
    "int2": "int",
    "int4": "int",
    "int8": "int",
    "interval": "timedelta",
    "json": "str",
    "jsonb": "str",
    "name": "str",
    "numeric": "Decimal",
    "text": "str",
    "timestamptz": "datetime",
    "uuid": "UUID",
}
# Whose number an integer is, by the last word before `_id`. A bare `id` does not say it.
_NUMBERS: Final = {
    "account": "AccountNumber",
    "backing": "BackingNumber",
    "endpoint": "EndpointNumber",
    "entry": "EntryNumber",
    "hold": "HoldNumber",
    "journal": "JournalNumber",
    "lot": "LotNumber",
    "message": "MessageNumber",
    "reversal": "ReversalNumber",
    "run": "RunNumber",
    "transition": "TransitionNumber",
    "verification": "VerificationNumber",
}
# Of other names; `[]` after that of an array.
_NAMED: Final = {
    "entries[]": "EntryNumber",
    "joined_to": "AccountNumber",
    "journals[]": "JournalNumber",
    "lots[]": "LotNumber",
    "part_of": "ReversalNumber",
    "present": "AccountNumber",
    "tied_to": "AccountNumber",
}
_IMPORTS: Final = {
    "date": "datetime",
    "datetime": "datetime",
    "timedelta": "datetime",
    "Decimal": "decimal",
    "Any": "typing",
    "TypedDict": "typing",
    "UUID": "uuid",
    "Statement": "app.infrastructure.sql",
    **dict.fromkeys(_NUMBERS.values(), "app.infrastructure.ids"),
}
Columns = Sequence[tuple[str, str]]
"""(name, PostgreSQL's type) of each."""


def of_tables(tables: Mapping[str, Columns], stubs: Iterable[str]) -> str:
    """Return the text of the row_types.pyi of app.tables: the types that these others use."""
    used = {"TypedDict"}
    body: list[str] = []
    told = "".join(stubs)
    for table, columns in sorted(tables.items()):
        if f"{_camel(table)}Row" not in told:
            continue
        own = _NUMBERS.get(table.removesuffix("s").replace("entrie", "entry"))
        lines = [f"    {column}: {_type(column, kind, used)}" for column, kind in columns]
        if own is not None and columns[0] == ("id", "int8"):
            used.add(own)
            lines[0] = f"    id: {own}"
        body += ["", f"class {_camel(table)}Row(TypedDict):", *lines]
    return "\n".join([_HEAD, *_imports(used), *body, ""])


def stub(files: Mapping[str, Mapping[str, Columns]], tables: Mapping[str, Columns]) -> str:
    """Return the text of a package's row_types.pyi.

    ``files`` has the statements of each module that has a ``.sql`` file, by name, and of each the
    columns; ``tables`` has the columns of each table.
    """
    used = {"TypedDict", "Statement"}
    whole: set[str] = set()  # tables of which all columns are selected
    body: list[str] = []
    for module, statements in sorted(files.items()):
        rows: dict[str, str] = {}
        named: dict[tuple[str, ...], str] = {("TypedDict",): "None"}  # by what the class holds
        for name, columns in statements.items():
            table = _table_of(columns, tables)
            whole |= {table} & tables.keys()
            base = f"{_camel(table)}Row" if table else "TypedDict"
            lines = tuple(
                f"    {column}: {_type(column, kind, used)}"
                for column, kind in columns[len(tables.get(table, ())) :]
                if column.isidentifier()  # not PostgreSQL's own `?column?`, which nobody reads
            )
            if table and not lines:
                rows[name] = base
                continue
            if (base, *lines) not in named:
                named[base, *lines] = f"{_camel(module)}{_camel(name)}"
                body += ["", f"class {named[base, *lines]}({base}):", *lines]
            rows[name] = named[base, *lines]
        if rows:  # not of parts alone
            body += ["", f"class {_camel(module)}Sql(TypedDict):"]
            body += [f"    {name}: Statement[{row}]" for name, row in rows.items()]
    of_whole = [f"{_camel(table)}Row" for table in sorted(whole)]
    imports = [*_imports(used), *([_import("app.tables.row_types", of_whole)] if whole else [])]
    return "\n".join([_HEAD, *imports, *body, ""])


def _table_of(columns: Columns, tables: Mapping[str, Columns]) -> str:
    """Return the table whose columns come first, all of them; empty where it is none."""
    for table, own in tables.items():
        more = {name for name, _ in columns[len(own) :]}
        if list(columns[: len(own)]) == list(own) and more.isdisjoint(name for name, _ in own):
            return table
    return ""


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _type(column: str, kind: str, used: set[str]) -> str:
    """Return the type of a column in Python, and add to ``used`` the names that it needs."""
    one, is_array = kind.removesuffix("[]"), kind.endswith("[]")
    found = _TYPES.get(one, "Any")
    if found == "int" and f"{column}{kind[len(one) :]}" in _NAMED:
        found = _NAMED[f"{column}{kind[len(one) :]}"]
    elif found == "int" and column.rsplit("_", maxsplit=1)[-1] in ("id", "ids"):
        found = _NUMBERS.get(column.rpartition("_id")[0].split("_")[-1], "Any")
    used |= {found} & _IMPORTS.keys()
    return f"list[{found}]" if is_array else found


def _imports(used: set[str]) -> list[str]:
    """Return the import lines, in the order that the linter asks for."""
    by_module: dict[str, list[str]] = {}
    for name in used:
        by_module.setdefault(_IMPORTS[name], []).append(name)
    ordered = sorted(by_module, key=lambda module: (module.startswith("app."), module))
    lines = [_import(module, sorted(by_module[module])) for module in ordered]
    first_own = next(i for i, module in enumerate(ordered) if module.startswith("app."))
    return [*lines[:first_own], "", *lines[first_own:]]


def _import(module: str, names: Sequence[str]) -> str:
    return f"from {module} import {', '.join(names)}"
