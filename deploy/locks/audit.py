"""Looks for known vulnerabilities of what is locked.

    python deploy/locks/audit.py PIP_AUDIT

PIP_AUDIT is the program pip-audit; `make audit` gives it. Exits with 1 if there are
vulnerabilities, and with 3 if packages could not be looked up: many mirrors of the package index
have no advisories, and of them pip-audit says "No known vulnerabilities found". The trainer's torch
is in no lock, and not looked up.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_SECONDS = 120
_FOUND, _NOT_LOOKED_UP = 1, 3


def main() -> int:
    """Audits each lock file, and prints what was found and what could not be looked up."""
    program = sys.argv[1]
    found: set[str] = set()
    skipped: dict[str, str] = {}
    looked_up: set[str] = set()
    for lock in sorted(Path(__file__).parent.glob("*.txt")):
        words = [program, "--disable-pip", "--require-hashes", "--requirement", str(lock)]
        try:
            answer = subprocess.run(
                [*words, "--format", "json"], capture_output=True, text=True, timeout=_SECONDS
            )
            packages = json.loads(answer.stdout)["dependencies"]
        except subprocess.TimeoutExpired:
            skipped[lock.name] = f"no answer within {_SECONDS} s"
            continue
        except ValueError:
            skipped[lock.name] = answer.stderr.strip().splitlines()[-1]
            continue
        for package in packages:
            if why := package.get("skip_reason"):
                skipped[package["name"]] = why
                continue
            name = f"{package['name']} {package['version']}"
            looked_up.add(name)
            for each in package["vulns"]:
                fixed = ", ".join(each["fix_versions"]) or "no version"
                found.add(f"{name}: {each['id']}, mended in {fixed}")
    for line in sorted(found):
        print(line)
    print(f"audit: {len(looked_up)} packages looked up, {len(found)} vulnerabilities", flush=True)
    if skipped:
        name, why = next(iter(skipped.items()))
        print(f"audit: {len(skipped)} could not be looked up, first {name}: {why}", file=sys.stderr)
    return _FOUND if found else _NOT_LOOKED_UP if skipped else 0


if __name__ == "__main__":
    sys.exit(main())
