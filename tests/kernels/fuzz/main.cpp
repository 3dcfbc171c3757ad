// Calls a path with random shapes and memory, and compares with plain loops.
// Arguments: the path's number, how many rounds, and the widths, if not all of 2 to 8 bits.
#include "follow.h"
#include "images.h"
#include "levels.h"
#include "linear.h"
#include "pairs.h"
#include "quantize.h"

int main(int count, char** given) {
  if (count < 3) return 2;
  const int path = std::atoi(given[1]), rounds = std::atoi(given[2]);
  need(mps_runs(path), "this processor has no such path", path);
  for (int i = 3; i < (count > 3 ? count : 10); ++i) {
    const int bits = count > 3 ? std::atoi(given[i]) : i - 1;
    limits(path, bits);
    for (int round = 0; round < rounds; ++round) {
      linear(path, bits);
      limbs(path, bits);
      followed(path, bits);
      convolution(path, bits);
    }
    std::printf("%d bits\n", bits);
    std::fflush(stdout);
  }
  for (int round = 0; round < rounds; ++round) {
    quantize(path);
    batched(path);
    depthwise(path);
    functions(path);
    attention(path);
    levels(path);
    decode(path);
  }
  std::printf("right: %lld comparisons\n", static_cast<long long>(compared));
}
