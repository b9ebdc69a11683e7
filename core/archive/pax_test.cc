// SPDX-License-Identifier: Apache-2.0
#include "core/archive/pax.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/testing/matchers.h"

namespace gantry::archive {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::Pair;

Timestamp MtimeOf(const std::string& text) {
  const auto records = ParsePax(FormatPax({{"mtime", text}}), {});
  EXPECT_THAT(records, IsOk()) << text;
  return records.ok() ? records->mtime.value_or(Timestamp{-99, 0}) : Timestamp{-99, 0};
}

TEST(PaxTest, TimesHaveFractionsAndSigns) {
  EXPECT_EQ(MtimeOf("0"), (Timestamp{0, 0}));
  EXPECT_EQ(MtimeOf("12.5"), (Timestamp{12, 500'000'000}));
  EXPECT_EQ(MtimeOf("12."), (Timestamp{12, 0}));
  EXPECT_EQ(MtimeOf("1.0000000019999"), (Timestamp{1, 1}));
  EXPECT_EQ(MtimeOf("-1"), (Timestamp{-1, 0}));
  EXPECT_EQ(MtimeOf("-1.25"), (Timestamp{-2, 750'000'000}));
  EXPECT_EQ(MtimeOf("-0.5"), (Timestamp{-1, 500'000'000}));
  EXPECT_EQ(MtimeOf("9223372036854775807"), (Timestamp{INT64_MAX, 0}));
}

TEST(PaxTest, MalformedNumbersAreErrors) {
  for (const char* key : {"size", "uid", "gid", "mtime", "atime"}) {
    for (const char* value : {"x", "1x", " 1", "0x1", "9223372036854775808", ".5", "1.x"}) {
      EXPECT_THAT(ParsePax(FormatPax({{key, value}}), {}),
                  StatusIs(absl::StatusCode::kInvalidArgument))
          << key << "=" << value;
    }
  }
  EXPECT_THAT(ParsePax(FormatPax({{"size", "-1"}}), {}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(PaxTest, AnEmptyValueLeavesTheBlocksField) {
  const auto records =
      ParsePax(FormatPax({{"path", ""}, {"size", ""}, {"uid", ""}, {"mtime", ""}}), {});
  ASSERT_THAT(records, IsOk());
  EXPECT_EQ(records->path, "");
  EXPECT_FALSE(records->size || records->uid || records->mtime);
}

TEST(PaxTest, TheLastOfEqualKeysCounts) {
  const auto records =
      ParsePax("10 path=a\n10 path=b\n25 SCHILY.xattr.user.x=1\n25 SCHILY.xattr.user.x=2\n", {});
  ASSERT_THAT(records, IsOk());
  EXPECT_EQ(records->path, "b");
  EXPECT_THAT(records->xattrs, ElementsAre(Pair("user.x", "2")));
}

TEST(PaxTest, XattrValuesAreBinary) {
  const std::string value("\0\n=\xff 1\n", 7);
  const auto records = ParsePax(FormatPax({{"SCHILY.xattr.security.capability", value}}), {});
  ASSERT_THAT(records, IsOk());
  EXPECT_THAT(records->xattrs, ElementsAre(Pair("security.capability", value)));
}

TEST(PaxTest, RecordsAreHeldToTheirForm) {
  for (const std::string& text :
       {std::string("path=a\n"), std::string("8 path=a\n"), std::string("11 path=a\n"),
        std::string("10 path=a"), std::string("10 path=ab"), std::string("4 a=\n"),
        std::string("-1 path=a\n"), std::string("10path=aaa\n"), std::string(" 9 path=a\n"),
        std::string("9 nokey.\n"), std::string("7 =abc\n"), std::string("11 pa\0h=ab\n", 11),
        std::string("11 path=\0b\n", 11), std::string("99999999999999999999 path=a\n"),
        std::string("6 \n\n\n\n")}) {
    EXPECT_THAT(ParsePax(text, {}), StatusIs(absl::StatusCode::kInvalidArgument)) << text;
  }
}

TEST(PaxTest, LimitsOnXattrs) {
  const auto parse = [](std::string name, size_t value_size) {
    return ParsePax(FormatPax({{"SCHILY.xattr." + name, std::string(value_size, 'v')}}), {});
  };
  EXPECT_THAT(parse(std::string(255, 'n'), 65'536), IsOk());
  EXPECT_THAT(parse(std::string(256, 'n'), 1), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(parse("user.x", 65'537), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(parse("", 1), StatusIs(absl::StatusCode::kInvalidArgument));
  std::map<std::string, std::string> many;
  for (int i = 0; i < 1025; ++i) many["SCHILY.xattr.user." + std::to_string(i)] = "v";
  EXPECT_THAT(ParsePax(FormatPax(many), {}), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(PaxTest, FormatCountsItsOwnDigits) {
  // A length that gains a digit by counting its digits.
  EXPECT_EQ(FormatPax({{"a", "b"}}), "6 a=b\n");
  EXPECT_EQ(FormatPax({{"path", "a"}}), "9 path=a\n");
  EXPECT_EQ(FormatPax({{"path", "ab"}}), "11 path=ab\n");
  for (size_t size = 80; size < 110; ++size) {
    const auto records = ParsePax(FormatPax({{"path", std::string(size, 'p')}}), {});
    ASSERT_THAT(records, IsOk()) << size;
    EXPECT_EQ(records->path.size(), size);
  }
}

TEST(PaxTest, SparseRecordsOfFormat00BecomeAMap) {
  const std::string text =
      "22 GNU.sparse.size=99\n"
      "23 GNU.sparse.offset=0\n25 GNU.sparse.numbytes=5\n"
      "24 GNU.sparse.offset=50\n25 GNU.sparse.numbytes=7\n";
  const auto records = ParsePax(text, {});
  ASSERT_THAT(records, IsOk());
  EXPECT_EQ(records->sparse_map, "0,5,50,7");
  EXPECT_EQ(records->sparse_size, 99);
  EXPECT_THAT(ParsePax("25 GNU.sparse.numbytes=5\n", {}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParsePax("23 GNU.sparse.offset=0\n23 GNU.sparse.offset=1\n", {}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace gantry::archive
