// Several EM steps of one small mixture of Gaussians: between them lies arithmetic that costs less than a call.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "abi.hpp"
#include "gaussian/m_step.hpp"

namespace estep {

struct ClimbLimits {
    double nothing, relative;  // see Normals::maximize
    const double *floor;       // (D,) or null
    double size;               // of the terms of a log-density: beyond, they would cancel
    double sure, hardly;       // a component of the weight `sure` with less than `hardly` of all rows has lost digits
};

struct Climb {       // what each step finds; the first axis is the step
    double *loglik;  // (steps,) of the model that entered it
    double *counts;  // (steps, K)
    double *means;   // (steps, K, D), and so on, of the model that leaves it
    double *covariances, *inverse, *logdet;
};

// From weights (K,), means and inverse factors, with log-determinants (K,), `most` steps, or as many as go without
// anything to decide: no component empties, meets its floor or loses digits, and no row is impossible. Their number.
inline int64_t climb(const Kernels &run, const Normals &normals, const Rows &rows, const double *origin,
                     const double *radius, const double *weights, const double *means, const double *inverse,
                     const double *logdet, const ClimbLimits &limits, int64_t most, const Climb &out) {
    const int64_t K = normals.K, D = normals.D, F = normals.features(), squares = normals.diag ? D : D * D;
    const double constant = static_cast<double>(D) * 1.83787706640934548356;  // log 2 pi
    const auto reserve = [](int64_t n) { return std::vector<double>(static_cast<size_t>(n)); };
    auto mu = reserve(K * D), height = reserve(K), by_component = reserve(K * F), by_feature = reserve(K * F);
    auto stats = reserve(K * F), mass = reserve(K), logs = reserve(K), share = reserve(K);
    std::copy(weights, weights + K, share.begin());
    for (int64_t step = 0; step < most; step++) {
        for (int64_t k = 0; k < K; k++) {
            const auto at = static_cast<size_t>(k);
            for (int64_t d = 0; d < D; d++) mu[static_cast<size_t>(k * D + d)] = means[k * D + d] - origin[d];
            height[at] = -0.5 * (constant + logdet[k]);
            logs[at] = std::log(share[at]);
        }
        const double size = normals.quadratic(mu.data(), inverse, height.data(), radius, by_component.data());
        if (!(size <= limits.size)) return step;
        for (int64_t k = 0; k < K; k++)
            for (int64_t f = 0; f < F; f++)
                by_feature[static_cast<size_t>(f * K + k)] = by_component[static_cast<size_t>(k * F + f)];
        Spec spec{};
        spec.kind = normals.diag ? Kind::diag : Kind::full, spec.K = K, spec.D = D;
        spec.weights = by_feature.data(), spec.origin = origin;
        spec.means = mu.data(), spec.factor = inverse, spec.lognorm = height.data();
        double *counts = out.counts + step * K, *loglik = out.loglik + step;
        std::fill(counts, counts + K, 0.0), std::fill(stats.begin(), stats.end(), 0.0), *loglik = 0;
        run.mixture(spec, &K, 1, logs.data(), limits.sure, rows, {counts, stats.data(), loglik, nullptr, nullptr});
        const double total = std::accumulate(counts, counts + K, 0.0);
        if (!std::isfinite(*loglik) || !(total > 0)) return step;
        for (int64_t k = 0; k < K; k++) {
            const auto at = static_cast<size_t>(k);
            if (limits.sure > 0 && share[at] >= limits.sure && counts[k] < limits.hardly * total) return step;
            share[at] = counts[k] / total;
            mass[at] = stats[static_cast<size_t>(k * F)];
        }
        double *to = out.means + step * K * D, *C = out.covariances + step * K * squares;
        double *L = out.inverse + step * K * squares, *log = out.logdet + step * K;
        if (!normals.maximize(stats.data(), mass.data(), limits.nothing, origin, limits.floor, limits.relative, to, C,
                              L, log))
            return step;
        means = to, inverse = L, logdet = log;
    }
    return most;
}

}  // namespace estep
