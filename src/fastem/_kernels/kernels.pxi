# The compiled layer, once for each instruction set (_baseline.pyx, _avx2.pyx, _avx512.pyx include
# this file and are compiled with their own flags). It walks slots of tiles with the only prange of
# the project and merges them in a fixed order. The arithmetic is in the *.hpp beside it.
#
# Phases of one EM iteration:
#   pack_parameters   parameters in double to the layout the tiles read
#   accumulate        every slot: responsibilities and statistics, in one pass over the data
#   merge             slots to one, pairwise in index order
#   unpack            statistics to counts, first and second moments
#
# Many small mixtures go through the same phases at once: accumulate_many does all of them for one
# mixture on one thread, and the threads share out the mixtures.
#
# k-means, where EM begins, has points and phases of its own (lloyd.hpp), at the end of this file.
#
# Nothing here allocates: all arrays come from Python, and an empty array stands for "none".
#
# Whatever can take long is handed out by a Pulse (pulse.hpp): each thread takes items until none is
# left. A call that is left early, for a signal or a flag, ends with an exception, and what it was
# to fill is of no use.

import os
import threading

from libc.stdint cimport uint64_t

from cython cimport floating
from cython.parallel cimport prange, threadid


cdef extern from "pulse.hpp" namespace "fastem" nogil:
    cppclass Pulse:
        Pulse()
        void listen(int (*)() noexcept nogil, const int*)
        void share(Py_ssize_t)
        Py_ssize_t first(int)
        Py_ssize_t next(int)
        bint look(int)
        bint over()
        bint raised()


cdef extern from "structures.hpp" namespace "fastem" nogil:
    int n_structures "fastem::n_structures"
    const char* structure_name(int)

    Py_ssize_t statistics_size_ "fastem::statistics_size"(int, Py_ssize_t)
    Py_ssize_t second_size_ "fastem::second_size"(int, Py_ssize_t)
    Py_ssize_t tally_size "fastem::Tally::size"
    Py_ssize_t group_size_ "fastem::group_size"[T](int, Py_ssize_t)
    double fit_cut_double "fastem::fit_cut<double>"
    double fit_cut_float "fastem::fit_cut<float>"
    double score_cut_double "fastem::score_cut<double>"
    double score_cut_float "fastem::score_cut<float>"
    double far_double "fastem::far_log_density<double>"
    double far_float "fastem::far_log_density<float>"
    Py_ssize_t scratch_size_ "fastem::scratch_size"[T](
        int, Py_ssize_t, Py_ssize_t, Py_ssize_t)
    Py_ssize_t parameters_size_ "fastem::parameters_size"(int, Py_ssize_t, Py_ssize_t)
    Py_ssize_t precisions_size "fastem::precisions_size"(int, Py_ssize_t, Py_ssize_t)
    void column_range[T](
        const T*, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, double*, double*,
        Pulse&, int)
    void load_tiles[T](
        const T*, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, const int*, const double*,
        Py_ssize_t, Py_ssize_t, Py_ssize_t, T*, Pulse&, int)
    bint about_means_ "fastem::about_means"(int)
    void contraction_ "fastem::contraction"(
        int, const double*, const double*, const double*, const double*, const double*, Py_ssize_t,
        Py_ssize_t, double*, float*, float*, float*, Pulse&, int)
    void pack_parameters_ "fastem::pack_parameters"[T](
        int, const double*, const double*, const double*, const double*, Py_ssize_t, Py_ssize_t, T*,
        Pulse&, int)
    void accumulate_slot[T](
        int, const T*, const T*, Py_ssize_t, Py_ssize_t, const int*, const double*, const double*,
        Py_ssize_t, Py_ssize_t, Py_ssize_t, const int*, const T*, const T*, Py_ssize_t, double,
        bint, float*, float*, const float*, uint64_t*, int, Py_ssize_t, Py_ssize_t, T*, double*,
        Pulse&, int)
    void score_slot[T](
        int, const T*, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, Py_ssize_t, Py_ssize_t,
        const T*, Py_ssize_t, Py_ssize_t, Py_ssize_t, T*, double*, T*, long long*, Pulse&, int)
    void merge_slots(double*, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Pulse&, int)
    void unpack_statistics(
        int, const double*, Py_ssize_t, Py_ssize_t, double*, double*, double*, Pulse&, int)


cdef extern from "columns.hpp" namespace "fastem" nogil:
    Py_ssize_t column_size_ "fastem::Column::size"
    Py_ssize_t column_block_ "fastem::column_block"(Py_ssize_t)
    void column_moments_ "fastem::column_moments"(
        const double*, Py_ssize_t, Py_ssize_t, Py_ssize_t, const double*, bint, Py_ssize_t,
        Py_ssize_t, double*, Pulse&, int)
    void merge_columns(double*, Py_ssize_t, Py_ssize_t)
    cppclass Sides:
        double below, away_below, above, away_above
    Py_ssize_t divide_ "fastem::divide"(
        const double*, const double*, Py_ssize_t, double, double, double*, double*, Sides&, Pulse&,
        int)


cdef extern from "codes.hpp" namespace "fastem" nogil:
    Py_ssize_t code_block_ "fastem::Codes::block_rows"
    Py_ssize_t code_bits_ "fastem::Codes::bits"
    Py_ssize_t code_parameters_size_ "fastem::Codes::parameters_size"(Py_ssize_t, Py_ssize_t)
    Py_ssize_t code_slot_size_ "fastem::Codes::slot_size"(Py_ssize_t, Py_ssize_t)
    Py_ssize_t code_scratch_size_ "fastem::Codes::scratch_size"(Py_ssize_t)
    bint code_pack "fastem::Codes::pack"(
        const double*, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t,
        unsigned char*, unsigned char*, Pulse&, int)
    void code_parameters "fastem::Codes::pack_parameters"(
        const double*, const double*, Py_ssize_t, Py_ssize_t, double*, Pulse&, int)
    void code_accumulate "fastem::Codes::accumulate"(
        const unsigned char*, const unsigned char*, const double*, Py_ssize_t, Py_ssize_t,
        const double*, Py_ssize_t, double, Py_ssize_t, Py_ssize_t, double*, double*, Pulse&, int)
    void code_unpack "fastem::Codes::unpack"(
        const double*, Py_ssize_t, Py_ssize_t, double*, double*)


cdef extern from "cholesky.hpp" namespace "fastem" nogil:
    bint inverse_cholesky_ "fastem::inverse_cholesky"(double*, Py_ssize_t, double*, Pulse&, int)


