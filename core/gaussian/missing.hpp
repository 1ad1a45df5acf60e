// Rows with missing cells under Gaussians: squared distances in the columns that are there, and moments with what is
// missing filled in by its conditional mean and covariance. Rows come in runs that lack the same columns.
#pragma once
#include <algorithm>
#include <cmath>

#include "simd/vec.hpp"

namespace {

#if defined(ESTEP_SINGLE)
constexpr auto missing_distances = static_cast<void (*)(const estep::Gaps &, double *, double *)>(nullptr);
constexpr auto missing_moments =
    static_cast<void (*)(const estep::Gaps &, const double *, const double *, double *, double *, double *)>(nullptr);
#else

// One component seen through the columns of a run. Its factor F (F'F is the precision), the columns that are missing
// before those that are there, becomes R, upper triangular, by reflections (Householder 1958): R'R is the precision.
// Then R_oo'R_oo is the precision of the columns there, -R_mm^-1 R_mo takes deviations to conditional means of what is
// missing, and R_mm^-1 R_mm^-T is its conditional covariance (Bishop 2006, eq. 2.96 to 2.98 and 2.116). The error is
// that of F: of the square root of the condition.
class Marginal {
    const int64_t D;
    Array<double> R, v, A, U, P;  // R: column after column
    Array<int64_t> there_, missing_;

    double r(int64_t i, int64_t j) const { return R[j * W + i]; }

    void reflect(int64_t j) {  // column j is zero below its diagonal then
        double *q = R + j * W, squares = 0;
        for (int64_t i = j; i < D; i++) squares += q[i] * q[i];
        const double norm = std::sqrt(squares), head = q[j];
        if (!(norm > 0)) return;  // a factor is not singular
        std::fill(v.data(), v + W, 0.0);
        std::copy(q + j, q + D, v + j);
        v[j] += head > 0 ? norm : -norm;
        std::fill(q + j, q + D, 0.0);
        q[j] = head > 0 ? -norm : norm;
        const double scale = 1 / (norm * (norm + std::abs(head)));
        const int64_t from = j / V * V;
        for (int64_t c = j + 1; c < D; c++) {
            double *x = R + c * W;
            vec along{};
            for (int64_t i = from; i < W; i += V) along += load(v + i) * load(x + i);
            const vec by = everywhere(along) * splat(scale);
            for (int64_t i = from; i < W; i += V) store(x + i, load(x + i) - by * load(v + i));
        }
    }

    void invert() {  // U = R_mm^-1, (m, m), upper triangular
        for (int64_t c = 0; c < m; c++) {
            U[c * m + c] = 1 / r(c, c);
            for (int64_t i = c - 1; i >= 0; i--) {
                double s = 0;
                for (int64_t k = i + 1; k <= c; k++) s += r(i, k) * U[k * m + c];
                U[i * m + c] = -s / r(i, i);
            }
        }
    }

    void fills() {
        std::fill(A.data(), A + m * W, 0.0);
        for (int64_t j = 0; j < o; j++)
            for (int64_t i = m - 1; i >= 0; i--) {
                double s = r(i, m + j);
                for (int64_t k = i + 1; k < m; k++) s += r(i, k) * A[k * W + there_[j]];
                A[i * W + there_[j]] = -s / r(i, i);
            }
    }

  public:
    int64_t o = 0, m = 0;  // columns there, missing
    const int64_t W;       // all columns, rounded up to whole vectors
    double logdet = 0;     // of the precision's block of what is missing

    explicit Marginal(int64_t D_) : D(D_), W(round_up(D_, V)) {
        R.zeros(D * W), v.zeros(W), A.zeros(D * W), U.zeros(D * D), P.zeros(D * D);
        there_.zeros(D), missing_.zeros(D);
    }

    void columns(const uint8_t *seen) {
        o = m = 0;
        for (int64_t d = 0; d < D; d++) (seen[d] ? there_[o++] : missing_[m++]) = d;
    }
    int64_t there(int64_t i) const { return there_[i]; }
    int64_t missing(int64_t i) const { return missing_[i]; }
    const double *fill(int64_t i) const { return A + i * W; }  // (W,), from the columns there to missing column i
    double conditional(int64_t i, int64_t j) const {
        double s = 0;
        for (int64_t k = std::max(i, j); k < m; k++) s += U[i * m + k] * U[j * m + k];
        return s;
    }
    const double *row(int64_t i) const { return P + i * o; }  // of R_oo, from its diagonal on

    void factor(const double *F, int64_t reflections) {
        for (int64_t j = 0; j < D; j++) {
            const int64_t d = j < m ? missing_[j] : there_[j - m];
            for (int64_t i = 0; i < D; i++) R[j * W + i] = F[i * D + d];
        }
        for (int64_t j = 0; j < reflections; j++) reflect(j);
    }

    void for_distances(const double *F) {
        factor(F, D);
        double pivots = 1;
        logdet = 0;
        for (int64_t j = 0; j < m; j++) {
            pivots *= std::abs(r(j, j));
            if (j % 2 == 1 || j + 1 == m) logdet += 2 * std::log(pivots), pivots = 1;
        }
        for (int64_t i = 0; i < o; i++)
            for (int64_t j = i; j < o; j++) P[i * o + j] = r(m + i, m + j);
    }

    void for_moments(const double *F) {
        factor(F, m);
        invert();
        fills();
    }
};

constexpr int TOGETHER = 4;    // rows, or vectors of rows, at a time
constexpr double FEW = 1e-20;  // rows with less than this part of a component's largest responsibility do not matter

// |R_oo d|^2 of N V rows in lanes; their deviations d (o, N V).
template <int N>
void squares(const Marginal &g, const double *d, double *out) {
    vec s[N] = {};
    for (int64_t i = 0; i < g.o; i++) {
        const double *row = g.row(i);
        vec t[N] = {};
        for (int64_t j = i; j < g.o; j++) {
            const vec x = splat(row[j]);
            for (int c = 0; c < N; c++) t[c] += x * load(d + (j * N + c) * V);
        }
        for (int c = 0; c < N; c++) s[c] += t[c] * t[c];
    }
    for (int c = 0; c < N; c++) store(out + c * V, s[c]);
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
void missing_distances(const estep::Gaps &in, double *dist, double *logdet) {
    Marginal g(in.D);
    RunLanes b(in);
    for (int64_t r = 0; r < in.R; r++) {
        const int64_t first = in.starts[r], n = in.starts[r + 1] - first;
        g.columns(in.seen + r * in.D);
        b.gather(in, g, first, n);
        for (int64_t k = 0; k < in.K; k++) {
            g.for_distances(in.factors + k * in.D * in.D);
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
void missing_moments(const estep::Gaps &in, const double *weight, const double *times, double *mass, double *first,
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
            if (g.m > 0) g.for_moments(in.factors + k * D * D);
            mass[k] += t.N;
            complete(g, t, more, D, AS, first + k * D, second + k * D * D);
        }
    }
}
#endif

}  // namespace
