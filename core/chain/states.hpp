// Forward-backward in linear space with the states in the lanes of a register: of one segment, or of a few side by
// side, which share what is loaded of the matrix.
#pragma once
#include "chain/lanes.hpp"

namespace {

constexpr int TRACKS = 3;  // segments side by side

struct Track {  // a segment: b (T, Kp) holds densities and ends as expected states, scale (T,) the logs of their scales
    Segment s;
    real *b, *scale;
};

class States {
    static constexpr int64_t STEPS = 32;  // of a block of expected transitions
    const ChainModel &m;
    const Rows &rows;
    Tile &tile;
    Planes &p;
    const int64_t K, Kp;
    int64_t T = 0;
    Buffer start;  // (Kp,)

  public:
    States(const ChainModel &model, const Rows &r, Tile &t, Planes &planes)
        : m(model), rows(r), tile(t), p(planes), K(model.K), Kp(model.Kp), start(model.Kp) {
        for (int64_t k = 0; k < K; k++) start[k] = static_cast<real>(m.start[k]);
    }

    // P segments of the same length; their log-likelihoods added up. The expected transitions (without A) are added to
    // p.expected (K, Kp). Without `backward`, the way back is gone where a state was lost, if `judges`; if not, that is
    // a failure.
    template <int P>
    Lane run(const Track (&track)[P], bool backward, bool transitions, bool judges) {
        T = track[0].s.stop - track[0].s.first;
        p.alpha.grow(P * (T + 1) * Kp);
        p.c.grow(P * (T + 1));
        bool lost = m.feeble;
        for (int i = 0; i < P; i++) {
            const real *left = track[i].s.left;
            for (int64_t k = 0; k < Kp; k++) alpha(i, 0)[k] = left && k < K ? left[k] : 0;
            c(i, 0) = 1;
            lost = lost || (left && faint(K, left));
        }
        double loglik = 0;
        whole power = 0;
        for (int64_t t = 1; t <= T; t++) {
            lost = (m.positive ? step<P, true>(track, t) : step<P, false>(track, t)) || lost;
            for (int i = 0; i < P; i++) {
                if (!(c(i, t) >= VANISHED)) {
                    if (!revive(track[i], i, t)) return {-INFINITY, false};
                    lost = true;
                }
                loglik += static_cast<double>(track[i].scale[t - 1]);
                power += exponent(splat(c(i, t - 1)))[0];
            }
        }
        loglik += 0.69314718055994530942 * static_cast<double>(power);
        for (int i = 0; i < P; i++) loglik += std::log(static_cast<double>(c(i, T)));
        if (!backward && (m.positive || !lost || !judges)) return {loglik, m.positive || !lost};
        return {loglik, m.positive ? back<P, true>(track, transitions) : back<P, false>(track, transitions)};
    }

    void filtered(int i, real *out) const { normalise(alpha(i, T), out); }  // of segment i, at its last row
    void before(int i, real *out) const { normalise(p.beta + i * Kp, out); }

    // What n rows with the densities b (n, Kp) say of the state before them, up to a factor.
    template <int P>
    void behind(const real *const (&b)[P], int64_t n, real *const (&out)[P]) const {
        p.beta.zeros(P * Kp);
        p.w.grow(P * Kp);
        const real *w[P];
        for (int i = 0; i < P; i++) {
            w[i] = p.w + i * Kp;
            for (int64_t k = 0; k < K; k++) p.beta[i * Kp + k] = real(1) / static_cast<real>(K);
        }
        for (int64_t t = n - 1; t >= 0; t--) {
            vec scale[P];
            for (int i = 0; i < P; i++) {
                vec sum{};
                for (int64_t j = 0; j < Kp; j += V) {
                    const vec x = load(p.beta + i * Kp + j) * load(b[i] + t * Kp + j);
                    store(p.w + i * Kp + j, x);
                    sum += x;
                }
                sum = everywhere(sum);
                scale[i] = sum[0] < VANISHED ? splat(1) : inverse_power(sum);
            }
            product<P>(w, m.backward.data(),
                       [&](int i, int64_t j, vec y) { store(p.beta + i * Kp + j, y * scale[i]); });
        }
        for (int i = 0; i < P; i++) before(i, out[i]);
    }

