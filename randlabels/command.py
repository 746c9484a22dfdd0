"""The console command: `randlabels train`, `analyze`, `reproduce`, `prepare`, `merge`, ..., `list`.

randlabels train --config=base --workdir=runs/base
randlabels merge --workdir=runs/base
randlabels analyze --workdir=runs/base
randlabels reproduce --study=quickstart --workdir=runs/quickstart
randlabels prepare --name=photos --source=photos --size=32 --data_dir=datasets
randlabels list

Each is `python -m` of a module, with the same flags; --help behind it says which.
"""

import difflib
import runpy
import sys

from randlabels import help_text

COMMANDS = {
    "train": "randlabels.main",
    "merge": "randlabels.merge",
    "analyze": "randlabels.analyze",
    "reproduce": "randlabels.reproduce",
    "prepare": "randlabels.data.prepare",
    "document": "randlabels.document",
}


def main() -> None:
    """Run the front door that the first argument names."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in COMMANDS:
        # The front doors name themselves by what they are called with.
        sys.argv = [f"randlabels {name}", *sys.argv[2:]]
        runpy.run_module(COMMANDS[name], run_name="__main__", alter_sys=True)
    elif name == "list" and sys.argv[2:] in ([], ["--help"], ["-h"]):
        print(help_text.overview())
    elif name in ("--version", "-V"):
        print(help_text.version())
    elif name in ("--help", "-h", "help"):
        print((__doc__ or "").strip())
    elif name == "list":
        print("randlabels: list takes nothing behind it.", file=sys.stderr)
        sys.exit(1)
    else:
        close = difflib.get_close_matches(name, [*COMMANDS, "list"], n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"it may be {', '.join(COMMANDS)}, list."
        print(f"randlabels: there is no command {name[:80]!r}; {hint}", file=sys.stderr)
        sys.exit(1)
