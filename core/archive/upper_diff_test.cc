// SPDX-License-Identifier: Apache-2.0
// The walk through an upper directory gives the bytes of the walk through both merged trees.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <random>

#include "core/archive/testing/apply_fixture.h"
#include "core/archive/testing/compare_fixture.h"
#include "core/base/testing/matchers.h"

namespace gantry::archive {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using std::filesystem::create_directory;
using std::filesystem::remove;
using std::filesystem::remove_all;
using ::testing::ElementsAre;

class UpperDiffTest : public ::testing::Test {
 protected:
  void SetUp() override {
    gantry::testing::RequirePrivateMounts();
    if (IsSkipped()) return;
    near_ = temp_.path() / "near";
    far_ = temp_.path() / "far";
    create_directory(near_);
    create_directory(far_);
  }

  // Stacks the layers and shows the lower ones without the upper.
  void Mount(const std::string& more = "redirect_dir=off,metacopy=off") {
    overlay_ = std::make_unique<OverlayDirs>(temp_.path(), std::vector<Path>{near_, far_});
    overlay_->Mount(more);
    left_ = std::make_unique<OverlayDirs>(temp_.path() / "left", std::vector<Path>{near_, far_});
    left_->Mount();
  }

  const Path& merged() const { return overlay_->merged; }

  absl::StatusOr<std::string> Slow() { return DiffOf(left_->merged, overlay_->merged); }
  absl::StatusOr<std::string> Fast() { return UpperDiffOf(left_->merged, overlay_->upper); }

  void ExpectEqualWays() {
    const auto slow = Slow();
    const auto fast = Fast();
    ASSERT_THAT(slow, IsOk());
    ASSERT_THAT(fast, IsOk());
    EXPECT_EQ(EntriesOf(slow), EntriesOf(fast));
    EXPECT_TRUE(*slow == *fast);
  }

  // The left tree with the layer applied is the right tree.
  void ExpectApplies() {
    const auto diff = Fast();
    ASSERT_THAT(diff, IsOk());
    const Path copy = temp_.path() / "copy";
    remove_all(copy);
    CopyTree(left_->merged, copy);
    ASSERT_THAT(ApplyTo(copy, *diff), IsOk());
    // Times of directories that a deletion or a link touched are not part of a layer, fractions of
    // seconds neither.
    const ListingOptions options = {.mtime = false};
    EXPECT_EQ(ListTree(copy, options), ListTree(merged(), options));
  }

