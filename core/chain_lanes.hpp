// Forward-backward of Markov chains in linear space (Rabiner 1989, section V.A), a segment in each lane of G registers.
// Matrices of states are planes (K, ld): slot t of all lanes is at column t W; slot 0 is the row before the first. Each
// step is scaled by the power of two in the sum of the step before, which is exact.
#pragma once
#include "chain_model.hpp"

namespace {

constexpr int64_t STEPS = 16;  // of a block of expected transitions

struct Planes {  // work space, kept from one group of segments to the next
    Buffer L, b, alpha, beta, w, c, scale, expected;
    Array<int64_t> index;
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
    const ChainModel &m;
    const Rows &rows;
    Tile &tile;
    Planes &p;
    const int64_t K;
    const Segment *segments = nullptr;
    int count = 0;
    int64_t T = 0, shortest = 0, ld = 0, length[W], last_row[W];
    bool lost[W], revived[W];

  public:
    Lane lane[W];
    bool kept = true;  // whether no lane failed

    Lanes(const ChainModel &model, const Rows &r, Tile &t, Planes &planes)
        : m(model), rows(r), tile(t), p(planes), K(model.K) {}

    void forward(const Segment *list, int n) {
        segments = list, count = n;
        T = 0, shortest = INT64_MAX;
        for (int l = 0; l < W; l++) {
            length[l] = l < count ? list[l].stop - list[l].first : 0;
            T = length[l] > T ? length[l] : T;
            if (l < count) shortest = length[l] < shortest ? length[l] : shortest;
            lost[l] = revived[l] = false;
        }
        ld = (T + 1) * W + V;
        densities();
        if (m.positive) recursion<true>();
        else recursion<false>();
        evaluate();
    }

    bool any_lost() const {
        bool some = false;
        for (int l = 0; l < count; l++) some = some || lost[l];
        return some;
    }

    // Expected states over the densities' planes; adds the expected transitions (without A) to `expected` (K, K, V).
    void backward(bool transitions) {
        p.beta.zeros(K * W);
        p.w.grow(K * (STEPS * W + V));
        if (transitions) p.expected.zeros(K * K * V);
        if (m.positive) back<true>(transitions);
        else back<false>(transitions);
        for (int l = 0; l < count; l++)
            if (revived[l]) lane[l].ok = kept = false;
    }

    const real *gamma() const { return p.b + W; }  // planes of slots 1 to T
    int64_t stride() const { return ld; }
    int64_t columns() const { return T * W; }
    const int64_t *index(int64_t c0, int64_t n) {  // the rows of columns c0 to c0 + n
        p.index.grow(tile.size + W);
        for (int64_t c = c0; c < c0 + n; c++) {
            const int64_t t = c / W, l = c % W;
            p.index[c - c0] = rows_of(l, t);
        }
        return p.index.p;
    }
    bool holds(int64_t c) const { return c / W < length[c % W]; }  // or is padding

    void filtered(int l, real *out) const { column(p.alpha.p, ld, length[l] * W + l, out); }  // at the last row
    void before(int l, real *out) const { column(p.beta.p, W, l, out); }  // after backward: at the row before the first

  private:
    void column(const real *planes, int64_t stride, int64_t at, real *out) const {
        real sum = 0;
        for (int64_t k = 0; k < K; k++) sum += out[k] = planes[k * stride + at];
        for (int64_t k = 0; k < K && sum > 0; k++) out[k] /= sum;
    }
    int64_t rows_of(int64_t l, int64_t t) const {
        const int64_t lane_ = l < count ? l : 0;
        return segments[lane_].first + (t < length[lane_] ? t : length[lane_] - 1);
    }

    void densities() {
        p.L.grow(K * tile.ld);
        p.b.grow(K * ld);
        p.alpha.grow(K * ld);
        p.c.grow((T + 1) * W + V);
        p.scale.grow(T * W + tile.ld);
        for (int64_t c = 0; c < columns(); c += tile.size) {
            const int64_t n = columns() - c < tile.size ? columns() - c : tile.size;
            tile.load(rows, {0, index(c, n)}, n);
            tile.densities(p.L.p, p.b + W + c, ld, p.scale + c);
        }
    }

