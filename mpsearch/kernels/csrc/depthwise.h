// Convolution with one filter a channel.
#pragma once

#include "work.h"

namespace {

// Adds one tap of a filter to a row of sums; where the input ends, codes are the zero point.
INLINE void add_tap(const Depthwise& d, const int8_t* row, int64_t kx, int32_t tap,
                    int32_t* sums) {
  const int64_t shift = kx * d.dilation_x - d.padding_x;
  for (int64_t x = 0; x < d.out_width; ++x) {
    const int64_t at = x * d.stride_x + shift;
    if (at >= 0 && at < d.width) sums[x] += tap * (row[at] - d.zero);
  }
}

// The same without looking where the input ends, for all x from first to last - 1.
INLINE void add_inner(const Depthwise& d, const int8_t* row, int32_t tap, int64_t first,
                      int64_t last, int64_t shift, int32_t* sums) {
  const int8_t* from = row + shift;
  for (int64_t x = first; x < last; ++x) sums[x] += tap * (from[x] - d.zero);
}

int depthwise(const Depthwise& d, int threads) {
  const int64_t taps = d.kernel_height * d.kernel_width;
  return for_each(d.batch * d.channels, 0, threads, [&](int64_t plane, char*) {
    const int8_t* codes = d.codes + plane * d.height * d.width;
    const int16_t* filter = d.filters + plane % d.channels * taps;
    for (int64_t y = 0; y < d.out_height; ++y) {
      int32_t* sums = d.sums + (plane * d.out_height + y) * d.out_width;
      memset(sums, 0, d.out_width * sizeof(int32_t));
      for (int64_t t = 0; t < taps; ++t) {
        const int64_t row = y * d.stride_y + t / d.kernel_width * d.dilation_y - d.padding_y;
        const int64_t kx = t % d.kernel_width, shift = kx * d.dilation_x - d.padding_x;
        if (row < 0 || row >= d.height) continue;
        if (d.stride_x == 1)
          add_inner(d, codes + row * d.width, filter[t], shift < 0 ? -shift : 0,
                    least(d.out_width, d.width - shift), shift, sums);
        else
          add_tap(d, codes + row * d.width, kx, filter[t], sums);
      }
    }
  });
}

}  // namespace
