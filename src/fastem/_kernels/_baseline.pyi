from typing import Any

from numpy.typing import NDArray

_Array = NDArray[Any]

STRUCTURES: dict[str, int]

def max_threads() -> int: ...
def has_openmp() -> bool: ...
def compiler() -> str: ...
def vector_unit() -> str: ...
def cpu_level() -> int: ...
def statistics_size(structure: int, n_features: int) -> int: ...
def second_size(structure: int, n_features: int) -> int: ...
def scratch_size(
    structure: int, n_features: int, n_components: int, tile_size: int, itemsize: int
) -> int: ...
def group_size(structure: int, n_features: int, itemsize: int) -> int: ...
def tally_length() -> int: ...
def fit_cut(itemsize: int, skip: bool) -> float: ...
def parameters_size(structure: int, n_features: int, n_components: int) -> int: ...
def column_ranges(X: _Array, out: _Array, n_threads: int) -> None: ...
def pack_tiles(
    X: _Array, order: _Array, shift: _Array, tile_size: int, out: _Array, n_threads: int
) -> None: ...
def contraction(
    structure: int,
    old_means: _Array,
    old_factors: _Array,
    new_means: _Array,
    new_factors: _Array,
    scratch: _Array,
    out: _Array,
    n_threads: int,
) -> None: ...
def pack_parameters(
    structure: int,
    constants: _Array,
    means: _Array,
    about: _Array,
    precisions_cholesky: _Array,
    out: _Array,
) -> None: ...
def accumulate(
    structure: int,
    packed: _Array,
    X: _Array,
    order: _Array,
    shift: _Array,
    sample_weight: _Array,
    labels: _Array,
    responsibilities: _Array,
    parameters: _Array,
    n_components: int,
    tile_size: int,
    cut: float,
    about_means: bool,
    slack: _Array,
    level: _Array,
    moved: _Array,
    sort_keys: _Array,
    row_bits: int,
    arena: _Array,
    slots: _Array,
    counts: _Array,
    first: _Array,
    second: _Array,
    tally: _Array,
    n_threads: int,
) -> None: ...
def pack_many(X: _Array, layout: _Array, shift: _Array, tiles: _Array, n_threads: int) -> None: ...
def accumulate_many(
    structure: int,
    tiles: _Array,
    layout: _Array,
    members: _Array,
    sample_weight: _Array,
    known_begin: _Array,
    labels: _Array,
    responsibilities: _Array,
    constants: _Array,
    means: _Array,
    about: _Array,
    precisions_cholesky: _Array,
    cut: float,
    arena: _Array,
    statistics: _Array,
    counts: _Array,
    first: _Array,
    second: _Array,
    log_likelihood: _Array,
    n_threads: int,
) -> None: ...
def score(
    structure: int,
    X: _Array,
    shift: _Array,
    parameters: _Array,
    n_components: int,
    tile_size: int,
    arena: _Array,
    log_likelihood: _Array,
    responsibilities: _Array,
    labels: _Array,
    n_threads: int,
) -> None: ...
def inverse_cholesky(matrices: _Array, out: _Array, n_threads: int) -> int: ...
def fma_rate_float64(seconds: float) -> float: ...
def fma_rate_float32(seconds: float) -> float: ...
