// Paths drawn from their posterior: forward filtering, backward sampling.
#pragma once
#include "tiles/make.hpp"

namespace {

// The first state whose share of the weights w (K,) is passed by u; `otherwise` where all are zero.
inline int64_t pick(const double *w, int64_t K, double u, int64_t otherwise) {
    double total = 0;
    for (int64_t k = 0; k < K; k++) total += w[k];
    if (!(total > 0)) return otherwise;
    int64_t last = otherwise;
    double left = u * total;
    for (int64_t k = 0; k < K; k++) {
        if (w[k] <= 0) continue;
        last = k;
        if ((left -= w[k]) < 0) break;
    }
    return last;
}

constexpr double LOW = 1e-200;  // what is possible keeps so much, relative to the most

// a (K,): reach times densities of which the logs are given, the largest being 1; 0 where all are impossible.
inline double from_logs(const double *reach, const real *logs, int64_t ld, int64_t K, double *a) {
    double most = -INFINITY;
    for (int64_t j = 0; j < K; j++) {
        const double l = static_cast<double>(logs[j * ld]);
        a[j] = reach[j] > 0 && l > IMPOSSIBLE ? std::log(reach[j]) + l : -INFINITY;
        most = a[j] > most ? a[j] : most;
    }
    for (int64_t j = 0; j < K; j++) a[j] = most > -INFINITY ? std::exp(a[j] - most) : 0;
    return most > -INFINITY ? 1 : 0;
}

void draw(const Spec &spec, const estep::Chain &chain, const Rows &rows, const double *u, int32_t *path) {
    const auto tile = make_tile(spec, rows);
    const int64_t K = spec.K, ld = tile->ld;
    Buffer L(K * ld), b(K * ld), scale(ld);
    Array<double> alpha, w(K), reach(K);
    for (int64_t s = 0, first = 0; s < chain.S; first = chain.ends[s++]) {
        const int64_t T = chain.ends[s] - first;
        if (T == 0) continue;
        alpha.grow(T * K);
        for (int64_t t0 = 0; t0 < T; t0 += tile->size) {
            const int64_t n = T - t0 < tile->size ? T - t0 : tile->size;
            tile->load(rows, {first + t0, nullptr}, n);
            tile->densities(L.data(), Place{b.data(), K, ld, ONE_SLOT, 0}, scale.data());
            bool logs = false;  // whether L holds log-densities
            for (int64_t t = t0; t < t0 + n; t++) {
                double *a = alpha + t * K, most = 0;
                for (int64_t j = 0; j < K; j++) {
                    reach[j] = t ? 0 : chain.start[j];
                    for (int64_t i = 0; t && i < K; i++) reach[j] += a[i - K] * chain.trans[i * K + j];
                    a[j] = reach[j] * static_cast<double>(b[j * ld + t - t0]);
                    most = a[j] > most ? a[j] : most;
                }
                if (most < LOW) {  // relative to what can be reached
                    if (!logs) tile->log_densities(L.data()), logs = true;
                    most = from_logs(reach.data(), L + (t - t0), ld, K, a);
                }
                for (int64_t j = 0; j < K; j++) {
                    const bool possible = reach[j] > 0 && b[j * ld + t - t0] > 0;
                    a[j] = most > 0 ? a[j] / most : 1;  // 1: impossible, said elsewhere
                    if (possible && a[j] < LOW) a[j] = LOW;
                }
            }
        }
        int64_t state = pick(alpha + (T - 1) * K, K, u[first + T - 1], 0);
        path[first + T - 1] = static_cast<int32_t>(state);
        for (int64_t t = T - 2; t >= 0; t--) {
            const double *a = alpha + t * K;
            for (int64_t i = 0; i < K; i++) w[i] = a[i] * chain.trans[i * K + state];
            state = pick(w.data(), K, u[first + t], state);
            path[first + t] = static_cast<int32_t>(state);
        }
    }
}

}  // namespace
