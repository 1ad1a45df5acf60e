// Forward-backward of one segment in linear space, its states in the lanes of a register: for what cannot be cut.
#pragma once
#include "chain_lanes.hpp"

namespace {

class Alone {
    const ChainModel &m;
    Planes &p;
    const int64_t K, Kp;

  public:
    Alone(const ChainModel &model, Planes &planes) : m(model), p(planes), K(model.K), Kp(model.Kp) {}

    // rows (T, Kp) hold densities and end as expected states, scale (T,) the logs of their scales. The expected
    // transitions (without A) are in p.expected (K, Kp) then.
    Lane run(const Segment &s, real *rows, const real *scale, bool backward, bool transitions) {
        const int64_t T = s.stop - s.first;
        p.alpha.grow((T + 1) * Kp);
        p.c.grow(T + 1);
        p.beta.zeros(2 * Kp);
        p.w.zeros((STEPS + 1) * Kp + K * STEPS);
        if (transitions) p.expected.zeros(K * Kp);
        bool lost = m.feeble, ok = true;
        double loglik = 0;
        for (int64_t k = 0; k < Kp; k++) p.alpha[k] = s.left && k < K ? s.left[k] : 0;
        p.c[0] = 1;
        for (int64_t t = 1; t <= T; t++) {
            lost = step(s, t, rows + (t - 1) * Kp) || lost;
            ok = ok && p.c[t] >= VANISHED;
            loglik += static_cast<double>(scale[t - 1]);
            if (p.c[t - 1] >= VANISHED) loglik += 0.69314718055994530942 * std::ilogb(p.c[t - 1]);
        }
        loglik += std::log(static_cast<double>(p.c[T]));
        if (ok && (backward || (lost && !m.positive))) ok = back(s, T, rows, transitions);
        return {loglik, ok};
    }

    void filtered(int64_t T, real *out) const { normalise(p.alpha + T * Kp, out); }
    void before(real *out) const { normalise(p.beta.data(), out); }

  private:
    void normalise(const real *from, real *out) const {
        real sum = 0;
        for (int64_t k = 0; k < K; k++) sum += out[k] = from[k];
        for (int64_t k = 0; k < K && sum > 0; k++) out[k] /= sum;
    }

    real scaling(int64_t t) const { return p.c[t] < VANISHED ? real(1) : inverse_power(splat(p.c[t]))[0]; }

    void product(const real *x, const real *matrix, real *y) const {  // y = x' matrix
        for (int64_t j = 0; j < Kp; j += V) {
            vec s0{}, s1{}, s2{}, s3{};
            int64_t i = 0;
            for (; i + 4 <= K; i += 4) {
                const real *q = matrix + i * Kp + j;
                s0 += x[i] * load(q), s1 += x[i + 1] * load(q + Kp);
                s2 += x[i + 2] * load(q + 2 * Kp), s3 += x[i + 3] * load(q + 3 * Kp);
            }
            for (; i < K; i++) s0 += x[i] * load(matrix + i * Kp + j);
            store(y + j, (s0 + s1) + (s2 + s3));
        }
    }

    bool step(const Segment &s, int64_t t, const real *b) {  // whether a state was lost
        real *y = p.alpha + t * Kp;
        product(y - Kp, m.forward.data(), y);
        for (int64_t k = 0; k < K && t == 1 && s.begins; k++) y[k] += static_cast<real>(m.start[k]);
        const vec scale = splat(scaling(t - 1));
        vec sum{};
        ivec gone{};
        for (int64_t j = 0; j < Kp; j += V) {
            vec x = load(y + j), bj = load(b + j), q = x * scale * bj;
            ivec possible = (x > real(0)) & (bj > real(0));
            gone |= possible & (q < LOST);
            q = possible ? vmax(q, splat(LOST)) : vec{};
            store(y + j, q);
            sum += q;
        }
        p.c[t] = everywhere(sum)[0];
        return any(gone);
    }

    // In blocks: w holds w_t = beta_t b_t of a block, to be paired with alpha_(t-1).
    bool back(const Segment &s, int64_t T, real *rows, bool transitions) {
        real *beta = p.beta.data(), z = 0, *columns = p.w + (STEPS + 1) * Kp;
        for (int64_t k = 0; k < K; k++) z += p.alpha[T * Kp + k] * (s.right ? s.right[k] : 1);
        const real unit = z > 0 ? static_cast<real>(s.weight) / z : 0;
        for (int64_t k = 0; k < K; k++) beta[k] = unit * (s.right ? s.right[k] : 1);
        const vec big = splat(REVIVED * static_cast<real>(s.weight));
        const real zero = m.feeble ? real(-1) : real(0);
        ivec bad{};
        for (int64_t stop = T; stop >= 1; stop -= STEPS) {
            const int64_t first = stop - STEPS + 1 > 1 ? stop - STEPS + 1 : 1;
            for (int64_t t = stop; t >= first; t--) {
                const real *a = p.alpha + t * Kp;
                real *b = rows + (t - 1) * Kp, *w = p.w + (t - first) * Kp;
                const vec scale = splat(scaling(t - 1));
                for (int64_t j = 0; j < Kp; j += V) {
                    vec at = load(a + j), bt = load(beta + j);
                    bad |= (at > zero) & (at < 2 * LOST) & ~(bt < big);
                    store(w + j, bt * load(b + j) * scale);
                    store(b + j, at * bt);
                }
                product(w, m.backward.data(), beta);
            }
            if (!transitions) continue;
            const int64_t n = stop - first + 1;
            for (int64_t i = 0; i < K; i++)
                for (int64_t t = 0; t < n; t++) columns[i * STEPS + t] = p.alpha[(first - 1 + t) * Kp + i];
            moments_lanes(n, K, columns, STEPS, p.w.data(), Kp, p.expected.data());
        }
        return !any(bad);
    }
};

}  // namespace
