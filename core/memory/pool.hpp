// Aligned memory that a thread uses again.
#pragma once
#include <cstdlib>
#include <cstring>
#include <new>

#include "simd/vec.hpp"

namespace {

// Memory a thread has used and may use again: the system clears fresh pages for longer than a leaf takes to fill them.
class Pool {
    static constexpr int MOST = 48;
    static constexpr size_t KEPT = size_t{64} << 20;  // bytes
    void *block[MOST];
    size_t bytes[MOST], all = 0;
    int count = 0;

    static void release(void *p) { ::operator delete(p, std::align_val_t{64}); }
    void *find(size_t &n) {
        int best = -1;
        for (int i = 0; i < count; i++)
            if (bytes[i] >= n && bytes[i] <= 2 * n + 4096 && (best < 0 || bytes[i] < bytes[best])) best = i;
        if (best < 0) {
            void *fresh = ::operator new(n, std::align_val_t{64}, std::nothrow);
            if (!fresh) estep::out_of_memory();
            return fresh;
        }
        void *found = block[best];
        n = bytes[best], all -= n;
        block[best] = block[--count], bytes[best] = bytes[count];
        return found;
    }

  public:
    ~Pool() {
        while (count) release(block[--count]);
    }
    void *take(size_t &n) {  // at least n bytes; n becomes how many
        void *p = find(n);
#if defined(ESTEP_POISON)
        std::memset(p, 0xff, n);  // NaN: what is used before it is set shows
#endif
        return p;
    }
    void give(void *p, size_t n) {
        if (count == MOST || all + n > KEPT) return release(p);
        block[count] = p, bytes[count++] = n, all += n;
    }
    static Pool &mine() {
        static thread_local Pool pool;
        return pool;
    }
};

template <class T>
class Array {  // 64-byte aligned, with room for a vector past the end; zero at first if its size is given
    T *p = nullptr;
    size_t bytes = 0;

  public:
    Array() = default;
    explicit Array(int64_t n) { zeros(n); }
    Array(const Array &) = delete;
    Array &operator=(const Array &) = delete;
    ~Array() {
        if (p) Pool::mine().give(p, bytes);
    }
    void grow(int64_t n) {  // room for n; what was there is lost
        size_t want = static_cast<size_t>(round_up(n * static_cast<int64_t>(sizeof(T)) + 64, 64));
        if (want <= bytes) return;
        if (p) Pool::mine().give(p, bytes);
        p = nullptr;
        p = static_cast<T *>(Pool::mine().take(want));
        bytes = want;
    }
    void zeros(int64_t n) {
        grow(n);
        std::memset(static_cast<void *>(p), 0, static_cast<size_t>(n) * sizeof(T) + 64);
    }
    T *data() const { return p; }
    T *operator+(int64_t i) const { return p + i; }
    T &operator[](int64_t i) const { return p[i]; }
};
using Buffer = Array<real>;

// Parameters as this object's scalars: themselves, or a copy.
inline const real *as_real(const double *from, int64_t n, Buffer &keep) {
    if constexpr (sizeof(real) == 8) return reinterpret_cast<const real *>(from);
    if (!from) return nullptr;
    keep.grow(n);
    for (int64_t i = 0; i < n; i++) {
        const double x = from[i];
        keep[i] = static_cast<real>(x < -1e37 ? -1e37 : x > 1e37 ? 1e37 : x);
    }
    return keep.data();
}

}  // namespace
