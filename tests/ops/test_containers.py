"""The container, the compose file and the systemd units run least, and know only real settings."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from configparser import RawConfigParser
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import redis
import typer.main
import yaml

from app.cli import app as cli
from app.embedded.ports import free_port
from app.embedded.postgres import find_binaries
from app.embedded.redis import find_server
from app.infrastructure import settings
from tests.conftest import Server

ROOT = Path(__file__).parents[2]
OPS = ROOT / "ops"
COMPOSE: dict[str, Any] = yaml.safe_load((OPS / "compose.yaml").read_text(encoding="utf-8"))
OURS = {
    name: service
    for name, service in COMPOSE["services"].items()
    if service["image"] == "tallybook"
}
SECRETS_NAMES = {"stripe_webhook_secret", "stripe_api_key"}
UNITS = sorted((OPS / "systemd").glob("*.service"))
COMMANDS = set(typer.main.get_command(cli).commands)  # type: ignore[attr-defined]


def test_the_image_is_built_by_hashes_and_runs_as_nobody() -> None:
    text = (OPS / "Containerfile").read_text(encoding="utf-8")
    (download,) = re.findall(r"pip download ((?:.*\\\n)*.*)", text)
    assert {"--require-hashes", "--only-binary", ":all:"} <= set(download.split())
    installs = re.findall(r"pip (?:--python \S+ )?install ([^&\n]+)", text)
    assert installs
    assert all("--no-index" in line for line in installs), "what is installed was checked before"
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${PYTHON_IMAGE}"] * 2
    assert re.findall(r"^ARG PYTHON_IMAGE=(\S+)", text, re.MULTILINE) == ["python:3.11-slim"]
    last = text.rpartition("FROM ")[2]
    assert int(re.findall(r"^USER (\d+):\d+$", last, re.MULTILINE)[0]) > 0
    assert last.index("USER ") > last.index("RUN "), "nothing is run as root after it"
    assert "HEALTHCHECK" in last
    assert "/health/live" in last


def test_what_the_image_needs_is_sent_to_its_build_and_nothing_else() -> None:
    sent = (OPS / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (OPS / "Containerfile").read_text(), re.M)
    wanted = {name for line in copied for name in line.split()}
    assert sent[0] == "*"
    assert {line[1:] for line in sent if line.startswith("!")} == wanted
    assert all((ROOT / name).exists() for name in wanted)


def test_the_compose_file_has_every_part_and_each_starts_after_what_it_needs() -> None:
    services = COMPOSE["services"]
    assert {"postgres", "redis", "migrate", "server-1", "server-2", "worker", "proxy"} <= set(
        services
    )
    ports = {name: one["ports"] for name, one in services.items() if "ports" in one}
    assert ports == {"prometheus": ["127.0.0.1:9090:9090"], "proxy": ["80:80", "443:443"]}
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("server-1", "server-2", "worker"):
        waits = services[name]["depends_on"]["migrate"]["condition"]
        assert waits == "service_completed_successfully"
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert services["postgres"]["networks"] == services["redis"]["networks"] == ["inside"]


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_every_container_is_confined(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] <= 400
    assert service["mem_limit"]
    gained = set(service.get("cap_add", []))
    needed = {
        "postgres": {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"},
        "proxy": {"NET_BIND_SERVICE"},
    }
    assert gained == needed.get(name, set())


def test_an_image_of_others_can_be_held_to_a_digest(folder: Path) -> None:
    theirs = {
        one["image"] for one in COMPOSE["services"].values() if one["image"] != "tallybook"
    } | {COMPOSE["x-tallybook"]["build"]["args"]["PYTHON_IMAGE"]}
    named = dict(re.findall(r"\$\{([A-Z_]+):-([^}]+)\}", " ".join(theirs)))
    assert set(named) == {
        *("POSTGRES_IMAGE", "REDIS_IMAGE", "CADDY_IMAGE", "PROMETHEUS_IMAGE"),
        "PYTHON_IMAGE",
    }
    # A docker that knows one digest for each image.
    docker = folder / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(
        """#!/bin/sh
        [ "$1" = pull ] && exit 0
        for image; do :; done
        echo "${image%%:*}@sha256:of-$image"
        """
    )
    docker.chmod(0o755)
    shutil.copy(OPS / "pin_images.sh", folder)
    (folder / ".env").write_text("TALLYBOOK_HOST=credits.example\nREDIS_IMAGE=redis:8@sha256:old\n")
    path = {"PATH": f"{docker.parent}:/usr/bin:/bin"}
    subprocess.run(["sh", folder / "pin_images.sh"], env=path, check=True, capture_output=True)
    written = dict(line.split("=", 1) for line in (folder / ".env").read_text().splitlines())
    assert written.pop("TALLYBOOK_HOST") == "credits.example"
    assert written == {name: f"{tag}@sha256:of-{tag}" for name, tag in named.items()}


def test_rediss_password_is_in_no_command_line(folder: Path) -> None:
    """A flag can be read by every process of the machine."""
    server = find_server()
    assert server is not None
    (folder / "bin").mkdir()
    (folder / "bin" / "redis-server").symlink_to(server)
    secret = folder / "redis_password"
    secret.write_text("a-password-of-the-tests")
    shell, flag, script = COMPOSE["services"]["redis"]["entrypoint"]
    port = free_port()
    script = script.replace("$$", "$").replace("/run/secrets/redis_password", str(secret))
    script = script.replace('save ""', f'save ""\nport {port}')
    path = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin"}
    with subprocess.Popen(
        [shell, flag, script], env=path, cwd=folder, stdout=subprocess.DEVNULL
    ) as running:
        try:
            client = redis.Redis(port=port, password="a-password-of-the-tests")
            ends_at = time.monotonic() + 30
            while True:
                with suppress(redis.ConnectionError):
                    assert client.ping()
                    break
                assert time.monotonic() < ends_at
                time.sleep(0.05)
            shown = Path(f"/proc/{running.pid}/cmdline").read_bytes()
            assert b"redis-server" in shown
            assert b"a-password-of-the-tests" not in shown
            with pytest.raises(redis.AuthenticationError):
                redis.Redis(port=port).ping()
            client.close()
        finally:
            running.kill()


@pytest.mark.parametrize("name", OURS)
def test_a_container_of_ours_is_given_secrets_as_files(name: str) -> None:
    service = OURS[name]
    known = {*settings.NAMES, *(f"{each}_FILE" for each in settings.NAMES)}
    assert set(service["environment"]) <= known
    files = {k: v for k, v in service["environment"].items() if k.endswith("_FILE")}
    assert {v.removeprefix("/run/secrets/") for v in files.values()} == set(service["secrets"])
    assert set(service["secrets"]) <= set(COMPOSE["secrets"])
    if "command" in service:
        assert service["command"][0] in COMMANDS


def test_only_migrate_and_a_persons_commands_know_the_owner() -> None:
    knows = {name for name, one in OURS.items() if "database_owner_url" in one["secrets"]}
    assert knows == {"migrate", "operator"}
    assert OURS["operator"]["profiles"] == ["operator"], "it starts by `run` alone"


def test_prometheus_watches_each_server_and_the_alerts() -> None:
    service = COMPOSE["services"]["prometheus"]
    mounted = {one["source"]: one["target"] for one in service["configs"]}
    (config,) = [word for word in service["command"] if word.startswith("--config.file=")]
    assert config.partition("=")[2] == mounted["prometheus"]
    told = yaml.safe_load((OPS / "prometheus.yaml").read_text(encoding="utf-8"))
    folder = Path(mounted["prometheus"]).parent
    assert [str(folder / name) for name in told["rule_files"]] == [mounted["alerts"]]
    targets = told["scrape_configs"][0]["static_configs"][0]["targets"]
    servers = [name for name in COMPOSE["services"] if name.startswith("server-")]
    assert targets == [f"{name}:8000" for name in servers]
    for name in servers:
        assert set(COMPOSE["services"][name]["networks"]) & set(service["networks"]) == {"inside"}
    elsewhere = [name for name, one in COMPOSE["services"].items() if "watched" in one["networks"]]
    assert elsewhere == ["prometheus"]


async def test_the_roles_are_made_as_migrate_needs_them(
    folder: Path, superuser: asyncpg.Connection, server: Server
) -> None:
    """By the container's own script, under other names, on a real PostgreSQL."""
    name = f"made_{os.getpid()}"
    script = (OPS / "make_roles.sh").read_text(encoding="utf-8").replace("tallybook", name)
    for role in ("owner", "application", "auditor"):
        (folder / f"{role}_password").write_text(f"{role}-0123456789")
    (folder / "roles.sh").write_text(script.replace("/run/secrets", str(folder)))
    at = urlsplit(server.superuser_url)
    logins = {"PGHOST": at.hostname, "PGPORT": str(at.port), "PGPASSWORD": at.password,
              "PGDATABASE": "postgres", "PATH": f"{find_binaries()}:/usr/bin:/bin"}  # fmt: skip
    made = ("_auditor", "", "_app", "_read", "_clock", "_owner")
    try:
        subprocess.run(
            ["sh", folder / "roles.sh"], check=True, capture_output=True,
            env={key: str(value) for key, value in logins.items()},
        )  # fmt: skip
        place = {"host": at.hostname, "port": at.port, "database": name}
        owner = await asyncpg.connect(**place, user=f"{name}_owner", password="owner-0123456789")
        await owner.execute("CREATE TABLE told AS SELECT 7 AS number")
        await owner.execute(f"GRANT SELECT ON told TO {name}_read")
        await owner.execute(f"GRANT {name}_read TO {name}_auditor")
        await owner.close()
        auditor = await asyncpg.connect(
            **place, user=f"{name}_auditor", password="auditor-0123456789"
        )
        assert await auditor.fetchval("SELECT number FROM told") == 7
        for words in ("DELETE FROM told", "CREATE TABLE mine (n int)", f"SET ROLE {name}_app"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await auditor.execute(words)
        await auditor.close()
    finally:
        await superuser.execute(f"DROP DATABASE IF EXISTS {name}")
        for role in made:
            await superuser.execute(f"DROP ROLE IF EXISTS {name}{role}")


def test_the_auditors_psql_has_its_password_in_no_command_line(folder: Path) -> None:
    service = COMPOSE["services"]["auditor"]
    assert service["profiles"] == ["auditor"], "it starts by `run` alone"
    shell, flag, line, name = service["entrypoint"]
    (folder / "auditor_password").write_text("a-password-of-the-tests")
    (folder / "psql").write_text('#!/bin/sh\nprintf "%s\\n" "$PGUSER" "$PGPASSWORD" "$@"\n')
    (folder / "psql").chmod(0o755)
    line = line.replace("$$", "$").replace("/run/secrets", str(folder))
    done = subprocess.run(
        [shell, flag, line, name, "-c", "SELECT 1"],
        env={**service["environment"], "PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        *("tallybook_auditor", "a-password-of-the-tests"),
        *("-c", "SELECT 1"),
    ]
    made = (OPS / "make_roles.sh").read_text(encoding="utf-8")
    assert f"CREATE ROLE {service['environment']['PGUSER']} LOGIN" in made
    urls = {one["environment"].get("DATABASE_READ_URL_FILE") for one in OURS.values()}
    assert urls == {None, "/run/secrets/database_read_url"}
    assert "DATABASE_READ_URL_FILE" in OURS["migrate"]["environment"], "migrate lets it read"


def test_the_proxy_passes_the_api_and_keeps_the_figures_inside() -> None:
    text = (OPS / "Caddyfile").read_text(encoding="utf-8")
    (hidden,) = re.findall(r"@inside path (.+)", text)
    assert "/metrics" in hidden.split()
    upstreams = re.findall(r"reverse_proxy (.+) \{", text)[0].split()
    servers = [name for name in COMPOSE["services"] if name.startswith("server-")]
    assert upstreams == [f"{name}:8000" for name in servers]
    if caddy := shutil.which("caddy"):
        words = [caddy, "validate", "--adapter", "caddyfile", "--config", str(OPS / "Caddyfile")]
        subprocess.run(words, check=True, capture_output=True)


def test_the_secrets_that_are_made_are_good_ones_and_are_kept(folder: Path) -> None:
    script = folder / "make_secrets.sh"
    shutil.copy(OPS / "make_secrets.sh", script)
    stripe = "whsec_0123456789abcdef\nsk_test_0123456789abcdef\n"
    subprocess.run(["sh", script], input=stripe, text=True, check=True, capture_output=True)
    made = {path.name: path.read_text() for path in (folder / "secrets").iterdir()}
    assert set(made) == set(COMPOSE["secrets"])
    subprocess.run(["sh", script], input="", text=True, check=True, capture_output=True)
    again = {path.name: path.read_text() for path in (folder / "secrets").iterdir()}
    assert again == made
    names = {
        name: str(folder / "secrets" / path.removeprefix("/run/secrets/"))
        for name, path in OURS["server-1"]["environment"].items()
        if name.endswith("_FILE")
    }
    loaded = settings.load(names)
    assert loaded.environment == "production"
    assert made["application_password"] in loaded.database_url
    assert made["auditor_password"] in made["database_read_url"]
    random = [text for name, text in made.items() if name not in SECRETS_NAMES]
    assert len(set(random)) == len(random)
    assert (folder / "secrets").stat().st_mode & 0o077 == 0


def unit(path: Path) -> dict[str, dict[str, list[str]]]:
    """Section → option → its values, in order: options may stand several times."""
    found: dict[str, dict[str, list[str]]] = {}
    section = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
            found[section] = {}
        elif "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found[section].setdefault(name, []).append(value)
    return found


HARDENED = {
    "DynamicUser": "yes",
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "CapabilityBoundingSet": "",
    "RestrictNamespaces": "yes",
    "LockPersonality": "yes",
}


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_is_hardened_and_knows_only_real_settings_and_commands(path: Path) -> None:
    service = unit(path)["Service"]
    for name, value in HARDENED.items():
        assert service[name] == [value], name
    (start,) = service["ExecStart"]
    assert start.split()[0] == "/opt/tallybook/bin/tallybook"
    assert start.split()[1] in COMMANDS
    loaded = {line.partition(":")[0] for line in service["LoadCredential"]}
    pairs = [pair.partition("=") for line in service["Environment"] for pair in line.split()]
    assert {value.removeprefix("%d/") for _, _, value in pairs} == loaded
    assert {name.removesuffix("_FILE") for name, _, _ in pairs} <= set(settings.NAMES)
    owner = "database_owner_url" in loaded
    assert owner == (path.stem == "tallybook-migrate"), "nobody else knows the schema's owner"


def test_the_units_are_those_that_are_wanted_and_systemd_reads_them(folder: Path) -> None:
    names = {path.name for path in (OPS / "systemd").iterdir()}
    assert names == {
        "tallybook-server.service",
        "tallybook-worker.service",
        "tallybook-migrate.service",
        "tallybook-verify.service",
        "tallybook-verify.timer",
    }
    timer = unit(OPS / "systemd" / "tallybook-verify.timer")
    assert timer["Timer"]["Persistent"] == ["true"]
    if analyze := shutil.which("systemd-analyze"):
        for path in (OPS / "systemd").iterdir():
            text = path.read_text().replace("/opt/tallybook/bin/tallybook", "/bin/true")
            (folder / path.name).write_text(text)
        words = [analyze, "verify", *map(str, sorted(folder.iterdir()))]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_example_of_the_environment_names_real_settings_and_no_secret() -> None:
    reader = RawConfigParser(delimiters=("=",))
    reader.optionxform = str  # type: ignore[assignment,method-assign]
    reader.read_string("[env]\n" + (OPS / "env.example").read_text(encoding="utf-8"))
    named = dict(reader["env"])
    assert set(named) <= set(settings.NAMES)
    secret = {name for name in named if re.search(r"SECRET|KEY|URL", name)}
    assert secret == set()


def test_the_compose_file_passes_every_setting() -> None:
    """But for those of other services and of development."""
    elsewhere = {"DATABASE_OWNER_URL", "DATABASE_READ_URL", "TALLYBOOK_ENV", "TALLYBOOK_CLOCK"}
    elsewhere.add("DATABASE_REPLICA_URL")  # compose has one PostgreSQL
    passed = {name.removesuffix("_FILE") for name in COMPOSE["x-environment"]}
    assert set(settings.NAMES) - passed == elsewhere
