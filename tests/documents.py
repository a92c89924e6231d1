"""Pages whose code runs: the blocks of a page, in order, in one namespace.

A ``python`` block that is followed by a ``text`` block prints it. Pictures are what the code saves.

    python tests/documents.py docs/tutorial.md

runs a page in the root of the repository: it draws its pictures anew and writes what was printed
into it.
"""

import contextlib
import io
import re
import sys
from dataclasses import dataclass
from pathlib import Path

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)")
NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?")


@dataclass
class Ran:
    """A block of code that ran: where it is in the page, what it printed and was to print."""

    line: int
    printed: str
    expected: str | None
    place: tuple[int, int] | None  # of what was to be printed


def blocks(text, language):
    """The fenced blocks of a language; "" is a block that names none."""
    return [found[2] for found in FENCED.finditer(text) if found[1] == language]


def pictures(text):
    """What the page shows, as it names them."""
    return PICTURE.findall(text)


def run(path):
    """Run the Python blocks of a page; yields each as it ran."""
    text = path.read_text(encoding="utf-8")
    fenced = list(FENCED.finditer(text))
    namespace = {"__name__": path.stem}
    for block, after in zip(fenced, [*fenced[1:], None], strict=True):
        if block[1] != "python":
            continue
        line = text.count("\n", 0, block.start(2)) + 1
        printed = io.StringIO()
        # tracebacks then tell the line of the page
        code = compile("\n" * (line - 1) + block[2], str(path), "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, namespace)
        shown = after if after is not None and after[1] == "text" else None
        yield Ran(
            line,
            printed.getvalue(),
            shown and shown[2],
            (shown.start(2), shown.end(2)) if shown else None,
        )


def same(printed, expected):
    """Whether two texts say the same: numbers to a unit in the last digit that is shown.

    Processors and libraries of mathematics differ in the last bits, so that rounding may.
    """
    if NUMBER.sub("#", printed).split() != NUMBER.sub("#", expected).split():
        return False
    pairs = zip(NUMBER.findall(printed), NUMBER.findall(expected), strict=True)
    return all(abs(float(a) - float(b)) <= 1.001 * max(unit(a), unit(b)) for a, b in pairs)


def unit(number):
    """One in the last digit of a number that is written out."""
    digits, _, exponent = number.partition("e")
    return 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))


def main(path):
    parts, end = [], 0
    text = path.read_text(encoding="utf-8")
    for ran in run(path):
        if ran.place is not None:
            parts += [text[end : ran.place[0]], ran.printed]
            end = ran.place[1]
        elif ran.printed:
            print(f"line {ran.line} prints, and no text block follows:\n{ran.printed}")
    path.write_text("".join([*parts, text[end:]]), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
