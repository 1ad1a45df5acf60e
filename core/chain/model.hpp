// A chain's parameters as the recursions want them, segments of sequences, and what linear space may lose.
#pragma once
#include "tiles/make.hpp"

namespace {

// In linear space a forward probability that is possible is kept at LOST at least. What that hides is harmless while
// the rest of the sequence does not favour the state by more than REVIVED, which it cannot where every transition has a
// probability above SURE. With probabilities below FEEBLE, what is possible may even become 0, harmless on the same
// condition. A step whose sum is below VANISHED is not for linear space. Where a transition is below RARE, entries of a
// message of next to nothing may matter in the end, which only the way back tells.
#if defined(ESTEP_SINGLE)
constexpr real LOST = 1e-30f, REVIVED = 1e15f, VANISHED = 1e-15f, SURE = 1e-14f, FEEBLE = 1e-8f, SAME = 5e-4f,
               SMALL = 1e-12f, RARE = 1e-10f;
#else
constexpr real LOST = 1e-200, REVIVED = 1e180, VANISHED = 1e-190, SURE = 1e-100, FEEBLE = 1e-100, SAME = 1e-12,
               SMALL = 1e-25, RARE = 1e-20;
#endif
constexpr int WIDTH = ACCUMULATORS > 16 ? 8 : 4;  // vectors of a product with the states in the lanes
struct Range {
    int64_t from, to;
};

struct Topology {
    int64_t K;
    Array<Range> columns, rows;  // of each column and row of A: what holds all that is not zero

    explicit Topology(const estep::Chain &c) : K(c.K), columns(K), rows(K) {
        for (int64_t i = 0; i < K; i++) columns[i] = rows[i] = {K, 0};
        for (int64_t i = 0; i < K; i++)
            for (int64_t j = 0; j < K; j++)
                if (c.trans[i * K + j] > 0) {
                    columns[j] = {columns[j].from < i ? columns[j].from : i, i + 1};
                    rows[i] = {rows[i].from < j ? rows[i].from : j, j + 1};
                }
    }

    // Columns or rows of that many at a time.
    void blocks(const Array<Range> &of, int64_t n, Array<Range> &out) const {
        out.grow(K / n + 1);
        for (int64_t i = 0; i < K; i++) {
            Range &all = out[i / n];
            if (i % n == 0) all = of[i];
            all.from = of[i].from < all.from ? of[i].from : all.from;
            all.to = of[i].to > all.to ? of[i].to : all.to;
        }
    }
};

struct ChainModel : Topology {
    int64_t Kp;
    const double *start, *trans;
    Buffer forward, backward;  // A and its transpose, packed in blocks of WIDTH vectors of Kp columns
    bool positive = true;      // every transition has a probability that linear space keeps
    bool feeble = false;       // some probability is so small that linear space may lose it
    bool rare = false;         // some transition is

    explicit ChainModel(const estep::Chain &c)
        : Topology(c), Kp(round_up(c.K, V > 8 ? V : 8)), start(c.start), trans(c.trans) {
        for (int64_t i = 0; i < K; i++) {
            feeble = feeble || (start[i] > 0 && start[i] < FEEBLE);
            for (int64_t j = 0; j < K; j++) {
                const double p = trans[i * K + j];
                positive = positive && p > SURE;
                feeble = feeble || (p > 0 && p < FEEBLE);
                rare = rare || p < RARE;
            }
        }
        pack(K, K, WIDTH * V, Kp, forward, [&](int64_t i, int64_t j) { return trans[i * K + j]; });
        pack(K, K, WIDTH * V, Kp, backward, [&](int64_t i, int64_t j) { return trans[j * K + i]; });
    }
};

void impossible(Buffer &x, int64_t n) {
    x.grow(n);
    for (int64_t i = 0; i < n; i++) x[i] = -INFINITY;
}

struct PathModel : Topology {  // logarithms, impossible in the padding
    int64_t Kp;
    Buffer start, trans, to_state;  // (Kp,), (K, Kp) and its transpose

