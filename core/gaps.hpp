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

// One component seen through the columns of a run. With L the precision, m missing and o there: C = L_mm^-1 is the
// conditional covariance of what is missing, A = -C L_mo takes deviations there to conditional means of the rest, and
// L_oo + L_om A is the precision of the columns there (Bishop 2006, eq. 2.96, 2.97 and 2.116).
class Marginal {
    const int64_t D;
    Array<double> L, C, A, P, column;
    Array<int64_t> there_, missing_;

    void invert(const double *precision) {  // C from the precision's block of what is missing; its log-determinant
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j <= i; j++) {
                double s = precision[missing_[i] * D + missing_[j]];
                for (int64_t k = 0; k < j; k++) s -= L[i * m + k] * L[j * m + k];
                // rounding may leave a last pivot that is not positive
                L[i * m + j] = i == j ? std::sqrt(std::max(s, 1e-300)) : s / L[j * m + j];
            }
        logdet = 0;
        for (int64_t i = 0; i < m; i++) logdet += 2 * std::log(L[i * m + i]);
        for (int64_t c = 0; c < m; c++) {
            for (int64_t i = 0; i < m; i++) {
                double s = i == c;
                for (int64_t k = c; k < i; k++) s -= L[i * m + k] * column[k];
                column[i] = i < c ? 0 : s / L[i * m + i];
            }
            for (int64_t i = m - 1; i >= 0; i--) {
                double s = column[i];
                for (int64_t k = i + 1; k < m; k++) s -= L[k * m + i] * column[k];
                column[i] = s / L[i * m + i];
            }
            for (int64_t i = 0; i < m; i++) C[i * m + c] = column[i];
        }
    }

  public:
    int64_t o = 0, m = 0, W = 0;  // columns there, missing; those there, rounded up to whole vectors
    double logdet = 0;            // of the precision's block of what is missing

    explicit Marginal(int64_t D_) : D(D_) {
        const int64_t wide = round_up(D, V);
        L.zeros(D * D), C.zeros(D * D), column.zeros(D), A.zeros(D * wide), P.zeros(D * wide);
        there_.zeros(D), missing_.zeros(D);
    }

    void columns(const uint8_t *seen) {
        o = m = 0;
        for (int64_t d = 0; d < D; d++) (seen[d] ? there_[o++] : missing_[m++]) = d;
        W = round_up(std::max<int64_t>(o, 1), V);
    }
    int64_t there(int64_t i) const { return there_[i]; }
    int64_t missing(int64_t i) const { return missing_[i]; }
    const double *fill(int64_t i) const { return A + i * W; }
    double conditional(int64_t i, int64_t j) const { return C[i * m + j]; }
    const double *precision(int64_t i) const { return P + i * W; }

    void component(const double *precision, bool distances) {
        invert(precision);
        for (int64_t i = 0; i < m; i++) {
            double *a = A + i * W;
            std::fill(a, a + W, 0.0);
            for (int64_t k = 0; k < m; k++)
                for (int64_t j = 0; j < o; j++) a[j] -= C[i * m + k] * precision[missing_[k] * D + there_[j]];
        }
        for (int64_t i = 0; distances && i < o; i++) {
            double *p = P + i * W;
            std::fill(p, p + W, 0.0);
            for (int64_t j = 0; j < o; j++) p[j] = precision[there_[i] * D + there_[j]];
            for (int64_t k = 0; k < m; k++) {
                const vec w = splat(precision[there_[i] * D + missing_[k]]);
                for (int64_t j = 0; j < W; j += V) store(p + j, load(p + j) + w * load(A + k * W + j));
            }
        }
    }
};

constexpr int TOGETHER = 4;  // rows at a time

// The rows of a run in the columns that are there: (W,) each, zero from o on.
void gather(const estep::Gaps &in, const Marginal &g, int64_t first, int64_t n, double *rows) {
    std::fill(rows, rows + n * g.W, 0.0);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < g.o; j++) rows[i * g.W + j] = in.X[(first + i) * in.D + g.there(j)];
}

// d' P d of TOGETHER rows d (W,).
void squares(const Marginal &g, const double *d, double *out) {
    vec s[TOGETHER] = {};
    for (int64_t c = 0; c < g.W; c += V) {
        vec t[TOGETHER] = {};
        for (int64_t i = 0; i < g.o; i++) {
            const vec p = load(g.precision(i) + c);
            for (int r = 0; r < TOGETHER; r++) t[r] += splat(d[r * g.W + i]) * p;
        }
        for (int r = 0; r < TOGETHER; r++) s[r] += t[r] * load(d + r * g.W + c);
    }
    for (int r = 0; r < TOGETHER; r++) out[r] = std::max(everywhere(s[r])[0], 0.0);
}

