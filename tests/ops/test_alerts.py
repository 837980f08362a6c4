"""Alert rules and the dashboard ask for figures that exist, and each alert has its page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app.audit.gauges import GAUGES
from tests.api_client import Api

ROOT = Path(__file__).parents[2]
OPS = ROOT / "ops"
METRIC = re.compile(r"\btallybook_[a-z_]+\b")
ALERTS_WANTED = {
    "TallybookWebhooksFail",
    "TallybookEventsParked",
    "TallybookNoRunToday",
    "TallybookIssuedNotExpected",
    "TallybookVerifyFailed",
    "TallybookVerifyTooOld",
    "TallybookSignatureFailuresRise",
    "TallybookEventsQueuedTooLong",
    "TallybookHoldsOverdue",
    "TallybookPoolExhausted",
    "TallybookDatabaseDown",
    "TallybookRateLimiterOpen",
}


def rules() -> list[dict[str, Any]]:
    read = yaml.safe_load((OPS / "alerts.yaml").read_text(encoding="utf-8"))
    return [rule for group in read["groups"] for rule in group["rules"]]


def unit_tests() -> list[dict[str, Any]]:
    read = yaml.safe_load((OPS / "alerts_test.yaml").read_text(encoding="utf-8"))
    assert read["rule_files"] == ["alerts.yaml"]
    return list(read["tests"])


def panels() -> list[dict[str, Any]]:
    read = json.loads((OPS / "dashboard.json").read_text(encoding="utf-8"))
    return [panel for panel in read["panels"] if panel["type"] != "row"]


def expressions() -> dict[str, str]:
    asked = {rule["alert"]: rule["expr"] for rule in rules()}
    for panel in panels():
        for target in panel["targets"]:
            asked[f"panel {panel['title']} {target['refId']}"] = target["expr"]
    return asked


def anchor(heading: str) -> str:
    """As the forges make it of a heading."""
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


async def told(api: Api) -> set[str]:
    """The figures of a running service; those of the database also where they are null yet."""
    answer = await api.client.get("/metrics")
    families = {family.name for family in text_string_to_metric_families(answer.text)}
    return families | {f"tallybook_{name}" for name in GAUGES}


async def test_every_figure_that_is_asked_for_is_told_by_the_service(api: Api) -> None:
    known = await told(api)
    for name, expression in expressions().items():
        asked = set(METRIC.findall(expression))
        assert asked, f"{name} asks for no figure of ours"
        bases = {re.sub(r"_(bucket|count|sum|total)$", "", metric) for metric in asked}
        assert bases <= known, name


def test_the_rules_are_whole_and_named_once() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    assert set(names) >= ALERTS_WANTED
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "runbook_url"}


def test_each_alert_has_a_heading_in_the_runbook_and_none_is_left_over() -> None:
    page = (OPS / "runbook.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (\w+)$", page, re.MULTILINE)
    assert headings == [rule["alert"] for rule in rules()]
    for rule in rules():
        assert rule["annotations"]["runbook_url"] == f"ops/runbook.md#{anchor(rule['alert'])}"
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        for word in ("**Means**", "**Look**", "**Do**", "**Over when**"):
            assert word in section, section.splitlines()[0]


def test_each_alert_is_shown_to_fire_and_to_stay_quiet() -> None:
    fires, quiet = set(), set()
    for test in unit_tests():
        for case in test["alert_rule_test"]:
            (fires if case.get("exp_alerts") else quiet).add(case["alertname"])
    names = {rule["alert"] for rule in rules()}
    assert (fires, quiet) == (names, names)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_agrees() -> None:
    checks = ("check rules alerts.yaml", "test rules alerts_test.yaml")
    for words in (*checks, "check config prometheus.yaml"):
        done = subprocess.run(
            ["promtool", *words.split()], cwd=OPS, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_is_laid_out_without_overlap() -> None:
    read = json.loads((OPS / "dashboard.json").read_text(encoding="utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in read["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in read["panels"]}) == len(read["panels"])
    assert {panel["datasource"]["uid"] for panel in panels()} == {"${datasource}"}
    assert [one["name"] for one in read["templating"]["list"]] == ["datasource"]
