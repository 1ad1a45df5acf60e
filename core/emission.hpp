// The tile that a spec asks for.
#pragma once
#include "tables.hpp"
#include "whitened.hpp"

namespace {

struct AnyTile {  // the tile a spec asks for
    Tile *tile;
    explicit AnyTile(const Spec &s) {
        if (s.kind == Kind::dense) tile = new DenseTile(s);
        else if (s.kind == Kind::table) tile = new TableTile(s);
        else if (s.whitened) tile = new WhitenedTile(s);
        else tile = new FeatureTile(s);
    }
    ~AnyTile() { delete tile; }
    AnyTile(const AnyTile &) = delete;
    AnyTile &operator=(const AnyTile &) = delete;
    Tile *operator->() const { return tile; }
};

}  // namespace
