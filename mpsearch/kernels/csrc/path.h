// What an instruction set offers: the same functions, compiled with its flags.
#pragma once

#include <stdint.h>

enum Status { DONE = 0, NOT_FINITE = 1, NO_MEMORY = 2, NO_PATH = 3 };
enum Way { AUTOMATIC = 0, FUSED = 1, BUFFERED = 2 };
enum Which { GELU = 0, SOFTMAX = 1, LAYER_NORM = 2 };

// Rows of activation codes: row m starts at codes + m * stride. Scale and zero point of row m lie
// at m * scale_step and m * zero_step: a step of 0 is one for all.
struct Rows {
  const int8_t* codes;
  int64_t count, stride;
  const float* scale;
  int64_t scale_step;
  const int32_t* zero;
  int64_t zero_step;
};

// A packed weight (see layout.h); its tables are [panels][groups][64].
struct Weight {
  const uint8_t* stream;
  const float* scale;
  const int32_t *zero, *sums;
  int64_t bits, outputs, inputs, group;
};

// How rows of numbers become codes from `first` to `last`: by one scale and zero point, or, if
// dynamic, by those that each row gets.
struct Coding {
  int32_t first, last, dynamic, symmetric, zero;
  float scale;
};

// What follows a product, each where it is there: bias, GELU, then numbers [rows, outputs] that are
// added, or codes (never dynamic).
struct After {
  const float* bias;
  int gelu;
  const float* add;
  int64_t add_stride;
  const Coding* coding;
};

// Numbers [sizes[0], sizes[1], sizes[2], length] in, whose last lie side by side; codes, scales and
// zero points of rows out, dense.
struct Numbers {
  const float* numbers;
  int64_t length;
  const int64_t *sizes, *strides;
  int8_t* codes;
  float* scale;
  int32_t* zero;
};

// Codes [batch, rows, length] by strides. Scale and zero point of row m of all lie at m * step: 0 is
// one for all.
struct Codes {
  const int8_t* codes;
  int64_t rows, batch_stride, row_stride, stride;
  const float* scale;
  const int32_t* zero;
  int64_t step;
};

// One filter a channel: codes [batch, channels, height, width] dense, filters [channels, kernel].
struct Depthwise {
  const int8_t* codes;
  const int16_t* filters;  // less their zero points
  int64_t batch, channels, height, width, kernel_height, kernel_width, stride_y, stride_x,
      padding_y, padding_x, dilation_y, dilation_x, out_height, out_width;
  int32_t zero;
  int32_t* sums;
};

// Numbers [count, stride] in; for the level next to each, digits out. Bounds between 2**bits rising
// levels lie halfway; a number at one belongs to the lower level.
struct Levels {
  const float* numbers;
  int64_t count, length, stride;
  const float* scale;
  int64_t scale_step;
  float shift;
  const float* bounds;   // [2**bits - 1]
  int64_t bits;
  const int8_t* digits;  // [planes][2**bits]
  int64_t planes;
  int8_t* out;           // [planes][count][length]
};

// Rows of `length` numbers in and out, dense; weight and bias [length] of layer norm, or null. Codes,
// scales and zero points instead of numbers where a coding is given.
struct Function {
  const float* numbers;
  int64_t count, length, stride;
  const float *weight, *bias;
  float eps;
  const Coding* coding;
  float* out;
  int8_t* codes;
  float* scale;
  int32_t* zero;
};

// Queries [batch, heads, rows, width], keys [.., keys, width] and values [.., keys, values] by
// strides of the first three dimensions; out [.., rows, values], numbers or codes.
struct Attention {
  const float *query, *key, *value;
  int64_t batch, heads, rows, keys, width, values;
  const int64_t *query_strides, *key_strides, *value_strides, *out_strides;
  const Coding *of_query, *of_key, *of_chance, *of_value, *of_out;
  float factor;
  int causal;
  void* out;
  int64_t* spent;  // null, or nanoseconds of the first product, the softmax and the second
};

struct Path {
  int (*linear)(const Rows&, const Weight&, const After&, void* out, int raw, int way,
                int threads);
  int (*quantize)(const Numbers&, const Coding&, int threads);
  int (*batched)(const Codes&, const Codes&, int64_t batch, int64_t length, void* out, int raw,
                 int threads);
  int (*depthwise)(const Depthwise&, int threads);
  int (*levels)(const Levels&, int threads);
  int (*decode)(const uint8_t* stream, int64_t units, int64_t bits, const uint8_t* table,
                uint8_t* out, int threads);
  int (*function)(const Function&, int which, int threads);
  int (*attention)(const Attention&, int threads);
};
