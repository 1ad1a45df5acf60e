// The two matrix products of an E-step over a tile of rows, kept feature by feature: phi (F, ld), rows in the lanes.
#pragma once
#include "memory/pool.hpp"
#include "simd/vec.hpp"

namespace {

// f(n, j) for the blocks of 0 to K: n, a constant, is how many the block at j has, MOST but in the last one.
template <int N, class F>
void last_block(int64_t K, int64_t j, F &f) {
    if (K - j == N) return f(std::integral_constant<int, N>{}, j);
    if constexpr (N > 1) last_block<N - 1>(K, j, f);
}
template <int MOST, class F>
void in_blocks(int64_t K, F f) {
    int64_t j = 0;
    for (; j + MOST <= K; j += MOST) f(std::integral_constant<int, MOST>{}, j);
    if constexpr (MOST > 1) last_block<MOST - 1>(K, j, f);
}

constexpr int AT_A_TIME = ACCUMULATORS / 3;  // components of a block of densities

// A matrix (R, C) in blocks of n of its `width` columns, zero beyond C: each block's R rows one after the other. As it
// stands, rows a power of two apart would fall on the same few lines of the first cache.
template <class T, class F>
void pack(int64_t R, int64_t C, int64_t n, int64_t width, Array<T> &to, F entry) {
    to.grow(R * width);
    for (int64_t j0 = 0; j0 < width; j0 += n) {
        const int64_t here = width - j0 < n ? width - j0 : n;
        for (int64_t i = 0; i < R; i++)
            for (int64_t j = j0; j < j0 + here; j++)
                to[j0 * R + i * here + j - j0] = j < C ? static_cast<T>(entry(i, j)) : T(0);
    }
}

template <int MR, int NR, class T>
void density_block(int64_t F, const T *w, const T *phi, int64_t ld, T *out) {
    constexpr int W = Wide<T>::count;
    vec_of<T> c[MR][NR];
    for (int m = 0; m < MR; m++)
        for (int j = 0; j < NR; j++) c[m][j] = vec_of<T>{};
    for (int64_t f = 0; f < F; f++) {
        vec_of<T> b[NR];
        for (int j = 0; j < NR; j++) b[j] = load(phi + f * ld + j * W);
        for (int m = 0; m < MR; m++)
            for (int j = 0; j < NR; j++) c[m][j] += w[f * MR + m] * b[j];
    }
    for (int m = 0; m < MR; m++)
        for (int j = 0; j < NR; j++) store(out + m * ld + j * W, c[m][j]);
}

template <int NR, class T>
void density_columns(int64_t F, const T *w, int64_t K, const T *phi, int64_t ld, T *out) {
    in_blocks<AT_A_TIME>(
        K, [&](auto n, int64_t k) { density_block<decltype(n)::value, NR>(F, w + k * F, phi, ld, out + k * ld); });
}

// out (K, ld) = w' (K, F) phi (F, n); w is (F, K), packed in blocks of AT_A_TIME columns; n in whole vectors.
template <class T>
void densities(int64_t n, int64_t F, const T *w, int64_t K, const T *phi, int64_t ld, T *out) {
    constexpr int64_t W = Wide<T>::count;
    int64_t i = 0;
    for (; i + 3 * W <= n; i += 3 * W) density_columns<3>(F, w, K, phi + i, ld, out + i);
    for (; i < n; i += W) density_columns<1>(F, w, K, phi + i, ld, out + i);
}

// Components in the lanes: s (F, Kp) += phi (F, n) r (n, Kp), where phi has column i of row f at f ld + i step.
template <int MR, int NR>
void lane_block(int64_t n, const real *phi, int64_t ld, int64_t step, const real *r, int64_t Kp, real *s) {
    vec c[MR][NR];
    for (int m = 0; m < MR; m++)
        for (int j = 0; j < NR; j++) c[m][j] = load(s + m * Kp + j * V);
    for (int64_t i = 0; i < n; i++, phi += step, r += Kp) {
        vec b[NR];
        for (int j = 0; j < NR; j++) b[j] = load(r + j * V);
        for (int m = 0; m < MR; m++)
            for (int j = 0; j < NR; j++) c[m][j] += phi[m * ld] * b[j];
    }
    for (int m = 0; m < MR; m++)
        for (int j = 0; j < NR; j++) store(s + m * Kp + j * V, c[m][j]);
}

template <int NR>
void lane_columns(int64_t n, int64_t F, const real *phi, int64_t ld, int64_t step, const real *r, int64_t Kp, real *s) {
    constexpr int MR = ACCUMULATORS / NR > 12 ? 12 : ACCUMULATORS / NR;
    in_blocks<MR>(F, [&](auto m, int64_t f) {
        lane_block<decltype(m)::value, NR>(n, phi + f * ld, ld, step, r, Kp, s + f * Kp);
    });
}

void moments_lanes(int64_t rows, int64_t F, const real *phi, int64_t ld, int64_t step, const real *r, int64_t Kp,
                   real *s) {
    constexpr int WIDE = V * sizeof(real) == 64 ? 4 : 3;
    const int64_t part = 3072 / Kp > 32 ? 3072 / Kp : 32;  // rows whose responsibilities stay in L1
    for (int64_t i = 0; i < rows; i += part, phi += part * step, r += part * Kp) {
        const int64_t n = rows - i < part ? rows - i : part;
        int64_t k = 0;
        for (; k + WIDE * V <= Kp; k += WIDE * V) lane_columns<WIDE>(n, F, phi, ld, step, r + k, Kp, s + k);
        for (; k + 2 * V <= Kp; k += 2 * V) lane_columns<2>(n, F, phi, ld, step, r + k, Kp, s + k);
        for (; k < Kp; k += V) lane_columns<1>(n, F, phi, ld, step, r + k, Kp, s + k);
    }
}

// Rows in the lanes: s (K, lds, V) += r (K, n G V) phi (F, n G V)'. Of either, row k's vector g of slot i is at
// k row + i slot + g V.
struct Slots {
    const real *p;
    int64_t row, slot;
};

template <int MR, int NR, int G>
void dot_block(int64_t n, Slots phi, Slots r, int64_t lds, real *s) {
    vec c[MR][NR];
    for (int m = 0; m < MR; m++)
        for (int j = 0; j < NR; j++) c[m][j] = load(s + (m * lds + j) * V);
    for (int64_t i = 0; i < n; i++)
#pragma GCC unroll 2
        for (int g = 0; g < G; g++) {
            vec b[NR];
            for (int j = 0; j < NR; j++) b[j] = load(phi.p + j * phi.row + i * phi.slot + g * V);
            for (int m = 0; m < MR; m++) {
                vec a = load(r.p + m * r.row + i * r.slot + g * V);
                for (int j = 0; j < NR; j++) c[m][j] += a * b[j];
            }
        }
    for (int m = 0; m < MR; m++)
        for (int j = 0; j < NR; j++) store(s + (m * lds + j) * V, c[m][j]);
}

template <int MR, int G>
void dot_rows(int64_t n, int64_t F, Slots phi, Slots r, int64_t lds, real *s) {
    constexpr int NR = ACCUMULATORS >= 16 + 4 ? 4 : 3;
    int64_t f = 0;
    for (; f + NR <= F; f += NR, s += NR * V, phi.p += NR * phi.row) dot_block<MR, NR, G>(n, phi, r, lds, s);
    for (; f + 2 <= F; f += 2, s += 2 * V, phi.p += 2 * phi.row) dot_block<MR, 2, G>(n, phi, r, lds, s);
    if (f < F) dot_block<MR, 1, G>(n, phi, r, lds, s);
}

template <int G>
void dots(int64_t K, int64_t n, int64_t F, Slots phi, Slots r, int64_t lds, real *s) {  // K from 1 to 4
    if (K == 4) dot_rows<4, G>(n, F, phi, r, lds, s);
    if (K == 3) dot_rows<3, G>(n, F, phi, r, lds, s);
    if (K == 2) dot_rows<2, G>(n, F, phi, r, lds, s);
    if (K == 1) dot_rows<1, G>(n, F, phi, r, lds, s);
}

// s (K, F, V) += r (K, n) phi (F, n)', strides ldr and ld; n a multiple of V.
void moments_dots(int64_t n, int64_t F, const real *phi, int64_t ld, int64_t K, const real *r, int64_t ldr, real *s) {
    for (int64_t k = 0; k < K; k += 4)
        dots<1>(K - k < 4 ? K - k : 4, n / V, F, {phi, ld, V}, {r + k * ldr, ldr, V}, F, s + k * F * V);
}

}  // namespace
