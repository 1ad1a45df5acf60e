// Compiled for each instruction set in double and in single precision, with ESTEP_TABLE naming the one symbol it shows.
#include "chain/schedule.hpp"
#include "mixture/estep.hpp"
#if !defined(ESTEP_SINGLE)
#include "chain/filter.hpp"
#include "gaussian/missing.hpp"
#include "survey.hpp"
#include "viterbi/lanes.hpp"
#endif

#if defined(ESTEP_SINGLE)
#define ESTEP_NAME_(x) estep_kernels_##x##_single
#else
#define ESTEP_NAME_(x) estep_kernels_##x
#endif
#define ESTEP_NAME(x) ESTEP_NAME_(x)

extern "C" const estep::Kernels *ESTEP_NAME(ESTEP_LEVEL)() {
    static constexpr estep::Kernels table{.accumulate = accumulate,
                                          .mixture = mixture,
                                          .chain = chain,
#if !defined(ESTEP_SINGLE)  // what is asked for in double alone
                                          .log_densities = log_densities,
                                          .viterbi = viterbi,
                                          .survey = survey,
                                          .draw = draw,
                                          .filter = filter,
                                          .open_stream = open_stream,
                                          .stream_row = stream_row,
                                          .close_stream = close_stream,
                                          .missing_distances = missing_distances,
                                          .missing_moments = missing_moments
#endif
    };
    return &table;
}
