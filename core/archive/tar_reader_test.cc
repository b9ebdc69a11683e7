// SPDX-License-Identifier: Apache-2.0
#include "core/archive/tar_reader.h"

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
constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
constexpr auto kExhausted = absl::StatusCode::kResourceExhausted;

// The only entry of `bytes`.
ReadEntry Only(std::string_view bytes) {
  auto entries = ReadArchive(bytes);
  EXPECT_THAT(entries, IsOk());
  if (!entries.ok() || entries->size() != 1) {
    ADD_FAILURE() << "not one entry";
    return {};
  }
  return std::move(entries->front());
}

std::string OneFile() { return TarBuilder().File("a", "content").Done(); }

TEST(TarReaderTest, TypesAndFields) {
  const std::string bytes =
      TarBuilder()
          .Add({.name = "dir/", .flag = '5', .mode = "0001777", .uid = "0001750", .gid = "0000144"})
          .Add({.name = "dir/file", .mtime = "14000000000"}, "hello")
          .Symlink("dir/sym", "../x")
          .HardLink("dir/hard", "dir/file")
          .Add({.name = "char", .flag = '3', .dev_major = "0000001", .dev_minor = "0000003"})
          .Add({.name = "block", .flag = '4', .dev_major = "0000010", .dev_minor = "0000020"})
          .Add({.name = "fifo", .flag = '6'})
          .Add({.name = "contiguous", .flag = '7'}, "seven")
          .Done();
  for (const size_t block : {1, 511, 512, 513, 1 << 16}) {
    const auto entries = ReadArchive(bytes, block);
    ASSERT_THAT(entries, IsOk());
    ASSERT_EQ(entries->size(), 8u);
    const auto& e = *entries;
    EXPECT_EQ(e[0].entry.type, EntryType::kDirectory);
    EXPECT_EQ(e[0].entry.mode, 01777);
    EXPECT_EQ(e[0].entry.uid, 1000);
    EXPECT_EQ(e[0].entry.gid, 100);
    EXPECT_EQ(e[1].entry.name, "dir/file");
    EXPECT_EQ(e[1].content, "hello");
    EXPECT_EQ(e[1].entry.mtime.seconds, 014000000000);
    EXPECT_EQ(e[2].entry.type, EntryType::kSymlink);
    EXPECT_EQ(e[2].entry.link, "../x");
    EXPECT_EQ(e[3].entry.type, EntryType::kHardLink);
    EXPECT_EQ(e[3].entry.link, "dir/file");
    EXPECT_EQ(e[4].entry.type, EntryType::kCharDevice);
    EXPECT_EQ(e[4].entry.dev_minor, 3);
    EXPECT_EQ(e[5].entry.type, EntryType::kBlockDevice);
    EXPECT_EQ(e[5].entry.dev_major, 8);
    EXPECT_EQ(e[6].entry.type, EntryType::kFifo);
    EXPECT_EQ(e[7].entry.type, EntryType::kOther);
    EXPECT_EQ(e[7].entry.type_flag, '7');
    EXPECT_EQ(e[7].content, "seven");
  }
}

TEST(TarReaderTest, V7HeadersAndTheirDirectories) {
  const std::string bytes =
      TarBuilder()
          .Add({.name = "old/", .flag = '\0', .magic = ""})
          .Add({.name = "old/file", .flag = '\0', .magic = "", .dev_major = "junk!"}, "x")
          .Add({.name = "slash/", .flag = '0'}, "")
          .Done();
  const auto entries = ReadArchive(bytes);
  ASSERT_THAT(entries, IsOk());
  ASSERT_EQ(entries->size(), 3u);
  EXPECT_EQ((*entries)[0].entry.type, EntryType::kDirectory);
  EXPECT_EQ((*entries)[1].entry.type, EntryType::kRegular);
  EXPECT_EQ((*entries)[1].content, "x");
  EXPECT_EQ((*entries)[2].entry.type, EntryType::kRegular);
}

TEST(TarReaderTest, UstarAndStarPrefixes) {
  EXPECT_EQ(Only(TarBuilder().Add({.name = "base", .prefix = "some/dir"}).Done()).entry.name,
            "some/dir/base");
  std::string star = HeaderBlock({.name = "base", .prefix = "some/dir"});
  std::string("tar\0", 4).copy(star.data() + kStarTrailer.offset, 4);
  std::string("00000000123").copy(star.data() + kStarAtime.offset, 11);
  SetChecksum(star);
  const ReadEntry entry = Only(TarBuilder().Raw(star).Done());
  EXPECT_EQ(entry.entry.name, "some/dir/base");
  EXPECT_EQ(entry.entry.atime.seconds, 0123);
}

