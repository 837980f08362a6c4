"""Lists: a table that keeps ids whole at 80 columns, a row a line in a pipe, JSON where asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import typer.main
from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner

from app.allowance import catalogue
from app.cli import app as cli
from app.cli import words
from app.cli.listing import Change, Listing
from app.infrastructure.settings import Settings
from tests.api_client import Api
from tests.conftest import NOW, Server
from tests.stripe_events import make_subscription_event

EVENT = "evt_1MqqbKLt4dXK03v5qaIbiNCC"
REASON = "no price is in the catalogue: price_1MowQVLkdIwHu7ixeRlqHVzs; add it, and replay"


def listing() -> Listing:
    made = Listing("event", "verdict", "next try", "reason")
    made.add(EVENT, "parked", None, REASON)
    made.add("evt_2", "applied", None, "two\nlines")
    return made


def printed(*, as_json: bool = False, terminal: bool = False) -> str:
    out = StringIO()
    console = Console(file=out, width=80, force_terminal=terminal, color_system=None)
    listing().show(console, as_json=as_json)
    return out.getvalue()


def test_at_a_terminal_of_80_columns_the_id_is_whole_and_no_column_is_empty() -> None:
    told = printed(terminal=True)
    assert EVENT in told
    assert "next try" not in told
    assert max(map(len, told.splitlines())) <= 80


def test_in_a_pipe_each_row_is_a_line_of_all_columns() -> None:
    assert printed() == (
        "event\tverdict\tnext try\treason\n"
        f"{EVENT}\tparked\t\t{REASON}\n"
        "evt_2\tapplied\t\ttwo lines\n"
    )


def told_of(listed: Listing, width: int, *, terminal: bool) -> str:
    out = StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, color_system=None)
    listed.show(console)
    return out.getvalue()


def test_what_is_least_wanted_gives_way_at_a_narrow_terminal_alone() -> None:
    made = Listing(
        *("run", "from (UTC)", "credits", "change", "short", "notes"), least=("notes", "short")
    )
    at = datetime(2026, 1, 31, 9, 30, 15, tzinfo=UTC)
    made.add("run_0000000000001", at, 1_234_567, Change(-3), 7, "n" * 30)
    wide, narrow, narrower = (told_of(made, width, terminal=True) for width in (120, 80, 60))
    assert ("notes" in wide, "notes" in narrow, "short" in narrow) == (True, False, True)
    assert "short" not in narrower
    for told in (wide, narrow, narrower):
        assert "2026-01-31 09:30 " in told
        assert "1,234,567" in told
        assert "-3" in told
    assert told_of(made, 20, terminal=False).splitlines()[1].split("\t") == [
        *("run_0000000000001", "2026-01-31 09:30:15", "1234567", "-3", "7"),
        "n" * 30,
    ]
    (row,) = made.members()
    assert (row["from (UTC)"], row["credits"], row["change"]) == (
        *("2026-01-31T09:30:15.000000Z", 1_234_567),
        -3,
    )


# What does something, or prints a thing that is no list: a key, a file, a sentence.
NO_JSON = """
account adjust, account close, account grant, account merge, account rename, account reopen,
account resume, account return, account suspend, book create, close-month, demo, env,
events scrub, evidence compare, evidence of, evidence receipt, grants run, import, keys create,
keys revoke, keys rotate, ledger erase, ledger export, migrate, seal key, seal now, serve,
simulate, tiers apply, up, webhooks delete, webhooks put, webhooks roll, worker
"""


def test_every_list_and_report_has_json() -> None:
    without = {
        name
        for name, command in commands(typer.main.get_command(cli), "")
        if not any("--json" in option.opts for option in command.params)
    }
    assert without == {name.strip() for name in NO_JSON.split(",")}


def commands(group: Any, before: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


async def test_events_are_found_by_account_customer_and_type(
    api: Api, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", server.application_url)
    for number in (1, 2):
        names = {"subscription": f"sub_{number}", "customer": f"cus_{number}"}
        await api.deliver(make_subscription_event(f"evt_{number}", "created", NOW, **names))
    await api.put("/api/v1/accounts/ann", {"stripe_customer_id": "cus_2"})
    for options, found in (
        (["--account", "ann"], {"evt_2"}),
        (["--account", "nobody"], set()),
        (["--customer", "cus_1"], {"evt_1"}),
        (["--subscription", "sub_2"], {"evt_2"}),
        (["--type", "customer.subscription.created"], {"evt_1", "evt_2"}),
        (["--type", "invoice.paid"], set()),
    ):
        asked = ["events", "list", "--json", *options]
        done = await asyncio.to_thread(CliRunner().invoke, cli, asked)
        assert {one["event"] for one in json.loads(done.stdout)} == found, options


# What these want to be named.
WORDS = {
    "account show": ["ann"],
    "account explain": ["ann"],
    "why": ["ann"],
    "events replay": ["evt_1"],
    "grants show": ["RUN"],
    "grants taken-back": ["RUN"],
    "reverse": ["--run", "RUN", "--reason", "a look", "--dry-run"],
    "tiers check": [str(Path(catalogue.__file__).with_name("tiers.toml"))],
    "ledger rebuild": ["--dry-run"],
    "webhooks redeliver": ["msg_0000000000001"],
}


@pytest.mark.parametrize("way", ["json", "pipe", "terminal"])
async def test_each_list_and_report_is_told(
    api: Api, server: Server, settings: Settings, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    await api.put("/api/v1/accounts/ann", {})
    assert await api.deliver(make_subscription_event("evt_1", "created", NOW)) == "applied"
    await api.set_clock(NOW + timedelta(days=1))
    (run,) = (await api.get("/api/v1/runs")).json()["data"]
    monkeypatch.setenv("DATABASE_URL", server.application_url)
    monkeypatch.setenv("TALLYBOOK_KEY_PEPPER", settings.key_pepper)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(words.console, "_force_terminal", way == "terminal")
    for name, command in commands(typer.main.get_command(cli), ""):
        if not any("--json" in option.opts for option in command.params):
            continue
        named = [run["id"] if word == "RUN" else word for word in WORDS.get(name, [])]
        asked = [*name.split(), *named, *(["--json"] if way == "json" else [])]
        done = await asyncio.to_thread(CliRunner().invoke, cli, asked)
        assert done.exit_code in (0, 1), (name, done.output, done.exc_info)
        assert isinstance(done.exception, SystemExit | None), (name, done.exception)
        if name == "reconcile":  # there is no key of Stripe
            continue
        if way == "json":
            json.loads(done.stdout)
        elif way == "terminal":
            wide = [line for line in done.stdout.splitlines() if len(Text.from_ansi(line)) > 80]
            assert name in {"tiers show", "reverse"} or wide == [], name  # sentences, a file


async def test_what_a_command_logs_is_shown_where_it_is_asked_for(
    api: Api, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.put("/api/v1/accounts/ann", {})
    monkeypatch.setenv("DATABASE_URL", server.application_url)
    said = ["account", "suspend", "ann", "--reason", "a look"]
    quiet = await asyncio.to_thread(CliRunner().invoke, cli, said)
    assert (quiet.exit_code, quiet.stderr) == (0, "")
    said[1] = "resume"
    loud = await asyncio.to_thread(CliRunner().invoke, cli, ["--verbose", *said])
    assert loud.exit_code == 0
    assert "operator_act" in loud.stderr
    assert "operator_act" not in loud.stdout


def test_sentences_fold_before_numbers_and_ids_are_cut() -> None:
    made = Listing("check", "rows", "differences")
    made.add(
        "every subscription is received by the account that is named for it, else none", 45, ""
    )
    made.add("time", 1_333, "x " * 60)
    told = told_of(made, 80, terminal=True)
    assert "1,333" in told
    assert max(map(len, told.splitlines())) <= 80
    assert told_of(Listing("event"), 80, terminal=True).strip() == "Nothing to list."
    assert told_of(Listing("event"), 80, terminal=False) == "event\n"


def test_json_names_each_member() -> None:
    found = json.loads(printed(as_json=True))
    assert found[0] == {"event": EVENT, "verdict": "parked", "next try": None, "reason": REASON}
