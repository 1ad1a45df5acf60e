// Forward-backward of one segment in linear space, its states in the lanes of a register: for what is not cut into
// many.
#pragma once
#include "chain_lanes.hpp"

namespace {

class Alone {
    static constexpr int WIDTH = ACCUMULATORS > 16 ? 8 : 4;  // vectors of a product at a time
    static constexpr int64_t STEPS = 32;                     // of a block of expected transitions
    const ChainModel &m;
    const Rows &rows;
    Tile &tile;
    Planes &p;
    const int64_t K, Kp;

  public:
    Alone(const ChainModel &model, const Rows &r, Tile &t, Planes &planes)
        : m(model), rows(r), tile(t), p(planes), K(model.K), Kp(model.Kp) {}

    // b (T, Kp) holds densities and ends as expected states, scale (T,) the logs of their scales. The expected
    // transitions (without A) are added to p.expected (K, Kp).
    // Without `backward`, the way back is gone where a state was lost, if `judges`; if not, that is a failure.
    Lane run(const Segment &s, real *b, real *scale, bool backward, bool transitions, bool judges) {
        const int64_t T = s.stop - s.first;
        p.alpha.grow((T + 1) * Kp);
        p.c.grow(T + 1);
        for (int64_t k = 0; k < Kp; k++) p.alpha[k] = s.left && k < K ? s.left[k] : 0;
        p.c[0] = 1;
        bool lost = m.feeble || (!s.begins && faint(K, s.left));
        double loglik = 0;
        whole power = 0;
        for (int64_t t = 1; t <= T; t++) {
            real *bt = b + (t - 1) * Kp;
            lost = (m.positive ? step<true>(s, t, bt) : step<false>(s, t, bt)) || lost;
            if (!(p.c[t] >= VANISHED)) {
                if (!revive(s, t, bt, scale + t - 1)) return {-INFINITY, false};
                lost = true;
            }
            loglik += static_cast<double>(scale[t - 1]);
            power += exponent(splat(p.c[t - 1]))[0];
        }
        loglik += 0.69314718055994530942 * static_cast<double>(power);
        loglik += std::log(static_cast<double>(p.c[T]));
        if (!backward && (m.positive || !lost || !judges)) return {loglik, m.positive || !lost};
        return {loglik, m.positive ? back<true>(s, T, b, transitions) : back<false>(s, T, b, transitions)};
    }

    void filtered(int64_t T, real *out) const { normalise(p.alpha + T * Kp, out); }
    void before(real *out) const { normalise(p.beta.data(), out); }

    // What n rows with the densities b (n, Kp) say of the state before them, up to a factor.
    void behind(const real *b, int64_t n, real *out) const {
        p.beta.zeros(Kp);
        p.w.grow(STEPS * Kp);
        for (int64_t k = 0; k < K; k++) p.beta[k] = real(1) / static_cast<real>(K);
        for (int64_t t = n - 1; t >= 0; t--) {
            vec sum{};
            for (int64_t j = 0; j < Kp; j += V) {
                const vec w = load(p.beta + j) * load(b + t * Kp + j);
                store(p.w + j, w);
                sum += w;
            }
            sum = everywhere(sum);
            const vec scale = sum[0] < VANISHED ? splat(1) : inverse_power(sum);
            product(p.w.data(), m.backward.data(), [&](int64_t j, vec y) { store(p.beta + j, y * scale); });
        }
        before(out);
    }

  private:
    void normalise(const real *from, real *out) const {
        real sum = 0;
        for (int64_t k = 0; k < K; k++) sum += out[k] = from[k];
        for (int64_t k = 0; k < K && sum > 0; k++) out[k] /= sum;
    }

    // Two sums of each vector, so that they wait less for each other.
    template <int N, class F>
    void product_block(const real *x, const real *q, int64_t j0, F &done) const {
        vec even[N], odd[N];
#pragma GCC unroll 8
        for (int j = 0; j < N; j++) even[j] = odd[j] = vec{};
        const real *r = q + Kp;
        int64_t i = 0;
        for (; i + 2 <= K; i += 2, q += 2 * Kp, r += 2 * Kp) {
            const real x0 = x[i], x1 = x[i + 1];
            for (int j = 0; j < N; j++) even[j] += x0 * load(q + j * V);
            for (int j = 0; j < N; j++) odd[j] += x1 * load(r + j * V);
        }
        for (int j = 0; j < N && i < K; j++) even[j] += x[i] * load(q + j * V);
#pragma GCC unroll 8
        for (int j = 0; j < N; j++) done(j0 + j * V, even[j] + odd[j]);
    }
    template <class F>
    void product(const real *x, const real *matrix, F done) const {  // x' matrix
        in_blocks<WIDTH>(Kp / V,
                         [&](auto n, int64_t j) { product_block<decltype(n)::value>(x, matrix + j * V, j * V, done); });
    }

    // alpha_(t-1) A, or the start, and the scale of the step before.
    template <class F>
    void predict(const Segment &s, int64_t t, F done) const {
        const vec scale = inverse_power(splat(p.c[t - 1]));
        if (t > 1 || !s.begins)
            return product(p.alpha + (t - 1) * Kp, m.forward.data(), [&](int64_t j, vec x) { done(j, x * scale); });
        for (int64_t j = 0; j < Kp; j += V) {
            vec x{};
            for (int l = 0; l < V && j + l < K; l++) x[l] = static_cast<real>(m.start[j + l]);
            done(j, x * scale);
        }
    }

