// SPDX-License-Identifier: Apache-2.0
// The fuzz target without a fuzzer: seeds and the same some thousand mutations of them in each run.
#include "tests/fuzz/tar_reader_fuzz.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "core/archive/testing/tar_builder.h"

namespace gantry::fuzz {
namespace {

void Feed(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

class Mutator {
 public:
  std::string Mutate(std::string bytes) {
    for (size_t count = 1 + Below(4); count > 0; --count) MutateOnce(bytes);
    // Most changes would die at the checksum, so that headers mostly get a right one.
    if (Below(4) != 0) FixChecksums(bytes);
    return bytes;
  }

 private:
  size_t Below(size_t bound) { return bound == 0 ? 0 : random_() % bound; }

  void MutateOnce(std::string& bytes) {
    if (bytes.empty()) return;
    switch (Below(6)) {
      case 0:
        bytes[Below(bytes.size())] = static_cast<char>(random_());
        break;
      case 1:
        bytes[Below(bytes.size())] ^= static_cast<char>(1 << Below(8));
        break;
      case 2:  // digits make numbers worth having
        bytes[Below(bytes.size())] = static_cast<char>('0' + Below(10));
        break;
      case 3:
        bytes.resize(Below(bytes.size()));
        break;
      case 4:
        bytes.insert(Below(bytes.size()), bytes.substr(Below(bytes.size()), Below(600)));
        break;
      default:
        bytes.erase(Below(bytes.size()), Below(600));
    }
  }

  static void FixChecksums(std::string& bytes) {
    for (size_t at = 0; at + archive::kBlockBytes <= bytes.size(); at += archive::kBlockBytes) {
      std::string block = bytes.substr(at, archive::kBlockBytes);
      if (block.find("ustar") != archive::kMagic.offset) continue;
      archive::SetChecksum(block);
      bytes.replace(at, archive::kBlockBytes, block);
    }
  }

  std::mt19937 random_{42};
};

TEST(TarReaderFuzzTest, SeedsAndTheirMutations) {
  const char* wanted = std::getenv("GANTRY_FUZZ_ROUNDS");
  const int rounds = wanted != nullptr ? std::atoi(wanted) : 700;
  Mutator mutator;
  for (const std::string& seed : TarSeeds()) {
    Feed(seed);
    for (int i = 0; i < rounds; ++i) Feed(mutator.Mutate(seed));
  }
}

}  // namespace
}  // namespace gantry::fuzz
