"""What the pages of ops/ tell one to run exists: queries run, paths are routes, commands too."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import typer.main
from litestar import Litestar

from app.asgi import create_app
from app.cli import app as cli
from app.infrastructure.settings import NAMES, Settings
from app.verify import verify
from tests.conftest import Server

ROOT = Path(__file__).parents[2]
PAGES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "ops").glob("*.md")}
TEXTS = {**PAGES, "README.md": (ROOT / "README.md").read_text(encoding="utf-8")}


def queries(role: str) -> list[str]:
    found = re.findall(rf'psql "\${role}" -c "([^"]+)"', "\n".join(PAGES.values()))
    assert found
    return found


async def refused(url: str, role: str, written_for: str) -> dict[str, str]:
    """Those of the pages' queries that the database does not run for this role, and why."""
    found = {}
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"SET ROLE {role}")
        for query in queries(written_for):
            try:
                await connection.fetch(query)
            except asyncpg.PostgresError as error:
                found[query] = str(error)
    finally:
        await connection.close()
    return found


async def test_an_auditors_login_may_run_every_query_of_the_pages(server: Server) -> None:
    assert await refused(server.superuser_url, "tallybook_read", "DATABASE_READ_URL") == {}


async def test_the_applications_login_may_run_the_queries_that_need_it(server: Server) -> None:
    assert await refused(server.application_url, "NONE", "DATABASE_URL") == {}


def paths_of(app: Litestar) -> list[re.Pattern[str]]:
    templates = [re.sub(r"\{[^}]+\}", "ANY", route.path) for route in app.routes]
    return [re.compile(re.escape(path).replace("ANY", "[^/]+")) for path in templates]


@pytest.mark.parametrize("name", TEXTS)
def test_every_path_of_the_pages_is_a_route(name: str, settings: Settings) -> None:
    app = create_app(settings)
    routes = paths_of(app)
    told = re.findall(r"(?:\$BASE|`(?:GET|POST|PUT) )(/[^\s`\"'?]+)", TEXTS[name])
    unknown = [
        path for path in told if "…" not in path and not any(r.fullmatch(path) for r in routes)
    ]
    assert unknown == []


def commands(group: Any, before: str) -> dict[str, Any]:
    found = {}
    for name, command in group.commands.items():
        full = f"{before} {name}"
        found |= commands(command, full) if hasattr(command, "commands") else {full: command}
    return found


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_of_the_pages_exists_with_its_options(name: str) -> None:
    known = commands(typer.main.get_command(cli), "tallybook")
    told = re.findall(r"(?:^|[`\s(])(tallybook [a-z][^`\n|&;]*)", TEXTS[name], re.MULTILINE)
    for line in told:
        words = shlex.split(line.split(" #")[0].replace("…", ""), posix=True)
        full = next((c for n in (3, 2) if (c := " ".join(words[:n])) in known), None)
        in_code = f"`{line}" in TEXTS[name] or f"\n{line}" in TEXTS[name]
        if full is None and not in_code:
            continue  # a sentence about tallybook
        if full is None and " ".join(words[:2]) in {" ".join(c.split()[:2]) for c in known}:
            continue  # a group of commands
        assert full is not None, line
        options = {option for param in known[full].params for option in param.opts}
        assert {word.split("=")[0] for word in words if word.startswith("--")} <= options, line


@pytest.mark.parametrize("name", PAGES)
def test_every_link_and_setting_of_the_pages_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", PAGES[name]):
        assert (ROOT / "ops" / target).exists(), target
    settings = re.findall(r"\b(TALLYBOOK_[A-Z_]+|STRIPE_[A-Z_]+)\b", PAGES[name])
    known = {*NAMES, *(f"{each}_FILE" for each in NAMES), "TALLYBOOK_HOST"}
    assert {each.partition("__")[0] for each in settings} <= known  # NAME__BOOK is of one book


def test_the_page_of_verify_names_every_check() -> None:
    page = (ROOT / "ops/verify.md").read_text("utf-8")
    assert [name for name in verify.ALL if name not in page] == []


def test_the_map_names_every_folder_and_the_index_every_decision() -> None:
    folders = [path.name for path in (ROOT / "app").iterdir() if (path / "__init__.py").is_file()]
    map_of_them = (ROOT / "ops/architecture.md").read_text("utf-8")
    assert [name for name in folders if f"`{name}`" not in map_of_them] == []
    index = (ROOT / "ops/decisions/README.md").read_text("utf-8")
    decisions = [path.name for path in (ROOT / "ops/decisions").glob("0*.md")]
    assert [name for name in decisions if f"({name})" not in index] == []
