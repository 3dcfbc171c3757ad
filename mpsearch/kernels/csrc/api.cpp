// The C interface: picks a path by its number and calls it.
//
// Numbers of paths: 0 portable, 1 avx2, 2 avxvnni, 3 avx512vnni, 4 emulated (tests only). Every
// function returns a Status. Pointers may be null where the text says so.
#include "path.h"

extern const Path path_portable;
#ifdef WITH_AVX2
extern const Path path_avx2;
#endif
#ifdef WITH_AVXVNNI
extern const Path path_avxvnni;
#endif
#ifdef WITH_AVX512VNNI
extern const Path path_avx512vnni;
#endif
#ifdef WITH_EMULATED
extern const Path path_emulated;
#endif

namespace {

const Path* path_of(int number) {
  switch (number) {
    case 0: return &path_portable;
#ifdef WITH_AVX2
    case 1: return &path_avx2;
#endif
#ifdef WITH_AVXVNNI
    case 2: return &path_avxvnni;
#endif
#ifdef WITH_AVX512VNNI
    case 3: return &path_avx512vnni;
#endif
#ifdef WITH_EMULATED
    case 4: return &path_emulated;
#endif
    default: return nullptr;
  }
}

#if defined(__x86_64__)
#include <cpuid.h>
// AVX-VNNI by hand: compilers learned its name late. The system's support is that of AVX2.
bool has_avxvnni() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) &&
         (a >> 4 & 1);
}
#endif

bool runs(int number) {
  if (!path_of(number)) return false;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (number == 1) return __builtin_cpu_supports("avx2");
  if (number == 2) return has_avxvnni();
  if (number == 3)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
#endif
  return number == 0 || number == 4;
}

}  // namespace

#define API extern "C" __attribute__((visibility("default")))

// Whether the library has this path and the processor can run it.
API int mps_runs(int path) { return runs(path); }

// out [m, n] of codes [m, inputs] and a weight: int32 if raw, int8 if there is a coding, else
// float32. row_zero, bias, add and coding may be null, row_scale if raw.
API int mps_linear(int path, int threads, int way, int raw, const int8_t* codes, int64_t m,
                   int64_t stride, const float* row_scale, int64_t scale_step,
                   const int32_t* row_zero, int64_t zero_step, const uint8_t* stream,
                   const float* scale, const int32_t* zero, const int32_t* sums,
                   const float* bias, int64_t bits, int64_t outputs, int64_t inputs,
                   int64_t group, int gelu, const float* add, int64_t add_stride,
                   const Coding* coding, void* out) {
  const Path* own = path_of(path);
  if (!own) return NO_PATH;
  const Rows rows{codes, m, stride, row_scale, scale_step, row_zero, zero_step};
  const Weight weight{stream, scale, zero, sums, bits, outputs, inputs, group};
  const After after{bias, gelu, add, add_stride, coding};
  return own->linear(rows, weight, after, out, raw, way, threads);
}

// codes of numbers in dense rows of `length`; shape holds three sizes and their strides. scale and
// zero are written, one a row, if dynamic, else read [1].
API int mps_quantize(int path, int threads, int dynamic, int symmetric, const float* numbers,
                     int64_t length, const int64_t* shape, int first, int last, int8_t* codes,
                     float* scale, int32_t* zero) {
  const Path* own = path_of(path);
  if (!own) return NO_PATH;
  const Numbers rows{numbers, length, shape, shape + 3, codes, scale, zero};
  const Coding how{first, last, dynamic, symmetric, dynamic ? 0 : *zero, dynamic ? 0 : *scale};
  return own->quantize(rows, how, threads);
}

// GELU (0), softmax (1) or layer norm (2) of rows: out, or codes where there is a coding, with scale
// and zero [count] if it is dynamic. weight and bias may be null.
API int mps_function(int path, int threads, int which, const float* numbers, int64_t count,
                     int64_t length, int64_t stride, const float* weight, const float* bias,
                     float eps, const Coding* coding, float* out, int8_t* codes, float* scale,
                     int32_t* zero) {
  const Path* own = path_of(path);
  if (!own) return NO_PATH;
  const Function f{numbers, count, length, stride, weight, bias, eps, coding, out, codes, scale,
                   zero};
  return own->function(f, which, threads);
}

// Attention in integers. shape holds batch, heads, rows, keys, width, values, then three strides of
// queries, keys, values and out; codings are those of queries, keys, chances, values and, if coded,
// of the output, which then is int8. If spent is not null, nanoseconds of the first product, the
// softmax and the second product are added to it.
API int mps_attention(int path, int threads, const float* query, const float* key,
                      const float* value, const int64_t* s, const Coding* codings, int coded,
                      float factor, int causal, void* out, int64_t* spent) {
  const Path* own = path_of(path);
  if (!own) return NO_PATH;
  const Attention a{query, key, value, s[0], s[1], s[2], s[3], s[4], s[5],
                    s + 6, s + 9, s + 12, s + 15,
                    codings, codings + 1, codings + 2, codings + 3, coded ? codings + 4 : nullptr,
                    factor, causal, out, spent};
  return own->attention(a, threads);
}

// out [batch, m, n] of a [batch, m, length] and b [batch, n, length]. Scales may be null if raw;
// a step is 1, or 0 for one scale and zero point for all rows.
API int mps_batched(int path, int threads, int raw, int64_t batch, int64_t length,
                    const int8_t* a, int64_t m, int64_t a_batch, int64_t a_row, int64_t a_stride,
                    const float* a_scale, const int32_t* a_zero, int64_t a_step, const int8_t* b,
                    int64_t n,
                    int64_t b_batch, int64_t b_row, int64_t b_stride, const float* b_scale,
                    const int32_t* b_zero, int64_t b_step, void* out) {
  const Path* own = path_of(path);
  if (!own) return NO_PATH;
  const Codes left{a, m, a_batch, a_row, a_stride, a_scale, a_zero, a_step};
  const Codes right{b, n, b_batch, b_row, b_stride, b_scale, b_zero, b_step};
  return own->batched(left, right, batch, length, out, raw, threads);
}

// sums [batch, channels, out_height, out_width]; shape holds the 14 numbers of Depthwise in order.
API int mps_depthwise(int path, int threads, const int8_t* codes, const int16_t* filters,
                      const int64_t* s, int zero, int32_t* sums) {
  const Path* own = path_of(path);
  if (!own) return NO_PATH;
  const Depthwise d{codes, filters, s[0], s[1], s[2],  s[3],  s[4],  s[5], s[6],
                    s[7],  s[8],    s[9], s[10], s[11], s[12], s[13], zero, sums};
  return own->depthwise(d, threads);
}

// Digits [planes, count, length] of the levels nearest to (numbers - shift) / scale.
API int mps_levels(int path, int threads, const float* numbers, int64_t count, int64_t length,
                   int64_t stride, const float* scale, int64_t scale_step, float shift,
                   const float* bounds, int64_t bits, const int8_t* digits, int64_t planes,
                   int8_t* out) {
  const Path* own = path_of(path);
  if (!own) return NO_PATH;
  const Levels l{numbers, count,  length, stride, scale,  scale_step,
                 shift,   bounds, bits,   digits, planes, out};
  return own->levels(l, threads);
}

// The units of a stream of codes as bytes: those of table [2**bits] at the codes.
API int mps_decode(int path, int threads, const uint8_t* stream, int64_t units, int64_t bits,
                   const uint8_t* table, uint8_t* out) {
  const Path* own = path_of(path);
  if (!own) return NO_PATH;
  return own->decode(stream, units, bits, table, out, threads);
}
