"""Pages whose code runs: the blocks of a page, in order, in one namespace.

A ``python`` block that is followed by a ``text`` block prints it, warnings first and each without
the place it came from. In the guides ``sh`` blocks do the same: they are what a POSIX shell runs,
with this Python as ``python`` and its ``fastem`` on the path. Pictures are what the code saves.

    python tests/documents.py docs/tutorial.md

runs a page in a new folder that has the examples, copies the pictures that it shows from there,
and writes what was printed into it.
"""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fastem.exceptions import ConvergenceWarning

ROOT = Path(__file__).parent.parent
FENCED = re.compile(r"^```([^`\n]*)\n(.*?)^```$", re.M | re.S)
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)")
NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?")
LARGE = 60_000  # bytes of a picture
DURATION = re.compile(rf"{NUMBER.pattern} (?=m?s\b)|(?<=time in ms: ).*")


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


def languages(path):
    """What is run of a page."""
    return ("python", "sh") if path.parent.name == "guides" else ("python",)


def run(path) -> Iterator[Ran]:
    """Run the blocks of a page in the present folder; yields each as it ran."""
    text = path.read_text(encoding="utf-8")
    fenced = list(FENCED.finditer(text))
    namespace = {"__name__": path.stem}
    for block, after in zip(fenced, [*fenced[1:], None], strict=True):
        if block[1] not in languages(path):
            continue
        line = text.count("\n", 0, block.start(2)) + 1
        if block[1] == "python":
            # tracebacks then tell the line of the page
            printed = run_python("\n" * (line - 1) + block[2], str(path), namespace)
        else:
            printed = run_shell(block[2], f"{path}, line {line}")
        shown = after if after is not None and after[1] == "text" else None
        yield Ran(
            line,
            printed,
            shown and shown[2],
            (shown.start(2), shown.end(2)) if shown else None,
        )


def run_python(code, name, namespace):
    """What code prints, and before it the warnings of fits."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", category=ConvergenceWarning)
        exec(compile(code, name, "exec"), namespace)
    warned = [
        textwrap.fill(f"{one.category.__name__}: {one.message}", 96, break_on_hyphens=False) + "\n"
        for one in caught
        if issubclass(one.category, ConvergenceWarning)
    ]
    return "".join(warned) + printed.getvalue()


def run_shell(commands, where):
    """What commands print, on either stream; one that fails ends the block with an error."""
    with tempfile.TemporaryDirectory() as folder:
        for name, module in (("python", ""), ("fastem", "-m fastem")):
            program = Path(folder, name)
            python = shlex.quote(sys.executable)
            program.write_text(f'#!/bin/sh\nexec {python} {module} "$@"\n', encoding="utf-8")
            program.chmod(0o755)
        path = os.pathsep.join([folder, os.environ.get("PATH", os.defpath)])
        done = subprocess.run(
            ["sh", "-e", "-c", commands],
            env={**os.environ, "PATH": path, "COLUMNS": "96"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=600,
        )
    if done.returncode:
        raise AssertionError(f"{where}: exit status {done.returncode}\n{done.stdout}")
    return done.stdout


def drawn(folder):
    """The pictures in a folder by their names, wherever in it they are."""
    return {picture.name: picture for picture in Path(folder).rglob("*.png")}


def copy_picture(source, target):
    """A picture as it was drawn, or in 64 colours where it would be large for a repository."""
    shutil.copyfile(source, target)
    if target.stat().st_size >= LARGE:
        from PIL import Image  # matplotlib, which drew it, needs it too

        with Image.open(source) as picture:
            picture.convert("RGB").quantize(64).save(target, optimize=True)


def same(printed, expected):
    """Whether two texts say the same: numbers to a unit in the last digit that is shown.

    Processors and libraries of mathematics differ in the last bits, so that rounding may. How long
    something took is not compared.
    """
    printed, expected = (DURATION.sub("- ", text) for text in (printed, expected))
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
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        shutil.copytree(ROOT / "examples", "examples")
        for ran in run(path):
            if ran.place is not None:
                parts += [text[end : ran.place[0]], ran.printed]
                end = ran.place[1]
            elif ran.printed:
                print(f"line {ran.line} prints, and no text block follows:\n{ran.printed}")
        found = drawn(folder)
        for name in pictures(text) if path.name != "README.md" else ():  # which `make demo` draws
            (path.parent / name).parent.mkdir(exist_ok=True)
            copy_picture(found[Path(name).name], path.parent / name)
    path.write_text("".join([*parts, text[end:]]), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
