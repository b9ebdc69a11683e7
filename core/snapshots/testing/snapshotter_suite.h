// SPDX-License-Identifier: Apache-2.0
// What every snapshotter must do, with real mounts. For one test source of each snapshotter's room:
//   INSTANTIATE_TEST_SUITE_P(Overlay, SnapshotterSuite, ::testing::Values(SuiteParam{…}));
#pragma once

#include <sys/sysmacros.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "core/snapshots/testing/suite_fixture.h"

namespace gantry::snapshots {

using SuiteCode = absl::StatusCode;
using testing::IsOk;
using testing::StatusIs;
using testing::Tree;

TEST_P(SnapshotterSuite, LivesFromPrepareToRemove) {
  Layer("base", "", [](const Tree& tree) {
    tree.File("foo", "foo\n", 0777);
    tree.Dir("a");
    tree.Dir("a/b");
    tree.Dir("a/b/c");
  });
  auto base = Stat("base");
  ASSERT_THAT(base, IsOk());
  EXPECT_EQ(base->kind, Kind::kCommitted);
  EXPECT_EQ(base->parent, "");
  EXPECT_THAT(Stat("base-key"), StatusIs(SuiteCode::kNotFound));

  WithMounted(Prepare("next", "base"), [](const auto& at) {
    EXPECT_TRUE(std::filesystem::exists(at / "a/b/c"));
    Tree(at).File("bar", "bar\n");
    Tree(at).File("foo", "changed\n");
    Tree(at).Remove("a/b");
  });
  EXPECT_EQ(Stat("next")->kind, Kind::kActive);
  EXPECT_EQ(Stat("next")->parent, "base");
  ASSERT_THAT(Commit("top", "next"), IsOk());
  WithMounted(View("view", "top"), [](const auto& at) {
    EXPECT_FALSE(std::filesystem::exists(at / "a/b"));
    EXPECT_TRUE(std::filesystem::exists(at / "bar"));
  });
  EXPECT_EQ(Stat("view")->kind, Kind::kView);
  EXPECT_EQ(Stat(Stat("top")->parent)->parent, "");
  EXPECT_EQ(List(), (std::vector<std::string>{"base", "top", "view"}));
  EXPECT_THAT(Remove("base"), StatusIs(SuiteCode::kFailedPrecondition));
  for (const std::string name : {"view", "top", "base"}) EXPECT_THAT(Remove(name), IsOk());
  EXPECT_THAT(Remove("base"), StatusIs(SuiteCode::kNotFound));
  EXPECT_THAT(Cleanup(), IsOk());
}

TEST_P(SnapshotterSuite, AKeyInUseIsRefusedWhateverItsKind) {
  Layer("committed", "", [](const Tree&) {});
  ASSERT_THAT(Prepare("active", "committed"), IsOk());
  ASSERT_THAT(View("view", "committed"), IsOk());
  for (const std::string key : {"committed", "active", "view"}) {
    EXPECT_THAT(Prepare(key, "committed"), StatusIs(SuiteCode::kAlreadyExists)) << key;
    EXPECT_THAT(View(key, "committed"), StatusIs(SuiteCode::kAlreadyExists)) << key;
    EXPECT_THAT(Commit(key, "active"), StatusIs(SuiteCode::kAlreadyExists)) << key;
  }
}

TEST_P(SnapshotterSuite, WrongKindsAndMissingParentsAreRefused) {
  Layer("committed", "", [](const Tree&) {});
  ASSERT_THAT(Prepare("active"), IsOk());
  ASSERT_THAT(View("view", "committed"), IsOk());
  EXPECT_THAT(Prepare("x", "absent"), StatusIs(SuiteCode::kNotFound));
  EXPECT_THAT(Prepare("x", "active"), StatusIs(SuiteCode::kInvalidArgument));
  EXPECT_THAT(View("x", "view"), StatusIs(SuiteCode::kInvalidArgument));
  EXPECT_THAT(Commit("x", "view"), StatusIs(SuiteCode::kFailedPrecondition));
  EXPECT_THAT(Commit("x", "committed"), StatusIs(SuiteCode::kFailedPrecondition));
  EXPECT_THAT(Commit("x", "absent"), StatusIs(SuiteCode::kNotFound));
  EXPECT_THAT(Mounts("committed"), StatusIs(SuiteCode::kFailedPrecondition));
  EXPECT_THAT(Mounts("absent"), StatusIs(SuiteCode::kNotFound));
  EXPECT_THAT(UsageOf("absent"), StatusIs(SuiteCode::kNotFound));
  EXPECT_THAT(Stat("x"), StatusIs(SuiteCode::kNotFound));
}

TEST_P(SnapshotterSuite, AKeyIsFreeAfterRemove) {
  Layer("committed", "", [](const Tree&) {});
  ASSERT_THAT(Prepare("key", "committed"), IsOk());
  ASSERT_THAT(Remove("key"), IsOk());
  ASSERT_THAT(View("key", "committed"), IsOk());
  ASSERT_THAT(Remove("key"), IsOk());
  ASSERT_THAT(Prepare("key"), IsOk());
  ASSERT_THAT(Remove("committed"), IsOk());
  ASSERT_THAT(Commit("committed", "key"), IsOk());
  EXPECT_EQ(Stat("committed")->kind, Kind::kCommitted);
}

TEST_P(SnapshotterSuite, MountsCanBeAskedForAgain) {
  Layer("base", "", [](const Tree&) {});
  Layer("top", "base", [](const Tree&) {});
  for (const std::string parent : {"", "base", "top"}) {
    const auto active = Prepare("active on " + parent, parent);
    const auto view = View("view of " + parent, parent);
    ASSERT_THAT(active, IsOk());
    ASSERT_THAT(view, IsOk());
    EXPECT_THAT(Mounts("active on " + parent), testing::IsOkAndHolds(*active));
    EXPECT_THAT(Mounts("view of " + parent), testing::IsOkAndHolds(*view));
  }
}

TEST_P(SnapshotterSuite, UpdateChangesLabelsAlone) {
  const absl::Time before = absl::Now();
  Layer("committed", "", [](const Tree&) {});
  ASSERT_THAT(Prepare("active", "committed"), IsOk());
  ASSERT_THAT(View("view"), IsOk());
  const absl::Time after = absl::Now();
  for (const std::string key : {"committed", "active", "view"}) {
    const auto made = Stat(key);
    ASSERT_THAT(made, IsOk());
    EXPECT_TRUE(made->created_at >= before && made->created_at <= after) << key;
    EXPECT_EQ(made->created_at, made->updated_at) << key;
    Info wanted = *made;
    wanted.parent = "other";
    wanted.labels = {{"l1", "v1"}, {"l2", "v2"}, {"l3", "v3"}};
    auto updated = Update(wanted);
    ASSERT_THAT(updated, IsOk());
    EXPECT_EQ(updated->labels, wanted.labels);
    EXPECT_EQ(updated->parent, made->parent);
    EXPECT_EQ(updated->kind, made->kind);
    EXPECT_EQ(updated->created_at, made->created_at);
    EXPECT_GE(updated->updated_at, after);
    wanted.labels = {{"l1", "updated"}, {"l4", "v4"}};
    updated = Update(wanted, {"labels.l1", "labels.l2"});
    ASSERT_THAT(updated, IsOk());
    EXPECT_EQ(updated->labels, (Labels{{"l1", "updated"}, {"l3", "v3"}}));
    updated = Update(wanted, {"labels"});
    ASSERT_THAT(updated, IsOk());
    EXPECT_EQ(updated->labels, wanted.labels);
    EXPECT_THAT(Update(wanted, {"parent"}), StatusIs(SuiteCode::kInvalidArgument));
  }
}

TEST_P(SnapshotterSuite, ListsWhatMatchesAndMayBeCalledFromWithin) {
  Layer("p", "", [](const Tree&) {});
  ASSERT_THAT(Prepare("base"), IsOk());
  ASSERT_THAT(Prepare("a", "p", {{"l", "1"}}), IsOk());
  ASSERT_THAT(View("v", "p", {{"l", "2"}}), IsOk());
  using Names = std::vector<std::string>;
  EXPECT_EQ(List(), (Names{"a", "base", "p", "v"}));
  EXPECT_EQ(List([](const Info& info) { return info.kind == Kind::kActive; }),
            (Names{"a", "base"}));
  EXPECT_EQ(List([](const Info& info) { return info.kind == Kind::kView; }), (Names{"v"}));
  EXPECT_EQ(List([](const Info& info) { return info.parent == "p"; }), (Names{"a", "v"}));
  EXPECT_EQ(List([](const Info& info) { return info.labels.contains("l"); }), (Names{"a", "v"}));
  EXPECT_EQ(List([&](const Info& info) { return Stat(info.name)->name == "base"; }),
            (Names{"base"}));
}

TEST_P(SnapshotterSuite, AFreshRootIsRootsAndReadableByAll) {
  const auto check = [](const std::filesystem::path& at) {
    struct stat info {};
    ASSERT_EQ(::stat(at.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0755U);
    EXPECT_EQ(info.st_uid, 0U);
    EXPECT_EQ(info.st_gid, 0U);
  };
  const mode_t mask = ::umask(0077);
  WithMounted(Prepare("active"), check);
  WithMounted(View("view"), check);
  ASSERT_THAT(Commit("base", "active"), IsOk());
  WithMounted(Prepare("child", "base"), check);
  ::umask(mask);
}

TEST_P(SnapshotterSuite, AViewCannotBeWritten) {
  Layer("base", "", [](const Tree& tree) { tree.File("file", "x"); });
  Layer("top", "base", [](const Tree& tree) { tree.File("other", "y"); });
  for (const std::string parent : {"", "base", "top"}) {
    WithMounted(View("view of " + parent, parent), [&](const auto& at) {
      EXPECT_FALSE(std::ofstream(at / "new") << "x") << parent;
      EXPECT_FALSE(std::filesystem::exists(at / "new"));
      if (parent.empty()) return;
      EXPECT_FALSE(std::ofstream(at / "file") << "z") << parent;
    });
  }
}

TEST_P(SnapshotterSuite, ChangedFilesShowInTheChildAlone) {
  CheckChain({[](const Tree& tree) {
                tree.Dir("etc", 0700);
                tree.File("etc/hosts", "mydomain 10.0.0.1");
                tree.File("etc/profile", "PATH=/usr/bin");
              },
              [](const Tree& tree) {
                tree.File("etc/hosts", "mydomain 10.0.0.2");
                tree.File("etc/profile", "PATH=/usr/bin", 0666);
                tree.Dir("root", 0700);
                tree.File("root/.bashrc", "PATH=/usr/sbin:/usr/bin");
              }});
}

TEST_P(SnapshotterSuite, DeletedFilesAreAbsentFromTheChild) {
  CheckChain({[](const Tree& tree) {
                tree.File("foo", "foo\n");
                tree.File("foobar", "foobar\n");
                tree.Dir("dir");
                tree.File("dir/inner", "x");
              },
              [](const Tree& tree) {
                tree.Remove("foobar");
                tree.Remove("dir");
              },
              [](const Tree&) {}});
}

TEST_P(SnapshotterSuite, ADirectoryMadeAnewHidesTheOldOnesContent) {
  CheckChain({[](const Tree& tree) {
                tree.Dir("lib", 0700);
                tree.File("lib/hidden", "");
              },
              [](const Tree& tree) {
                tree.Remove("lib");
                tree.Dir("lib", 0700);
                tree.File("lib/not-hidden", "");
              },
              [](const Tree& tree) { tree.File("lib/newfile", ""); }});
}

TEST_P(SnapshotterSuite, OwnersChange) {
  CheckChain({[](const Tree& tree) {
                tree.Dir("opt", 0700);
                tree.Dir("opt/a", 0700);
                tree.File("opt/a/file.txt", "hello");
              },
              [](const Tree& tree) {
                for (const char* path : {"opt", "opt/a", "opt/a/file.txt"}) tree.Chown(path, 1, 2);
              }});
}

TEST_P(SnapshotterSuite, ModesOwnersAndTimesOfDirectoriesSurviveTheCommit) {
  std::vector<std::string> wanted;
  WithMounted(Prepare("key"), [&](const auto& at) {
    const Tree tree(at);
    for (const char* path : {"dir1", "dir2", "dir3", "dir3/inner"}) tree.Dir(path, 0700);
    tree.File("dir1/f", "x", 04755);
    tree.Chmod("dir1", 01777);
    tree.Chmod("dir3/inner", 02750);
    tree.Chown("dir2", 1000, 1001);
    for (const char* path : {"dir1/f", "dir1", "dir2", "dir3/inner", "dir3", ""})
      tree.Touch(path, 1'234'567'890);
    wanted = testing::ReadTree(at, /*with_times=*/true);
  });
  ASSERT_THAT(Commit("base", "key"), IsOk());
  WithMounted(View("view", "base"), [&](const auto& at) {
    EXPECT_EQ(testing::ReadTree(at, /*with_times=*/true), wanted);
  });
  // What is below the root must also reach a child; its root is its own.
  wanted.erase(wanted.begin());
  WithMounted(Prepare("child", "base"), [&](const auto& at) {
    auto found = testing::ReadTree(at, /*with_times=*/true);
    found.erase(found.begin());
    EXPECT_EQ(found, wanted);
  });
}

TEST_P(SnapshotterSuite, FilesMoveBetweenDirectories) {
  CheckChain({[](const Tree& tree) {
                tree.Dir("dir1", 0700);
                tree.File("dir1/f1", "Hello");
                tree.Dir("dir2", 0700);
                tree.File("dir2/f2", "...");
              },
              [](const Tree& tree) {
                tree.Dir("dir3", 0700);
                tree.File("dir3/f1", "Hello");
                tree.Remove("dir1");
                tree.Link("dir2/f2", "dir3/f2");
                tree.Remove("dir2/f2");
              }});
}

TEST_P(SnapshotterSuite, FilesAndDirectoriesAreRenamed) {
  CheckChain({[](const Tree& tree) {
                tree.Dir("dir1", 0700);
                tree.Dir("somefiles", 0700);
                tree.File("somefiles/f1", "was here first!");
                tree.File("somefiles/f2", "nothing interesting");
              },
              [](const Tree& tree) {
                if (GetParam().renames_directories) tree.Rename("dir1", "dir2");
                tree.File("somefiles/new", "new content");
                tree.Rename("somefiles/new", "somefiles/f1");
                tree.Rename("somefiles/f2", "somefiles/f3");
              }});
}

TEST_P(SnapshotterSuite, HardLinksStayLinked) {
  CheckChain({[](const Tree& tree) {
                tree.Dir("d");
                tree.File("a", "1");
                tree.Link("a", "b");
                tree.Link("a", "d/c");
              },
              [](const Tree& tree) {
                tree.File("x", "2");
                tree.Link("x", "d/y");
                tree.Remove("b");
              }});
}

TEST_P(SnapshotterSuite, EveryKindOfFileAndAttributeIsKept) {
  CheckChain({[](const Tree& tree) {
                tree.File("file", "x");
                tree.Dir("dir");
                tree.Symlink("../nowhere", "dir/link");
                tree.Device("dir/fifo", S_IFIFO, 0);
                tree.Device("null", S_IFCHR, makedev(1, 3));
                tree.Xattr("file", "trusted.one", "1");
                tree.Xattr("dir", "trusted.two", std::string("b\0in", 4));
                // A file capability: cap_net_raw, permitted and effective.
                tree.Xattr("file", "security.capability",
                           std::string("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00"
                                       "\x00\x00\x00\x00\x00\x00\x00\x00",
                                       20));
              },
              [](const Tree& tree) {
                tree.Xattr("file", "trusted.one", "2");
                tree.Chown("dir/link", 3, 4);
                tree.Remove("null");
              }});
}

TEST_P(SnapshotterSuite, AParentInBetweenCannotBeRemoved) {
  Layer("a", "", [](const Tree&) {});
  Layer("b", "a", [](const Tree&) {});
  ASSERT_THAT(Prepare("c", "b"), IsOk());
  EXPECT_THAT(Remove("b"), StatusIs(SuiteCode::kFailedPrecondition));
  for (const std::string name : {"c", "b", "a"}) EXPECT_THAT(Remove(name), IsOk());
}

TEST_P(SnapshotterSuite, UsageIsThatOfTheLayerAlone) {
  const std::string block(1 << 20, 'x');
  Layer("base", "", [&](const Tree& tree) { tree.File("big", block); });
  WithMounted(Prepare("key", "base"), [&](const auto& at) {
    Tree(at).File("small", std::string(1 << 16, 'y'));
    Tree(at).Link("small", "again");
    ::sync();  // Blocks are counted once they are allocated.
    const auto usage = UsageOf("key");
    ASSERT_THAT(usage, IsOk());
    EXPECT_GE(usage->size_bytes, 1 << 16);
    EXPECT_GE(usage->inodes, 2);
  });
  const auto active = UsageOf("key");
  ASSERT_THAT(Commit("top", "key"), IsOk());
  const auto base = UsageOf("base");
  const auto top = UsageOf("top");
  ASSERT_THAT(base, IsOk());
  ASSERT_THAT(top, IsOk());
  EXPECT_GE(base->size_bytes, 1 << 20);
  EXPECT_EQ(*top, *active);
  ASSERT_THAT(View("view", "top"), IsOk());
  EXPECT_THAT(UsageOf("view"), testing::IsOkAndHolds(Usage{}));
}

TEST_P(SnapshotterSuite, ARestartFindsEverything) {
  Layer("base", "", [](const Tree& tree) { tree.File("file", "x"); });
  ASSERT_THAT(Prepare("key", "base"), IsOk());
  WithMounted(Mounts("key"), [](const auto& at) { Tree(at).File("own", "y"); });
  ASSERT_THAT(Prepare("removed", "base"), IsOk());
  ASSERT_THAT(Remove("removed"), IsOk());
  for (int i = 0; i < 2; ++i) ASSERT_THAT(Open(), IsOk());
  EXPECT_EQ(List(), (std::vector<std::string>{"base", "key"}));
  WithMounted(Mounts("key"), [](const auto& at) {
    EXPECT_TRUE(std::filesystem::exists(at / "file"));
    EXPECT_TRUE(std::filesystem::exists(at / "own"));
  });
  ASSERT_THAT(Commit("top", "key"), IsOk());
  EXPECT_THAT(Cleanup(), IsOk());
}

TEST_P(SnapshotterSuite, AHundredAndTwentyEightLayersAreMounted) {
  std::vector<Change> changes = {[](const Tree& tree) {
    tree.File("bottom", "way at the bottom\n", 0777);
    tree.File("overwriteme", "FIRST!\n");
    tree.Dir("addhere");
    tree.Dir("onlyme");
    tree.File("onlyme/bottom", "bye!\n");
  }};
  for (int i = 1; i < 128; ++i) {
    changes.emplace_back([i](const Tree& tree) {
      tree.File("overwriteme", fmt::format("{} WAS HERE!\n", i));
      tree.File(fmt::format("addhere/file-{}", i), "same\n");
      tree.Remove("onlyme");
      tree.Dir("onlyme");
      tree.File(fmt::format("onlyme/file-{}", i), "only me!\n");
    });
  }
  CheckChain(changes);
}

}  // namespace gantry::snapshots
