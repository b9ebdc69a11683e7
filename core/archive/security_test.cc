// SPDX-License-Identifier: Apache-2.0
// Archives that try to get out of their root: the field's published failures, and the ways known
// from unpackers' test suites. The fixture checks after each that the world outside is untouched.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fs.h>

#include <array>
#include <atomic>
#include <functional>
#include <random>
#include <thread>

#include "core/archive/testing/apply_fixture.h"
#include "core/archive/testing/overlay_mount.h"
#include "core/base/testing/matchers.h"

namespace gantry::archive {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

using Check = std::function<void(const Path&)>;

Check Holds(std::string file, std::string text) {
  return [=](const Path& root) { EXPECT_EQ(ReadText(root / file), text) << file; };
}
Check Absent(std::string file) {
  return [=](const Path& root) { EXPECT_FALSE(Exists(root / file)) << file; };
}
Check SameInode(std::string one, std::string other) {
  return [=](const Path& root) {
    EXPECT_EQ(StatOf(root / one).st_ino, StatOf(root / other).st_ino) << one << " and " << other;
    EXPECT_TRUE(S_ISREG(StatOf(root / one).st_mode));
  };
}
Check IsLink(std::string file) {
  return [=](const Path& root) { EXPECT_TRUE(S_ISLNK(StatOf(root / file).st_mode)) << file; };
}
Check All(std::vector<Check> checks) {
  return [=](const Path& root) {
    for (const Check& check : checks) check(root);
  };
}

struct Breakout {
  std::string name;
  TarBuilder base;   // the layer below
  TarBuilder layer;  // the hostile one
  Check check;       // empty: the layer is refused
  // Whether unpacking straight into an overlay's upper directory, which follows the symlinks of its
  // own layer alone, ends the same.
  bool direct = true;
};

void PrintTo(const Breakout& breakout, std::ostream* out) { *out << breakout.name; }

TarBuilder Etc() { return TarBuilder().Dir("etc/", "0000770").File("etc/passwd", "inside"); }

std::vector<Breakout> Breakouts() {
  const TarBuilder none;
  return {
      {"SymlinkAbsolute", none,
       TarBuilder().Dir("etc/").Symlink("localetc", "/etc").File("/localetc/new", "in"),
       Holds("etc/new", "in")},
      {"SymlinkUpAndOut", none,
       TarBuilder()
           .Dir("etc/")
           .Dir("dummy/")
           .Symlink("localetc", "/dummy/../etc")
           .File("localetc/new", "in"),
       Holds("etc/new", "in")},
      {"SymlinkMultipleAbsolute", none,
       TarBuilder()
           .Dir("etc/")
           .Dir("dummy/")
           .Symlink("dummy/etc", "/etc")
           .Symlink("localetc", "/dummy/etc")
           .File("localetc/new", "in"),
       Holds("etc/new", "in")},
      {"SymlinkMultipleRelative", none,
       TarBuilder()
           .Dir("etc/")
           .Dir("dummy/")
           .Symlink("dummy/etc", "/etc")
           .Symlink("localetc", "./dummy/etc")
           .File("localetc/new", "in"),
       Holds("etc/new", "in")},
      {"SymlinkFarUp", none,
       TarBuilder()
           .Dir("etc/")
           .Symlink("localetc", "../../../../../../etc")
           .File("localetc/new", "in"),
       Holds("etc/new", "in")},
      {"SymlinkEmptyFile", none,
       TarBuilder().Dir("etc/").File("etc/f", "full").Symlink("l", "/etc").File("/l/f", ""),
       Holds("etc/f", "")},
      {"SymlinkMissingTarget", none,
       TarBuilder().Symlink("l", "missing/../made").File("l/new", "in"),
       All({Holds("made/new", "in"), Absent("missing")})},
      {"SymlinkOwnParent", none, TarBuilder().Symlink("l", "..").File("l/l/l/new", "in"),
       Holds("new", "in")},
      {"SymlinkLoop",
       none,
       TarBuilder().Symlink("a", "b").Symlink("b", "a").File("a/new", "x"),
       {}},
      {"SymlinkParentDirectory", Etc(),
       TarBuilder().Symlink("..", "/etc/").HardLink("localpasswd", "/etc/passwd"),
       SameInode("localpasswd", "etc/passwd")},
      {"SymlinkEmptyFilename", Etc(),
       TarBuilder().Symlink("", "/etc/").HardLink("localpasswd", "/etc/passwd"),
       SameInode("localpasswd", "etc/passwd")},
      {"SymlinkParentRelative", none,
       Etc().Symlink("localetc/sub/..", "/etc/").HardLink("/localetc/local", "/etc/passwd"),
       SameInode("etc/local", "etc/passwd")},
      {"SymlinkSlashEnded", none, Etc().Dir("localetc/").HardLink("/localetc/local", "/etc/passwd"),
       SameInode("localetc/local", "etc/passwd")},
      {"SymlinkOverDirectory", Etc().Dir("localetc/"),
       TarBuilder().Symlink("localetc", "/etc").HardLink("localetc/local", "/etc/passwd"),
       SameInode("etc/local", "etc/passwd")},
      {"SymlinkOverDirectoryRelative", Etc().Dir("localetc/"),
       TarBuilder().Symlink("localetc", "../../etc").HardLink("localetc/local", "/etc/passwd"),
       SameInode("etc/local", "etc/passwd")},
      {"DirectoryOverSymlink", Etc().Symlink("localetc", "/etc"),
       TarBuilder().Dir("/localetc/").HardLink("/localetc/local", "/etc/passwd"),
       All({SameInode("localetc/local", "etc/passwd"), Absent("etc/local")})},
      {"DirectoryOverSymlinkAndHardlink",
       Etc().Symlink("localetc", "etc").HardLink("localetc/local", "/etc/passwd"),
       TarBuilder().Dir("/localetc/").File("/localetc/local", "different"),
       All({Holds("localetc/local", "different"), Holds("etc/passwd", "inside"),
            Holds("etc/local", "inside")})},
      {"SymlinkOverPathAndBack", none,
       TarBuilder()
           .Dir("foo/")
           .Dir("foo/tmp/")
           .File("foo/tmp/breakout", "1")
           .Symlink("foo", "/")
           .File("foo/tmp/breakout", "2")
           .Dir("foo/")
           .Dir("foo/tmp/")
           .File("foo/tmp/breakout", "3"),
       All({Holds("foo/tmp/breakout", "3"), Holds("tmp/breakout", "2")})},
      {"DotDotNames", none,
       TarBuilder().File("../../escaped", "in").File("a/../../up", "in").File("/abs", "in"),
       All({Holds("escaped", "in"), Holds("up", "in"), Holds("abs", "in")})},
      {"TrailingDotNames", none, TarBuilder().File("a./b..", "in").File("...", "in"),
       All({Holds("a./b..", "in"), Holds("...", "in")})},

      {"HardlinkRelative", none,
       Etc().Dir("b/").Symlink("b/d1", "../../etc").HardLink("b/mine", "/b/d1/passwd"),
       SameInode("b/mine", "etc/passwd")},
      {"HardlinkDownAndOut", none,
       Etc()
           .Dir("b/")
           .Dir("down/")
           .Symlink("b/d1", "../down/../../etc")
           .HardLink("b/mine", "/b/d1/passwd"),
       SameInode("b/mine", "etc/passwd")},
      {"HardlinkAbsolute", none, Etc().Symlink("l", "/etc").HardLink("mine", "/l/passwd"),
       SameInode("mine", "etc/passwd")},
      {"HardlinkRelativeLong", none,
       Etc().Symlink("l", "../../../../../../../etc").HardLink("mine", "/l/passwd"),
       SameInode("mine", "etc/passwd")},
      {"HardlinkRelativeUpAndOut", none,
       Etc().Symlink("l", "upandout/../../../etc").HardLink("mine", "/l/passwd"),
       SameInode("mine", "etc/passwd")},
      {"HardlinkDirectRelative", none, Etc().HardLink("mine", "../../../../../etc/passwd"),
       SameInode("mine", "etc/passwd")},
      {"HardlinkDirectAbsolute", none, Etc().HardLink("mine", "/etc/passwd"),
       SameInode("mine", "etc/passwd")},
      {"HardlinkToSymlinkBeforeItsTarget", none,
       TarBuilder()
           .Dir("etc/")
           .Symlink("l", "/etc/passwd")
           .HardLink("dup", "l")
           .File("etc/passwd", "after"),
       All({IsLink("dup"), Holds("etc/passwd", "after")})},
      {"HardlinkToSymlinkRelative", none,
       Etc().Symlink("l", "../../../../../etc/passwd").HardLink("dup", "/l"),
       All({IsLink("dup"), IsLink("l")})},
      {"HardlinkReplacedAfterwards", Etc(),
       TarBuilder().HardLink("mine", "etc/passwd").File("mine", "other"),
       All({Holds("mine", "other"), Holds("etc/passwd", "inside")})},

      {"WhiteoutRootParent", Etc(), TarBuilder().File(".wh..."), {}},
      {"WhiteoutParent", Etc(), TarBuilder().File("etc/.wh..."), {}},
      {"WhiteoutRoot", Etc(), TarBuilder().File(".wh.."), {}},
      {"WhiteoutCurrentDirectory", Etc(), TarBuilder().File("etc/.wh.."), {}},
      {"WhiteoutNothing", Etc(), TarBuilder().File("etc/.wh."), {}},
      {"WhiteoutSymlink", Etc().Symlink("localetc", "/etc"), TarBuilder().File(".wh.localetc"),
       All({Holds("etc/passwd", "inside"), Absent("localetc")})},
      {"WhiteoutThroughSymlink", Etc().File("etc/gone").Symlink("localetc", "/etc"),
       TarBuilder().File("localetc/.wh.gone"),
       All({Holds("etc/passwd", "inside"), Absent("etc/gone")}),
       /*direct=*/false},
      {"WhiteoutThroughSymlinkOfItsLayer", Etc().File("etc/gone"),
       TarBuilder().Symlink("localetc", "/etc").File("localetc/.wh.gone"),
       All({Holds("etc/passwd", "inside"), Absent("etc/gone")})},
      {"WhiteoutDirectoryName", Etc(), TarBuilder().File(".wh.etc/somefile", "kept"),
       All({Holds("etc/passwd", "inside"), Holds(".wh.etc/somefile", "kept")})},
      {"WhiteoutDeadSymlinkParent", Etc().Symlink("localetc", "/dne"),
       TarBuilder().File("localetc/.wh.etc"), Holds("etc/passwd", "inside")},
      {"WhiteoutRelativePath", Etc(), TarBuilder().File("dne/../.wh.etc"), Absent("etc")},
      {"WhiteoutUpAndOut", Etc(), TarBuilder().File("../../.wh.etc"), Absent("etc")},
      {"OpaqueThroughSymlinkOfItsLayer", Etc(),
       TarBuilder().Symlink("l", "../../etc").File("l/.wh..wh..opq").File("l/new", "in"),
       All({Absent("etc/passwd"), Holds("etc/new", "in")})},
      {"OpaqueUpAndOut", Etc(), TarBuilder().File("../.wh..wh..opq"), Absent("etc"),
       /*direct=*/false},  // overlay looks through its own root in any case
  };
}

class BreakoutTest : public ApplyFixture, public ::testing::WithParamInterface<Breakout> {};

TEST_P(BreakoutTest, IntoTheWholeTree) {
  const Breakout& breakout = GetParam();
  ASSERT_THAT(Unpack(breakout.base), IsOk());
  const auto result = Unpack(breakout.layer);
  if (!breakout.check) {
    EXPECT_THAT(result, StatusIs(kInvalid));
    return;
  }
  ASSERT_THAT(result, IsOk());
  breakout.check(root_);
}

TEST_P(BreakoutTest, IntoAnUpperDirectory) {
  gantry::testing::RequirePrivateMounts();
  const Breakout& breakout = GetParam();
  const Path lower = root_ / "lower";
  std::filesystem::create_directory(lower);
  ASSERT_THAT(ApplyTo(lower, breakout.base.Done()), IsOk());
  OverlayDirs overlay(root_, {lower});
  const auto result =
      ApplyTo(overlay.upper, breakout.layer.Done(), OverlayOptions(overlay.LowerNames()));
  if (!breakout.check) {
    EXPECT_THAT(result, StatusIs(kInvalid));
    return;
  }
  ASSERT_THAT(result, IsOk());
  overlay.Mount();
  if (breakout.direct) breakout.check(overlay.merged);
}

INSTANTIATE_TEST_SUITE_P(Security, BreakoutTest, ::testing::ValuesIn(Breakouts()),
                         [](const auto& info) { return info.param.name; });

class SecurityTest : public ApplyFixture {
 protected:
  std::string Outside(const std::string& name) { return (outside_ / name).string(); }
};

// A link entry with the mode of a file outside, in the forms that lead a naive unpacker there.
TEST_F(SecurityTest, CVE_2021_32760_ChmodThroughALinkChangesNothingOutside) {
  ASSERT_EQ(::chmod(Outside("file").c_str(), 0400), 0);
  outside_before_ = ListTree(outside_);
  // A symlink to the file outside, and a hard link to that symlink, which carries a mode.
  ASSERT_THAT(Unpack(TarBuilder()
                         .Symlink("link", Outside("file"))
                         .Add({.name = "sketchy",
                               .flag = '1',
                               .link = "link",
                               .mode = "0004777",
                               .uid = "0000001"})),
              IsOk());
  EXPECT_TRUE(S_ISLNK(StatOf(root_ / "sketchy").st_mode));
  // The same names as those that exist outside, absolute.
  const std::string same = Outside("file");
  ASSERT_THAT(Unpack(TarBuilder()
                         .Symlink(same, same)
                         .Add({.name = "sketchy2", .flag = '1', .link = same, .mode = "0004777"})),
              IsOk());
  // Through a symlinked directory.
  ASSERT_THAT(Unpack(TarBuilder()
                         .Symlink("up", outside_.string())
                         .Add({.name = "up/dir/", .flag = '5', .mode = "0000777"})
                         .Add({.name = "up/file", .mode = "0004777"}, "mine")),
              IsOk());
  // A symlink's own mode means nothing.
  ASSERT_THAT(Unpack(TarBuilder().Add({.name = "s",
                                       .flag = '2',
                                       .link = Outside("file"),
                                       .mode = "0000000",
                                       .uid = "0000001"})),
              IsOk());
}

// Somebody exchanges a directory for a symlink between its resolution and its use.
TEST_F(SecurityTest, CVE_2025_47290_SwappedParentsNeverLeadOutside) {
  const Path dir = root_ / "dir";
  const Path evil = root_ / "evil";
  std::filesystem::create_directory(dir);
  std::filesystem::create_symlink(outside_, evil);
  std::atomic<bool> done = false;
  std::jthread swapper([&] {
    while (!done) ::renameat2(AT_FDCWD, dir.c_str(), AT_FDCWD, evil.c_str(), RENAME_EXCHANGE);
  });
  TarBuilder tar;
  for (int i = 0; i < 150; ++i) {
    const std::string name = std::to_string(i);
    tar.File("dir/file", "hostile").Symlink("dir/s" + name, "x").File("dir/.wh.inner");
    tar.HardLink("dir/h" + name, "dir/file").File("dir/dir/.wh.inner").File("dir/.wh.dir");
    // Entries elsewhere push the directory out of the open ones.
    for (int j = 0; j < 3; ++j) tar.File(fmt::format("else{}-{}/f", name, j));
  }
  tar.File("dir/.wh..wh..opq");
  for (int round = 0; round < 3; ++round) {
    // Whether it succeeds depends on the race; where it writes must not.
    Unpack(tar).IgnoreError();
    Unpack(tar, OverlayOptions()).IgnoreError();
  }
  done = true;
}

TEST_F(SecurityTest, CVE_2018_15664_AnArchiveNeverWritesThroughALinkIntoTheHost) {
  ASSERT_THAT(Unpack(TarBuilder().Symlink("w", Outside("file")).File("w", "hostile")), IsOk());
  EXPECT_EQ(ReadText(root_ / "w"), "hostile");
  ASSERT_THAT(Unpack(TarBuilder().Symlink("d", Outside("dir")).File("d/inner", "hostile")), IsOk());
}

TEST_F(SecurityTest, CVE_2021_41089_PermissionsAboveTheRootStay) {
  const mode_t before = StatOf(temp_.path()).st_mode;
  ASSERT_THAT(Unpack(TarBuilder()
                         .Dir("../", "0000777")
                         .Dir("..", "0000777")
                         .Dir("a/../..", "0000777")
                         .Symlink("up", "..")
                         .Dir("up/", "0000777")),
              IsOk());
  EXPECT_EQ(StatOf(temp_.path()).st_mode, before);
}

TEST_F(SecurityTest, MagicLinksOfProcCountAsTheTextTheyShow) {
  std::filesystem::create_directory(root_ / "proc");
  ASSERT_EQ(::mount("proc", (root_ / "proc").c_str(), "proc", 0, nullptr), 0);
  const auto result = Unpack(TarBuilder().File("proc/self/root/" + Outside("new"), "hostile"));
  EXPECT_EQ(::umount2((root_ / "proc").c_str(), MNT_DETACH), 0);
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(ReadText(root_ / Path(Outside("new")).relative_path()), "hostile");
}

TEST_F(SecurityTest, RemovalDoesNotFollowLinksOrCrossMounts) {
  std::filesystem::create_directories(root_ / "d/mounted");
  std::filesystem::create_symlink(outside_, root_ / "d/link");
  ASSERT_EQ(::mount(outside_.c_str(), (root_ / "d/mounted").c_str(), "", MS_BIND, nullptr), 0);
  EXPECT_FALSE(Unpack(TarBuilder().File(".wh.d")).ok());
  EXPECT_FALSE(Unpack(TarBuilder().File("d/.wh..wh..opq")).ok());
  EXPECT_EQ(::umount2((root_ / "d/mounted").c_str(), MNT_DETACH), 0);
  EXPECT_THAT(Unpack(TarBuilder().File(".wh.d")), IsOk());
}

// An upper directory must not get overlay's own attributes from an archive: a redirect would show
// another directory, a metacopy another file's content.
TEST_F(SecurityTest, OverlaysOwnAttributesAreNotTakenFromArchives) {
  ASSERT_THAT(Unpack(TarBuilder()
                         .Pax({{"SCHILY.xattr.trusted.overlay.redirect", "/etc"},
                               {"SCHILY.xattr.trusted.overlay.opaque", "y"}})
                         .Dir("d/")
                         .Pax({{"SCHILY.xattr.trusted.overlay.metacopy", ""}})
                         .File("f"),
                     OverlayOptions()),
              IsOk());
  EXPECT_EQ(XattrsText(root_ / "d"), "");
  EXPECT_EQ(XattrsText(root_ / "f"), "");
}

TEST_F(SecurityTest, ManyOpaqueMarkersCostOneWalkPerDirectory) {
  WriteText(root_ / "old", "old");
  TarBuilder tar;
  for (int i = 0; i < 1000; ++i) tar.File("f" + std::to_string(i)).File(".wh..wh..opq");
  ASSERT_THAT(Unpack(tar), IsOk());
  EXPECT_EQ(PathsIn(root_).size(), 1000u);
}

TEST_F(SecurityTest, DeepNestingIsBoundedAndRemovable) {
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "d/";
  ASSERT_THAT(Unpack(TarBuilder().Pax({{"path", deep + "f"}}).File("x")), IsOk());
  EXPECT_THAT(Unpack(TarBuilder().Pax({{"path", deep + deep + "f"}}).File("x")),
              StatusIs(kInvalid));
  // Deeper through a symlink; what results is longer than a path may be.
  TarBuilder tar;
  for (int i = 0; i < 4; ++i) {
    tar.Pax({{"path", fmt::format("l{}", i)},
             {"linkpath", (i > 0 ? fmt::format("l{}/", i - 1) : "") + deep}})
        .Symlink("x", "x")
        .Pax({{"path", fmt::format("l{}/{}f", i, deep)}})
        .File("x");
  }
  Unpack(tar).IgnoreError();  // the kernel may refuse
  ASSERT_THAT(Unpack(TarBuilder().File(".wh.d")), IsOk());
  EXPECT_FALSE(Exists(root_ / "d"));
}

// Bytes changed at random in archives that try much already. The fixture sees to the world outside.
TEST_F(SecurityTest, MutatedArchivesStayInside) {
  std::mt19937 random(7);
  const std::string seed = TarBuilder()
                               .Dir("etc/")
                               .File("etc/f", "x")
                               .Symlink("up", "../../" + outside_.filename().string())
                               .File("up/new", "x")
                               .HardLink("up/hard", "etc/f")
                               .File("up/.wh.file")
                               .File("up/.wh..wh..opq")
                               .Dir("up/dir/", "0000777")
                               .Add({.name = "up/fifo", .flag = '6'})
                               .Done();
  for (int i = 0; i < 200; ++i) {
    std::string bytes = seed;
    for (int change = 0; change < 4; ++change) {
      const size_t block = random() % (bytes.size() / kBlockBytes) * kBlockBytes;
      // In the name, the link or the type, which need no number to stay well-formed.
      const Field field = std::array{kName, kLink, kTypeFlag}[random() % 3];
      static constexpr std::string_view kBytes("./\0wh0123456789up", 17);
      bytes[block + field.offset + random() % std::min<size_t>(field.size, 12)] =
          kBytes[random() % kBytes.size()];
      std::string header = bytes.substr(block, kBlockBytes);
      SetChecksum(header);
      bytes.replace(block, kBlockBytes, header);
    }
    ApplyTo(root_, bytes, i % 2 == 0 ? ApplyOptions{} : OverlayOptions()).IgnoreError();
  }
}

}  // namespace
}  // namespace gantry::archive
