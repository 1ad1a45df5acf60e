// A chain's parameters as the recursions want them, segments of sequences, and what linear space may lose.
#pragma once
#include "emission.hpp"

namespace {

// In linear space a forward probability that is possible is kept at LOST at least. What that hides is harmless while
// the rest of the sequence does not favour the state by more than REVIVED; VANISHED ones say nothing any more.
#if defined(ESTEP_SINGLE)
constexpr real LOST = 1e-30f, REVIVED = 1e22f, VANISHED = 1e-25f, SURE = 1e-4f, FEEBLE = 1e-7f, SAME = 5e-4f;
#else
constexpr real LOST = 1e-200, REVIVED = 1e180, VANISHED = 1e-190, SURE = 1e-20, FEEBLE = 1e-100, SAME = 1e-12;
#endif
constexpr int BLOCK = 8;  // states of a matrix product at a time

struct ChainModel {
    int64_t K, Kp;
    const double *start, *trans;
    Buffer forward, backward;          // (K, Kp): A and its transpose
    Array<int64_t> from, to;           // of A's columns, then of its transpose's, by BLOCKs: rows with a probability
    Array<double> logstart, logtrans;  // (K,), (K, K)
    bool positive = true;              // every transition has a probability that linear space keeps
    bool feeble = false;               // some probability is so small that linear space may lose it

    explicit ChainModel(const estep::Chain &c)
        : K(c.K),
          Kp(round_up(c.K, V > BLOCK ? V : BLOCK)),
          start(c.start),
          trans(c.trans),
          forward(K * Kp),
          backward(K * Kp),
          from(2 * Kp / BLOCK),
          to(2 * Kp / BLOCK),
          logstart(K),
          logtrans(K * K) {
        for (int64_t i = 0; i < K; i++) {
            logstart[i] = std::log(start[i]);
            feeble = feeble || (start[i] > 0 && start[i] < FEEBLE);
            for (int64_t j = 0; j < K; j++) {
                const double p = trans[i * K + j];
                forward[i * Kp + j] = backward[j * Kp + i] = static_cast<real>(p);
                logtrans[i * K + j] = std::log(p);
                positive = positive && p > SURE;
                feeble = feeble || (p > 0 && p < FEEBLE);
            }
        }
        ranges(forward.p, from.p, to.p);
        ranges(backward.p, from + Kp / BLOCK, to + Kp / BLOCK);
    }

  private:
    void ranges(const real *A, int64_t *first, int64_t *last) const {
        for (int64_t b = 0; b < Kp / BLOCK; b++) {
            first[b] = K, last[b] = 0;
            for (int64_t i = 0; i < K; i++)
                for (int64_t j = 0; j < BLOCK; j++)
                    if (A[i * Kp + b * BLOCK + j] > 0) {
                        first[b] = i < first[b] ? i : first[b];
                        last[b] = i + 1;
                    }
        }
    }
};

struct Segment {  // consecutive rows of one sequence
    int64_t first, stop;
    double weight;
    bool begins;        // its first row is the sequence's
    const real *left;   // (K,) filtered distribution at the row before; null where it begins
    const real *right;  // (K,) likelihood of all that follows, up to a factor; null: ones
};

// Whether two messages are the same up to a factor, each of their entries to the tolerance.
bool same(int64_t K, const real *a, const real *b, real tolerance) {
    double sa = 0, sb = 0;
    for (int64_t k = 0; k < K; k++) sa += static_cast<double>(a[k]), sb += static_cast<double>(b[k]);
    if (!(sa > 0 && sb > 0 && sa < 1e300 && sb < 1e300)) return false;
    for (int64_t k = 0; k < K; k++) {
        const double x = static_cast<double>(a[k]) / sa, y = static_cast<double>(b[k]) / sb;
        const double most = x > y ? x : y, least = x > y ? y : x;
        if (most > static_cast<double>(LOST) * 10 && most - least > static_cast<double>(tolerance) * most) return false;
    }
    return true;
}

}  // namespace