TEST(TarReaderTest, GnuHeadersHaveTimesForAPrefix) {
  const std::string gnu("ustar  \0", 8);
  ReadEntry entry =
      Only(TarBuilder().Add({.name = "f", .magic = gnu, .prefix = "00000000777"}).Done());
  EXPECT_EQ(entry.entry.name, "f");
  EXPECT_EQ(entry.entry.atime.seconds, 0777);
  // A prefix that an old writer put there by mistake.
  entry = Only(TarBuilder().Add({.name = "f", .magic = gnu, .prefix = "long/dir"}).Done());
  EXPECT_EQ(entry.entry.name, "long/dir/f");
  EXPECT_EQ(entry.entry.atime.seconds, 0);
}

TEST(TarReaderTest, GnuLongNames) {
  const std::string name = "n/" + std::string(300, 'n');
  const std::string link(400, 'l');
  const ReadEntry entry =
      Only(TarBuilder()
               .Add({.name = "././@LongLink", .flag = 'K'}, link + std::string(1, '\0'))
               .Add({.name = "././@LongLink", .flag = 'L'}, name + std::string(1, '\0'))
               .Symlink("cut", "cut")
               .Done());
  EXPECT_EQ(entry.entry.name, name);
  EXPECT_EQ(entry.entry.link, link);
}

TEST(TarReaderTest, PaxRecordsOverrideTheBlock) {
  const auto entries = ReadArchive(TarBuilder()
                                       .Pax({{"path", "pax/name"},
                                             {"size", "5"},
                                             {"uid", "3000000"},
                                             {"gid", "4000000"},
                                             {"mtime", "1.5"},
                                             {"atime", "2"},
                                             {"SCHILY.xattr.user.k", "v"},
                                             {"LIBARCHIVE.xattr.user.l", "dg=="},
                                             {"comment", "ignored"}})
                                       .Add({.name = "block", .size = "00000000005"}, "12345")
                                       .File("next")
                                       .Done());
  ASSERT_THAT(entries, IsOk());
  ASSERT_EQ(entries->size(), 2u);
  const Entry& entry = entries->front().entry;
  EXPECT_EQ(entry.name, "pax/name");
  EXPECT_EQ(entries->front().content, "12345");
  EXPECT_EQ(entry.uid, 3'000'000);
  EXPECT_EQ(entry.gid, 4'000'000);
  EXPECT_EQ(entry.mtime, (Timestamp{1, 500'000'000}));
  EXPECT_EQ(entry.atime, (Timestamp{2, 0}));
  EXPECT_THAT(entry.xattrs, ElementsAre(Pair("user.k", "v")));
  // Nothing of it reaches the entry after.
  EXPECT_EQ((*entries)[1].entry.name, "next");
  EXPECT_EQ((*entries)[1].entry.uid, 0);
  EXPECT_TRUE((*entries)[1].entry.xattrs.empty());
}

TEST(TarReaderTest, PaxSizeMovesTheEndOfTheContent) {
  const auto entries = ReadArchive(TarBuilder()
                                       .Pax({{"size", "600"}})
                                       .Raw(HeaderBlock({.name = "f", .size = "00000000000"}))
                                       .Raw(PadToBlock(std::string(600, 'c')))
                                       .File("next", "x")
                                       .Done());
  ASSERT_THAT(entries, IsOk());
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ(entries->front().content, std::string(600, 'c'));
  EXPECT_EQ((*entries)[1].content, "x");
}

TEST(TarReaderTest, AGlobalHeaderReachesNoEntry) {
  const ReadEntry entry =
      Only(TarBuilder().Pax({{"path", "evil"}, {"uid", "7"}}, 'g').File("f", "x").Done());
  EXPECT_EQ(entry.entry.name, "f");
  EXPECT_EQ(entry.entry.uid, 0);
}

TEST(TarReaderTest, Base256Numbers) {
  const ReadEntry entry = Only(TarBuilder()
                                   .Add({.name = "f",
                                         .magic = std::string("ustar  \0", 8),
                                         .uid = Base256(0x12345678, 8),
                                         .mtime = Base256(-2, 12)})
                                   .Done());
  EXPECT_EQ(entry.entry.uid, 0x12345678);
  EXPECT_EQ(entry.entry.mtime.seconds, -2);
}

