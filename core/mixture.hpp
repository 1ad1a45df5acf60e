// Independent draws: responsibilities of a tile of rows live in its buffer and are gone when the tile is.
#pragma once
#include "emission.hpp"

namespace {

// L (K, ld) of log-densities becomes responsibilities times weight, added to counts (K, V); loglik (ld,) the rows'
// log-likelihoods; which (K,) is work space.
void responsibilities(const Tile &tile, int64_t K, const real *logweights, const real *weight, real *L, real *loglik,
                      int64_t *which, real *counts) {
    const int64_t ld = tile.ld;
    for (int64_t i = 0; i < tile.padded; i += V) {
        vec m = load(L + i) + logweights[0];
        store(L + i, m);
        for (int64_t k = 1; k < K; k++) {
            vec l = load(L + k * ld + i) + logweights[k];
            store(L + k * ld + i, l);
            m = vmax(m, l);
        }
        ivec none = m < IMPOSSIBLE;
        vec safe = none ? vec{} : m, z{};
        int64_t near = 0;
        for (int64_t k = 0; k < K; k++) {
            vec x = load(L + k * ld + i) - safe;
            const bool some = above(x, splat(NEGLIGIBLE));
            store(L + k * ld + i, some ? x : vec{});
            which[near] = k;
            near += some;
        }
        for (int64_t j = 0; j < near; j++) {
            vec e = vexp(load(L + which[j] * ld + i));
            store(L + which[j] * ld + i, e);
            z += e;
        }
        vec scale = none ? vec{} : load(weight + i) / z;
        for (int64_t j = 0; j < near; j++) {
            const int64_t k = which[j];
            const vec r = load(L + k * ld + i) * scale;
            store(L + k * ld + i, r);
            store(counts + k * V, load(counts + k * V) + r);
        }
        store(loglik + i, none ? splat(-INFINITY) : m + vlog(z));
    }
}

// Several mixtures of as many components each may be the columns of one spec.
void mixture(const Spec &spec, int64_t models, const double *logweights, const Rows &rows,
             const estep::MixtureOut &out) {
    FlushDenormals guard;
    AnyTile tile(spec);
    const int64_t K = spec.K, per = K / models, ld = tile->ld;
    Buffer L(K * ld), loglik(ld), weight(ld), kept;
    Array<int64_t> which(per);  // work space
    Sums counts(K * V);
    const real *logw = as_real(logweights, K, kept);
    for (int64_t first = 0; first < rows.n; first += tile->size) {
        const int64_t n = rows.n - first < tile->size ? rows.n - first : tile->size;
        tile->load(rows, {first, nullptr}, n);
        tile->log_densities(L.data());
        for (int64_t i = 0; i < tile->padded; i++)
            weight[i] = i >= n ? 0 : rows.weight ? static_cast<real>(rows.weight[first + i]) : 1;
        real *count = counts.over(n);
        for (int64_t m = 0; m < models; m++) {
            const int64_t k = m * per;
            responsibilities(*tile.tile, per, logw + k, weight.data(), L + k * ld, loglik.data(), which.data(),
                             count + k * V);
            for (int64_t i = 0; i < n && out.totals; i++)
                if (weight[i] > 0)
                    out.totals[m] += (rows.weight ? rows.weight[first + i] : 1.0) * static_cast<double>(loglik[i]);
            for (int64_t i = 0; i < n && out.loglik; i++)
                out.loglik[(first + i) * models + m] = static_cast<double>(loglik[i]);
        }
        if (out.stats) tile->accumulate(L.data(), ld);
        for (int64_t i = 0; i < n && out.resp; i++)
            for (int64_t k = 0; k < K; k++) out.resp[(first + i) * K + k] = static_cast<double>(L[k * ld + i]);
    }
    for (int64_t k = 0; k < K && out.counts; k++) out.counts[k] += counts.lanes(k);
    if (out.stats) tile->finish(out.stats);
}

void log_densities(const Spec &spec, const Rows &rows, double *out) {
    AnyTile tile(spec);
    const int64_t K = spec.K, ld = tile->ld;
    Buffer L(K * ld);
    for (int64_t first = 0; first < rows.n; first += tile->size) {
        const int64_t n = rows.n - first < tile->size ? rows.n - first : tile->size;
        tile->load(rows, {first, nullptr}, n);
        tile->log_densities(L.data());
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < K; k++) {
                const real l = L[k * ld + i];
                out[(first + i) * K + k] = l < IMPOSSIBLE ? -INFINITY : static_cast<double>(l);
            }
    }
}

}  // namespace
