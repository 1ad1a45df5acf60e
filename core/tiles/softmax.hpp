// Log-densities to shares of a row.
#pragma once
#include "simd/math.hpp"

namespace {

// The log-densities p (K, ld) at one vector of rows, with their weights, become shares of `whole`: 0 where below what
// counts, as it is where nothing is possible. Returns the logarithm of their sum; the first `count` of near (K,) are
// the components with a share.
inline vec share_out(int64_t K, int64_t ld, const real *logweights, vec whole, real *p, int64_t *near, int64_t *count) {
    vec m = splat(-INFINITY), z{};
    for (int64_t k = 0; k < K; k++) {
        const vec l = load(p + k * ld) + logweights[k];
        store(p + k * ld, l);
        m = vmax(m, l);
    }
    const ivec none = m < IMPOSSIBLE;
    const vec safe = none ? vec{} : m;
    int64_t n = 0;
    for (int64_t k = 0; k < K; k++) {
        const vec x = load(p + k * ld) - safe;
        const bool some = above(x, splat(NEGLIGIBLE));
        store(p + k * ld, some ? x : vec{});
        near[n] = k;
        n += some;
    }
    for (int64_t j = 0; j < n; j++) {
        const vec e = vexp(load(p + near[j] * ld));
        store(p + near[j] * ld, e);
        z += e;
    }
    const vec scale = none ? vec{} : whole / z;
    for (int64_t j = 0; j < n; j++) store(p + near[j] * ld, load(p + near[j] * ld) * scale);
    *count = n;
    return none ? splat(-INFINITY) : m + vlog(z);
}

}  // namespace
