// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <string>

#include "core/base/testing/matchers.h"
#include "core/compression/testing/streams.h"

namespace gantry::compression {
namespace {

using ::gantry::testing::Compressed;
using ::gantry::testing::Decompressed;
using ::gantry::testing::IsOk;
using ::gantry::testing::IsOkAndHolds;
using ::gantry::testing::SampleText;
using ::gantry::testing::StatusIs;
using ::testing::HasSubstr;

// One gzip member made by zlib, an implementation other than the one under test.
std::string Member(std::string_view text, gz_header* header = nullptr, int level = 6) {
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  if (header != nullptr) deflateSetHeader(&stream, header);
  // deflateBound() counts the header's fields too.
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(packed.size() - stream.avail_out);
  deflateEnd(&stream);
  return packed;
}

std::string UnpackWithZlib(const std::string& packed, size_t size) {
  z_stream stream = {};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  std::string text(size + 1, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  text.resize(text.size() - stream.avail_out);
  inflateEnd(&stream);
  return text;
}

TEST(GzipTest, ReadsWhatZlibWritesAtEveryLevel) {
  const std::string text = SampleText(500'000);
  for (const int level : {0, 1, 6, 9}) {
    EXPECT_TRUE(Decompressed(Member(text, nullptr, level)).value_or("failed") == text)
        << "level " << level;
  }
}

TEST(GzipTest, ZlibReadsWhatWeWrite) {
  const std::string text = SampleText(1'500'000);
  const auto packed = Compressed(Algorithm::kGzip, text);
  ASSERT_THAT(packed, IsOk());
  EXPECT_TRUE(UnpackWithZlib(*packed, text.size()) == text);
  // No flags, no time, operating system unknown.
  EXPECT_EQ(packed->substr(3, 5), std::string(5, '\0'));
  EXPECT_EQ((*packed)[9], '\xff');
}

TEST(GzipTest, OptionalHeaderFieldsAreAccepted) {
  std::string name = "layer.tar";
  std::string comment(5000, 'c');
  std::string extra(60'000, 'e');
  gz_header header = {};
  header.name = reinterpret_cast<Bytef*>(name.data());
  header.comment = reinterpret_cast<Bytef*>(comment.data());
  header.extra = reinterpret_cast<Bytef*>(extra.data());
  header.extra_len = static_cast<uInt>(extra.size());
  header.hcrc = 1;
  header.time = 12345;
  std::string packed = Member("content", &header);
  EXPECT_THAT(Decompressed(packed), IsOkAndHolds(std::string("content")));
  EXPECT_THAT(Decompressed(packed, 1), IsOkAndHolds(std::string("content")));
  packed[12] ^= 1;  // in the extra field, which the header's own checksum covers
  EXPECT_THAT(Decompressed(packed), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(GzipTest, AThousandMembersAreOneStream) {
  std::string packed;
  std::string text;
  for (int i = 0; i < 1000; ++i) {
    const std::string piece = SampleText(i % 7 == 0 ? 0 : i * 3, i);
    text += piece;
    packed += Member(piece);
  }
  EXPECT_TRUE(Decompressed(packed).value_or("failed") == text);
  EXPECT_TRUE(Decompressed(packed, 1).value_or("failed") == text);
  EXPECT_TRUE(Decompressed(packed, 1 << 20, 1).value_or("failed") == text);
}

TEST(GzipTest, ZerosAfterTheLastMemberAreTolerated) {
  const std::string packed = Member("text");
  for (const size_t zeros : {1, 511, 1 << 20}) {
    EXPECT_THAT(Decompressed(packed + std::string(zeros, '\0')), IsOkAndHolds(std::string("text")));
  }
}

TEST(GzipTest, OtherBytesAfterTheLastMemberAreAnError) {
  const std::string packed = Member("text");
  for (const std::string& tail :
       {std::string("x"), std::string("\0x", 2), std::string("\x1f"), std::string("\x1f\x8b"),
        std::string("\x1fgarbage garbage garbage"), std::string("\0", 1) + Member("more")}) {
    EXPECT_THAT(Decompressed(packed + tail), StatusIs(absl::StatusCode::kDataLoss)) << tail;
  }
}

TEST(GzipTest, ChecksumAndLengthOfEveryMemberCount) {
  const std::string text = SampleText(10'000);
  const std::string packed = Member(text);
  for (const size_t from_end : {8, 5, 4, 1}) {  // CRC-32, then length
    std::string damaged = packed;
    damaged[damaged.size() - from_end] ^= 1;
    EXPECT_THAT(Decompressed(damaged),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("checksum or length mismatch")));
    EXPECT_THAT(Decompressed(damaged + Member("more")), StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST(GzipTest, DamagedDataNeverPassesForGood) {
  const std::string text = SampleText(2'000);
  const std::string packed = Member(text);
  for (size_t at = 10; at < packed.size(); ++at) {
    std::string damaged = packed;
    damaged[at] ^= 0x55;
    const auto result = Decompressed(damaged);
    EXPECT_FALSE(result.ok()) << "byte " << at;
  }
}

}  // namespace
}  // namespace gantry::compression
