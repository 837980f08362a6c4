"""The embedded PostgreSQL keeps its data, whatever happened to it before."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from app.embedded.ports import free_port
from app.embedded.postgres import EmbeddedPostgres, Passwords
from app.embedded.program import Guard
from app.embedded.start_error import StartError
from app.embedded.unprivileged import Identity

READY_S_MAX = 20.0


def running(folder: Path, watcher: Guard, passwords: Passwords) -> EmbeddedPostgres:
    postgres = EmbeddedPostgres(folder, free_port(), passwords, {"fsync": "off"})
    postgres.start(watcher)
    postgres.ready(READY_S_MAX)
    return postgres


async def ask(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_a_second_start_finds_the_data(
    tmp_path: Path, watcher: Guard, passwords: Passwords
) -> None:
    first = running(tmp_path, watcher, passwords)
    await ask(first.owner_url, "CREATE TABLE kept AS SELECT 7 AS number")
    first.stop()
    second = running(tmp_path, watcher, passwords)
    assert await ask(second.owner_url, "SELECT number FROM kept") == 7
    second.stop()


async def test_what_sigkill_leaves_does_not_stop_the_next_start(
    tmp_path: Path, watcher: Guard, passwords: Passwords
) -> None:
    first = running(tmp_path, watcher, passwords)
    await ask(first.owner_url, "CREATE TABLE kept AS SELECT 7 AS number")
    first.kill()
    assert (tmp_path / "postgres" / "postmaster.pid").exists()
    second = running(tmp_path, watcher, passwords)
    assert await ask(second.owner_url, "SELECT number FROM kept") == 7
    second.stop()


def test_a_stale_pid_that_now_belongs_to_another_harms_neither(
    tmp_path: Path, watcher: Guard, passwords: Passwords
) -> None:
    first = running(tmp_path, watcher, passwords)
    stale = (tmp_path / "postgres" / "postmaster.pid").read_text().splitlines()
    first.stop()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        lines = [str(other.pid), *stale[1:]]
        (tmp_path / "postgres" / "postmaster.pid").write_text("\n".join(lines) + "\n")
        running(tmp_path, watcher, passwords).stop()
        assert other.poll() is None
        other.kill()


async def test_the_application_role_may_log_in_and_nothing_else(
    tmp_path: Path, watcher: Guard, passwords: Passwords
) -> None:
    postgres = running(tmp_path, watcher, passwords)
    may = (
        "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls "
        "FROM pg_roles WHERE rolname = current_user"
    )
    assert await ask(postgres.application_url, may) is False
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ask(postgres.application_url, "CREATE TABLE own (number int)")
    postgres.stop()


async def test_a_wrong_password_is_refused_and_new_secrets_are_taken_up(
    tmp_path: Path, watcher: Guard, passwords: Passwords
) -> None:
    first = running(tmp_path, watcher, passwords)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await ask(first.application_url.replace(passwords.application, "wrong"), "SELECT 1")
    first.stop()
    second = running(tmp_path, watcher, replace(passwords, application="new" * 7))
    assert await ask(second.application_url, "SELECT 1") == 1
    second.stop()


def test_a_folder_that_the_other_user_may_not_enter_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    data_dir = closed / "data"
    data_dir.mkdir(parents=True)
    closed.chmod(0o700)
    tmp_path.chmod(0o755)
    with pytest.raises(StartError, match=r"may not enter .*") as refused:
        Identity(user_id=65_533, user_name="nobody").enter(
            data_dir, data_dir / "postgres", Path(sys.executable)
        )
    assert "chmod o+x" in str(refused.value)


def stopped(folder: Path, watcher: Guard, passwords: Passwords) -> EmbeddedPostgres:
    postgres = running(folder, watcher, passwords)
    postgres.stop()
    return postgres


def test_a_folder_of_another_postgresql_is_named_with_both_versions_and_left_alone(
    tmp_path: Path, watcher: Guard, passwords: Passwords
) -> None:
    postgres = stopped(tmp_path, watcher, passwords)
    version = tmp_path / "postgres" / "PG_VERSION"
    ours = version.read_text().strip()
    version.write_text("12\n")
    with pytest.raises(StartError, match=f"is of PostgreSQL 12, .* carries {ours}") as refused:
        postgres.make()
    assert "--data-dir FOLDER" in str(refused.value)
    version.write_text(f"{ours}\n")
    running(tmp_path, watcher, passwords).stop()


@pytest.mark.parametrize("holds", ["notes.txt", "PG_VERSION"])
def test_a_folder_that_is_no_clusters_is_named_and_left_alone(
    tmp_path: Path, passwords: Passwords, holds: str
) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / holds).write_text("18\n")
    with pytest.raises(StartError, match=r"is no data folder of PostgreSQL .*--data-dir"):
        EmbeddedPostgres(tmp_path, free_port(), passwords).make()
    assert [path.name for path in (tmp_path / "postgres").iterdir()] == [holds]


def test_a_folder_that_is_a_file_is_named(tmp_path: Path, passwords: Passwords) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StartError, match=r"data: .*--data-dir FOLDER"):
        EmbeddedPostgres(tmp_path / "data", free_port(), passwords).make()


def test_a_server_that_cannot_start_tells_its_log(
    tmp_path: Path, watcher: Guard, passwords: Passwords
) -> None:
    broken = EmbeddedPostgres(tmp_path, free_port(), passwords, {"no_such_setting": "1"})
    broken.start(watcher)
    with pytest.raises(StartError, match="no_such_setting"):
        broken.ready(READY_S_MAX)
