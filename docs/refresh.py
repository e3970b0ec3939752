"""Run the scripts whose output a page shows, and put in what they print.

    python docs/refresh.py docs/comparison.md [--only digits]
    python docs/refresh.py docs/comparison.md --only digits --printed digits.md

What a script has printed stands on the page between two comments, the first of which
has the command:

    <!-- python examples/benchmarks/comparison.py --only digits -->
    ...
    <!-- end -->

A page is written when all its commands have ended well, so it is never half new. What
takes hours may have run before: `--printed` is a file of what one command has printed.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(
    r"^<!-- python (?P<command>.*?) -->\n(?P<fence>```\w*\n)?.*?^<!-- end -->$",
    re.M | re.S,
)

TITLE = re.compile(r"\A# .*\n\n(?![\s\S]*^# )", re.M)
HEADING = re.compile(r"^#+(?= )", re.M)


def commands(text):
    """Return the commands of a page, without the `python` that each begins with."""
    return [block["command"] for block in BLOCK.finditer(text)]


def refreshed(text, run, only=""):
    """Return a page with the output of its commands.

    Headings of the output go below the heading on the page, which stands for the title
    that a report may begin with.

    Parameters
    ----------
    text : str
        The page.
    run : callable
        From a command to what it prints.
    only : str, default=""
        Commands without it stay as they are.

    Returns
    -------
    text : str
        A block that was in a fence is in it again.
    """

    def replace(block):
        if only not in block["command"]:
            return block[0]
        before, after = (block["fence"], "```") if block["fence"] else ("\n", "")
        output = run(block["command"]).strip("\n").rstrip()
        if not block["fence"]:
            page = BLOCK.sub("", text[: block.start()])
            output = below(page, TITLE.sub("", output))
        output = f"{before}{output}\n{after}"
        return f"<!-- python {block['command']} -->\n{output}\n<!-- end -->"

    return BLOCK.sub(replace, text)


def below(page, output):
    """Return markdown whose highest headings are one level below a page's last."""
    levels = [len(marks) for marks in HEADING.findall(output)]
    if not levels:
        return output
    above = [len(marks) for marks in HEADING.findall(page)]
    more = (above[-1] if above else 0) + 1 - min(levels)
    return HEADING.sub(lambda marks: "#" * (len(marks[0]) + more), output)


def run(command):
    """Return what a command prints; what it says of its progress goes through."""
    print(f"python {command}", file=sys.stderr)
    done = subprocess.run(
        [sys.executable, *shlex.split(command)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def main():
    """Refresh the pages that are named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument(
        "--only", default="", help="run commands that have this in them"
    )
    parser.add_argument("--printed", type=Path, help="what the command has printed")
    arguments = parser.parse_args()
    pages = {page: page.read_text() for page in arguments.pages}
    output_of = run
    if arguments.printed:
        every = [c for text in pages.values() for c in commands(text)]
        chosen = [command for command in every if arguments.only in command]
        if len(chosen) != 1:
            parser.error(f"--printed is of one command; --only leaves {chosen}")
        printed = arguments.printed.read_text()
        if not printed.strip():
            parser.error(f"{arguments.printed} is empty: did the command end?")
        output_of = {chosen[0]: printed}.__getitem__
    for page, text in pages.items():
        page.write_text(refreshed(text, output_of, arguments.only))


if __name__ == "__main__":
    main()
