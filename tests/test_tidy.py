"""The house rules that a tool can check: sizes, names, words, layers of the tree."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

from ops import openapi

ROOT = Path(__file__).parent.parent
# Alarms, not targets: nothing is split or squeezed to stay below them.
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
FORBIDDEN_NAMES = {"service", "manager", "helper", "helpers", "utils", "common"}
TOP_LEVEL = {
    "pyproject.toml",
    "app",
    "piccolo_migrations",
    "statemachine",
    "tests",
    "ops",
    "README.md",
    # what tools force beside them
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "requirements.txt",
}


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for name in listed.stdout.splitlines() if (path := ROOT / name).is_file()]


FILES = [path for path in _tracked() if path.suffix != ".webp"]  # the README's pictures
SOURCES = [path for path in FILES if path.suffix == ".py"]
OURS = [path for path in SOURCES if path.relative_to(ROOT).parts[0] in ("app", "statemachine")]
WRITERS = [*OURS, *(path for path in FILES if path.match("app/**/*.sql"))]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", OURS, ids=_name)
def test_a_module_opens_with_a_sentence_and_stays_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    docstring = ast.get_docstring(tree) or ""
    assert docstring.partition("\n")[0].rstrip().endswith((".", ":", ",")), "no opening sentence"
    assert text.count("\n") <= MODULE_LINES_MAX
    assert path.stem not in FORBIDDEN_NAMES
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{node.name} has {lines} lines"


def test_the_top_level_holds_what_is_prescribed_and_nothing_else() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in FILES} <= TOP_LEVEL


def test_no_file_names_a_registry_or_a_folder_of_this_machine() -> None:
    # Put together here: these are names of hosts, and no file names them.
    hosts = "|".join(("py" + "pi" + r"\.org", "python" + r"hosted\.org", "deb" + r"ian\.org"))
    wanted = re.compile(rf"{hosts}|/(root|home)/\w|/opt/py", re.IGNORECASE)
    others = [path for path in FILES if path != Path(__file__)]
    found = [_name(path) for path in others if wanted.search(path.read_text(encoding="utf-8"))]
    assert found == []


def test_nothing_unfinished_is_marked() -> None:
    wanted = re.compile(r"\b(TODO|FIXME|XXX|NotImplemented\w*)\b")
    found = [
        _name(path)
        for path in SOURCES
        if path != Path(__file__) and wanted.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_one_module_writes_a_subscriptions_state_and_one_the_ledger() -> None:
    def writers(pattern: str) -> set[str]:
        wanted = re.compile(pattern)
        return {_name(path) for path in WRITERS if wanted.search(path.read_text("utf-8"))}

    assert writers("INSERT INTO (subscriptions|transitions|facts)") == {
        "app/subscriptions/store.sql"
    }
    # Whose account it is, not its state.
    assert writers("UPDATE subscriptions") == {"app/accounts/join.py"}
    assert writers("(INSERT INTO|UPDATE) (events|deliveries)\\b") == {
        "app/webhooks/inbox.sql",
        "app/erasure/erase.sql",  # the owner's, of who it was
    }
    assert writers("INSERT INTO (journals|entries|lots)") == {
        "app/ledger/statement.sql",
        # The set-based ways, each held to the other by a test.
        "app/runs/bulk.sql",
        "app/reversals/run_bulk.py",
    }
    assert writers("INSERT INTO (purchases|money_facts|money_back)") == {"app/purchases/store.sql"}
    assert writers("(INSERT INTO|UPDATE) backings") == {"app/ledger/reserved.py"}
    assert writers("INSERT INTO daily_grants") == {"app/allowance/store.sql", "app/runs/bulk.sql"}


def test_the_committed_description_of_the_api_is_the_one_that_is_served() -> None:
    # Compared before printing: a difference of 14,000 lines tells nobody anything.
    same = openapi.FILE.read_text(encoding="utf-8") == openapi.written()
    assert same, openapi.REMEDY


def test_the_lock_file_holds_hashes_and_no_addresses() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if "://" in line or line.startswith("-")]
    assert sum("--hash=sha256:" in line for line in lines) > 100