cdef extern from "platform.hpp" namespace "fastem" nogil:
    int max_threads_ "fastem::max_threads"()
    bint has_openmp_ "fastem::has_openmp"()
    const char* compiler_ "fastem::compiler"()
    const char* vector_unit_ "fastem::vector_unit"()
    int cpu_level_ "fastem::cpu_level"()
    double fma_rate[T](double, T)


cdef extern from "Python.h":
    int PyErr_CheckSignals()  # without "except": the error stays set until _end tells of it
    unsigned long PyThread_get_thread_ident()


# Python handles signals in its main thread alone. No other thread asks: it would wait for the
# interpreter for nothing, and never get it again while that is shutting down.
cdef unsigned long _main_thread = threading.main_thread().ident


def _forked():
    global _main_thread
    _main_thread = PyThread_get_thread_ident()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


cdef int _ask() noexcept with gil:
    return PyErr_CheckSignals()


cdef void _listen(Pulse& pulse, const int* flag) noexcept:
    """What begins every call that can take long."""
    if PyThread_get_thread_ident() == _main_thread:
        pulse.listen(_ask, flag)
    else:
        pulse.listen(NULL, flag)


cdef int _end(Pulse& pulse) except -1:
    """Raises what ended a call early: the exception of a signal's handler, or KeyboardInterrupt."""
    if pulse.raised():
        return -1
    if pulse.over():
        raise KeyboardInterrupt
    return 0


# name of a structure's C++ template -> the code that the functions below take
STRUCTURES = {structure_name(code).decode(): code for code in range(n_structures)}


def max_threads():
    """Threads that OpenMP would use in the calling thread; 1 in a build without OpenMP."""
    return max_threads_()


def has_openmp():
    return bool(has_openmp_())


def compiler():
    return compiler_().decode()


def vector_unit():
    return vector_unit_().decode()


def cpu_level():
    """The highest instruction set this machine can run: 0 baseline, 1 AVX2, 2 AVX-512."""
    return cpu_level_()


def statistics_size(int structure, Py_ssize_t n_features):
    return statistics_size_(structure, n_features)


def second_size(int structure, Py_ssize_t n_features):
    return second_size_(structure, n_features)


def scratch_size(
    int structure, Py_ssize_t n_features, Py_ssize_t n_components, Py_ssize_t tile_size,
    Py_ssize_t itemsize
):
    if itemsize == sizeof(float):
        return scratch_size_[float](structure, n_features, n_components, tile_size)
    return scratch_size_[double](structure, n_features, n_components, tile_size)


def group_size(int structure, Py_ssize_t n_features, Py_ssize_t itemsize):
    """Points that are decided on together, whether a component can matter to any of them."""
    if itemsize == sizeof(float):
        return group_size_[float](structure, n_features)
    return group_size_[double](structure, n_features)


def about_means(int structure):
    """Whether moments are about the means unless told otherwise; about 0 where not."""
    return bool(about_means_(structure))


def fit_cut(Py_ssize_t itemsize, bint skip):
    """Components less likely than the best by this much, in logarithms, have no part in a point.

    Without `skip`: nothing above what underflows is left out.
    """
    if itemsize == sizeof(float):
        return fit_cut_float if skip else score_cut_float
    return fit_cut_double if skip else score_cut_double


def far_log_density(Py_ssize_t itemsize):
    """Below minus this a log-density has no digits left that tell components apart."""
    return far_float if itemsize == sizeof(float) else far_double


def parameters_size(int structure, Py_ssize_t n_features, Py_ssize_t n_components):
    return parameters_size_(structure, n_features, n_components)


