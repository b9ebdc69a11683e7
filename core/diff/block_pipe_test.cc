// SPDX-License-Identifier: Apache-2.0
#include "core/diff/block_pipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "core/base/status.h"
#include "core/base/testing/matchers.h"

namespace gantry::diff {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::IsOkAndHolds;
using ::gantry::testing::StatusIs;

// Fills one block with `text`.
void Put(BlockPipe& pipe, std::string_view text) {
  const std::span<char> block = pipe.Reserve();
  ASSERT_FALSE(block.empty());
  pipe.Publish(text.copy(block.data(), block.size()));
}

absl::StatusOr<std::string> ReadAll(BlockReader& reader) {
  std::string all;
  for (;;) {
    ASSIGN_OR_RETURN(const std::string_view block, reader.NextBlock());
    if (block.empty()) return all;
    all += block;
  }
}

TEST(BlockPipeTest, EveryReaderGetsEverythingInOrder) {
  constexpr int kBlocks = 500;
  BlockPipe pipe(/*readers=*/3, /*blocks=*/4, /*block_bytes=*/16);
  std::string expected;
  for (int i = 0; i < kBlocks; ++i) expected += std::to_string(i) + ";";
  std::jthread filler([&] {
    for (int i = 0; i < kBlocks; ++i) Put(pipe, std::to_string(i) + ";");
    pipe.End(absl::OkStatus());
  });
  std::jthread other([&] { EXPECT_THAT(ReadAll(pipe.reader(1)), IsOkAndHolds(expected)); });
  std::jthread third([&] { EXPECT_THAT(ReadAll(pipe.reader(2)), IsOkAndHolds(expected)); });
  EXPECT_THAT(ReadAll(pipe.reader(0)), IsOkAndHolds(expected));
}

TEST(BlockPipeTest, NobodyGetsFurtherAheadThanTheRing) {
  BlockPipe pipe(/*readers=*/2, /*blocks=*/3, /*block_bytes=*/8);
  std::atomic<int> filled = 0;
  std::jthread filler([&] {
    for (int i = 0; i < 10; ++i) {
      Put(pipe, "x");
      ++filled;
    }
    pipe.End(absl::OkStatus());
  });
  // One reader is through with all that there can be; the other has not started.
  for (int i = 0; i < 3; ++i) ASSERT_THAT(pipe.reader(0).NextBlock(), IsOk());
  EXPECT_LE(filled, 3);
  std::jthread rest([&] { ReadAll(pipe.reader(0)).IgnoreError(); });
  EXPECT_EQ(ReadAll(pipe.reader(1)).value_or("").size(), 10u);
}

TEST(BlockPipeTest, ABlockStaysWhileItIsHeld) {
  BlockPipe pipe(/*readers=*/1, /*blocks=*/2, /*block_bytes=*/8);
  Put(pipe, "first");
  const auto first = pipe.reader(0).NextBlock();
  ASSERT_THAT(first, IsOk());
  Put(pipe, "second");
  EXPECT_EQ(*first, "first");
  EXPECT_THAT(pipe.reader(0).NextBlock(), IsOkAndHolds(std::string_view("second")));
}

TEST(BlockPipeTest, AnErrorComesAfterTheLastBlock) {
  BlockPipe pipe(/*readers=*/1);
  Put(pipe, "text");
  pipe.End(DataLoss("cut"));
  EXPECT_THAT(pipe.reader(0).NextBlock(), IsOkAndHolds(std::string_view("text")));
  EXPECT_THAT(pipe.reader(0).NextBlock(), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(pipe.reader(0).NextBlock(), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(BlockPipeTest, AbandoningWakesBothSides) {
  BlockPipe pipe(/*readers=*/2, /*blocks=*/1, /*block_bytes=*/8);
  Put(pipe, "x");
  ASSERT_THAT(pipe.reader(0).NextBlock(), IsOk());
  // The filler waits for reader 1, reader 0 for the filler.
  std::jthread filler([&] { EXPECT_TRUE(pipe.Reserve().empty()); });
  std::jthread reader(
      [&] { EXPECT_THAT(pipe.reader(0).NextBlock(), StatusIs(absl::StatusCode::kCancelled)); });
  pipe.Abandon();
}

}  // namespace
}  // namespace gantry::diff
