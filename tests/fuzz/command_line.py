"""Command lines: arguments and files of every quality, and what must hold of the outcome."""

from __future__ import annotations

import contextlib
import io
import random
from pathlib import Path

from model_file import mutate as mutate_model
from table_file import EXTENSIONS
from table_file import mutate as mutate_table

from fastem import cli

_NUMBERS = ["1", "2", "3", "0", "-1", "1e3", "x", "", "2.5", "nan", "inf", "1e-9", "99999999999999",
            "٣", "1_0", " 2", "9" * 5000]  # fmt: skip
_COLUMNS = ["1", "2", "1,2", "a", "a,b", "b,a", "a,a", "0", "9", "", ",", '"a', "é", "a b", "\0"]
_OPTIONS = {
    "fit": {
        "-k": _NUMBERS,
        "--components": _NUMBERS,
        "--covariance": ["full", "tied", "diag", "spherical", "x", ""],
        "--columns": _COLUMNS,
        "--weights": _COLUMNS,
        "-o": ["out.fastem", "data.csv", ".", "no/out", "-", "", "\0"],
        "--init": ["kmeans", "k-means++", "random", "random_from_data", "x"],
        "--n-init": ["1", "2", "0", "x", "-3"],
        "--max-iter": ["1", "5", "0", "x"],
        "--tol": _NUMBERS,
        "--reg-covar": _NUMBERS,
        "--seed": _NUMBERS,
        "--threads": _NUMBERS,
        "--float32": None,
        "--quiet": None,
    },
    "predict": {
        "--columns": _COLUMNS,
        "-o": ["-", "out.csv", ".", "model.fastem"],
        "--proba": None,
        "--threads": _NUMBERS,
    },
    "score": {"--columns": _COLUMNS, "-o": ["-", "out.csv"], "--threads": _NUMBERS},
    "sample": {"-n": ["1", "3", "0", "x", "9" * 30], "--rows": _NUMBERS[:5], "--seed": _NUMBERS,
               "-o": ["-", "out.csv", "model.fastem"]},
    "info": {},
}  # fmt: skip


def arguments(chance: random.Random, model: Path, data: Path) -> list[str]:
    """A command line that is right, nearly right or wrong."""
    command = chance.choice(list(_OPTIONS))
    words = [command]
    if command != "fit":
        words.append(str(model))
    if command not in ("sample", "info"):
        words.append(str(data))
    if command == "fit":
        words += ["-k", chance.choice(["1", "1", "2", "2", chance.choice(_NUMBERS)])]
        words += ["--max-iter", "5"]
    if command == "sample":
        words += ["-n", "5"]
    options = _OPTIONS[command]
    for flag in chance.choices(list(options), k=chance.randint(0, 4)) if options else []:
        words.append(flag)
        if (values := options[flag]) is not None:
            words.append(chance.choice(values))
    if chance.random() < 0.1:
        words.insert(
            chance.randint(0, len(words)),
            chance.choice(["-h", "--help", "--version", "--", "-", "--x", "plot", "@file", "-k"]),
        )
    if chance.random() < 0.05:
        del words[chance.randrange(len(words))]
    return words


def check(
    chance: random.Random, folder: Path, models: list[bytes], tables: list[tuple[str, bytes]]
):
    """Status 0 or 2, nothing but one line on stderr for an error, and no exception."""
    extension, content = chance.choice(tables)
    if chance.random() < 0.3:
        content = mutate_table(extension, content, chance)
    if chance.random() < 0.05:
        extension = chance.choice([*EXTENSIONS, "", ".xlsx"])
    model = chance.choice(models)
    if chance.random() < 0.5:
        model = mutate_model(model, chance)
    for old in folder.iterdir():
        old.unlink()
    data_path, model_path = folder / f"data{extension}", folder / "model.fastem"
    data_path.write_bytes(content)
    model_path.write_bytes(model)
    words = arguments(chance, model_path, data_path)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.main(words)
    lines = err.getvalue().splitlines()
    assert status in (0, 2), f"{words}: status {status}"
    assert "Traceback" not in err.getvalue(), words
    errors = [line for line in lines if line.startswith("fastem: error: ")]
    assert len(errors) == (status == 2), f"{words}: {lines}"
    if status == 2:
        assert len(errors[0]) > len("fastem: error: "), words
        assert "out of memory" not in errors[0] or any(len(w) > 10 for w in words[2:]), words
    left = {path.name for path in folder.iterdir()}
    assert not any(name.endswith(".tmp") for name in left), f"{words} left {left}"
