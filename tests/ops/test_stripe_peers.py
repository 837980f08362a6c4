"""`make stripe-peers` at the peer that is always there: our own pretend Stripe."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

pytestmark = pytest.mark.timeout(120)


async def test_every_act_of_the_sdk_ends_as_it_must() -> None:
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "ops.stripe_peers"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("✓") == 8
    assert "reconcile" not in ended.stdout