    template <bool POSITIVE>
    bool step(const Segment &s, int64_t t, const real *b) {  // whether a state was lost
        real *y = p.alpha + t * Kp;
        vec sum{};
        ivec gone{};
        predict(s, t, [&](int64_t j, vec x) {
            const vec bj = load(b + j);
            vec q = x * bj;
            if constexpr (!POSITIVE) {
                const ivec possible = (x > real(0)) & (bj > real(0));
                gone |= possible & (q < LOST);
                q = possible ? vmax(q, splat(LOST)) : vec{};
            }
            store(y + j, q);
            sum += q;
        });
        p.c[t] = everywhere(sum)[0];
        return !POSITIVE && any(gone);
    }

    // A step that linear space lost, because the likeliest states cannot be reached: densities relative to those that
    // can, from their logs. False where none can, or in single precision, which leaves it to double.
    bool revive(const Segment &s, int64_t t, real *b, real *scale) {
        if (sizeof(real) == 4 || m.feeble) return false;
        p.L.grow(K * tile.ld);
        tile.load(rows, {s.first + t - 1, nullptr}, 1);
        tile.log_densities(p.L.data());
        real *y = p.alpha + t * Kp;
        predict(s, t, [&](int64_t j, vec x) { store(y + j, x); });
        double top = -INFINITY, sum = 0;
        auto height = [&](int64_t k) {
            const double l = static_cast<double>(p.L[k * tile.ld]);
            return y[k] > 0 && l > static_cast<double>(IMPOSSIBLE) ? std::log(static_cast<double>(y[k])) + l
                                                                   : -INFINITY;
        };
        for (int64_t k = 0; k < K; k++) top = height(k) > top ? height(k) : top;
        if (!(top > -INFINITY)) return false;
        for (int64_t k = 0; k < K; k++) {
            const double h = height(k), q = std::exp(h - top);
            const double x = !(h > -INFINITY) ? 0 : q < static_cast<double>(LOST) ? static_cast<double>(LOST) : q;
            b[k] = x > 0 ? static_cast<real>(x / static_cast<double>(y[k])) : real(0);
            y[k] = static_cast<real>(x);
            sum += x;
        }
        p.c[t] = static_cast<real>(sum);
        *scale = static_cast<real>(top);
        return true;
    }

    // In blocks: w holds w_t = beta_t b_t of a block, to be paired with alpha_(t-1).
    template <bool POSITIVE>
    bool back(const Segment &s, int64_t T, real *b, bool transitions) {
        p.beta.zeros(Kp);
        p.w.grow((STEPS + 1) * Kp);
        real *beta = p.beta.data(), z = 0;
        for (int64_t k = 0; k < K; k++) z += p.alpha[T * Kp + k] * (s.right ? s.right[k] : 1);
        const real unit = z > 0 ? static_cast<real>(s.weight) / z : 0;
        for (int64_t k = 0; k < K; k++) beta[k] = unit * (s.right ? s.right[k] : 1);
        const vec big = splat(revived(s.weight));
        const real zero = m.feeble ? real(-1) : real(0);
        ivec bad{};
        // with beta_t: what is expected at row t, over its density, and w_t
        auto arrive = [&](int64_t t, real *w, vec scale, int64_t j, vec after) {
            const vec at = load(p.alpha + t * Kp + j);
            real *bt = b + (t - 1) * Kp + j;
            if constexpr (!POSITIVE) {
                bad |= matters(at, after, big, zero);
                after = at > zero ? after : vec{};  // it may be infinite
            }
            store(w + j, after * load(bt) * scale);
            store(bt, at * after);
        };
        auto scale_of = [&](int64_t t) { return inverse_power(splat(p.c[t - 1])); };
        real *next = p.w + STEPS * Kp;  // the first of the block to come
        for (int64_t j = 0; j < Kp; j += V) arrive(T, next, scale_of(T), j, load(beta + j));
        for (int64_t stop = T; stop >= 1; stop -= STEPS) {
            const int64_t first = stop - STEPS + 1 > 1 ? stop - STEPS + 1 : 1;
            for (int64_t j = 0; j < Kp; j += V) store(p.w + (stop - first) * Kp + j, load(next + j));
            for (int64_t t = stop; t >= first; t--) {
                const real *w = p.w + (t - first) * Kp;
                real *to = t > first ? p.w + (t - 1 - first) * Kp : next;
                const vec scale = scale_of(t > 1 ? t - 1 : 1);
                if (t > 1) product(w, m.backward.data(), [&](int64_t j, vec y) { arrive(t - 1, to, scale, j, y); });
                else product(w, m.backward.data(), [&](int64_t j, vec y) { store(beta + j, y); });
            }
            if (transitions)
                moments_lanes(stop - first + 1, K, p.alpha + (first - 1) * Kp, 1, Kp, p.w.data(), Kp,
                              p.expected.data());
        }
        for (int64_t j = 0; j < Kp && !s.begins; j += V)
            bad |= matters(load(p.alpha + j), load(beta + j), big, zero);
        return POSITIVE || !any(bad);
    }
};

}  // namespace