TEST(TarReaderTest, BlankNumbersAreZeroAndMalformedOnesAnError) {
  EXPECT_EQ(
      Only(TarBuilder().Add({.name = "f", .mode = " 644 ", .uid = "       "}).Done()).entry.mode,
      0644);
  for (const std::string& bad : {std::string("0000008"), std::string("-000001"),
                                 std::string("00 0001"), Base256(1, 8).replace(1, 7, 7, '\xff')}) {
    const RawHeader header = {.name = "f", .uid = bad};
    const auto entries = ReadArchive(TarBuilder().Add(header).Done());
    if (bad[0] == '\x80') {
      EXPECT_THAT(entries, IsOk());  // eight bytes always fit
    } else {
      EXPECT_THAT(entries, StatusIs(kInvalid)) << bad;
    }
  }
  for (const std::string& size : {Base256(-1, 12),
                                  std::string("\x80\xff\xff\xff\xff\xff\xff\xff"
                                              "\xff\xff\xff\xff"),
                                  std::string("777777777777")}) {
    const auto entries = ReadArchive(HeaderBlock({.name = "f", .size = size}));
    EXPECT_FALSE(entries.ok());
  }
}

TEST(TarReaderTest, SignedAndUnsignedChecksumsAreAccepted) {
  std::string block = HeaderBlock({.name = "\xc3\xa9"});
  EXPECT_THAT(ReadArchive(block), IsOk());
  int sum = 0;
  for (size_t i = 0; i < block.size(); ++i) {
    sum += i >= 148 && i < 156 ? ' ' : static_cast<signed char>(block[i]);
  }
  fmt::format("{:06o}", sum).copy(block.data() + kChecksum.offset, 6);
  EXPECT_THAT(ReadArchive(block), IsOk());
  block[0] ^= 1;
  EXPECT_THAT(ReadArchive(block), StatusIs(kInvalid));
}

TEST(TarReaderTest, EndsWithOrWithoutMarker) {
  const std::string body = TarBuilder().File("a", "x").bytes();
  const std::string zero(kBlockBytes, '\0');
  for (const std::string& bytes :
       {body, body + zero, body + zero + zero, body + zero + zero + std::string(5'000'001, '\0'),
        body + zero + zero + "garbage", body.substr(0, kBlockBytes + 1)}) {
    const auto entries = ReadArchive(bytes);
    ASSERT_THAT(entries, IsOk());
    EXPECT_EQ(entries->size(), 1u);
  }
  EXPECT_THAT(ReadArchive(""), IsOk());
  EXPECT_THAT(ReadArchive(body + zero + body), StatusIs(kInvalid));
}

TEST(TarReaderTest, ACutInsideAnEntryIsNoticed) {
  const std::string bytes = TarBuilder().File("a", std::string(1000, 'x')).bytes();
  for (const size_t size : {size_t{1}, kBlockBytes - 1, kBlockBytes, kBlockBytes + 999}) {
    EXPECT_THAT(ReadArchive(bytes.substr(0, size)), StatusIs(kDataLoss)) << size;
  }
  EXPECT_THAT(ReadArchive(bytes + "half a header"), StatusIs(kDataLoss));
}

