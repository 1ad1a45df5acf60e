// A leaf of whole sequences, or a chunk of one: segments are cut, run together, and accumulated.
#pragma once
#include "chain/blocks.hpp"
#include "simd/fp_mode.hpp"

namespace {

constexpr int64_t STATES = 33,
                  STATES_MOST = 80;  // states that a sequence is faster with by itself: the matrix is in L1
constexpr int64_t BLOCK = 65536;     // states times rows of a block
constexpr int ROUNDS = 4;            // of forward passes, each from the last one's ends

template <int G>
class ChainRun {
    static constexpr int64_t W = G * V;
    const Spec &spec;
    const estep::Chain &chain;
    const Rows &rows;
    const estep::ChainOut &out;
    ChainModel model;
    const std::unique_ptr<Tile> tile;
    const int64_t K;
    const bool wanted, looks;  // whether the way back has results; whether what is cut goes back, if only to be sure
    Planes planes, warm_planes;
    Lanes<G> lanes, warm;
    Buffer uniform, left, right, probe, ended;  // (W, K) messages at the joints
    Array<double> expected;                     // (K, K)
    Array<int64_t> members;

  public:
    ChainRun(const Spec &s, const estep::Chain &c, const Rows &r, const estep::ChainOut &o)
        : spec(s),
          chain(c),
          rows(r),
          out(o),
          model(c),
          tile(make_tile(s, r)),
          K(c.K),
          wanted(o.start || o.trans || o.stats || o.gamma),
          looks(wanted || model.rare),
          lanes(model, rows, *tile, planes),
          warm(model, rows, *tile, warm_planes),
          uniform(K),
          left(W * K),
          right(W * K),
          probe(W * K),
          ended(W * K),
          expected(K * K),
          members(c.S + 1) {
        for (int64_t k = 0; k < K; k++) uniform[k] = real(1) / static_cast<real>(K);
    }

    void run() {
        if (is_stretch(chain) || out.messages) piece(0, chain.head, rows.n - chain.tail, 0, rows.n);
        else sequences();
        for (int64_t i = 0; i < K * K && out.trans; i++) out.trans[i] += expected[i] * chain.trans[i];
        if (out.stats) tile->finish(out.stats);
    }

  private:
    // Whether a sequence is fastest with its states in the lanes; where tiles keep what they find of rows, blocks would
    // find it twice.
    bool by_itself() const { return K >= STATES && K <= STATES_MOST && !spec.parts && !spec.n_parts; }
    int64_t length(int64_t s) const { return chain.ends[s] - first_row(chain, s); }
    double weight(int64_t s) const { return rows.weight ? rows.weight[s] : 1; }

    // The longest first, so that the sequences of a group are about as long; empty ones have log-likelihood 0.
    void sequences() {
        for (int64_t s = 0; s < chain.S; s++) out.loglik[s] = 0;
        const int64_t used = longest_first(chain, members.data());
        const int64_t few = K > STATES_MOST ? 2 : V < 8 ? V / 2 : 4;  // so many are faster one after the other
        int64_t done = 0;
        while (done < used) {
            const int64_t s = members[done], alike = used - done < W ? used - done : W;
            const bool fits = !by_itself() || length(s) * K < BLOCK / 8;  // W of them in the cache
            if (fits && alike > few && length(s) < 2 * W * LEAST) {
                group(members + done, static_cast<int>(alike));
                done += alike;
            } else {
                piece(s, first_row(chain, s), chain.ends[s], first_row(chain, s), chain.ends[s]);
                done++;
            }
        }
    }

