// A leaf of whole sequences: blocks that stay in cache, each filled with densities, run, and accumulated.
#pragma once
#include "chain.hpp"

namespace {

constexpr int64_t BLOCK_ROWS = 8192;

void sort_by_length(int64_t *members, int64_t n, const int64_t *length) {  // shell sort, longest first, ties in order
    for (int64_t gap = n / 2; gap > 0; gap /= 2)
        for (int64_t i = gap; i < n; i++) {
            const int64_t x = members[i];
            int64_t j = i;
            auto before = [&](int64_t a, int64_t b) { return length[a] != length[b] ? length[a] > length[b] : a < b; };
            for (; j >= gap && before(x, members[j - gap]); j -= gap) members[j] = members[j - gap];
            members[j] = x;
        }
}

class ChainRun {
    const Spec &spec;
    const estep::Chain &chain;
    const Rows &rows;
    const estep::ChainOut &out;
    ChainModel model;
    AnyTile tile;
    const int64_t K, Kp;
    const bool backward;
    Buffer L, alpha, norm, work, lane_expected, expected, block_rows, block_scale;
    int64_t alpha_size = 0, norm_size = 0, block_size = 0;
    int64_t *starts, *stops, *members;
    bool *redo;

  public:
    ChainRun(const Spec &s, const estep::Chain &c, const Rows &r, const estep::ChainOut &o)
        : spec(s),
          chain(c),
          rows(r),
          out(o),
          model(c),
          tile(s),
          K(c.K),
          Kp(model.Kp),
          backward(o.start || o.trans || o.stats || o.gamma),
          L(K * tile->ld),
          work(states_work(K, Kp)),
          lane_expected(K <= MAX_LANE_STATES ? K * K * V : 0),
          expected(K * Kp),
          starts(new int64_t[static_cast<size_t>(c.S) + 1]),
          stops(new int64_t[static_cast<size_t>(c.S) + 1]),
          members(new int64_t[static_cast<size_t>(c.S) + 1]),
          redo(new bool[static_cast<size_t>(c.S) + 1]) {}
    ~ChainRun() { delete[] starts, delete[] stops, delete[] members, delete[] redo; }
    ChainRun(const ChainRun &) = delete;
    ChainRun &operator=(const ChainRun &) = delete;

    void run() {
        for (int64_t s = 0; s < chain.S;) {
            const int64_t row0 = s ? chain.ends[s - 1] : 0;
            int64_t stop = s + 1;
            while (stop < chain.S && (stop - s < V || chain.ends[stop] - row0 <= BLOCK_ROWS)) stop++;
            block(s, stop, row0);
            s = stop;
        }
        for (int64_t i = 0; i < K && out.trans; i++)
            for (int64_t j = 0; j < K; j++) {
                double sum = expected[i * Kp + j];
                if (lane_expected.p && K <= MAX_LANE_STATES) sum += total(load(lane_expected + (i * K + j) * V));
                out.trans[i * K + j] += sum * model.trans[i * K + j];
            }
        if (out.stats) tile->finish(out.stats);
    }

  private:
    void grow(int64_t steps, int64_t width) {
        if (alpha_size < steps * width) alpha.reset(alpha_size = steps * width);
        if (norm_size < steps * V) norm.reset(norm_size = steps * V);
    }

    void block(int64_t first, int64_t stop, int64_t row0) {
        const int64_t S = stop - first, n = chain.ends[stop - 1] - row0;
        if (block_size < n) block_rows.reset(n * Kp), block_scale.reset(block_size = n);
        Block b{row0, n, Kp, starts, stops, block_rows.p, block_scale.p};
        for (int64_t s = 0; s < S; s++) {
            starts[s] = s ? stops[s - 1] : 0;
            stops[s] = chain.ends[first + s] - row0;
            members[s] = s;
        }
        for (int64_t i = 0; i < n; i += tile->size) {
            tile->load(rows, row0 + i, n - i < tile->size ? n - i : tile->size);
            tile->densities(L.p, b.rows + i * Kp, Kp, b.scale + i);
        }
        recursions(first, S, b);
        for (int64_t s = 0; s < S; s++) finish_sequence(first, s, b);
        if (!backward) return;
        for (int64_t i = 0; i < n && out.stats; i += tile->size) {
            tile->load(rows, row0 + i, n - i < tile->size ? n - i : tile->size);
            tile->accumulate_rows(b.rows + i * Kp, Kp, L.p);
        }
        for (int64_t i = 0; i < n && out.gamma; i++)
            for (int64_t k = 0; k < K; k++) out.gamma[(row0 + i) * K + k] = b.rows[i * Kp + k];
    }