TEST(TarReaderTest, UnreadContentIsSkipped) {
  CutBlockReader source(TarBuilder().File("a", std::string(100'000, 'x')).File("b", "y").Done(),
                        4096);
  TarReader reader(source);
  Entry entry;
  ASSERT_TRUE(*reader.Next(entry));
  ASSERT_THAT(reader.ReadContent(), IsOk());
  ASSERT_TRUE(*reader.Next(entry));
  EXPECT_EQ(entry.name, "b");
  EXPECT_EQ(*reader.ReadContent(), "y");
  EXPECT_FALSE(*reader.Next(entry));
  EXPECT_FALSE(*reader.Next(entry));
}

TEST(TarReaderTest, LinksAndDirectoriesHaveNoContentWhateverTheirSizeSays) {
  const auto entries =
      ReadArchive(TarBuilder()
                      .Add({.name = "l", .flag = '1', .link = "f", .size = "00000001000"})
                      .Add({.name = "d/", .flag = '5', .size = "00000001000"})
                      .File("next")
                      .Done());
  ASSERT_THAT(entries, IsOk());
  EXPECT_EQ(entries->size(), 3u);
}

TEST(TarReaderSparseTest, PaxFormats0) {
  const std::map<std::string, std::string> records = {
      {"GNU.sparse.major", "0"},  {"GNU.sparse.minor", "1"},     {"GNU.sparse.name", "real"},
      {"GNU.sparse.size", "100"}, {"GNU.sparse.numblocks", "2"}, {"GNU.sparse.map", "10,3,50,2"}};
  const ReadEntry entry =
      Only(TarBuilder().Pax(records).File("GNUSparseFile.0/real", "abcde").Done());
  EXPECT_TRUE(entry.entry.sparse);
  EXPECT_EQ(entry.entry.name, "real");
  EXPECT_EQ(entry.entry.size, 100u);
  EXPECT_EQ(entry.content, "abcde");
  EXPECT_THAT(entry.entry.runs, ElementsAre(SparseRun{10, 3}, SparseRun{50, 2}));
}

std::map<std::string, std::string> Sparse10(std::string size) {
  return {{"GNU.sparse.major", "1"}, {"GNU.sparse.minor", "0"}, {"GNU.sparse.realsize", size}};
}

TEST(TarReaderSparseTest, PaxFormat1) {
  const std::string content = PadToBlock("2\n512\n3\n2000\n2\n") + "abcde";
  for (const size_t block : {1, 700, 1 << 16}) {
    const auto entries =
        ReadArchive(TarBuilder().Pax(Sparse10("4096")).File("s", content).File("n").Done(), block);
    ASSERT_THAT(entries, IsOk());
    ASSERT_EQ(entries->size(), 2u);
    EXPECT_EQ(entries->front().entry.size, 4096u);
    EXPECT_EQ(entries->front().content, "abcde");
    EXPECT_THAT(entries->front().entry.runs, ElementsAre(SparseRun{512, 3}, SparseRun{2000, 2}));
  }
}

TEST(TarReaderSparseTest, OldGnuFormatWithContinuationBlocks) {
  std::string block = HeaderBlock(
      {.name = "s", .flag = 'S', .magic = std::string("ustar  \0", 8), .size = "00000000031"});
  const auto put = [](std::string& into, size_t at, uint64_t offset, uint64_t size) {
    fmt::format("{:011o}", offset).copy(into.data() + at, 11);
    fmt::format("{:011o}", size).copy(into.data() + at + 12, 11);
  };
  std::vector<SparseRun> runs;
  std::string more(kBlockBytes, '\0');
  for (size_t i = 0; i < 25; ++i) {
    runs.push_back({i * 100, 1});
    put(i < 4 ? block : more, i < 4 ? kGnuSparse.offset + i * 24 : (i - 4) * 24, i * 100, 1);
  }
  block[kGnuIsExtended.offset] = 1;
  fmt::format("{:011o}", 9000).copy(block.data() + kGnuRealSize.offset, 11);
  SetChecksum(block);
  const std::string content(25, 'r');
  const auto entries =
      ReadArchive(TarBuilder().Raw(block).Raw(more).Raw(PadToBlock(content)).File("n").Done());
  ASSERT_THAT(entries, IsOk());
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ(entries->front().entry.size, 9000u);
  EXPECT_EQ(entries->front().content, content);
  EXPECT_EQ(entries->front().entry.runs, runs);
}

TEST(TarReaderSparseTest, MapsThatLieAreRefused) {
  const auto list = [](std::string map, std::string size, std::string_view content) {
    return ReadArchive(TarBuilder()
                           .Pax({{"GNU.sparse.map", map}, {"GNU.sparse.size", size}})
                           .File("s", content)
                           .Done());
  };
  EXPECT_THAT(list("0,5", "5", "abcde"), IsOk());
  EXPECT_THAT(list("0,5,5,0", "5", "abcde"), IsOk());
  EXPECT_THAT(list("0,5", "4", "abcde"), StatusIs(kInvalid));      // beyond the end
  EXPECT_THAT(list("0,4", "9", "abcde"), StatusIs(kInvalid));      // content left over
  EXPECT_THAT(list("0,6", "9", "abcde"), StatusIs(kInvalid));      // content missing
  EXPECT_THAT(list("4,2,0,3", "9", "abcde"), StatusIs(kInvalid));  // descending
  EXPECT_THAT(list("0,3,2,2", "9", "abcde"), StatusIs(kInvalid));  // overlapping
  EXPECT_THAT(list("0,5,1", "9", "abcde"), StatusIs(kInvalid));    // odd
  EXPECT_THAT(list("0,x", "9", "abcde"), StatusIs(kInvalid));      // no number
  EXPECT_THAT(list("-1,5", "9", "abcde"), StatusIs(kInvalid));     // negative
  EXPECT_THAT(list("9223372036854775807,5", "9223372036854775807", "abcde"), StatusIs(kInvalid));
}

TEST(TarReaderSparseTest, Format1MapsThatLieAreRefused) {
  const auto map = [](std::string text) {
    return ReadArchive(TarBuilder().Pax(Sparse10("9999")).File("s", PadToBlock(text)).Done());
  };
  EXPECT_THAT(map("0\n"), IsOk());
  EXPECT_THAT(map("x\n"), StatusIs(kInvalid));
  EXPECT_THAT(map("\n"), StatusIs(kInvalid));
  EXPECT_THAT(map("-1\n"), StatusIs(kInvalid));
  EXPECT_THAT(map("2\n0\n"), StatusIs(kInvalid));
  EXPECT_THAT(map("9999999999999999999999\n"), StatusIs(kInvalid));
  EXPECT_THAT(map("1\n0\n100\n"), StatusIs(kInvalid));  // no content behind the map
}

TEST(TarReaderLimitsTest, EachLimitHolds) {
  const std::string nul(1, '\0');
  Limits limits;
  limits.max_name_bytes = 10;
  EXPECT_THAT(ReadArchive(TarBuilder().File("12345678901").Done(), 512, limits),
              StatusIs(kInvalid));
  EXPECT_THAT(ReadArchive(TarBuilder().Symlink("a", "12345678901").Done(), 512, limits),
              StatusIs(kInvalid));
  EXPECT_THAT(ReadArchive(TarBuilder().File("1234567890").Done(), 512, limits), IsOk());

  limits = {};
  limits.max_depth = 3;
  EXPECT_THAT(ReadArchive(TarBuilder().File("a/b/c/d").Done(), 512, limits), IsOk());
  EXPECT_THAT(ReadArchive(TarBuilder().File("a/b/c/d/e").Done(), 512, limits), StatusIs(kInvalid));

  limits = {};
  limits.max_entries = 2;
  EXPECT_THAT(ReadArchive(TarBuilder().File("a").File("b").Done(), 512, limits), IsOk());
  EXPECT_THAT(ReadArchive(TarBuilder().File("a").File("b").File("c").Done(), 512, limits),
              StatusIs(kExhausted));

  limits = {};
  limits.max_bytes = 10;
  EXPECT_THAT(ReadArchive(TarBuilder().File("a", "12345").File("b", "12345").Done(), 512, limits),
              IsOk());
  EXPECT_THAT(ReadArchive(TarBuilder().File("a", "12345").File("b", "123456").Done(), 512, limits),
              StatusIs(kExhausted));
  EXPECT_THAT(ReadArchive(TarBuilder()
                              .Pax({{"GNU.sparse.map", "0,1"}, {"GNU.sparse.size", "11"}})
                              .File("holes", "x")
                              .Done(),
                          512, limits),
              StatusIs(kExhausted));

  limits = {};
  limits.max_extension_bytes = 100;
  EXPECT_THAT(
      ReadArchive(TarBuilder().Pax({{"comment", std::string(100, 'c')}}).Done(), 512, limits),
      StatusIs(kInvalid));
  EXPECT_THAT(
      ReadArchive(
          TarBuilder().Add({.name = "L", .flag = 'L'}, std::string(101, 'n')).File("f").Done(), 512,
          limits),
      StatusIs(kInvalid));

  limits = {};
  limits.max_sparse_runs = 2;
  EXPECT_THAT(ReadArchive(TarBuilder()
                              .Pax({{"GNU.sparse.map", "0,1,2,1,4,1"}, {"GNU.sparse.size", "11"}})
                              .File("s", "abc")
                              .Done(),
                          512, limits),
              StatusIs(kInvalid));
  EXPECT_THAT(ReadArchive(TarBuilder()
                              .Pax(Sparse10("99"))
                              .File("s", PadToBlock("3\n0\n1\n2\n1\n4\n1\n") + "abc")
                              .Done(),
                          512, limits),
              StatusIs(kInvalid));
}

TEST(TarReaderTest, ErrorsOfTheSourcePassThrough) {
  class Failing final : public BlockReader {
   public:
    absl::StatusOr<std::string_view> NextBlock() override {
      if (std::exchange(first_, false)) return bytes_;
      return Unavailable("network");
    }

   private:
    std::string bytes_ = OneFile().substr(0, 700);
    bool first_ = true;
  };
  Failing source;
  TarReader reader(source);
  Entry entry;
  ASSERT_THAT(reader.Next(entry), IsOk());
  EXPECT_THAT(reader.Next(entry), StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace gantry::archive
