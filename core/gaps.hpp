// Rows with missing cells under Gaussians: squared distances in the columns that are there, and moments with what is
// missing filled in by its conditional mean and covariance. Rows come in runs that lack the same columns.
#pragma once
#include <algorithm>
#include <cmath>

#include "vec.hpp"

namespace {

#if defined(ESTEP_SINGLE)
constexpr auto gap_distances = static_cast<void (*)(const estep::Gaps &, double *, double *)>(nullptr);
constexpr auto gap_moments =
    static_cast<void (*)(const estep::Gaps &, const double *, const double *, double *, double *, double *)>(nullptr);
#else

// One component seen through the columns of a run. With P the precision, m missing: C = P_mm^-1 is the conditional
// covariance of what is missing, A = -C P_m takes deviations (zero where missing) to conditional means of the rest, and
// P - P_m' C P_m is the precision of the columns there (Bishop 2006, eq. 2.96, 2.97 and 2.116).
class Marginal {
    const int64_t D;
    Array<double> L, C, A, P, column;
    Array<int64_t> there_, missing_;

    void invert(const double *precision) {  // C from the precision's block of what is missing; its log-determinant
        double pivots = 1;
        logdet = 0;
        for (int64_t i = 0; i < m; i++) {
            for (int64_t j = 0; j <= i; j++) {
                double s = precision[missing_[i] * D + missing_[j]];
                for (int64_t k = 0; k < j; k++) s -= L[i * m + k] * L[j * m + k];
                // rounding may leave a last pivot that is not positive
                L[i * m + j] = i == j ? std::sqrt(std::max(s, 1e-300)) : s / L[j * m + j];
            }
            pivots *= L[i * m + i];
            if (i % 2 == 1 || i + 1 == m) logdet += 2 * std::log(pivots), pivots = 1;
        }
        for (int64_t c = 0; c < m; c++) {
            for (int64_t i = c; i < m; i++) {
                double s = i == c;
                for (int64_t k = c; k < i; k++) s -= L[i * m + k] * column[k];
                column[i] = s / L[i * m + i];
            }
            for (int64_t i = m - 1; i >= c; i--) {
                double s = column[i];
                for (int64_t k = i + 1; k < m; k++) s -= L[k * m + i] * C[k * m + c];
                C[i * m + c] = C[c * m + i] = s / L[i * m + i];
            }
        }
    }

  public:
    int64_t o = 0, m = 0;  // columns there, missing
    const int64_t W;       // all columns, rounded up to whole vectors
    double logdet = 0;     // of the precision's block of what is missing

    explicit Marginal(int64_t D_) : D(D_), W(round_up(D_, V)) {
        L.zeros(D * D), C.zeros(D * D), column.zeros(D), A.zeros(D * W), P.zeros(D * W);
        there_.zeros(D), missing_.zeros(D);
    }

    void columns(const uint8_t *seen) {
        o = m = 0;
        for (int64_t d = 0; d < D; d++) (seen[d] ? there_[o++] : missing_[m++]) = d;
    }
    int64_t there(int64_t i) const { return there_[i]; }
    int64_t missing(int64_t i) const { return missing_[i]; }
    const double *fill(int64_t i) const { return A + i * W; }  // (W,), from the columns there to missing column i
    double conditional(int64_t i, int64_t j) const { return C[i * m + j]; }
    // Row i of the precision of the columns there, up to the diagonal, beside it doubled.
    const double *precision(int64_t i) const { return P + i * W; }

