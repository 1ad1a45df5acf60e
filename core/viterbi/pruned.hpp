// The most probable path of rows that go one after the other, the states in the lanes, for many states: most are so far
// behind the best one that they cannot be anybody's state before. They are not looked at, nor kept; the scores of all
// are the same.
#pragma once
#include <algorithm>

#include "chain/model.hpp"

namespace {

class PrunedPaths {
    static constexpr int64_t SOME = 64;      // rows whose densities are there at a time, at most
    static constexpr int64_t OF_STATES = 4;  // one of so many may be looked at, on average
    static constexpr real EPSILON = real(1) / static_cast<real>(whole{1} << MANTISSA);
    static constexpr real MOST_LOG = 746;  // no positive probability has a logarithm below minus that
    const estep::Chain &chain;
    const PathModel &m;
    const Rows &rows;
    const std::unique_ptr<Tile> tile;
    const int64_t K, Kp, some;  // some: rows whose densities are there at a time
    Buffer most;                // (Kp,) the largest transition to each state
    Buffer L, b, planes;
    real *now, *next;              // scores (Kp,) at a row and the one after it, impossible in the padding
    int64_t top = 0;               // the state with the best
    int64_t steps = 0, looks = 0;  // of all pieces: few looks in one leave room for more in the next
    Buffer opening, closing;       // (Kp,) those before the first row that is wanted, and at the last
    // The states that may be before others, and their scores: those of slot t are from starts[t] to starts[t + 1]. Slot
    // 0 is before the first row.
    Array<int64_t> starts;
    Array<int32_t> near;
    Buffer scores;
    Array<int32_t> ways;         // (K,) states that paths pass
    int64_t from = 0, done = 0;  // the first row, and up to where scores are there
    bool begins = false;         // whether it is its sequence's

  public:
    PrunedPaths(const Spec &s, const estep::Chain &c, const PathModel &model, const Rows &r)
        : chain(c), m(model), rows(r), tile(make_tile(s, r)), K(c.K), Kp(m.Kp), some(std::min(SOME, tile->size)) {
        impossible(planes, 2 * Kp), impossible(most, Kp);
        now = planes.data(), next = now + Kp;
        L.grow(K * tile->ld), b.grow(some * Kp), ways.grow(K), opening.grow(Kp), closing.grow(Kp);
        for (int64_t i = 0; i < K; i++)
            for (int64_t j = 0; j < Kp; j += V) store(most + j, vmax(load(most + j), load(m.trans + i * Kp + j)));
    }

    // False where too many states have to be looked at.
    bool run(int32_t *path, double *logprob, double *ends) {
        if (is_stretch(chain) || ends) return piece(chain.head, rows.n - chain.tail, 0, rows.n, path, logprob, ends);
        for (int64_t s = 0; s < chain.S; s++) {
            const int64_t first = first_row(chain, s), stop = chain.ends[s];
            logprob[s] = 0;
            if (stop > first && !piece(first, stop, first, stop, path, logprob + s, nullptr)) return false;
        }
        return true;
    }

  private:
    // Rows first to stop of one sequence; those from `low` on say where the path comes from, those up to `high` where
    // it goes, as far as is needed.
    bool piece(int64_t first, int64_t stop, int64_t low, int64_t high, int32_t *path, double *logprob, double *ends) {
        const bool known = chain.next >= 0, exact = chain.left || (first == low && chain.begins);
        from = done = exact ? first : first - WARM > low ? first - WARM : low;
        begins = from == low && chain.begins && !chain.left;
        begin(high - from);
        const int64_t head = first - from;
        if (!forward(first)) return false;
        const bool from_start = begins && head == 0;
        keep(opening, from_start, ends);
        if (!forward(stop)) return false;
        keep(closing, false, ends ? ends + K : nullptr);
        int64_t state = known ? likeliest(closing.data(), chain.next) : -1, t = stop - from;
        if (!known && stop < high) {
            while (state < 0 && done < high) {
                if (!forward(done + SOME < high ? done + SOME : high)) return false;
                state = settled(t + 1);
            }
            if (state < 0) t = done - from;
            else t++;
        }
        if (state < 0) state = top;
        double all = 0;
        for (; t > head; t--) {
            if (t == stop - from) all = static_cast<double>(closing[state]);
            path[from + t - 1] = static_cast<int32_t>(state);
            if (t > 1 || !begins) state = before(t - 1, state);
        }
        *logprob = all == -INFINITY || from_start ? all : all - static_cast<double>(opening[state]);
        return true;
    }

    void begin(int64_t n) {  // with room for n rows
        const int64_t entries = std::min(n * K, (steps + n) * K / OF_STATES + 2 * SOME * K);
        starts.grow(n + 1), near.grow(entries), scores.grow(entries);
        starts[0] = 0;
        for (int64_t k = 0; k < K; k++) now[k] = begins ? -INFINITY : chain.left ? static_cast<real>(chain.left[k]) : 0;
        top = best(now);
    }

    // The scores; in `out`, if there is one, with the largest 0, or zeros where nothing came before.
    void keep(Buffer &copy, bool from_start, double *out) const {
        const double high = now[top] > -INFINITY ? static_cast<double>(now[top]) : 0;
        for (int64_t k = 0; k < K; k++) {
            copy[k] = now[k];
            if (out) out[k] = from_start ? 0 : static_cast<double>(now[k]) - high;
        }
    }

