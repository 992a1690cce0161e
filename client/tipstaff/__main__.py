"""`python -m tipstaff` is `tipstaff`."""

from tipstaff.cli import main

raise SystemExit(main())
