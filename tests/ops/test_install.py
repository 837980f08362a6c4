"""The installation takes what the lock names, whatever newer releases an index offers."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _wheel(folder: Path, name: str, version: str, *requires: str) -> str:
    """Put a wheel of one empty module into the folder; its line of a lock file."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    metadata = [f"Name: {name}", f"Version: {version}", "Provides-Extra: email"]
    metadata += [f"Requires-Dist: {one}" for one in requires]
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\n" + "\n".join(metadata) + "\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{name}=={version} --hash=sha256:{digest}\n"


def test_a_newer_release_in_the_index_changes_nothing(tmp_path: Path) -> None:
    """An extra is resolved anew where pip resolves: then the newer release has no hash."""
    folder = tmp_path / "a folder with spaces"
    index = folder / "index"
    index.mkdir(parents=True)
    lock = _wheel(index, "piccolino", "1.0", "pydantino[email]==2.*")
    lock += _wheel(index, "pydantino", "2.3")
    _wheel(index, "pydantino", "2.4")
    (folder / "requirements.txt").write_text(lock, encoding="utf-8")
    (folder / "Makefile").write_text(
        f"include {ROOT}/Makefile\nlocked:\n\t@$(install_locked)\n", encoding="utf-8"
    )
    subprocess.run([sys.executable, "-m", "venv", ".venv"], cwd=folder, check=True)
    made = subprocess.run(
        ["make", "--no-print-directory", "locked"],
        cwd=folder,
        env={**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "index"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    listed = subprocess.run(
        [".venv/bin/python", "-m", "pip", "list", "--format=freeze"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert {"piccolino==1.0", "pydantino==2.3"} <= set(listed.stdout.split())
