"""The description yields a TypeScript client that compiles, and refuses wrong calls."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ops/typescript/README.md").read_text(encoding="utf-8")
INSTALL_S_MAX = 120


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S_MAX, check=False
    )


def example() -> str:
    (lines,) = re.findall(r"^```ts\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return (
        f"declare const BASE: string, KEY: string;\n{lines}export const left = data?.available;\n"
    )


def compiled(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    (folder / "example.ts").write_text(source, encoding="utf-8")
    options = ["--strict", "--noEmit", "--target", "es2022", "--module", "esnext"]
    options += ["--moduleResolution", "bundler", "--lib", "es2022,dom,dom.iterable"]
    return run(folder, "npx", "--no-install", "tsc", *options, "example.ts")


def test_the_example_compiles_and_a_wrong_call_does_not(tmp_path: Path) -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed: no TypeScript is compiled")
    shutil.copy(ROOT / "ops/typescript/package.json", tmp_path)
    try:
        installed = run(tmp_path, "npm", "install", "--no-audit", "--no-fund", "--prefer-offline")
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install within {INSTALL_S_MAX} s: no TypeScript is compiled")
    if installed.returncode != 0:
        pytest.skip(f"npm could not install: {installed.stderr.strip()[:200]}")
    description = str(ROOT / "ops/openapi.json")
    made = run(
        tmp_path, "npx", "--no-install", "openapi-typescript", description, "-o", "tallybook.d.ts"
    )
    assert made.returncode == 0, made.stderr
    good = compiled(tmp_path, example())
    assert good.returncode == 0, good.stdout
    for right, wrong in [
        ("{ amount: 3 }", '{ amount: "3" }'),
        (', header: { "Idempotency-Key": "render-9871" }', ""),
        ("data?.available", "data?.availabel"),
    ]:
        assert right in example()
        assert compiled(tmp_path, example().replace(right, wrong)).returncode != 0, wrong
