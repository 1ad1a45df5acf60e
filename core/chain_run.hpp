// A leaf of whole sequences, or a stretch of one: segments are cut, run together, and accumulated.
#pragma once
#include "chain_alone.hpp"
#include "chain_log.hpp"

namespace {

constexpr int64_t LONG_WARM = 1024;
constexpr int ROUNDS = 4;  // of forward passes, each from the last one's ends

template <int G>
class ChainRun {
    static constexpr int64_t W = G * V;
    const Spec &spec;
    const estep::Chain &chain;
    const Rows &rows;
    const estep::ChainOut &out;
    ChainModel model;
    const std::unique_ptr<Tile> tile;
    const int64_t K, Kp;
    const bool wanted;
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
          Kp(model.Kp),
          wanted(o.start || o.trans || o.stats || o.gamma),
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
        if (chain.head || chain.tail || !chain.begins || !chain.closes || chain.left || chain.right || out.messages)
            piece(0, chain.head, rows.n - chain.tail, 0, rows.n);
        else sequences();
        for (int64_t i = 0; i < K * K && out.trans; i++) out.trans[i] += expected[i] * chain.trans[i];
        if (out.stats) tile->finish(out.stats);
    }

  private:
    int64_t length(int64_t s) const { return chain.ends[s] - first_row(chain, s); }
    double weight(int64_t s) const { return rows.weight ? rows.weight[s] : 1; }

