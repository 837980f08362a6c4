"""Settings: one that is missing or weak stops the start with a sentence that never shows it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.infrastructure import settings

GOOD = {
    "DATABASE_URL": "postgresql://app:hunter22hunter@127.0.0.1/book",
    "STRIPE_WEBHOOK_SECRET": "whsec_0123456789abcdef",
    "CRON_SECRET": "cron-0123456789abcdef",
    "TALLYBOOK_KEY_PEPPER": "pepper-0123456789abcdef",
}
SECRETS = ("STRIPE_WEBHOOK_SECRET", "CRON_SECRET", "TALLYBOOK_KEY_PEPPER")


def refusal(environment: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as refused:
        settings.load(environment)
    return refused.value.detail


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in GOOD.items() if key != name}


def test_these_are_enough() -> None:
    loaded = settings.load(GOOD)
    assert loaded.environment == "production"
    assert loaded.stripe_webhook_secrets == ("whsec_0123456789abcdef",)
    assert not loaded.livemode
    assert not loaded.clock_settable


@pytest.mark.parametrize("name", ["DATABASE_URL", "STRIPE_WEBHOOK_SECRET", "TALLYBOOK_KEY_PEPPER"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_setting_is_named_with_what_it_wants(name: str, value: str | None) -> None:
    environment = without(name) | ({} if value is None else {name: value})
    told = refusal(environment)
    assert f"{name} is missing" in told
    assert told.count("\n") == 1, "and nothing else is wrong"


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("weak", ["tiny-one", "changeme", "Secret", "whsec_test", "a" * 11])
def test_a_weak_secret_is_named_and_never_shown(name: str, weak: str) -> None:
    told = refusal(GOOD | {name: weak})
    assert name in told
    assert weak not in told.replace(name, "")


def test_all_that_is_wrong_is_told_at_once() -> None:
    told = refusal(
        {
            "CRON_SECRET": "tiny-one",
            "TALLYBOOK_LIVEMODE": "maybe",
            "TALLYBOOK_POOL_SIZE_MAX": "many",
            "TALLYBOOK_ENV": "staging",
        }
    )
    for name in (*GOOD, "TALLYBOOK_LIVEMODE", "TALLYBOOK_POOL_SIZE_MAX", "TALLYBOOK_ENV"):
        assert name in told


def test_one_weak_secret_among_those_rolling_is_refused() -> None:
    told = refusal(GOOD | {"STRIPE_WEBHOOK_SECRET": "whsec_0123456789abcdef,whsec_x"})
    assert "STRIPE_WEBHOOK_SECRET" in told
    assert "whsec_x" not in told


def test_secrets_may_roll_by_comma() -> None:
    loaded = settings.load(GOOD | {"STRIPE_WEBHOOK_SECRET": "whsec_first_one_, whsec_second_one"})
    assert loaded.stripe_webhook_secrets == ("whsec_first_one_", "whsec_second_one")


def test_the_cron_secret_may_be_left_out() -> None:
    assert settings.load(without("CRON_SECRET")).cron_secret is None


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_file_may_hold_the_value(name: str, tmp_path: Path) -> None:
    path = tmp_path / "value"
    path.write_text(f"{GOOD[name]}\n")
    assert settings.load(without(name) | {f"{name}_FILE": str(path)}) == settings.load(GOOD)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_value_and_file_at_once_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "value"
    path.write_text("another value of the file")
    told = refusal(GOOD | {f"{name}_FILE": str(path)})
    assert f"Both {name} and {name}_FILE are set" in told
    assert GOOD[name] not in told


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    told = refusal(without("CRON_SECRET") | {"CRON_SECRET_FILE": str(tmp_path / "gone")})
    assert "CRON_SECRET_FILE" in told
    assert str(tmp_path / "gone") in told


def test_a_file_that_is_not_text_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe\x00")
    assert "CRON_SECRET_FILE" in refusal(without("CRON_SECRET") | {"CRON_SECRET_FILE": str(path)})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"TALLYBOOK_CLOCK": "settable"}, "TALLYBOOK_CLOCK=settable needs TALLYBOOK_ENV"),
        (
            {
                "TALLYBOOK_CLOCK": "settable",
                "TALLYBOOK_ENV": "development",
                "TALLYBOOK_LIVEMODE": "true",
            },
            "exclude each other",
        ),
        ({"TALLYBOOK_POOL_SIZE_MAX": "0"}, "TALLYBOOK_POOL_SIZE_MAX"),
        ({"TALLYBOOK_POOL_SIZE_MAX": "-1"}, "TALLYBOOK_POOL_SIZE_MAX"),
        ({"TALLYBOOK_POOL_SIZE_MAX": "\u0661"}, "TALLYBOOK_POOL_SIZE_MAX"),
        ({"TALLYBOOK_GRANT_CHUNKS": "0"}, "TALLYBOOK_GRANT_CHUNKS"),
        ({"TALLYBOOK_GRANT_CHUNKS": "16"}, "TALLYBOOK_POOL_SIZE_MAX's connections"),
        ({"TALLYBOOK_LOG_LEVEL": "LOUD"}, "TALLYBOOK_LOG_LEVEL"),
        ({"TALLYBOOK_CLOCK": "setable", "TALLYBOOK_ENV": "development"}, "TALLYBOOK_CLOCK"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(changes: dict[str, str], told: str) -> None:
    assert told in refusal(GOOD | changes)


def test_settings_never_print_their_secrets() -> None:
    shown = repr(settings.load(GOOD)) + str(settings.load(GOOD))
    assert not any(value in shown for value in GOOD.values())


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("worker",)])
def test_a_start_is_refused_by_a_sentence_not_a_traceback(command: tuple[str, ...]) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        **GOOD,
        "TALLYBOOK_KEY_PEPPER": "tiny-one",
    }
    done = subprocess.run(
        [Path(sys.executable).with_name("tallybook"), *command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "TALLYBOOK_KEY_PEPPER is missing, too short" in said
    assert "Traceback" not in said
    assert "tiny-one" not in said
    assert "hunter22" not in said


@pytest.mark.parametrize(
    "text",
    [
        "shop.example",
        "https://shop.example/",
        "https://a@b",
        "ftp://x",
        "https://",
        "https://x:y",
        "https://a;b",
        "https://*",
    ],
)
def test_what_is_no_origin_stops_the_start(text: str) -> None:
    told = refusal(GOOD | {"TALLYBOOK_RETURN_ORIGINS": f"https://a.example,{text}"})
    assert "TALLYBOOK_RETURN_ORIGINS is not a list of origins" in told
    told = refusal(GOOD | {"TALLYBOOK_PAGE_ORIGINS": f"https://a.example,{text}"})
    assert "TALLYBOOK_PAGE_ORIGINS is not a list of origins" in told


def test_origins_are_compared_as_browsers_do() -> None:
    text = "https://Shop.example:443, http://127.0.0.1:3000"
    loaded = settings.load(GOOD | {"TALLYBOOK_RETURN_ORIGINS": text})
    assert loaded.return_origins == {"https://shop.example", "http://127.0.0.1:3000"}
    assert settings.load(GOOD).return_origins == frozenset()
