"""Where credits went: the sums close, and the sentences say who took what back and why."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.infrastructure.settings import Settings
from tests.acts import DAY, HOUR, Acts, subscribe
from tests.api_client import Api
from tests.audit.busy_ledger import BusyLedger, complete, read
from tests.conftest import NOW


async def why(api: Api, name: str, **query: object) -> dict[str, Any]:
    return await read(api, f"/api/v1/accounts/{name}/why", **query)


@pytest.fixture
async def fay(api: Api) -> Acts:
    """Fay on PRO: spends with and without a label, a return, a gift taken back, a night."""
    acts = Acts(api, "fay")
    await subscribe(acts, "PRO")
    await acts.done(await acts.spend(8, label="chat"))
    spent = await acts.journal(await acts.spend(5, label="image"))
    await acts.done(await acts.give_back(2, spend_id=spent))
    await acts.done(await acts.spend(1))
    gift = await acts.journal(await acts.grant(10))
    await acts.done(await acts.reverse(gift))
    await api.set_clock(NOW + DAY)
    await acts.done(await acts.spend(20))
    await api.set_clock(NOW + DAY + HOUR)
    await complete(api, NOW + DAY + HOUR)
    return acts


async def test_a_day_is_told_in_sentences_that_close(fay: Acts, api: Api) -> None:
    told = await why(api, "fay", on="2026-01-01")
    assert told["sentences"] == [
        "2026-01-01 (UTC) began with 0 credits.",
        "30 credits came as grants.",
        "14 credits were spent: 8 for chat, 5 for image, 1 for nothing that was named.",
        "2 credits came back of spends.",
        *(one for one in told["sentences"] if "taken back" in one),
        "That left 8 credits.",
    ]
    (taken,) = [one for one in told["sentences"] if "taken back" in one]
    assert taken.startswith("10 credits were taken back by ")
    assert taken.endswith(' on 2026-01-01 at 12:00 UTC, "a mistake".')
    assert [(one["label"], one["spent"], one["came_back"]) for one in told["spent_for"]] == [
        ("chat", 8, 0),
        ("image", 5, 2),
        (None, 1, 0),
    ]
    assert [(one["kind"], one["change"]) for one in told["moves"]] == [
        *(("opening", 5), ("top_up", 15), ("return", 2)),
        *(("grant", 10), ("reversal", -10)),
    ]
    assert (told["going_on"], told["days"]) == (False, 1)


async def test_what_a_release_gives_to_a_reversal_is_told_with_who_asked_for_it(api: Api) -> None:
    """2 of 5 are held while the run is taken back, 2 are spent: 1 is taken at once, 2 later."""
    acts = Acts(api, "gus")
    await api.put("/api/v1/accounts/gus", {})
    await api.set_clock(NOW + DAY)
    held = await acts.held(2)
    await acts.done(await acts.spend(2))
    run = (await api.get("/api/v1/runs", order="desc")).json()["data"][0]["id"]
    wrong = {"run_id": run, "reason": "wrong catalogue", "shortfall": "write_off"}
    await acts.done(await acts.post("reversals", wrong, scope="operator"))
    await acts.done(await acts.release(held))
    await api.set_clock(NOW + DAY + HOUR)
    await complete(api, NOW + DAY + HOUR)
    told = (await why(api, "gus"))["sentences"]
    first, later = (one.split(" on ") for one in told if "taken back" in one)
    assert first[0].startswith("1 credit was taken back by ")
    assert later[0] == first[0].replace("1 credit was", "2 credits were")
    assert first[1] == later[1] == '2026-01-02 at 12:00 UTC, "wrong catalogue".'
    assert _closes(told)


def _closes(sentences: list[str]) -> bool:
    """Whether the numbers of the sentences between make the last of the first."""
    numbers = [int(re.search(r"(-?[\d,]+) credit", one)[1].replace(",", "")) for one in sentences]
    comes = re.compile("came|bought|given back|added")
    signs = [1 if comes.search(one) else -1 for one in sentences]
    between = sum(n * sign for n, sign in zip(numbers[1:-1], signs[1:-1], strict=True))
    return numbers[0] + between == numbers[-1]


async def test_at_nothing_it_says_what_became_of_everything(fay: Acts, api: Api) -> None:
    today = await why(api, "fay")
    assert (today["on"], today["going_on"], today["closing"]) == ("2026-01-02", True, 0)
    assert today["sentences"][0] == "2026-01-02 (UTC) began with 8 credits."
    assert "8 credits expired unused, as a day's credits do at its end." in today["sentences"]
    assert today["sentences"][-1] == "Up to now that leaves 0 credits."
    month = await why(api, "fay", month="2026-01")
    assert (month["days"], month["sentences"][0]) == (31, "2026-01 (UTC) began with 0 credits.")
    assert month["spent"] == 14 + 20
    later = await why(api, "fay", on="2026-02-01")
    assert (later["opening"], later["closing"], later["moves"]) == (0, 0, [])


async def test_days_are_those_of_the_accounts_own_zone(api: Api) -> None:
    acts = Acts(api, "far")
    await api.put("/api/v1/accounts/far", {"time_zone": "Pacific/Kiritimati"})
    await acts.done(await acts.spend(2))
    await api.set_clock(NOW + HOUR)
    await complete(api, NOW + HOUR)
    told = await why(api, "far")
    assert (told["on"], told["from"], told["to"][:13]) == (
        *("2026-01-02", "2026-01-01T10:00:00.000000Z"),
        "2026-01-01T13",
    )
    assert told["spent"] == 2


async def test_the_sums_close_for_everybody_on_every_day(busy: BusyLedger) -> None:
    names = [one["id"] for one in (await read(busy.api, "/api/v1/accounts"))["data"]]
    first = NOW.date()
    count = 0
    for name in names:
        before = 0
        for n in range((busy.now.date() - first).days + 1):
            told = await why(busy.api, name, on=str(first + timedelta(days=n)))
            assert told["opening"] == before
            other = sum(one["change"] for one in told["moves"])
            assert told["opening"] - told["spent"] + other == told["closing"], (name, n)
            assert sum(one["spent"] for one in told["spent_for"]) == told["spent"]
            assert _closes(told["sentences"]), told["sentences"]
            before = told["closing"]
            count += 1
    assert count > len(names)


async def test_what_cannot_be_asked_is_refused(fay: Acts, api: Api) -> None:
    path = "/api/v1/accounts/fay/why"
    for query in ({"on": "2026-01-01", "month": "2026-01"}, {"on": "1066-10-14"}):
        answer = await api.get(path, **query)
        assert (answer.status_code, answer.json()["code"]) == (422, "refused"), query
    assert (await api.get(path, month="2026-13")).status_code == 400
    assert (await api.get("/api/v1/accounts/nobody/why")).status_code == 404


async def test_the_command_says_the_same(
    fay: Acts, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    done = await asyncio.to_thread(
        CliRunner().invoke, app, ["why", "fay", "--on", f"{NOW:%Y-%m-%d}"]
    )
    assert done.exit_code == 0, done.output
    assert "14 credits were spent: 8 for chat" in done.output
    assert "\treversal\t-10\t2026-01-01 12:00:00\t" in done.output
    month = await asyncio.to_thread(
        CliRunner().invoke, app, ["why", "fay", "--month", f"{datetime.now(UTC):%Y-%m}"]
    )
    assert month.exit_code == 0, month.output


async def test_what_is_recorded_at_a_standing_instant_is_not_passed_over_in_silence(
    api: Api,
) -> None:
    acts = Acts(api, "gus")
    await api.put("/api/v1/accounts/gus", {})
    await api.set_clock(NOW + HOUR)
    await complete(api, NOW + HOUR)
    assert (await why(api, "gus"))["sentences"][-1] == "Up to now that leaves 5 credits."
    await acts.done(await acts.spend(2))
    *_, last, more = (await why(api, "gus"))["sentences"]
    assert last == "Up to now that leaves 5 credits."
    assert more.startswith("More was recorded at this very instant")