    void group(const int64_t *list, int count) {  // whole sequences, one in each lane
        Segment segments[W];
        int64_t sequence[W];
        for (int l = 0; l < count; l++) {
            segments[l] = {first_row(chain, list[l]), chain.ends[list[l]], weight(list[l]), true, nullptr, nullptr};
            sequence[l] = list[l];
        }
        while (count && !pass(segments, count)) {  // again without those that failed; others may fail on the way back
            int kept = 0;
            for (int l = 0; l < count; l++) {
                if (lanes.lane[l].ok) segments[kept] = segments[l], sequence[kept++] = sequence[l];
                else
                    by_blocks({sequence[l], segments[l].first, segments[l].stop, segments[l].first, segments[l].stop,
                               true, true, nullptr, nullptr},
                              segments[l].stop - segments[l].first);
            }
            count = kept;
        }
        for (int l = 0; l < count; l++) out.loglik[sequence[l]] = lanes.lane[l].loglik;
        if (count) collect(segments, count);
    }

    bool pass(const Segment *segments, int count) {
        lanes.forward(segments, count, wanted && out.stats);
        if (lanes.kept && (wanted || lanes.in_doubt())) lanes.backward(out.trans != nullptr);
        return lanes.kept;
    }

    void collect(const Segment *segments, int count) {  // what the lanes hold into the results
        if (!wanted) return;
        for (int64_t i = 0; i < K * K && out.trans; i++) expected[i] += total(load(planes.expected + i * V));
        for (int l = 0; l < count; l++)
            for (int64_t k = 0; k < K && out.start && segments[l].begins; k++)
                out.start[k] += static_cast<double>(lanes.start(l, k));
        tile->replay(true);
        for (int64_t c = 0; c < lanes.columns(); c += tile->size) {
            const int64_t n = lanes.columns() - c < tile->size ? lanes.columns() - c : tile->size;
            const Place gamma = lanes.gamma(c);
            if (out.stats) {
                tile->load(rows, {0, lanes.index(c, n)}, n);
                tile->accumulate_from(gamma, planes.L.data());
            }
            const int64_t *index = out.gamma ? lanes.index(c, n) : nullptr;
            for (int64_t i = 0; i < n && out.gamma; i++)
                for (int64_t k = 0; k < K && lanes.holds(c + i); k++)
                    out.gamma[index[i] * K + k] = static_cast<double>(gamma(i)[k * gamma.W]);
        }
        tile->replay(false);
    }

    // Rows first to stop of sequence s, where rows from low to high may be read to warm up. Cut into segments, each
    // begins with what some rows before it say. If the segment before then ends elsewhere, all go again from those
    // ends, some times: a chain that forgets within a segment is exact after the first.
    void piece(int64_t s, int64_t first, int64_t stop, int64_t low, int64_t high) {
        const Chunk chunk = {s, first, stop, low, high, chain.begins, chain.closes, chain.left, chain.right};
        if (chain.logs) return Blocks(model, *tile, rows, out, planes, chunk, chunk.rows(), wanted).logarithmic();
        if (by_itself()) return by_blocks(chunk, BLOCK / K);
        const int64_t T = stop - first, fit = T / LEAST;
        int count = static_cast<int>(fit < W ? fit : W);
        if (count <= V / 4) return by_blocks(chunk, stop - first);
        Segment segments[W];
        for (int l = 0; l < count; l++)
            segments[l] = {first + T * l / count, first + T * (l + 1) / count, weight(s), false, left + l * K,
                           right + l * K};
        const bool begins = chunk.opens(), closes = chunk.ends();
        if (begins) segments[0].begins = true, segments[0].left = nullptr;
        if (closes) segments[count - 1].right = nullptr;
        if (chain.left) given(chain.left, K, left.data());
        if (chain.right) given(chain.right, K, right + (count - 1) * K);
        const int from = begins || chain.left ? 1 : 0, to = closes || chain.right ? count - 1 : count;
        int64_t reach = LONG_WARM;
        const int64_t eighth = T / count / 8, n = eighth < WARM ? WARM : eighth < 2 * WARM ? eighth : 2 * WARM;
        warm_left(segments, from, count, n, low);
        bool fast = forward(segments, from, count, low, n, &reach);
        if (looks) warm_right(segments, to, reach, high);
        if (fast && looks) {
            lanes.backward(out.trans != nullptr);
            fast = lanes.kept;
            for (int l = 1; l < count && fast; l++) {
                lanes.before(l, probe.data());
                fast = gap(K, probe.data(), segments[l - 1].right, SAME / 8) < 8 * SAME &&
                       harm(K, ended + l * K, left + l * K, probe.data()) < 8 * SAME;
            }
        }
        if (!fast) return by_blocks(chunk, stop - first);
        out.loglik[s] = 0;
        for (int l = 0; l < count; l++) out.loglik[s] += lanes.lane[l].loglik;
        lanes.filtered(count - 1, probe.data());
        if (looks) lanes.before(0, probe + K);
        tell(out, K, chunk, left.data(), right + (count - 1) * K, probe.data(), looks ? probe + K : nullptr);
        collect(segments, count);
    }

