// Forward-backward of Markov chains in linear space (Rabiner 1989, section V.A), a segment in each lane of G registers.
// Slot t of a matrix holds (K, W) for step t of all W lanes; slot 0 is the row before the first. Each step is scaled by
// the power of two in the sum of the step before, which is exact.
#pragma once
#include "chain/lane_rows.hpp"

namespace {

constexpr int64_t STEPS = 16;  // of a block of expected transitions

struct Planes {  // work space
    Buffer L, b, alpha, beta, w, c, scale, expected, rows;
};

struct Lane {  // what came of a segment
    double loglik;
    bool ok;
};

template <int G>
class Lanes {
  public:
    static constexpr int64_t W = G * V;

  private:
    static constexpr int N_BLOCK = (ACCUMULATORS > 16 ? 16 : 8) / G;  // states of a product at a time
    const ChainModel &m;
    const Rows &rows;
    Tile &tile;
    Planes &p;
    const int64_t K;
    const Segment *segments = nullptr;
    int count = 0;
    int64_t T = 0, shortest = 0;
    LaneRows<G> at;
    const int64_t slot;  // (K, W)
    Array<Range> columns_of, rows_of, pairs_of;
    Buffer forwards, backwards;  // A and its transpose, packed
    bool lost[W], fails[W];
    real begins[W];  // 1 where the lane's first row is its sequence's

  public:
    Lane lane[W];
    bool kept = true;  // whether no lane failed

    Lanes(const ChainModel &model, const Rows &r, Tile &t, Planes &planes)
        : m(model), rows(r), tile(t), p(planes), K(model.K), slot(model.K * W) {
        m.blocks(m.columns, N_BLOCK, columns_of);
        m.blocks(m.rows, N_BLOCK, rows_of);
        m.blocks(m.rows, 4, pairs_of);
        pack(K, K, N_BLOCK, K, forwards, [&](int64_t i, int64_t j) { return m.trans[i * K + j]; });
        pack(K, K, N_BLOCK, K, backwards, [&](int64_t i, int64_t j) { return m.trans[j * K + i]; });
    }

    void forward(const Segment *list, int n, bool record = false) {
        segments = list, count = n;
        at.set(list, n);
        T = at.T, shortest = at.shortest;
        for (int l = 0; l < W; l++) lost[l] = fails[l] = false;
        tile.record(record ? (columns() + tile.size - 1) / tile.size : 0);
        densities();
        tile.record(0);
        again();
    }

    void again() {  // with other messages from the left
        if (m.positive) recursion<true>();
        else recursion<false>();
        evaluate();
    }

    bool in_doubt() const {  // whether backward() has to tell if the likelihoods are right
        bool some = m.feeble;
        for (int l = 0; l < count; l++) some = some || lost[l];
        return some && !m.positive;
    }

    // Expected states over the densities' planes; the expected transitions (without A) in `expected` (K, K, V).
    void backward(bool transitions) {
        p.beta.zeros(K * W);
        p.w.grow((STEPS + 1) * slot);
        if (transitions) p.expected.zeros(K * K * V);
        if (m.positive) back<true>(transitions);
        else back<false>(transitions);
        for (int l = 0; l < count; l++)
            if (fails[l]) lane[l].ok = kept = false;
    }

    // Expected states from column c on, zero in the padding.
    Place gamma(int64_t c) const { return {p.b.data(), K, W, at.power, at.used + c}; }
    real start(int l, int64_t k) const { return p.b[slot + k * W + l]; }  // expected states of the first row
    int64_t columns() const { return T * at.used; }
    const int64_t *index(int64_t c, int64_t n) { return at.index(c, n); }
    bool holds(int64_t c) const { return c >> at.power < at.length[c & (at.used - 1)]; }  // or is padding

    void filtered(int l, real *out) const { column(p.alpha + at.length[l] * slot + l, out); }  // at the last row
    void before(int l, real *out) const { column(p.beta + l, out); }  // after backward: at the row before the first

  private:
    void column(const real *from, real *out) const {
        real sum = 0;
        for (int64_t k = 0; k < K; k++) sum += out[k] = from[k * W];
        for (int64_t k = 0; k < K && sum > 0; k++) out[k] /= sum;
    }
    void densities() {
        p.L.grow(K * tile.ld);
        p.b.grow((T + 1) * slot);
        p.alpha.grow((T + 1) * slot);
        p.c.grow((T + 1) * W);
        p.scale.grow(T * W + tile.ld);
        for (int64_t c = 0; c < columns(); c += tile.size) {
            const int64_t n = columns() - c < tile.size ? columns() - c : tile.size;
            tile.load(rows, {0, at.index(c, n)}, n);
            tile.densities(p.L.data(), {p.b.data(), K, W, at.power, at.used + c}, p.scale + c);
        }
        for (int64_t i = slot; i < (T + 1) * slot && at.used < W; i += W)  // unused lanes stay empty
            for (int64_t l = at.used; l < W; l += V) store(p.b + i + l, vec{});
    }

    template <int N>
    static void clear(vec (&acc)[N][G]) {
#pragma GCC unroll 16
        for (int i = 0; i < N; i++)
#pragma GCC unroll 2
            for (int g = 0; g < G; g++) acc[i][g] = vec{};
    }