cdef inline Py_ssize_t _slot_begin(
    Py_ssize_t slot, Py_ssize_t n_slots, Py_ssize_t n
) noexcept nogil:
    """The first of n items that belongs to a slot; slots differ by one item at most."""
    return slot * (n // n_slots) + min(slot, n % n_slots)


def column_ranges(
    const floating[:, :] X,     # IN  (n_rows, n_features)
    double[:, :, ::1] out,      # OUT (n_slots, 2, n_features): minima and maxima of runs of rows
    int n_threads,              # IN
):
    """The range of each column, for each of n_slots runs of rows."""
    cdef Py_ssize_t n_slots = out.shape[0], n_rows = X.shape[0], n_features = X.shape[1]
    cdef Py_ssize_t row_stride = X.strides[0] // <Py_ssize_t>sizeof(floating)
    cdef Py_ssize_t column_stride = X.strides[1] // <Py_ssize_t>sizeof(floating)
    cdef Py_ssize_t s
    cdef int thread
    cdef Pulse pulse
    _listen(pulse, NULL)
    pulse.share(n_slots)
    for thread in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
        s = pulse.first(threadid())
        while s >= 0:
            column_range(
                &X[0, 0], row_stride, column_stride, n_features, _slot_begin(s, n_slots, n_rows),
                _slot_begin(s + 1, n_slots, n_rows), &out[s, 0, 0], &out[s, 1, 0], pulse,
                threadid())
            s = pulse.next(threadid())
    _end(pulse)


#: numbers that `column_moments` has of each column
COLUMN_SIZE = column_size_


def column_block(Py_ssize_t n_columns):
    """Rows that `column_moments` takes together."""
    return column_block_(n_columns)


def column_moments(
    const double[:, :] X,       # IN  (n_rows, n_columns)
    const double[::1] weights,  # IN  (n_rows,) or empty
    bint logs,                  # IN  whether those of log x are wanted
    double[:, :, ::1] runs,     # SCRATCH (n_runs, n_columns, COLUMN_SIZE); OUT in the first: sum of
                                #     the weights, least and greatest value, 1 where all are
                                #     integers; of x and of log x the mean, what its rounding has
                                #     lost, and squares about it
    int n_threads,              # IN
):
    """Range and moments of each column, in one pass."""
    cdef Py_ssize_t n_runs = runs.shape[0], n_rows = X.shape[0], n_columns = X.shape[1], s
    cdef Py_ssize_t row_stride = X.strides[0] // <Py_ssize_t>sizeof(double)
    cdef Py_ssize_t column_stride = X.strides[1] // <Py_ssize_t>sizeof(double)
    cdef Py_ssize_t size = column_block_(n_columns), n_blocks = (n_rows + size - 1) // size
    cdef const double* w = &weights[0] if weights.shape[0] else NULL
    cdef int thread
    cdef Pulse pulse
    _listen(pulse, NULL)
    pulse.share(n_runs)
    for thread in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
        s = pulse.first(threadid())
        while s >= 0:
            column_moments_(
                &X[0, 0], row_stride, column_stride, n_columns, w, logs,
                size * _slot_begin(s, n_runs, n_blocks),
                min(n_rows, size * _slot_begin(s + 1, n_runs, n_blocks)), &runs[s, 0, 0], pulse,
                threadid())
            s = pulse.next(threadid())
    _end(pulse)
    merge_columns(&runs[0, 0, 0], n_runs, n_columns)


def divide(
    const double[::1] x,        # IN  (n,)
    const double[::1] weights,  # IN  (n,) or empty
    double low,                 # IN
    double high,                # IN
    double[::1] inside,         # OUT (n,): in its beginning, the values from low to high
    double[::1] w_inside,       # OUT (n,) or empty: and their weights
):
    """Values about a bracket, by the thread that calls.

    Returns how many are inside, the weight of what is below, the weighted sum of the distances from
    there to `low`, the weight of what is above, and the sum of the distances to `high`.
    """
    cdef Sides sides
    cdef Py_ssize_t n_inside
    cdef Pulse pulse
    _listen(pulse, NULL)
    with nogil:
        n_inside = divide_(
            &x[0], &weights[0] if weights.shape[0] else NULL, x.shape[0], low, high, &inside[0],
            &w_inside[0] if w_inside.shape[0] else NULL, sides, pulse, 0)
    _end(pulse)
    return n_inside, sides.below, sides.away_below, sides.above, sides.away_above


def pack_tiles(
    const floating[:, :] X,     # IN  (n_rows, n_features)
    const int[::1] order,       # IN  (n_rows,) or empty: which row stands where
    const double[::1] shift,    # IN  (n_features,)
    Py_ssize_t tile_size,       # IN
    floating[:, :, ::1] out,    # OUT (n_tiles, n_features, tile_size), aligned to 64 bytes
    int n_threads,              # IN
):
    """Copy the rows, less the shift, into tiles."""
    cdef Py_ssize_t s, n_rows = X.shape[0], n_features = X.shape[1], n_tiles = out.shape[0]
    cdef Py_ssize_t row_stride = X.strides[0] // <Py_ssize_t>sizeof(floating)
    cdef Py_ssize_t column_stride = X.strides[1] // <Py_ssize_t>sizeof(floating)
    cdef const int* place = &order[0] if order.shape[0] else NULL
    cdef int thread
    cdef Pulse pulse
    _listen(pulse, NULL)
    pulse.share(n_threads)
    for thread in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
        s = pulse.first(threadid())
        while s >= 0:
            load_tiles(
                &X[0, 0], row_stride, column_stride, n_rows, n_features, place, &shift[0],
                _slot_begin(s, n_threads, n_tiles), _slot_begin(s + 1, n_threads, n_tiles),
                tile_size, &out[0, 0, 0], pulse, threadid())
            s = pulse.next(threadid())
    _end(pulse)


def pack_parameters(
    int structure,                              # IN
    const double[::1] constants,                # IN  (K,)
    const double[:, ::1] means,                 # IN  (K, D), less the shift
    const double[:, ::1] about,                 # IN  (K, D): what the moments are about
    const double[::1] precisions_cholesky,      # IN  flat, shape by structure
    floating[::1] out,                          # OUT (parameters_size,), aligned
):
    """Parameters in double to the layout that the tiles read."""
    cdef Py_ssize_t K = means.shape[0], D = means.shape[1]
    cdef Py_ssize_t expected = precisions_size(structure, D, K)
    if out.shape[0] != parameters_size_(structure, D, K):
        raise ValueError(f"the workspace is not of {K} components in {D} features")
    if precisions_cholesky.shape[0] != expected or constants.shape[0] != K:
        raise ValueError(
            f"the kernel takes {K} constants and {expected} numbers of precisions_cholesky, not "
            f"{constants.shape[0]} and {precisions_cholesky.shape[0]}: see "
            "Covariance.kernel_precisions")
    cdef Pulse pulse
    _listen(pulse, NULL)
    with nogil:
        pack_parameters_(
            structure, &constants[0], &means[0, 0], &about[0, 0], &precisions_cholesky[0], D, K,
            &out[0], pulse, 0)
    _end(pulse)


def contraction(
    int structure,                          # IN
    const double[:, ::1] old_means,         # IN  (K, D)
    const double[::1] old_factors,          # IN  flat precisions_cholesky, shape by structure
    const double[:, ::1] new_means,         # IN  (K, D)
    const double[::1] new_factors,          # IN  likewise
    const double[:, ::1] ranges,            # IN  (2, D) of the points, less the shift; of no use
                                            #     to a structure that is about its means
    double[:, ::1] scratch,                 # SCRATCH (n_threads, D * (D + 1))
    float[:, ::1] out,                      # OUT (3, K): keep, loss, rise
    int n_threads,                          # IN
):
    """How far any pair can have come nearer to mattering, but for its constant.

    The whitened distance |y| can have shrunk to keep |y| - loss, and the log-density have risen by
    `rise` besides.
    """
    cdef Py_ssize_t K = new_means.shape[0], D = new_means.shape[1], k
    cdef int thread
    cdef Pulse pulse
    _listen(pulse, NULL)
    contraction_(
        structure, &old_means[0, 0], &old_factors[0], &new_means[0, 0], &new_factors[0],
        &ranges[0, 0], D, 0, &scratch[0, 0], &out[0, 0], &out[1, 0], &out[2, 0], pulse, 0)
    pulse.share(K - 1)
    for thread in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
        k = pulse.first(threadid())
        while k >= 0:
            contraction_(
                structure, &old_means[0, 0], &old_factors[0], &new_means[0, 0], &new_factors[0],
                &ranges[0, 0], D, k + 1, &scratch[threadid(), 0], &out[0, 0], &out[1, 0],
                &out[2, 0], pulse, threadid())
            k = pulse.next(threadid())
    _end(pulse)


def accumulate(
    int structure,                              # IN
    const floating[:, :, ::1] packed,           # IN  (n_tiles, D, tile_size) or empty: read X
    const floating[:, :] X,                     # IN  (n_rows, D); only its shape where packed
    const int[::1] order,                       # IN  (n_rows,) or empty: which row stands where
    const double[::1] shift,                    # IN  (D,)
    const double[::1] sample_weight,            # IN  (n_rows,) in that order, or empty
    const int[::1] labels,                      # IN  (n_rows,) or empty
    const floating[:, ::1] responsibilities,    # IN  (n_rows, K) or empty
    const floating[::1] parameters,             # IN  from pack_parameters
    Py_ssize_t n_components,                    # IN
    Py_ssize_t tile_size,                       # IN
    double cut,                                 # IN  see fit_cut
    bint about_means,                           # IN  whether the moments are about the means
    float[:, ::1] slack,                        # INOUT (n_groups, K) or empty: see Bounds
    float[::1] level,                           # INOUT (n_tiles * tile_size,) or empty
    const float[:, ::1] moved,                  # IN  (3, K): keep, loss, rise: see contraction
    uint64_t[::1] sort_keys,                    # OUT (n_rows,) or empty: what to sort rows by
    int row_bits,                               # IN  low bits of a sort key that hold the row
    floating[:, ::1] arena,                     # SCRATCH (n_threads, scratch_size), aligned
    double[:, ::1] slots,                       # SCRATCH (n_slots, K * statistics_size + tally)
    double[::1] counts,                         # OUT (K,)
    double[:, ::1] first,                       # OUT (K, D)
    double[:, ::1] second,                      # OUT (K, second_size)
    double[::1] tally,                          # OUT (5,): see Tally
    int n_threads,                              # IN
):
    """Expected sufficient statistics about the means, in one pass."""
    cdef Py_ssize_t n_rows = X.shape[0], D = X.shape[1], n_slots = slots.shape[0]
    cdef Py_ssize_t n_tiles = (n_rows + tile_size - 1) // tile_size
    cdef Py_ssize_t row_stride = X.strides[0] // <Py_ssize_t>sizeof(floating)
    cdef Py_ssize_t column_stride = X.strides[1] // <Py_ssize_t>sizeof(floating)
    cdef const floating* tiles = &packed[0, 0, 0] if packed.shape[0] else NULL
    cdef const int* place = &order[0] if order.shape[0] else NULL
    cdef const double* weights = &sample_weight[0] if sample_weight.shape[0] else NULL
    cdef const int* known_labels = &labels[0] if labels.shape[0] else NULL
    cdef const floating* known = &responsibilities[0, 0] if responsibilities.shape[0] else NULL
    cdef float* slack_out = &slack[0, 0] if slack.shape[0] else NULL
    cdef float* level_out = &level[0] if level.shape[0] else NULL
    cdef uint64_t* keys = &sort_keys[0] if sort_keys.shape[0] else NULL
    cdef Py_ssize_t s, i, size = slots.shape[1]
    # a second parallel region costs more than a small sum, most of all on a busy machine
    cdef int n_merging = n_threads if n_slots * size > 1 << 20 else 1
    cdef double* second_out = NULL
    if second.shape[1]:
        second_out = &second[0, 0]
    cdef int thread
    cdef Pulse pulse
    _listen(pulse, NULL)
    pulse.share(n_slots)
    for thread in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
        s = pulse.first(threadid())
        while s >= 0:
            accumulate_slot(
                structure, tiles, &X[0, 0], row_stride, column_stride, place, &shift[0], weights,
                n_rows, D, tile_size, known_labels, known, &parameters[0], n_components, cut,
                about_means, slack_out, level_out, &moved[0, 0], keys, row_bits,
                _slot_begin(s, n_slots, n_tiles), _slot_begin(s + 1, n_slots, n_tiles),
                &arena[threadid(), 0], &slots[s, 0], pulse, threadid())
            s = pulse.next(threadid())
    _end(pulse)
    # Each element is summed over the slots in the same order, whoever does it.
    pulse.share(n_merging)
    for thread in prange(n_merging, nogil=True, schedule="static", num_threads=n_merging):
        s = pulse.first(threadid())
        while s >= 0:
            merge_slots(
                &slots[0, 0], n_slots, size, _slot_begin(s, n_merging, size),
                _slot_begin(s + 1, n_merging, size), pulse, threadid())
            s = pulse.next(threadid())
    _end(pulse)
    with nogil:
        unpack_statistics(
            structure, &slots[0, 0], D, n_components, &counts[0], &first[0, 0], second_out, pulse,
            0)
    _end(pulse)
    for i in range(tally_size):
        tally[i] = slots[0, size - tally_size + i]


#: rows of a block of `pack_codes`, and columns, or rows, of a code
CODE_BLOCK = code_block_
CODE_BITS = code_bits_


def code_parameters_size(Py_ssize_t n_features, Py_ssize_t n_components):
    return code_parameters_size_(n_features, n_components)


def code_slot_size(Py_ssize_t n_features, Py_ssize_t n_components):
    return code_slot_size_(n_features, n_components)


def code_scratch_size(Py_ssize_t n_components):
    return code_scratch_size_(n_components)


def pack_codes(
    const double[:, :] X,                   # IN  (n_rows, D)
    unsigned char[:, ::1] of_rows,          # OUT (n_blocks * CODE_BLOCK, codes of a row)
    unsigned char[:, ::1] of_columns,       # OUT (n_blocks * CODE_BLOCK / CODE_BITS, D)
    int n_threads,                          # IN
):
    """Rows of 0 and 1 as codes; returns whether they are (where not, the codes are of no use)."""
    cdef Py_ssize_t n_rows = X.shape[0], D = X.shape[1], s
    cdef Py_ssize_t n_blocks = of_rows.shape[0] // code_block_, n_runs = min(n_blocks, 64)
    cdef Py_ssize_t row_stride = X.strides[0] // <Py_ssize_t>sizeof(double)
    cdef Py_ssize_t column_stride = X.strides[1] // <Py_ssize_t>sizeof(double)
    cdef int thread, n_others = 0
    cdef Pulse pulse
    _listen(pulse, NULL)
    pulse.share(n_runs)
    for thread in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
        s = pulse.first(threadid())
        while s >= 0:
            if not code_pack(
                &X[0, 0], row_stride, column_stride, n_rows, D, _slot_begin(s, n_runs, n_blocks),
                _slot_begin(s + 1, n_runs, n_blocks), &of_rows[0, 0], &of_columns[0, 0], pulse,
                threadid()
            ):
                n_others += 1
            s = pulse.next(threadid())
    _end(pulse)
    return n_others == 0


def accumulate_codes(
    const unsigned char[:, ::1] of_rows,    # IN  from pack_codes
    const unsigned char[:, ::1] of_columns,  # IN  likewise
    const double[::1] sample_weight,        # IN  (n_rows,) or empty
    Py_ssize_t n_rows,                      # IN
    const double[::1] constants,            # IN  (K,)
    const double[:, ::1] eta,               # IN  (K, D)
    double cut,                             # IN  see fit_cut
    double[::1] parameters,                 # SCRATCH (code_parameters_size,), aligned
    double[:, ::1] arena,                   # SCRATCH (n_threads, code_scratch_size), aligned
    double[:, ::1] slots,                   # SCRATCH (n_slots, code_slot_size or more), aligned
    double[::1] counts,                     # OUT (K,)
    double[:, ::1] first,                   # OUT (K, D)
    int n_threads,                          # IN
):
    """Expected sufficient statistics, in one pass; returns the log-likelihood."""
    cdef Py_ssize_t K = eta.shape[0], D = eta.shape[1], n_slots = slots.shape[0], s
    cdef Py_ssize_t n_blocks = of_rows.shape[0] // code_block_, size = slots.shape[1]
    cdef Py_ssize_t expected = code_parameters_size_(D, K)
    if constants.shape[0] != K or parameters.shape[0] != expected or of_columns.shape[1] != D:
        raise ValueError(f"the workspace is not of {K} components in {D} features")
    cdef const double* weights = &sample_weight[0] if sample_weight.shape[0] else NULL
    cdef int thread
    cdef Pulse pulse
    _listen(pulse, NULL)
    with nogil:
        code_parameters(&constants[0], &eta[0, 0], D, K, &parameters[0], pulse, 0)
    _end(pulse)
    pulse.share(n_slots)
    for thread in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
        s = pulse.first(threadid())
        while s >= 0:
            code_accumulate(
                &of_rows[0, 0], &of_columns[0, 0], weights, n_rows, D, &parameters[0], K, cut,
                _slot_begin(s, n_slots, n_blocks), _slot_begin(s + 1, n_slots, n_blocks),
                &arena[threadid(), 0], &slots[s, 0], pulse, threadid())
            s = pulse.next(threadid())
    _end(pulse)
    with nogil:
        merge_slots(&slots[0, 0], n_slots, size, 0, size, pulse, 0)
        code_unpack(&slots[0, 0], D, K, &counts[0], &first[0, 0])
    _end(pulse)
    return slots[0, code_slot_size_(D, K) - 1]


def pack_many(
    const floating[:, :] X,             # IN  (n_rows, D): the rows of every problem in turn
    const Py_ssize_t[:, ::1] layout,    # IN  (n_problems, 4), see accumulate_many
    double[:, :, ::1] shift,            # OUT (n_problems, 2, D): the shift, and what is of no use
    floating[::1] tiles,                # OUT the tiles of every problem in turn, aligned
    int n_threads,                      # IN
):
    """Copy the rows of every problem, less the point of their range nearest to 0, into tiles."""
    cdef Py_ssize_t D = X.shape[1], p, j, begin, n_rows, n
    cdef Py_ssize_t row_stride = X.strides[0] // <Py_ssize_t>sizeof(floating)
    cdef Py_ssize_t column_stride = X.strides[1] // <Py_ssize_t>sizeof(floating)
    cdef int thread
    cdef Pulse pulse
    _listen(pulse, NULL)
    pulse.share(layout.shape[0])
    for thread in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
        p = pulse.first(threadid())
        while p >= 0:
            begin = layout[p, 0]
            n_rows = layout[p, 1]
            n = layout[p, 3]
            column_range(
                &X[0, 0], row_stride, column_stride, D, begin, begin + n_rows, &shift[p, 0, 0],
                &shift[p, 1, 0], pulse, threadid())
            for j in range(D):
                shift[p, 0, j] = min(max(0.0, shift[p, 0, j]), shift[p, 1, j])
            load_tiles(
                &X[begin, 0], row_stride, column_stride, n_rows, D, <const int*>NULL,
                &shift[p, 0, 0], 0, (n_rows + n - 1) // n, n, &tiles[layout[p, 2]], pulse,
                threadid())
            p = pulse.next(threadid())
    _end(pulse)


def accumulate_many(
    int structure,                              # IN
    const floating[::1] tiles,                  # IN  from pack_many
    const Py_ssize_t[:, ::1] layout,            # IN  (n_problems, 4): the first row of a problem,
                                                #     its rows, where its tiles begin, points a tile
    const Py_ssize_t[::1] members,              # IN  (n,): the problem of each mixture
    const double[::1] sample_weight,            # IN  (n_rows,) or empty
    const Py_ssize_t[::1] known_begin,          # IN  (n,): a mixture's first label, responsibility
    const int[::1] labels,                      # IN  of every mixture in turn, or empty
    const floating[:, ::1] responsibilities,    # IN  of every mixture in turn, or empty
    const double[:, ::1] constants,             # IN  (n, K)
    const double[:, :, ::1] means,              # IN  (n, K, D), less the shifts
    const double[:, :, ::1] about,              # IN  (n, K, D): what the moments are about
    const double[:, ::1] precisions_cholesky,   # IN  (n, precisions_size)
    double cut,                                 # IN  see fit_cut
    floating[:, ::1] arena,                     # SCRATCH (n_threads, scratch_size +
                                                #          parameters_size), aligned
    double[:, ::1] statistics,                  # SCRATCH (n_threads, K * statistics_size +
                                                #          tally_size)
    double[:, ::1] counts,                      # OUT (n, K)
    double[:, :, ::1] first,                    # OUT (n, K, D)
    double[:, :, ::1] second,                   # OUT (n, K, second_size)
    double[::1] log_likelihood,                 # OUT (n,)
    const int[::1] stop,                        # IN  (1,): other than 0 ends it; or empty
    int n_threads,                              # IN
):
    """One E-step of many mixtures, each by one thread, each of one of many problems."""
    cdef Py_ssize_t n = members.shape[0], K = means.shape[1], D = means.shape[2], c, i, p
    cdef Py_ssize_t size = K * statistics_size_(structure, D)
    cdef Py_ssize_t packed_size = parameters_size_(structure, D, K)
    cdef Py_ssize_t expected = precisions_size(structure, D, K)
    if precisions_cholesky.shape[1] != expected:
        raise ValueError(
            f"the kernel takes {expected} numbers of precisions_cholesky a mixture, not "
            f"{precisions_cholesky.shape[1]}: see Covariance.kernel_precisions")
    # the packed parameters stand behind the scratch of the tiles
    cdef Py_ssize_t behind = arena.shape[1] - packed_size
    cdef bint has_weight = sample_weight.shape[0] > 0, has_second = second.shape[2] > 0
    cdef bint has_labels = labels.shape[0] > 0, has_known = responsibilities.shape[0] > 0
    cdef Py_ssize_t chunk = max(1, min(16, n // (8 * n_threads)))
    cdef floating* packed
    cdef double* sums
    cdef int thread
    cdef Pulse pulse
    _listen(pulse, &stop[0] if stop.shape[0] else NULL)
    pulse.share((n + chunk - 1) // chunk)
    for thread in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
        c = pulse.first(threadid())
        while c >= 0:
            packed = &arena[threadid(), behind]
            sums = &statistics[threadid(), 0]
            for i in range(c * chunk, min(n, (c + 1) * chunk)):
                p = members[i]
                pack_parameters_(
                    structure, &constants[i, 0], &means[i, 0, 0], &about[i, 0, 0],
                    &precisions_cholesky[i, 0], D, K, packed, pulse, threadid())
                accumulate_slot(
                    structure, &tiles[layout[p, 2]], <const floating*>NULL, 0, 0, NULL, NULL,
                    &sample_weight[layout[p, 0]] if has_weight else NULL, layout[p, 1], D,
                    layout[p, 3], &labels[known_begin[i]] if has_labels else NULL,
                    &responsibilities[known_begin[i], 0] if has_known else NULL,
                    <const floating*>packed, K, cut, False, NULL, NULL, NULL, NULL, 0, 0,
                    (layout[p, 1] + layout[p, 3] - 1) // layout[p, 3], &arena[threadid(), 0], sums,
                    pulse, threadid())
                unpack_statistics(
                    structure, sums, D, K, &counts[i, 0], &first[i, 0, 0],
                    &second[i, 0, 0] if has_second else NULL, pulse, threadid())
                log_likelihood[i] = sums[size]
            c = pulse.next(threadid())
    _end(pulse)


def score(
    int structure,                      # IN
    const floating[:, :] X,             # IN  (n_rows, D)
    const double[::1] shift,            # IN  (D,)
    const floating[::1] parameters,     # IN  from pack_parameters
    Py_ssize_t n_components,            # IN
    Py_ssize_t tile_size,               # IN
    floating[:, ::1] arena,             # SCRATCH (n_threads, scratch_size), aligned
    double[::1] log_likelihood,         # OUT (n_rows,) or empty
    floating[:, ::1] responsibilities,  # OUT (n_rows, K) or empty
    long long[::1] labels,              # OUT (n_rows,) or empty
    int n_threads,                      # IN
):
    """Log-likelihood, responsibilities and labels of each row, through the E-step's tiles."""
    cdef Py_ssize_t n_rows = X.shape[0], D = X.shape[1], s
    cdef Py_ssize_t n_tiles = (n_rows + tile_size - 1) // tile_size
    cdef Py_ssize_t row_stride = X.strides[0] // <Py_ssize_t>sizeof(floating)
    cdef Py_ssize_t column_stride = X.strides[1] // <Py_ssize_t>sizeof(floating)
    cdef double* log_likelihood_out = &log_likelihood[0] if log_likelihood.shape[0] else NULL
    cdef floating* responsibilities_out = (
        &responsibilities[0, 0] if responsibilities.shape[0] else NULL)
    cdef long long* labels_out = &labels[0] if labels.shape[0] else NULL
    cdef int thread
    cdef Pulse pulse
    _listen(pulse, NULL)
    pulse.share((n_tiles + 7) // 8)
    for thread in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
        s = pulse.first(threadid())
        while s >= 0:
            score_slot(
                structure, &X[0, 0], row_stride, column_stride, &shift[0], n_rows, D, tile_size,
                &parameters[0], n_components, 8 * s, min(n_tiles, 8 * s + 8), &arena[threadid(), 0],
                log_likelihood_out, responsibilities_out, labels_out, pulse, threadid())
            s = pulse.next(threadid())
    _end(pulse)


def inverse_cholesky(
    double[:, :, ::1] matrices,     # SCRATCH (K, D, D), symmetric; overwritten
    double[:, :, ::1] out,          # OUT (K, D, D), upper triangular: matrix^-1 = out out^T
    int n_threads,                  # IN
):
    """Inverse Cholesky factors; returns the first matrix not positive definite, or -1."""
    cdef Py_ssize_t k, n = matrices.shape[0], D = matrices.shape[1]
    cdef Py_ssize_t at_fault = n
    cdef int thread
    cdef Pulse pulse
    _listen(pulse, NULL)
    pulse.share(n)
    for thread in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
        k = pulse.first(threadid())
        while k >= 0:
            if not inverse_cholesky_(&matrices[k, 0, 0], D, &out[k, 0, 0], pulse, threadid()):
                out[k, 0, 0] = -1  # marks it; a factor's diagonal is positive
            k = pulse.next(threadid())
    _end(pulse)
    for k in range(n):
        if out[k, 0, 0] < 0:
            at_fault = k
            break
    return at_fault if at_fault < n else -1


def fma_rate_float64(double seconds):
    cdef double rate
    with nogil:
        rate = fma_rate(seconds, <double>1e-3)
    return rate


def fma_rate_float32(double seconds):
    cdef double rate
    with nogil:
        rate = fma_rate(seconds, <float>1e-3)
    return rate


# --- k-means ---

cdef extern from "lloyd.hpp" namespace "fastem::lloyd" nogil:
    cppclass LloydPoints "fastem::lloyd::Points":
        LloydPoints()
        LloydPoints(double*, const double*, Py_ssize_t, Py_ssize_t)
        double* shift
        Py_ssize_t n_groups()
    cppclass LloydWork "fastem::lloyd::Work":
        LloydWork()
        LloydWork(double*, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t)
        double* slot(Py_ssize_t)
        double* packed
        double* halves
    Py_ssize_t lloyd_group "fastem::lloyd::group"
    int lloyd_goes_on "fastem::lloyd::goes_on"
    int lloyd_settled "fastem::lloyd::settled"
    int lloyd_arrived "fastem::lloyd::arrived"
    int lloyd_empty "fastem::lloyd::empty"
    Py_ssize_t n_candidates_ "fastem::lloyd::n_candidates"(Py_ssize_t)
    Py_ssize_t points_size_ "fastem::lloyd::Points::size"(Py_ssize_t, Py_ssize_t)
    Py_ssize_t work_size_ "fastem::lloyd::Work::size"(
        Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t)
    Py_ssize_t cluster_size_ "fastem::lloyd::arena_size"(
        Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t)
    void mean_of_rows[T](
        const T*, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, double*, Pulse&, int)
    void load_points[T](
        const T*, Py_ssize_t, Py_ssize_t, const LloydPoints&, Py_ssize_t, Py_ssize_t, Pulse&, int)
    double mean_variance(const LloydPoints&)
    void pack_for_step(const LloydWork&, const double*)
    void assign_slot(
        const LloydPoints&, const LloydWork&, Py_ssize_t, bint, int*, Pulse&, int)
    void merge(const LloydWork&)
    int move_centres(const LloydWork&, double, double*)
    Py_ssize_t next_candidates(
        const LloydPoints&, const LloydWork&, const double*, Py_ssize_t, Py_ssize_t, double,
        Py_ssize_t*)
    void try_candidates(
        const LloydPoints&, const LloydWork&, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t,
        Pulse&, int)
    Py_ssize_t best_candidate(const LloydPoints&, const LloydWork&, Py_ssize_t, double*)
    int cluster[T](
        const T*, Py_ssize_t, Py_ssize_t, const double*, Py_ssize_t, Py_ssize_t, Py_ssize_t,
        Py_ssize_t, const double*, double, Py_ssize_t, double*, int*, double*, Pulse&, int)
    void nearest_rows[T](
        const T*, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, const double*, const double*,
        const double*, Py_ssize_t, Py_ssize_t, Py_ssize_t, double*, int*, Pulse&, int)


cdef extern from "judge.hpp" namespace "fastem::lloyd" nogil:
    Py_ssize_t judge_size_ "fastem::lloyd::Judge::size"(Py_ssize_t, Py_ssize_t, Py_ssize_t)
    double judge_centres(
        const LloydPoints&, const double*, Py_ssize_t, double*, Pulse&, int)


#: what `lloyd_steps` returns
LLOYD_GOES_ON, LLOYD_SETTLED, LLOYD_ARRIVED, LLOYD_EMPTY = (
    lloyd_goes_on, lloyd_settled, lloyd_arrived, lloyd_empty)


def n_candidates(Py_ssize_t n_clusters):
    """Rows that k-means++ tries for each centre but the first."""
    return n_candidates_(n_clusters)


def lloyd_points_size(Py_ssize_t n_rows, Py_ssize_t n_features):
    return points_size_(n_rows, n_features)


def lloyd_work_size(
    Py_ssize_t n_rows, Py_ssize_t n_features, Py_ssize_t n_clusters, Py_ssize_t n_slots
):
    return work_size_(n_rows, n_features, n_clusters, n_slots)


def lloyd_cluster_size(
    Py_ssize_t n_rows, Py_ssize_t n_features, Py_ssize_t n_clusters, Py_ssize_t n_slots
):
    return cluster_size_(n_rows, n_features, n_clusters, n_slots)


def lloyd_points(
    const floating[:, :] X,     # IN  (n_rows, D)
    double[::1] points,         # OUT (lloyd_points_size,), aligned: first the mean, then the rows
                                #     less the mean, each filled up to whole cache lines
    int n_threads,              # IN
):
    """Points as k-means reads them."""
    cdef Py_ssize_t n_rows = X.shape[0], D = X.shape[1], s
    cdef Py_ssize_t row_stride = X.strides[0] // <Py_ssize_t>sizeof(floating)
    cdef Py_ssize_t column_stride = X.strides[1] // <Py_ssize_t>sizeof(floating)
    cdef LloydPoints view = LloydPoints(&points[0], NULL, n_rows, D)
    cdef Py_ssize_t n_groups = view.n_groups()
    cdef int thread
    cdef Pulse pulse
    _listen(pulse, NULL)
    with nogil:
        mean_of_rows(&X[0, 0], row_stride, column_stride, n_rows, D, view.shift, pulse, 0)
    pulse.share(n_threads)
    for thread in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
        s = pulse.first(threadid())
        while s >= 0:
            load_points(
                &X[0, 0], row_stride, column_stride, view, _slot_begin(s, n_threads, n_groups),
                _slot_begin(s + 1, n_threads, n_groups), pulse, threadid())
            s = pulse.next(threadid())
    _end(pulse)


def lloyd_plus_plus(
    double[::1] points,             # IN  from lloyd_points
    const double[::1] weights,      # IN  (n_rows,) or empty
    Py_ssize_t n_rows,              # IN
    Py_ssize_t n_features,          # IN
    const double[::1] uniforms,     # IN  (1 + (K - 1) * n_candidates,): in [0, 1)
    Py_ssize_t n_slots,             # IN
    double[::1] work,               # SCRATCH (lloyd_work_size,), aligned
    Py_ssize_t[::1] rows,           # OUT (K,)
    int n_threads,                  # IN
):
    """Rows to begin k-means at, by greedy k-means++."""
    cdef Py_ssize_t K = rows.shape[0], c, s, tried, best = -1
    cdef LloydPoints view = LloydPoints(
        &points[0], &weights[0] if weights.shape[0] else NULL, n_rows, n_features)
    cdef LloydWork space = LloydWork(&work[0], n_rows, n_features, K, n_slots)
    cdef Py_ssize_t n_groups = view.n_groups(), before
    cdef Py_ssize_t[48] candidates
    cdef double potential = 0
    cdef int thread
    cdef Pulse pulse
    _listen(pulse, NULL)
    for c in range(K):
        tried = next_candidates(view, space, &uniforms[0], c, best, potential, candidates)
        before = best
        pulse.share(n_slots)
        for thread in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
            s = pulse.first(threadid())
            while s >= 0:
                try_candidates(
                    view, space, tried, before, _slot_begin(s, n_slots, n_groups),
                    _slot_begin(s + 1, n_slots, n_groups), pulse, threadid())
                s = pulse.next(threadid())
        _end(pulse)
        best = best_candidate(view, space, tried, &potential)
        rows[c] = candidates[best]


def lloyd_steps(
    double[::1] points,         # IN  from lloyd_points
    const double[::1] weights,  # IN  (n_rows,) or empty
    Py_ssize_t n_rows,          # IN
    double tolerance,           # IN  squared way of all centres, in mean variances
    Py_ssize_t n_steps,         # IN  at most; 0: only the labels, of the centres as they are
    Py_ssize_t n_slots,         # IN
    double[::1] work,           # SCRATCH (lloyd_work_size,), aligned
    double[:, ::1] centres,     # INOUT (K, D), less the mean of the rows
    int[::1] labels,            # INOUT (n_rows,): -1 before the first step
    double[:, ::1] sums,        # OUT (K, D + 1): of w x and w over the clusters
    double[::1] tally,          # OUT (3,): the inertia of the labels before the centres moved, how
                                #     many steps were done, and the squared way that is tolerated
    int n_threads,              # IN
):
    """Lloyd's steps; returns why it stopped.

    LLOYD_GOES_ON: the steps are done. LLOYD_SETTLED: no label changed, all is final.
    LLOYD_ARRIVED: the centres went less than the tolerance. LLOYD_EMPTY: a cluster has no rows;
    the centres are as before the step.
    """
    cdef Py_ssize_t K = centres.shape[0], D = centres.shape[1], s, step, i, k
    cdef LloydPoints view = LloydPoints(
        &points[0], &weights[0] if weights.shape[0] else NULL, n_rows, D)
    cdef LloydWork space = LloydWork(&work[0], n_rows, D, K, n_slots)
    cdef int state = lloyd_goes_on
    cdef bint wanted = n_steps > 0
    tolerance *= mean_variance(view)
    tally[1], tally[2] = 0, tolerance
    cdef int thread
    cdef Pulse pulse
    _listen(pulse, NULL)
    for step in range(max(1, n_steps)):
        pack_for_step(space, &centres[0, 0])
        pulse.share(n_slots)
        for thread in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
            s = pulse.first(threadid())
            while s >= 0:
                assign_slot(view, space, s, wanted, &labels[0], pulse, threadid())
                s = pulse.next(threadid())
        _end(pulse)
        if not wanted:
            merge(space)
            break
        tally[1] += 1
        state = move_centres(space, tolerance, &centres[0, 0])
        if state != lloyd_goes_on:
            break
    for k in range(K):
        for i in range(D + 1):
            sums[k, i] = space.slot(0)[k * (D + 1) + i]
    tally[0] = space.slot(0)[K * (D + 1)]
    return state


def lloyd_many(
    const floating[:, :] X,             # IN  (n_rows, D): the rows of every problem in turn
    const Py_ssize_t[:, ::1] layout,    # IN  (n, 4): the first row of each, its rows, its first
                                        #     label, its slots
    const double[::1] weights,          # IN  (n_rows,) or empty
    const double[:, ::1] uniforms,      # IN  (n or 1, 1 + (K - 1) * n_candidates)
    Py_ssize_t n_clusters,              # IN
    double tolerance,                   # IN  squared way of all centres, in mean variances
    Py_ssize_t max_steps,               # IN
    double[:, ::1] arena,               # SCRATCH (n_threads, lloyd_cluster_size), aligned
    int[::1] labels,                    # OUT of every problem in turn
    double[:, :, ::1] centres,          # OUT (n, K, D) or empty
    int[::1] n_distinct,                # OUT (n,): clusters that have rows; -1: one became empty,
                                        #     and the problem is to be done step by step
    int n_threads,                      # IN
):
    """k-means from the rows to the labels of many problems, each by one thread."""
    cdef Py_ssize_t n = layout.shape[0], D = X.shape[1], i, begin
    cdef Py_ssize_t row_stride = X.strides[0] // <Py_ssize_t>sizeof(floating)
    cdef Py_ssize_t column_stride = X.strides[1] // <Py_ssize_t>sizeof(floating)
    cdef Py_ssize_t of_its_own = uniforms.shape[0] > 1
    cdef bint has_centres = centres.shape[0] > 0
    cdef bint has_weight = weights.shape[0] > 0
    cdef int thread
    cdef Pulse pulse
    _listen(pulse, NULL)
    pulse.share(n)
    for thread in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
        i = pulse.first(threadid())
        while i >= 0:
            begin = layout[i, 0]
            n_distinct[i] = cluster(
                &X[begin, 0], row_stride, column_stride, &weights[begin] if has_weight else NULL,
                layout[i, 1], D, n_clusters, layout[i, 3], &uniforms[i * of_its_own, 0], tolerance,
                max_steps, &arena[threadid(), 0], &labels[layout[i, 2]],
                &centres[i, 0, 0] if has_centres else NULL, pulse, threadid())
            i = pulse.next(threadid())
    _end(pulse)


def lloyd_nearest(
    const floating[:, :] X,     # IN  (n_rows, D)
    const double[::1] shift,    # IN  (D,)
    double[:, ::1] centres,     # IN  (K, D), less the shift
    double[::1] packed,         # SCRATCH (lloyd_work_size of no rows and one slot,), aligned
    double[:, ::1] scratch,     # SCRATCH (n_threads, 32 * D), aligned
    int[::1] labels,            # OUT (n_rows,)
    int n_threads,              # IN
):
    """The nearest centre of each row."""
    cdef Py_ssize_t n_rows = X.shape[0], D = X.shape[1], K = centres.shape[0], s
    cdef Py_ssize_t row_stride = X.strides[0] // <Py_ssize_t>sizeof(floating)
    cdef Py_ssize_t column_stride = X.strides[1] // <Py_ssize_t>sizeof(floating)
    cdef Py_ssize_t n_groups = (n_rows + lloyd_group - 1) // lloyd_group
    cdef LloydWork space = LloydWork(&packed[0], 0, D, K, 1)
    pack_for_step(space, &centres[0, 0])
    cdef int thread
    cdef Pulse pulse
    _listen(pulse, NULL)
    pulse.share((n_groups + 63) // 64)
    for thread in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
        s = pulse.first(threadid())
        while s >= 0:
            nearest_rows(
                &X[0, 0], row_stride, column_stride, n_rows, D, &shift[0], space.packed,
                space.halves, K, 64 * s, min(n_groups, 64 * s + 64), &scratch[threadid(), 0],
                &labels[0], pulse, threadid())
            s = pulse.next(threadid())
    _end(pulse)


def judge_size(Py_ssize_t n_rows, Py_ssize_t n_features, Py_ssize_t n_clusters):
    return judge_size_(n_rows, n_features, n_clusters)


def lloyd_judge(
    double[::1] points,                 # IN  from lloyd_points
    Py_ssize_t n_rows,                  # IN
    const double[:, :, ::1] centres,    # IN  (n, K, D), as the rows were given
    double[:, ::1] arena,               # SCRATCH (n_threads, judge_size), aligned
    double[::1] fits,                   # OUT (n,)
    int n_threads,                      # IN
):
    """How well each of several sets of centres suits a normal mixture."""
    cdef Py_ssize_t n = centres.shape[0], K = centres.shape[1], D = centres.shape[2], i
    cdef LloydPoints view = LloydPoints(&points[0], NULL, n_rows, D)
    cdef int thread
    cdef Pulse pulse
    _listen(pulse, NULL)
    pulse.share(n)
    for thread in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
        i = pulse.first(threadid())
        while i >= 0:
            fits[i] = judge_centres(
                view, &centres[i, 0, 0], K, &arena[threadid(), 0], pulse, threadid())
            i = pulse.next(threadid())
    _end(pulse)
