// How the processor treats numbers next to zero.
#pragma once
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace {

struct FlushDenormals {  // inside a kernel only; the caller's mode comes back
#if defined(__SSE2__)
    unsigned mode = _mm_getcsr();
    FlushDenormals() { _mm_setcsr(mode | 0x8040); }
    ~FlushDenormals() { _mm_setcsr(mode); }
#endif
};

struct KeepDenormals {  // inside a FlushDenormals, where every digit counts
#if defined(__SSE2__)
    unsigned mode = _mm_getcsr();
    KeepDenormals() { _mm_setcsr(mode & ~0x8040u); }
    ~KeepDenormals() { _mm_setcsr(mode); }
#endif
};

}  // namespace
