"""The arguments of the command ``fastem``: what it accepts, with which ranges, and the help."""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

_EXAMPLES = """\
examples:
  fastem fit faithful.csv -k 2 -o geyser.fastem    fit two components, save the model
  fastem fit data.csv -k 3 --columns height,weight --seed 1
  fastem info geyser.fastem                        show the fitted components
  fastem predict geyser.fastem new.csv -o labels.csv
  fastem score geyser.fastem new.csv               log-likelihood, BIC, AIC of other data
  fastem sample geyser.fastem -n 1000 > sample.csv
  fastem plot geyser.fastem faithful.csv -o geyser.png

Data are .csv, .tsv, .txt, .npy, .npz or .parquet files; "fastem COMMAND --help" lists the options.
"""


@dataclass(frozen=True)
class Command:
    """One command: two lines of help, its options, and the function that runs it."""

    help: str
    description: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]


class _Parser(argparse.ArgumentParser):
    """A parser whose errors end as every other error does: one line and status 2."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **kwargs
        )

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage."""
        raise ValueError(f"{message} (see {self.prog} --help)")


class _Version(argparse.Action):
    """Print the version; asking the installed package for it takes time, so only when asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        print("fastem", importlib.metadata.version("fastem"))
        parser.exit()


def _integer(minimum: int | None = None, *, maximum: int | None = None) -> Callable[[str], int]:
    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if minimum is not None and value < minimum:
            raise argparse.ArgumentTypeError(f"{value} is too small; it must be at least {minimum}")
        if maximum is not None and value > maximum:
            raise argparse.ArgumentTypeError(f"{value} is too large; it must be at most {maximum}")
        return value

    return convert


def _threads(text: str) -> int:
    value = _integer()(text)
    if value == 0:
        raise argparse.ArgumentTypeError("0 is no number of threads; give 1 or more, -1 for all")
    return value


def _not_negative(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is out of range; it must be at least 0")
    return value


def _not_negative_or_auto(text: str) -> float | str:
    return text if text == "auto" else _not_negative(text)


def _column_list(text: str) -> list[str]:
    """Column names or numbers, separated by commas; a name with a comma goes in quotation marks."""
    columns = [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]
    if not columns or not all(columns):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of columns such as a,b or 1,3")
    return columns


def build_parser(
    commands: Mapping[str, Command], arguments: Sequence[str]
) -> argparse.ArgumentParser:
    """Build the parser, with the options of the command in use only.

    The options of `fit` take their names, choices and defaults from the estimator, whose import
    takes a second.

    Parameters
    ----------
    commands : mapping of str to Command
        The commands by name.
    arguments : sequence of str
        The arguments to be parsed.

    Returns
    -------
    argparse.ArgumentParser
        It raises ValueError for bad arguments.
    """
    parser = _Parser(
        prog="fastem",
        description="Gaussian mixtures by the EM algorithm, on all cores.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    chosen = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, command in commands.items():
        sub = subparsers.add_parser(name, help=command.help, description=command.description)
        if name == chosen:
            command.add_options(sub)
            sub.set_defaults(run=command.run)
    return parser


def add_fit_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `fastem fit`."""
    from .acceleration import ACCELERATORS
    from .covariances import COVARIANCES
    from .initialization import METHODS
    from .mixture import GaussianMixture

    signature = inspect.signature(GaussianMixture)
    default = {name: parameter.default for name, parameter in signature.parameters.items()}

    def add(flag: str, parameter: str, text: str, **kwargs: Any) -> None:
        value = default[parameter]
        parser.add_argument(
            flag, dest=parameter, default=value, help=f"{text} (default: {value})", **kwargs
        )

    parser.add_argument("data", metavar="DATA", help="file of numbers, one row a line")
    parser.add_argument(
        "-k",
        "--components",
        dest="n_components",
        type=_integer(1),
        required=True,
        metavar="K",
        help="number of components",
    )
    add("--covariance", "covariance_type", "structure of the covariances", choices=[*COVARIANCES])
    _add_columns_option(parser)
    parser.add_argument(
        "--weights", metavar="COLUMN", help="column of row weights, which is then no feature"
    )
    parser.add_argument("-o", "--output", metavar="MODEL", help="save the model in this file")
    add("--init", "init_params", "how to start", choices=[*METHODS])
    add("--n-init", "n_init", "starts, of which the best is kept", type=_integer(1), metavar="N")
    add("--max-iter", "max_iter", "most iterations of one start", type=_integer(1), metavar="N")
    add(
        "--tol",
        "tol",
        "stop when the log-likelihood per row rises by less",
        type=_not_negative,
        metavar="X",
    )
    add(
        "--reg-covar",
        "reg_covar",
        'added to the variances, to keep them positive; "auto": relative to the data',
        type=_not_negative_or_auto,
        metavar="X",
    )
    add(
        "--accelerate",
        "accelerate",
        "jump ahead where EM is slow, as with overlapping components",
        choices=[*ACCELERATORS],
    )
    parser.add_argument(
        "--prior",
        action="store_const",
        const="auto",
        help="the most probable parameters under a weak prior, so that no component collapses",
    )
    parser.add_argument(
        "--seed",
        dest="random_state",
        type=_integer(0, maximum=2**32 - 1),
        default=0,
        metavar="N",
        help="seed of the random start (default: 0)",
    )
    _add_threads_option(parser)
    parser.add_argument("--float32", action="store_true", help="compute in single precision")
    parser.add_argument("--quiet", action="store_true", help="show no progress and no summary")


def _add_model_and_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="model file that fastem fit saved")
    parser.add_argument("data", metavar="DATA", help="file of numbers, one row a line")
    _add_columns_option(parser)


def _add_columns_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--columns",
        type=_column_list,
        metavar="A,B,...",
        help="columns to use, by name or by number from 1",
    )


def _add_threads_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threads",
        dest="n_threads",
        type=_threads,
        metavar="N",
        help="threads, -1 for all CPUs (default: OMP_NUM_THREADS, or all physical cores)",
    )


def add_predict_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `fastem predict`."""
    _add_model_and_data(parser)
    _add_output_option(parser)
    parser.add_argument(
        "--proba", action="store_true", help="also write the probability of every component"
    )
    _add_threads_option(parser)


def _add_output_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        default="-",
        metavar="CSV",
        help="file to write (default: -, the standard output)",
    )


def add_score_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `fastem score`."""
    _add_model_and_data(parser)
    parser.add_argument(
        "-o", "--output", metavar="CSV", help="write the log-density of every row to this file"
    )
    _add_threads_option(parser)


def add_sample_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `fastem sample`."""
    parser.add_argument("model", metavar="MODEL", help="model file that fastem fit saved")
    parser.add_argument(
        "-n",
        "--rows",
        type=_integer(1, maximum=2**31 - 1),  # what the random numbers count with everywhere
        required=True,
        metavar="N",
        help="rows to draw",
    )
    parser.add_argument(
        "--seed",
        type=_integer(0, maximum=2**32 - 1),
        metavar="N",
        help="seed of the random numbers (default: a different sample each time)",
    )
    _add_output_option(parser)


def add_info_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `fastem info`."""
    parser.add_argument("model", metavar="MODEL", help="model file that fastem fit saved")


def add_plot_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `fastem plot`."""
    _add_model_and_data(parser)
    parser.add_argument(
        "-o", "--output", required=True, metavar="IMAGE", help="file to draw, .png, .pdf or .svg"
    )
