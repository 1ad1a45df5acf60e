// The parameters of many small Gaussians: for M-steps of small models, where calls cost more than the arithmetic.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace estep {

// inverse (n, D, D) = L^-1 with L L' = C, lower triangular; logdet (n,) of C (n, D, D). The matrices are factorised
// with a unit diagonal. False where one is not positive definite.
inline bool factorise(int64_t n, int64_t D, const double *C, double *inverse, double *logdet) {
    std::vector<double> L(static_cast<size_t>(D * D)), scale(static_cast<size_t>(D));
    auto at = [D](auto &m, int64_t i, int64_t j) -> auto & { return m[static_cast<size_t>(i * D + j)]; };
    for (int64_t m = 0; m < n; m++, C += D * D, inverse += D * D) {
        double log = 0;
        for (int64_t i = 0; i < D; i++) {
            if (!(C[i * D + i] > 0)) return false;
            scale[static_cast<size_t>(i)] = 1 / std::sqrt(C[i * D + i]);
        }
        for (int64_t i = 0; i < D; i++)
            for (int64_t j = 0; j <= i; j++) {
                double s = C[i * D + j] * (scale[static_cast<size_t>(i)] * scale[static_cast<size_t>(j)]);
                for (int64_t k = 0; k < j; k++) s -= at(L, i, k) * at(L, j, k);
                if (i > j) at(L, i, j) = s / at(L, j, j);
                else if (s > 0) at(L, i, i) = std::sqrt(s);
                else return false;
            }
        for (int64_t i = 0; i < D; i++) {
            log += std::log(at(L, i, i) / scale[static_cast<size_t>(i)]);
            for (int64_t j = 0; j < D; j++) {
                double s = i == j ? 1 : 0;
                for (int64_t k = j; k < i; k++) s -= at(L, i, k) * inverse[k * D + j];
                inverse[i * D + j] = j <= i ? s / at(L, i, i) : 0;
            }
        }
        for (int64_t i = 0; i < D * D; i++) inverse[i] *= scale[static_cast<size_t>(i % D)];
        logdet[m] = 2 * log;
    }
    return true;
}

// The least variance, as a fraction of the second moment about the origin that it is taken from: less is rounding.
constexpr double RESOLVED = 4 * std::numeric_limits<double>::epsilon();

// K Gaussians of D columns: covariances, and their inverse factors, are (K, D, D), or (K, D) if `diag`.
struct Normals {
    int64_t K, D;
    bool diag;
    int64_t features() const { return 1 + D + (diag ? D : D * (D + 1) / 2); }

    // Means, covariances, and of full ones the inverse factors and log-determinants (K,), from moments (K, features)
    // about the origin, divided by the mass `rows` (K,). False, and nothing is said of the results, where a component
    // has less than `nothing` of all rows, a variance of rounding, or may be below the floor (D,) of a variance, which
    // is `relative` of the column's; null: no floor.
    bool maximize(const double *moments, const double *rows, double nothing, const double *origin, const double *floor,
                  double relative, double *means, double *covariances, double *inverse, double *logdet) const {
        if (!moved(moments, rows, nothing, origin, means, covariances)) return false;
        if (!diag)
            return factorise(K, D, covariances, inverse, logdet) &&
                   (!floor || above(floor, relative, covariances, inverse));
        for (int64_t k = 0; k < K; k++) {
            logdet[k] = 0;
            for (int64_t i = 0; i < D; i++) {
                const double c = covariances[k * D + i];
                if (!(c >= (floor ? floor[i] : 0) && c > 0)) return false;
                inverse[k * D + i] = 1 / std::sqrt(c);
                logdet[k] += std::log(c);
            }
        }
        return true;
    }

