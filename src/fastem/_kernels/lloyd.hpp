// k-means: greedy k-means++ and Lloyd's steps. Points stand twice: as rows, which are added to the
// sums of a cluster, and feature by feature in groups of 32, which are compared with the centres.
//
// Distances are |x|^2 - 2 x.c + |c|^2 about the mean of the data: one multiply-add a feature, where
// the square of a difference takes two operations. What cancels is a part in 10^16 of the square of
// the data's range, and scikit-learn decides by the same. Products are summed in the same order as
// |x|^2, so that equal rows are at a distance of exactly 0.
//
// The points of a slot (a run of groups) are one thread's work; the number of slots depends on the
// sizes only, and what they hold is added in their order.
#pragma once

#include <cmath>
#include <limits>

#include "pulse.hpp"

namespace fastem::lloyd {

inline constexpr index group = 32;   // points: of every instruction set some whole register tiles
inline constexpr index panel = 4;    // centres that share the loads of a point
inline constexpr index tile = point_vectors * lanes<double>;  // points of a register tile
static_assert(group % tile == 0);

inline index groups(index n) { return (n + group - 1) / group; }
inline index panels(index n) { return (n + panel - 1) / panel; }
inline index whole_lines(index n) { return (n + 7) / 8 * 8; }
// As scikit-learn: that many candidates for each centre but the first.
inline index n_candidates(index K) {
    return 2 + static_cast<index>(std::log(static_cast<double>(K)));
}

// Points less their mean, carved from an arena. `shift` is at its beginning, then `rows`.
struct Points {
    double *shift, *rows, *groups, *norms;
    const double* weights;  // (n,), or null
    index n, D;

    static index size(index n, index D) {
        const index padded = lloyd::groups(n) * group;
        return whole_lines(D) + whole_lines(n * D) + padded * (D + 1);
    }
    Points() = default;  // Cython declares before it assigns
    Points(double* arena, const double* sample_weight, index n_rows, index n_features)
        : shift(arena),
          rows(shift + whole_lines(n_features)),
          groups(rows + whole_lines(n_rows * n_features)),
          norms(groups + lloyd::groups(n_rows) * group * n_features),
          weights(sample_weight),
          n(n_rows),
          D(n_features) {}
    index n_groups() const { return lloyd::groups(n); }
};

// What k-means needs beside the points.
struct Work {
    double *packed, *halves;             // centres or candidates in panels; half their |c|^2
    double *slots;                       // (n_slots, slot_size): sums, see Slot
    double *closest, *potentials;        // of each candidate: (points), (groups)
    index K, D, n_slots, n_padded, n_tried;

