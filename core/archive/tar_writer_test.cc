// SPDX-License-Identifier: Apache-2.0
#include "core/archive/tar_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/archive/testing/tar_builder.h"
#include "core/base/testing/matchers.h"

namespace gantry::archive {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::Pair;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::string Written(const Entry& entry, std::string_view content = {}) {
  StringWriter sink;
  TarWriter writer(sink);
  EXPECT_THAT(writer.WriteHeader(entry), IsOk());
  EXPECT_THAT(writer.WriteContent(content), IsOk());
  EXPECT_THAT(writer.Finish(), IsOk());
  return sink.text();
}

Entry File(std::string name, uint64_t size = 0) {
  return {.name = std::move(name), .mode = 0644, .size = size};
}

// `entry` read back from what was written of it.
Entry RoundTrip(const Entry& entry, std::string_view content = {}) {
  auto entries = ReadArchive(Written(entry, content));
  EXPECT_THAT(entries, IsOk());
  if (!entries.ok() || entries->size() != 1) return {};
  EXPECT_EQ(entries->front().content, content);
  return entries->front().entry;
}

TEST(TarWriterTest, AnEmptyArchiveIsTwoZeroBlocks) {
  StringWriter sink;
  TarWriter writer(sink);
  ASSERT_THAT(writer.Finish(), IsOk());
  EXPECT_EQ(sink.text(), std::string(1024, '\0'));
}

TEST(TarWriterTest, PlainEntriesAreUstarOnly) {
  const std::string bytes = Written(File("name", 3), "abc");
  ASSERT_EQ(bytes.size(), 4u * 512);
  const TarBlock block(bytes.data());
  EXPECT_EQ(block.dialect(), Dialect::kUstar);
  EXPECT_EQ(block.Raw(kMode), std::string_view("0000644\0", 8));
  EXPECT_EQ(block.Raw(kSize), std::string_view("00000000003\0", 12));
  EXPECT_EQ(block.Raw(kDevMajor), std::string_view("0000000\0", 8));
  EXPECT_EQ(block.Raw(kUserName), std::string(32, '\0'));
  EXPECT_EQ(block.Raw(kMagic), std::string_view("ustar\0"
                                                "00",
                                                8));
  EXPECT_TRUE(block.ChecksumMatches());
}

TEST(TarWriterTest, EveryTypeRoundTrips) {
  for (const Entry& entry : std::vector<Entry>{
           {.type = EntryType::kDirectory, .name = "d/", .mode = 01777},
           {.type = EntryType::kSymlink, .name = "s", .link = "to/there"},
           {.type = EntryType::kHardLink, .name = "h", .link = "to"},
           {.type = EntryType::kFifo, .name = "p"},
           {.type = EntryType::kCharDevice, .name = "c", .dev_major = 1, .dev_minor = 3},
           {.type = EntryType::kBlockDevice, .name = "b", .dev_major = 8, .dev_minor = 16}}) {
    const Entry read = RoundTrip(entry);
    EXPECT_EQ(read.type, entry.type);
    EXPECT_EQ(read.name, entry.name);
    EXPECT_EQ(read.link, entry.link);
    EXPECT_EQ(read.mode, entry.mode);
    EXPECT_EQ(read.dev_major, entry.dev_major);
    EXPECT_EQ(read.dev_minor, entry.dev_minor);
  }
}

TEST(TarWriterTest, LongNamesSplitBeforeTheyNeedARecord) {
  const std::string dir(150, 'd');
  std::string bytes = Written(File(dir + "/" + std::string(90, 'f')));
  EXPECT_EQ(bytes.size(), 3u * 512);  // no extended header
  EXPECT_EQ(TarBlock(bytes.data()).Text(kPrefix), dir);
  for (const std::string& name :
       {std::string(101, 'x'), std::string(200, 'd') + "/" + std::string(90, 'f'),
        dir + "/" + std::string(101, 'f'), std::string("gr\xc3\xbc\xc3\x9f"), std::string(100, 'x'),
        dir + "/" + std::string(90, 'f')}) {
    EXPECT_EQ(RoundTrip(File(name)).name, name);
  }
  const Entry long_dir = {.type = EntryType::kDirectory, .name = std::string(155, 'd') + "/"};
  EXPECT_EQ(RoundTrip(long_dir).name, long_dir.name);
}

TEST(TarWriterTest, AWholePathStandsInTheRecordBesideOthers) {
  Entry entry = File(std::string(150, 'd') + "/file");
  entry.xattrs = {{"security.capability", std::string("\1\0\0\2", 4)}};
  const std::string bytes = Written(entry);
  EXPECT_EQ(TarBlock(bytes.data()).Flag(kTypeFlag), 'x');
  EXPECT_EQ(RoundTrip(entry).name, entry.name);
  EXPECT_THAT(RoundTrip(entry).xattrs,
              ElementsAre(Pair("security.capability", std::string("\1\0\0\2", 4))));
}

TEST(TarWriterTest, BigNumbersGoIntoRecords) {
  Entry entry = File("f");
  entry.uid = 2'097'151;
  EXPECT_EQ(Written(entry).size(), 3u * 512);
  entry.uid = 2'097'152;
  entry.gid = 4'294'967'294;
  EXPECT_EQ(Written(entry).size(), 5u * 512);
  const Entry read = RoundTrip(entry);
  EXPECT_EQ(read.uid, entry.uid);
  EXPECT_EQ(read.gid, entry.gid);
  entry.mtime = {-5, 0};
  EXPECT_EQ(RoundTrip(entry).mtime, entry.mtime);
  entry.mtime = {uint64_t{1} << 40, 0};
  EXPECT_EQ(RoundTrip(entry).mtime, entry.mtime);

  StringWriter sink;
  TarWriter writer(sink);
  ASSERT_THAT(writer.WriteHeader(File("big", uint64_t{1} << 33)), IsOk());
  EXPECT_FALSE(writer.Finish().ok());
}

TEST(TarWriterTest, LongLinksRoundTrip) {
  for (const size_t size : {99, 100, 101, 4000}) {
    const Entry entry = {.type = EntryType::kSymlink, .name = "l", .link = std::string(size, 't')};
    EXPECT_EQ(RoundTrip(entry).link, entry.link);
  }
}

TEST(TarWriterTest, ExtendedHeadersCarryNoTimeAndASortedList) {
  Entry entry = File("dir/name");
  entry.mtime = {1'000'000'000, 0};
  entry.uid = 5'000'000;
  entry.xattrs = {{"user.b", "2"}, {"user.a", "1"}};
  const std::string bytes = Written(entry);
  const TarBlock block(bytes.data());
  EXPECT_EQ(block.Text(kName), "dir/PaxHeaders.0/name");
  EXPECT_EQ(block.Number(kMtime), 0);
  EXPECT_EQ(block.Number(kMode), 0);
  EXPECT_EQ(bytes.substr(512, block.Number(kSize).value_or(0)),
            "25 SCHILY.xattr.user.a=1\n25 SCHILY.xattr.user.b=2\n15 uid=5000000\n");
}

TEST(TarWriterTest, ContentMustHaveTheAnnouncedLength) {
  StringWriter sink;
  TarWriter writer(sink);
  ASSERT_THAT(writer.WriteHeader(File("f", 3)), IsOk());
  EXPECT_THAT(writer.WriteContent("abcd"), StatusIs(kInvalid));
  ASSERT_THAT(writer.WriteContent("ab"), IsOk());
  EXPECT_THAT(writer.WriteHeader(File("g")), StatusIs(kInvalid));
}

TEST(TarWriterTest, BadEntriesAreRefused) {
  StringWriter sink;
  TarWriter writer(sink);
  EXPECT_THAT(writer.WriteHeader(File("")), StatusIs(kInvalid));
  EXPECT_THAT(writer.WriteHeader(File("f/")), StatusIs(kInvalid));
  EXPECT_THAT(writer.WriteHeader({.type = EntryType::kDirectory, .name = "d"}), StatusIs(kInvalid));
  EXPECT_THAT(writer.WriteHeader({.type = EntryType::kOther, .name = "o"}), StatusIs(kInvalid));
  Entry entry = File("f");
  entry.uid = -1;
  EXPECT_THAT(writer.WriteHeader(entry), StatusIs(kInvalid));
  entry = {.type = EntryType::kCharDevice, .name = "c", .dev_major = 1 << 30};
  EXPECT_THAT(writer.WriteHeader(entry), StatusIs(kInvalid));
}

TEST(TarWriterTest, LargeContentPassesInPieces) {
  const std::string content(1'000'000, 'c');
  StringWriter sink;
  TarWriter writer(sink);
  ASSERT_THAT(writer.WriteHeader(File("f", content.size())), IsOk());
  for (size_t at = 0; at < content.size(); at += 300'001) {
    ASSERT_THAT(writer.WriteContent(std::string_view(content).substr(at, 300'001)), IsOk());
  }
  ASSERT_THAT(writer.Finish(), IsOk());
  const auto entries = ReadArchive(sink.text());
  ASSERT_THAT(entries, IsOk());
  EXPECT_TRUE(entries->front().content == content);
}

}  // namespace
}  // namespace gantry::archive
