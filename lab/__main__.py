"""`python -m lab`."""

from __future__ import annotations

import sys

from lab import cli

sys.exit(cli.main())
