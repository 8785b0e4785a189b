"""The program's door: runs a command, turns failures into sentences with a remedy, sets the exit code.

No traceback reaches a person; with FREEHOLD_DEBUG=1 it does.
"""

import json
import os
import sys
from collections.abc import Sequence

from freehold.base.errors import FreeholdError, Internal


def main(args: Sequence[str] | None = None) -> None:
    """Run `freehold` with ``args`` (the process's own by default) and exit."""
    words = list(sys.argv[1:] if args is None else args)
    sys.exit(_run(words))


def _run(words: list[str]) -> int:
    try:
        if os.environ.get("_FREEHOLD_COMPLETE"):
            from typer.completion import completion_init  # type: ignore[attr-defined]

            completion_init()

        from freehold.cli.app import build

        build().main(words, prog_name="freehold", complete_var="_FREEHOLD_COMPLETE")
    except SystemExit as leave:
        return _flushed(leave.code if isinstance(leave.code, int) else 0 if leave.code is None else 1)
    except FreeholdError as error:
        return _tell(error, "--json" in words)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:
        return _quiet()
    except Exception as error:  # the outermost door: nothing but a sentence leaves it
        if os.environ.get("FREEHOLD_DEBUG"):
            raise
        mistake = Internal(
            f"Freehold made a mistake: {type(error).__name__}: {error}.",
            remedy="See where: run it again with FREEHOLD_DEBUG=1.",
        )
        return _tell(mistake, "--json" in words)
    return _flushed(0)


def _tell(error: FreeholdError, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"problem": error.problem()}, ensure_ascii=False), file=sys.stderr)
    else:
        print(f"freehold: {error.message}", file=sys.stderr)
        if error.remedy:
            print(f"  {error.remedy}", file=sys.stderr)
    return error.exit_code


def _flushed(code: int) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _quiet()
    return code


def _quiet() -> int:
    """Nobody reads on: keep the interpreter from complaining at its end."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    return 141


if __name__ == "__main__":
    main()
