"""The description as a page that loads nothing from elsewhere."""

from __future__ import annotations

import html
from typing import Any, Final

import msgspec

from app.web.http.openapi import DESCRIPTION

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;
margin:2rem auto;padding:0 1rem;color:#1c2733}
h1{margin-bottom:.2rem}h2{margin-top:2.2rem;border-bottom:2px solid #dde4ea}
details{border:1px solid #dde4ea;border-radius:.5rem;margin:.5rem 0;padding:.5rem .8rem}
summary{cursor:pointer}code,pre{font:14px/1.45 ui-monospace,monospace}
pre{background:#f5f7f9;padding:.6rem;overflow:auto;border-radius:.4rem}
.m{display:inline-block;min-width:4rem;font-weight:700}.get{color:#0b6bcb}.post{color:#1a7f37}
.put{color:#9a6700}table{border-collapse:collapse}
td{padding:.15rem .9rem .15rem 0;vertical-align:top}
.d{color:#57677a}
@media(prefers-color-scheme:dark){body{background:#12181f;color:#dfe7ee}pre{background:#1b232c}
details,h2{border-color:#2c3844}.d{color:#9db0c0}}
"""


def page(schema: dict[str, Any]) -> str:
    operations: dict[str, list[str]] = {}
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            tag = (operation.get("tags") or ["Other"])[0]
            operations.setdefault(tag, []).append(_operation(path, method, operation))
    parts = [
        f"<h2>{html.escape(tag)}</h2>{''.join(listed)}"
        for tag, listed in sorted(operations.items())
    ]
    models = [
        f"<details id='{html.escape(name)}'><summary><code>{html.escape(name)}</code></summary>"
        f"<pre>{_pretty(model)}</pre></details>"
        for name, model in sorted(schema["components"]["schemas"].items())
    ]
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'><title>Tallybook API</title>"
        f"<style>{_STYLE}</style><h1>Tallybook API</h1>"
        f"<p class='d'>{html.escape(DESCRIPTION)} "
        "Raw: <a href='/schema/openapi.json'>openapi.json</a></p>"
        f"{''.join(parts)}<h2>Shapes</h2>{''.join(models)}</html>"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parameters = "".join(
        f"<tr><td><code>{html.escape(p['name'])}</code></td><td class='d'>{p['in']}"
        f"{', required' if p.get('required') else ''}</td>"
        f"<td>{html.escape(p.get('description', ''))}</td></tr>"
        for p in operation.get("parameters", [])
    )
    answers = "".join(
        f"<tr><td><code>{status}</code></td><td>{html.escape(answer.get('description', ''))}</td>"
        f"<td>{_shape(answer)}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    body = operation.get("requestBody")
    told = html.escape(operation["description"])
    asked = f"<p>Body: {_shape(body)}</p>{_example(body)}" if body else ""
    return (
        f"<details><summary><span class='m {method}'>{method.upper()}</span> "
        f"<code>{html.escape(path)}</code> <span class='d'>{told}</span></summary>"
        f"{asked}<table>{parameters}</table><h4>Answers</h4><table>{answers}</table>"
        f"{_answered(operation['responses'])}</details>"
    )


def _answered(answers: dict[str, Any]) -> str:
    """The examples of its successes, the usual one open to see."""
    good = [(status, one) for status, one in answers.items() if status.startswith("2")]
    return "".join(
        f"<details{' open' if number == 0 else ''}><summary>Such as, with {status}</summary>"
        f"{_example(answer)}</details>"
        for number, (status, answer) in enumerate(good)
    )


def _example(described: dict[str, Any]) -> str:
    return "".join(
        f"<pre>{_pretty(content['example'])}</pre>"
        for content in described.get("content", {}).values()
        if "example" in content
    )


def _shape(described: dict[str, Any]) -> str:
    for content in described.get("content", {}).values():
        name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
        if name:
            return f"<a href='#{html.escape(name)}'>{html.escape(name)}</a>"
    return ""


def _pretty(value: object) -> str:
    if isinstance(value, str):  # an answer that is no JSON, as it reads
        return html.escape(value)
    return html.escape(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