    explicit PathModel(const estep::Chain &c) : Topology(c), Kp(round_up(c.K, V)) {
        impossible(start, Kp);
        for (Buffer *matrix : {&trans, &to_state}) impossible(*matrix, K * Kp);
        for (int64_t i = 0; i < K; i++) {
            start[i] = static_cast<real>(std::log(c.start[i]));
            for (int64_t j = 0; j < K; j++)
                trans[i * Kp + j] = to_state[j * Kp + i] = static_cast<real>(std::log(c.trans[i * K + j]));
        }
    }
};

constexpr int64_t LEAST = 256;  // rows of a segment that is worth cutting off
constexpr int64_t WARM = 64;    // rows that mostly suffice to forget what was before

// Whether segments go in the lanes of two registers: of few states, since a step would wait for itself; where registers
// are narrow, of any number, since each entry of the matrix that is loaded is used twice, if there are so many
// segments.
inline bool paired(const estep::Chain &c, int64_t rows) {
    return c.K <= 8 || (BYTES < 64 && (c.S > V || rows / LEAST > c.S * V));
}

// Whether the rows are part of a sequence, or something beyond them is known.
inline bool is_stretch(const estep::Chain &c) {
    return c.head || c.tail || !c.begins || !c.closes || c.left || c.right || c.next >= 0;
}

inline int64_t first_row(const estep::Chain &c, int64_t s) { return s ? c.ends[s - 1] : 0; }

// Fills list (S,) with the sequences, the longest first, ties in order (a shell sort); how many are not empty.
int64_t longest_first(const estep::Chain &c, int64_t *list) {
    auto length = [&](int64_t s) { return c.ends[s] - first_row(c, s); };
    auto before = [&](int64_t a, int64_t b) { return length(a) != length(b) ? length(a) > length(b) : a < b; };
    for (int64_t s = 0; s < c.S; s++) list[s] = s;
    for (int64_t gap = c.S / 2; gap > 0; gap /= 2)
        for (int64_t i = gap; i < c.S; i++) {
            const int64_t x = list[i];
            int64_t j = i;
            for (; j >= gap && before(x, list[j - gap]); j -= gap) list[j] = list[j - gap];
            list[j] = x;
        }
    int64_t used = c.S;
    while (used && length(list[used - 1]) == 0) used--;
    return used;
}

// Whether a message (K,) has entries that may have been lost.
inline bool faint(int64_t K, const real *message) {
    bool some = false;
    for (int64_t k = 0; k < K; k++) some = some || (message[k] > 0 && message[k] < 2 * LOST);
    return some;
}

// From which likelihood of what follows on a lost state is not harmless, for rows of this weight.
inline real revived(double weight) { return weight > 0 ? REVIVED * static_cast<real>(weight) : real(1); }

// Where a lost state may matter, by its forward and backward probabilities; `zero`: -1 where even 0 may be possible.
inline ivec matters(vec alpha, vec beta, vec big, real zero) {
    return (alpha > zero) & (alpha < 2 * LOST) & ~(beta < big);
}

struct Segment {  // consecutive rows of one sequence
    int64_t first, stop;
    double weight;
    bool begins;        // its first row is the sequence's
    const real *left;   // (K,) filtered distribution at the row before; null where it begins
    const real *right;  // (K,) likelihood of all that follows, up to a factor; null: ones
};

// The largest relative difference between entries of two messages, which count up to a factor, but for those below
// `small` of the whole; 1 if the messages say nothing.
real gap(int64_t K, const real *a, const real *b, real small) {
    double sa = 0, sb = 0, worst = 0;
    for (int64_t k = 0; k < K; k++) sa += static_cast<double>(a[k]), sb += static_cast<double>(b[k]);
    if (!(sa > 0 && sb > 0 && sa < 1e300 && sb < 1e300)) return 1;
    for (int64_t k = 0; k < K; k++) {
        const double x = static_cast<double>(a[k]) / sa, y = static_cast<double>(b[k]) / sb;
        const double most = x > y ? x : y, least = x > y ? y : x;
        if (most > static_cast<double>(small) && most - least > worst * most) worst = (most - least) / most;
    }
    return static_cast<real>(worst);
}

// What it changes in the posterior to have `used` for the filtered distribution `a`, given the likelihood of what
// follows.
real harm(int64_t K, const real *a, const real *used, const real *follows) {
    double all = 0, changed = 0;
    for (int64_t k = 0; k < K; k++) {
        all += static_cast<double>(a[k]) * static_cast<double>(follows[k]);
        changed +=
            std::fabs(static_cast<double>(a[k]) - static_cast<double>(used[k])) * static_cast<double>(follows[k]);
    }
    return all > 0 ? static_cast<real>(changed / all) : 1;
}

}  // namespace
