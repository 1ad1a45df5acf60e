// Forward-backward in log space, for what linear space loses.
#pragma once
#include "chain/model.hpp"

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

// Subtracts the largest, which is returned: entries that matter keep their digits.
inline double lower(double *x, int64_t n) {
    double top = -INFINITY;
    for (int64_t i = 0; i < n; i++) top = x[i] > top ? x[i] : top;
    for (int64_t i = 0; i < n && top > -INFINITY; i++) x[i] -= top;
    return top;
}

// Weight times gamma and the expected transitions; zeros when the rows are impossible. Returns the log-likelihood.
[[maybe_unused]] double log_forward_backward(const ChainModel &m, const LogPass &p) {
    const int64_t K = m.K, T = p.T;
    Array<double> la(T * K), lb(K), next(K), work(K), logtrans(K * K);
    for (int64_t i = 0; i < K * K; i++) logtrans[i] = std::log(m.trans[i]);
    auto through = [&](const double *from, int64_t j) {  // log of the sum over i of exp(from_i) A_ij
        for (int64_t i = 0; i < K; i++) work[i] = from[i] + logtrans[i * K + j];
        return log_sum(work.data(), K);
    };
    double loglik = 0;
    for (int64_t t = 0; t < T; t++) {
        double *now = la + t * K;
        for (int64_t j = 0; j < K; j++)
            now[j] = t ? through(now - K, j) : p.left ? through(p.left, j) : std::log(m.start[j]);
        for (int64_t j = 0; j < K; j++) now[j] += p.logb[t * K + j];
        loglik += lower(now, K);
    }
    const double *last = la + (T - 1) * K, rest = log_sum(last, K);
    loglik += rest;
    for (int64_t k = 0; k < K && p.filtered; k++) p.filtered[k] = loglik > -INFINITY ? last[k] - rest : -INFINITY;
    if (!p.gamma) return loglik;
    auto share = [&](const double *from) {  // into work what is before and what follows; the log of the sum
        for (int64_t k = 0; k < K; k++) work[k] = from[k] + lb[k];
        return log_sum(work.data(), K);
    };
    auto posterior = [&](double log, double whole) {
        return log - whole > -708 ? p.weight * std::exp(log - whole) : 0;
    };
    for (int64_t k = 0; k < K; k++) lb[k] = p.right ? p.right[k] : 0;
    lower(lb.data(), K);
    for (int64_t t = T - 1; t >= -1; t--) {
        const double *from = t >= 0 ? la + t * K : p.left;
        if (t < T - 1) {
            for (int64_t j = 0; j < K; j++) next[j] = p.logb[(t + 1) * K + j] + lb[j];
            lower(next.data(), K);
            for (int64_t i = 0; i < K; i++) {
                for (int64_t j = 0; j < K; j++) work[j] = logtrans[i * K + j] + next[j];
                lb[i] = log_sum(work.data(), K);
            }
        }
        const double whole = from ? share(from) : -INFINITY;
        const bool possible = whole > -INFINITY && p.weight > 0;
        for (int64_t i = 0; i < K && p.trans && t < T - 1 && possible; i++)
            for (int64_t j = 0; j < K; j++)
                p.trans[i * K + j] += posterior(from[i] + logtrans[i * K + j] + next[j], whole);
        for (int64_t i = 0; t >= 0 && i < K; i++) p.gamma[t * K + i] = possible ? posterior(work[i], whole) : 0;
    }
    for (int64_t k = 0; k < K && p.before; k++) p.before[k] = lb[k];
    return loglik;
}

}  // namespace
