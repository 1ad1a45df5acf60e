// Rows of one sequence from left to right, the states in the lanes of a register: block by block, so that all stays in
// the cache, or as a whole; in log space where linear space cannot.
#pragma once
#include "chain_alone.hpp"
#include "chain_log.hpp"

namespace {

constexpr int64_t LONG_WARM = 1024;

// Rows of a sequence, of which those from low to high may be read; whether these are its ends, and messages (K,) in
// logs from what is before and after, or null.
struct Stretch {
    int64_t sequence, first, stop, low, high;
    bool begins, closes;
    const double *left, *right;

    bool opens() const { return begins && first == low && !left; }
    bool ends() const { return closes && stop == high && !right; }
    int64_t rows() const { return stop - first; }
};

// Messages as a stretch hands them on, see ChainOut; what was exact stays as it is.
inline void tell(const estep::ChainOut &out, int64_t K, const Stretch &s, const real *left, const real *right,
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

class Strip {
    const ChainModel &m;
    const Rows &rows;
    const estep::ChainOut &out;
    Planes &p;
    const Stretch s;
    const int64_t K, Kp, block;
    const bool wanted;
    Tile &tile;
    Alone one;
    Array<double> trans;                  // (K, K), without A
    Buffer left, right, start, first;     // (K,) messages at the ends, expected first state, before the first row
    Buffer arrives, guess, told, before;  // (K,) messages at a block; what the one before was told
    double loglik = 0;
    int64_t at = 0, filled = 0;  // densities are there from row `at` to `filled`
    int64_t ahead = 0;           // how many rows it takes to forget, 0 before it is known

  public:
    Strip(const ChainModel &model, Tile &t, const Rows &r, const estep::ChainOut &o, Planes &planes,
          const Stretch &stretch, int64_t rows_of_a_block, bool want)
        : m(model),
          rows(r),
          out(o),
          p(planes),
          s(stretch),
          K(model.K),
          Kp(model.Kp),
          block(rows_of_a_block < s.rows() ? rows_of_a_block : s.rows()),
          wanted(want),
          tile(t),
          one(model, r, t, planes),
          trans(K * K),
          left(K),
          right(K),
          start(K),
          first(K),
          arrives(K),
          guess(K),
          told(K),
          before(K) {
        const int64_t room = (block > LONG_WARM ? block : LONG_WARM) + LONG_WARM + tile.size;
        p.rows.grow(room * Kp);
        p.scale.grow(room + tile.ld);
        p.L.grow(K * tile.ld);
        p.b.grow(K * tile.ld);
        if (s.right) given(s.right, K, right.data());
        else if (!s.ends()) move(s.stop), look(s.stop, right.data());
        if (s.left) given(s.left, K, left.data());
        else if (!s.opens()) warm();
    }

    // In linear space, block by block: what follows a block is guessed from some rows more, and compared with what the
    // next block finds. Whether it could be done; nothing has happened otherwise.
    bool linear() {
        const bool looks = wanted || whole();
        copy(left, arrives);
        if (whole()) filled = at;  // so that tiles load as collect() will
        move(s.first);
        for (int64_t a = s.first, b; a < s.stop; a = b) {
            b = a + block < s.stop ? a + block : s.stop;
            const bool last = b == s.stop;
            if (!last && looks) look(b, guess.data());
            if (whole() && wanted && out.stats) tile.record((s.rows() + tile.size - 1) / tile.size);
            fill(b);
            tile.record(0);
            const real *follows = !looks || (last && s.ends()) ? nullptr : last ? right.data() : guess.data();
            if (!pass({a, b, weight(), a == s.first && s.opens(), arrives.data(), follows})) return false;
            const real error = wanted && a > s.first ? harm(K, before.data(), told.data(), arrives.data()) : 0;
            if (!(error < 8 * SAME)) return false;
            if (error > SAME / 8) ahead = 2 * ahead < LONG_WARM ? 2 * ahead : LONG_WARM;
            one.filtered(b - a, arrives.data());
            copy(guess, told);
            move(b);
        }
        if (out.trans)
            for (int64_t i = 0; i < K * K; i++) out.trans[i] += trans[i] * m.trans[i];
        for (int64_t k = 0; k < K && out.start && s.opens(); k++) out.start[k] += static_cast<double>(start[k]);
        publish(arrives.data(), wanted ? first.data() : nullptr);
        return true;
    }

    // All of it in log space; single precision leaves it to double.
    void logarithmic() {
        if constexpr (sizeof(real) == 4) {
            out.failed[s.sequence] = true;
        } else {
            KeepDenormals guard;
            const int64_t T = s.rows();
            at = filled = s.first;
            Array<double> logb(T * K), gamma(wanted ? T * K : 0), ends(4 * K), expected(K * K);
            log_densities(logb.data());
            const double *l = message(s.left, s.opens(), left.data(), ends.data()),
                         *r = message(s.right, s.ends(), right.data(), ends + K);
            loglik = log_forward_backward(m, {T, weight(), logb.data(), l, r, wanted ? gamma.data() : nullptr,
                                              out.trans ? expected.data() : nullptr, ends + 2 * K, ends + 3 * K});
            for (int64_t i = 0; i < K * K && out.trans; i++) out.trans[i] += expected[i];
            for (int64_t k = 0; k < K && out.start && s.opens(); k++) out.start[k] += gamma[k];
            for (int64_t t = 0; t < T && wanted; t++)
                for (int64_t k = 0; k < K; k++) p.rows[t * Kp + k] = static_cast<real>(gamma[t * K + k]);
            collect(s.first, s.stop);
            publish(nullptr, nullptr);
            for (int64_t i = 0; i < 2 * K && out.messages; i++) out.messages[2 * K + i] = ends[2 * K + i];
        }
    }

  private:
    bool whole() const { return block == s.rows(); }
    double weight() const { return rows.weight ? rows.weight[s.sequence] : 1; }
    real *row(int64_t i) const { return p.rows + (i - at) * Kp; }
    void copy(const Buffer &from, Buffer &to) const {
        for (int64_t k = 0; k < K; k++) to[k] = from[k];
    }

    void move(int64_t to) {  // densities are wanted from row `to` on
        const int64_t kept = filled > to && to >= at ? filled - to : 0;
        if (kept) {
            std::memmove(row(at), row(to), static_cast<size_t>(kept * Kp) * sizeof(real));
            std::memmove(p.scale.data(), p.scale + (to - at), static_cast<size_t>(kept) * sizeof(real));
        }
        at = to, filled = to + kept;
    }

    void fill(int64_t to) {  // densities up to row `to`
        const int64_t ld = round_up(tile.ld, V);
        while (filled < to) {
            const int64_t n = to - filled < tile.size ? to - filled : tile.size;
            tile.load(rows, {filled, nullptr}, n);
            tile.densities(p.L.data(), {p.b.data(), K, ld, ONE_SLOT, 0}, p.scale + (filled - at));
            to_rows(p.b.data(), ld, K, n, row(filled), Kp);
            filled += n;
        }
    }

    // What the rows from b on say of the state before them, by as many as it takes to forget what is beyond them; all
    // LONG_WARM where nothing checks it.
    void look(int64_t b, real *message_) {
        const int64_t most = s.high - b;
        if (whole()) ahead = LONG_WARM;
        else if (!ahead && most >= WARM) ahead = forgets(b, message_);
        const int64_t n = !ahead || ahead > most ? most : ahead;
        fill(b + n);
        one.behind(row(b), n, message_);
    }

    // How many rows it takes to forget: the rate shows when half of WARM rows are added to as many.
    int64_t forgets(int64_t b, real *work) {
        fill(b + WARM);
        one.behind(row(b), WARM / 2, before.data());
        one.behind(row(b), WARM, work);
        const real g = gap(K, work, before.data(), SAME / 8);
        if (g >= 1) return LONG_WARM;
        const double rows_ = 1.5 * WARM / 2 * std::log(SAME) / std::log(g < SAME ? SAME : g);
        return rows_ < LONG_WARM ? static_cast<int64_t>(rows_) : LONG_WARM;
    }

    void warm() {  // the message from the left, by the rows before
        move(s.first);
        look(s.first, left.data());
        const int64_t n = (ahead ? ahead : LONG_WARM) + WARM, from = s.first - n > s.low ? s.first - n : s.low;
        for (int64_t k = 0; k < K; k++) left[k] = real(1) / static_cast<real>(K);
        move(from);
        fill(s.first);
        if (from == s.first) return;
        const Segment before_ = {from, s.first, 1, from == s.low && s.begins, left.data(), nullptr};
        // states may have been lost: it is a guess, and the joint tells
        if (one.run(before_, row(from), p.scale.data(), false, false, false).loglik > -INFINITY)
            one.filtered(s.first - from, left.data());
    }

    bool pass(const Segment &now) {  // one block
        if (out.trans) p.expected.zeros(K * Kp);
        const Lane lane =
            one.run(now, row(now.first), p.scale + (now.first - at), wanted, out.trans != nullptr, whole());
        if (!lane.ok) return false;
        loglik += lane.loglik;
        if (!wanted) return true;
        one.before(before.data());
        if (now.first == s.first) {
            copy(before, first);
            for (int64_t k = 0; k < K; k++) start[k] = row(now.first)[k];
        }
        for (int64_t i = 0; i < K && out.trans; i++)
            for (int64_t j = 0; j < K; j++) trans[i * K + j] += static_cast<double>(p.expected[i * Kp + j]);
        collect(now.first, now.stop);
        return true;
    }

    void collect(int64_t from, int64_t to) {  // of expected states where the densities were
        tile.replay(whole());
        for (int64_t i = from; i < to && wanted && out.stats; i += tile.size) {
            const int64_t n = to - i < tile.size ? to - i : tile.size;
            tile.load(rows, {i, nullptr}, n);
            tile.accumulate_rows(row(i), Kp, p.L.data());
        }
        tile.replay(false);
        for (int64_t i = from; i < to && wanted && out.gamma; i++)
            for (int64_t k = 0; k < K; k++) out.gamma[i * K + k] = static_cast<double>(row(i)[k]);
    }

    void publish(const real *filtered, const real *before_) {
        out.loglik[s.sequence] = loglik;
        tell(out, K, s, left.data(), right.data(), filtered, before_);
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