  private:
    real *alpha(int i, int64_t t) const { return p.alpha + (i * (T + 1) + t) * Kp; }
    real &c(int i, int64_t t) const { return p.c[i * (T + 1) + t]; }

    void normalise(const real *from, real *out) const {
        real sum = 0;
        for (int64_t k = 0; k < K; k++) sum += out[k] = from[k];
        for (int64_t k = 0; k < K && sum > 0; k++) out[k] /= sum;
    }

    // Two sums of each vector of one segment, so that they wait less for each other.
    template <int N, int P, class F>
    void product_block(const real *const *x, const real *q, int64_t j0, F &done) const {
        constexpr int SUMS = P == 1 ? 2 : 1;
        vec sum[SUMS * P][N];
#pragma GCC unroll 8
        for (int j = 0; j < N; j++)
#pragma GCC unroll 8
            for (int i = 0; i < SUMS * P; i++) sum[i][j] = vec{};
        int64_t k = 0;
        for (; k + SUMS <= K; k += SUMS)
#pragma GCC unroll 2
            for (int s = 0; s < SUMS; s++, q += N * V)
#pragma GCC unroll 8
                for (int j = 0; j < N; j++) {
                    const vec a = load(q + j * V);
#pragma GCC unroll 8
                    for (int i = 0; i < P; i++) sum[i * SUMS + s][j] += x[i][k + s] * a;
                }
        for (int j = 0; j < N && k < K; j++) sum[0][j] += x[0][k] * load(q + j * V);  // one segment, K odd
#pragma GCC unroll 8
        for (int j = 0; j < N; j++)
#pragma GCC unroll 8
            for (int i = 0; i < P; i++)
                done(i, j0 + j * V, SUMS == 2 ? sum[i * SUMS][j] + sum[i * SUMS + 1][j] : sum[i][j]);
    }
    template <int P, class F>
    void product(const real *const *x, const real *matrix, F done) const {  // x' matrix
        in_blocks<WIDTH>(Kp / V, [&](auto n, int64_t j) {
            product_block<decltype(n)::value, P>(x, matrix + j * V * K, j * V, done);
        });
    }

    // alpha_(t-1) A, or the start, and the scale of the step before; of segments from `first` on.
    template <int P, class F>
    void predict(const Track *track, int first, int64_t t, F done) const {
        const real *x[P];
        vec scale[P];
        bool starts[P];
        for (int i = 0; i < P; i++) {
            x[i] = alpha(first + i, t - 1), scale[i] = inverse_power(splat(c(first + i, t - 1)));
            starts[i] = t == 1 && track[i].s.begins;
        }
        product<P>(x, m.forward.data(),
                   [&](int i, int64_t j, vec y) { done(i, j, starts[i] ? load(start + j) : y * scale[i]); });
    }

    template <int P, bool POSITIVE>
    bool step(const Track *track, int64_t t) {  // whether a state was lost
        vec sum[P];
        ivec gone{};
        for (int i = 0; i < P; i++) sum[i] = vec{};
        predict<P>(track, 0, t, [&](int i, int64_t j, vec x) {
            const vec b = load(track[i].b + (t - 1) * Kp + j);
            vec q = x * b;
            if constexpr (!POSITIVE) {
                const ivec possible = (x > real(0)) & (b > real(0));
                gone |= possible & (q < LOST);
                q = possible ? vmax(q, splat(LOST)) : vec{};
            }
            store(alpha(i, t) + j, q);
            sum[i] += q;
        });
        for (int i = 0; i < P; i++) c(i, t) = everywhere(sum[i])[0];
        return !POSITIVE && any(gone);
    }

