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
    catalogue,
    corrections,
    inbox,
    keys,
    ledger,
    operator_acts,
    problems,
    reports,
    reversals,
    runs,
    sign_in,
    today,
    verify,
    webhooks,
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
    inbox.inbox,
    inbox.event,
    inbox.replay_event,
    runs.runs,
    runs.run,
    runs.start,
    runs.again,
    reversals.reverse,
    reversals.reversal,
    operator_acts.corrections,
    corrections.correct,
    corrections.do_act,
    ledger.ledger,
    ledger.journal,
    reports.roll_forward_page,
    reports.trial_balance_page,
    reports.export_page,
    reports.export_file,
    catalogue.catalogue,
    catalogue.version,
    catalogue.draft,
    verify.verify,
    verify.begin,
    webhooks.webhooks,
    webhooks.put,
    webhooks.message,
    webhooks.redeliver_one,
    webhooks.roll_secret,
    webhooks.delete,
    webhooks.redeliver_time,
    keys.keys,
    keys.create,
    keys.revoke,
    nothing,
)
CONSOLE: Final = Router(
    path="/",
    route_handlers=HANDLERS,
    guards=[access.guard],
    exception_handlers=problems.HANDLERS,
    include_in_schema=False,
)