    // The weights (K, features) of `height` (K,) - |inverse (x - mu)|^2 / 2 as a sum of 1, x and products of x, about
    // the origin as mu (K, D) is. Returns the largest sum over i of P_ii radius_i^2 (P: inverse' inverse), with radii
    // that hold all mu.
    double quadratic(const double *mu, const double *inverse, const double *height, const double *radius,
                     double *weights) const {
        std::vector<double> far(static_cast<size_t>(D)), white(static_cast<size_t>(D));
        for (int64_t i = 0; i < D; i++) {
            far[static_cast<size_t>(i)] = radius[i];
            for (int64_t k = 0; k < K; k++)
                far[static_cast<size_t>(i)] = std::max(far[static_cast<size_t>(i)], std::fabs(mu[k * D + i]));
        }
        double most = 0;
        for (int64_t k = 0; k < K; k++, mu += D, inverse += diag ? D : D * D) {
            double squares = 0, size = 0, *linear = weights + 1, *product = weights + 1 + D;
            for (int64_t i = 0; i < D; i++) {
                double w = diag ? inverse[i] * mu[i] : 0;
                for (int64_t j = 0; j <= i && !diag; j++) w += inverse[i * D + j] * mu[j];
                white[static_cast<size_t>(i)] = w;
                squares += w * w;
            }
            for (int64_t i = 0; i < D; i++) {
                double w = diag ? inverse[i] * white[static_cast<size_t>(i)] : 0;
                for (int64_t r = i; r < D && !diag; r++) w += inverse[r * D + i] * white[static_cast<size_t>(r)];
                linear[i] = w;
                for (int64_t j = i; j < (diag ? i + 1 : D); j++) {
                    double p = diag ? inverse[i] * inverse[i] : 0;
                    for (int64_t r = j; r < D && !diag; r++) p += inverse[r * D + i] * inverse[r * D + j];
                    if (i == j) size += p * far[static_cast<size_t>(i)] * far[static_cast<size_t>(i)];
                    *product++ = i == j ? -0.5 * p : -p;
                }
            }
            weights[0] = height[k] - 0.5 * squares;
            most = std::max(most, size);
            weights += features();
        }
        return most;
    }

  private:
    // Means, and covariances about them.
    bool moved(const double *moments, const double *rows, double nothing, const double *origin, double *means,
               double *covariances) const {
        double total = 0;
        for (int64_t k = 0; k < K; k++) total += rows[k];
        std::vector<double> centre(static_cast<size_t>(D));
        for (int64_t k = 0; k < K; k++, moments += features()) {
            const double mass = moments[0], *second = moments + 1 + D, *first = moments + 1;
            if (!(rows[k] > nothing * total && mass > 0)) return false;
            const double share = mass / rows[k];
            for (int64_t i = 0; i < D; i++) {
                centre[static_cast<size_t>(i)] = first[i] / rows[k] / share;
                means[k * D + i] = origin[i] + centre[static_cast<size_t>(i)];
            }
            for (int64_t i = 0; i < D; i++) {
                const double ci = share * centre[static_cast<size_t>(i)];
                for (int64_t j = i; j < (diag ? i + 1 : D); j++) {
                    const double square = *second++ / rows[k], spread = square - ci * centre[static_cast<size_t>(j)];
                    if (i == j && !(spread >= RESOLVED * square)) return false;
                    if (diag) covariances[k * D + i] = spread;
                    else covariances[(k * D + i) * D + j] = covariances[(k * D + j) * D + i] = spread;
                }
            }
        }
        return true;
    }

    // Whether all smallest eigenvalues, in units of the columns, are surely above the floor and above what factorising
    // needs beside the largest: traces bound them.
    bool above(const double *floor, double relative, const double *covariances, const double *inverse) const {
        const double d = static_cast<double>(D), eps = std::numeric_limits<double>::epsilon() * d;
        for (int64_t k = 0; k < K; k++, covariances += D * D, inverse += D * D) {
            double largest = std::max(64.0, 2 * d), trace = 0, sum = 0;
            for (int64_t i = 0; i < D; i++) {
                sum += covariances[i * D + i] * (relative / floor[i]);
                for (int64_t r = i; r < D; r++)
                    trace += inverse[r * D + i] * inverse[r * D + i] * (floor[i] / relative);
            }
            largest = std::max(largest, sum);
            if (!(trace * std::max(relative, eps * largest) <= 1)) return false;
        }
        return true;
    }
};

}  // namespace estep
