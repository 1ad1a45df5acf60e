// Paths drawn from their posterior: forward filtering, backward sampling.
#pragma once
#include <algorithm>

#include "tiles/make.hpp"

namespace {

// The first state whose share of the weights w (K,) is passed by u; `otherwise` where all are zero.
inline int64_t pick(const real *w, int64_t K, double u, int64_t otherwise) {
    double total = 0;
    for (int64_t k = 0; k < K; k++) total += static_cast<double>(w[k]);
    if (!(total > 0)) return otherwise;
    double left = u * total;
    int64_t passed = 0;  // states whose sum is not beyond u: counted without branches, which nothing foresees
    for (int64_t k = 0; k < K; k++) {
        left -= static_cast<double>(w[k]);
        passed += left >= 0;
    }
    int64_t state = passed < K ? passed : K - 1;
    while (w[state] <= 0) state--;  // rounding may pass the last that is possible
    return state;
}

constexpr real LOW =
    sizeof(real) == 8 ? real(1e-200) : real(1e-30);  // what is possible keeps so much, relative to the most

// a (K,): reach times densities of which the logs are given, the largest being 1; 0 where all are impossible.
inline real from_logs(const real *reach, const real *logs, int64_t ld, int64_t K, real *a) {
    real most = -INFINITY;
    for (int64_t j = 0; j < K; j++) {
        const real l = logs[j * ld];
        a[j] = reach[j] > 0 && l > IMPOSSIBLE ? std::log(reach[j]) + l : -INFINITY;
        most = a[j] > most ? a[j] : most;
    }
    for (int64_t j = 0; j < K; j++) a[j] = most > -INFINITY ? std::exp(a[j] - most) : 0;
    return most > -INFINITY ? 1 : 0;
}

class Draw {
    const estep::Chain &chain;
    const Rows &rows;
    const std::unique_ptr<Tile> tile;
    const int64_t K, Kp, ld;
    Buffer trans, to_state;  // (K, Kp) and its transpose, zero in the padding
    Buffer L, b, b_rows, scale, reach, w;
    Array<real> alpha;  // (T, Kp): filtered, the largest 1

  public:
    Draw(const Spec &s, const estep::Chain &c, const Rows &r)
        : chain(c),
          rows(r),
          tile(make_tile(s, r)),
          K(s.K),
          Kp(round_up(s.K, V)),
          ld(tile->ld),
          trans(K * Kp),
          to_state(K * Kp),
          L(K * ld),
          b(K * ld),
          b_rows(tile->size * Kp),
          scale(ld),
          reach(Kp),
          w(Kp) {
        for (int64_t i = 0; i < K; i++)
            for (int64_t j = 0; j < K; j++)
                trans[i * Kp + j] = to_state[j * Kp + i] = static_cast<real>(c.trans[i * K + j]);
    }

    void run(const double *u, int32_t *path) {
        for (int64_t s = 0, first = 0; s < chain.S; first = chain.ends[s++]) {
            const int64_t T = chain.ends[s] - first;
            if (!T) continue;
            forward(first, T);
            int64_t state = pick(alpha + (T - 1) * Kp, K, u[first + T - 1], 0);
            path[first + T - 1] = static_cast<int32_t>(state);
            for (int64_t t = T - 2; t >= 0; t--) {
                const real *a = alpha + t * Kp, *way = to_state + state * Kp;
                for (int64_t i = 0; i < Kp; i += V) store(w + i, load(a + i) * load(way + i));
                state = pick(w.data(), K, u[first + t], state);
                path[first + t] = static_cast<int32_t>(state);
            }
        }
    }

  private:
    void forward(int64_t first, int64_t T) {
        alpha.grow(T * Kp);
        for (int64_t t0 = 0; t0 < T; t0 += tile->size) {
            const int64_t n = std::min(tile->size, T - t0);
            tile->load(rows, {first + t0, nullptr}, n);
            tile->densities(L.data(), Place{b.data(), K, ld, ONE_SLOT, 0}, scale.data());
            to_rows(b.data(), ld, K, n, b_rows.data(), Kp);
            bool logs = false;  // whether L holds log-densities
            for (int64_t t = t0; t < t0 + n; t++) {
                real *a = alpha + t * Kp;
                const real *density = b_rows + (t - t0) * Kp;
                if (t) predict(a - Kp);
                else
                    for (int64_t j = 0; j < Kp; j++) reach[j] = j < K ? static_cast<real>(chain.start[j]) : 0;
                vec top{};
                for (int64_t j = 0; j < Kp; j += V) {
                    const vec x = load(reach + j) * load(density + j);
                    store(a + j, x);
                    top = vmax(top, x);
                }
                real most = top[0];
                for (int l = 1; l < V && l < K; l++) most = top[l] > most ? top[l] : most;
                if (most < LOW) {  // relative to what can be reached
                    if (!logs) tile->log_densities(L.data()), logs = true;
                    most = from_logs(reach.data(), L + (t - t0), ld, K, a);
                }
                if (!(most > 0))  // impossible, said elsewhere
                    for (int64_t j = 0; j < K; j++) a[j] = most = 1;
                const real by = 1 / most;
                for (int64_t j = 0; j < Kp; j += V) {
                    const vec x = load(a + j) * by, none{};
                    const ivec possible = (load(reach + j) > none) & (load(density + j) > none);
                    store(a + j, possible ? vmax(x, splat(LOW)) : x);
                }
            }
        }
    }

    void predict(const real *a) {  // reach: the distribution a row later
        int64_t j = 0;
        for (; j + 4 * V <= Kp; j += 4 * V) moved<4>(a, j);
        for (; j < Kp; j += V) moved<1>(a, j);
    }
    template <int M>
    void moved(const real *a, int64_t j) {
        vec sum[2][M] = {};  // of even and of odd states, so that no sum waits for the one before
        const real *A = trans + j;
        int64_t i = 0;
        for (; i + 2 <= K; i += 2, A += 2 * Kp)
            for (int o = 0; o < 2; o++)
#pragma GCC unroll 4
                for (int m = 0; m < M; m++) sum[o][m] += a[i + o] * load(A + o * Kp + m * V);
        for (int m = 0; m < M; m++) {
            if (i < K) sum[0][m] += a[i] * load(A + m * V);
            store(reach + j + m * V, sum[0][m] + sum[1][m]);
        }
    }
};

void draw(const Spec &spec, const estep::Chain &chain, const Rows &rows, const double *u, int32_t *path) {
    Draw(spec, chain, rows).run(u, path);
}

}  // namespace
