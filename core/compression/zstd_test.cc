// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include <string>

#include "core/base/testing/matchers.h"
#include "core/compression/testing/streams.h"

namespace gantry::compression {
namespace {

using ::gantry::testing::Decompressed;
using ::gantry::testing::IsOkAndHolds;
using ::gantry::testing::SampleText;
using ::gantry::testing::StatusIs;

struct FrameOptions {
  int window_log = 0;
  bool checksum = false;
  std::string dictionary;
};

std::string Frame(std::string_view text, const FrameOptions& options = {}) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  if (options.window_log > 0) {
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, options.window_log);
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  }
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, options.checksum ? 1 : 0);
  if (!options.dictionary.empty()) {
    ZSTD_CCtx_loadDictionary(context, options.dictionary.data(), options.dictionary.size());
  }
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  ZSTD_inBuffer in = {text.data(), text.size(), 0};
  ZSTD_outBuffer out = {packed.data(), packed.size(), 0};
  // In two steps, so that a frame without its size in the header keeps the window asked for.
  EXPECT_FALSE(ZSTD_isError(ZSTD_compressStream2(context, &out, &in, ZSTD_e_continue)));
  EXPECT_EQ(ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), 0u);
  packed.resize(out.pos);
  ZSTD_freeCCtx(context);
  return packed;
}

std::string SkippableFrame(size_t size) {
  std::string frame("\x5a\x2a\x4d\x18", 4);
  for (int shift = 0; shift < 32; shift += 8) frame += static_cast<char>(size >> shift);
  return frame + std::string(size, 's');
}

TEST(ZstdTest, FramesInARowAreOneStream) {
  std::string packed;
  std::string text;
  for (int i = 0; i < 300; ++i) {
    const std::string piece = SampleText(i % 5 == 0 ? 0 : i * 11, i);
    text += piece;
    packed += Frame(piece, {.checksum = i % 2 == 0});
  }
  EXPECT_TRUE(Decompressed(packed).value_or("failed") == text);
  EXPECT_TRUE(Decompressed(packed, 1).value_or("failed") == text);
  EXPECT_TRUE(Decompressed(packed, 1 << 20, 1).value_or("failed") == text);
}

TEST(ZstdTest, SkippableFramesMayStandAnywhere) {
  const std::string packed =
      SkippableFrame(0) + Frame("one ") + SkippableFrame(70'000) + Frame("two") + SkippableFrame(9);
  EXPECT_THAT(Decompressed(packed), IsOkAndHolds(std::string("one two")));
  EXPECT_THAT(Decompressed(packed, 1), IsOkAndHolds(std::string("one two")));
  EXPECT_THAT(Decompressed(packed.substr(0, packed.size() - 1)),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST(ZstdTest, ABadContentChecksumIsAnError) {
  std::string packed = Frame(SampleText(5'000), {.checksum = true});
  packed.back() ^= 1;
  EXPECT_THAT(Decompressed(packed), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(ZstdTest, GarbageAfterAFrameIsAnError) {
  EXPECT_THAT(Decompressed(Frame("text") + "garbage"), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(ZstdTest, AWindowOver512MiBIsRefused) {
  // A frame header that asks for a window of 1 GiB, then an empty last block.
  const std::string packed("\x28\xb5\x2f\xfd\x00\xa0\x01\x00\x00", 9);
  EXPECT_THAT(Decompressed(packed), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(Decompressed(Frame("text", {.window_log = 27})), IsOkAndHolds(std::string("text")));
}

TEST(ZstdTest, AFrameThatNeedsADictionaryIsRefused) {
  // A frame header with the identifier 7 of a dictionary, then an empty last block.
  const std::string packed("\x28\xb5\x2f\xfd\x01\x00\x07\x01\x00\x00", 10);
  EXPECT_THAT(Decompressed(packed), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace gantry::compression
