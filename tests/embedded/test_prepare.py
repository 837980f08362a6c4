"""A start prepares its book: the development keys are the folder's own secrets."""

from __future__ import annotations

from dataclasses import replace

from app.embedded.prepare import prepare
from app.embedded.secrets import Secrets
from app.infrastructure.db import Database
from app.operators.keys import Keyring, Scope
from tests.conftest import Server


def environment(server: Server) -> dict[str, str]:
    return {
        "DATABASE_URL": server.application_url,
        "DATABASE_OWNER_URL": server.owner_url,
        "TALLYBOOK_ENV": "development",
    }


async def test_the_development_keys_are_drawn_and_stand_in_the_folder(
    server: Server, database: Database
) -> None:
    """They were computed from the pepper: whoever had it was an operator."""
    secrets = Secrets()
    another = replace(Secrets(), key_pepper=secrets.key_pepper)
    made = await prepare(environment(server), tiers=None, clock=None, secrets=secrets, tell=print)
    assert made.operator == f"tb_devoperato_{secrets.operator_key}"
    assert len({made.service, made.auditor, made.operator}) == 3
    assert not {secrets.operator_key, secrets.service_key} & {
        another.operator_key,
        another.service_key,
    }
    key = await Keyring(database, secrets.key_pepper).check(made.operator)
    assert key.scopes == {Scope.OPERATOR}


async def test_making_them_is_an_operators_act_once(server: Server, database: Database) -> None:
    secrets = Secrets()
    for _ in range(2):
        await prepare(environment(server), tiers=None, clock=None, secrets=secrets, tell=print)
    acts = await database.fetch("SELECT * FROM operator_acts WHERE act = 'key_created' ORDER BY id")
    assert [row["subject"] for row in acts] == [
        "key devservice",
        "key devauditor",
        "key devoperato",
    ]
    assert {row["reason"] for row in acts} == {"a development key of `tallybook up`"}


async def test_another_folder_on_the_same_book_has_keys_of_its_own(
    server: Server, database: Database
) -> None:
    """The keys of the folder that was started last are good."""
    first = Secrets()
    second = replace(Secrets(), key_pepper=first.key_pepper)
    for secrets in (first, second):
        made = await prepare(
            environment(server), tiers=None, clock=None, secrets=secrets, tell=print
        )
        await Keyring(database, first.key_pepper).check(made.service)
