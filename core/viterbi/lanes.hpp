// The most probable paths (Rabiner 1989, eq. 32 to 35), a segment in each lane. No pointers are kept: the best state
// before is found again on the way back, from the scores, with the same sums. Of many states, see pruned.hpp.
#pragma once
#include "chain/lanes.hpp"
#include "viterbi/pruned.hpp"
#include "viterbi/states.hpp"

namespace {

constexpr int64_t PRUNED = 32;  // so many states are worth leaving some out
constexpr int SCARCE = V / 2;   // so few sequences are cut, or done one after the other

template <int G>
class LanePaths {
    static constexpr int64_t W = G * V, N_BLOCK = 8 / G, BLOCK = 16;
    const estep::Chain &chain;
    const PathModel &m;
    const Rows &rows;
    const std::unique_ptr<Tile> tile;
    Planes p;
    const int64_t K, slot;
    LaneRows<G> at;
    Array<Range> columns_of;
    Buffer packed, messages;  // log A, packed; (W, K)
    Segment segments[W];
    int count = 0;
    std::unique_ptr<StatePaths> alone;

  public:
    LanePaths(const Spec &s, const estep::Chain &c, const PathModel &model, const Rows &r)
        : chain(c), m(model), rows(r), tile(make_tile(s, r)), K(c.K), slot(c.K * W), messages(W * K) {
        m.blocks(m.columns, N_BLOCK, columns_of);
        pack(K, K, N_BLOCK, K, packed, [&](int64_t i, int64_t j) { return m.trans[i * m.Kp + j]; });
    }

    void run(int32_t *path, double *logprob, double *ends) {
        if (is_stretch(chain) || ends) {
            piece(chain.head, rows.n - chain.tail, 0, rows.n, path, logprob, ends);
            return;
        }
        Array<int64_t> list(chain.S + 1);
        const int64_t used = longest_first(chain, list.data());
        for (int64_t s = used; s < chain.S; s++) logprob[list[s]] = 0;
        for (int64_t done = 0; done < used;) {
            const int64_t s = list[done], first = first_row(chain, s), T = chain.ends[s] - first;
            if (T < 2 * W * LEAST && used - done <= SCARCE) {
                if (T < W * warm_short() || !cut(first, chain.ends[s], path, logprob + s)) {
                    if (!alone) alone = std::make_unique<StatePaths>(m, rows, *tile);
                    alone->whole(chain, s, path, logprob + s);
                }
                done++;
                continue;
            }
            if (T >= 2 * W * LEAST) {
                piece(first, chain.ends[s], first, chain.ends[s], path, logprob + s, nullptr);
                done++;
                continue;
            }
            count = static_cast<int>(used - done < W ? used - done : W);
            for (int l = 0; l < count; l++) {
                const int64_t q = list[done + l];
                segments[l] = {first_row(chain, q), chain.ends[q], 1, true, nullptr, nullptr};
            }
            forward(segments, count);
            whole last[W], before_first[W];
            for (int l = 0; l < count; l++) last[l] = static_cast<whole>(best_end(l));
            trace(last, before_first, path);
            for (int l = 0; l < count; l++) logprob[list[done + l]] = score(l, last[l], before_first[l]);
            done += count;
        }
    }

  private:
    int64_t warm_short() const { return K <= 8 ? 16 : 48; }  // rows that may suffice where few can be spared

    // A short sequence, a part of it in each lane; false where the parts don't meet.
    bool cut(int64_t first, int64_t stop, int32_t *path, double *logprob) {
        count = W;
        for (int l = 0; l < W; l++) {
            const int64_t T = stop - first;
            segments[l] = {first + T * l / W, first + T * (l + 1) / W, 1, l == 0, messages + l * K, nullptr};
        }
        warm_up(1, first, warm_short());
        forward(segments, count);
        if (!joints_hold()) return false;
        finish(W, path, logprob);
        return true;
    }

    // Rows first to stop of one sequence, and those up to `high` to learn where the path goes from there.
    void piece(int64_t first, int64_t stop, int64_t low, int64_t high, int32_t *path, double *logprob, double *ends) {
        const bool known = chain.next >= 0, begins = first == low && chain.begins && !chain.left;
        const int extra = !known && stop < high ? 1 : 0;
        const int64_t T = stop - first, fit = T / LEAST > 1 ? T / LEAST : 1;
        const int own = static_cast<int>(fit < W - extra ? fit : W - extra);
        count = own + extra;
        for (int l = 0; l < own; l++)
            segments[l] = {first + T * l / own, first + T * (l + 1) / own, 1, false, messages + l * K, nullptr};
        if (extra) segments[own] = {stop, high, 1, false, messages + own * K, nullptr};
        segments[0].begins = begins;
        warm_up(begins || chain.left ? 1 : 0, low, WARM);
        for (int64_t k = 0; k < K && chain.left; k++) messages[k] = static_cast<real>(chain.left[k]);
        forward(segments, count);
        while (!joints_hold()) forward(segments, count);  // each time at least one more segment is right
        for (int64_t k = 0; k < K && ends; k++) {
            ends[k] = begins ? 0 : static_cast<double>(messages[k]);
            ends[K + k] = end(own - 1, k) - end(own - 1, best_end(own - 1));
        }
        finish(own, path, logprob);
    }

