// Memory and threads for a call, and activation codes in whole units.
#pragma once

#include <stdlib.h>

#include "layout.h"
#include "path.h"

namespace {

INLINE int64_t up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Memory on a cache line, given back at the end of its scope; null if there is none.
struct Memory {
  void* at;
  explicit Memory(int64_t bytes) : at(aligned_alloc(64, up(bytes + 1, 64))) {}
  ~Memory() { free(at); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
};

// each(item, scratch) for every item, on `threads` threads with scratch memory of their own.
template <class F>
int for_each(int64_t items, int64_t scratch, int threads, F each) {
  if (threads <= 1 || items <= 1) {  // no parallel region: works in a forked child too
    Memory own(scratch);
    if (!own.at) return NO_MEMORY;
    for (int64_t i = 0; i < items; ++i) each(i, static_cast<char*>(own.at));
    return DONE;
  }
  int failed = 0;
#pragma omp parallel num_threads(static_cast<int>(least(threads, items))) reduction(| : failed)
  {
    Memory own(scratch);
    failed = own.at == nullptr;
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < items; ++i)
      if (own.at) each(i, static_cast<char*>(own.at));
  }
  return failed ? NO_MEMORY : DONE;
}

// `length` codes in groups, each of them filled up to whole units.
struct Groups {
  int64_t length, size, count, units;
  Groups(int64_t inputs, int64_t group)
      : length(inputs),
        size(group > 0 && group < inputs ? group : inputs),
        count((inputs + size - 1) / size),
        units(up(size, UNIT) / UNIT) {}
  bool whole() const { return count * units * UNIT == length; }
};

// dense += one row whose codes lie `stride` apart; sums += those of its groups.
INLINE void prepare_row(const int8_t* row, int64_t stride, const Groups& groups, int8_t* dense,
                        int32_t* sums) {
  for (int64_t g = 0; g < groups.count; ++g) {
    const int8_t* from = row + g * groups.size * stride;
    const int64_t own = least(groups.size, groups.length - g * groups.size);
    int32_t sum = 0;
    if (stride == 1)
      for (int64_t k = 0; k < own; ++k) sum += from[k];
    else
      for (int64_t k = 0; k < own; ++k) sum += from[k * stride];
    sums[g] = sum;
    if (!dense) continue;
    int8_t* to = dense + g * groups.units * UNIT;
    if (stride == 1) memcpy(to, from, own);
    else
      for (int64_t k = 0; k < own; ++k) to[k] = from[k * stride];
    memset(to + own, 0, groups.units * UNIT - own);
  }
}

// Rows of a chunk: as equal as can be, at most `most`, whole tiles.
INLINE int64_t chunk_of(int64_t rows, int64_t most, int64_t tile) {
  const int64_t chunks = (rows + most - 1) / most;
  return chunks <= 1 ? rows : up((rows + chunks - 1) / chunks, tile);
}

}  // namespace
