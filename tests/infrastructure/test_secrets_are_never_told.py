"""A whole run, its refusals and its faults included, writes no secret and names nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from app.embedded.ports import free_port
from app.webhooks.signature import sign
from tests.conftest import NOW, Server
from tests.processes import family, kill
from tests.stripe_events import make_subscription_event

SECRETS = {
    "STRIPE_WEBHOOK_SECRET": "whsec_planted_in_the_webhook",
    "CRON_SECRET": "planted-in-the-cron-secret",
    "TALLYBOOK_KEY_PEPPER": "planted-in-the-pepper-000",
}
ROTATED = "whsec_planted_while_rolling"
PERSON = "jane.doe@example.com"
SECONDS_MAX = 60.0
TALLYBOOK = str(Path(sys.executable).with_name("tallybook"))


class Run:
    """One production environment: its commands, its server, and all that they wrote."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.log = folder / "log"
        self.owner_url = server.owner_url
        self.said = ""
        self.keys: list[str] = []
        self.port = free_port()
        self.environment = {
            **{k: os.environ[k] for k in ("PATH", "HOME", "PYTHONPATH") if k in os.environ},
            "DATABASE_URL": server.application_url,
            **SECRETS,
            "STRIPE_WEBHOOK_SECRET": f"{SECRETS['STRIPE_WEBHOOK_SECRET']},{ROTATED}",
            "TALLYBOOK_LOG_LEVEL": "DEBUG",
            "NO_COLOR": "1",
        }

    def command(self, *words: str, **changed: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; what it wrote is kept."""
        done = subprocess.run(
            [TALLYBOOK, *words],
            env=self.environment | changed,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
        self.said += done.stderr
        return done

    def key(self, scope: str) -> str:
        """A new key; the one place where it may be read is the command's own output."""
        owner = {"DATABASE_OWNER_URL": self.owner_url}
        done = self.command("keys", "create", scope, "--scope", scope, **owner)
        assert done.returncode == 0, done.stderr
        self.said += done.stdout.replace(done.stdout.strip(), "")
        self.keys.append(done.stdout.strip())
        return self.keys[-1]

    @contextmanager
    def serving(self) -> Iterator[httpx.Client]:
        with self.log.open("wb") as said:
            process = subprocess.Popen(
                [TALLYBOOK, "serve", "--port", str(self.port)],
                env=self.environment,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        base = f"http://127.0.0.1:{self.port}"
        try:
            with httpx.Client(base_url=base, timeout=30) as client:
                ends_at = time.monotonic() + SECONDS_MAX
                while True:
                    try:
                        client.get("/health/live")
                        break
                    except httpx.TransportError:
                        assert time.monotonic() < ends_at, self.log.read_text()
                        time.sleep(0.1)
                yield client
            process.terminate()
            process.wait(SECONDS_MAX)
        finally:
            kill(family(process.pid))
            process.wait()


def deliver(client: httpx.Client, secret: str, event: dict[str, Any]) -> int:
    payload = json.dumps(event).encode()
    signature = sign(payload, secret, int(time.time()))
    headers = {"Stripe-Signature": signature, "Content-Type": "application/json"}
    return client.post("/api/webhooks/stripe", content=payload, headers=headers).status_code


def use(run: Run, client: httpx.Client) -> list[str]:
    """What customers, strangers and operators do in a day; what was answered to them."""
    service, operator = run.key("service"), run.key("operator")
    one = f"/api/v1/accounts/{PERSON}"
    by_key = {"Authorization": f"Bearer {service}", "X-Request-Id": "trace-1"}
    by_operator = {"Authorization": f"Bearer {operator}", "Idempotency-Key": "k1"}
    spoilt = {"Authorization": f"Bearer {service[:-1]}"}
    event = make_subscription_event("evt_1", "created", NOW)
    why = {"reason": f"{PERSON} wrote in", "amount": 3}
    assert deliver(client, SECRETS["STRIPE_WEBHOOK_SECRET"], event) == 200
    assert deliver(client, ROTATED, event) == 200
    assert deliver(client, "whsec_of_a_stranger", event) == 400
    cron = {"Authorization": f"Bearer {SECRETS['CRON_SECRET']}"}
    answers = [
        client.put(one, json={"stripe_customer_id": "cus_1"}, headers=by_key),
        client.post(
            f"{one}/spends",
            json={"amount": 1, "reason": PERSON, "metadata": {"who": PERSON}},
            headers={**by_key, "Idempotency-Key": "k0"},
        ),
        client.get("/api/cron/reset-credits", headers=cron),
        client.post(f"{one}/grants", json=why, headers=by_operator),
        client.post(f"{one}/close", json={"reason": PERSON}, headers=by_operator),
        client.get("/metrics"),
        client.get("/schema/openapi.json"),
    ]
    assert {answer.status_code for answer in answers} <= {200, 201, 202}
    assert answers[0].headers["x-request-id"] == "trace-1"
    refusals = [
        client.get(one, headers=spoilt),
        client.get(f"{one}?secret={SECRETS['CRON_SECRET']}", headers=by_key),
        client.get("/api/cron/reset-credits", headers={"Authorization": "Bearer wrong"}),
        client.put(one, json={"time_zone": PERSON}, headers=by_key),
        client.post(f"{one}/spends", content=b"{", headers=by_key),
    ]
    assert {answer.status_code for answer in refusals} <= {400, 401, 422}
    return [answer.text for answer in answers + refusals]


@pytest.mark.timeout(240)
def test_no_secret_and_no_person_is_found_in_what_a_run_writes(
    server: Server, folder: Path
) -> None:
    run = Run(server, folder)
    with run.serving() as client:
        answers = use(run, client)
        run.command("keys", "revoke", run.keys[0].split("_")[1], "--reason", PERSON)
    for words in (("keys", "list"), ("tiers", "show"), ("ledger", "verify"), ("doctor",)):
        run.said += run.command(*words).stdout
    away = server.application_url.replace(f":{urlsplit(server.application_url).port}/", ":1/")
    assert run.command("serve", "--port", str(free_port()), CRON_SECRET="planted").returncode
    assert run.command("keys", "list", DATABASE_URL=away).returncode
    log = run.log.read_text()
    password = urlsplit(server.application_url).password
    assert password
    planted = [
        *SECRETS.values(),
        ROTATED,
        password,
        *run.keys,
        *(key.split("_")[2] for key in run.keys),
    ]
    for secret in planted:
        assert secret not in log
        assert secret not in run.said
        assert not [answer for answer in answers if secret in answer and "secret" not in answer]
    assert "jane" not in log.lower()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    told = {line["event"] for line in lines}
    assert told >= {"request", "webhook", "transition", "operator_act"}
    requests = [line for line in lines if line["event"] == "request"]
    assert all(line["request_id"] and line["route"] for line in requests)
    (grant,) = (line for line in requests if line["route"].endswith("/grants"))
    assert grant["journal_id"].startswith("jrn_")
    assert {line["request_id"] for line in lines if line["event"] == "operator_act"} <= {
        line["request_id"] for line in requests
    }
