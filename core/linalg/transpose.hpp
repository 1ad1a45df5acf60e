// Transposition, a block of vectors at a time.
#pragma once
#include "simd/vec.hpp"

namespace {

// The transpose of `from` (R, C) into `to` (C, width), zero beyond column R; V rows of V columns at a time.
inline void transposed(const real *from, int64_t stride, int64_t R, int64_t C, real *to, int64_t to_stride,
                       int64_t width) {
    for (int64_t c = 0; c < C; c += V)
        for (int64_t r0 = 0; r0 < width; r0 += V) {
            const real *in = from + r0 * stride + c;
            real *out = to + c * to_stride + r0;
            const int64_t here = R - r0 < V ? R - r0 : V, count = C - c < V ? C - c : V;
            vec v[V];
            if (here == V)
#pragma GCC unroll 16
                for (int64_t r = 0; r < V; r++) v[r] = load(in + r * stride);
            else
                for (int64_t r = 0; r < V; r++) v[r] = r < here ? load(in + r * stride) : vec{};
            transpose(v);
            if (count == V)
#pragma GCC unroll 16
                for (int64_t r = 0; r < V; r++) store(out + r * to_stride, v[r]);
            else
                for (int64_t r = 0; r < count; r++) store(out + r * to_stride, v[r]);
        }
}

// Planes (K, ld) to rows (n, Kp), zero beyond K.
inline void to_rows(const real *planes, int64_t ld, int64_t K, int64_t n, real *rows, int64_t Kp) {
    transposed(planes, ld, K, n, rows, Kp, Kp);
}

// Rows (n, Kp) to planes (K, ld), zero in the padding.
inline void to_planes(const real *rows, int64_t Kp, int64_t K, int64_t n, real *planes, int64_t ld) {
    transposed(rows, Kp, n, K, planes, ld, round_up(n, V));
}

}  // namespace