    void component(const double *precision, bool distances) {
        invert(precision);
        for (int64_t i = 0; i < m; i++) {
            double *a = A + i * W;
            std::fill(a, a + W, 0.0);
            for (int64_t k = 0; k < m; k++) {
                const double c = C[i * m + k], *row = precision + missing_[k] * D;
                for (int64_t d = 0; d < D; d++) a[d] -= c * row[d];
            }
        }
        for (int64_t i = 0; distances && i < o; i++) {
            const double *row = precision + there_[i] * D;
            double *p = P + i * W;
            for (int64_t j = 0; j <= i; j++) {
                double s = row[there_[j]];
                for (int64_t k = 0; k < m; k++) s += row[missing_[k]] * A[k * W + there_[j]];
                p[j] = i == j ? s : 2 * s;
            }
        }
    }
};

constexpr int TOGETHER = 4;    // rows, or vectors of rows, at a time
constexpr double FEW = 1e-20;  // rows with less than this part of a component's largest responsibility do not matter

// d' P d of N V rows in lanes; their deviations d (o, N V).
template <int N>
void squares(const Marginal &g, const double *d, double *out) {
    vec s[N] = {};
    for (int64_t i = 0; i < g.o; i++) {
        const double *p = g.precision(i);
        vec t[N] = {};
        for (int64_t j = 0; j <= i; j++) {
            const vec x = splat(p[j]);
            for (int c = 0; c < N; c++) t[c] += x * load(d + (j * N + c) * V);
        }
        for (int c = 0; c < N; c++) s[c] += t[c] * load(d + (i * N + c) * V);
    }
    for (int c = 0; c < N; c++) store(out + c * V, vmax(s[c], vec{}));
}

// The rows of a run in lanes, (o, all); zero past the last.
struct RunLanes {
    Array<double> rows, d, out;
    int64_t all = 0;
    explicit RunLanes(const estep::Gaps &in) {
        int64_t longest = 0;
        for (int64_t r = 0; r < in.R; r++) longest = std::max(longest, in.starts[r + 1] - in.starts[r]);
        rows.zeros(in.D * round_up(longest, V)), d.zeros(in.D * TOGETHER * V), out.zeros(TOGETHER * V);
    }
    void gather(const estep::Gaps &in, const Marginal &g, int64_t first, int64_t n) {
        all = round_up(n, V);
        for (int64_t j = 0; j < g.o; j++) {
            double *to = rows + j * all;
            const double *x = in.X + first * in.D + g.there(j);
            for (int64_t i = 0; i < n; i++) to[i] = x[i * in.D];
            std::fill(to + n, to + all, 0.0);
        }
    }
    template <int N>
    void run(const Marginal &g, const double *mean, int64_t i) {
        for (int64_t j = 0; j < g.o; j++) {
            const vec m = splat(mean[g.there(j)]);
            for (int c = 0; c < N; c++) store(d + (j * N + c) * V, load(rows + j * all + i + c * V) - m);
        }
        squares<N>(g, d.data(), out.data());
    }
};

// Buffers of a call: the rows of a run, TOGETHER deviations, a mean; zero where cells are missing.
struct RunBlock {
    Array<double> rows, d, mean;
    explicit RunBlock(const estep::Gaps &in) {
        int64_t longest = 0;
        for (int64_t r = 0; r < in.R; r++) longest = std::max(longest, in.starts[r + 1] - in.starts[r]);
        const int64_t W = round_up(in.D, V);
        rows.zeros(longest * W), d.zeros(TOGETHER * W), mean.zeros(W);
    }
    void gather(const estep::Gaps &in, const Marginal &g, int64_t first, int64_t n) {
        std::fill(rows.data(), rows + n * g.W, 0.0);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < g.o; j++) rows[i * g.W + g.there(j)] = in.X[(first + i) * in.D + g.there(j)];
    }
    void centre(const Marginal &g, const double *from) {
        std::fill(mean.data(), mean + g.W, 0.0);
        for (int64_t j = 0; j < g.o; j++) mean[g.there(j)] = from[g.there(j)];
    }
    void deviations(const Marginal &g, int64_t row, int at) {
        for (int64_t c = 0; c < g.W; c += V) store(d + at * g.W + c, load(rows + row * g.W + c) - load(mean + c));
    }
};

// dist (n, K); logdet (R, K): of the precision's block of what a run lacks.
void gap_distances(const estep::Gaps &in, double *dist, double *logdet) {
    Marginal g(in.D);
    RunLanes b(in);
    for (int64_t r = 0; r < in.R; r++) {
        const int64_t first = in.starts[r], n = in.starts[r + 1] - first;
        g.columns(in.seen + r * in.D);
        b.gather(in, g, first, n);
        for (int64_t k = 0; k < in.K; k++) {
            g.component(in.precisions + k * in.D * in.D, true);
            logdet[r * in.K + k] = g.logdet;
            const double *mean = in.means + k * in.D;
            for (int64_t i = 0; i < b.all;) {
                const int64_t left = (b.all - i) / V, some = left >= TOGETHER ? TOGETHER : left >= 2 ? 2 : 1;
                if (some == TOGETHER) b.run<TOGETHER>(g, mean, i);
                else if (some == 2) b.run<2>(g, mean, i);
                else b.run<1>(g, mean, i);
                const int64_t rows = std::min(some * V, n - i);
                for (int64_t a = 0; a < rows; a++) dist[(first + i + a) * in.K + k] = b.out[a];
                i += some * V;
            }
        }
    }
}

// Weighted sums over the rows of a run: how many, their sum (W,), their products (D, W), zero where cells are missing.
class RunSums {
    Array<double> weighted;

