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
def far_log_density(itemsize: int) -> float: ...
def about_means(structure: int) -> bool: ...
def fit_cut(itemsize: int, skip: bool) -> float: ...
def parameters_size(structure: int, n_features: int, n_components: int) -> int: ...

COLUMN_SIZE: int

def column_block(n_columns: int) -> int: ...
def column_moments(
    X: _Array, weights: _Array, logs: bool, runs: _Array, n_threads: int
) -> None: ...
def divide(
    x: _Array, weights: _Array, low: float, high: float, inside: _Array, w_inside: _Array
) -> tuple[int, float, float, float, float]: ...
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
    ranges: _Array,
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

CODE_BLOCK: int
CODE_BITS: int

def code_parameters_size(n_features: int, n_components: int) -> int: ...
def code_slot_size(n_features: int, n_components: int) -> int: ...
def code_scratch_size(n_components: int) -> int: ...
def pack_codes(X: _Array, of_rows: _Array, of_columns: _Array, n_threads: int) -> bool: ...
def accumulate_codes(
    of_rows: _Array,
    of_columns: _Array,
    sample_weight: _Array,
    n_rows: int,
    constants: _Array,
    eta: _Array,
    cut: float,
    parameters: _Array,
    arena: _Array,
    slots: _Array,
    counts: _Array,
    first: _Array,
    n_threads: int,
) -> float: ...
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
    stop: _Array,
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

LLOYD_GOES_ON: int
LLOYD_SETTLED: int
LLOYD_ARRIVED: int
LLOYD_EMPTY: int

def n_candidates(n_clusters: int) -> int: ...
def lloyd_points_size(n_rows: int, n_features: int) -> int: ...
def lloyd_work_size(n_rows: int, n_features: int, n_clusters: int, n_slots: int) -> int: ...
def lloyd_cluster_size(n_rows: int, n_features: int, n_clusters: int, n_slots: int) -> int: ...
def lloyd_points(X: _Array, points: _Array, n_threads: int) -> None: ...
def lloyd_plus_plus(
    points: _Array,
    weights: _Array,
    n_rows: int,
    n_features: int,
    uniforms: _Array,
    n_slots: int,
    work: _Array,
    rows: _Array,
    n_threads: int,
) -> None: ...
def lloyd_steps(
    points: _Array,
    weights: _Array,
    n_rows: int,
    tolerance: float,
    n_steps: int,
    n_slots: int,
    work: _Array,
    centres: _Array,
    labels: _Array,
    sums: _Array,
    tally: _Array,
    n_threads: int,
) -> int: ...
def lloyd_many(
    X: _Array,
    layout: _Array,
    weights: _Array,
    uniforms: _Array,
    n_clusters: int,
    tolerance: float,
    max_steps: int,
    arena: _Array,
    labels: _Array,
    centres: _Array,
    n_distinct: _Array,
    n_threads: int,
) -> None: ...
def lloyd_nearest(
    X: _Array,
    shift: _Array,
    centres: _Array,
    packed: _Array,
    scratch: _Array,
    labels: _Array,
    n_threads: int,
) -> None: ...
def judge_size(n_rows: int, n_features: int, n_clusters: int) -> int: ...
def lloyd_judge(
    points: _Array,
    n_rows: int,
    centres: _Array,
    arena: _Array,
    fits: _Array,
    n_threads: int,
) -> None: ...
