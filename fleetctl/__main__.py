"""
``python -m fleetctl``: the same as the console script.
"""

import sys

from fleetctl.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
