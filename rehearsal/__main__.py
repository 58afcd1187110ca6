"""`python -m rehearsal`."""

import sys

from rehearsal import cli

sys.exit(cli.main())