// Buffers of a call: rows of the longest run, TOGETHER deviations, a mean in the columns there.
struct RunBlock {
    Array<double> rows, d, mean;
    explicit RunBlock(const estep::Gaps &in) {
        int64_t longest = 0;
        for (int64_t r = 0; r < in.R; r++) longest = std::max(longest, in.starts[r + 1] - in.starts[r]);
        const int64_t wide = round_up(in.D, V);
        rows.zeros(longest * wide), d.zeros(TOGETHER * wide), mean.zeros(wide);
    }
    void centre(const Marginal &g, const double *from) {
        std::fill(mean.data(), mean.data() + g.W, 0.0);
        for (int64_t j = 0; j < g.o; j++) mean[j] = from[g.there(j)];
    }
    void deviations(const Marginal &g, int64_t row, int at) {
        for (int64_t c = 0; c < g.W; c += V) store(d + at * g.W + c, load(rows + row * g.W + c) - load(mean + c));
    }
};

// dist (n, K); logdet (R, K): of the precision's block of what a run lacks.
void gap_distances(const estep::Gaps &in, double *dist, double *logdet) {
    Marginal g(in.D);
    RunBlock b(in);
    for (int64_t r = 0; r < in.R; r++) {
        const int64_t first = in.starts[r], n = in.starts[r + 1] - first;
        g.columns(in.seen + r * in.D);
        gather(in, g, first, n, b.rows.data());
        for (int64_t k = 0; k < in.K; k++) {
            g.component(in.precisions + k * in.D * in.D, true);
            logdet[r * in.K + k] = g.logdet;
            b.centre(g, in.means + k * in.D);
            for (int64_t i = 0; i < n; i += TOGETHER) {
                const int some = static_cast<int>(std::min<int64_t>(TOGETHER, n - i));
                for (int a = 0; a < some; a++) b.deviations(g, i + a, a);
                double out[TOGETHER];
                squares(g, b.d.data(), out);
                for (int a = 0; a < some; a++) dist[(first + i + a) * in.K + k] = out[a];
            }
        }
    }
}

// Weighted sums over the rows of a run in the columns there: how many, their sum (W,), their products (o, W).
class RunSums {
    Array<double> weighted;

  public:
    Array<double> s, S;
    double N = 0;
    explicit RunSums(int64_t D) {
        const int64_t wide = round_up(D, V);
        weighted.zeros(TOGETHER * wide), s.zeros(wide), S.zeros(D * wide);
    }
    void clear(const Marginal &g) {
        N = 0;
        std::fill(s.data(), s.data() + g.W, 0.0);
        std::fill(S.data(), S.data() + g.o * g.W, 0.0);
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
        for (int64_t a = 0; a < g.o; a++) {
            double *row = S + a * g.W;
            for (int64_t c = a / V * V; c < g.W; c += V) {
                vec x = load(row + c);
                for (int r = 0; r < TOGETHER; r++) x += splat(d[r * g.W + a]) * load(weighted + r * g.W + c);
                store(row + c, x);
            }
        }
    }
    void mirror(const Marginal &g) {
        for (int64_t a = 0; a < g.o; a++)
            for (int64_t c = 0; c < a; c++) S[a * g.W + c] = S[c * g.W + a];
    }
};

// Adds the sums of the columns there, and of what is missing by its conditional distribution; `more` conditional
// covariances.
void complete(const Marginal &g, const RunSums &t, double more, int64_t D, Array<double> &AS, double *first,
              double *second) {
    for (int64_t a = 0; a < g.o; a++) {
        first[g.there(a)] += t.s[a];
        for (int64_t c = 0; c < g.o; c++) second[g.there(a) * D + g.there(c)] += t.S[a * g.W + c];
    }
    for (int64_t i = 0; i < g.m; i++) {
        double *row = AS + i * g.W, mean = 0;
        std::fill(row, row + g.W, 0.0);
        for (int64_t a = 0; a < g.o; a++) {
            const double fill = g.fill(i)[a];
            mean += fill * t.s[a];
            for (int64_t c = 0; c < g.W; c += V) store(row + c, load(row + c) + splat(fill) * load(t.S + a * g.W + c));
        }
        first[g.missing(i)] += mean;
        for (int64_t c = 0; c < g.o; c++) {
            second[g.missing(i) * D + g.there(c)] += row[c];
            second[g.there(c) * D + g.missing(i)] += row[c];
        }
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
    Array<double> AS(D * round_up(D, V));
    for (int64_t r = 0; r < in.R; r++) {
        const int64_t begin = in.starts[r], n = in.starts[r + 1] - begin;
        g.columns(in.seen + r * D);
        gather(in, g, begin, n, b.rows.data());
        for (int64_t k = 0; k < in.K; k++) {
            t.clear(g);
            b.centre(g, in.means + k * D);
            double w[TOGETHER] = {};
            int filled = 0;
            for (int64_t i = 0; i < n; i++) {
                const double one = weight[(begin + i) * in.K + k];
                if (one != 0) {
                    b.deviations(g, i, filled);
                    w[filled++] = one;
                }
                if (filled < TOGETHER && (filled == 0 || i + 1 < n)) continue;
                for (int a = filled; a < TOGETHER; a++) w[a] = 0;
                t.add(g, b.d.data(), w);
                filled = 0;
            }
            const double more = times[r * in.K + k];
            if (t.N == 0 && more == 0) continue;
            if (g.m > 0) g.component(in.precisions + k * D * D, false);
            t.mirror(g);
            mass[k] += t.N;
            complete(g, t, more, D, AS, first + k * D, second + k * D * D);
        }
    }
}
#endif

}  // namespace
