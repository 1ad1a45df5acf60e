// The most probable path of rows that go one after the other, the states in the lanes: of sequences too few to fill the
// lanes. The scores are kept; the way back finds the best state before from the same sums.
#pragma once
#include "chain/model.hpp"

namespace {

class StatePaths {
    static constexpr int64_t SOME = 64;  // rows whose densities are there at a time, at most
    static constexpr int N = 4;          // vectors of states at a time
    const PathModel &m;
    const Rows &rows;
    Tile &tile;
    const int64_t K, Kp, some;
    Buffer L, b, alpha;  // (K, ld); (some, Kp); (T + 1, Kp), from before the first row on

  public:
    StatePaths(const PathModel &model, const Rows &r, Tile &t)
        : m(model), rows(r), tile(t), K(m.K), Kp(m.Kp), some(std::min(SOME, t.size)) {
        L.grow(K * tile.ld), b.grow(some * Kp);
    }

    void run(const estep::Chain &chain, int32_t *path, double *logprob, double *ends) {
        if (is_stretch(chain) || ends) {
            piece(chain, chain.head, rows.n - chain.tail, 0, rows.n, path, logprob, ends);
            return;
        }
        for (int64_t s = 0; s < chain.S; s++) {
            logprob[s] = 0;
            if (chain.ends[s] > first_row(chain, s)) whole(chain, s, path, logprob + s);
        }
    }

    void whole(const estep::Chain &chain, int64_t s, int32_t *path, double *logprob) {  // sequence s
        const int64_t first = first_row(chain, s), stop = chain.ends[s];
        piece(chain, first, stop, first, stop, path, logprob, nullptr);
    }

  private:
    // Rows first to stop of one sequence; those from `low` on say where the path comes from, those up to `high` where
    // it goes.
    void piece(const estep::Chain &chain, int64_t first, int64_t stop, int64_t low, int64_t high, int32_t *path,
               double *logprob, double *ends) {
        if (chain.left) low = first;
        if (chain.next >= 0) high = stop;
        const bool begins = chain.begins && !chain.left;
        const int64_t T = high - low, head = first - low, own = stop - low;
        alpha.grow((T + 1) * Kp);
        for (int64_t k = 0; k < Kp; k++)
            alpha[k] = k >= K ? -INFINITY : chain.left ? static_cast<real>(chain.left[k]) : real(0);
        for (int64_t t0 = 0; t0 < T; t0 += some) {
            const int64_t n = std::min(some, T - t0);
            densities(low + t0, n);
            for (int64_t t = t0; t < t0 + n; t++) step(t, begins && t == 0, b + (t - t0) * Kp);
        }
        int64_t state = best(score(T), chain.next < 0 ? nullptr : m.to_state + chain.next * Kp);
        for (int64_t t = T; t >= 0; t--) {
            if (t == own) *logprob = static_cast<double>(score(t)[state]);
            if (t == head && (t || !begins)) *logprob -= static_cast<double>(score(t)[state]);
            if (t) path[low + t - 1] = static_cast<int32_t>(state);
            if (t > 1 || (t == 1 && !begins)) state = best(score(t - 1), m.to_state + state * Kp);
        }
        if (*logprob != *logprob) *logprob = -INFINITY;  // impossible before as well
        for (int64_t k = 0; k < K && ends; k++) {
            ends[k] = begins && !head ? 0 : below_best(score(head), k);
            ends[K + k] = below_best(score(own), k);
        }
    }

    const real *score(int64_t t) const { return alpha + t * Kp; }
    double below_best(const real *x, int64_t k) const {
        const real top = x[best(x, nullptr)];
        return static_cast<double>(x[k]) - (top > -INFINITY ? static_cast<double>(top) : 0);
    }

    void densities(int64_t first, int64_t n) {  // of n rows, row by row; impossible in the padding
        tile.load(rows, {first, nullptr}, n);
        tile.log_densities(L.data());
        for (int64_t k = K; k < Kp; k++)
            for (int64_t i = 0; i < n; i++) b[i * Kp + k] = -INFINITY;
        for (int64_t k = 0; k < K; k++)
            for (int64_t i = 0; i < n; i++) {
                const real y = L[k * tile.ld + i];
                b[i * Kp + k] = y < IMPOSSIBLE ? -INFINITY : y;
            }
    }

    void step(int64_t t, bool first, const real *density) {
        const real *x = score(t);
        real *to = alpha + (t + 1) * Kp;
        if (first) {
            for (int64_t j = 0; j < Kp; j += V) store(to + j, load(m.start + j) + load(density + j));
            return;
        }
        int64_t j = 0;
        for (; j + N * V <= Kp; j += N * V) block<N>(x, j, density, to);
        for (; j < Kp; j += V) block<1>(x, j, density, to);
    }

    template <int M>
    void block(const real *x, int64_t j, const real *density, real *to) const {
        vec most[M];
        for (int n = 0; n < M; n++) most[n] = splat(-INFINITY);
        const real *A = m.trans + j;
        for (int64_t i = 0; i < K; i++, A += Kp) {
            const vec xi = splat(x[i]);
#pragma GCC unroll 4
            for (int n = 0; n < M; n++) most[n] = vmax(most[n], load(A + n * V) + xi);
        }
        for (int n = 0; n < M; n++) store(to + j + n * V, most[n] + load(density + j + n * V));
    }

    // The first state with the largest score x (Kp,), or sum with the logarithms `way` (Kp,).
    int64_t best(const real *x, const real *way) const {
        vec most = splat(-INFINITY);
        auto at = [&](int64_t j) { return way ? load(x + j) + load(way + j) : load(x + j); };
        for (int64_t j = 0; j < Kp; j += V) most = vmax(most, at(j));
        real top = most[0];
        for (int l = 1; l < V; l++) top = most[l] > top ? most[l] : top;
        for (int64_t j = 0; j < Kp; j += V) {
            const vec y = at(j);
            for (int l = 0; l < V; l++)
                if (y[l] == top) return j + l < K ? j + l : 0;
        }
        return 0;
    }
};

}  // namespace
