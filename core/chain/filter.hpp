// Filtered distributions, and paths drawn from their posterior: forward filtering, backward sampling.
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

class Filter {
    const estep::Chain &chain;
    const Rows &rows;
    const std::unique_ptr<Tile> tile;
    const int64_t K, Kp, ld;
    Buffer trans, to_state;  // (K, Kp) and its transpose, zero in the padding
    Buffer L, b, b_rows, scale, reach, w;
    Array<real> alpha;    // (T, Kp): filtered, the largest 1
    int64_t doomed = -1;  // the first row that is impossible given those before; -1: none

  public:
    Filter(const Spec &s, const estep::Chain &c, const Rows &r)
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

    // Adds up to 1 in each row of `out` (n, K), NaN from an impossible row on; those of a halo are left as they are.
    // `messages` (4, K), or null: logs of the distribution before the chunk, as used, and at its last row.
    void filtered(double *out, double *messages) {
        for (int64_t s = 0, first = 0; s < chain.S; first = chain.ends[s++]) {
            const Own own = forward(first, chain.ends[s]);
            for (int64_t t = own.first; t < own.stop; t++) share(t - own.low, doomed >= 0 && t >= doomed, out + t * K);
            if (!messages || own.stop == own.first) continue;
            double *before = messages, *last = messages + 2 * K;
            for (int64_t k = 0; k < K; k++) {
                before[k] = own.first > own.low ? log_of(own.first - 1 - own.low, k) : chain.left ? chain.left[k] : 0;
                last[k] = log_of(own.stop - 1 - own.low, k);
            }
        }
    }

    void draw(const double *u, int32_t *path) {
        for (int64_t s = 0, first = 0; s < chain.S; first = chain.ends[s++]) {
            const Own own = forward(first, chain.ends[s]);
            int64_t state = chain.next;
            for (int64_t t = own.stop - 1; t >= own.first; t--) {
                const real *a = alpha + (t - own.low) * Kp;
                if (state >= 0) {
                    const real *way = to_state + state * Kp;
                    for (int64_t i = 0; i < Kp; i += V) store(w + i, load(a + i) * load(way + i));
                    a = w.data();
                }
                state = pick(a, K, u[t], state >= 0 ? state : 0);
                path[t] = static_cast<int32_t>(state);
            }
        }
    }

  private:
    struct Own {  // rows that are asked for, and the first that is read
        int64_t low, first, stop;
    };

    double log_of(int64_t t, int64_t k) const { return std::log(static_cast<double>(alpha[t * Kp + k])); }
    void share(int64_t t, bool none, double *out) const {
        double total = 0;
        for (int64_t k = 0; k < K; k++) total += static_cast<double>(alpha[t * Kp + k]);
        for (int64_t k = 0; k < K; k++) out[k] = none ? NAN : static_cast<double>(alpha[t * Kp + k]) / total;
    }

    // Of rows first to last, those of a chunk: from what is known to come before, else from its halo.
    Own forward(int64_t first, int64_t last) {
        const Own own{chain.left ? first + chain.head : first, first + chain.head, last - chain.tail};
        const int64_t T = own.stop - own.low;
        const bool opens = chain.begins && !chain.left;
        alpha.grow(T * Kp);
        doomed = -1;
        for (int64_t t0 = 0; t0 < T; t0 += tile->size) {
            const int64_t n = std::min(tile->size, T - t0);
            tile->load(rows, {own.low + t0, nullptr}, n);
            tile->densities(L.data(), Place{b.data(), K, ld, ONE_SLOT, 0}, scale.data());
            to_rows(b.data(), ld, K, n, b_rows.data(), Kp);
            bool logs = false;  // whether L holds log-densities
            for (int64_t t = t0; t < t0 + n; t++) {
                real *a = alpha + t * Kp;
                const real *density = b_rows + (t - t0) * Kp;
                if (t) predict(a - Kp);
                else if (opens)
                    for (int64_t j = 0; j < Kp; j++) reach[j] = j < K ? static_cast<real>(chain.start[j]) : 0;
                else reach_from_left();
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
                if (!(most > 0)) {
                    if (doomed < 0) doomed = own.low + t;
                    for (int64_t j = 0; j < K; j++) a[j] = most = 1;
                }
                const real by = 1 / most;
                for (int64_t j = 0; j < Kp; j += V) {
                    const vec x = load(a + j) * by, none{};
                    const ivec possible = (load(reach + j) > none) & (load(density + j) > none);
                    store(a + j, possible ? vmax(x, splat(LOW)) : x);
                }
            }
        }
        return own;
    }

    void reach_from_left() {  // one row after the message from the left; uniform where there is none
        double top = -INFINITY;
        for (int64_t k = 0; k < K && chain.left; k++) top = std::max(top, chain.left[k]);
        for (int64_t k = 0; k < Kp; k++)
            w[k] = k >= K ? 0 : !chain.left ? 1 : static_cast<real>(std::exp(chain.left[k] - top));
        predict(w.data());
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
    Filter(spec, chain, rows).draw(u, path);
}

void filter(const Spec &spec, const estep::Chain &chain, const Rows &rows, double *out, double *messages) {
    Filter(spec, chain, rows).filtered(out, messages);
}

// A filter that is kept from one row to the next.
struct Streamed {
    int64_t end = 1;
    estep::Chain chain;
    Rows rows;
    Filter filter;

    Streamed(const Spec &s, const double *trans)
        : chain{.K = s.K, .start = nullptr, .trans = trans, .ends = &end, .S = 1},
          rows{nullptr, estep::Dtype::f64, 1, s.D, nullptr},
          filter(s, chain, rows) {}
    Streamed(const Streamed &) = delete;
    Streamed &operator=(const Streamed &) = delete;
};

void *open_stream(const Spec &spec, const double *trans) { return new (std::nothrow) Streamed(spec, trans); }

// Fills out (K,) as `filter` does for a row (D,) in which the states (K,) may be reached.
void stream_row(void *stream, const double *reach, const double *row, double *out) {
    Streamed &s = *static_cast<Streamed *>(stream);
    s.chain.start = reach, s.rows.data = row;
    s.filter.filtered(out, nullptr);
}

void close_stream(void *stream) { delete static_cast<Streamed *>(stream); }

}  // namespace
