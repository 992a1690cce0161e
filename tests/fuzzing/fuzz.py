"""Fuzzes one target, guided by which code its inputs reach.

    pip install atheris
    PYTHONPATH=tests:tests/fuzzing python tests/fuzzing/fuzz.py manifest --seconds 600

What breaks it is written beside, as `crash-…`: mend it, and add the file to `corpus/TARGET`, which
`tests/server/test_fuzz_corpus.py` runs ever after.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tipstaff", "tipstaff_server"]):
    import targets


def main() -> None:
    """Reads the arguments and fuzzes; ends the process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=sorted(targets.TARGETS))
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--keep", type=Path, help="folder for the inputs that reached new code")
    args = parser.parse_args()
    reached = args.keep or Path(tempfile.mkdtemp(prefix="fuzz-"))
    reached.mkdir(parents=True, exist_ok=True)
    (reached / "seed").write_bytes(targets.seed(args.target))
    known = targets.CORPUS / args.target
    known.mkdir(parents=True, exist_ok=True)
    atheris.Setup(
        [
            *(sys.argv[0], str(reached), str(known), f"-max_total_time={args.seconds}"),
            *("-timeout=20", "-rss_limit_mb=4096", "-max_len=65536"),
        ],
        targets.TARGETS[args.target],
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
