"""A start that cannot be is refused with the remedy; a child that dies is started again."""

import asyncio
import io
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from rich.console import Console

from app.embedded.folder import DataFolder
from app.embedded.ports import LOOPBACK
from app.embedded.program import Guard, Program
from app.embedded.secrets import load_or_make
from app.embedded.start_error import StartError
from app.embedded.supervisor import Supervisor
from app.embedded.up import up


async def test_a_taken_port_is_named_with_its_holder_and_the_remedy(tmp_path: Path) -> None:
    printed = io.StringIO()
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        code = await up(port=port, data_dir=tmp_path, announce=Console(file=printed))
    assert code == 1
    assert f"Port {port} is taken by process {os.getpid()}" in printed.getvalue()
    assert "--port" in printed.getvalue()


def test_a_folder_in_use_is_refused_by_name_and_process(tmp_path: Path) -> None:
    with DataFolder(tmp_path), pytest.raises(StartError, match=f"process {os.getpid()}"):
        DataFolder(tmp_path).__enter__()


def test_a_start_removes_what_an_earlier_one_published(tmp_path: Path) -> None:
    (tmp_path / "dev.json").write_text("{}")
    with DataFolder(tmp_path):
        assert not (tmp_path / "dev.json").exists()


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    first = load_or_make(path)
    assert load_or_make(path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert first.stripe_webhook_secret.startswith("whsec_")


def test_unreadable_secrets_are_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text("[half")
    with pytest.raises(StartError, match=r"secrets\.json"):
        load_or_make(path)
    assert path.read_text() == "[half"


async def test_a_child_that_dies_is_started_again_with_a_sentence(tmp_path: Path) -> None:
    said: list[str] = []
    with Guard(str(tmp_path)) as watcher:
        supervisor = Supervisor(tmp_path, watcher, said.append)
        command = (sys.executable, "-c", "import time; time.sleep(99)")
        await supervisor.start(Program(name="worker", argv=command, environment=os.environ))
        first = supervisor.pid("worker")
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(10):
            while supervisor.pid("worker") == first:
                await asyncio.sleep(0.05)
        await supervisor.stop()
    assert "The worker ended unasked (SIGKILL) and starts again" in said[0]
    assert str(tmp_path / "worker.log") in said[0]
