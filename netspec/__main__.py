"""The entry point of `netspec` and `python -m netspec`, which handles Ctrl-C."""

from __future__ import annotations

import gc
import sys


def run() -> None:
    """Run the command line and exit with its status, which is 130 after Ctrl-C."""
    try:
        gc.disable()  # imported objects are never freed, so collecting garbage now would waste time
        from click import Abort, ClickException

        from netspec.cli import main

        gc.freeze()
        gc.enable()
        try:
            sys.exit(main(standalone_mode=False))
        except ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except Abort:
            raise KeyboardInterrupt from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    run()
