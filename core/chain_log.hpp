// A chain's parameters as the recursions want them; forward-backward in log space, for what linear space loses.
#pragma once
#include "emission.hpp"

namespace {

struct ChainModel {
    int64_t K, Kp;
    const double *start, *trans;
    Buffer padded, transposed, logstart, logtrans;  // (K, Kp), (K, Kp), (K,), (K, K)
    bool positive = true;                           // every transition has a probability that linear space keeps
    bool tiny = false;                              // some probability is so small that linear space may lose it

    explicit ChainModel(const estep::Chain &c)
        : K(c.K),
          Kp(round_up(c.K, V)),
          start(c.start),
          trans(c.trans),
          padded(K * Kp),
          transposed(K * Kp),
          logstart(Kp),
          logtrans(K * Kp) {
        for (int64_t i = 0; i < Kp; i++) logstart[i] = -INFINITY;
        for (int64_t i = 0; i < K * Kp; i++) logtrans[i] = -INFINITY;
        for (int64_t i = 0; i < K; i++) {
            logstart[i] = start[i] > 0 ? std::log(start[i]) : -INFINITY;
            tiny = tiny || (start[i] > 0 && start[i] < 1e-100);
            for (int64_t j = 0; j < K; j++) {
                const double p = trans[i * K + j];
                padded[i * Kp + j] = p;
                transposed[j * Kp + i] = p;
                logtrans[i * Kp + j] = p > 0 ? std::log(p) : -INFINITY;
                positive = positive && p > 1e-20;
                tiny = tiny || (p > 0 && p < 1e-100);
            }
        }
    }
};

double log_sum(const double *x, int64_t n) {
    double m = -INFINITY, s = 0;
    for (int64_t i = 0; i < n; i++) m = x[i] > m ? x[i] : m;
    if (m == -INFINITY) return m;
    for (int64_t i = 0; i < n; i++) s += std::exp(x[i] - m);
    return m + std::log(s);
}

// logb (T, K). Adds weight times the expected transitions to trans, writes weight times gamma to gamma (T, Kp), rows of
// zeros when the sequence is impossible. Returns the log-likelihood.
double log_forward_backward(const ChainModel &m, int64_t T, const double *logb, double weight, double *gamma,
                            double *trans) {
    const int64_t K = m.K, Kp = m.Kp;
    Buffer la(T * K), lb(K), next(K), work(K);
    for (int64_t t = 0; t < T; t++)
        for (int64_t j = 0; j < K; j++) {
            for (int64_t i = 0; t && i < K; i++) work[i] = la[(t - 1) * K + i] + m.logtrans[i * Kp + j];
            la[t * K + j] = (t ? log_sum(work.p, K) : m.logstart[j]) + logb[t * K + j];
        }
    const double loglik = log_sum(la + (T - 1) * K, K);
    if (!gamma) return loglik;
    const bool possible = loglik > -INFINITY && weight > 0;
    for (int64_t t = T - 1; t >= 0; t--) {
        for (int64_t i = 0; i < K; i++) {
            for (int64_t j = 0; j < K; j++)
                work[j] = m.logtrans[i * Kp + j] + (t < T - 1 ? logb[(t + 1) * K + j] + lb[j] : 0);
            next[i] = t < T - 1 ? log_sum(work.p, K) : 0;
            for (int64_t j = 0; trans && possible && t < T - 1 && j < K; j++) {
                const double x = la[t * K + i] + work[j] - loglik;
                if (x > -708) trans[i * K + j] += weight * std::exp(x);
            }
        }
        for (int64_t i = 0; i < K; i++) {
            lb[i] = next[i];
            const double x = la[t * K + i] + lb[i] - loglik;
            gamma[t * Kp + i] = possible && x > -708 ? weight * std::exp(x) : 0;
        }
        for (int64_t i = K; i < Kp; i++) gamma[t * Kp + i] = 0;
    }
    return loglik;
}

}  // namespace
