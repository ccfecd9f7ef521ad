"""Run the controller from a clone: ``python scripts/control.py run --help``.

The same program is installed as the console script ``gymbal-control``.
"""

from __future__ import annotations

import sys

from gymbal_runtime.cli import main

if __name__ == "__main__":
    sys.exit(main())
