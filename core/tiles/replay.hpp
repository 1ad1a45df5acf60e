// Densities kept for the statistics of the same rows.
#pragma once
#include "memory/pool.hpp"

namespace {

// What a tile keeps of loaded rows for the statistics of the same rows: a chunk for each load between record and
// replay.
template <class T>
class Kept {
    static constexpr int64_t MOST = 32 << 20;  // bytes
    Array<T> room;                             // the first chunk is of what is not kept
    const int64_t chunk;
    enum { forgets, records, replays } mode = forgets;
    int64_t at = 0, recorded = 0;

  public:
    explicit Kept(int64_t size) : chunk(size) { room.grow(size); }
    void record(int64_t loads) {
        if (loads) recorded = at = 0;
        mode = loads && loads * chunk * static_cast<int64_t>(sizeof(T)) <= MOST ? records : forgets;
        if (mode == records) room.grow((1 + loads) * chunk);
    }
    void replay(bool on) { mode = on && recorded ? replays : forgets, at = 0; }
    T *next() {  // the chunk of rows that are loaded now
        if (mode == forgets) return room.data();
        at++;
        if (mode == records) recorded = at;
        return room + at * chunk;
    }
    bool known() const { return mode == replays; }  // whether it has been filled
};

}  // namespace
