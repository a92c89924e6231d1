// Every kernel on several threads and on one: the same bits, and nothing for a sanitizer to say.
//
//     kernels          all of it
//     kernels race     with a fault: the threads share one scratch
//     kernels overread with a fault: the last row of the data is missing
//
// The sanitizers know no races or overruns that Python hides from them: libgomp's threads look
// unsynchronised to ThreadSanitizer, and arrays from NumPy have room to spare. Here every array has
// exactly its size, each thread's scratch is its own, and the loops are those of kernels.pxi, with
// a schedule that gives every thread its share. Arrays begin with other contents in the two runs,
// so that what reads an element nobody wrote shows in the bits.
//
// To adapt it to a new kernel or argument: one function below calls each kernel.

#ifdef _OPENMP
#include <omp.h>
#else  // cross-compiled (tests/wheels): one thread has the scratch of all
static int omp_get_thread_num() { return 0; }
#endif

#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "cholesky.hpp"
#include "columns.hpp"
#include "codes.hpp"
#include "judge.hpp"
#include "structures.hpp"

namespace fastem {
namespace {

enum class Plant { nothing, race, overread } plant = Plant::nothing;
int n_threads = 1;
Pulse pulse;  // of every call: nobody asks to leave, but for `hand_out`

// As many elements as asked for, not one more, aligned as the kernels want them.
template <class T> class Array {
    static constexpr std::align_val_t alignment{64};
    struct Free {
        void operator()(T* p) const { ::operator delete(p, alignment); }
    };
    std::unique_ptr<T, Free> data;
    index count;

  public:
    explicit Array(index n = 0) : count(n) {
        const std::size_t bytes = static_cast<std::size_t>(n) * sizeof(T);
        data.reset(static_cast<T*>(::operator new(bytes, alignment)));
        std::memset(static_cast<void*>(data.get()), n_threads == 1 ? 0x00 : 0xff, bytes);
    }
    T* get() const { return count ? data.get() : nullptr; }  // as kernels.pxi: empty is none
    T& operator[](index i) const { return data.get()[i]; }
    T* begin() const { return data.get(); }
    T* end() const { return data.get() + count; }
};

// What came out of a run, to be compared with that of another.
struct Record {
    std::vector<unsigned char> bytes;
    template <class T> void add(const Array<T>& values) {
        const auto* p = reinterpret_cast<const unsigned char*>(values.begin());
        const auto* end = reinterpret_cast<const unsigned char*>(values.end());
        bytes.insert(bytes.end(), p, end);
    }
};

struct Random {
    std::mt19937_64 engine{1};
    double normal() { return std::normal_distribution<>()(engine); }
    double uniform() { return std::uniform_real_distribution<>()(engine); }
    index below(index n) { return static_cast<index>(uniform() * static_cast<double>(n)); }
};

// f(i, thread) for i < n, every thread in turn.
template <class F> void each(index n, F&& f) {
#pragma omp parallel for schedule(static, 1) num_threads(n_threads)
    for (index i = 0; i < n; ++i) f(i, omp_get_thread_num());
}

index part(index i, index n_parts, index n) { return n * i / n_parts; }

// One for each thread, apart from each other.
template <class T> struct Arenas {
    std::vector<Array<T>> arrays;
    explicit Arenas(index size) {
        for (int i = 0; i < n_threads; ++i) arrays.emplace_back(size);
    }
    T* of(int thread) const {
        return arrays[plant == Plant::race ? 0 : static_cast<std::size_t>(thread)].get();
    }
};

struct Case {
    index n_rows, D, K;
    bool packed, weighted, ordered, column_major;
};

// Rows in clusters, so that pairs of a row and a component are left out.
template <class T> struct Data {
    Array<double> centres;
    Array<T> X;
    index row_stride, column_stride;
    Array<double> weights, shift;
    Array<int> order, labels;

    Data(const Case& c, Random& random)
        : centres(c.K * c.D),
          X((c.n_rows - (plant == Plant::overread)) * c.D),
          row_stride(c.column_major ? 1 : c.D),
          column_stride(c.column_major ? c.n_rows - (plant == Plant::overread) : 1),
          weights(c.weighted ? c.n_rows : 0),
          shift(c.D),
          order(c.ordered ? c.n_rows : 0),
          labels(c.n_rows) {
        for (double& x : centres) x = 10 * random.normal();
        for (double& s : shift) s = random.normal();
        for (double& w : weights) w = random.uniform();
        for (index i = 0; i < c.n_rows; ++i) {
            labels[i] = static_cast<int>(random.below(c.K));
            if (c.ordered) order[i] = static_cast<int>(c.n_rows - 1 - i);
            if (plant == Plant::overread && i == c.n_rows - 1) continue;
            for (index j = 0; j < c.D; ++j)
                X[i * row_stride + j * column_stride] =
                    static_cast<T>(centres[labels[i] * c.D + j] + random.normal());
        }
    }
};

// Parameters of a mixture, and the next ones: a little further on.
template <template <class> class S> struct Mixture {
    Array<double> constants, means, factors;

    Mixture(const Case& c, const Array<double>& centres, Random& random)
        : constants(c.K),
          means(c.K * c.D),
          factors(S<double>::shared_precision_size(c.D) + c.K * S<double>::precision_size(c.D)) {
        const index matrix = c.D * c.D;
        const bool matrices = S<double>::shared_precision_size(c.D) == matrix ||
                              S<double>::precision_size(c.D) == matrix;
        for (index k = 0; k < c.K; ++k) constants[k] = -random.uniform();
        for (index i = 0; i < c.K * c.D; ++i) means[i] = centres[i] + 0.1 * random.normal();
        index i = 0;
        for (double& f : factors) {
            const index row = i % matrix / c.D, column = i % c.D;
            const bool diagonal = !matrices || row == column;
            f = diagonal ? 1 + random.uniform() : row < column ? 0.1 * random.normal() : 0;
            ++i;
        }
    }
    template <class T> Array<T> pack(int structure, const Case& c) const {
        Array<T> out(parameters_size(structure, c.D, c.K));
        pack_parameters(structure, constants.get(), means.get(), means.get(), factors.get(), c.D,
                        c.K, out.get(), pulse, 0);
        return out;
    }
};

template <class T> constexpr index tile_points(index D) {
    return (D <= 256 ? 512 : 1024) / static_cast<index>(sizeof(T));
}

// The passes of a fit, with bounds and sort keys, and those with labels and responsibilities.
template <class T, template <class> class S>
void fit(int structure, const Case& c, Record& record) {
    Random random;
    const Data<T> data(c, random);
    const index D = c.D, K = c.K, n = tile_points<T>(D), n_tiles = (c.n_rows + n - 1) / n;
    const index n_slots = std::min<index>(n_tiles, 16);
    const index size = K * statistics_size(structure, D) + Tally::size;
    Array<T> tiles(c.packed ? n_tiles * D * n : 0);
    if (c.packed)
        each(n_tiles, [&](index t, int thread) {
            load_tiles(data.X.get(), data.row_stride, data.column_stride, c.n_rows, D,
                       data.order.get(), data.shift.get(), t, t + 1, n, tiles.get(), pulse, thread);
        });
    const Arenas<T> arenas(scratch_size<T>(structure, D, K, n));
    Array<double> slots(n_slots * size);
    Array<float> slack(n_tiles * (n / group_size<T>(structure, D)) * K), level(n_tiles * n);
    std::fill(slack.begin(), slack.end(), unknown);
    std::fill(level.begin(), level.end(), 0.0f);
    Array<float> moved(3 * K);
    std::fill(moved.begin(), moved.end(), 0.0f);
    const Arenas<double> contractions(D * (D + 1));
    Array<double> ranges(2 * D);
    column_range(data.X.get(), data.row_stride, data.column_stride, D, 0, c.n_rows, ranges.get(),
                 ranges.get() + D, pulse, 0);
    for (index j = 0; j < 2 * D; ++j) ranges[j] -= data.shift[j % D];

    const auto pass = [&](const Array<T>& parameters, const int* labels, const T* known,
                          bool bounds, std::uint64_t* keys) {
        each(n_slots, [&](index s, int thread) {
            accumulate_slot<T>(structure, tiles.get(), data.X.get(), data.row_stride,
                               data.column_stride, data.order.get(), data.shift.get(),
                               data.weights.get(), c.n_rows, D, n, labels, known,
                               parameters.get(), K, fit_cut<T>, true,
                               bounds ? slack.get() : nullptr, bounds ? level.get() : nullptr,
                               moved.get(), keys, 32, part(s, n_slots, n_tiles),
                               part(s + 1, n_slots, n_tiles), arenas.of(thread),
                               slots.get() + s * size, pulse, thread);
        });
        each(n_threads, [&](index chunk, int thread) {
            merge_slots(slots.get(), n_slots, size, part(chunk, n_threads, size),
                        part(chunk + 1, n_threads, size), pulse, thread);
        });
        Array<double> counts(K), first(K * D), second(K * second_size(structure, D)), sums(size);
        unpack_statistics(structure, slots.get(), D, K, counts.get(), first.get(), second.get(),
                          pulse, 0);
        std::copy(slots.get(), slots.get() + size, sums.begin());
        for (const auto* out : {&counts, &first, &second, &sums}) record.add(*out);
    };

    Mixture<S> mixture(c, data.centres, random);
    for (int iteration = 0; iteration < 3; ++iteration) {
        Array<std::uint64_t> keys(c.n_rows);
        pass(mixture.template pack<T>(structure, c), nullptr, nullptr, true, keys.get());
        record.add(keys);
        record.add(slack);
        Mixture<S> next(c, mixture.means, random);
        const auto contract = [&](index k, int thread) {
            contraction(structure, mixture.means.get(), mixture.factors.get(), next.means.get(),
                        next.factors.get(), ranges.get(), D, k, contractions.of(thread),
                        moved.get(), moved.get() + K, moved.get() + 2 * K, pulse, thread);
        };
        contract(0, 0);
        each(K - 1, [&](index k, int thread) { contract(k + 1, thread); });
        for (index k = 0; k < K; ++k)
            moved[2 * K + k] += static_cast<float>(next.constants[k] - mixture.constants[k]);
        record.add(moved);
        mixture = std::move(next);
    }
    const Array<T> parameters = mixture.template pack<T>(structure, c);
    pass(parameters, nullptr, nullptr, false, nullptr);
    pass(parameters, data.labels.get(), nullptr, false, nullptr);
    Array<T> known(c.n_rows * K);
    for (T& r : known) r = static_cast<T>(random.uniform());
    pass(parameters, nullptr, known.get(), false, nullptr);

    Array<double> log_likelihood(c.n_rows);
    Array<T> responsibilities(c.n_rows * K);
    Array<long long> labels(c.n_rows);
    each(n_tiles, [&](index t, int thread) {
        score_slot(structure, data.X.get(), data.row_stride, data.column_stride, data.shift.get(),
                   c.n_rows, D, n, parameters.get(), K, t, t + 1, arenas.of(thread),
                   log_likelihood.get(), responsibilities.get(), labels.get(), pulse, thread);
    });
    record.add(log_likelihood);
    record.add(responsibilities);
    record.add(labels);
}

// Many mixtures, one of each problem, as accumulate_many: each by one thread.
template <class T, template <class> class S>
void fit_many(int structure, const Case& c, Record& record) {
    constexpr index n_problems = 7;
    Random random;
    const index D = c.D, K = c.K, n = tile_points<T>(D), n_tiles = (c.n_rows + n - 1) / n;
    std::vector<Data<T>> data;
    std::vector<Mixture<S>> mixtures;
    std::vector<Array<T>> tiles;
    for (index p = 0; p < n_problems; ++p) {
        data.emplace_back(c, random);
        mixtures.emplace_back(c, data.back().centres, random);
        tiles.emplace_back(n_tiles * D * n);
    }
    const index scratch = scratch_size<T>(structure, D, K, n);
    const index packed_size = parameters_size(structure, D, K);
    const index size = K * statistics_size(structure, D) + Tally::size;
    const Arenas<T> arenas(scratch + packed_size);
    const Arenas<double> sums(size);
    Array<double> ranges(n_problems * 2 * D), counts(n_problems * K), first(n_problems * K * D),
        second(n_problems * K * second_size(structure, D));
    each(n_problems, [&](index p, int thread) {
        const auto i = static_cast<std::size_t>(p);
        const Data<T>& rows = data[i];
        double* range = ranges.get() + p * 2 * D;
        column_range(rows.X.get(), rows.row_stride, rows.column_stride, D, 0, c.n_rows, range,
                     range + D, pulse, thread);
        load_tiles(rows.X.get(), rows.row_stride, rows.column_stride, c.n_rows, D,
                   static_cast<const int*>(nullptr), range, 0, n_tiles, n, tiles[i].get(), pulse,
                   thread);
        T* packed = arenas.of(thread) + scratch;
        pack_parameters(structure, mixtures[i].constants.get(), mixtures[i].means.get(),
                        mixtures[i].means.get(), mixtures[i].factors.get(), D, K, packed, pulse,
                        thread);
        accumulate_slot<T>(structure, tiles[i].get(), nullptr, 0, 0, nullptr, nullptr,
                           rows.weights.get(), c.n_rows, D, n, nullptr, nullptr, packed, K,
                           fit_cut<T>, false, nullptr, nullptr, nullptr, nullptr, 0, 0, n_tiles,
                           arenas.of(thread), sums.of(thread), pulse, thread);
        unpack_statistics(structure, sums.of(thread), D, K, counts.get() + p * K,
                          first.get() + p * K * D,
                          second.get() + p * K * second_size(structure, D), pulse, thread);
    });
    for (const auto* out : {&ranges, &counts, &first, &second}) record.add(*out);
}

// k-means, step by step on all threads and as a whole by each; and how well it divides.
template <class T> void kmeans(const Case& c, Record& record) {
    using namespace fastem::lloyd;
    Random random;
    const Data<T> data(c, random);
    const index n = c.n_rows, D = c.D, K = c.K, n_slots = 5;
    Array<double> points_arena(Points::size(n, D));
    const Points points(points_arena.get(), data.weights.get(), n, D);
    const T* X = data.X.get();
    mean_of_rows(X, data.row_stride, data.column_stride, n, D, points.shift, pulse, 0);
    const index n_groups = points.n_groups();
    each(n_slots, [&](index s, int thread) {
        load_points(X, data.row_stride, data.column_stride, points, part(s, n_slots, n_groups),
                    part(s + 1, n_slots, n_groups), pulse, thread);
    });

    Array<double> work_arena(Work::size(n, D, K, n_slots));
    const Work work(work_arena.get(), n, D, K, n_slots);
    Array<double> uniforms(1 + (K - 1) * n_candidates(K)), centres(K * D);
    for (double& u : uniforms) u = random.uniform();
    index candidates[most_candidates], best = -1;
    double potential = 0;
    for (index k = 0; k < K; ++k) {
        const index tried =
            next_candidates(points, work, uniforms.get(), k, best, potential, candidates);
        each(n_slots, [&, before = best](index s, int thread) {
            try_candidates(points, work, tried, before, part(s, n_slots, n_groups),
                           part(s + 1, n_slots, n_groups), pulse, thread);
        });
        best = best_candidate(points, work, tried, &potential);
        std::copy_n(points.rows + candidates[best] * D, D, centres.get() + k * D);
    }
    Array<int> labels(n);
    std::fill(labels.begin(), labels.end(), -1);
    for (int step = 0; step < 3; ++step) {
        pack_for_step(work, centres.get());
        each(n_slots, [&](index s, int thread) {
            assign_slot(points, work, s, true, labels.get(), pulse, thread);
        });
        if (move_centres(work, 1e-4 * mean_variance(points), centres.get()) != goes_on) break;
    }
    record.add(centres);
    record.add(labels);

    Array<double> nearest_arena(Work::size(0, D, K, 1));
    const Work nearest(nearest_arena.get(), 0, D, K, 1);
    pack_for_step(nearest, centres.get());
    const Arenas<double> group_arenas(group * D);
    Array<int> nearest_labels(n);
    each(n_groups, [&](index g, int thread) {
        nearest_rows(X, data.row_stride, data.column_stride, n, D, points.shift, nearest.packed,
                     nearest.halves, K, g, g + 1, group_arenas.of(thread), nearest_labels.get(),
                     pulse, thread);
    });
    record.add(nearest_labels);

    constexpr index n_problems = 5;
    const Arenas<double> arenas(arena_size(n, D, K, n_slots)), judges(Judge::size(n, D, K));
    Array<int> many_labels(n_problems * n), n_distinct(n_problems);
    Array<double> many_centres(n_problems * K * D), fits(n_problems);
    each(n_problems, [&](index i, int thread) {
        double* found = many_centres.get() + i * K * D;
        n_distinct[i] = cluster(X, data.row_stride, data.column_stride, data.weights.get(), n, D, K,
                                n_slots, uniforms.get(), 1e-4, 20, arenas.of(thread),
                                many_labels.get() + i * n, found, pulse, thread);
        fits[i] = judge_centres(points, found, K, judges.of(thread), pulse, thread);
    });
    record.add(many_labels);
    record.add(n_distinct);
    record.add(many_centres);
    record.add(fits);
}

// Moments of columns, with logarithms and without, in runs of whole blocks.
void columns(const Case& c, Record& record) {
    Random random;
    const Data<double> data(c, random);
    const index size = column_block(c.D), n_blocks = (c.n_rows + size - 1) / size;
    const index n_runs = std::min(n_blocks, index{3});
    for (double& x : data.X) x = std::abs(x);
    for (const bool logs : {false, true}) {
        Array<double> runs(n_runs * c.D * Column::size), all(c.D * Column::size);
        each(n_runs, [&](index s, int thread) {
            column_moments(data.X.get(), data.row_stride, data.column_stride, c.D,
                           data.weights.get(), logs, size * part(s, n_runs, n_blocks),
                           std::min(c.n_rows, size * part(s + 1, n_runs, n_blocks)),
                           runs.get() + s * c.D * Column::size, pulse, thread);
        });
        merge_columns(runs.get(), n_runs, c.D);
        std::copy_n(runs.get(), c.D * Column::size, all.get());
        record.add(all);
    }
}

// Values about a bracket; each run by one thread.
void divisions(index n, Record& record) {
    Random random;
    constexpr index n_runs = 4;
    Array<double> x(n), w(n), inside(n_runs * n), w_inside(n_runs * n), sums(n_runs * 5);
    for (double& value : x) value = random.normal();
    for (double& weight : w) weight = random.uniform();
    std::fill(inside.begin(), inside.end(), 0.0);  // what is beyond the end is of nobody
    std::fill(w_inside.begin(), w_inside.end(), 0.0);
    each(n_runs, [&](index s, int thread) {
        Sides sides;
        const index n_inside =
            divide(x.get(), s % 2 ? w.get() : nullptr, n, -0.1, 0.2, inside.get() + s * n,
                   s % 2 ? w_inside.get() + s * n : nullptr, sides, pulse, thread);
        const double found[] = {static_cast<double>(n_inside), sides.below, sides.away_below,
                                sides.above, sides.away_above};
        std::copy_n(found, 5, sums.get() + s * 5);
    });
    for (const auto* out : {&inside, &w_inside, &sums}) record.add(*out);
}

void factors(index n, index D, Record& record) {
    Random random;
    Array<double> matrices(n * D * D), out(n * D * D);
    for (index k = 0; k < n; ++k)
        for (index i = 0; i < D; ++i)
            for (index j = 0; j <= i; ++j) {
                const double x = i == j ? 2.0 * static_cast<double>(D) : random.normal();
                matrices[k * D * D + i * D + j] = matrices[k * D * D + j * D + i] = x;
            }
    each(n, [&](index k, int thread) {
        inverse_cholesky(matrices.get() + k * D * D, D, out.get() + k * D * D, pulse, thread);
    });
    record.add(out);
}

int times_asked = 0;
int leave_at_third() { return ++times_asked == 3; }

// Items are taken once each, and by nobody once a call is left.
bool hand_out() {
    constexpr index n = 100000;
    for (const bool leave : {false, true}) {
        Array<int> taken(n);
        std::fill(taken.begin(), taken.end(), 0);
        Pulse mine;
        times_asked = 0;
        mine.listen(leave ? leave_at_third : nullptr, nullptr);
        mine.share(n);
#pragma omp parallel num_threads(4)
        {
            const int thread = omp_get_thread_num();
            for (index i = mine.first(thread); i >= 0; i = mine.next(thread)) {
                ++taken[i];
                while (leave && !mine.look(thread)) std::this_thread::yield();
            }
        }
        index sum = 0;
        for (const int times : taken) sum += times;
        if (mine.raised() != leave || (leave ? sum > 4 : sum != n)) {
            std::puts("items are not handed out once each");
            return false;
        }
    }
    return true;
}

// Rows of 0 and 1 as codes, and a pass over them.
void codes(const Case& c, Record& record) {
    Random random;
    const index D = c.D, K = c.K, n_blocks = Codes::n_blocks(c.n_rows);
    const index n_slots = std::min<index>(n_blocks, 5), size = align(Codes::slot_size(D, K));
    Array<double> X(c.n_rows * D), weights(c.weighted ? c.n_rows : 0), constants(K), eta(K * D);
    for (double& x : X) x = random.uniform() < 0.4;
    for (double& w : weights) w = random.uniform();
    for (double& a : constants) a = -random.uniform();
    for (double& e : eta) e = random.normal();
    Array<Codes::Code> of_rows(n_blocks * Codes::block_rows * Codes::positions(D));
    Array<Codes::Code> of_columns(n_blocks * Codes::block_groups * D);
    each(n_blocks, [&](index b, int thread) {
        Codes::pack(X.get(), c.column_major ? 1 : D, c.column_major ? c.n_rows : 1, c.n_rows, D, b,
                    b + 1, of_rows.get(), of_columns.get(), pulse, thread);
    });
    Array<double> parameters(Codes::parameters_size(D, K)), slots(n_slots * size);
    std::fill(slots.begin(), slots.end(), 0.0);  // what lies behind a slot is added up with it
    const Arenas<double> arenas(Codes::scratch_size(K));
    Codes::pack_parameters(constants.get(), eta.get(), D, K, parameters.get(), pulse, 0);
    each(n_slots, [&](index s, int thread) {
        Codes::accumulate(of_rows.get(), of_columns.get(), weights.get(), c.n_rows, D,
                          parameters.get(), K, fit_cut<double>, part(s, n_slots, n_blocks),
                          part(s + 1, n_slots, n_blocks), arenas.of(thread), &slots[s * size],
                          pulse, thread);
    });
    merge_slots(slots.get(), n_slots, size, 0, size, pulse, 0);
    Array<double> counts(K), first(K * D);
    Codes::unpack(slots.get(), D, K, counts.get(), first.get());
    record.add(counts);
    record.add(first);
    record.add(slots);
    record.add(of_rows);
    record.add(of_columns);
}

// On one thread, then on four; whether the bits are the same.
template <class Run> bool same(const std::string& what, Run&& run) {
    Record serial, parallel;
    n_threads = 1;
    run(serial);
    n_threads = 4;
    run(parallel);
    if (serial.bytes == parallel.bytes) return true;
    std::printf("%s: other bits on %d threads than on one\n", what.c_str(), n_threads);
    return false;
}

template <class T> bool all_kernels(const char* type) {
    bool good = true;
    // sizes: of SmallFull, Full with whole and broken blocks, LargeFull
    const Case sizes[] = {{700, 2, 20, true, true, true, false},
                          {1, 1, 1, true, false, false, false},
                          {701, 6, 3, false, false, true, false},
                          {700, 8, 9, true, false, false, true},
                          {333, 13, 5, false, true, false, true},
                          {300, 13, 1, true, true, true, true},
                          {600, 259, 3, true, false, true, false},
                          {300, 259, 3, false, true, false, false}};
    for (const Case& c : sizes) {
        const std::string size = std::string(", ") + type + ", " + std::to_string(c.n_rows) +
                                 " x " + std::to_string(c.D) + ", K = " + std::to_string(c.K);
        for (int structure = 0; structure < n_structures; ++structure)
            with_structure(structure, c.D, [&](auto tag) {
                const std::string what = structure_name(structure) + size;
                good &= same(what, [&](Record& record) {
                    fit<T, decltype(tag)::template type>(structure, c, record);
                });
                good &= same("many " + what, [&](Record& record) {
                    fit_many<T, decltype(tag)::template type>(structure, c, record);
                });
            });
        if (c.K <= c.n_rows)
            good &= same("k-means" + size, [&](Record& record) { kmeans<T>(c, record); });
        if constexpr (std::is_same_v<T, double>)
            good &= same("codes" + size, [&](Record& record) { codes(c, record); });
    }
    return good;
}

}  // namespace
}  // namespace fastem

int main(int argc, char** argv) {
    using namespace fastem;
    const std::string asked = argc > 1 ? argv[1] : "";
    if (asked == "race") plant = Plant::race;
    if (asked == "overread") plant = Plant::overread;
    bool good = hand_out() && all_kernels<double>("float64") && all_kernels<float>("float32");
    for (const Case& c : {Case{5000, 1, 3, false, true, false, true},
                          Case{5000, 1, 3, false, false, false, false},
                          Case{701, 19, 2, false, true, false, false},
                          Case{512, 9, 2, false, false, false, true},
                          Case{1, 2, 1, false, true, false, false}})
        good &= same("columns", [&](Record& record) { columns(c, record); });
    for (const int n : {1, 7, 8, 1000, 3001})
        good &= same("divisions", [&](Record& record) { divisions(n, record); });
    for (const int D : {1, 2, 5, 33})
        good &= same("Cholesky factors", [&](Record& record) { factors(9, D, record); });
    std::puts(good ? "all kernels: the same bits on 1 and 4 threads" : "kernels are at fault");
    return good ? 0 : 1;
}