    // One step for a block of N states from j0 on: y = (x' A) b s, added up in c.
    template <int N, bool POSITIVE>
    void step(int64_t j0, int64_t t, const vec *s, vec *c, ivec *gone) {
        const Range rows_ = columns_of[j0 / N_BLOCK];
        const real *x = p.alpha + (t - 1) * slot, *A = forwards + j0 * K, *b_ = p.b + t * slot + j0 * W;
        real *to = p.alpha + t * slot + j0 * W;
        vec acc[N][G];
        clear(acc);
        for (int64_t i = rows_.from; i < rows_.to; i++) {
            vec xi[G];
            for (int g = 0; g < G; g++) xi[g] = load(x + i * W + g * V);
            for (int j = 0; j < N; j++)
                for (int g = 0; g < G; g++) acc[j][g] += A[i * N + j] * xi[g];
        }
        if (t == 1)
#pragma GCC unroll 16
            for (int j = 0; j < N; j++)
#pragma GCC unroll 2
                for (int g = 0; g < G; g++) acc[j][g] += static_cast<real>(m.start[j0 + j]) * load(begins + g * V);
#pragma GCC unroll 16
        for (int j = 0; j < N; j++)
#pragma GCC unroll 2
            for (int g = 0; g < G; g++) {
                vec b = load(b_ + j * W + g * V);
                vec y = acc[j][g] * s[g] * b;
                if constexpr (!POSITIVE) {
                    ivec possible = (acc[j][g] > real(0)) & (b > real(0));
                    gone[g] |= possible & (y < LOST);
                    y = possible ? vmax(y, splat(LOST)) : vec{};
                }
                c[g] += y;
                store(to + j * W + g * V, y);
            }
    }
    template <bool POSITIVE>
    void recursion() {
        for (int l = 0; l < W; l++) {
            const Segment &mine = segments[l < count ? l : 0];
            for (int64_t k = 0; k < K; k++) p.alpha[k * W + l] = mine.begins ? real(0) : mine.left[k];
            p.c[l] = 1;
            begins[l] = mine.begins ? 1 : 0;
            lost[l] = lost[l] || (l < count && !mine.begins && faint(K, mine.left));
        }
        vec s[G];
        ivec gone[G] = {};
        for (int g = 0; g < G; g++) s[g] = splat(1);
        for (int64_t t = 1; t <= T; t++) {
            vec c[G] = {};
            ivec now[G] = {};
            in_blocks<N_BLOCK>(K, [&](auto n, int64_t j) { step<decltype(n)::value, POSITIVE>(j, t, s, c, now); });
            for (int g = 0; g < G; g++) {
                store(p.c + t * W + g * V, c[g]);
                s[g] = scaling(c[g]);
                gone[g] |= now[g];
            }
            if (t == shortest) note(gone);
        }
        if (!POSITIVE) note(gone);
    }
    static vec scaling(vec c) { return c < VANISHED ? splat(1) : inverse_power(c); }
    // A loss after a short lane's end is none, but lanes are about as long: telling costs more than it saves.
    void note(const ivec *gone) {
        for (int l = 0; l < count; l++) lost[l] = lost[l] || gone[l / V][l % V] != 0;
    }

    void evaluate() {  // log-likelihoods; a lane fails where all its states vanished
        ivec power[G] = {}, bad[G] = {}, len[G];
        for (int l = 0; l < W; l++) len[l / V][l % V] = static_cast<whole>(at.length[l]);
        double sum[W] = {};
        for (int64_t t = 1; t <= T; t++) {
            for (int g = 0; g < G; g++) {
                ivec on = len[g] >= static_cast<whole>(t);
                vec before_ = load(p.c + (t - 1) * W + g * V);
                power[g] += on & (before_ >= VANISHED) & exponent(before_);
                bad[g] |= on & ~(load(p.c + t * W + g * V) >= VANISHED);
            }
            const real *row = p.scale + (t - 1) * at.used;
            if (t <= shortest && count == W)
                for (int l = 0; l < W; l++) sum[l] += static_cast<double>(row[l]);
            else
                for (int l = 0; l < count; l++) sum[l] += t <= at.length[l] ? static_cast<double>(row[l]) : 0;
        }
        kept = true;
        for (int l = 0; l < count; l++) {
            const double c = static_cast<double>(p.c[at.length[l] * W + l]);
            lane[l].ok = !bad[l / V][l % V];
            lane[l].loglik = std::log(c) + 0.69314718055994530942 * static_cast<double>(power[l / V][l % V]) + sum[l];
            kept = kept && lane[l].ok;
        }
    }

