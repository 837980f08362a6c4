"""Write the OpenAPI description into ops/openapi.json, where a change of contract shows."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

from app.web.http.openapi import describe
from app.web.routes import CLOCK_ROUTES, ROUTES

FILE: Final = Path(__file__).with_name("openapi.json")
REMEDY: Final = "Run: python -m ops.openapi"


def written() -> str:
    """The description as it is to stand there, the development clock's routes with it."""
    described = describe([*ROUTES, *CLOCK_ROUTES], version("tallybook"))
    return f"{json.dumps(described, indent=1, ensure_ascii=False)}\n"


def main() -> None:
    """Write the file; with --check only say whether it is true."""
    if "--check" in sys.argv[1:]:
        sys.exit(None if FILE.read_text(encoding="utf-8") == written() else REMEDY)
    FILE.write_text(written(), encoding="utf-8")


if __name__ == "__main__":
    main()