    // One step for a block of N states from j0 on: y = (x' A) b s, added up in c.
    template <int N, bool POSITIVE>
    void step(int64_t j0, int64_t t, const vec *s, vec *c, ivec *gone) {
        const int64_t block = j0 / BLOCK;
        const real *x = p.alpha + (t - 1) * W, *A = m.forward + j0;
        vec acc[N][G] = {};
        for (int64_t i = m.from[block]; i < m.to[block]; i++) {
            vec xi[G];
            for (int g = 0; g < G; g++) xi[g] = load(x + i * ld + g * V);
            for (int j = 0; j < N; j++)
                for (int g = 0; g < G; g++) acc[j][g] += A[i * m.Kp + j] * xi[g];
        }
        if (t == 1)
            for (int j = 0; j < N; j++)
                for (int l = 0; l < W; l++)
                    if (segments[l < count ? l : 0].begins) acc[j][l / V][l % V] += static_cast<real>(m.start[j0 + j]);
        for (int j = 0; j < N; j++)
            for (int g = 0; g < G; g++) {
                vec b = load(p.b + (j0 + j) * ld + t * W + g * V);
                vec y = acc[j][g] * s[g] * b;
                if constexpr (!POSITIVE) {
                    ivec possible = (acc[j][g] > real(0)) & (b > real(0));
                    gone[g] |= possible & (y < LOST);
                    y = possible ? vmax(y, splat(LOST)) : vec{};
                }
                c[g] += y;
                store(p.alpha + (j0 + j) * ld + t * W + g * V, y);
            }
    }
    template <int N, bool POSITIVE>
    void rest(int64_t j0, int64_t t, const vec *s, vec *c, ivec *gone) {
        if (K - j0 == N) return step<N, POSITIVE>(j0, t, s, c, gone);
        if constexpr (N > 1) rest<N - 1, POSITIVE>(j0, t, s, c, gone);
    }

