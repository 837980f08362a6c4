"""Statements: their lines close from the opening to the closing balance, whatever happened."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from app.audit import statement as statements
from app.infrastructure.db import Database
from tests.acts import Acts
from tests.conftest import NOW
from tests.pages.conftest import Pages


@pytest.fixture
async def busy(acts: Acts) -> Acts:
    """Two months of grants, spends, returns, holds, corrections and days that end."""
    await acts.grant(100, ends=NOW + timedelta(days=40))
    spent = await acts.journal(await acts.spend(13, label="draw"))
    await acts.give_back(3, spend_id=spent)
    await acts.adjust(-7)
    await acts.api.set_clock(NOW + timedelta(days=2))
    hold = await acts.held(9)
    await acts.done(await acts.capture(hold, 8, label="=HYPERLINK(1)"[:5]))
    await acts.reverse(spent)
    await acts.api.set_clock(NOW + timedelta(days=45))
    await acts.done(await acts.spend(2))
    return acts


async def number_of(database: Database, account_id: str) -> int:
    number: int = await database.fetchval(
        "SELECT id FROM accounts WHERE external_id = $1", account_id
    )
    return number


async def test_the_days_of_a_statement_close(busy: Acts, database: Database) -> None:
    number, now = await number_of(database, "user-1"), NOW + timedelta(days=45)
    opening = 0
    for month in (date(2026, 1, 1), date(2026, 2, 1)):
        told = await statements.statement(database, number, "UTC", month, now)
        assert told.opening == opening
        for one in told.days:
            moved = one.received + one.bought - one.used + one.given_back - one.expired + one.other
            assert opening + moved == one.closing
            opening = one.closing
        assert told.closing == opening
        total = statements.sums(told.days)
        assert total["used"] > 0
        assert total["expired"] > 0
    assert told.going_on
    assert opening == (await busy.api.account("user-1"))["balance"]


async def test_the_lines_of_a_csv_close_and_agree_with_the_page(pages: Pages, busy: Acts) -> None:
    path = await pages.path()
    balance = 0
    for month in ("2026-01", "2026-02"):
        lines = await pages.lines(path, month)
        for line in lines:
            balance += int(line[4])
            assert int(line[5]) == balance
            assert line[0].startswith(month)
            assert line[0].endswith("+00:00")
        assert lines
        closing = "Balance now" if month == "2026-02" else "Closing balance"
        told = await pages.words(f"{path}/statement?month={month}")
        assert f"{closing} {balance}" in told
    assert balance == (await busy.api.account("user-1"))["balance"]


async def test_a_line_is_one_act_of_one_kind(pages: Pages, acts: Acts) -> None:
    await acts.grant(5)
    await acts.done(await acts.spend(22, label="draw"))  # out of two lots
    lines = await pages.lines(await pages.path(), "2026-01")
    assert [line[1:] for line in lines[-2:]] == [
        ["Received", "Promotional", "", "5", "25"],
        ["Used", "Credits of the day", "draw", "-22", "3"],
    ]


async def test_no_label_is_a_formula(pages: Pages, busy: Acts) -> None:
    lines = await pages.lines(await pages.path(), "2026-01")
    assert {line[3] for line in lines} >= {"draw", "'=HYPE"[:6]}
    assert not [line for line in lines if line[3].startswith(("=", "+", "-", "@"))]


async def test_months_are_those_of_the_account_s_zone(
    pages: Pages, acts: Acts, database: Database
) -> None:
    await acts.api.put("/api/v1/accounts/user-2", {"time_zone": "Pacific/Auckland"})
    other = Acts(acts.api, "user-2")
    # 31 January, 12:00 in UTC is 1 February, 01:00 in Auckland.
    await acts.api.set_clock(datetime(2026, 1, 31, 12, tzinfo=UTC))
    await other.done(await other.spend(2, label="late"))
    path = await pages.path("user-2")
    assert [line[3] for line in await pages.lines(path, "2026-02") if line[3]] == ["late"]
    assert "late" not in str(await pages.lines(path, "2026-01"))


async def test_many_acts_are_read_some_at_a_time(
    pages: Pages, acts: Acts, monkeypatch: pytest.MonkeyPatch
) -> None:
    await acts.grant(3)
    await acts.grant(3)
    for _ in range(9):
        await acts.done(await acts.spend(2))
    whole = await pages.lines(await pages.path(), "2026-01")
    monkeypatch.setattr(statements, "_PAGE", 2)
    assert await pages.lines(await pages.path(), "2026-01") == whole
    assert len(whole) == 13


async def test_what_was_merged_is_in_the_statement_and_it_closes(pages: Pages, acts: Acts) -> None:
    await acts.api.put("/api/v1/accounts/user-2", {})
    other = Acts(acts.api, "user-2")
    await other.grant(40)
    await other.done(await other.spend(3, label="before"))
    await other.post("accounts/user-2/merge", {"into": "user-1", "reason": "x"}, scope="operator")
    lines = await pages.lines(await pages.path(), "2026-01")
    assert "before" in {line[3] for line in lines}
    assert int(lines[-1][5]) == (await acts.api.account("user-1"))["balance"]


@pytest.mark.parametrize("month", ["2025-12", "2026-02", "2999-01"])
async def test_there_is_no_statement_of_a_month_without_the_account(
    pages: Pages, acts: Acts, month: str
) -> None:
    path = await pages.path()
    for way in ("statement", "statement.csv"):
        assert (await pages.get(f"{path}/{way}?month={month}")).status_code == 404


@pytest.mark.parametrize("month", ["2026-13", "january", "2026-1", "2026-01\n"])
async def test_what_is_no_month_is_refused(pages: Pages, acts: Acts, month: str) -> None:
    path = await pages.path()
    answer = await pages.api.client.get(f"{path}/statement", params={"month": month})
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")
