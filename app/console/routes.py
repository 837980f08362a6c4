"""Every page and act of the console, under its guard, with errors as pages."""

from __future__ import annotations

from typing import Final

from litestar import Router, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler

from app.console import (
    access,
    account,
    accounts,
    problems,
    sign_in,
    today,
)


@get(f"{access.HOME}/{{rest:path}}", **access.opens())
async def nothing() -> None:
    """No page has this address; the guard refuses it, as every other spelling of a path."""
    raise NotFoundException


HANDLERS: Final[tuple[HTTPRouteHandler, ...]] = (
    sign_in.sign_in_page,
    sign_in.sign_in,
    sign_in.sign_out,
    sign_in.sign_out_everywhere,
    today.today,
    today.alerts,
    accounts.accounts,
    account.account,
    account.explain,
    account.why,
    nothing,
)
CONSOLE: Final = Router(
    path="/",
    route_handlers=HANDLERS,
    guards=[access.guard],
    exception_handlers=problems.HANDLERS,
    include_in_schema=False,
)
