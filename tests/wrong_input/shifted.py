"""The real daemon on a machine whose clock was set: ``python -m tests.wrong_input.shifted SECONDS FOLDER PIPE``."""

import runpy
import sys
import time


def main() -> None:
    """Shift the system's clock for this process, then be the daemon."""
    shift_ns = int(sys.argv.pop(1)) * 1_000_000_000
    real = time.time_ns
    time.time_ns = lambda: real() + shift_ns
    runpy.run_module("freehold.daemon", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
