"""Drive LiteLLM with a fake provider against a real book: `make test-llm`."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import litellm
from tallybook_client import AsyncClient, InsufficientCreditsError
from tallybook_client.llm import GenaiPrices, Metered

CALLS = 1_000
BUDGET = 205  # 5 of the day and 200 granted
READY_S_MAX = 120
REQUEST = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "hello"}]}


async def drive(book: dict[str, Any]) -> None:
    """Make the calls, and check what they cost."""
    base, keys = book["base_url"], book["keys"]
    async with AsyncClient(base, keys["service"], timeout_s=60) as client:
        await client.put_account("team")
        granted = await asyncio.to_thread(
            httpx.post,
            f"{base}/api/v1/accounts/team/grants",
            json={"amount": BUDGET - 5, "reason": "budget"},
            headers={"Authorization": f"Bearer {keys['operator']}", "Idempotency-Key": "budget"},
        )
        assert granted.status_code == 201, granted.text
        prices = GenaiPrices(credits_per_usd=1_000)
        call = Metered(client, litellm.acompletion, prices, account_id="team", hold_credits=3)

        for mode in ("whole", "stream"):
            try:
                broken = {**REQUEST, "mock_response": ValueError("the provider is away")}
                if mode == "whole":
                    await call(**broken)
                else:
                    [chunk async for chunk in call.stream(**broken)]
            except InsufficientCreditsError:
                raise
            except Exception as error:  # LiteLLM wraps it in one of its own
                print(f"{mode}: failed as it should ({type(error).__name__})")
            else:
                raise AssertionError("the fake provider did not fail")
            assert (await client.account("team")).available == BUDGET

        chunks = [one async for one in call.stream(**REQUEST, member="ada", mock_response="a b c")]
        assert len(chunks) > 1
        left = (await client.account("team")).available
        assert left < BUDGET, "the stream is paid"

        tasks = [call(**REQUEST, mock_response="hello " * 20) for _ in range(CALLS)]
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        refused = sum(isinstance(one, InsufficientCreditsError) for one in ended)
        paid = [one for one in ended if not isinstance(one, BaseException)]
        others = {repr(one) for one in ended if isinstance(one, BaseException)}
        assert refused + len(paid) == CALLS, [one for one in others if "Insufficient" not in one][
            :3
        ]
        account = await client.account("team")
        assert (account.held, account.debt) == (0, 0)
        assert account.available >= 0
        cost = sum(
            prices.cost(
                REQUEST["model"], one.usage.prompt_tokens, one.usage.completion_tokens
            ).credits
            for one in paid
        )
        assert 0 < left - account.available <= cost
        print(
            f"{CALLS} calls: {len(paid)} paid {left - account.available} of {left},"
            f" {refused} were refused"
        )


def main() -> None:
    """Start a book, drive it, end it."""
    with tempfile.TemporaryDirectory() as folder:
        program = [sys.argv[1], "up", "--port", "0", "--data-dir", folder]
        book = subprocess.Popen(program, stdout=subprocess.DEVNULL)  # noqa: S603
        try:
            told = Path(folder) / "dev.json"
            until = time.monotonic() + READY_S_MAX
            while not told.exists():
                assert book.poll() is None, "the book did not start"
                assert time.monotonic() < until, "the book is not ready"
                time.sleep(0.2)
            asyncio.run(drive(json.loads(told.read_text(encoding="utf-8"))))
        finally:
            book.terminate()
            book.wait(timeout=60)


if __name__ == "__main__":
    main()
