// Compiled for each instruction set in double and in single precision, with ESTEP_TABLE naming the one symbol it shows.
#include "chain/draw.hpp"
#include "chain/schedule.hpp"
#include "gaussian/missing.hpp"
#include "mixture/estep.hpp"
#include "survey.hpp"
#include "viterbi/lanes.hpp"

#define ESTEP_TEXT_(x) #x
#define ESTEP_TEXT(x) ESTEP_TEXT_(x)
#if defined(ESTEP_SINGLE)
#define ESTEP_NAME_(x) estep_kernels_##x##_single
#else
#define ESTEP_NAME_(x) estep_kernels_##x
#endif
#define ESTEP_NAME(x) ESTEP_NAME_(x)

extern "C" const estep::Kernels *ESTEP_NAME(ESTEP_LEVEL)() {
    static constexpr estep::Kernels table{
        ESTEP_TEXT(ESTEP_LEVEL), V, log_densities, accumulate, mixture, chain, viterbi, survey, draw, missing_distances,
        missing_moments};
    return &table;
}
