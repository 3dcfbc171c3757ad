// All functions of a path. Before this, a path defines BYTES and, in an unnamed namespace:
//   Part               partial sums of LANES outputs
//   mac(p, w, a)       p plus, in every lane, 4 unsigned times 4 signed bytes
//   widened(s, p)      int32 sums s plus the partial ones
//   block(bits)        units of 8 inputs after which Part must be widened, whatever the numbers
//   bounded(bits)      whether that is few, and `reach` finds how many the numbers of a row allow
//   reach(x, u, bits)  that, for a row of u units
//   in_words(bits)     whether codes of so many bits are multiplied as int16 (words.h), by
//   mac_words(s, w, a) s plus, in every lane, 2 times 2 signed words, from rows that
//   widen_fours        makes
//   fused_span(r)      quarters of a panel at a time that fit in registers with r rows
// and the constants TILE_ROWS, TILE_VECTORS (buffered tile), FUSED_ROWS, FUSED_MOST (rows up to
// which unpacking in registers was faster).
#pragma once

#include "attention.h"
#include "batched.h"
#include "decode.h"
#include "depthwise.h"
#include "functions.h"
#include "levels.h"
#include "linear.h"
#include "quantize.h"

#define PATH {linear, quantize, batched, depthwise, levels, decode, function, attention}
