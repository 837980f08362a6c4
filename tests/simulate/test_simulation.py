"""`tallybook simulate` at the real service: every life cycle, in every disorder, as it must be."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.allowance.catalogue import default_text
from app.book import Book
from app.errors import ConfigurationError
from app.infrastructure.db import Database
from app.infrastructure.settings import Settings
from app.simulate import address as addresses
from app.simulate import engine
from app.simulate.address import Address
from app.simulate.disorder import Disorder
from app.simulate.roles import DEMO
from app.simulate.scenarios import SCENARIOS, Need
from app.simulate.stripe_objects import SHAPES
from tests.api_client import BASE, Api, open_api
from tests.as_owner import apply_tiers
from tests.conftest import Server, new_server, open_database
from tests.invariants import differences
from tests.simulate.playing import Player, player_of, player_with_clock

# Those that need no clock of their own.
NAMES = [name for name, one in SCENARIOS.items() if Need.CLOCK not in one.needs]
ON_A_CLOCK = [name for name, one in SCENARIOS.items() if Need.CLOCK in one.needs]
# Those in which a day's end, a grace's end or a refund comes between two events.
LONG = [
    "happy_renewal",
    "past_due",
    "dunning_to_cancel",
    "unpaid",
    "trial_converts",
    "several_subscriptions",
    "pack_disputed_won",
]
WITHOUT_PACKS = [name for name in NAMES if Need.PACK not in SCENARIOS[name].needs]
DOUBLED = Disorder(shuffle=True, duplicate=1.0)


@pytest.fixture
def player(api: Api) -> Player:
    return player_of(api)


@pytest.mark.parametrize("name", [*NAMES, DEMO])
async def test_a_life_cycle_ends_alike_in_order_shuffled_and_doubled(
    player: Player, database: Database, name: str
) -> None:
    in_order = await player(names=[name])
    disturbed = await player(names=[name], seed=2, disorder=DOUBLED)
    for one in (in_order, disturbed):
        assert one.code == 0, one.text
        assert "have the state, tier and credits that they must have" in one.text
    assert await differences(database) == []


async def test_a_clock_moves_with_the_story_and_months_take_seconds(
    api: Api, server: Server, database: Database, folder: Path
) -> None:
    player = player_with_clock(api, folder, server.application_url)
    played = await player(names=LONG)
    assert played.code == 0, played.text
    assert "The book's clock moves with the story, from 2 January 2026 on." in played.text
    assert f"✓ {len(LONG)} accounts" in played.text
    late = await player(names=["unpaid", "upgrade"], seed=2, disorder=DOUBLED)
    assert late.code == 0, late.text
    assert "what is older arrives late" in late.text
    assert await differences(database) == []


@pytest.mark.parametrize("version", SHAPES)
async def test_every_life_cycle_ends_alike_in_the_shapes_of_every_version(
    player: Player, database: Database, version: str
) -> None:
    played = await player(names=[*NAMES, DEMO], api_version=version, disorder=DOUBLED)
    assert played.code == 0, played.text
    assert await differences(database) == []


async def test_shapes_of_an_unknown_version_are_refused(player: Player) -> None:
    with pytest.raises(ConfigurationError, match=r"version 2011-01-01 .* 2026-09-30\.endive"):
        await player(api_version="2011-01-01")


@pytest.mark.parametrize("name", ON_A_CLOCK)
async def test_what_needs_a_clock_ends_right_on_one(
    api: Api, server: Server, folder: Path, name: str
) -> None:
    player = player_with_clock(api, folder, server.application_url)
    played = await player(names=[name], disorder=Disorder(duplicate=1.0))
    assert played.code == 0, played.text


async def test_jobs_of_every_kind_end_where_the_model_says(
    api: Api, server: Server, database: Database, folder: Path
) -> None:
    """Holds, captures into debt, extensions and returns beside changes of tier, over midnights."""
    player = player_with_clock(api, folder, server.application_url)
    played = await player(names=["jobs_all_day"], customers=8, days=12, seed=8)
    assert played.code == 0, played.text
    assert "✓ 8 accounts have" in played.text
    assert re.search(r"made [1-9]\d* spends and [1-9]\d* other acts", played.text)
    assert await differences(database) == []
    with pytest.raises(ConfigurationError, match="from before the first day"):
        await player(names=["jobs_all_day"], seed=9)


async def test_jobs_that_end_against_the_rules_are_told(
    api: Api, server: Server, folder: Path
) -> None:
    tiers = folder / "other.toml"
    tiers.write_text(default_text().replace("daily_credits = 20", "daily_credits = 25"))
    player = player_with_clock(api, folder, server.application_url)
    played = await player(names=["job_half_done"], tiers=tiers)
    assert played.code == 1
    assert "spends 25 on a job: refused, against the rules" in played.text


async def test_what_needs_a_clock_is_refused_without_one_or_out_of_order(
    api: Api, server: Server, folder: Path
) -> None:
    with pytest.raises(ConfigurationError, match="closed_owner_returns needs a book whose clock"):
        await player_of(api)(names=ON_A_CLOCK)
    player = player_with_clock(api, folder, server.application_url)
    with pytest.raises(ConfigurationError, match="events in their order"):
        await player(names=ON_A_CLOCK, disorder=Disorder(shuffle=True))


@given(
    st.integers(0, 2**32), st.booleans(), st.floats(0, 1), st.integers(1, 60), st.integers(1, 16)
)
@settings(max_examples=5)
async def test_every_subscription_of_a_population_ends_where_the_model_says(
    player: Player, seed: int, shuffle: bool, duplicate: float, days: int, concurrency: int
) -> None:
    disorder = Disorder(shuffle=shuffle, duplicate=duplicate)
    played = await player(
        names=NAMES, customers=8, days=days, seed=seed, disorder=disorder, concurrency=concurrency
    )
    assert played.code == 0, played.text


async def test_a_population_that_needs_several_waves_is_compared_whole(
    player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WAVE", 3)
    played = await player(names=NAMES, customers=8, days=20)
    assert played.code == 0, played.text
    assert "compared" not in played.text
    assert " accounts have the state" in played.text


async def test_the_same_seed_sends_nothing_new_and_another_seed_does(player: Player) -> None:
    for customers in (None, 4):
        first = await player(names=["upgrade", "unpaid"], customers=customers)
        assert "applied" in first.text
        again = await player(names=["upgrade", "unpaid"], customers=customers)
        assert again.code == 0
        assert "applied" not in again.text
        assert "duplicate" in again.text
        other = await player(names=["upgrade", "unpaid"], customers=customers, seed=99)
        assert "duplicate" not in other.text


async def test_dropped_events_let_customers_drift_and_the_remedy_is_told(player: Player) -> None:
    played = await player(names=["cancel_now", "unpaid", "upgrade"], disorder=Disorder(drop=0.9))
    assert played.code == 0, played.text
    assert "dropped" in played.text
    assert "drifted" in played.text
    assert "tallybook reconcile" in played.text
    healed = await player(names=["cancel_now", "unpaid", "upgrade"])
    assert "have the state, tier and credits that they must have" in healed.text


async def test_a_book_that_says_otherwise_is_told_and_ends_with_1(
    player: Player, api: Api, database: Database
) -> None:
    await player(names=["upgrade"])
    await database.execute("UPDATE accounts SET tier = 'FREE'")  # as a fault of ours would
    await database.execute("UPDATE subscriptions SET tier = NULL, state = 'created'")
    played = await player(names=["upgrade"])
    assert played.code == 1
    assert "must be ENTERPRISE, active, 50 available" in played.text
    assert "is FREE, created" in played.text
    assert "1 of 1 accounts differ" in " ".join(played.text.split())


async def test_without_a_key_nothing_is_compared(player: Player) -> None:
    played = await player.at(key=None)(names=["upgrade"])
    assert played.code == 0
    assert "Nothing was compared" in played.text


async def test_a_wrong_secret_is_a_sentence_with_its_remedy(player: Player) -> None:
    played = await player.at(secret="whsec_of_somebody_else")()
    assert played.code == 1
    assert "life cycle" not in played.text, "a table of nothing"
    assert "400 invalid_signature" in played.errors
    assert "--secret" in played.errors


async def test_an_address_without_a_webhook_is_told(player: Player) -> None:
    played = await player.at(to=f"{BASE}/elsewhere")()
    assert played.code == 1
    assert "There is no webhook at http://tallybook.test/elsewhere" in played.errors


async def test_an_address_where_nobody_listens_is_told(
    player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.simulate.simulation.PATIENCE_S", 0)
    nobody = replace(player.at(to="http://127.0.0.1:1"), transport=httpx.AsyncHTTPTransport())
    played = await nobody()
    assert played.code == 1
    assert "Nobody answers at http://127.0.0.1:1/api/webhooks/stripe." in played.errors


async def test_a_key_that_may_not_read_is_told(player: Player) -> None:
    played = await player.at(key="tb_nobody")(names=["upgrade"])
    assert played.code == 1
    assert "The key is not good for reading accounts" in played.errors


async def test_a_live_book_refuses_and_that_is_told(database: Database, settings: Settings) -> None:
    live = msgspec.structs.replace(settings, livemode=True, clock_settable=False)
    async with open_api(database, live) as api:
        played = await player_of(api)(names=["upgrade"])
    assert played.code == 1
    assert "TALLYBOOK_LIVEMODE" in played.text


async def test_an_unknown_life_cycle_is_refused(player: Player) -> None:
    with pytest.raises(ConfigurationError, match=r"No such life cycle: nonsense\..*--list"):
        await player(names=["nonsense"])


async def test_a_catalogue_that_lacks_something_is_told(player: Player, folder: Path) -> None:
    tiers = folder / "tiers.toml"
    tiers.write_text(
        "[tiers.FREE]\ndaily_credits = 5\nprices = []\n"
        '[tiers.BASIC]\ndaily_credits = 9\nprices = ["price_basic"]\n'
    )
    with pytest.raises(ConfigurationError, match="upgrade needs tiers of different daily credits"):
        await player(names=["upgrade"], tiers=tiers)
    tiers.write_text("[tiers.FREE]\ndaily_credits = 5\nprices = []\n")
    with pytest.raises(ConfigurationError, match="sells no tier"):
        await player(tiers=tiers)


async def test_one_s_own_catalogue_is_tried(folder: Path, settings: Settings) -> None:
    content = (
        "[tiers.FREE]\ndaily_credits = 1\nprices = []\n"
        '[tiers.BASIC]\ndaily_credits = 9\nprices = ["price_basic", "price_basic_annual"]\n'
        'past_due_grace_days = 1\ntrial_grants = false\npause_collection = "none"\n'
        '[tiers.MORE]\ndaily_credits = 90\nprices = ["price_more"]\n'
    )
    tiers = folder / "tiers.toml"
    tiers.write_text(content)
    async with new_server() as server, open_database(server.application_url) as database:
        await apply_tiers(Book(database), content)
        own = msgspec.structs.replace(settings, database_url=server.application_url)
        async with open_api(database, own) as api:
            played = await player_of(api)(tiers=tiers, names=WITHOUT_PACKS)
            population = await player_of(api)(tiers=tiers, names=WITHOUT_PACKS, customers=6)
    assert played.code == 0, played.text
    assert population.code == 0, population.text


def test_an_address_is_a_service_s_or_a_webhook_s() -> None:
    def url(to: str) -> str:
        return addresses.find(Address(to=to, secret="whsec_x")).webhook_url

    assert url("http://127.0.0.1:8787") == "http://127.0.0.1:8787/api/webhooks/stripe"
    assert url("https://a.example/") == "https://a.example/api/webhooks/stripe"
    assert url("https://a.example/hooks/in") == "https://a.example/hooks/in"
    with pytest.raises(ConfigurationError, match="no address"):
        url("127.0.0.1:8787")


def test_what_is_lacking_of_an_address_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("STRIPE_WEBHOOK_SECRET", raising=False)
    with pytest.raises(ConfigurationError, match="Where to"):
        addresses.find(Address())
    with pytest.raises(ConfigurationError, match="Is `tallybook up` running there"):
        addresses.find(Address(data_dir=folder))
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_one,whsec_two")
    target = addresses.find(Address(to="http://127.0.0.1:1"))
    assert target.book.stripe_webhook_secret == "whsec_one"
    assert not target.reads
