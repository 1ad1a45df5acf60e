// Forward-backward in log space, for what linear space loses.
#pragma once
#include "chain_model.hpp"

namespace {

double log_sum(const double *x, int64_t n) {
    double m = -INFINITY, s = 0;
    for (int64_t i = 0; i < n; i++) m = x[i] > m ? x[i] : m;
    if (m == -INFINITY) return m;
    for (int64_t i = 0; i < n; i++) s += std::exp(x[i] - m);
    return m + std::log(s);
}

struct LogPass {
    int64_t T;
    double weight;
    const double *logb;          // (T, K)
    const double *left, *right;  // (K,) logs; null: the sequence begins, ends here
    double *gamma;               // (T, K) or null for the likelihood alone
    double *trans;               // (K, K) added to, or null
    double *filtered, *before;   // (K,) logs, or null
};

// Weight times gamma and the expected transitions; zeros when the rows are impossible. Returns the log-likelihood.
[[maybe_unused]] double log_forward_backward(const ChainModel &m, const LogPass &p) {
    const int64_t K = m.K, T = p.T;
    Array<double> la(T * K), lb(K), next(K), work(K), logtrans(K * K);
    for (int64_t i = 0; i < K * K; i++) logtrans[i] = std::log(m.trans[i]);
    auto through = [&](const double *from, int64_t j) {  // log of the sum over i of exp(from_i) A_ij
        for (int64_t i = 0; i < K; i++) work[i] = from[i] + logtrans[i * K + j];
        return log_sum(work.data(), K);
    };
    for (int64_t t = 0; t < T; t++)
        for (int64_t j = 0; j < K; j++)
            la[t * K + j] = p.logb[t * K + j] + (t        ? through(la + (t - 1) * K, j)
                                                 : p.left ? through(p.left, j)
                                                          : std::log(m.start[j]));
    const double *last = la + (T - 1) * K;
    const double loglik = log_sum(last, K);
    for (int64_t k = 0; k < K && p.filtered; k++) p.filtered[k] = loglik > -INFINITY ? last[k] - loglik : -INFINITY;
    if (!p.gamma) return loglik;
    for (int64_t k = 0; k < K; k++) work[k] = last[k] + (p.right ? p.right[k] : 0);
    const double whole = log_sum(work.data(), K);
    const bool possible = whole > -INFINITY && p.weight > 0;
    for (int64_t k = 0; k < K; k++) lb[k] = p.right ? p.right[k] : 0;
    for (int64_t t = T - 1; t >= -1; t--) {
        const double *from = t >= 0 ? la + t * K : p.left;
        if (t < T - 1) {
            for (int64_t i = 0; i < K; i++) {
                for (int64_t j = 0; j < K; j++) work[j] = logtrans[i * K + j] + p.logb[(t + 1) * K + j] + lb[j];
                next[i] = log_sum(work.data(), K);
                for (int64_t j = 0; p.trans && possible && from && j < K; j++) {
                    const double x = from[i] + work[j] - whole;
                    if (x > -708) p.trans[i * K + j] += p.weight * std::exp(x);
                }
            }
            for (int64_t i = 0; i < K; i++) lb[i] = next[i];
        }
        for (int64_t i = 0; t >= 0 && i < K; i++) {
            const double x = from[i] + lb[i] - whole;
            p.gamma[t * K + i] = possible && x > -708 ? p.weight * std::exp(x) : 0;
        }
    }
    for (int64_t k = 0; k < K && p.before; k++) p.before[k] = lb[k];
    return loglik;
}

}  // namespace