    // The longest first, so that the sequences of a group are about as long; empty ones have log-likelihood 0.
    void sequences() {
        for (int64_t s = 0; s < chain.S; s++) out.loglik[s] = 0;
        const int64_t used = longest_first(chain, members.data());
        int64_t done = 0;
        while (done < used) {
            const int64_t s = members[done], alike = used - done < W ? used - done : W;
            const bool several = K <= 16 || alike > 2;  // else the states in the lanes take less time
            if (several && length(s) < 2 * W * LEAST) {
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
                else rescue(sequence[l], segments[l].first, segments[l].stop, nullptr, nullptr);
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
        const int64_t T = stop - first, fit = T / LEAST;
        int count = static_cast<int>(fit < W ? fit : W);
        if (count <= V / 4) count = 1;
        Segment segments[W];
        for (int l = 0; l < count; l++)
            segments[l] = {first + T * l / count, first + T * (l + 1) / count, weight(s), false, left + l * K,
                           right + l * K};
        const bool begins = first == low && chain.begins && !chain.left;
        const bool closes = stop == high && chain.closes && !chain.right;
        if (begins) segments[0].begins = true, segments[0].left = nullptr;
        if (closes) segments[count - 1].right = nullptr;
        given(chain.left, left.data());
        given(chain.right, right + (count - 1) * K);
        const int from = begins || chain.left ? 1 : 0, to = closes || chain.right ? count - 1 : count;
        int64_t reach = LONG_WARM;
        const int64_t eighth = T / count / 8, n = eighth < WARM ? WARM : eighth < 2 * WARM ? eighth : 2 * WARM;
        warm_left(segments, from, count, count > 1 ? n : LONG_WARM, low);
        bool fast = count > 1 && forward(segments, from, count, low, n, &reach);
        if (wanted) warm_right(segments, to, reach, high);
        if (fast && wanted) {
            lanes.backward(out.trans != nullptr);
            fast = lanes.kept;
            for (int l = 1; l < count && fast; l++) {
                lanes.before(l, probe.data());
                fast = gap(K, probe.data(), segments[l - 1].right, SAME / 8) < 8 * SAME &&
                       harm(K, ended + l * K, left + l * K, probe.data()) < 8 * SAME;
            }
        }
        if (!fast) return alone(s, {first, stop, weight(s), begins, segments[0].left, segments[count - 1].right});
        out.loglik[s] = 0;
        for (int l = 0; l < count; l++) out.loglik[s] += lanes.lane[l].loglik;
        lanes.filtered(count - 1, probe.data());
        if (wanted) lanes.before(0, probe + K);
        messages(segments[0].left, segments[count - 1].right, probe.data(), wanted ? probe + K : nullptr);
        collect(segments, count);
    }

    // Whether the joints hold in the end; in `reach`, how many rows it takes to forget, judged by the first pass.
    bool forward(const Segment *segments, int from, int count, int64_t low, int64_t n, int64_t *reach) {
        const real small = wanted ? SAME / 8 : SMALL;  // harm() has the last word where the backward pass follows
        lanes.forward(segments, count, wanted && out.stats);
        for (int round = 0; round < ROUNDS; round++) {
            if (!lanes.kept || (!wanted && lanes.in_doubt())) return false;
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

    void given(const double *logs, real *to) {
        if (!logs) return;
        double top = -INFINITY, sum = 0;
        for (int64_t k = 0; k < K; k++) top = logs[k] > top ? logs[k] : top;
        for (int64_t k = 0; k < K; k++) sum += std::exp(logs[k] - top);
        for (int64_t k = 0; k < K; k++) {
            const real x = static_cast<real>(std::exp(logs[k] - top) / sum);
            to[k] = logs[k] > -INFINITY && x < LOST ? LOST : logs[k] > -INFINITY ? x : 0;
        }
    }

    void messages(const real *l, const real *r, const real *filtered, const real *before) {
        if (!out.messages) return;
        auto logs = [&](const real *from, double *to) {
            for (int64_t k = 0; k < K; k++) to[k] = from ? std::log(static_cast<double>(from[k])) : 0;
        };
        const double *exact[2] = {chain.left, chain.right};
        const real *used[2] = {l, r};
        for (int i = 0; i < 2; i++) {
            if (!exact[i]) logs(used[i], out.messages + i * K);
            for (int64_t k = 0; k < K && exact[i]; k++) out.messages[i * K + k] = exact[i][k];
        }
        logs(filtered, out.messages + 2 * K);
        logs(before, out.messages + 3 * K);
    }

    void alone(int64_t s, const Segment &segment) {
        const int64_t T = segment.stop - segment.first;
        planes.rows.grow(T * Kp);
        planes.scale.grow(T + tile->ld);
        planes.L.grow(K * tile->ld);
        Buffer b(K * tile->ld);
        const int64_t ld = round_up(tile->ld, V);
        for (int64_t i = 0; i < T; i += tile->size) {
            const int64_t n = T - i < tile->size ? T - i : tile->size;
            tile->load(rows, {segment.first + i, nullptr}, n);
            tile->densities(planes.L.data(), {b.data(), K, ld, ONE_SLOT, 0}, planes.scale + i);
            to_rows(b.data(), ld, K, n, planes.rows + i * Kp, Kp);
        }
        Alone one(model, planes);
        const Lane lane = one.run(segment, planes.rows.data(), planes.scale.data(), wanted, out.trans != nullptr);
        if (!lane.ok) return rescue(s, segment.first, segment.stop, segment.left, segment.right);
        out.loglik[s] = lane.loglik;
        one.filtered(T, probe.data());
        if (wanted) one.before(probe + K);
        messages(segment.left, segment.right, probe.data(), wanted ? probe + K : nullptr);
        for (int64_t i = 0; i < K && out.trans; i++)
            for (int64_t j = 0; j < K; j++) expected[i * K + j] += static_cast<double>(planes.expected[i * Kp + j]);
        collect_rows(segment, planes.rows.data());
    }

    void collect_rows(const Segment &segment, const real *gamma) {  // (T, Kp)
        if (!wanted) return;
        const int64_t T = segment.stop - segment.first;
        for (int64_t k = 0; k < K && out.start && segment.begins; k++) out.start[k] += static_cast<double>(gamma[k]);
        for (int64_t i = 0; i < T && out.stats; i += tile->size) {
            const int64_t n = T - i < tile->size ? T - i : tile->size;
            tile->load(rows, {segment.first + i, nullptr}, n);
            to_planes(gamma + i * Kp, Kp, K, n, planes.L.data(), tile->ld);
            tile->accumulate(planes.L.data(), tile->ld);
        }
        for (int64_t i = 0; i < T && out.gamma; i++)
            for (int64_t k = 0; k < K; k++)
                out.gamma[(segment.first + i) * K + k] = static_cast<double>(gamma[i * Kp + k]);
    }

    // What linear space cannot do: in log space; single precision leaves it to double.
    void rescue(int64_t s, int64_t first, int64_t stop, const real *l, const real *r) {
        if constexpr (sizeof(real) == 4) {
            out.failed[s] = true;
        } else {
            KeepDenormals guard;
            const int64_t T = stop - first;
            Array<double> logb(T * K), gamma(wanted ? T * K : 0), ends(4 * K);
            planes.L.grow(K * tile->ld);
            for (int64_t i = 0; i < T; i += tile->size) {
                const int64_t n = T - i < tile->size ? T - i : tile->size;
                tile->load(rows, {first + i, nullptr}, n);
                tile->log_densities(planes.L.data());
                for (int64_t j = 0; j < n; j++)
                    for (int64_t k = 0; k < K; k++) {
                        const double x = static_cast<double>(planes.L[k * tile->ld + j]);
                        logb[(i + j) * K + k] = x < static_cast<double>(IMPOSSIBLE) ? -INFINITY : x;
                    }
            }
            const double *left_logs = message(chain.left, l, ends.data()),
                         *right_logs = message(chain.right, r, ends + K);
            Array<double> trans(K * K);
            out.loglik[s] = log_forward_backward(
                model, {T, weight(s), logb.data(), left_logs, right_logs, wanted ? gamma.data() : nullptr,
                        out.trans ? trans.data() : nullptr, ends + 2 * K, ends + 3 * K});
            for (int64_t i = 0; i < K * K && out.trans; i++) out.trans[i] += trans[i];
            for (int64_t k = 0; k < K && out.messages; k++) {
                out.messages[k] = left_logs ? left_logs[k] : 0;
                out.messages[K + k] = right_logs ? right_logs[k] : 0;
            }
            for (int64_t i = 0; i < 2 * K && out.messages; i++) out.messages[2 * K + i] = ends[2 * K + i];
            if (!wanted) return;
            planes.rows.zeros(T * Kp);
            for (int64_t t = 0; t < T; t++)
                for (int64_t k = 0; k < K; k++) planes.rows[t * Kp + k] = static_cast<real>(gamma[t * K + k]);
            collect_rows({first, stop, 1, !left_logs, nullptr, nullptr}, planes.rows.data());
        }
    }

    const double *message(const double *exact, const real *linear, double *logs) const {
        if (exact || !linear) return exact;
        for (int64_t k = 0; k < K; k++) logs[k] = std::log(static_cast<double>(linear[k]));
        return logs;
    }
};

template <int G>
void run_chain(const Spec &spec, const estep::Chain &chain, const Rows &rows, const estep::ChainOut &out) {
    ChainRun<G> run(spec, chain, rows, out);  // reads subnormal probabilities, before the guard
    FlushDenormals guard;
    run.run();
}

void chain(const Spec &spec, const estep::Chain &chain, const Rows &rows, const estep::ChainOut &out) {
    if (chain.K <= 8) run_chain<2>(spec, chain, rows, out);
    else run_chain<1>(spec, chain, rows, out);
}

}  // namespace
