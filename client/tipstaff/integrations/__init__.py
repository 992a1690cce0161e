"""Checks answers inside of Python frameworks.

Each module imports its framework, so import the one that you need, as in
`from tipstaff.integrations.langchain import TipstaffMiddleware`. What becomes of an answer that
does not pass is said once, by a `Guard`.
"""

from __future__ import annotations

from tipstaff.integrations.guard import Action, BlockedError, Checked, Guard, Outcome

__all__ = ["Action", "BlockedError", "Checked", "Guard", "Outcome"]
