"""Write the client's plain half from its asynchronous one: `python -m ops.client_sync`."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent / "client" / "src" / "tallybook_client"
SOURCE = FOLDER / "_asynchronous.py"
FILE = FOLDER / "_synchronous.py"
NAMES = {
    "async def": "def",
    "async with": "with",
    "async for": "for",
    "await ": "",
    "async_sleep": "sleep",
    "AsyncIterator": "Iterator",
    "AsyncBaseTransport": "BaseTransport",
    "AsyncClient": "Client",
    "AsyncHeld": "Held",
    "AsyncBeat": "Beat",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "aclose": "close",
}
_WORDS = re.compile("|".join(rf"\b{re.escape(name)}" for name in NAMES))


def written() -> str:
    """Make the text of the plain half, before it is formatted."""
    return _WORDS.sub(lambda found: NAMES[found[0]], SOURCE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    FILE.write_text(written(), encoding="utf-8")
