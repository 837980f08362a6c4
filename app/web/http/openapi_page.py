"""The description as a page to read and to try, by Scalar's bundle, which is served from here."""

from __future__ import annotations

import base64
import hashlib
import html
from functools import cache
from pathlib import Path
from typing import Any, Final

from app.html.assets import Asset, asset
from app.web.http.openapi import DESCRIPTION

# npm's @scalar/api-reference, dist/browser/standalone.js, unchanged; its licence stands beside it.
BUNDLE: Final = Path(__file__).parent / "assets" / "scalar-1.46.4.js"
BUNDLE_SHA256: Final = "81b8d2bdab4a42ab81465386441b9a0f928b68631364360f00e8cce620cc1efb"
# Nothing is fetched from elsewhere, no telemetry, no agent; a key that was typed is not kept.
# Its colours for text fall short of 4.5:1 (WCAG AA), its orange on white with 3.2.
_START: Final = """
const contrast = `
.light-mode {--scalar-color-2: #5c5c5c; --scalar-color-3: #666; --scalar-color-green: #006b43;
  --scalar-color-blue: #0062a0; --scalar-color-orange: #b03a00}
.dark-mode {--scalar-color-3: #949494}`;
Scalar.createApiReference("#reference", {
  url: "/schema/openapi.json",
  generateOperationSlug: (operation) => operation.operationId || operation.path,
  authentication: {preferredSecurityScheme: "apiKey"},
  persistAuth: false,
  customCss: contrast,
  withDefaultFonts: false,
  telemetry: false,
  hideClientButton: true,
  showDeveloperTools: "never",
  agent: {disabled: true},
  mcp: {disabled: true},
  defaultOpenFirstTag: true,
});
"""
_START_HASH: Final = base64.b64encode(hashlib.sha256(_START.encode()).digest()).decode()
# The bundle writes styles of its own, and calls the API from the page.
CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; script-src 'self' 'sha256-{_START_HASH}'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@cache
def bundle() -> Asset:
    """Scalar's script, gzipped: 1 MB in place of 3.6; packed when it is first asked for."""
    return asset(BUNDLE.name, BUNDLE.read_bytes())


def page(schema: dict[str, Any]) -> str:
    """The page; without scripts it lists the calls."""
    calls = "".join(
        f"<li><code>{method.upper()} {html.escape(path)}</code> {html.escape(one['summary'])}"
        for path, item in schema["paths"].items()
        for method, one in item.items()
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta name='color-scheme' content='light dark'>"
        "<title>Tallybook API</title><link rel='icon' href='data:,'></head><body>"
        f"<noscript><h1>Tallybook API</h1><p>{html.escape(DESCRIPTION)}</p><p>All of it: "
        f"<a href='/schema/openapi.json'>openapi.json</a></p><ul>{calls}</ul></noscript>"
        f"<main id='reference'></main><script src='/schema/{BUNDLE.name}'></script>"
        f"<script>{_START}</script></body></html>"
    )
