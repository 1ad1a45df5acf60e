// Cholesky factors of many small matrices, for M-steps of small models: calls cost more than the arithmetic.
#pragma once
#include <cmath>
#include <cstdint>
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

}  // namespace estep
