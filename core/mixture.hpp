// Independent draws: responsibilities of a tile of rows live in its buffer and are gone when the tile is.
#pragma once
#include "emission.hpp"

namespace {

// L (K, ld) of log-densities becomes responsibilities times weight, added to counts (K, V); loglik (ld,) the rows'
// log-likelihoods; near (K,) is work space.
void responsibilities(const Tile &tile, int64_t K, const real *logweights, const real *weight, real *L, real *loglik,
                      int64_t *near, real *counts) {
    for (int64_t i = 0; i < tile.padded; i += V) {
        int64_t n;
        store(loglik + i, share_out(K, tile.ld, logweights, load(weight + i), L + i, near, &n));
        for (int64_t j = 0; j < n; j++) {
            real *count = counts + near[j] * V;
            store(count, load(count) + load(L + near[j] * tile.ld + i));
        }
    }
}

// Several mixtures may be the columns of one spec: those of model m end before column ends[m].
void mixture(const Spec &spec, const int64_t *ends, int64_t models, const double *logweights, const Rows &rows,
             const estep::MixtureOut &out) {
    FlushDenormals guard;
    const auto tile = make_tile(spec, rows);
    const int64_t K = spec.K, ld = tile->ld;
    Buffer L(K * ld), loglik(ld), weight(ld), kept;
    Array<int64_t> near(K);  // work space
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
            const int64_t k = m ? ends[m - 1] : 0;
            responsibilities(*tile, ends[m] - k, logw + k, weight.data(), L + k * ld, loglik.data(), near.data(),
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
    const auto tile = make_tile(spec, rows);
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
