// Rows of one sequence with the states in the lanes of a register: in tracks side by side, each from left to right,
// block by block, so that all stays in the cache; or as a whole, in log space where linear space cannot.
#pragma once
#include "chain/log_space.hpp"
#include "chain/states.hpp"
#include "simd/fp_mode.hpp"

namespace {

constexpr int64_t LONG_WARM = 1024;

// Rows of a sequence, of which those from low to high may be read; whether these are its ends, and messages (K,) in
// logs from what is before and after, or null.
struct Chunk {
    int64_t sequence, first, stop, low, high;
    bool begins, closes;
    const double *left, *right;

    bool opens() const { return begins && first == low && !left; }
    bool ends() const { return closes && stop == high && !right; }
    int64_t rows() const { return stop - first; }
};

// Messages as a chunk hands them on, see ChainOut; what was exact stays as it is.
inline void tell(const estep::ChainOut &out, int64_t K, const Chunk &s, const real *left, const real *right,
                 const real *filtered, const real *before) {
    if (!out.messages) return;
    const real *linear[4] = {s.opens() ? nullptr : left, s.ends() ? nullptr : right, filtered, before};
    const double *exact[4] = {s.left, s.right, nullptr, nullptr};
    for (int i = 0; i < 4; i++)
        for (int64_t k = 0; k < K; k++)
            out.messages[i * K + k] = exact[i]    ? exact[i][k]
                                      : linear[i] ? std::log(static_cast<double>(linear[i][k]))
                                                  : 0;
}

// A message in linear space; what is possible stays so.
inline void given(const double *logs, int64_t K, real *to) {
    double top = -INFINITY, sum = 0;
    for (int64_t k = 0; k < K; k++) top = logs[k] > top ? logs[k] : top;
    for (int64_t k = 0; k < K; k++) sum += std::exp(logs[k] - top);
    for (int64_t k = 0; k < K; k++) {
        const real x = static_cast<real>(std::exp(logs[k] - top) / sum);
        to[k] = logs[k] > -INFINITY && x < LOST ? LOST : logs[k] > -INFINITY ? x : 0;
    }
}

class Blocks {
    struct Lead {                     // consecutive rows on one of the tracks
        int64_t first = 0, stop = 0;  // up to where it goes
        int64_t at = 0, filled = 0;   // densities are there from row `at` to `filled`
        real *rows = nullptr, *scale = nullptr;
        Buffer left, arrives;    // (K,) filtered at the row before the first, and before the block
        Buffer guess, told;      // likelihood of what follows the block, and the block before, as guessed
        Buffer before, opening;  // and as found at the block's first row, and the track's
    };

    const ChainModel &m;
    const Rows &rows;
    const estep::ChainOut &out;
    Planes &p;
    const Chunk s;
    const int64_t K, Kp, block;
    const bool wanted;
    Tile &tile;
    States one;
    Lead lead[TRACKS];
    Array<double> trans;  // (K, K), without A
    Buffer right, start;  // (K,) the message at the end, expected first state
    double loglik = 0;
    int64_t ahead = 0;  // how many rows it takes to forget, 0 before it is known

  public:
    Blocks(const ChainModel &model, Tile &t, const Rows &r, const estep::ChainOut &o, Planes &planes,
           const Chunk &chunk, int64_t rows_of_a_block, bool want)
        : m(model),
          rows(r),
          out(o),
          p(planes),
          s(chunk),
          K(model.K),
          Kp(model.Kp),
          block(rows_of_a_block < s.rows() ? rows_of_a_block : s.rows()),
          wanted(want),
          tile(t),
          one(model, r, t, planes),
          trans(K * K),
          right(K),
          start(K) {
        const int64_t room = (block > LONG_WARM ? block : LONG_WARM) + LONG_WARM + tile.size,
                      some = whole() ? 1 : TRACKS;
        p.rows.grow(some * room * Kp);
        p.scale.grow(some * (room + tile.ld));
        p.L.grow(K * tile.ld);
        p.b.grow(K * tile.ld);
        for (int64_t i = 0; i < some; i++) {
            Lead &l = lead[i];
            l.rows = p.rows + i * room * Kp, l.scale = p.scale + i * (room + tile.ld);
            for (Buffer *b : {&l.left, &l.arrives, &l.guess, &l.told, &l.before, &l.opening}) b->zeros(K);
        }
        if (s.right) given(s.right, K, right.data());
        else if (!s.ends()) move(lead[0], s.stop), look(lead[0], s.stop, right);
        if (s.left) given(s.left, K, lead[0].left.data());
        else if (!s.opens()) warm(lead[0], s.first);
    }