  gantry::testing::TempDir temp_;
  Path near_;
  Path far_;
  std::unique_ptr<OverlayDirs> overlay_;
  std::unique_ptr<OverlayDirs> left_;
};

TEST_F(UpperDiffTest, AnUnchangedOverlayGivesNothing) {
  WriteText(far_ / "f", "x");
  Mount();
  EXPECT_EQ(Fast().value_or(""), std::string(1024, '\0'));
  ExpectEqualWays();
}

TEST_F(UpperDiffTest, WhiteoutsAndAdditions) {
  create_directory(far_ / "d");
  WriteText(far_ / "d/gone", "x");
  WriteText(near_ / "gone", "x");
  Mount();
  remove(merged() / "d/gone");
  remove(merged() / "gone");
  WriteText(merged() / "new", "n");
  EXPECT_THAT(EntriesOf(Fast()),
              ElementsAre("d/ 755", "d/.wh.gone 0", ".wh.gone 0", "new 644 : n"));
  ExpectEqualWays();
  ExpectApplies();
}

TEST_F(UpperDiffTest, AnOpaqueDirectoryBecomesWhiteoutsOfWhatItHides) {
  for (const Path& layer : {near_, far_}) {
    create_directory(layer / "d");
    create_directory(layer / "d/sub");
    WriteText(layer / ("d/" + layer.filename().string()), "x");
    WriteText(layer / "d/sub/f", "x");
  }
  Mount();
  remove_all(merged() / "d");
  create_directory(merged() / "d");
  create_directory(merged() / "d/sub");
  WriteText(merged() / "d/sub/g", "new");
  ASSERT_EQ(XattrOf(overlay_->upper / "d", "trusted.overlay.opaque"), "y");
  EXPECT_THAT(EntriesOf(Fast()), ElementsAre("d/ 755", "d/.wh.far 0", "d/.wh.near 0", "d/sub/ 755",
                                             "d/sub/.wh.f 0", "d/sub/g 644 : new"));
  ExpectEqualWays();
  ExpectApplies();
}

TEST_F(UpperDiffTest, WhatWasCopiedUpButIsUnchangedIsLeftOut) {
  WriteText(far_ / "f", "x");
  create_directory(far_ / "d");
  WriteText(far_ / "d/g", "x");
  Mount();
  ASSERT_EQ(::chmod((merged() / "f").c_str(), 0600), 0);
  ASSERT_EQ(::chmod((merged() / "f").c_str(), 0644), 0);
  ASSERT_EQ(::chmod((merged() / "d/g").c_str(), 0644), 0);
  ASSERT_TRUE(Exists(overlay_->upper / "d/g"));
  EXPECT_EQ(Fast().value_or(""), std::string(1024, '\0'));
  ExpectEqualWays();
}

TEST_F(UpperDiffTest, HardLinksInTheUpperDirectory) {
  WriteText(far_ / "a", "x");
  WriteText(far_ / "lone", "x");
  Mount();
  std::filesystem::create_hard_link(merged() / "a", merged() / "b");
  WriteText(merged() / "n1", "n");
  std::filesystem::create_hard_link(merged() / "n1", merged() / "n2");
  EXPECT_THAT(EntriesOf(Fast()),
              ElementsAre("b 644 : x", "a 644 = b", "n1 644 : n", "n2 644 = n1"));
  ExpectEqualWays();
  ExpectApplies();
}

TEST_F(UpperDiffTest, TypesThatChange) {
  create_directory(far_ / "dir");
  WriteText(far_ / "dir/f", "x");
  WriteText(far_ / "file", "x");
  std::filesystem::create_symlink("x", far_ / "link");
  Mount();
  remove_all(merged() / "dir");
  WriteText(merged() / "dir", "file now");
  remove(merged() / "file");
  create_directory(merged() / "file");
  WriteText(merged() / "file/f", "y");
  remove(merged() / "link");
  ASSERT_EQ(::mkfifo((merged() / "link").c_str(), 0600), 0);
  ExpectEqualWays();
  ExpectApplies();
}

TEST_F(UpperDiffTest, RedirectsAndMetadataCopiesAreLeftToTheKernel) {
  create_directory(far_ / "d");
  WriteText(far_ / "d/f", "x");
  Mount("redirect_dir=on,metacopy=off");
  ASSERT_EQ(::rename((merged() / "d").c_str(), (merged() / "e").c_str()), 0);
  EXPECT_THAT(Fast(), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(EntriesOf(Slow()), ElementsAre(".wh.d 0", "e/ 755", "e/f 644 : x"));
}

TEST_F(UpperDiffTest, MetadataCopiesAreLeftToTheKernel) {
  WriteText(far_ / "f", "x");
  Mount("redirect_dir=on,metacopy=on");
  ASSERT_EQ(::chmod((merged() / "f").c_str(), 0600), 0);
  EXPECT_THAT(Fast(), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(EntriesOf(Slow()), ElementsAre("f 600 : x"));
}

// Random changes to a random tree; the same ones in each run.
class RandomChanges {
 public:
  RandomChanges(Path root, unsigned seed) : root_(std::move(root)), random_(seed) {}

  void Grow(int count) {
    for (int i = 0; i < count; ++i) Create(Place());
  }
  void Change(int count) {
    for (int i = 0; i < count; ++i) {
      const Path path = Pick();
      if (path.empty()) return Grow(1);
      ChangeOne(path);
    }
  }

 private:
  unsigned Below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }

  std::vector<Path> All() {
    std::vector<Path> paths;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root_)) {
      paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    return paths;
  }
  Path Pick() {
    const std::vector<Path> paths = All();
    return paths.empty() ? Path() : paths[Below(paths.size())];
  }
  Path Place() {
    Path directory = Pick();
    if (directory.empty() ||
        !std::filesystem::is_directory(std::filesystem::symlink_status(directory))) {
      directory = root_;
    }
    static constexpr std::array<const char*, 8> kNames = {"a", "a-b", "b", "c.d",
                                                          "e", "f",   "g", "z"};
    return directory / kNames[Below(kNames.size())];
  }
  void Touch(const Path& path) {
    SetMtime(path, 1'000'000 + Below(3), Below(2) == 0 ? 0 : Below(3));
  }
  void Create(const Path& path) {
    if (Exists(path)) return;
    switch (Below(6)) {
      case 0:
      case 1:
        create_directory(path);
        return;
      case 2:
        std::filesystem::create_symlink(Below(2) == 0 ? "a" : "b", path);
        break;
      case 3:
        ASSERT_EQ(::mknod(path.c_str(), S_IFCHR | 0600, makedev(1, 3)), 0);
        break;
      default:
        WriteText(path, std::string(Below(3), static_cast<char>('p' + Below(3))));
    }
    Touch(path);
  }
  void ChangeOne(const Path& path) {
    const mode_t type = StatOf(path).st_mode & S_IFMT;
    switch (Below(9)) {
      case 0:
        remove_all(path);
        break;
      case 1:  // in place of what was there
        remove_all(path);
        Create(path);
        break;
      case 2:
        if (type != S_IFLNK) {
          ASSERT_EQ(::chmod(path.c_str(), 0600 + Below(3) * 8), 0);
        }
        break;
      case 3:
        ASSERT_EQ(::lchown(path.c_str(), Below(2), Below(2)), 0);
        break;
      case 4:
        if (type == S_IFREG) WriteText(path, std::string(Below(3), 'q'));
        break;
      case 5:
        Touch(path);
        break;
      case 6:
        if (const Path name = Place(); type != S_IFDIR && !Exists(name)) {
          ASSERT_EQ(::linkat(AT_FDCWD, path.c_str(), AT_FDCWD, name.c_str(), 0), 0);
        }
        break;
      case 7:
        if (const Path name = Place(); type != S_IFDIR && !Exists(name)) {
          ASSERT_EQ(::rename(path.c_str(), name.c_str()), 0);
        }
        break;
      default:
        Create(Place());
    }
  }

  Path root_;
  std::mt19937 random_;
};

TEST_F(UpperDiffTest, RandomChangesGiveEqualBytesAndApply) {
  for (unsigned seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    left_.reset();
    overlay_.reset();
    for (const auto& entry : std::filesystem::directory_iterator(temp_.path())) {
      remove_all(entry.path());
    }
    create_directory(near_);
    create_directory(far_);
    RandomChanges(far_, seed).Grow(40);
    RandomChanges(near_, seed + 100).Grow(15);
    Mount();
    RandomChanges(merged(), seed + 200).Change(50);
    ExpectEqualWays();
    ExpectApplies();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace gantry::archive
