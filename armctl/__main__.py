"""`python -m armctl` is `armctl`."""

import sys

from armctl.cli import main

sys.exit(main())