    static index slot_size(index K, index D) { return whole_lines(K * (D + 1) + 2); }
    static index size(index n, index D, index K, index n_slots) {
        const index tried = n_candidates(K), most = panels(std::max(K, tried)) * panel;
        return whole_lines(most * D) + whole_lines(most) + n_slots * slot_size(K, D) +
               tried * groups(n) * group + whole_lines(tried * groups(n));
    }
    Work() = default;
    Work(double* arena, index n, index n_features, index n_clusters, index slots_)
        : K(n_clusters), D(n_features), n_slots(slots_), n_padded(lloyd::groups(n) * group),
          n_tried(n_candidates(n_clusters)) {
        const index most = panels(std::max(K, n_tried)) * panel;
        packed = arena;
        halves = packed + whole_lines(most * D);
        slots = halves + whole_lines(most);
        closest = slots + n_slots * slot_size(K, D);
        potentials = closest + n_tried * n_padded;
    }
    // Sums over each cluster of w x and w (K, D + 1); of w |x - c|^2; and how many labels are new.
    double* slot(index s) const { return slots + s * slot_size(K, D); }
    double& inertia(index s) const { return slot(s)[K * (D + 1)]; }
    double& changed(index s) const { return slot(s)[K * (D + 1) + 1]; }
};

template <class T>
void mean_of_rows(const T* X, index row_stride, index column_stride, index n, index D,
                  double* mean, Pulse& pulse, int thread) noexcept {
    Watch watch(pulse, thread);
    // from the first row, so that what a column has in common, however large, costs no digits
    std::fill(mean, mean + D, 0.0);
    const auto from_first = [&](index i, index stride) {
        const T* x = X + i * row_stride;
        for (index j = 0; j < D; ++j)
            mean[j] += static_cast<double>(x[j * stride]) - static_cast<double>(X[j * stride]);
    };
    for (index i = 1; i < n; ++i) {
        if (column_stride == 1)
            from_first(i, 1);
        else
            from_first(i, column_stride);
        if (watch.ends(D)) return;
    }
    for (index j = 0; j < D; ++j)
        mean[j] = static_cast<double>(X[j * column_stride]) + mean[j] / static_cast<double>(n);
}

template <class T>
inline void load_group(const T* X, index row_stride, index column_stride, index n, index D,
                       const double* shift, index g, double* out) noexcept {
    const index begin = g * group, filled = std::min(n - begin, group);
    for (index i = 0; i < filled; ++i) {
        const T* x = X + (begin + i) * row_stride;
        for (index j = 0; j < D; ++j)
            out[j * group + i] = static_cast<double>(x[j * column_stride]) - shift[j];
    }
    if (filled < group)
        for (index j = 0; j < D; ++j)
            std::fill(out + j * group + filled, out + (j + 1) * group, 0.0);
}

// Points of some groups, less the shift.
template <class T>
void load_points(const T* X, index row_stride, index column_stride, const Points& points,
                 index first, index last, Pulse& pulse, int thread) noexcept {
    using V = vec<double>;
    Watch watch(pulse, thread);
    const index D = points.D;
    for (index g = first; g < last; ++g) {
        double* x = points.groups + g * group * D;
        load_group(X, row_stride, column_stride, points.n, D, points.shift, g, x);
        const index filled = std::min(points.n - g * group, group);
        double* rows = points.rows + g * group * D;
        for (index i = 0; i < filled; ++i)
            for (index j = 0; j < D; ++j) rows[i * D + j] = x[j * group + i];
        for (index i = 0; i < group; i += lanes<double>) {
            V norm(0.0);
            for (index j = 0; j < D; ++j) {
                const V v = load(x + j * group + i);
                norm = xsimd::fma(v, v, norm);
            }
            store(points.norms + g * group + i, norm);
        }
        if (watch.ends(8 * group * D)) return;
    }
}

// The mean variance of a feature, without weights: as scikit-learn takes it.
inline double mean_variance(const Points& points) noexcept {
    double sum = 0;
    for (index i = 0; i < points.n; ++i) sum += points.norms[i];
    return sum / static_cast<double>(points.n * points.D);
}

// Centres in panels: feature by feature, those of a panel side by side.
template <class Row>
inline void pack_centres(index n, index D, Row&& row, double* packed, double* halves) noexcept {
    for (index k = 0; k < panels(n) * panel; ++k) {
        double* out = packed + k / panel * panel * D + k % panel;
        const double* c = row(std::min(k, n - 1));
        double norm = 0;
        for (index j = 0; j < D; ++j) {
            out[j * panel] = c[j];
            norm += c[j] * c[j];
        }
        halves[k] = 0.5 * norm;
    }
}

using Dots = vec<double>[panel][point_vectors];

template <int C>
inline void dots_with(const double* x, const double* centres, index D, Dots& dots) noexcept {
    using V = vec<double>;
    for (int c = 0; c < C; ++c)
        for (index p = 0; p < point_vectors; ++p) dots[c][p] = V(0.0);
    for (index j = 0; j < D; ++j) {
        V xs[point_vectors];
        for (index p = 0; p < point_vectors; ++p) xs[p] = load(x + j * group + p * lanes<double>);
        for (int c = 0; c < C; ++c) {
            const V centre(centres[j * panel + c]);
            for (index p = 0; p < point_vectors; ++p)
                dots[c][p] = xsimd::fma(xs[p], centre, dots[c][p]);
        }
    }
}

// Calls f(k, dots) for each of n centres: its products with the points of a register tile.
template <class F>
inline void for_each_centre(const double* x, const double* packed, index n, index D,
                            F&& f) noexcept {
    for (index k = 0; k < n; k += panel) {
        Dots dots;
        const double* centres = packed + k * D;
        const index filled = std::min(n - k, panel);
        if (filled == 4) {
            dots_with<4>(x, centres, D, dots);
            for (index c = 0; c < 4; ++c) f(k + c, dots[c]);
        } else if (filled == 3) {
            dots_with<3>(x, centres, D, dots);
            for (index c = 0; c < 3; ++c) f(k + c, dots[c]);
        } else if (filled == 2) {
            dots_with<2>(x, centres, D, dots);
            for (index c = 0; c < 2; ++c) f(k + c, dots[c]);
        } else {
            dots_with<1>(x, centres, D, dots);
            f(k, dots[0]);
        }
    }
}

// The nearest centres of the points of a group: their numbers, and |c|^2 / 2 - x.c. The first of
// equals; centre 0 where nothing can be compared.
inline void nearest_in_group(const double* x, const double* packed, const double* halves, index K,
                             index D, double* best_out, double* label_out) noexcept {
    using V = vec<double>;
    for (index i = 0; i < group; i += tile) {
        V best[point_vectors], label[point_vectors];
        for (index p = 0; p < point_vectors; ++p) {
            best[p] = V(std::numeric_limits<double>::infinity());
            label[p] = V(0.0);
        }
        for_each_centre(x + i, packed, K, D, [&](index k, const V* dots) {
            const V half(halves[k]), number(static_cast<double>(k));
            for (index p = 0; p < point_vectors; ++p) {
                const V value = half - dots[p];
                const auto nearer = value < best[p];
                best[p] = xsimd::select(nearer, value, best[p]);
                label[p] = xsimd::select(nearer, number, label[p]);
            }
        });
        for (index p = 0; p < point_vectors; ++p) {
            store(best_out + i + p * lanes<double>, best[p]);
            store(label_out + i + p * lanes<double>, label[p]);
        }
    }
}

// Labels of a slot of groups, and, where wanted, the sums over the clusters.
inline void assign_slot(const Points& points, const Work& work, index s, bool sums_wanted,
                        int* labels, Pulse& pulse, int thread) noexcept {
    Watch watch(pulse, thread);
    const index D = points.D, K = work.K, n_groups = points.n_groups();
    const index first = n_groups * s / work.n_slots, last = n_groups * (s + 1) / work.n_slots;
    double* sums = work.slot(s);
    std::fill(sums, sums + Work::slot_size(K, D), 0.0);
    double inertia = 0;
    index changed = 0;
    alignas(64) double best[group], label[group];
    for (index g = first; g < last; ++g) {
        nearest_in_group(points.groups + g * group * D, work.packed, work.halves, K, D, best,
                         label);
        const index begin = g * group, filled = std::min(points.n - begin, group);
        for (index i = 0; i < filled; ++i) {
            const int k = static_cast<int>(label[i]);
            const double w = points.weights ? points.weights[begin + i] : 1.0;
            changed += labels[begin + i] != k;
            labels[begin + i] = k;
            inertia += w * std::max(0.0, points.norms[begin + i] + 2 * best[i]);
            if (!sums_wanted) continue;
            const double* row = points.rows + (begin + i) * D;
            double* sum = sums + k * (D + 1);
            if (points.weights)
                for (index j = 0; j < D; ++j) sum[j] += w * row[j];
            else
                for (index j = 0; j < D; ++j) sum[j] += row[j];
            sum[D] += w;
        }
        if (watch.ends(group * K * D)) return;
    }
    work.inertia(s) = inertia;
    work.changed(s) = static_cast<double>(changed);
}

inline void merge(const Work& work) noexcept {
    const index size = Work::slot_size(work.K, work.D);
    double* total = work.slot(0);
    for (index s = 1; s < work.n_slots; ++s) {
        const double* sums = work.slot(s);
        for (index i = 0; i < size; ++i) total[i] += sums[i];
    }
}

enum Step { goes_on = 0, settled = 1, arrived = 2, empty = 3 };

// Centres to the means of their rows. No row has another label: the centres stay as they are; a
// cluster is empty: so do they, and the sums lie in the first slot.
inline int move_centres(const Work& work, double tolerance, double* centres) noexcept {
    merge(work);
    const index D = work.D;
    const double* sums = work.slot(0);
    for (index k = 0; k < work.K; ++k)
        if (sums[k * (D + 1) + D] == 0) return empty;
    if (work.changed(0) == 0) return settled;
    double way = 0;
    for (index k = 0; k < work.K; ++k) {
        const double* sum = sums + k * (D + 1);
        for (index j = 0; j < D; ++j) {
            const double mean = sum[j] / sum[D], step = mean - centres[k * D + j];
            centres[k * D + j] = mean;
            way += step * step;
        }
    }
    return way <= tolerance ? arrived : goes_on;
}

inline void pack_for_step(const Work& work, const double* centres) noexcept {
    pack_centres(
        work.K, work.D, [&](index k) { return centres + k * work.D; }, work.packed, work.halves);
}

// --- k-means++ ---

// The row at which the running sum of the weights passes a share of the whole.
inline index any_row(const Points& points, double uniform) noexcept {
    const index n = points.n;
    if (!points.weights)
        return std::min(n - 1, static_cast<index>(uniform * static_cast<double>(n)));
    double total = 0, sum = 0;
    for (index i = 0; i < n; ++i) total += points.weights[i];
    for (index i = 0; i < n; ++i)
        if ((sum += points.weights[i]) > uniform * total) return i;
    return n - 1;
}

// The first row at which the running sum of w |x - nearest|^2 reaches a number: group by group,
// then within one.
inline index draw(const Points& points, const double* closest, const double* potentials,
                  double number) noexcept {
    const index n_groups = points.n_groups();
    double sum = 0;
    index g = 0;
    for (; g < n_groups - 1 && !(sum + potentials[g] >= number); ++g) sum += potentials[g];
    const index begin = g * group, end = std::min(points.n, begin + group);
    index last = end - 1;
    for (index i = begin; i < end; ++i) {
        const double part = points.weights ? points.weights[i] * closest[i] : closest[i];
        sum += part;
        if (sum >= number) return i;
        if (part > 0) last = i;
    }
    return last;  // by rounding: the group's sum was taken in another order
}

inline void pack_candidates(const Points& points, const Work& work, const index* rows,
                            index n) noexcept {
    const index D = points.D;
    pack_centres(
        n, D, [&](index c) { return points.rows + rows[c] * D; }, work.packed, work.halves);
    // |c|^2 as it was summed for the points
    for (index c = 0; c < n; ++c) work.halves[c] = 0.5 * points.norms[rows[c]];
}

// For some groups: with each of n candidates added to the centres, the squared distance of each
// point from the nearest, and the sum over a group. What it was without them stands where the
// candidate `before` was (-1: there were none), and is overwritten.
inline void try_candidates(const Points& points, const Work& work, index n, index before,
                           index first, index last, Pulse& pulse, int thread) noexcept {
    using V = vec<double>;
    constexpr index L = lanes<double>;
    Watch watch(pulse, thread);
    const index D = points.D, n_groups = points.n_groups();
    for (index g = first; g < last; ++g) {
        alignas(64) double was[group], weight[group];
        const index begin = g * group, filled = std::min(points.n - begin, group);
        for (index i = 0; i < group; ++i) {
            was[i] = before < 0 ? std::numeric_limits<double>::infinity()
                                : work.closest[before * work.n_padded + begin + i];
            weight[i] = i >= filled ? 0.0 : points.weights ? points.weights[begin + i] : 1.0;
        }
        for (index c = 0; c < n; ++c) work.potentials[c * n_groups + g] = 0;
        for (index i = 0; i < group; i += tile) {
            for_each_centre(points.groups + begin * D + i, work.packed, n, D,
                            [&](index c, const V* dots) {
                V sum(0.0);
                for (index p = 0; p < point_vectors; ++p) {
                    const index at = i + p * L;
                    V d = load(points.norms + begin + at) - 2.0 * dots[p] + 2.0 * work.halves[c];
                    d = xsimd::min(xsimd::max(d, V(0.0)), load(was + at));
                    store(work.closest + c * work.n_padded + begin + at, d);
                    sum = xsimd::fma(d, load(weight + at), sum);
                }
                work.potentials[c * n_groups + g] += xsimd::reduce_add(sum);
            });
        }
        if (watch.ends(group * n * D)) return;
    }
}

// The candidate that leaves the smallest sum of squared distances, and that sum.
inline index best_candidate(const Points& points, const Work& work, index n,
                            double* potential) noexcept {
    const index n_groups = points.n_groups();
    index best = 0;
    for (index c = 0; c < n; ++c) {
        double total = 0;
        for (index g = 0; g < n_groups; ++g) total += work.potentials[c * n_groups + g];
        if (c == 0 || total < *potential) {
            best = c;
            *potential = total;
        }
    }
    return best;
}

// More candidates than any number of clusters asks for: 2 + log(2^63) = 45.
inline constexpr index most_candidates = 48;

// The candidates for the next centre, drawn and packed; `before` is the last that was kept.
inline index next_candidates(const Points& points, const Work& work, const double* uniforms,
                             index c, index before, double potential, index* candidates) noexcept {
    const index n = c == 0 ? 1 : work.n_tried;
    if (c == 0) candidates[0] = any_row(points, uniforms[0]);
    else
        for (index i = 0; i < n; ++i)
            candidates[i] = draw(points, work.closest + before * work.n_padded,
                                 work.potentials + before * points.n_groups(),
                                 uniforms[1 + (c - 1) * n + i] * potential);
    pack_candidates(points, work, candidates, n);
    return n;
}

// --- all of it, on one thread ---

inline index arena_size(index n, index D, index K, index n_slots) {
    return Points::size(n, D) + Work::size(n, D, K, n_slots) + whole_lines(K * D);
}

// Labels of one problem, and where asked for its centres as X has them. Returns the number of
// clusters that have rows; -1 where one of them became empty or the call is left, and the labels are
// not what they should be.
template <class T>
int cluster(const T* X, index row_stride, index column_stride, const double* sample_weight, index n,
            index D, index K, index n_slots, const double* uniforms, double tolerance,
            index max_steps, double* arena, int* labels, double* centres_out,
            Pulse& pulse, int thread) noexcept {
    const Points points(arena, sample_weight, n, D);
    arena += Points::size(n, D);
    const Work work(arena, n, D, K, n_slots);
    double* centres = arena + Work::size(n, D, K, n_slots);
    mean_of_rows(X, row_stride, column_stride, n, D, points.shift, pulse, thread);
    load_points(X, row_stride, column_stride, points, 0, points.n_groups(), pulse, thread);
    index candidates[most_candidates], best = -1;
    double potential = 0;
    for (index c = 0; c < K; ++c) {
        const index tried = next_candidates(points, work, uniforms, c, best, potential, candidates);
        try_candidates(points, work, tried, best, 0, points.n_groups(), pulse, thread);
        if (pulse.look(thread)) return -1;
        best = best_candidate(points, work, tried, &potential);
        std::copy_n(points.rows + candidates[best] * D, D, centres + c * D);
    }
    tolerance *= mean_variance(points);
    std::fill(labels, labels + n, -1);
    int state = goes_on;
    for (index step = 0; step < max_steps && state == goes_on; ++step) {
        pack_for_step(work, centres);
        for (index s = 0; s < n_slots; ++s)
            assign_slot(points, work, s, true, labels, pulse, thread);
        if (pulse.look(thread)) return -1;
        state = move_centres(work, tolerance, centres);
    }
    if (state == empty) return -1;
    if (state != settled) {
        pack_for_step(work, centres);
        for (index s = 0; s < n_slots; ++s)
            assign_slot(points, work, s, false, labels, pulse, thread);
        if (pulse.over()) return -1;
    }
    if (centres_out)
        for (index k = 0; k < K; ++k)
            for (index j = 0; j < D; ++j)
                centres_out[k * D + j] = centres[k * D + j] + points.shift[j];
    double* counts = work.slot(0);
    std::fill(counts, counts + K, 0.0);
    int n_distinct = 0;
    for (index i = 0; i < n; ++i)
        if (counts[labels[i]]++ == 0) ++n_distinct;
    return n_distinct;
}

// The nearest centres of rows that are read once, of some groups.
template <class T>
void nearest_rows(const T* X, index row_stride, index column_stride, index n, index D,
                  const double* shift, const double* packed, const double* halves, index K,
                  index first, index last, double* scratch, int* labels, Pulse& pulse,
                  int thread) noexcept {
    Watch watch(pulse, thread);
    alignas(64) double best[group], label[group];
    for (index g = first; g < last; ++g) {
        load_group(X, row_stride, column_stride, n, D, shift, g, scratch);
        nearest_in_group(scratch, packed, halves, K, D, best, label);
        const index begin = g * group, filled = std::min(n - begin, group);
        for (index i = 0; i < filled; ++i) labels[begin + i] = static_cast<int>(label[i]);
        if (watch.ends(group * K * D)) return;
    }
}

}  // namespace fastem::lloyd
