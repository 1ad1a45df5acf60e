// The most probable path (Rabiner 1989, eq. 32 to 35).
#pragma once
#include "chain_model.hpp"

namespace {
void viterbi(const Spec &spec, const estep::Chain &chain, const Rows &rows, int32_t *path, double *logprob) {
    ChainModel m(chain);
    AnyTile tile(spec);
    const int64_t K = m.K;
    Buffer L(K * tile->ld), score(K), next(K);
    for (int64_t s = 0; s < chain.S; s++) {
        const int64_t row0 = s ? chain.ends[s - 1] : 0, T = chain.ends[s] - row0;
        logprob[s] = 0;
        if (!T) continue;
        Array<int32_t> pointers(T * K);
        for (int64_t t = 0; t < T; t++) {
            const int64_t i = t % tile->size;
            if (i == 0) {
                tile->load(rows, {row0 + t, nullptr}, T - t < tile->size ? T - t : tile->size);
                tile->log_densities(L.p);
            }
            for (int64_t j = 0; j < K; j++) {
                real best = static_cast<real>(m.logstart[j]);
                int32_t arg = 0;
                if (t) best = score[0] + static_cast<real>(m.logtrans[j]);
                for (int64_t k = 1; t && k < K; k++) {
                    real c = score[k] + static_cast<real>(m.logtrans[k * K + j]);
                    if (c > best) best = c, arg = static_cast<int32_t>(k);
                }
                const real l = L[j * tile->ld + i];
                next[j] = l < IMPOSSIBLE ? -INFINITY : best + l;
                pointers[t * K + j] = arg;
            }
            for (int64_t j = 0; j < K; j++) score[j] = next[j];
        }
        int64_t state = 0;
        for (int64_t k = 1; k < K; k++) state = score[k] > score[state] ? k : state;
        logprob[s] = static_cast<double>(score[state]);
        for (int64_t t = T - 1; t >= 0; t--) {
            path[row0 + t] = static_cast<int32_t>(state);
            state = pointers[t * K + state];
        }
    }
}
}  // namespace
