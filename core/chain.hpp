// Forward-backward of Markov chains in linear space (Rabiner 1989, section V.A), several sequences at a time in the
// lanes of a register, or one sequence with its states in the lanes. Where numbers too small for linear space could
// matter, the sequence is done again in log space.
#pragma once
#include "chain_log.hpp"

namespace {

constexpr double LOST = 1e-200;  // a possible forward probability below this may have lost its digits
constexpr int MAX_LANE_STATES = 16;
constexpr int64_t STEPS = 64;  // of a block of expected transitions, states in the lanes

// A block of consecutive sequences and the arrays of their rows, row by row.
struct Block {
    int64_t first_row, n, Kp;
    const int64_t *start, *stop;  // rows of each sequence, from first_row
    double *rows, *scale;         // (n, Kp) densities, then expected states; (n,) logs of the densities' scales
};

// log of a running product of normalisers: mantissas multiplied, exponents added, one log at the end.
struct LogProduct {
    vec mantissa = splat(1.0);
    ivec exponent = {};
    int count = 0;
    void times(vec c) {
        ivec e;
        mantissa *= split(c, e);
        exponent += e;
        if (++count == 512) fold();
    }
    void fold() {
        ivec e;
        mantissa = split(mantissa, e);
        exponent += e, count = 0;
    }
    double log(int lane) {
        return static_cast<double>(exponent[lane]) * 0.69314718055994530942 + std::log(mantissa[lane]);
    }
};

// Whether a linear-space result can be trusted. With every transition probable nothing that is lost can come back; else
// what was lost must stay negligible: it can regain at most the weight that the kept paths lose.
bool trusted(const ChainModel &m, bool vanished, bool lost, double logc) {
    return !vanished && !m.tiny && (m.positive || !lost || -logc < 400);
}

template <int K, bool POSITIVE>
void lanes(const ChainModel &model, Block &block, const int64_t *members, int count, const double *weight,
           bool backward, double *alpha, double *norm, vec *expected, double *loglik, bool *redo) {
    const int64_t Kp = block.Kp;
    int64_t length[V], T = 0, shortest = INT64_MAX;
    double *row[V];
    vec w0{};
    for (int l = 0; l < V; l++) {
        const int64_t s = members[l < count ? l : 0];
        length[l] = l < count ? block.stop[s] - block.start[s] : 0;
        row[l] = block.rows + block.start[s] * Kp;
        w0[l] = l < count ? weight ? weight[s] : 1 : 0;
        T = length[l] > T ? length[l] : T;
        shortest = length[l] < shortest ? length[l] : shortest;
    }
    auto active = [&](int64_t t) {
        ivec m;
        for (int l = 0; l < V; l++) m[l] = t < length[l] ? -1 : 0;
        return m;
    };
    auto gather = [&](int64_t t, vec *b) {  // densities of step t, 1 where a sequence is over
        for (int k0 = 0; k0 < K; k0 += V) {
            vec r[V];
            for (int l = 0; l < V; l++) r[l] = t < length[l] ? load(row[l] + t * Kp + k0) : splat(1.0);
            transpose(r);
            for (int k = k0; k < K && k < k0 + V; k++) b[k] = r[k - k0];
        }
    };
    auto scatter = [&](int64_t t, const vec *g) {
        for (int k0 = 0; k0 < K; k0 += V) {
            vec r[V];
            for (int k = 0; k < V; k++) r[k] = k0 + k < K ? g[k0 + k] : vec{};
            transpose(r);
            for (int l = 0; l < V; l++)
                if (t < length[l]) store(row[l] + t * Kp + k0, r[l]);
        }
    };
    const double *A = model.trans;
    vec a[K] = {}, b[K], p[K];
    LogProduct product;
    ivec lost{}, vanished{};
    for (int64_t t = 0; t < T; t++) {
        gather(t, b);
        for (int j = 0; j < K; j++) {
            p[j] = t ? a[0] * A[j] : splat(model.start[j]);
            for (int i = 1; t && i < K; i++) p[j] += a[i] * A[i * K + j];
        }
        vec c{};
        ivec now{};
        for (int j = 0; j < K; j++) {
            a[j] = p[j] * b[j];
            if (!POSITIVE) now |= (p[j] > 0.0) & (b[j] > 0.0) & (a[j] < LOST);
            c += a[j];
        }
        ivec on = t < shortest ? ~ivec{} : active(t);
        lost |= now & on;
        vanished |= (c < LOST) & on;
        c = (c < LOST) | ~on ? splat(1.0) : c;
        product.times(c);
        vec scale = 1.0 / c;
        store(norm + t * V, scale);
        for (int j = 0; j < K; j++) store(alpha + (t * K + j) * V, a[j] *= scale);
    }
    for (int l = 0; l < count; l++) {
        const double logc = product.log(l);
        loglik[members[l]] = logc;
        redo[members[l]] = !trusted(model, vanished[l], lost[l], logc);
        if (redo[members[l]]) w0[l] = 0;
    }
    if (!backward) return;
    vec beta[K], g[K], w[K];
    for (int i = 0; i < K; i++) beta[i] = w0, g[i] = load(alpha + ((T - 1) * K + i) * V) * w0;
    for (int64_t t = T - 2; t >= 0; t--) {
        gather(t + 1, b);
        scatter(t + 1, g);
        const vec scale = load(norm + (t + 1) * V);
        for (int j = 0; j < K; j++) w[j] = beta[j] * b[j] * scale;
        ivec on = t + 1 < shortest ? ~ivec{} : active(t + 1);
        for (int j = 0; t + 1 >= shortest && j < K; j++) w[j] = on ? w[j] : vec{};
        for (int i = 0; i < K; i++) {
            vec s = w[0] * A[i * K], at = load(alpha + (t * K + i) * V);
            for (int j = 1; j < K; j++) s += w[j] * A[i * K + j];
            s = on ? s : w0;
            beta[i] = at > 0.0 ? s : vec{};
            g[i] = at * beta[i];
            for (int j = 0; j < K; j++) expected[i * K + j] += at * w[j];
        }
    }
    scatter(0, g);
}

using LaneKernel = void (*)(const ChainModel &, Block &, const int64_t *, int, const double *, bool, double *, double *,
                            vec *, double *, bool *);
template <int... K>
LaneKernel lane_kernel(int64_t states, bool positive, std::integer_sequence<int, K...>) {
    static constexpr LaneKernel table[][2] = {{lanes<K + 1, false>, lanes<K + 1, true>}...};
    return table[states - 1][positive];
}

// One sequence, states in the lanes. rows (T, Kp) hold densities and end as expected states; alpha (T, Kp);
// trans (K, Kp) and its transpose; expected (K, Kp) += the sum over t of alpha_t (x) w_t+1.
void states(const ChainModel &m, int64_t T, double *rows, double weight, bool backward, double *alpha, double *norm,
            double *work, double *expected, double *loglik, bool *redo) {
    const int64_t K = m.K, Kp = m.Kp;
    double *p = work, *beta = work + Kp;
    LogProduct product;
    bool lost = false, vanished = false;
    auto matvec = [&](const double *x, const double *matrix, double *y) {  // y = x' matrix, both padded
        for (int64_t j = 0; j < Kp; j += V) {
            vec s0{}, s1{}, s2{}, s3{};
            int64_t i = 0;
            for (; i + 4 <= K; i += 4) {
                const double *q = matrix + i * Kp + j;
                s0 += x[i] * load(q), s1 += x[i + 1] * load(q + Kp);
                s2 += x[i + 2] * load(q + 2 * Kp), s3 += x[i + 3] * load(q + 3 * Kp);
            }
            for (; i < K; i++) s0 += x[i] * load(matrix + i * Kp + j);
            store(y + j, (s0 + s1) + (s2 + s3));
        }
    };
    for (int64_t k = 0; k < Kp; k++) p[k] = k < K ? m.start[k] : 0;
    for (int64_t t = 0; t < T; t++) {
        double *a = alpha + t * Kp;
        const double *b = rows + t * Kp;
        if (t) matvec(a - Kp, m.padded.p, p);
        vec sum{};
        ivec now{};
        for (int64_t j = 0; j < Kp; j += V) {
            vec pj = load(p + j), bj = load(b + j), q = pj * bj;
            now |= (pj > 0.0) & (bj > 0.0) & (q < LOST);
            store(a + j, q);
            sum += q;
        }
        vec c = everywhere(sum);
        lost = lost || (!m.positive && any(now));
        vanished = vanished || c[0] < LOST;
        c = c < LOST ? splat(1.0) : c;
        product.times(c);
        vec scale = 1.0 / c;
        norm[t] = scale[0];
        for (int64_t j = 0; j < Kp; j += V) store(a + j, load(a + j) * scale);
    }
    *loglik = product.log(0);
    *redo = !trusted(m, vanished, lost, *loglik);
    if (!backward || *redo) return;
    // Backwards in blocks: W holds w_t = beta_t b_t / c_t of a block and of the step after it.
    double *W = work + 2 * Kp, *columns = W + (STEPS + 1) * Kp;
    for (int64_t t0 = (T - 1) / STEPS * STEPS; t0 >= 0; t0 -= STEPS) {
        const int64_t t1 = t0 + STEPS < T ? t0 + STEPS : T, pairs = t1 < T ? STEPS : T - 1 - t0;
        for (int64_t t = t1 - 1; t >= t0; t--) {
            const double *a = alpha + t * Kp;
            double *b = rows + t * Kp, *w = W + (t - t0) * Kp;
            if (t < T - 1) matvec(w + Kp, m.transposed.p, beta);
            else
                for (int64_t k = 0; k < Kp; k++) beta[k] = weight;
            for (int64_t j = 0; j < Kp; j += V) {
                vec at = load(a + j), bt = at > 0.0 ? load(beta + j) : vec{};
                store(w + j, bt * load(b + j) * norm[t]);
                store(b + j, at * bt);
            }
        }
        for (int64_t i = 0; i < K; i++)
            for (int64_t t = 0; t < pairs; t++) columns[i * STEPS + t] = alpha[(t0 + t) * Kp + i];
        moments_lanes(pairs, K, columns, STEPS, W + Kp, Kp, expected);
        for (int64_t k = 0; k < Kp; k++) W[STEPS * Kp + k] = W[k];
    }
}

constexpr int64_t states_work(int64_t K, int64_t Kp) { return (3 + STEPS) * Kp + K * STEPS; }

}  // namespace
