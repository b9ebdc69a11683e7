// SPDX-License-Identifier: Apache-2.0
#include "core/digest/digest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/testing/matchers.h"

namespace gantry {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::HasSubstr;

// FIPS 180-4 examples for the message "abc".
constexpr std::string_view kAbc256 =
    "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr std::string_view kAbc384 =
    "sha384:cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
    "8086072ba1e7cc2358baeca134c825a7";
constexpr std::string_view kAbc512 =
    "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

TEST(DigestTest, KnownVectors) {
  EXPECT_EQ(Digest::Of("abc").str(), kAbc256);
  EXPECT_EQ(Digest::Of("abc", DigestAlgorithm::kSha384).str(), kAbc384);
  EXPECT_EQ(Digest::Of("abc", DigestAlgorithm::kSha512).str(), kAbc512);
}

TEST(DigestTest, ParsesTheThreeAlgorithms) {
  for (const std::string_view text : {kAbc256, kAbc384, kAbc512}) {
    const absl::StatusOr<Digest> digest = Digest::Parse(text);
    ASSERT_THAT(digest, IsOk());
    EXPECT_EQ(digest->str(), text);
    EXPECT_EQ(
        std::string(DigestAlgorithmName(digest->algorithm())) + ":" + std::string(digest->hex()),
        text);
  }
}

TEST(DigestTest, EachKindOfBadTextHasItsOwnError) {
  const auto refused = [](std::string_view text, std::string_view why) {
    EXPECT_THAT(Digest::Parse(text),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(std::string(why))))
        << text;
  };
  const std::string hex(64, 'a');
  for (const std::string& text :
       {std::string(), std::string("sha256"), std::string("sha256:"), ":" + hex, "Sha256:" + hex,
        "sha256:" + std::string(64, 'A'), "sha256:" + std::string(64, 'g'), "sha256:../" + hex,
        "-sha256:" + hex, "sha..256:" + hex, "sha256:" + hex + "\n", std::string("sha256:a/b"),
        std::string("sha256:\0", 8) + hex}) {
    refused(text, "invalid checksum digest format");
  }
  refused("md5:" + std::string(32, 'a'), "unsupported digest algorithm");
  refused("sha256+b64:" + hex, "unsupported digest algorithm");
  refused("sha256:" + std::string(63, 'a'), "invalid checksum digest length");
  refused("sha256:" + std::string(96, 'a'), "invalid checksum digest length");
  refused("sha512:" + hex, "invalid checksum digest length");
}

TEST(DigestTest, AnErrorQuotesABoundedPartOfTheText) {
  const absl::StatusOr<Digest> digest = Digest::Parse(std::string(1 << 20, 'x'));
  EXPECT_LT(digest.status().message().size(), 300u);
}

TEST(DigestTest, EmptyIsNoDigest) {
  EXPECT_TRUE(Digest().empty());
  EXPECT_EQ(Digest().hex(), "");
  EXPECT_NE(Digest(), Digest::Of(""));
}

TEST(HasherTest, CurrentDoesNotEndTheRun) {
  Hasher hasher;
  EXPECT_EQ(hasher.Current(), Digest::Of(""));
  hasher.Update("a");
  EXPECT_EQ(hasher.Current(), Digest::Of("a"));
  EXPECT_EQ(hasher.Current(), Digest::Of("a"));
  hasher.Update("bc");
  EXPECT_EQ(hasher.Current().str(), kAbc256);
  EXPECT_EQ(hasher.size_bytes(), 3u);
}

TEST(HasherTest, PiecesHashLikeTheWhole) {
  const std::string content(1'000'003, 'q');
  for (const DigestAlgorithm algorithm :
       {DigestAlgorithm::kSha256, DigestAlgorithm::kSha384, DigestAlgorithm::kSha512}) {
    Hasher hasher(algorithm);
    for (size_t at = 0; at < content.size(); at += 4097) {
      hasher.Update(std::string_view(content).substr(at, 4097));
    }
    EXPECT_EQ(hasher.Current(), Digest::Of(content, algorithm));
  }
}

}  // namespace
}  // namespace gantry
