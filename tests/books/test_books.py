"""Several books in one database and one service: each is whole, and knows nothing of the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.asgi import create_app
from app.book import Book, settings_of
from app.errors import ConfigurationError
from app.infrastructure import clock, migrations, settings
from app.infrastructure.books import environment_of, in_book
from app.infrastructure.db import Database
from app.operators.keys import Scope
from tests.api_client import BASE, Api, serving
from tests.as_owner import apply_tiers, make_key
from tests.cli.test_which_book import folder, ran
from tests.conftest import NOW, Server, open_database
from tests.contract.test_settings import GOOD
from tests.invariants import differences
from tests.stripe_events import make_subscription_event

TIERS = "[tiers.FREE]\ndaily_credits = 3\nprices = []\n[tiers.PRO]\ndaily_credits = 9\n"
SECRET_OF_ACME = "whsec_of_acme_0123456789"
__all__ = ["folder"]


@dataclass
class Two:
    """The first book and a further one, as one service serves them."""

    main: Api
    acme: Api
    of_acme: Database


@pytest.fixture
async def two(
    server: Server, database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Two]:
    await migrations.make_book(
        server.owner_url, "acme", {"DATABASE_URL": server.application_url}, "development"
    )
    for name, value in {
        **GOOD,
        "DATABASE_URL": server.application_url,
        "TALLYBOOK_BOOKS": "acme",
        "TALLYBOOK_ENV": "development",
        "TALLYBOOK_RATE_LIMIT": "off",
        "STRIPE_WEBHOOK_SECRET__ACME": SECRET_OF_ACME,
    }.items():
        monkeypatch.setenv(name, value)
    configured = settings.load()
    app = create_app(configured)
    async with open_database(in_book(server.application_url, "acme")) as of_acme:
        await clock.stand(of_acme, NOW)
        prices = 'prices = ["price_pro_monthly"]\n'
        await apply_tiers(Book(of_acme), TIERS + prices)
        keys = [
            {
                str(scope): await make_key(each, configured.key_pepper, scope, [scope])
                for scope in Scope
            }
            for each in (database, of_acme)
        ]
        transport = httpx.ASGITransport(app=app)
        async with (
            serving(app),
            httpx.AsyncClient(transport=transport, base_url=BASE) as main,
            httpx.AsyncClient(transport=transport, base_url=f"{BASE}/books/acme") as acme,
        ):
            yield Two(
                Api(main, keys[0], GOOD["STRIPE_WEBHOOK_SECRET"]),
                Api(acme, keys[1], SECRET_OF_ACME),
                of_acme,
            )


async def test_each_book_has_its_own_accounts_keys_catalogue_and_ledger(
    two: Two, database: Database
) -> None:
    for api in (two.main, two.acme):
        assert (await api.put("/api/v1/accounts/user-1", {})).status_code == 201
        assert (await api.spend("user-1", 2, "the same key")).status_code == 201
    assert [(await api.account("user-1"))["available"] for api in (two.main, two.acme)] == [3, 1]
    for api in (two.main, two.acme):
        entries = (await api.get("/api/v1/ledger/entries")).json()["data"]
        assert [entry["kind"] for entry in entries] == ["grant", "spend"]
    assert await differences(database) == []
    assert await differences(two.of_acme) == []


async def test_a_key_opens_its_own_book_alone(two: Two) -> None:
    swapped = Api(two.acme.client, two.main.tokens, "")
    assert (await swapped.get("/api/v1/accounts")).status_code == 401
    swapped = Api(two.main.client, two.acme.tokens, "")
    assert (await swapped.get("/api/v1/accounts")).status_code == 401
    unknown = await two.main.get("/books/other/api/v1/accounts")
    assert unknown.status_code == 404
    for spelling in (
        "/books//acme/api/v1/accounts",
        "/%62ooks/acme/api/v1/accounts",
        "/books/acme",
    ):
        assert (await two.main.client.get(spelling)).status_code == 404


async def test_an_event_reaches_the_book_of_its_path_by_that_books_secret(two: Two) -> None:
    event = make_subscription_event("evt_1", "created", NOW)
    assert await two.acme.deliver(event) == "applied"
    assert (await two.acme.account("cus_1"))["available"] == 9
    assert (await two.main.get("/api/v1/accounts/cus_1")).status_code == 404
    by_the_wrong_secret = Api(two.acme.client, two.acme.tokens, GOOD["STRIPE_WEBHOOK_SECRET"])
    assert (await by_the_wrong_secret.post_event(event)).status_code == 400
    assert await two.main.deliver(event) == "applied"
    assert (await two.main.account("cus_1"))["available"] == 20


def test_a_further_book_takes_from_the_process_all_but_its_secrets() -> None:
    process = {
        **GOOD,
        "TALLYBOOK_LIVEMODE": "true",
        "STRIPE_API_KEY": "sk_live_0123456789abcdef",
        "TALLYBOOK_DEBT_MAX": "5",
        "TALLYBOOK_DEBT_MAX__SHOP": "7",
    }
    with pytest.raises(ConfigurationError, match="NAME__SHOP"):
        settings_of("shop", process)
    shop = settings_of("shop", {**process, "STRIPE_WEBHOOK_SECRET__SHOP": SECRET_OF_ACME})
    assert (shop.livemode, shop.stripe_api_key, shop.debt_max) == (False, None, 7)
    assert shop.cron_secret == GOOD["CRON_SECRET"]
    assert shop.database_url.endswith("?options=-csearch_path%3Dshop")
    assert settings_of("acme", {**process, "STRIPE_WEBHOOK_SECRET__ACME": "x" * 20}).debt_max == 5


def test_a_file_for_one_book_stands_before_the_processs_variable(tmp_path: Path) -> None:
    own = tmp_path / "secret"
    own.write_text("cron-of-the-shop-00000\n")
    told = environment_of("shop", {**GOOD, "CRON_SECRET__SHOP_FILE": str(own)})
    assert (told["CRON_SECRET_FILE"], "CRON_SECRET" in told) == (str(own), False)


@pytest.mark.parametrize("name", ["", "Acme", "1st", "pg_mine", "a-b", 'a"; DROP', "a" * 42])
async def test_no_other_name_makes_a_schema(server: Server, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be a book's name"):
        await migrations.make_book(server.owner_url, name, {})


async def test_the_commands_make_list_and_work_on_a_book(folder: Path, database: Database) -> None:
    made = await ran(folder, "book", "create", "acme")
    assert made.returncode == 0, made.stderr
    assert "STRIPE_WEBHOOK_SECRET__ACME" in made.stdout
    again = await ran(folder, "book", "create", "acme")
    assert again.returncode == 1
    assert "There is a schema acme already" in again.stderr
    key = await ran(folder, "--book", "acme", "keys", "create", "app", "--scope", "service")
    assert key.stdout.startswith("tb_"), key.stderr
    there = await ran(folder, "--book", "acme", "keys", "list")
    here = await ran(folder, "keys", "list")
    assert ("app" in there.stdout, "app" in here.stdout) == (True, False)
    listed = await ran(folder, "book", "list")
    assert [line.split("\t")[0] for line in listed.stdout.splitlines()] == [
        "book",
        "public",
        "acme",
    ]
    missing = await ran(folder, "--book", "nobodys", "keys", "list")
    assert (missing.returncode, "Traceback" in missing.stderr) == (1, False)
    assert "nobodys" in missing.stderr


async def test_migrate_brings_every_book_up_to_date(server: Server, database: Database) -> None:
    await migrations.make_book(server.owner_url, "acme", {}, "development")
    told: dict[str, list[str]] = {}
    await migrations.migrate_all(server.owner_url, {}, "development", told.__setitem__)
    assert told == {"public": [], "acme": []}
    with pytest.raises(ConfigurationError, match="book create other"):
        await migrations.migrate(in_book(server.owner_url, "other"), {})
