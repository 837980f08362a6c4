"""The words that start this program again; printed commands begin with them."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def own_name() -> str:
    """`tallybook` where the shell finds this one by it, else the way from the current folder."""
    started = Path(sys.argv[0])
    if started.name != "tallybook" or not started.is_file():
        return "tallybook"
    found = shutil.which("tallybook")
    if found is not None and Path(found).samefile(started):
        return "tallybook"
    return shlex.quote(os.path.relpath(started))


def of_folder(data_dir: Path, default: Path) -> str:
    """The option that names this data folder, where a command would not find it by itself."""
    relative = os.path.relpath(data_dir)
    return "" if Path(relative) == default else f" --data-dir {shlex.quote(relative)}"