    // A step of segment i that linear space lost, because the likeliest states cannot be reached: densities relative to
    // those that can, from their logs. False where none can, or in single precision, which leaves it to double.
    bool revive(const Track &track, int i, int64_t t) {
        if (sizeof(real) == 4 || m.feeble) return false;
        p.L.grow(K * tile.ld);
        tile.load(rows, {track.s.first + t - 1, nullptr}, 1);
        tile.log_densities(p.L.data());
        real *y = alpha(i, t), *b = track.b + (t - 1) * Kp;
        predict<1>(&track, i, t, [&](int, int64_t j, vec x) { store(y + j, x); });
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
        c(i, t) = static_cast<real>(sum);
        track.scale[t - 1] = static_cast<real>(top);
        return true;
    }

    // In blocks: w holds w_t = beta_t b_t of a block, to be paired with alpha_(t-1).
    template <int P, bool POSITIVE>
    bool back(const Track *track, bool transitions) {
        p.beta.zeros(P * Kp);
        p.w.grow(P * (STEPS + 1) * Kp);
        real *const beta = p.beta.data(), *w[P];
        vec big[P];
        ivec bad{};
        for (int i = 0; i < P; i++) {
            const Segment &s = track[i].s;
            real z = 0;
            for (int64_t k = 0; k < K; k++) z += alpha(i, T)[k] * (s.right ? s.right[k] : 1);
            const real unit = z > 0 ? static_cast<real>(s.weight) / z : 0;
            for (int64_t k = 0; k < K; k++) beta[i * Kp + k] = unit * (s.right ? s.right[k] : 1);
            w[i] = p.w + i * (STEPS + 1) * Kp, big[i] = splat(revived(s.weight));
        }
        const real zero = m.feeble ? real(-1) : real(0);
        // with beta_t: what is expected at row t, over its density, and w_t
        auto arrive = [&](int i, int64_t t, int64_t slot, vec scale, int64_t j, vec after) {
            const vec at = load(alpha(i, t) + j);
            real *bt = track[i].b + (t - 1) * Kp + j;
            if constexpr (!POSITIVE) {
                bad |= matters(at, after, big[i], zero);
                after = at > zero ? after : vec{};  // it may be infinite
            }
            store(w[i] + slot * Kp + j, after * load(bt) * scale);
            store(bt, at * after);
        };
        auto scale_of = [&](int i, int64_t t) { return inverse_power(splat(c(i, t - 1))); };
        for (int i = 0; i < P; i++)  // slot STEPS: the first of the block to come
            for (int64_t j = 0; j < Kp; j += V) arrive(i, T, STEPS, scale_of(i, T), j, load(beta + i * Kp + j));
        for (int64_t stop = T; stop >= 1; stop -= STEPS) {
            const int64_t first = stop - STEPS + 1 > 1 ? stop - STEPS + 1 : 1;
            for (int i = 0; i < P; i++)
                std::memcpy(w[i] + (stop - first) * Kp, w[i] + STEPS * Kp, static_cast<size_t>(Kp) * sizeof(real));
            for (int64_t t = stop; t >= first; t--) {
                const int64_t to = t > first ? t - 1 - first : STEPS;
                const real *x[P];
                vec scale[P];
                for (int i = 0; i < P; i++) x[i] = w[i] + (t - first) * Kp, scale[i] = scale_of(i, t > 1 ? t - 1 : 1);
                if (t > 1)
                    product<P>(x, m.backward.data(),
                               [&](int i, int64_t j, vec y) { arrive(i, t - 1, to, scale[i], j, y); });
                else product<P>(x, m.backward.data(), [&](int i, int64_t j, vec y) { store(beta + i * Kp + j, y); });
            }
            for (int i = 0; i < P && transitions; i++)
                moments_lanes(stop - first + 1, K, alpha(i, first - 1), 1, Kp, w[i], Kp, p.expected.data());
        }
        for (int i = 0; i < P; i++)
            for (int64_t j = 0; j < Kp && !track[i].s.begins; j += V)
                bad |= matters(load(alpha(i, 0) + j), load(beta + i * Kp + j), big[i], zero);
        return POSITIVE || !any(bad);
    }
};

}  // namespace
