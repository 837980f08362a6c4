"""The demo played at a book that fails now and then, and at one that was left half-played."""

from __future__ import annotations

import pytest

from app.simulate import book_client
from app.simulate.book_client import PlayError, connected
from app.simulate.demo import START, Run, people
from app.simulate.disorder import in_time
from app.simulate.engine import Engine, Manner, Outcome
from app.simulate.steps import Delivery, Put, Spend
from tests.simulate.small_book import Fault, SmallBook, listening

RUN = Run(1, START, resumed=False)
ACTS = [one.act for one in in_time(people(RUN), lambda _: None)]
DELIVERIES = [act for act in ACTS if isinstance(act, Delivery)]
SPENDS = [act for act in ACTS if isinstance(act, Spend)]
LACKING = frozenset(spend.key for spend in SPENDS if spend.refused)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_client, "PAUSE_S_MIN", 0.001)
    monkeypatch.setattr(book_client, "PAUSE_S_MAX", 0.004)


async def played_at(small: SmallBook, patience_s: float = 20.0) -> Outcome:
    async with listening(small) as book, connected(book, patience_s=patience_s) as client:
        manner = Manner(clock_at=await client.now(), ends_at=RUN.ends_at, reads=False)
        return await Engine(client, manner).run(iter(people(RUN)))


def assert_whole(small: SmallBook) -> None:
    assert list(small.events) == list(dict.fromkeys(one.event_id for one in DELIVERIES))
    assert list(small.spends) == [spend.key for spend in SPENDS if not spend.refused]
    puts = [act.account_id for act in ACTS if isinstance(act, Put)]
    assert list(small.accounts) == puts
    assert small.now == RUN.ends_at


async def test_the_demo_is_played_whole_and_in_order() -> None:
    small = SmallBook(lacking=LACKING)
    played = await played_at(small)
    assert_whole(small)
    verdicts = played.verdict_counts
    assert verdicts.total() == len(DELIVERIES)
    assert verdicts["duplicate"] == len(DELIVERIES) - len(small.events) > 0
    assert (played.spend_count, played.refused_count) == (len(small.spends), len(LACKING))
    assert played.surprises == []


@pytest.mark.parametrize("fault", Fault)
async def test_what_fails_is_sent_again_under_the_same_ids(fault: Fault) -> None:
    small = SmallBook(lambda number: fault if number % 2 else None, lacking=LACKING)
    played = await played_at(small)
    assert_whole(small)
    assert small.clock_moves == sorted(small.clock_moves)
    assert played.surprises == []
    assert small.request_count > 1.9 * len(ACTS)


@pytest.mark.parametrize("request_count", [1, 3, 17, 60, 90, 110])
async def test_a_half_played_demo_is_played_to_its_end(request_count: int) -> None:
    small = SmallBook(
        lambda number: Fault.UNANSWERED if number > request_count else None, lacking=LACKING
    )
    with pytest.raises(PlayError, match="gave up"):
        await played_at(small, patience_s=0.02)
    small.fault_of = lambda _: None
    await played_at(small)
    assert_whole(small)
    assert small.clock_moves == sorted(small.clock_moves)


async def test_a_refused_spend_is_not_tried_again_on_a_later_day() -> None:
    small = SmallBook(lacking=LACKING)
    await played_at(small)
    again = await played_at(small)
    assert [key for key, _ in small.refusals] == [spend.key for spend in SPENDS if spend.refused]
    assert again.refused_count == len(LACKING)


async def test_a_spend_that_ends_against_the_rules_is_told() -> None:
    wrong = next(spend.key for spend in SPENDS if not spend.refused)
    played = await played_at(SmallBook(lacking=LACKING | {wrong}))
    (surprise,) = played.surprises
    assert surprise.endswith("refused")


async def test_an_answer_that_no_repetition_betters_ends_the_demo_at_once() -> None:
    small = SmallBook()
    small.do = lambda *_: (403, {"code": "forbidden", "detail": "No."})  # type: ignore[method-assign]
    with pytest.raises(PlayError, match="GET /api/v1/dev/clock answered 403 forbidden No"):
        await played_at(small)
    assert small.request_count == 1


async def test_a_book_without_a_settable_clock_is_named() -> None:
    small = SmallBook()
    small.do = lambda *_: (404, {"code": "not_found"})  # type: ignore[method-assign]
    with pytest.raises(PlayError, match="--clock"):
        await played_at(small)
