// Which rows the lanes of a chain hold.
#pragma once
#include "chain/model.hpp"

namespace {

// The rows of up to W segments, step by step: column t `used` + l is step t of lane l. A lane that is over repeats its
// last; vectors without a segment are not used, of which the number is a power of two.
template <int G>
struct LaneRows {
    static constexpr int64_t W = G * V;
    int64_t T = 0, shortest = 0, used = W, length[W];  // 0 in lanes without a segment
    int power = 0;                                     // used = 2^power

    void set(const Segment *list, int count) {
        T = 0, shortest = INT64_MAX, used = count <= V ? V : W, power = __builtin_ctz(static_cast<unsigned>(used));
        for (int l = 0; l < W; l++) {
            length[l] = l < count ? list[l].stop - list[l].first : 0;
            first[l] = list[l < count ? l : 0].first;
            last[l] = length[l] > 0 ? length[l] - 1 : 0;
            T = length[l] > T ? length[l] : T;
            if (l < count) shortest = length[l] < shortest ? length[l] : shortest;
        }
    }
    const int64_t *index(int64_t c0, int64_t n) {  // the rows of columns c0 to c0 + n
        rows.grow(n + V);
        for (int64_t c = 0; c < n; c += V) {
            const int64_t t = (c0 + c) >> power, l0 = c0 + c - (t << power);
            const longs most = *reinterpret_cast<const longs *>(last + l0), step = longs{} + t;
            *reinterpret_cast<longs *>(rows + c) =
                *reinterpret_cast<const longs *>(first + l0) + (step < most ? step : most);
        }
        return rows.data();
    }

  private:
    typedef int64_t longs __attribute__((vector_size(V * sizeof(int64_t)), aligned(sizeof(int64_t))));
    int64_t first[W], last[W];
    Array<int64_t> rows;
};

}  // namespace