    // In blocks: w holds w_t = beta_t b_t of a block, to be paired with alpha_(t-1).
    template <bool POSITIVE>
    void back(bool transitions) {
        vec big[G];
        ivec bad[G] = {};
        const real zero = m.feeble ? real(-1) : real(0), *alphas = p.alpha.data();
        real *const b = p.b.data();
        for (int l = 0; l < W; l++) big[l / V][l % V] = revived(l < count ? segments[l].weight : 1);
        // with beta_t of state k: what is expected at row t, and w_t
        auto arrive = [&](int64_t t, real *w, const vec *s, int64_t k, int g, vec beta) {
            const int64_t at = t * slot + k * W + g * V, ahead = t > 2 ? 2 * slot : 0;
            if (G * BYTES <= 64 ? g == 0 : true) {  // downwards, the processor does not foresee
                __builtin_prefetch(alphas + at - ahead);
                __builtin_prefetch(b + at - ahead, 1);
            }
            const vec alpha = load(alphas + at);
            if constexpr (!POSITIVE) {
                bad[g] |= matters(alpha, beta, big[g], zero);
                beta = alpha > zero ? beta : vec{};  // it may be infinite
            }
            store(w + k * W + g * V, beta * load(b + at) * s[g]);
            store(b + at, alpha * beta);
        };
        auto arrive_all = [&](int64_t t, real *w) {  // where lanes may begin
            begin_lanes(t);
            vec s[G];
            scales(t, s);
            for (int64_t k = 0; k < K; k++)
                for (int g = 0; g < G; g++) arrive(t, w, s, k, g, load(p.beta + k * W + g * V));
        };
        auto keep = [&](int64_t k, int g, vec beta) { store(p.beta + k * W + g * V, beta); };
        real *next = p.w + STEPS * slot;  // the first of the block to come
        arrive_all(T, next);
        for (int64_t stop = T; stop >= 1; stop -= STEPS) {
            const int64_t first = stop - STEPS + 1 > 1 ? stop - STEPS + 1 : 1;
            std::memcpy(p.w + (stop - first) * slot, next, static_cast<size_t>(slot) * sizeof(real));
            for (int64_t t = stop; t >= first; t--) {
                const real *w = p.w + (t - first) * slot;
                real *to = t > first ? p.w + (t - 1 - first) * slot : next;
                if (t == 1 || t - 1 >= shortest) {
                    pull(w, keep);
                    if (t > 1) arrive_all(t - 1, to);
                    continue;
                }
                vec s[G];
                scales(t - 1, s);
                pull(w, [&](int64_t k, int g, vec beta) { arrive(t - 1, to, s, k, g, beta); });
            }
            if (transitions) pair_up(first, stop - first + 1);
        }
        for (int64_t k = 0; k < K && !POSITIVE; k++)
            for (int g = 0; g < G; g++) {
                const vec alpha = load(p.alpha + k * W + g * V), beta = load(p.beta + k * W + g * V);
                bad[g] |= (load(begins + g * V) < real(1)) & matters(alpha, beta, big[g], zero);
            }
        for (int l = 0; l < count; l++) fails[l] = bad[l / V][l % V] != 0;
    }

    void scales(int64_t t, vec *s) const {  // of the step before
        for (int g = 0; g < G; g++) s[g] = scaling(load(p.c + (t - 1) * W + g * V));
    }

    void begin_lanes(int64_t t) {  // beta of the lanes whose last row is this
        for (int l = 0; l < count; l++) {
            if (at.length[l] != t) continue;
            const real *right = segments[l].right;
            real z = 0;
            for (int64_t k = 0; k < K; k++) z += p.alpha[t * slot + k * W + l] * (right ? right[k] : 1);
            const real unit = z > 0 && lane[l].ok ? static_cast<real>(segments[l].weight) / z : 0;
            for (int64_t k = 0; k < K; k++) p.beta[k * W + l] = unit * (right ? right[k] : 1);
        }
    }

    template <int N, class F>
    void pull_block(int64_t i0, const real *w, F &done) {  // beta = A w for N states
        const Range rows_ = rows_of[i0 / N_BLOCK];
        const real *At = backwards + i0 * K;
        vec acc[N][G];
        clear(acc);
        for (int64_t j = rows_.from; j < rows_.to; j++) {
            vec wj[G];
            for (int g = 0; g < G; g++) wj[g] = load(w + j * W + g * V);
            for (int i = 0; i < N; i++)
                for (int g = 0; g < G; g++) acc[i][g] += At[j * N + i] * wj[g];
        }
#pragma GCC unroll 16
        for (int i = 0; i < N; i++)
#pragma GCC unroll 2
            for (int g = 0; g < G; g++) done(i0 + i, g, acc[i][g]);
    }
    template <class F>
    void pull(const real *w, F done) {
        in_blocks<N_BLOCK>(K, [&](auto n, int64_t i) { pull_block<decltype(n)::value>(i, w, done); });
    }

    // expected (K, K, V) += alpha_(t-1) (x) w_t of a block of steps, four states at a time, where A is not zero
    void pair_up(int64_t first, int64_t n) {
        for (int64_t i = 0; i < K; i += 4) {
            const int64_t left = K - i < 4 ? K - i : 4;
            const Range to = pairs_of[i / 4];
            const int64_t j = to.from, width = to.to - j;
            if (width > 0)
                dots<G>(left, n, width, {p.w + j * W, W, slot}, {p.alpha + (first - 1) * slot + i * W, W, slot}, K,
                        p.expected + (i * K + j) * V);
        }
    }
};

}  // namespace