    // In linear space, block by block: what follows a block is guessed from some rows more, and compared with what the
    // next block finds. Whether it could be done; nothing has happened otherwise.
    bool linear() {
        const int n = several() ? TRACKS : 1;
        const int64_t length = s.rows() / n;
        for (int i = 0; i < n; i++) {
            Lead &l = lead[i];
            l.first = s.first + i * length, l.stop = i + 1 < n ? l.first + length : s.stop;
            if (i > 0) warm(l, l.first);
            copy(l.left, l.arrives);
            if (whole()) l.filled = l.at;  // so that tiles load as collect() will
            move(l, l.first);
        }
        for (int64_t done = 0, some; done < length; done += some) {
            some = block / n < length - done ? block / n : length - done;
            if (!(n > 1 ? pass<TRACKS>(lead, some) : pass<1>(lead, some))) return false;
        }
        Lead &last = lead[n - 1];
        if (last.at < s.stop && !pass<1>(&last, s.stop - last.at)) return false;
        for (int i = 1; i < n; i++)
            if (!meet(lead[i - 1], lead[i])) return false;
        if (out.trans)
            for (int64_t i = 0; i < K * K; i++) out.trans[i] += trans[i] * m.trans[i];
        for (int64_t k = 0; k < K && out.start && s.opens(); k++) out.start[k] += static_cast<double>(start[k]);
        publish(last.arrives.data(), wanted ? lead[0].opening.data() : nullptr);
        return true;
    }

    // All of it in log space; single precision leaves it to double.
    void logarithmic() {
        if constexpr (sizeof(real) == 4) {
            out.failed[s.sequence] = true;
        } else {
            KeepDenormals guard;
            const int64_t T = s.rows();
            Array<double> logb(T * K), gamma(wanted ? T * K : 0), ends(4 * K), expected(K * K);
            log_densities(logb.data());
            const double *l = message(s.left, s.opens(), lead[0].left.data(), ends.data()),
                         *r = message(s.right, s.ends(), right.data(), ends + K);
            loglik = log_forward_backward(m, {T, weight(), logb.data(), l, r, wanted ? gamma.data() : nullptr,
                                              out.trans ? expected.data() : nullptr, ends + 2 * K, ends + 3 * K});
            for (int64_t i = 0; i < K * K && out.trans; i++) out.trans[i] += expected[i];
            for (int64_t k = 0; k < K && out.start && s.opens(); k++) out.start[k] += gamma[k];
            lead[0].at = lead[0].filled = s.first;
            for (int64_t t = 0; t < T && wanted; t++)
                for (int64_t k = 0; k < K; k++) lead[0].rows[t * Kp + k] = static_cast<real>(gamma[t * K + k]);
            collect(lead[0], s.first, s.stop);
            publish(nullptr, nullptr);
            for (int64_t i = 0; i < 2 * K && out.messages; i++) out.messages[2 * K + i] = ends[2 * K + i];
        }
    }

  private:
    bool whole() const { return block == s.rows(); }
    double weight() const { return rows.weight ? rows.weight[s.sequence] : 1; }
    real *row(const Lead &l, int64_t i) const { return l.rows + (i - l.at) * Kp; }
    void copy(const Buffer &from, Buffer &to) const {
        for (int64_t k = 0; k < K; k++) to[k] = from[k];
    }

    bool several() {  // whether there are tracks: not where it takes long to forget
        if (whole() || s.rows() < 2 * TRACKS * LEAST) return false;
        if (!ahead) move(lead[0], s.first), ahead = forgets(lead[0], s.first, lead[0].guess);
        return ahead < LEAST;
    }

