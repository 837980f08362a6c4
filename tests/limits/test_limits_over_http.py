"""The API refuses too many calls with 429, says when to come back, and exempts who must pass."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from app.accounts.put import put
from app.book import Book
from app.infrastructure.db import Database
from app.infrastructure.rates import Rate, RateLimits, parse_networks
from app.infrastructure.settings import Settings
from tests.api_client import Api, open_api
from tests.conftest import NOW
from tests.contract.test_routes import is_problem
from tests.limits.conftest import PATIENT_SECONDS
from tests.metrics_text import value
from tests.running_redis import RunningRedis
from tests.stripe_events import make_subscription_event

LIMITS = RateLimits(of_key=Rate(3, 3_600), of_address=Rate(2, 3_600))
ONE = "/api/v1/accounts/user-1"


@pytest.fixture
async def limited(
    database: Database,
    settings: Settings,
    running_redis: RunningRedis,
    book: Book,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Api]:
    monkeypatch.setattr("app.infrastructure.limiter.ANSWER_SECONDS_MAX", PATIENT_SECONDS)
    await put(book, "user-1", "cus_1", None, "tests")
    redis_url = running_redis.url
    wanted = msgspec.structs.replace(settings, redis_url=redis_url, rate_limits=LIMITS)
    async with open_api(database, wanted) as api:
        yield api


async def test_a_key_past_its_limit_is_told_when_to_come_back(limited: Api) -> None:
    answers = [await limited.get(ONE, "service") for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert [one.headers["ratelimit-remaining"] for one in answers] == ["2", "1", "0", "0"]
    assert {one.headers["ratelimit-limit"] for one in answers} == {"3"}
    refused = answers[-1]
    assert is_problem(refused, 429, "rate_limited")
    assert refused.json()["retryable"] is True
    assert refused.json()["retry_after_s"] == int(refused.headers["retry-after"])
    assert 1_100 < int(refused.headers["retry-after"]) <= 1_200
    assert 3_500 < int(refused.headers["ratelimit-reset"]) <= 3_600
    assert (await limited.get(ONE, "auditor")).status_code == 200, "each key has its own"
    assert value(await limited.client.get("/metrics"), "tallybook_rate_limited_total") == 1


async def test_a_refused_spend_spends_nothing_and_may_be_repeated(
    limited: Api, database: Database
) -> None:
    for _ in range(3):
        await limited.get(ONE, "service")
    assert (await limited.spend("user-1", 1, "k")).status_code == 429
    assert await database.fetchval("SELECT count(*) FROM journals WHERE kind = 'spend'") == 0


async def test_an_address_without_a_good_key_is_limited_and_good_keys_from_it_are_not(
    limited: Api,
) -> None:
    bad = {"Authorization": "Bearer tb_0000000000_" + "0" * 40}
    answers = [await limited.client.get(ONE, headers=bad) for _ in range(2)]
    answers.append(await limited.client.get(ONE))
    assert [one.status_code for one in answers] == [401, 401, 429]
    assert is_problem(answers[-1], 429, "rate_limited")
    assert (await limited.get(ONE, "service")).status_code == 200


async def test_wrong_keys_at_the_console_are_counted_and_then_refused(limited: Api) -> None:
    sign_in = "/console/sign-in"
    wrong = ["tb_0000000000_" + "0" * 40, "x"]
    answers = [await limited.client.post(sign_in, data={"key": key}) for key in wrong]
    assert [one.status_code for one in answers] == [401, 401]
    refused = await limited.client.post(sign_in, data={"key": wrong[0]})
    assert refused.status_code == 429
    assert refused.headers["content-type"].startswith("text/html")
    assert int(refused.headers["retry-after"]) > 0
    assert "Wait for a minute" in refused.text
    # A guess that is right is let in even then; whoever has it needs no further guess.
    good = await limited.client.post(sign_in, data={"key": limited.tokens["auditor"]})
    assert good.status_code == 303
    # Over HTTP it is the same address.
    bad = {"Authorization": "Bearer " + wrong[0]}
    assert (await limited.client.get(ONE, headers=bad)).status_code == 429


async def test_an_account_s_page_is_limited_and_so_are_links_that_are_none(limited: Api) -> None:
    headers = limited.headers("service")
    made = await limited.client.post(f"{ONE}/page-links", json={}, headers=headers)
    path = made.json()["path"]
    answers = [await limited.client.get(path) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert answers[-1].headers["content-type"].startswith("text/html")
    assert int(answers[-1].headers["retry-after"]) > 0
    false = [await limited.client.get(f"{path}x") for _ in range(3)]
    assert [one.status_code for one in false] == [403, 403, 429]


async def test_stripe_the_cron_and_the_probes_are_never_limited(
    limited: Api, settings: Settings
) -> None:
    """Not even while others fail to open from the same address, as behind one proxy."""
    for number in range(5):
        forged = await limited.client.post("/api/webhooks/stripe", content=b"{}")
        assert forged.status_code == (400 if number < 2 else 429)
        event = make_subscription_event(f"evt_{number}", "updated", NOW)
        assert (await limited.post_event(event)).status_code == 200
        headers = {"Authorization": f"Bearer {settings.cron_secret}"}
        cron = await limited.client.get("/api/cron/reset-credits", headers=headers)
        assert cron.status_code == 200
        for path in ("/health/live", "/health/ready", "/metrics", "/schema/openapi.json"):
            answer = await limited.client.get(path)
            assert answer.status_code == 200
            assert "ratelimit-limit" not in answer.headers


async def test_an_address_that_guesses_the_crons_secret_is_limited(limited: Api) -> None:
    answers = [await limited.client.get("/api/cron/reset-credits") for _ in range(3)]
    assert [one.status_code for one in answers] == [401, 401, 429]


async def test_without_redis_everything_passes_and_is_counted(
    limited: Api, running_redis: RunningRedis
) -> None:
    running_redis.stop()
    for _ in range(6):
        answer = await limited.get(ONE, "service")
        assert answer.status_code == 200
        assert "ratelimit-limit" not in answer.headers
    assert value(await limited.client.get("/metrics"), "tallybook_rate_limit_errors_total") == 6
    ready = await limited.client.get("/health/ready")
    assert ready.status_code == 200
    assert "redis_away" in ready.json()["degraded"]


async def test_429_is_declared_wherever_something_is_asked_for_and_nowhere_else(
    limited: Api,
) -> None:
    schema = (await limited.client.get("/schema/openapi.json")).json()
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            asks = operation["security"] != [{}] or path == "/api/webhooks/stripe"
            assert ("429" in operation["responses"]) is asks, f"{method} {path}"


async def test_a_caller_behind_a_proxy_that_adds_a_line_of_its_own_chooses_no_address(
    database: Database,
    settings: Settings,
    running_redis: RunningRedis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.infrastructure.limiter.ANSWER_SECONDS_MAX", PATIENT_SECONDS)
    wanted = msgspec.structs.replace(
        settings,
        redis_url=running_redis.url,
        rate_limits=LIMITS,
        trusted_proxies=parse_networks("127.0.0.1"),
    )
    async with open_api(database, wanted) as api:
        answers = [
            await api.client.get(
                ONE,
                headers=[
                    ("X-Forwarded-For", f"203.0.113.{number}"),  # the caller's own word
                    ("X-Forwarded-For", "198.51.100.9"),  # the proxy's
                ],
            )
            for number in range(3)
        ]
    assert [one.status_code for one in answers] == [401, 401, 429]
