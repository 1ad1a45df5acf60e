// The two matrix products of an E-step over a tile of rows, kept feature by feature: phi (F, ld), rows in the lanes.
#pragma once
#include "vec.hpp"

namespace {

template <int MR, int NR>
void density_block(int64_t F, const double *w, int64_t K, const double *phi, int64_t ld, double *out) {
    vec c[MR][NR];
    for (int m = 0; m < MR; m++)
        for (int j = 0; j < NR; j++) c[m][j] = vec{};
    for (int64_t f = 0; f < F; f++) {
        vec b[NR];
        for (int j = 0; j < NR; j++) b[j] = load(phi + f * ld + j * V);
        for (int m = 0; m < MR; m++)
            for (int j = 0; j < NR; j++) c[m][j] += w[f * K + m] * b[j];
    }
    for (int m = 0; m < MR; m++)
        for (int j = 0; j < NR; j++) store(out + m * ld + j * V, c[m][j]);
}

template <int MR, int NR>
void density_rest(int64_t rest, int64_t F, const double *w, int64_t K, const double *phi, int64_t ld, double *out) {
    if (rest == MR) return density_block<MR, NR>(F, w, K, phi, ld, out);
    if constexpr (MR > 1) density_rest<MR - 1, NR>(rest, F, w, K, phi, ld, out);
}

template <int NR>
void density_columns(int64_t F, const double *w, int64_t K, const double *phi, int64_t ld, double *out) {
    constexpr int MR = ACCUMULATORS / 3;
    int64_t k = 0;
    for (; k + MR <= K; k += MR) density_block<MR, NR>(F, w + k, K, phi, ld, out + k * ld);
    if (k < K) density_rest<MR - 1, NR>(K - k, F, w + k, K, phi, ld, out + k * ld);
}

// out (K, ld) = w' (K, F) phi (F, n); w is (F, K); n a multiple of V.
void densities(int64_t n, int64_t F, const double *w, int64_t K, const double *phi, int64_t ld, double *out) {
    int64_t i = 0;
    for (; i + 3 * V <= n; i += 3 * V) density_columns<3>(F, w, K, phi + i, ld, out + i);
    for (; i < n; i += V) density_columns<1>(F, w, K, phi + i, ld, out + i);
}

// Components in the lanes: s (F, Kp) += phi (F, n) r (n, Kp).
template <int MR, int NR>
void lane_block(int64_t n, const double *phi, int64_t ld, const double *r, int64_t Kp, double *s) {
    vec c[MR][NR];
    for (int m = 0; m < MR; m++)
        for (int j = 0; j < NR; j++) c[m][j] = load(s + m * Kp + j * V);
    for (int64_t i = 0; i < n; i++) {
        vec b[NR];
        for (int j = 0; j < NR; j++) b[j] = load(r + i * Kp + j * V);
        for (int m = 0; m < MR; m++)
            for (int j = 0; j < NR; j++) c[m][j] += phi[m * ld + i] * b[j];
    }
    for (int m = 0; m < MR; m++)
        for (int j = 0; j < NR; j++) store(s + m * Kp + j * V, c[m][j]);
}

template <int NR>
void lane_columns(int64_t n, int64_t F, const double *phi, int64_t ld, const double *r, int64_t Kp, double *s) {
    constexpr int MR = ACCUMULATORS / NR > 12 ? 12 : ACCUMULATORS / NR;
    int64_t f = 0;
    for (; f + MR <= F; f += MR) lane_block<MR, NR>(n, phi + f * ld, ld, r, Kp, s + f * Kp);
    for (; f < F; f++) lane_block<1, NR>(n, phi + f * ld, ld, r, Kp, s + f * Kp);
}

void moments_lanes(int64_t n, int64_t F, const double *phi, int64_t ld, const double *r, int64_t Kp, double *s) {
    constexpr int WIDE = V == 8 ? 4 : 3;
    int64_t k = 0;
    for (; k + WIDE * V <= Kp; k += WIDE * V) lane_columns<WIDE>(n, F, phi, ld, r + k, Kp, s + k);
    for (; k + 2 * V <= Kp; k += 2 * V) lane_columns<2>(n, F, phi, ld, r + k, Kp, s + k);
    for (; k < Kp; k += V) lane_columns<1>(n, F, phi, ld, r + k, Kp, s + k);
}

// Rows in the lanes, for few components: s (K, F, V) += r (K, n) phi (F, n)'.
template <int MR, int NR>
void dot_block(int64_t n, const double *phi, const double *r, int64_t ld, int64_t F, double *s) {
    vec c[MR][NR];
    for (int m = 0; m < MR; m++)
        for (int j = 0; j < NR; j++) c[m][j] = load(s + (m * F + j) * V);
    for (int64_t i = 0; i < n; i += V) {
        vec b[NR];
        for (int j = 0; j < NR; j++) b[j] = load(phi + j * ld + i);
        for (int m = 0; m < MR; m++) {
            vec a = load(r + m * ld + i);
            for (int j = 0; j < NR; j++) c[m][j] += a * b[j];
        }
    }
    for (int m = 0; m < MR; m++)
        for (int j = 0; j < NR; j++) store(s + (m * F + j) * V, c[m][j]);
}

template <int MR>
void dot_rows(int64_t n, int64_t F, const double *phi, const double *r, int64_t ld, double *s) {
    int64_t f = 0;
    for (; f + 3 <= F; f += 3) dot_block<MR, 3>(n, phi + f * ld, r, ld, F, s + f * V);
    for (; f < F; f++) dot_block<MR, 1>(n, phi + f * ld, r, ld, F, s + f * V);
}

void moments_dots(int64_t n, int64_t F, const double *phi, int64_t K, const double *r, int64_t ld, double *s) {
    int64_t k = 0;
    for (; k + 4 <= K; k += 4) dot_rows<4>(n, F, phi, r + k * ld, ld, s + k * F * V);
    for (; k + 2 <= K; k += 2) dot_rows<2>(n, F, phi, r + k * ld, ld, s + k * F * V);
    for (; k < K; k++) dot_rows<1>(n, F, phi, r + k * ld, ld, s + k * F * V);
}

}  // namespace