  public:
    Array<double> s, S;
    double N = 0;
    explicit RunSums(int64_t D) {
        const int64_t W = round_up(D, V);
        weighted.zeros(TOGETHER * W), s.zeros(W), S.zeros(D * W);
    }
    void clear(const Marginal &g) {
        N = 0;
        std::fill(s.data(), s + g.W, 0.0);
        for (int64_t i = 0; i < g.o; i++) std::fill(S + g.there(i) * g.W, S + (g.there(i) + 1) * g.W, 0.0);
    }
    void add(const Marginal &g, const double *d, const double *w) {  // TOGETHER rows
        for (int r = 0; r < TOGETHER; r++) {
            N += w[r];
            for (int64_t c = 0; c < g.W; c += V) {
                const vec x = splat(w[r]) * load(d + r * g.W + c);
                store(weighted + r * g.W + c, x);
                store(s + c, load(s + c) + x);
            }
        }
        for (int64_t i = 0; i < g.o; i++) {
            const int64_t a = g.there(i);
            double *row = S + a * g.W;
            for (int64_t c = 0; c < g.W; c += V) {
                vec x = load(row + c);
                for (int r = 0; r < TOGETHER; r++) x += splat(d[r * g.W + a]) * load(weighted + r * g.W + c);
                store(row + c, x);
            }
        }
    }
};

// Adds the sums of the columns there, and of what is missing by its conditional distribution; `more` conditional
// covariances.
void complete(const Marginal &g, const RunSums &t, double more, int64_t D, Array<double> &AS, double *first,
              double *second) {
    for (int64_t d = 0; d < D; d++) first[d] += t.s[d];
    for (int64_t i = 0; i < g.o; i++) {
        const int64_t a = g.there(i);
        for (int64_t d = 0; d < D; d++) second[a * D + d] += t.S[a * g.W + d];
    }
    for (int64_t i = 0; i < g.m; i++) {
        double *row = AS + i * g.W, mean = 0;
        std::fill(row, row + g.W, 0.0);
        for (int64_t j = 0; j < g.o; j++) {
            const int64_t a = g.there(j);
            const double fill = g.fill(i)[a];
            mean += fill * t.s[a];
            for (int64_t c = 0; c < g.W; c += V) store(row + c, load(row + c) + splat(fill) * load(t.S + a * g.W + c));
        }
        const int64_t b = g.missing(i);
        first[b] += mean;
        for (int64_t d = 0; d < D; d++) second[b * D + d] += row[d], second[d * D + b] += row[d];
    }
    for (int64_t i = 0; i < g.m; i++)
        for (int64_t j = 0; j < g.m; j++) {
            vec x{};
            for (int64_t c = 0; c < g.W; c += V) x += load(AS + i * g.W + c) * load(g.fill(j) + c);
            second[g.missing(i) * D + g.missing(j)] += everywhere(x)[0] + more * g.conditional(i, j);
        }
}

// Adds to mass (K,), first (K, D) and second (K, D, D), about the means; rows count `weight` (n, K), conditional
// covariances `times` (R, K).
void gap_moments(const estep::Gaps &in, const double *weight, const double *times, double *mass, double *first,
                 double *second) {
    const int64_t D = in.D;
    Marginal g(D);
    RunBlock b(in);
    RunSums t(D);
    Array<double> AS(D * g.W), least(in.K);
    Array<int64_t> those, count(in.K);  // the rows of a run that matter to each component
    for (int64_t i = 0; i < in.starts[in.R]; i++)
        for (int64_t k = 0; k < in.K; k++) least[k] = std::max(least[k], FEW * weight[i * in.K + k]);
    for (int64_t r = 0; r < in.R; r++) {
        const int64_t begin = in.starts[r], n = in.starts[r + 1] - begin;
        g.columns(in.seen + r * D);
        b.gather(in, g, begin, n);
        those.grow(n * in.K);
        std::fill(count.data(), count + in.K, 0);
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < in.K; k++)
                if (weight[(begin + i) * in.K + k] > least[k]) those[k * n + count[k]++] = i;
        for (int64_t k = 0; k < in.K; k++) {
            t.clear(g);
            b.centre(g, in.means + k * D);
            double w[TOGETHER] = {};
            for (int64_t i = 0; i < count[k]; i += TOGETHER) {
                for (int a = 0; a < TOGETHER; a++) {
                    const int64_t row = those[k * n + std::min(i + a, count[k] - 1)];
                    w[a] = i + a < count[k] ? weight[(begin + row) * in.K + k] : 0.0;
                    b.deviations(g, row, a);
                }
                t.add(g, b.d.data(), w);
            }
            const double more = times[r * in.K + k];
            if (t.N == 0 && more <= least[k]) continue;
            if (g.m > 0) g.component(in.precisions + k * D * D, false);
            mass[k] += t.N;
            complete(g, t, more, D, AS, first + k * D, second + k * D * D);
        }
    }
}
#endif

}  // namespace
