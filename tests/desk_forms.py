"""The desk's forms as a browser without scripts sends them."""

from __future__ import annotations

import html
import re

LOCAL = "http://127.0.0.1:7860"


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of a page's forms."""
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)
    return {html.unescape(name): html.unescape(value) for name, value in fields}
