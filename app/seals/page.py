"""The evidence as one page that checks itself in a browser, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PAGE: Final = Path(__file__).with_name("page.html")


def page(file: bytes) -> bytes:
    """The page of an evidence file."""
    # No tag can begin in it: a reason of `</script>` stays text.
    told = file.decode().strip().replace("<", "\\u003c")
    return _PAGE.read_text("utf-8").replace("EVIDENCE", told, 1).encode()