    void move(Lead &l, int64_t to) const {  // densities are wanted from row `to` on
        const int64_t kept = l.filled > to && to >= l.at ? l.filled - to : 0;
        if (kept) {
            std::memmove(row(l, l.at), row(l, to), static_cast<size_t>(kept * Kp) * sizeof(real));
            std::memmove(l.scale, l.scale + (to - l.at), static_cast<size_t>(kept) * sizeof(real));
        }
        l.at = to, l.filled = to + kept;
    }

    void fill(Lead &l, int64_t to) {  // densities up to row `to`
        const int64_t ld = round_up(tile.ld, V);
        while (l.filled < to) {
            const int64_t n = to - l.filled < tile.size ? to - l.filled : tile.size;
            tile.load(rows, {l.filled, nullptr}, n);
            tile.densities(p.L.data(), {p.b.data(), K, ld, ONE_SLOT, 0}, l.scale + (l.filled - l.at));
            to_rows(p.b.data(), ld, K, n, row(l, l.filled), Kp);
            l.filled += n;
        }
    }

    // What the rows from b on say of the state before them, by as many as it takes to forget what is beyond them; all
    // LONG_WARM where nothing checks it.
    void look(Lead &l, int64_t b, Buffer &to) {
        const int64_t most = s.high - b;
        if (whole()) ahead = LONG_WARM;
        else if (!ahead && most >= WARM) ahead = forgets(l, b, to);
        behind(l, b, !ahead || ahead > most ? most : ahead, to);
    }

    void behind(Lead &l, int64_t b, int64_t n, Buffer &to) {
        fill(l, b + n);
        one.behind<1>({row(l, b)}, n, {to.data()});
    }

    template <int P>
    void look(Lead *l, int64_t n) {  // from the ends of blocks of n rows on
        bool alike = P > 1;
        for (int i = 0; i < P; i++) alike = alike && l[i].at + n + ahead <= s.high;
        const real *b[P];
        real *to[P];
        for (int i = 0; i < P; i++) {
            const int64_t end = l[i].at + n;
            if (!alike && end < s.stop) look(l[i], end, l[i].guess);
            if (alike) fill(l[i], end + ahead), b[i] = row(l[i], end), to[i] = l[i].guess.data();
        }
        if (alike) one.behind<P>(b, ahead, to);
    }

    // How many rows it takes to forget: the rate shows when half of WARM rows are added to as many.
    int64_t forgets(Lead &l, int64_t b, Buffer &work) {
        behind(l, b, WARM / 2, l.before);
        behind(l, b, WARM, work);
        const real g = gap(K, work.data(), l.before.data(), SAME / 8);
        if (g >= 1) return LONG_WARM;
        const double rows_ = 1.5 * WARM / 2 * std::log(SAME) / std::log(g < SAME ? SAME : g);
        return rows_ < LONG_WARM ? static_cast<int64_t>(rows_) : LONG_WARM;
    }

    void warm(Lead &l, int64_t first) {  // the message from the left, by the rows before
        move(l, first);
        if (!ahead) look(l, first, l.left);
        const int64_t n = (ahead ? ahead : LONG_WARM) + WARM, from = first - n > s.low ? first - n : s.low;
        for (int64_t k = 0; k < K; k++) l.left[k] = real(1) / static_cast<real>(K);
        move(l, from);
        fill(l, first);
        if (from == first) return;
        const Track before_[1] = {
            {{from, first, 1, from == s.low && s.begins, l.left.data(), nullptr}, l.rows, l.scale}};
        // states may have been lost: it is a guess, and the joint tells
        if (one.run(before_, false, false, false).loglik > -INFINITY) one.filtered(0, l.left.data());
    }

