"""``python -m freehold.sandbox``: see ``freehold.sandbox.enter``."""

import sys

from freehold.sandbox.enter import main

if __name__ == "__main__":
    sys.exit(main())
