"""What tiers.toml may say, and how a wrong one is answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.allowance.catalogue import Catalogue, CatalogueError, default_text, diff, parse
from app.errors import TallybookError

FREE = "[tiers.FREE]\ndaily_credits = 5\nprices = []\n"


def read(text: str) -> Catalogue:
    return parse(text, "tiers.toml")


def problems_of(text: str) -> tuple[str, ...]:
    with pytest.raises(CatalogueError) as caught:
        read(text)
    return caught.value.problems


def test_the_shipped_catalogue_has_the_three_tiers_and_a_pack() -> None:
    catalogue = read(default_text())
    credits_of = {tier.name: tier.daily_credits for tier in catalogue.tiers}
    assert credits_of == {"FREE": 5, "PRO": 20, "ENTERPRISE": 50}
    assert [(pack.name, pack.credits) for pack in catalogue.packs] == [("P100", 100)]


@pytest.mark.parametrize(
    ("price", "tier"),
    [
        ("price_pro_monthly", "PRO"),
        ("price_pro_yearly", "PRO"),
        ("price_enterprise_monthly", "ENTERPRISE"),
        ("price_enterprise_yearly", "ENTERPRISE"),
        ("price_pack_100", None),
        ("price_of_another_product", None),
    ],
)
def test_a_price_buys_its_tier(price: str, tier: str | None) -> None:
    bought = read(default_text()).tier_of_price(price)
    assert (bought.name if bought else None) == tier


def test_what_a_tier_leaves_out_has_the_documented_default() -> None:
    free = read(FREE).tier("FREE")
    assert (free.past_due_grace_days, free.carry_over_max, free.trial_grants) == (7, 0, True)


def test_known_are_tier_pack_and_ignored_prices() -> None:
    catalogue = read(f'ignored_prices = ["price_hours"]\n{default_text()}')
    assert all(map(catalogue.known, ["price_hours", "price_pack_100", "price_pro_yearly"]))
    assert not catalogue.known("price_new")
    assert catalogue.is_ignored("price_hours")
    assert not catalogue.is_ignored("price_pro_yearly")


def test_a_pack_without_expires_days_never_expires() -> None:
    pack = read(f"{FREE}[packs.P1]\ncredits = 1\nprices = ['price_p1']").pack_of_price("price_p1")
    assert pack is not None
    assert pack.expires_days is None


def test_the_best_tier_has_most_credits_then_stands_first_in_the_file() -> None:
    catalogue = read(
        FREE
        + "[tiers.TEAM]\ndaily_credits = 20\nprices = []\n"
        + "[tiers.PRO]\ndaily_credits = 20\nprices = []\n"
        + "[tiers.BIG]\ndaily_credits = 30\nprices = []\n"
    )
    assert catalogue.best([]) == "FREE"
    assert catalogue.best(["PRO", "FREE"]) == "PRO"
    assert catalogue.best(["PRO", "TEAM"]) == "TEAM"
    assert catalogue.best(iter(["PRO", "BIG", "TEAM"])) == "BIG"
    with pytest.raises(KeyError):
        catalogue.best(["GONE"])


def test_a_tier_below_free_does_not_hide_what_free_gives() -> None:
    catalogue = read(f"{FREE}[tiers.TRICKLE]\ndaily_credits = 1\nprices = []\n")
    assert catalogue.best(["TRICKLE"]) == "TRICKLE"
    assert catalogue.best(["TRICKLE", "FREE"]) == "FREE"


def test_a_catalogue_without_free_is_refused() -> None:
    (problem,) = problems_of("[tiers.PRO]\ndaily_credits = 20\nprices = []")
    assert problem == (
        "tiers.toml: tiers.FREE is missing; add [tiers.FREE], the tier that every account has"
    )


@pytest.mark.parametrize(
    ("line", "key", "remedy"),
    [
        ("daily_credits = true", "tiers.PRO.daily_credits is true", "from 0 to 1000000000000"),
        ("daily_credits = 20.0", "tiers.PRO.daily_credits is 20.0", "a whole number"),
        ('daily_credits = "20"', "tiers.PRO.daily_credits is '20'", "a whole number"),
        ("daily_credits = -1", "tiers.PRO.daily_credits is -1", "from 0"),
        ("daily_credits = 1000000000001", "tiers.PRO.daily_credits", "to 1000000000000"),
        ("past_due_grace_days = 366", "tiers.PRO.past_due_grace_days is 366", "from 0 to 365"),
        ("carry_over_max = -5", "tiers.PRO.carry_over_max is -5", "from 0 to 1000000000000"),
        ("trial_grants = 1", "tiers.PRO.trial_grants is 1", "true or false"),
        ('trial_grants = "yes"', "tiers.PRO.trial_grants is 'yes'", "true or false"),
        ('prices = "price_a"', "tiers.PRO.prices is 'price_a'", "a list"),
        ("prices = {}", "tiers.PRO.prices is {}", "a list"),
        ("prices = [7]", "tiers.PRO.prices holds 7", "Stripe price ids"),
        ('prices = [""]', "tiers.PRO.prices holds ''", "1 to 255 characters"),
        ('prices = ["a\\u0000b"]', "tiers.PRO.prices holds", "Stripe price ids"),
        ('prices = ["price_a "]', "tiers.PRO.prices holds 'price_a '", "Stripe price ids"),
        ('prices = ["prod_A"]', "tiers.PRO.prices holds 'prod_A'", "price_…"),
        ('prices = ["p", "p"]', "tiers.PRO.prices holds 'p' again", "tiers.PRO.prices already"),
        ("daily_credit = 20", "tiers.PRO.daily_credit is not", "did you mean daily_credits?"),
        ("graceperiod = 3", "tiers.PRO.graceperiod is not", "did you mean past_due_grace_days?"),
    ],
)
def test_a_wrong_value_names_file_key_and_remedy(line: str, key: str, remedy: str) -> None:
    defaults = {"daily_credits": "20", "prices": "[]"}
    lines = [f"{k} = {v}" for k, v in defaults.items() if k != line.partition(" ")[0]]
    (problem,) = problems_of("\n".join([FREE, "[tiers.PRO]", *lines, line]))
    assert problem.startswith(f"tiers.toml: {key}")
    assert remedy in problem


@pytest.mark.parametrize(
    "line",
    [
        "credits = 0",
        "credits = 1000000000001",
        "expires_days = 0",
        "expires_days = 36501",
        "expires_days = false",
    ],
)
def test_a_pack_has_bounds_too(line: str) -> None:
    key = line.partition(" ")[0]
    others = [] if key == "credits" else ["credits = 100"]
    (problem,) = problems_of("\n".join([FREE, "[packs.P]", "prices = []", *others, line]))
    assert problem.startswith(f"tiers.toml: packs.P.{key} is ")


@pytest.mark.parametrize("name", ["pro", "1PRO", "_PRO", "PRO-X", "P" * 33, "PRÖ"])
def test_a_name_is_capitals_digits_and_underscores(name: str) -> None:
    (problem,) = problems_of(f'{FREE}[tiers."{name}"]\ndaily_credits = 1\nprices = []')
    assert problem.startswith(f"tiers.toml: tiers.{name} is not a valid name; write 1 to 32 of A-Z")


def test_a_price_in_two_places_is_refused_wherever_they_are() -> None:
    text = (
        f'ignored_prices = ["price_c"]\n{FREE}'
        '[tiers.PRO]\ndaily_credits = 20\nprices = ["price_a"]\n'
        '[tiers.MAX]\ndaily_credits = 30\nprices = ["price_a"]\n'
        '[packs.P]\ncredits = 30\nprices = ["price_a", "price_c"]\n'
    )
    found = problems_of(text)
    assert len(found) == 3
    assert "tiers.MAX.prices holds 'price_a' again; it stands in tiers.PRO.prices" in found[0]
    assert "packs.P.prices holds 'price_a' again" in found[1]
    assert "ignored_prices holds 'price_c' again; it stands in packs.P.prices" in found[2]


def test_all_problems_are_told_at_once() -> None:
    text = "tier = 1\n[tiers.PRO]\ndaily_credits = -1\n[packs.P]\nexpires_days = 0\n"
    assert [problem.split(" ")[1] for problem in problems_of(text)] == [
        "tier",
        "tiers.PRO.daily_credits",
        "tiers.PRO.prices",
        "packs.P.expires_days",
        "packs.P.credits",
        "packs.P.prices",
        "tiers.FREE",
    ]


@pytest.mark.parametrize("text", ["tiers", "[tiers.FREE", "a = 1\na = 2", "x = " + "[" * 5_000])
def test_what_is_no_toml_is_refused_by_the_file_s_name(text: str) -> None:
    (problem,) = problems_of(text)
    assert problem.startswith("tiers.toml: no valid TOML (")


@pytest.mark.parametrize("text", ["tiers = 3", "[[tiers]]\nx = 1", "[tiers]\nFREE = 5"])
def test_tiers_must_be_tables(text: str) -> None:
    assert any("; write " in problem for problem in problems_of(text))


def test_the_error_is_one_of_ours_and_reads_as_lines() -> None:
    with pytest.raises(TallybookError) as caught:
        parse("tier = 1", "here.toml")
    assert len(caught.value.detail.splitlines()) == 2
    assert all(line.startswith("here.toml: ") for line in caught.value.detail.splitlines())


@given(st.text())
def test_any_text_is_a_catalogue_or_a_catalogue_error(text: str) -> None:
    with pytest.raises(CatalogueError):
        read(text)


def test_the_same_catalogue_has_no_difference() -> None:
    assert diff(read(default_text()), read(default_text())) == []


def test_a_difference_reads_as_lines() -> None:
    old = read(default_text())
    new = read(
        'ignored_prices = ["price_hours"]\n'
        '[tiers.GOLD]\ndaily_credits = 30\nprices = ["price_gold"]\n'
        '[tiers.PRO]\ndaily_credits = 25\nprices = ["price_pro_monthly"]\ntrial_grants = false\n'
        f"{FREE}"
        '[packs.P100]\ncredits = 100\nprices = ["price_pack_100"]\n'
    )
    assert diff(old, new) == [
        "tier PRO: daily_credits 20 → 25",
        "tier PRO: prices price_pro_monthly, price_pro_yearly → price_pro_monthly",
        "tier PRO: trial_grants true → false",
        "tier ENTERPRISE: removed",
        "tier GOLD: added (daily_credits 30, prices price_gold, past_due_grace_days 7, "
        "carry_over_max 0, trial_grants true, pause_collection keep)",
        "pack P100: expires_days 365 → never",
        "ignored_prices none → price_hours",
        "order of tiers: FREE, PRO → PRO, FREE",
    ]


def test_free_needs_no_prices() -> None:
    read = parse("[tiers.FREE]\ndaily_credits = 5\n", "tiers.toml")
    assert (read.free.prices, read.free.daily_credits) == ((), 5)