    // Whether the joints hold in the end; in `reach`, how many rows it takes to forget, judged by the first pass.
    bool forward(const Segment *segments, int from, int count, int64_t low, int64_t n, int64_t *reach) {
        const real small = looks ? SAME / 8 : SMALL;  // harm() has the last word where the backward pass follows
        lanes.forward(segments, count, wanted && out.stats);
        for (int round = 0; round < ROUNDS; round++) {
            if (!lanes.kept || (!looks && lanes.in_doubt())) return false;
            real worst = 0;
            for (int l = 1; l < count; l++) {
                lanes.filtered(l - 1, ended + l * K);
                const real g = gap(K, ended + l * K, left + l * K, small);
                worst = g > worst ? g : worst;
            }
            if (round == 0 && worst < real(0.9)) {
                const double rows_ =
                    1.3 * static_cast<double>(n) * std::log(SAME / 16) / std::log(worst < SAME ? SAME : worst);
                *reach = rows_ < LONG_WARM ? static_cast<int64_t>(rows_) : LONG_WARM;
            }
            if (worst < SAME) return true;
            for (int64_t i = K; i < count * K; i++) left[i] = ended[i];
            if (round == 0 && from == 0) warm_left(segments, 0, 1, LONG_WARM, low);
            lanes.again();
        }
        return false;
    }

    // Messages at the joints from n rows before, and after them.
    void warm_left(const Segment *segments, int from, int to, int64_t n, int64_t low) {
        Segment list[W];
        for (int l = from; l < to; l++) {
            const int64_t stop = segments[l].first, at = stop - n > low ? stop - n : low;
            list[l - from] = {at, stop, 1, at == low && chain.begins, uniform.data(), nullptr};
        }
        if (from < to) warm.forward(list, to - from);
        for (int l = from; l < to; l++) warm.filtered(l - from, left + l * K);
    }
    void warm_right(const Segment *segments, int to, int64_t n, int64_t high) {
        Segment list[W];
        for (int l = 0; l < to; l++) {
            const int64_t first = segments[l].stop, stop = first + n < high ? first + n : high;
            list[l] = {first, stop, 1, false, uniform.data(), nullptr};
        }
        if (to > 0) warm.forward(list, to), warm.backward(false);
        for (int l = 0; l < to; l++) warm.before(l, right + l * K);
    }

    // By itself, in blocks that stay in the cache or as a whole.
    void by_blocks(const Chunk &s, int64_t block) {
        if (block < s.rows()) {
            const auto own = make_tile(spec, rows);  // for if it fails in the middle
            if (Blocks(model, *own, rows, out, planes, s, block, looks).linear()) {
                if (out.stats) own->finish(out.stats);
                return;
            }
        }
        Blocks whole(model, *tile, rows, out, planes, s, s.rows(), looks);
        if (!whole.linear()) whole.logarithmic();
    }
};

template <int G>
void run_chain(const Spec &spec, const estep::Chain &chain, const Rows &rows, const estep::ChainOut &out) {
    ChainRun<G> run(spec, chain, rows, out);  // reads subnormal probabilities, before the guard
    FlushDenormals guard;
    run.run();
}

void chain(const Spec &spec, const estep::Chain &chain, const Rows &rows, const estep::ChainOut &out) {
    if (paired(chain, rows.n)) run_chain<2>(spec, chain, rows, out);
    else run_chain<1>(spec, chain, rows, out);
}

}  // namespace