    // The path through all lanes, of which the first `own` hold the rows that are wanted, and its log-probability.
    void finish(int own, int32_t *path, double *logprob) {
        whole last[W], before_first[W];
        for (int l = 0; l < count; l++) last[l] = static_cast<whole>(best_end(l));
        if (chain.next >= 0) last[own - 1] = static_cast<whole>(before(at.length[own - 1], own - 1, chain.next));
        trace(last, before_first, path);
        *logprob = 0;
        for (int l = count - 1; l >= 0; l--) {
            if (l + 1 < count && before_first[l + 1] != last[l])
                before_first[l] = retrace(l, last[l] = before_first[l + 1], before_first[l], path);
            if (l < own) *logprob += score(l, last[l], before_first[l]);
        }
    }

    void warm_up(int from, int64_t low, int64_t n) {
        Segment list[W];
        Buffer nothing(K);
        if (from >= count) return;
        for (int l = from; l < count; l++) {
            const int64_t stop = segments[l].first, start = stop - n > low ? stop - n : low;
            list[l - from] = {start, stop, 1, start == low && chain.begins, nothing.data(), nullptr};
        }
        forward(list, count - from);
        for (int l = from; l < count; l++) take(l - from, messages + l * K);
    }

    void take(int l, real *to) const {  // the scores at the end of a lane, the largest 0
        const real top = static_cast<real>(end(l, best_end(l)));
        for (int64_t k = 0; k < K; k++) to[k] = top > -INFINITY ? static_cast<real>(end(l, k)) - top : 0;
    }

    bool joints_hold() {  // what the segments begin with is what those before end with; else it is from now on
        bool hold = true;
        Buffer ending(K);
        for (int l = 1; l < count; l++) {
            take(l - 1, ending.data());
            for (int64_t k = 0; k < K; k++) {
                real &was = messages[l * K + k];
                const bool alike = was == ending[k] || std::fabs(was - ending[k]) <= 1e-11 * (1 + std::fabs(was));
                hold = hold && alike;
                was = ending[k];
            }
        }
        return hold;
    }

    double end(int l, int64_t k) const { return static_cast<double>(p.alpha[at.length[l] * slot + k * W + l]); }
    int64_t best_end(int l) const {
        int64_t best = 0;
        for (int64_t k = 1; k < K; k++) best = end(l, k) > end(l, best) ? k : best;
        return best;
    }
    int64_t before(int64_t t, int64_t l, int64_t state) const {  // the best state at slot t on the way to `state`
        const real *x = p.alpha + t * slot + l, *a = m.to_state + state * m.Kp;
        int64_t best = 0;
        real most = x[0] + a[0];
        for (int64_t i = 1; i < K; i++) {
            const real y = x[i * W] + a[i];
            best = y > most ? i : best, most = y > most ? y : most;
        }
        return best;
    }

    double score(int l, int64_t last, int64_t before_first) const {
        const double all = end(l, last);
        if (all == -INFINITY || segments[l].begins) return all;
        return all - static_cast<double>(p.alpha[before_first * W + l]);
    }

    // The paths of all lanes that end in `last`, and the best states before their first rows.
    void trace(const whole *last, whole *before_first, int32_t *path) const {
        ivec state[G] = {};
        whole passed[BLOCK * W];  // states of some steps, to be written lane by lane
        for (int64_t stop = at.T; stop >= 1; stop -= BLOCK) {
            const int64_t first = stop - BLOCK + 1 > 1 ? stop - BLOCK + 1 : 1;
            for (int64_t t = stop; t >= first; t--) {
                for (int l = 0; l < count && t >= at.shortest; l++)
                    if (at.length[l] == t) state[l / V][l % V] = last[l];
                for (int g = 0; g < G; g++) {
                    std::memcpy(passed + (t - first) * W + g * V, &state[g], sizeof(ivec));
                    const real *x = p.alpha + (t - 1) * slot + g * V;
                    state[g] = K <= V ? came_from<true>(state[g], x) : came_from<false>(state[g], x);
                }
            }
            for (int l = 0; l < count; l++) {
                int32_t *to = path + segments[l].first + first - 1;
                const int64_t n = (at.length[l] < stop ? at.length[l] : stop) - first + 1;
                for (int64_t t = 0; t < n; t++) to[t] = static_cast<int32_t>(passed[t * W + l]);
            }
        }
        for (int l = 0; l < count; l++) before_first[l] = state[l / V][l % V];
    }

