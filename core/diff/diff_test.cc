// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <memory>
#include <string>

#include "core/base/testing/matchers.h"
#include "core/diff/read_ahead.h"
#include "core/diff/target.h"
#include "gtest/gtest.h"

namespace gantry::diff {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::ElementsAre;

TEST(TargetTest, AnOverlayIsUnpackedIntoItsUpperDirectory) {
  const auto target =
      TargetOf({{.type = "overlay",
                 .source = "overlay",
                 .options = {"workdir=/w", "upperdir=/u", "lowerdir=/a:/b", "userxattr"}}});
  ASSERT_THAT(target, IsOk());
  EXPECT_EQ(target->directory, "/u");
  EXPECT_TRUE(target->overlay);
  EXPECT_TRUE(target->user_xattr);
  EXPECT_THAT(target->lower_dirs, ElementsAre("/a", "/b"));
}

TEST(TargetTest, ABindIsUnpackedIntoItsSourceUnlessReadOnly) {
  const auto target = TargetOf({{.type = "bind", .source = "/s", .options = {"rw", "rbind"}}});
  ASSERT_THAT(target, IsOk());
  EXPECT_EQ(target->directory, "/s");
  EXPECT_FALSE(target->overlay);
  EXPECT_THAT(TargetOf({{.type = "bind", .source = "/s", .options = {"ro", "rbind"}}}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(TargetTest, OtherMountsAreUnimplemented) {
  EXPECT_THAT(TargetOf({}), StatusIs(absl::StatusCode::kUnimplemented));
  EXPECT_THAT(TargetOf({{.type = "ext4", .source = "/dev/x"}}),
              StatusIs(absl::StatusCode::kUnimplemented));
}

// Hands out `text`, then fails or ends.
class ScriptedReader final : public Reader {
 public:
  ScriptedReader(std::string text, absl::Status end)
      : text_(std::move(text)), end_(std::move(end)) {}

  absl::StatusOr<size_t> Read(std::span<char> buffer) override {
    if (offset_ == text_.size()) {
      if (!end_.ok()) return end_;
      return 0U;
    }
    const size_t count = text_.copy(buffer.data(), buffer.size(), offset_);
    offset_ += count;
    return count;
  }

 private:
  const std::string text_;
  const absl::Status end_;
  size_t offset_ = 0;
};

TEST(ReadAheadTest, PassesEverythingOnInOrder) {
  std::string text;
  for (int i = 0; text.size() < 10 * ReadAhead::kBlockBytes; ++i) text += std::to_string(i);
  ReadAhead ahead(std::make_unique<ScriptedReader>(text, absl::OkStatus()));
  std::string all;
  for (;;) {
    const auto block = ahead.NextBlock();
    ASSERT_THAT(block, IsOk());
    if (block->empty()) break;
    all += *block;
  }
  EXPECT_EQ(all, text);
}

TEST(ReadAheadTest, TellsAnErrorAfterWhatCameBeforeIt) {
  ReadAhead ahead(std::make_unique<ScriptedReader>("abc", DataLoss("cut")));
  const auto block = ahead.NextBlock();
  ASSERT_THAT(block, IsOk());
  EXPECT_EQ(*block, "abc");
  EXPECT_THAT(ahead.NextBlock(), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(ReadAheadTest, StopsWhenNobodyReads) {
  ReadAhead ahead(std::make_unique<ScriptedReader>(std::string(20 * ReadAhead::kBlockBytes, 'x'),
                                                   absl::OkStatus()));
  ASSERT_THAT(ahead.NextBlock(), IsOk());
}

}  // namespace
}  // namespace gantry::diff
