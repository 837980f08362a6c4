"""Write the generated tables of ops/reference.md: routes by caller, and codes of errors."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from litestar.handlers import HTTPRouteHandler

from app import asgi
from app.operators.keys import Scope
from app.web.http import codes
from app.web.http.access import SCOPES, Access

PAGE: Final = Path(__file__).with_name("reference.md")
GOOD_KEYS: Final = ("auditor", "read", "spend", "service", "operator")
CALLERS: Final = ("none", *GOOD_KEYS, "revoked", "expired")


def routes() -> str:
    """Every route that is declared, with what each caller is told."""
    head = f"| route | {' | '.join(CALLERS)} |\n|---|{'---|' * len(CALLERS)}\n"
    return head + "".join(
        f"| `{method} {path}` | {' | '.join(_told(access, who) for who in CALLERS)} |\n"
        for path, method, access in sorted(_declared())
    )


def _declared() -> Iterator[tuple[str, str, Access]]:
    for handler in (*asgi.ROUTES, *asgi.CLOCK_ROUTES):
        assert isinstance(handler, HTTPRouteHandler)
        for path in handler.paths:
            for method in handler.http_methods:
                yield re.sub(r":\w+\}", "}", path), str(method), handler.opt["access"]


def _told(access: Access, who: str) -> str:
    if access in (Access.OPEN, Access.SIGNATURE):
        return "yes"
    if who in {*SCOPES.get(access, ()), *([Scope.OPERATOR] if access in SCOPES else [])}:
        return "yes"
    if access is Access.LINK:  # no key opens it, nor is any missed
        return "403"
    return "403" if who in GOOD_KEYS and access is not Access.CRON else "401"


def errors() -> str:
    """Every code that a problem may have."""
    return "| code | status | again? | meaning |\n|---|---|---|---|\n" + "".join(
        f"| `{one.code}` | {one.status} | {'yes' if one.retryable else 'no'} | {one.meaning} |\n"
        for one in codes.listed()
    )


def written(page: str) -> str:
    """The page with both tables as they are to be."""
    for name, table in (("routes", routes()), ("errors", errors())):
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        page = re.sub(f"{begin}.*?{end}", lambda _: f"{begin}{table}{end}", page, flags=re.S)  # noqa: B023
    return page


def main() -> None:
    """Write them into the page; with --check only say whether they stand there."""
    before = PAGE.read_text(encoding="utf-8")
    after = written(before)
    if "--check" in sys.argv[1:]:
        sys.exit(None if after == before else "Run: python -m ops.reference_tables")
    PAGE.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
