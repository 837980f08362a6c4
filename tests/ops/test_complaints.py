"""The commands of ops/complaints.md, run as they stand on a book, in their order."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.allowance.catalogue import default_text
from tests.acts import DAY, Acts, subscribe
from tests.conftest import NOW, Server
from tests.invariants import differences

PAGE = (Path(__file__).parents[2] / "ops" / "complaints.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
async def fay(api: Any) -> Acts:
    """Fay on PRO, who spent; the day after, by a run; and an event that waits for a price."""
    acts = Acts(api, "fay")
    await subscribe(acts, "PRO")
    await acts.done(await acts.spend(3, label="chat"))
    await api.set_clock(NOW + DAY)
    await acts.done(await acts.spend(2))
    return acts


async def test_every_command_works_as_it_stands(
    fay: Acts, server: Server, database: Any, tmp_path: Path
) -> None:
    (tmp_path / "tiers.toml").write_text(default_text(), encoding="utf-8")
    script = "set -eux\n" + "\n".join(BLOCKS)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "DATABASE_URL": server.application_url,
        "DATABASE_OWNER_URL": server.owner_url,
    }
    done = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-o", "pipefail", "-c", script],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    assert "3 credits were spent: 3 for chat." in done.stdout
    assert "1 grants of 5 credits" in done.stdout
    kinds = {kind: amount for kind, _, _, amount in await fay.entries(kind="return")}
    assert kinds == {"return": 1}
    lots = {lot["free"] for lot in (await fay.api.account("fay"))["lots"]}
    assert {10, 5} <= lots, "the two apologies"
    assert await differences(database) == []