    bool forward(int64_t to) {  // rows up to that one
        while (done < to) {
            const int64_t n = std::min(some, to - done);
            tile->load(rows, {done, nullptr}, n);
            tile->log_densities(L.data());
            to_rows(L.data(), tile->ld, K, n, b.data(), Kp);
            for (int64_t i = 0; i < n; i++, done++) step(done - from, b + i * Kp);
            if (steps >= SOME && looks * OF_STATES > steps * K) return false;
        }
        return true;
    }

    // From slot t to the one after it.
    void step(int64_t t, const real *density) {
        const bool opens = begins && t == 0;
        const int64_t at = starts[t], count = opens ? 0 : candidates(at);
        for (int64_t j = 0; j < Kp && opens; j += V) store(next + j, load(m.start + j));
        starts[t + 1] = at + count;
        steps++, looks += count;
        vec high = splat(-INFINITY);
        in_blocks<WIDTH>(Kp / V, [&](auto n, int64_t j) {
            high = vmax(high, arrive<decltype(n)::value>(at, count, density + j * V, j * V));
        });
        std::swap(now, next);
        top = first_of(now, largest(high));
    }

    // What all states have from `top`, into `next`. States that may be before others are kept: those that have, with
    // the largest transition to some state, as much as that has from `top`. How many they are.
    int64_t candidates(int64_t at) {
        const real *a = m.trans + top * Kp;
        const vec from_top = splat(now[top]);
        vec low = splat(INFINITY);
        for (int64_t j = 0; j < Kp; j += V) {
            const vec y = from_top + load(a + j), behind = y - load(most + j);
            store(next + j, y);
            low = behind < low ? behind : low;  // not a number where nothing leads to a state
        }
        const real least = -largest(-low), room = 4 * EPSILON * (std::fabs(least) + std::fabs(now[top]) + MOST_LOG);
        const vec enough = splat(least - room);
        int64_t n = at;
        for (int64_t i0 = 0; i0 < Kp; i0 += 64) {
            uint64_t bits = 0;
            for (int64_t i = i0; i < i0 + 64 && i < Kp; i += V)
                bits |= static_cast<uint64_t>(above(load(now + i), enough)) << (i - i0);
            for (; bits; bits &= bits - 1, n++) {
                const int64_t i = i0 + __builtin_ctzll(bits);
                near[n] = static_cast<int32_t>(i), scores[n] = now[i];
            }
        }
        return n - at;
    }

    template <int N>
    vec arrive(int64_t at, int64_t count, const real *density, int64_t j) {  // N vectors of states from j on
        vec y[N], high = splat(-INFINITY);
#pragma GCC unroll 8
        for (int v = 0; v < N; v++) y[v] = load(next + j + v * V);
        for (int64_t c = at; c < at + count; c++) {
            const real *a = m.trans + near[c] * Kp + j;
            const vec x = splat(scores[c]);
#pragma GCC unroll 8
            for (int v = 0; v < N; v++) y[v] = vmax(y[v], x + load(a + v * V));
        }
#pragma GCC unroll 8
        for (int v = 0; v < N; v++) {
            const vec d = load(density + v * V);
            y[v] += d < IMPOSSIBLE ? splat(-INFINITY) : d;
            store(next + j + v * V, y[v]);
            high = vmax(high, y[v]);
        }
        return high;
    }

    int64_t before(int64_t t, int64_t state) const {  // the best state at slot t on the way to `state`
        const real *a = m.to_state + state * Kp;
        int64_t best = 0;
        real high = -INFINITY;
        for (int64_t n = starts[t]; n < starts[t + 1]; n++) {
            const real y = scores[n] + a[near[n]];
            best = y > high ? near[n] : best, high = y > high ? y : high;
        }
        return best;
    }

    // The state at slot t that all paths pass; -1 where there are several, or none is possible.
    int64_t settled(int64_t t) {
        int64_t n = 0;
        for (int64_t k = 0; k < K; k++)
            if (now[k] > -INFINITY) ways[n++] = static_cast<int32_t>(k);
        for (int64_t slot = done - from - 1; slot >= t && n > 0; slot--) {
            int64_t kept = 0;
            for (int64_t w = 0; w < n; w++) {
                const auto state = static_cast<int32_t>(before(slot, ways[w]));
                bool is_new = true;
                for (int64_t v = 0; v < kept; v++) is_new = is_new && ways[v] != state;
                if (is_new) ways[kept++] = state;
            }
            n = kept;
        }
        return n == 1 ? ways[0] : -1;
    }

    int64_t likeliest(const real *x, int64_t state) const {  // of x, on the way to `state`
        int64_t best = 0;
        for (int64_t k = 1; k < K; k++)
            best = x[k] + m.to_state[state * Kp + k] > x[best] + m.to_state[state * Kp + best] ? k : best;
        return best;
    }
    int64_t best(const real *x) const {
        vec high = splat(-INFINITY);
        for (int64_t i = 0; i < Kp; i += V) high = vmax(high, load(x + i));
        return first_of(x, largest(high));
    }
    static real largest(vec v) {
        real most = v[0];
        for (int l = 1; l < V; l++) most = v[l] > most ? v[l] : most;
        return most;
    }
    static int64_t first_of(const real *x, real value) {
        constexpr unsigned all = (1u << V) - 1;
        int64_t i = 0;
        for (;; i += V)
            if (const unsigned bits = ~above(splat(value), load(x + i)) & all) return i + __builtin_ctz(bits);
    }
};

}  // namespace