    template <bool POSITIVE>
    void recursion() {
        for (int l = 0; l < W; l++) {
            const Segment &mine = segments[l < count ? l : 0];
            for (int64_t k = 0; k < K; k++) p.alpha[k * ld + l] = mine.begins ? real(0) : mine.left[k];
            p.c[l] = 1;
        }
        vec s[G];
        ivec gone[G] = {};
        for (int g = 0; g < G; g++) s[g] = splat(1);
        for (int64_t t = 1; t <= T; t++) {
            vec c[G] = {};
            ivec now[G] = {};
            int64_t j = 0;
            for (; j + BLOCK <= K; j += BLOCK) step<BLOCK, POSITIVE>(j, t, s, c, now);
            if (j < K) rest<BLOCK - 1, POSITIVE>(j, t, s, c, now);
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
    // A loss after a short lane's end is none, but telling costs more than it saves: lanes of a group are about as
    // long.
    void note(const ivec *gone) {
        for (int l = 0; l < count; l++) lost[l] = lost[l] || gone[l / V][l % V] != 0;
    }

    void evaluate() {  // log-likelihoods; a lane fails where all its states vanished
        ivec power[G] = {}, bad[G] = {}, len[G];
        for (int l = 0; l < W; l++) len[l / V][l % V] = static_cast<whole>(length[l]);
        double sum[W] = {};
        for (int64_t t = 1; t <= T; t++) {
            for (int g = 0; g < G; g++) {
                ivec on = len[g] >= static_cast<whole>(t);
                vec before_ = load(p.c + (t - 1) * W + g * V);
                power[g] += on & (before_ >= VANISHED) & exponent(before_);
                bad[g] |= on & ~(load(p.c + t * W + g * V) >= VANISHED);
            }
            const real *row = p.scale + (t - 1) * W;
            if (t <= shortest && count == W)
                for (int l = 0; l < W; l++) sum[l] += static_cast<double>(row[l]);
            else
                for (int l = 0; l < count; l++) sum[l] += t <= length[l] ? static_cast<double>(row[l]) : 0;
        }
        kept = true;
        for (int l = 0; l < count; l++) {
            const double c = static_cast<double>(p.c[length[l] * W + l]);
            lane[l].ok = !m.feeble && !bad[l / V][l % V];
            lane[l].loglik = std::log(c) + 0.69314718055994530942 * static_cast<double>(power[l / V][l % V]) + sum[l];
            kept = kept && lane[l].ok;
        }
    }

    template <bool POSITIVE>
    void back(bool transitions) {
        const int64_t ldw = STEPS * W + V;
        vec big[G];
        ivec bad[G] = {};
        for (int l = 0; l < W; l++)
            big[l / V][l % V] = l < count ? REVIVED * static_cast<real>(segments[l].weight) : REVIVED;
        for (int64_t stop = T; stop >= 1; stop -= STEPS) {
            const int64_t first = stop - STEPS + 1 > 1 ? stop - STEPS + 1 : 1;
            for (int64_t t = stop; t >= first; t--) {
                if (t >= shortest) begin_lanes(t);
                vec s[G];
                for (int g = 0; g < G; g++) s[g] = scaling(load(p.c + (t - 1) * W + g * V));
                real *w = p.w + (t - first) * W;
                for (int64_t k = 0; k < K; k++)
                    for (int g = 0; g < G; g++) {
                        const int64_t at = k * ld + t * W + g * V;
                        vec beta = load(p.beta + k * W + g * V), alpha = load(p.alpha + at);
                        store(w + k * ldw + g * V, beta * load(p.b + at) * s[g]);
                        store(p.b + at, alpha * beta);
                        if constexpr (!POSITIVE) bad[g] |= (alpha > real(0)) & (alpha < 2 * LOST) & ~(beta < big[g]);
                    }
                pull(w, ldw);
            }
            if (transitions) pair_up(first, (stop - first + 1) * W, ldw);
        }
        for (int l = 0; l < count; l++) revived[l] = bad[l / V][l % V] != 0;
    }

    void begin_lanes(int64_t t) {  // beta of the lanes whose last row is this
        for (int l = 0; l < count; l++) {
            if (length[l] != t) continue;
            const real *right = segments[l].right;
            real z = 0;
            for (int64_t k = 0; k < K; k++) z += p.alpha[k * ld + t * W + l] * (right ? right[k] : 1);
            const real unit = z > 0 && lane[l].ok ? static_cast<real>(segments[l].weight) / z : 0;
            for (int64_t k = 0; k < K; k++) p.beta[k * W + l] = unit * (right ? right[k] : 1);
        }
    }

    template <int N>
    void pull_block(int64_t i0, const real *w, int64_t ldw) {  // beta = A w for N states
        const int64_t block = (m.Kp + i0) / BLOCK;
        const real *At = m.backward + i0;
        vec acc[N][G] = {};
        for (int64_t j = m.from[block]; j < m.to[block]; j++) {
            vec wj[G];
            for (int g = 0; g < G; g++) wj[g] = load(w + j * ldw + g * V);
            for (int i = 0; i < N; i++)
                for (int g = 0; g < G; g++) acc[i][g] += At[j * m.Kp + i] * wj[g];
        }
        for (int i = 0; i < N; i++)
            for (int g = 0; g < G; g++) store(p.beta + (i0 + i) * W + g * V, acc[i][g]);
    }
    template <int N>
    void pull_rest(int64_t i0, const real *w, int64_t ldw) {
        if (K - i0 == N) return pull_block<N>(i0, w, ldw);
        if constexpr (N > 1) pull_rest<N - 1>(i0, w, ldw);
    }
    void pull(const real *w, int64_t ldw) {
        int64_t i = 0;
        for (; i + BLOCK <= K; i += BLOCK) pull_block<BLOCK>(i, w, ldw);
        if (i < K) pull_rest<BLOCK - 1>(i, w, ldw);
    }

    // expected (K, K, V) += alpha_(t-1) (x) w_t of a block of steps, four states at a time, where A is not zero
    void pair_up(int64_t first, int64_t n, int64_t ldw) {
        for (int64_t i = 0; i < K; i += 4) {
            const int64_t left = K - i < 4 ? K - i : 4, block = (m.Kp + i) / BLOCK;
            const int64_t j = m.from[block], width = m.to[block] - j;
            if (width > 0)
                dots(left, n, width, p.w + j * ldw, ldw, p.alpha + i * ld + (first - 1) * W, ld, K,
                     p.expected + (i * K + j) * V);
        }
    }
};

}  // namespace