    // Empty sequences have log-likelihood 0 and take no part.
    void recursions(int64_t first, int64_t S, Block &b) {
        const double *weight = rows.weight ? rows.weight + first : nullptr;
        Buffer length_bits(S + 1);
        int64_t *length = reinterpret_cast<int64_t *>(length_bits.p), used = S;
        for (int64_t s = 0; s < S; s++) length[s] = stops[s] - starts[s];
        sort_by_length(members, S, length);
        while (used && length[members[used - 1]] == 0) {
            out.loglik[first + members[--used]] = 0;
            redo[members[used]] = false;
        }
        int64_t done = 0;
        while (done < used) {
            const int64_t T = length[members[done]], left = used - done;
            if (K <= MAX_LANE_STATES && left > V / 4 && T * K * V <= (int64_t{1} << 23)) {
                const int count = static_cast<int>(left < V ? left : V);
                grow(T, K * V);
                lane_kernel(K, model.positive, std::make_integer_sequence<int, MAX_LANE_STATES>{})(
                    model, b, members + done, count, weight, backward, alpha.p, norm.p,
                    reinterpret_cast<vec *>(lane_expected.p), out.loglik + first, redo);
                done += count;
            } else {
                const int64_t s = members[done++];
                grow(T, Kp);
                states(model, T, b.rows + starts[s] * Kp, weight ? weight[s] : 1, backward, alpha.p, norm.p, work.p,
                       expected.p, out.loglik + first + s, redo + s);
            }
        }
    }

    // Adds the scales of the densities, or does the sequence again in log space; counts its start.
    void finish_sequence(int64_t first, int64_t s, Block &b) {
        const int64_t T = stops[s] - starts[s];
        if (!T) return;
        double *gamma = b.rows + starts[s] * Kp;
        if (redo[s]) {
            KeepDenormals guard;
            Buffer logb(T * K);
            for (int64_t i = 0; i < T; i += tile->size) {
                const int64_t n = T - i < tile->size ? T - i : tile->size;
                tile->load(rows, b.first_row + starts[s] + i, n);
                tile->log_densities(L.p);
                for (int64_t r = 0; r < n; r++)
                    for (int64_t k = 0; k < K; k++) {
                        const double l = L[k * tile->ld + r];
                        logb[(i + r) * K + k] = l < IMPOSSIBLE ? -INFINITY : l;
                    }
            }
            out.loglik[first + s] = log_forward_backward(model, T, logb.p, rows.weight ? rows.weight[first + s] : 1,
                                                         backward ? gamma : nullptr, out.trans);
        } else {
            double sum = 0;
            for (int64_t i = starts[s]; i < stops[s]; i++) sum += b.scale[i];
            out.loglik[first + s] += sum;
        }
        for (int64_t k = 0; k < K && out.start; k++) out.start[k] += gamma[k];
    }
};

void chain(const Spec &spec, const estep::Chain &chain, const Rows &rows, const estep::ChainOut &out) {
    ChainRun run(spec, chain, rows, out);
    FlushDenormals guard;
    run.run();
}

// The most probable path of each sequence (Rabiner 1989, eq. 32 to 35), ties to the lower state.
void viterbi(const Spec &spec, const estep::Chain &chain, const Rows &rows, int32_t *path, double *logprob) {
    ChainModel m(chain);
    AnyTile tile(spec);
    const int64_t K = m.K, Kp = m.Kp;
    Buffer L(K * tile->ld), score(Kp), next(Kp), from(Kp);
    for (int64_t s = 0; s < chain.S; s++) {
        const int64_t row0 = s ? chain.ends[s - 1] : 0, T = chain.ends[s] - row0;
        logprob[s] = 0;
        if (!T) continue;
        Buffer pointer_bits(T * K / 4 + 1);
        uint16_t *pointers = reinterpret_cast<uint16_t *>(pointer_bits.p);
        for (int64_t t = 0; t < T; t++) {
            const int64_t i = t % tile->size;
            if (i == 0) {
                tile->load(rows, row0 + t, T - t < tile->size ? T - t : tile->size);
                tile->log_densities(L.p);
            }
            for (int64_t j = 0; j < Kp; j += V) {
                vec best = load(m.logstart + j), arg{};
                if (t) best = score[0] + load(m.logtrans + j);
                for (int64_t k = 1; t && k < K; k++) {
                    vec candidate = score[k] + load(m.logtrans + k * Kp + j);
                    ivec better = candidate > best;
                    best = better ? candidate : best;
                    arg = better ? splat(static_cast<double>(k)) : arg;
                }
                store(next + j, best);
                store(from + j, arg);
            }
            for (int64_t k = 0; k < K; k++) {
                const double l = L[k * tile->ld + i];
                score[k] = l < IMPOSSIBLE ? -INFINITY : next[k] + l;
                pointers[t * K + k] = static_cast<uint16_t>(from[k]);
            }
        }
        int64_t state = 0;
        for (int64_t k = 1; k < K; k++) state = score[k] > score[state] ? k : state;
        logprob[s] = score[state];
        for (int64_t t = T - 1; t >= 0; t--) {
            path[row0 + t] = static_cast<int32_t>(state);
            state = pointers[t * K + state];
        }
    }
}

}  // namespace
