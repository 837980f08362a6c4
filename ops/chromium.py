"""The Chromium of this machine, if there is one; nothing is downloaded."""

from __future__ import annotations

import os
import shutil
from typing import Final

# TALLYBOOK_BROWSER=required: its absence is a failure, as in `.ci/run`.
VARIABLE: Final = "TALLYBOOK_BROWSER"
NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ABSENT: Final = (
    f"no Chromium on the path (looked for {', '.join(NAMES)}): pages are not tried in a browser"
)


def path() -> str | None:
    """The program's path, None without one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def required() -> bool:
    """Whether tests must fail without one."""
    return os.environ.get(VARIABLE) == "required"