    template <int P>
    bool pass(Lead *l, int64_t n) {  // the next n rows of P tracks
        const bool looks = wanted || whole();
        if (looks) look<P>(l, n);
        if (whole() && wanted && out.stats) tile.record((s.rows() + tile.size - 1) / tile.size);
        Track track[P];
        for (int i = 0; i < P; i++) {
            const int64_t end = l[i].at + n;
            fill(l[i], end);
            const real *follows = !looks || (end == s.stop && s.ends()) ? nullptr
                                  : end == s.stop                       ? right.data()
                                                                        : l[i].guess.data();
            const bool begins = l[i].at == s.first && s.opens();
            track[i] = {{l[i].at, end, weight(), begins, l[i].arrives.data(), follows}, l[i].rows, l[i].scale};
        }
        tile.record(0);
        if (out.trans) p.expected.zeros(K * Kp);
        const Lane lane = one.run(track, wanted, out.trans != nullptr, whole());
        if (!lane.ok) return false;
        loglik += lane.loglik;
        for (int64_t i = 0; i < K && out.trans; i++)
            for (int64_t j = 0; j < K; j++) trans[i * K + j] += static_cast<double>(p.expected[i * Kp + j]);
        bool good = true;
        for (int i = 0; i < P; i++) good = good && finish(l[i], i, n);
        return good;
    }

    // A block on track i; whether what follows the one before was guessed well.
    bool finish(Lead &l, int i, int64_t n) {
        if (wanted) {
            one.before(i, l.before.data());
            const real error = l.at > l.first ? harm(K, l.before.data(), l.told.data(), l.arrives.data()) : 0;
            if (!(error < 8 * SAME)) return false;
            if (error > SAME / 8) ahead = 2 * ahead < LONG_WARM ? 2 * ahead : LONG_WARM;
            if (l.at == l.first) copy(l.before, l.opening);
            for (int64_t k = 0; k < K && l.at == s.first; k++) start[k] = l.rows[k];
            collect(l, l.at, l.at + n);
        }
        one.filtered(i, l.arrives.data());
        copy(l.guess, l.told);
        move(l, l.at + n);
        return true;
    }

    bool meet(const Lead &a, const Lead &b) const {  // whether tracks agree on what is before and after their joint
        const real *ends = a.arrives.data(), *opening = b.opening.data();
        if (!wanted) return gap(K, ends, b.left.data(), SMALL) < SAME;
        return harm(K, ends, b.left.data(), opening) < 8 * SAME && harm(K, opening, a.told.data(), ends) < 8 * SAME;
    }

    void collect(const Lead &l, int64_t from, int64_t to) {  // of expected states where the densities were
        tile.replay(whole());
        for (int64_t i = from; i < to && wanted && out.stats; i += tile.size) {
            const int64_t n = to - i < tile.size ? to - i : tile.size;
            tile.load(rows, {i, nullptr}, n);
            tile.accumulate_rows(row(l, i), Kp, p.L.data());
        }
        tile.replay(false);
        for (int64_t i = from; i < to && wanted && out.gamma; i++)
            for (int64_t k = 0; k < K; k++) out.gamma[i * K + k] = static_cast<double>(row(l, i)[k]);
    }

    void publish(const real *filtered, const real *before_) {
        out.loglik[s.sequence] = loglik;
        tell(out, K, s, lead[0].left.data(), right.data(), filtered, before_);
    }

    void log_densities(double *logb) {  // (T, K)
        for (int64_t i = 0; i < s.rows(); i += tile.size) {
            const int64_t n = s.rows() - i < tile.size ? s.rows() - i : tile.size;
            tile.load(rows, {s.first + i, nullptr}, n);
            tile.log_densities(p.L.data());
            for (int64_t j = 0; j < n; j++)
                for (int64_t k = 0; k < K; k++) {
                    const double x = static_cast<double>(p.L[k * tile.ld + j]);
                    logb[(i + j) * K + k] = x < static_cast<double>(IMPOSSIBLE) ? -INFINITY : x;
                }
        }
    }

    const double *message(const double *exact, bool none, const real *linear, double *logs) const {
        if (exact || none) return exact;
        for (int64_t k = 0; k < K; k++) logs[k] = std::log(static_cast<double>(linear[k]));
        return logs;
    }
};

}  // namespace
