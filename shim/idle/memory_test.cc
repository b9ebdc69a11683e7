// SPDX-License-Identifier: Apache-2.0
#include "shim/idle/memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace gantry::shim {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(GANTRY_TSAN)
constexpr bool kOwnHeap = false;  // the sanitizer's, which keeps what is freed
#else
constexpr bool kOwnHeap = true;
#endif

struct Usage {
  size_t anonymous_kb = 0;
  size_t program_kb = 0;  // of this binary's read-only segments
};

std::string Executable() {
  std::array<char, 4096> path{};
  EXPECT_GT(::readlink("/proc/self/exe", path.data(), path.size() - 1), 0);
  return path.data();
}

Usage Measure() {
  const std::string executable = Executable();
  Usage usage;
  std::ifstream maps("/proc/self/smaps");
  bool ours = false;
  for (std::string line; std::getline(maps, line);) {
    const size_t space = line.find(' ');
    const size_t colon = line.find(':');
    if (space < colon) {  // the first line of a mapping: addresses, permissions, ..., path
      ours = line.ends_with(executable) && line[space + 2] == '-';
      continue;
    }
    const size_t kilobytes = std::strtoul(line.c_str() + colon + 1, nullptr, 10);
    if (ours && line.starts_with("Rss:")) usage.program_kb += kilobytes;
    if (line.starts_with("Anonymous:")) usage.anonymous_kb += kilobytes;
  }
  return usage;
}

__attribute__((noinline)) void UseStack() {
  std::array<char, 128 << 10> much;
  std::memset(much.data(), 1, much.size());
  asm volatile("" : : "r"(much.data()) : "memory");
}

TEST(IdleMemoryTest, FreePagesOfTheHeapAreGivenBack) {
  if (!kOwnHeap) GTEST_SKIP() << "the sanitizer's heap keeps what is freed";
  std::vector<char*> blocks;
  for (int i = 0; i < 4096; ++i) {
    blocks.push_back(static_cast<char*>(std::malloc(2048)));
    std::memset(blocks.back(), 1, 2048);
  }
  const Usage full = Measure();
  // The last one keeps the top of the heap where it is.
  for (size_t i = 0; i + 1 < blocks.size(); ++i) std::free(blocks[i]);
  ReleaseIdleMemory();
  const Usage released = Measure();
  EXPECT_LT(released.anonymous_kb + 6000, full.anonymous_kb);
  std::free(blocks.back());
}

TEST(IdleMemoryTest, TheStackBelowIsGivenBack) {
  if (!kOwnHeap) GTEST_SKIP() << "the sanitizer moves what is on the stack";
  ReleaseIdleMemory();
  const Usage before = Measure();
  UseStack();
  const Usage used = Measure();
  EXPECT_GT(used.anonymous_kb, before.anonymous_kb + 80);
  ReleaseIdleMemory();
  EXPECT_LT(Measure().anonymous_kb, before.anonymous_kb + 40);
}

TEST(IdleMemoryTest, TheProgramIsGivenBackAndComesBack) {
  const std::vector<std::string> kept(100, "what is on the heap stays");
  Measure();  // touches what measuring touches
  const Usage before = Measure();
  ReleaseIdleMemory();
  EXPECT_LT(Measure().program_kb, before.program_kb);
  for (const std::string& text : kept) EXPECT_EQ(text, "what is on the heap stays");
}

}  // namespace
}  // namespace gantry::shim
