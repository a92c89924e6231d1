"""make fuzz: model files, tables and command lines that no one would write, by atheris.

    run.py                       every target, FUZZ_SECONDS (default 60) each
    run.py TARGET [OPTION ...]   one of model, table, cli, with libFuzzer's options
    run.py TARGET FILE           an input that was found, once more

Inputs that reach new code are kept in build/fuzz/TARGET, what fails in build/fuzz/TARGET-failed.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fastem"]):
    import command_line
    import model_file
    import table_file

FOLDER = Path(__file__).parent.parent.parent / "build" / "fuzz"
#: more than any target needs beyond what its imports take; a run that asks for more fails
MEMORY = 1 << 30
#: seconds for one input; what takes longer counts as a hang
PATIENCE = 30
_COLUMNS = [None, ["1"], ["a"], ["b", "a"], ["2", "1"], ["9"], ["\0"]]
_TYPES = [None, None, "float32", "float64"]

Target = tuple[Callable[[], list[bytes]], Callable[[bytes, random.Random], bytes],
               Callable[[bytes, Path], None]]  # fmt: skip


def check_model(content: bytes, folder: Path) -> None:
    path = folder / "model.fastem"
    path.write_bytes(content)
    model_file.check(path)


# A table's input: one byte each for the extension, the columns and the type; then the content.


def table_seeds() -> list[bytes]:
    known = table_file.EXTENSIONS
    return [bytes([known.index(e), 0, 0]) + content for e, content in table_file.seeds()]


def mutate_table(data: bytes, chance: random.Random) -> bytes:
    head, extension = data[:3].ljust(3, b"\0"), _extension(data)
    if chance.random() < 0.2:
        head = head[:1] + chance.randbytes(2)
    return head + table_file.mutate(extension, data[3:], chance)


def check_table(data: bytes, folder: Path) -> None:
    head = data[:3].ljust(3, b"\0")
    path = folder / f"data{_extension(data)}"
    path.write_bytes(data[3:])
    table_file.check(path, _COLUMNS[head[1] % len(_COLUMNS)], _TYPES[head[2] % len(_TYPES)])


def _extension(data: bytes) -> str:
    return table_file.EXTENSIONS[(data[0] if data else 0) % len(table_file.EXTENSIONS)]


# A command line's input is what all choices are drawn from.


def check_command_line(data: bytes, folder: Path) -> None:
    if not _MODELS:
        _MODELS.extend(model_file.seeds())
        _TABLES.extend(table_file.seeds())
    command_line.check(random.Random(data), folder, _MODELS, _TABLES)


_MODELS: list[bytes] = []
_TABLES: list[tuple[str, bytes]] = []

TARGETS: dict[str, Target] = {
    "model": (model_file.seeds, model_file.mutate, check_model),
    "table": (table_seeds, mutate_table, check_table),
    "cli": (lambda: [b"0"], lambda data, chance: chance.randbytes(8), check_command_line),
}


def fuzz(name: str, options: list[str]) -> None:
    """Run one target; ends the process."""
    seeds, mutate, check = TARGETS[name]
    corpus, failed = FOLDER / name, FOLDER / f"{name}-failed"
    for folder in (corpus, failed):
        folder.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="fastem-fuzz-"))
    os.chdir(scratch)
    for i, content in enumerate(seeds()):
        (corpus / f"seed-{i}").write_bytes(content)
    _limit_memory()
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "X does not have valid feature names")

    def mutated(data: bytes, max_size: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.2:
            return atheris.Mutate(data, max_size)
        return mutate(data, chance)[:max_size]

    if not any(os.path.isfile(option) for option in options):
        options = [*options, str(corpus)]
    atheris.Setup(
        [
            sys.argv[0],
            f"-artifact_prefix={failed}{os.sep}",
            f"-timeout={PATIENCE}",
            "-max_len=8192",
            *options,
        ],
        lambda data: check(data, scratch),
        custom_mutator=mutated,
    )
    atheris.Fuzz()


def _limit_memory() -> None:
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def main() -> int:
    if len(sys.argv) > 1:
        fuzz(sys.argv[1], [os.path.abspath(o) if os.path.exists(o) else o for o in sys.argv[2:]])
    seconds = os.environ.get("FUZZ_SECONDS", "60")
    failed = []
    for name in TARGETS:
        print(f"=== {name}, {seconds} s", flush=True)
        command = [sys.executable, __file__, name, f"-max_total_time={seconds}", "-verbosity=0"]
        if subprocess.run(command).returncode:
            failed.append(name)
    if failed:
        print(f"found: {', '.join(f'build/fuzz/{name}-failed' for name in failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