    // The best states before those, from the scores x (K, W).
    template <bool FEW>
    ivec came_from(ivec state, const real *x) const {
        auto arrive = [&](int64_t i) {  // the log-probability from state i
            return FEW ? permute(load(m.trans + i * m.Kp), state)
                       : gather(m.to_state + i, state * static_cast<whole>(m.Kp));
        };
        ivec best{};
        vec most = arrive(0) + load(x);
        for (int64_t i = 1; i < K; i++) {
            const vec y = arrive(i) + load(x + i * W);
            const ivec better = y > most;
            best = better ? ivec{} + static_cast<whole>(i) : best;
            most = better ? y : most;
        }
        return best;
    }

    // The path of one lane, when it ends elsewhere, up to where it meets the one written; the state before its first
    // row.
    whole retrace(int l, int64_t state, whole before_first, int32_t *path) const {
        for (int64_t t = at.length[l]; t >= 1; t--) {
            int32_t &written = path[segments[l].first + t - 1];
            if (written == state) return before_first;
            written = static_cast<int32_t>(state);
            state = before(t - 1, l, state);
        }
        return static_cast<whole>(state);
    }

    // Densities are there for some steps at a time, so that they stay in the cache.
    void forward(const Segment *list, int n) {
        at.set(list, n);
        const int64_t steps = tile->size / at.used;
        p.L.grow(K * tile->ld);
        p.b.grow(steps * slot);
        p.alpha.grow((at.T + 1) * slot);
        real begins[W];
        for (int l = 0; l < W; l++) {
            const Segment &mine = list[l < n ? l : 0];
            begins[l] = mine.begins ? 0 : -INFINITY;
            for (int64_t k = 0; k < K; k++) p.alpha[k * W + l] = mine.begins ? -INFINITY : mine.left[k];
        }
        for (int64_t t = 1; t <= at.T;) {
            const int64_t some = at.T - t + 1 < steps ? at.T - t + 1 : steps;
            densities(t - 1, some);
            for (const real *b = p.b.data(), *stop = b + some * slot; b < stop; b += slot, t++)
                in_blocks<N_BLOCK>(K, [&](auto n_, int64_t j) { step<decltype(n_)::value>(j, t, b, begins); });
        }
    }

    void densities(int64_t step, int64_t n) {  // of n steps from that one on
        const int64_t ld = tile->ld, columns = n * at.used;
        tile->load(rows, {0, at.index(step * at.used, columns)}, columns);
        tile->log_densities(p.L.data());
        const Place to{p.b.data(), K, W, at.power, 0};
        for (int64_t i = 0; i < columns; i += V) {
            const real *from = p.L + i;
            real *b = to(i);
            for (int64_t k = 0; k < K; k++) {
                const vec y = load(from + k * ld);
                store(b + k * W, y < IMPOSSIBLE ? splat(-INFINITY) : y);
            }
        }
    }

    template <int N>
    void step(int64_t j0, int64_t t, const real *b, const real *begins) {
        const Range range = columns_of[j0 / N_BLOCK];
        const real *x = p.alpha + (t - 1) * slot, *A = packed + j0 * K;
        real *to = p.alpha + t * slot;
        vec best[N][G];
#pragma GCC unroll 8
        for (int j = 0; j < N; j++)
#pragma GCC unroll 2
            for (int g = 0; g < G; g++) best[j][g] = splat(-INFINITY);
        for (int64_t i = range.from; i < range.to; i++) {
            vec xi[G];
            for (int g = 0; g < G; g++) xi[g] = load(x + i * W + g * V);
            for (int j = 0; j < N; j++)
                for (int g = 0; g < G; g++) best[j][g] = vmax(best[j][g], A[i * N + j] + xi[g]);
        }
        if (t == 1)
#pragma GCC unroll 8
            for (int j = 0; j < N; j++)
#pragma GCC unroll 2
                for (int g = 0; g < G; g++) best[j][g] = vmax(best[j][g], m.start[j0 + j] + load(begins + g * V));
#pragma GCC unroll 8
        for (int j = 0; j < N; j++)
#pragma GCC unroll 2
            for (int g = 0; g < G; g++) {
                const int64_t here = (j0 + j) * W + g * V;
                store(to + here, best[j][g] + load(b + here));
            }
    }
};

void viterbi(const Spec &spec, const estep::Chain &chain, const Rows &rows, int32_t *path, double *logprob,
             double *ends) {
    const PathModel model(chain);
    if (chain.K >= PRUNED) {
        if (PrunedPaths(spec, chain, model, rows).run(path, logprob, ends)) return;
        const auto tile = make_tile(spec, rows);
        return StatePaths(model, rows, *tile).run(chain, path, logprob, ends);
    }
    if (paired(chain, rows.n)) LanePaths<2>(spec, chain, model, rows).run(path, logprob, ends);
    else LanePaths<1>(spec, chain, model, rows).run(path, logprob, ends);
}

}  // namespace
