"""Looks for known vulnerabilities of what is locked.

    python deploy/locks/audit.py PIP_AUDIT

PIP_AUDIT is the program pip-audit, which asks pypi.org; `make audit` gives it. Exits with

- 1 if there are vulnerabilities,
- 3 if packages could not be looked up: where a proxy answers for pypi.org without its advisories,
  pip-audit skips them all and says "No known vulnerabilities found",
- 4 if pip-audit failed on a lock.

The trainer's torch is in no lock, and not looked up.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_SECONDS = 60
_VULNERABLE, _NOT_LOOKED_UP, _FAILED = 1, 3, 4


def main() -> int:
    """Audits each lock file, and prints what was found and what could not be looked up."""
    packages: list[dict[str, Any]] = []
    failures = []
    for lock in sorted(Path(__file__).parent.glob("*.txt")):
        try:
            packages += _audit(sys.argv[1], lock)
        except (OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
            failures.append(f"{lock.name}: {error}")
    unaudited = {each["name"]: each["skip_reason"] for each in packages if "skip_reason" in each}
    audited = {
        f"{each['name']} {each['version']}": each["vulns"] for each in packages if "vulns" in each
    }
    vulnerable = [
        f"{name}: {each['id']}, fixed in {', '.join(each['fix_versions']) or 'no version'}"
        for name, found in sorted(audited.items())
        for each in found
    ]
    for line in vulnerable:
        print(line)
    print(
        f"audit: {len(audited)} packages looked up, {len(vulnerable)} vulnerabilities", flush=True
    )
    for name, why in [*unaudited.items()][:1]:
        print(f"audit: {len(unaudited)} not looked up, first {name}: {why}", file=sys.stderr)
    for failure in failures:
        print(f"audit: {failure}", file=sys.stderr)
    if vulnerable:
        return _VULNERABLE
    if failures:
        return _FAILED
    return _NOT_LOOKED_UP if unaudited else 0


def _audit(program: str, lock: Path) -> list[dict[str, Any]]:
    """What pip-audit says of each package of a lock.

    Raises:
        OSError, ValueError, KeyError, subprocess.TimeoutExpired: It gives no such answer.
    """
    words = [program, "--disable-pip", "--require-hashes", "--requirement", str(lock)]
    done = subprocess.run(
        [*words, "--format", "json"], capture_output=True, text=True, timeout=_SECONDS
    )
    if not done.stdout.strip():
        raise ValueError(done.stderr.strip() or f"no answer, exit code {done.returncode}")
    packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    return packages


if __name__ == "__main__":
    sys.exit(main())
