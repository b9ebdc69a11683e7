// SPDX-License-Identifier: Apache-2.0
#include "core/compression/compression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/testing/matchers.h"
#include "core/compression/testing/streams.h"

namespace gantry::compression {
namespace {

using ::gantry::testing::Compressed;
using ::gantry::testing::Decompressed;
using ::gantry::testing::IsOk;
using ::gantry::testing::IsOkAndHolds;
using ::gantry::testing::PieceReader;
using ::gantry::testing::ReadToEnd;
using ::gantry::testing::SampleText;
using ::gantry::testing::StatusIs;

TEST(DetectTest, KnowsTheMagicNumbers) {
  EXPECT_EQ(Detect(std::string_view("\x1f\x8b\x08", 3)), Algorithm::kGzip);
  EXPECT_EQ(Detect("\x28\xb5\x2f\xfd"), Algorithm::kZstd);
  for (const char first : {'\x50', '\x57', '\x5f'}) {
    EXPECT_EQ(Detect(std::string(1, first) + std::string("\x2a\x4d\x18\0\0\0\0", 7)),
              Algorithm::kZstd);
  }
}

TEST(DetectTest, OtherwiseTheStreamIsPlain) {
  EXPECT_EQ(Detect(""), Algorithm::kNone);
  EXPECT_EQ(Detect("\x1f\x8b"), Algorithm::kNone);
  EXPECT_EQ(Detect("\x1f\x8b\x07"), Algorithm::kNone);
  EXPECT_EQ(Detect("\x50\x2a\x4d\x18"), Algorithm::kNone);  // too short for a skippable frame
  EXPECT_EQ(Detect(std::string("\x60\x2a\x4d\x18\0\0\0\0", 8)), Algorithm::kNone);
  EXPECT_EQ(Detect("usr/bin/"), Algorithm::kNone);
}

TEST(DecompressTest, PlainBytesPassThrough) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{7}, size_t{8}, size_t{100'000}}) {
    const std::string text(size, 'x');
    EXPECT_THAT(Decompressed(text, 3), IsOkAndHolds(text));
  }
}

TEST(DecompressTest, RoundTripsInPiecesOfAnySize) {
  const std::string text = SampleText(80'000);
  for (const Algorithm algorithm : {Algorithm::kNone, Algorithm::kGzip, Algorithm::kZstd}) {
    const auto packed = Compressed(algorithm, text);
    ASSERT_THAT(packed, IsOk());
    EXPECT_EQ(Detect(*packed), algorithm);
    for (const size_t piece : {1, 13, 4096, 1 << 20}) {
      EXPECT_TRUE(Decompressed(*packed, piece, 1 << 20).value_or("failed") == text)
          << AlgorithmName(algorithm);
      EXPECT_TRUE(Decompressed(*packed, 1 << 20, piece).value_or("failed") == text)
          << AlgorithmName(algorithm);
    }
  }
}

TEST(DecompressTest, EmptyStreamsRoundTrip) {
  for (const Algorithm algorithm : {Algorithm::kNone, Algorithm::kGzip, Algorithm::kZstd}) {
    const auto packed = Compressed(algorithm, "");
    ASSERT_THAT(packed, IsOk());
    EXPECT_THAT(Decompressed(*packed), IsOkAndHolds(std::string()));
  }
}

TEST(DecompressTest, EveryCutIsNoticed) {
  const std::string text = SampleText(1'000);
  for (const Algorithm algorithm : {Algorithm::kGzip, Algorithm::kZstd}) {
    const auto packed = Compressed(algorithm, text);
    ASSERT_THAT(packed, IsOk());
    for (size_t size = kSniffBytes; size < packed->size(); ++size) {
      EXPECT_THAT(Decompressed(packed->substr(0, size)), StatusIs(absl::StatusCode::kDataLoss))
          << AlgorithmName(algorithm) << " cut to " << size;
    }
  }
}

TEST(DecompressTest, TheSourcesErrorPassesThrough) {
  const std::string text = SampleText(100'000);
  for (const Algorithm algorithm : {Algorithm::kNone, Algorithm::kGzip, Algorithm::kZstd}) {
    const auto packed = Compressed(algorithm, text);
    ASSERT_THAT(packed, IsOk());
    const auto stream = Decompress(std::make_unique<PieceReader>(
        packed->substr(0, packed->size() / 2), 1000, Unavailable("network")));
    ASSERT_THAT(stream, IsOk());
    EXPECT_THAT(ReadToEnd(*stream->reader), StatusIs(absl::StatusCode::kUnavailable));
  }
}

TEST(CompressorTest, OutputDoesNotDependOnTheCuts) {
  const std::string text = SampleText(1'000'000);
  for (const Algorithm algorithm : {Algorithm::kGzip, Algorithm::kZstd}) {
    const auto whole = Compressed(algorithm, text, text.size());
    ASSERT_THAT(whole, IsOk());
    for (const size_t piece : {512, 10'007, 262'144, 400'000}) {
      EXPECT_TRUE(Compressed(algorithm, text, piece).value_or("failed") == *whole)
          << AlgorithmName(algorithm) << " in pieces of " << piece;
    }
  }
}

class FailingWriter final : public Writer {
 public:
  absl::Status Write(std::string_view) override { return ResourceExhausted("disk full"); }
};

TEST(CompressorTest, TheSinksErrorComesBack) {
  for (const Algorithm algorithm : {Algorithm::kNone, Algorithm::kGzip, Algorithm::kZstd}) {
    FailingWriter sink;
    const auto compressor = NewCompressor(algorithm, sink);
    absl::Status status = compressor->Write(SampleText(2'000'000));
    if (status.ok()) status = compressor->Finish();
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
  }
}

}  // namespace
}  // namespace gantry::compression
