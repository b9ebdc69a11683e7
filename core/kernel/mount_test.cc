// SPDX-License-Identifier: Apache-2.0
#include "core/kernel/mount.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "core/base/testing/temp_dir.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/command.h"
#include "core/kernel/file.h"
#include "core/kernel/idmap.h"
#include "core/kernel/loop_device.h"
#include "core/kernel/mountinfo.h"
#include "core/kernel/netns.h"
#include "core/kernel/overlay_mount.h"
#include "core/kernel/testing/matchers.h"
#include "core/kernel/testing/require.h"
#include "core/kernel/tree.h"

namespace gantry::kernel {
namespace {

namespace fs = std::filesystem;
using gantry::testing::FailsWith;
using gantry::testing::Succeeds;
using ::testing::HasSubstr;

class MountTest : public ::testing::Test {
 protected:
  void SetUp() override {
    gantry::testing::RequirePrivateMounts();
    if (IsSkipped() || HasFatalFailure()) return;
    // A file system of our own: the machine's may be an overlay, which cannot carry another.
    ASSERT_THAT(
        Mount({.type = "tmpfs", .source = "tmpfs", .options = {"size=64m"}}, dir_.path().string()),
        Succeeds());
    for (const char* name : {"target", "source", "upper", "work"}) fs::create_directory(At(name));
  }
  void TearDown() override {
    if (IsSkipped()) return;
    EXPECT_THAT(UnmountTree(dir_.path().string(), MNT_DETACH), Succeeds());
  }

  fs::path At(const fs::path& name) const { return dir_.path() / name; }
  std::string Path(const fs::path& name) const { return At(name).string(); }

  void Write(const fs::path& name, const std::string& text) {
    fs::create_directories(At(name).parent_path());
    std::ofstream(At(name)) << text;
  }
  std::string Read(const fs::path& name) const {
    auto text = ReadFile(Path(name), 1 << 20);
    return text ? *text : text.error().Text();
  }

  std::vector<MountInfo> MountsAt(const fs::path& name) const {
    auto table = ReadMountInfo();
    return table ? MountsAtOrBelow(*table, Path(name)) : std::vector<MountInfo>{};
  }

  // Layers with a file each, nearest first, under names that make the options long.
  std::vector<std::string> MakeLayers(int count, size_t name_bytes) {
    std::vector<std::string> lowers;
    for (int i = 0; i < count; ++i) {
      const std::string name = "layers/" + std::string(name_bytes, 'n') + std::to_string(i) + "/fs";
      Write(name + "/file" + std::to_string(i), std::to_string(i));
      Write(name + "/top", std::to_string(i));
      lowers.push_back(Path(name));
    }
    return lowers;
  }

  OverlayOptions Writable(const std::vector<std::string>& lowers) const {
    return {.lowers = lowers,
            .others = {"workdir=" + Path("work"), "upperdir=" + Path("upper"), "index=off"}};
  }

  MountSpec WritableSpec(const std::vector<std::string>& lowers) const {
    MountSpec spec{.type = "overlay", .source = "overlay", .options = Writable(lowers).others};
    spec.options.push_back("lowerdir=" + JoinLowers(lowers));
    return spec;
  }

  void ExpectAllLayers(int count) {
    for (int i = 0; i < count; ++i) {
      EXPECT_EQ(Read("target/file" + std::to_string(i)), std::to_string(i));
    }
    EXPECT_EQ(Read("target/top"), "0") << "the first layer is on top";
  }

  gantry::testing::TempDir dir_;
};

TEST_F(MountTest, ABindShowsItsSourceAndTakesItsFlags) {
  Write("source/file", "x");
  ASSERT_THAT(Mount({"bind", Path("source"), {"rbind", "ro"}}, Path("target")), Succeeds());
  EXPECT_EQ(Read("target/file"), "x");
  EXPECT_EQ(::open(Path("target/new").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_THAT(MountsAt("target")[0].options, HasSubstr("ro"));
  Write("source/still-writable", "x");
  ASSERT_THAT(Unmount(Path("target")), Succeeds());
  EXPECT_FALSE(fs::exists(At("target/file")));
}

TEST_F(MountTest, ABareRemountMakesABindReadOnly) {
  ASSERT_THAT(Mount({"bind", Path("source"), {"bind"}}, Path("target")), Succeeds());
  ASSERT_THAT(Mount({"bind", "", {"bind", "remount", "ro"}}, Path("target")), Succeeds());
  EXPECT_THAT(MountsAt("target")[0].options, HasSubstr("ro"));
}

TEST_F(MountTest, PropagationIsSet) {
  ASSERT_THAT(Mount({"tmpfs", "tmpfs", {"shared", "size=1m"}}, Path("target")), Succeeds());
  EXPECT_THAT(MountsAt("target")[0].optional, HasSubstr("shared:"));
}

TEST_F(MountTest, AFailureAfterTheMountTakesItBack) {
  // Two kinds of propagation are one too many for the second call.
  auto mounted = Mount({"tmpfs", "tmpfs", {"uidmap=bad", "gidmap=bad"}}, Path("target"));
  EXPECT_FALSE(mounted);
  // /proc does not shift owners.
  mounted = Mount({"proc", "proc", {"uidmap=0:1:1", "gidmap=0:1:1"}}, Path("target"));
  ASSERT_FALSE(mounted);
  EXPECT_THAT(MountsAt("target"), ::testing::IsEmpty());
}

TEST_F(MountTest, UnknownTypesAndForeignWordsAreErrors) {
  EXPECT_THAT(Mount({"nosuchfs", "x", {}}, Path("target")), FailsWith(ENODEV));
  EXPECT_THAT(Mount({"tmpfs", "x", {"X-containerd.loop"}}, Path("target")), FailsWith(EINVAL));
  const std::string long_word(8192, 'x');
  EXPECT_THAT(Mount({"tmpfs", "x", {long_word}}, Path("target")), FailsWith(E2BIG));
}

TEST_F(MountTest, ATargetInsideARootFollowsNoSymlinkOut) {
  fs::create_directories(At("root/etc"));
  fs::create_directories(At("etc"));
  fs::create_symlink("/etc", At("root/link"));
  Write("source/file", "x");
  const auto root = Open(Path("root"), O_PATH | O_DIRECTORY);
  ASSERT_THAT(Mount({"bind", Path("source"), {"rbind", "ro", "rprivate"}},
                    MountTarget(root->get(), "link")),
              Succeeds());
  EXPECT_EQ(Read("root/etc/file"), "x");
  EXPECT_FALSE(fs::exists(At("etc/file")));
  EXPECT_THAT(MountsAt("root/etc")[0].options, HasSubstr("ro"));
  EXPECT_THAT(MountsAt("source"), ::testing::IsEmpty());
}

TEST_F(MountTest, OverlaysOfFewLayersAreMounted) {
  ASSERT_THAT(Mount(WritableSpec(MakeLayers(3, 5)), Path("target")), Succeeds());
  ExpectAllLayers(3);
  Write("target/new", "n");
  EXPECT_EQ(Read("upper/new"), "n");
}

TEST_F(MountTest, OptionsLongerThanAPageMountAllTheSame) {
  const auto cwd = fs::current_path();
  ASSERT_THAT(Mount(WritableSpec(MakeLayers(128, 60)), Path("target")), Succeeds());
  ExpectAllLayers(128);
  Write("target/new", "n");
  EXPECT_EQ(Read("upper/new"), "n");
  EXPECT_EQ(fs::current_path(), cwd);
}

TEST_F(MountTest, LayersCanBeNamedOneByOne) {
  auto mounted = MountOverlayByLayers("overlay", Writable(MakeLayers(128, 60)),
                                      MS_NOSUID | MS_NODEV, Path("target"));
  ASSERT_THAT(mounted, Succeeds());
  if (!*mounted) return gantry::testing::SkipFor("Linux 6.7 for lowerdir+");
  ExpectAllLayers(128);
  const auto info = MountsAt("target");
  ASSERT_EQ(info.size(), 1U);
  EXPECT_THAT(info[0].options, HasSubstr("nosuid,nodev"));
  EXPECT_EQ(info[0].source, "overlay");
}

TEST_F(MountTest, LayersCanBeNamedRelativeToTheirDirectory) {
  const std::vector<std::string> lowers = MakeLayers(120, 10);
  ASSERT_GT(JoinLowers(lowers).size(), 4096U);
  ASSERT_THAT(MountOverlayRelative("overlay", Writable(lowers), 0, Path("target")), Succeeds());
  ExpectAllLayers(120);
}

TEST_F(MountTest, RelativeNamesLongerThanAPageAreRefused) {
  auto mounted = MountOverlayRelative("overlay", Writable(MakeLayers(60, 100)), 0, Path("target"));
  ASSERT_FALSE(mounted);
  EXPECT_THAT(mounted, FailsWith(E2BIG));
}

TEST_F(MountTest, LayersOfVeryLongNamesGoTheRelativeWay) {
  const fs::path deep = fs::path("layers") / std::string(200, 'd') / std::string(100, 'e');
  std::vector<std::string> lowers;
  for (int i = 0; i < 20; ++i) {
    Write(deep / std::to_string(i) / "top", std::to_string(i));
    lowers.push_back(Path(deep / std::to_string(i)));
  }
  auto by_layers = MountOverlayByLayers("overlay", Writable(lowers), 0, Path("target"));
  ASSERT_THAT(by_layers, Succeeds());
  EXPECT_FALSE(*by_layers);
  ASSERT_THAT(Mount(WritableSpec(lowers), Path("target")), Succeeds());
  EXPECT_EQ(Read("target/top"), "0");
}

TEST_F(MountTest, AMissingLayerIsAnErrorByEachWay) {
  std::vector<std::string> lowers = MakeLayers(100, 60);
  lowers.push_back(Path("layers/none"));
  EXPECT_THAT(MountOverlayByLayers("o", Writable(lowers), 0, Path("target")), FailsWith(ENOENT));
  EXPECT_THAT(Mount(WritableSpec(lowers), Path("target")), FailsWith(ENOENT));
  lowers.resize(2);
  lowers.push_back(Path("layers/none"));
  EXPECT_THAT(MountOverlayRelative("o", Writable(lowers), 0, Path("target")), FailsWith(ENOENT));
  EXPECT_THAT(MountsAt("target"), ::testing::IsEmpty());
}

TEST_F(MountTest, AnOverlayCanShowShiftedOwners) {
  MountSpec spec = WritableSpec(MakeLayers(2, 5));
  spec.options.insert(spec.options.end(), {"uidmap=0:100000:65536", "gidmap=0:200000:65536"});
  ASSERT_THAT(Mount(spec, Path("target"), dir_.path().string()), Succeeds());
  struct stat info {};
  ASSERT_EQ(::stat(Path("target/file1").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 100000U);
  EXPECT_EQ(info.st_gid, 200000U);
  for (const auto& entry : fs::directory_iterator(dir_.path())) {
    EXPECT_THAT(entry.path().filename().string(), ::testing::Not(HasSubstr("ovl-idmapped")));
  }
}

TEST_F(MountTest, ABindCanShowShiftedOwners) {
  Write("source/file", "x");
  ASSERT_THAT(
      Mount({"bind", Path("source"), {"rbind", "ro", "uidmap=0:1000:10", "gidmap=0:1000:10"}},
            Path("target")),
      Succeeds());
  struct stat info {};
  ASSERT_EQ(::stat(Path("target/file").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 1000U);
  ASSERT_EQ(MountsAt("target").size(), 1U) << "one mount, not two";
  EXPECT_THAT(MountsAt("target")[0].options, HasSubstr("ro"));
}

class LoopTest : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    gantry::testing::RequireProgram("/sbin/mkfs.ext4");
    if (IsSkipped()) return;
    std::ofstream(At("image"));
    fs::resize_file(At("image"), 8 << 20);
    auto made =
        RunCommand({.program = "/sbin/mkfs.ext4", .arguments = {"mkfs.ext4", "-q", Path("image")}});
    ASSERT_THAT(made, Succeeds());
    ASSERT_TRUE(made->status.success()) << made->errors;
  }

  static bool IsAttached(const std::string& device) {
    return fs::exists("/sys/block/" + device.substr(5) + "/loop/backing_file");
  }
};

TEST_F(LoopTest, AFileIsMountedAndItsDeviceGoesWithTheMount) {
  ASSERT_THAT(Mount({"ext4", Path("image"), {"loop"}}, Path("target")), Succeeds());
  Write("target/file", "x");
  const std::string device = MountsAt("target")[0].source;
  ASSERT_THAT(device, HasSubstr("/dev/loop"));
  EXPECT_TRUE(IsAttached(device));
  ASSERT_THAT(Unmount(Path("target")), Succeeds());
  // The kernel lets go of the device when the last reference falls, a moment after umount(2).
  for (int i = 0; i < 200 && IsAttached(device); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_FALSE(IsAttached(device));
}

TEST_F(LoopTest, AReadOnlyMountHasAReadOnlyDevice) {
  ASSERT_THAT(Mount({"ext4", Path("image"), {"loop", "ro"}}, Path("target")), Succeeds());
  const std::string device = MountsAt("target")[0].source;
  EXPECT_EQ(*ReadFile("/sys/block/" + device.substr(5) + "/ro", 10), "1\n");
}

TEST_F(LoopTest, ADeviceWithoutAutoclearIsDetachedOnDemand) {
  std::string path;
  {
    auto device =
        AttachLoop(Path("image"), {.read_only = true, .direct_io = false, .autoclear = false});
    ASSERT_THAT(device, Succeeds());
    path = device->path;
  }
  EXPECT_TRUE(IsAttached(path));
  ASSERT_THAT(DetachLoop(path), Succeeds());
  EXPECT_FALSE(IsAttached(path));
  ASSERT_THAT(DetachLoop(path), Succeeds());
}

TEST_F(LoopTest, AMissingFileIsNotFound) {
  EXPECT_THAT(AttachLoop(Path("none"), {}), FailsWith(ENOENT));
}

TEST_F(MountTest, UnmountOfNothingSucceeds) {
  EXPECT_TRUE(Unmount(Path("target")));
  EXPECT_TRUE(Unmount(Path("none")));
  EXPECT_TRUE(UnmountAll(Path("target")));
  EXPECT_TRUE(UnmountTree(Path("target")));
}

TEST_F(MountTest, ABusyMountIsUnmountedOnceItsUserIsGone) {
  ASSERT_THAT(Mount({"tmpfs", "tmpfs", {}}, Path("target")), Succeeds());
  UniqueFd user = std::move(*Open(Path("target"), O_RDONLY));
  std::thread leaver([&user] {
    std::this_thread::sleep_for(std::chrono::milliseconds(120));
    user.Reset();
  });
  const auto unmounted = Unmount(Path("target"));
  leaver.join();
  EXPECT_TRUE(unmounted) << unmounted.error().Text();
}

TEST_F(MountTest, UnmountAllTakesAWholeStack) {
  for (int i = 0; i < 3; ++i)
    ASSERT_THAT(Mount({"tmpfs", "tmpfs", {}}, Path("target")), Succeeds());
  ASSERT_THAT(UnmountAll(Path("target")), Succeeds());
  EXPECT_THAT(MountsAt("target"), ::testing::IsEmpty());
}

TEST_F(MountTest, UnmountTreeTakesNestedAndStackedMounts) {
  ASSERT_THAT(Mount({"tmpfs", "tmpfs", {}}, Path("target")), Succeeds());
  fs::create_directories(At("target/a/b"));
  ASSERT_THAT(Mount({"tmpfs", "tmpfs", {}}, Path("target/a")), Succeeds());
  fs::create_directories(At("target/a/b"));
  ASSERT_THAT(Mount({"tmpfs", "tmpfs", {}}, Path("target/a/b")), Succeeds());
  ASSERT_THAT(Mount({"tmpfs", "tmpfs", {}}, Path("target/a/b")), Succeeds());
  fs::create_symlink(dir_.path(), At("source/link"));
  ASSERT_THAT(UnmountTree(Path("source/link/target")), Succeeds());
  EXPECT_THAT(MountsAt("target"), ::testing::IsEmpty());
}

TEST_F(MountTest, UnmountTreeTakesWhatIsCovered) {
  const auto mount = [this](const fs::path& name) {
    fs::create_directories(At(name));
    ASSERT_EQ(::mount("tmpfs", Path(name).c_str(), "tmpfs", 0, nullptr), 0) << name;
  };
  for (int i = 0; i < 2; ++i) {
    for (const char* name : {"target/a", "target/a/b", "target/a/b/c", "target/a", "target"}) {
      mount(name);
    }
  }
  const auto start = std::chrono::steady_clock::now();
  ASSERT_THAT(UnmountTree(Path("target")), Succeeds());
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  EXPECT_TRUE(MountsAt("target").empty());
}

TEST_F(MountTest, AScopedMountUnmountsUnlessReleased) {
  {
    auto mount = ScopedMount::Make({"tmpfs", "tmpfs", {}}, Path("target"));
    ASSERT_THAT(mount, Succeeds());
    EXPECT_EQ(MountsAt("target").size(), 1U);
  }
  EXPECT_THAT(MountsAt("target"), ::testing::IsEmpty());
  auto mount = ScopedMount::Make({"tmpfs", "tmpfs", {}}, Path("target"));
  ASSERT_THAT(mount, Succeeds());
  ASSERT_THAT(mount->Unmount(), Succeeds());
  ASSERT_THAT(mount->Unmount(), Succeeds());
  EXPECT_EQ(ScopedMount::Make({"tmpfs", "tmpfs", {}}, Path("target"))->Release(), Path("target"));
  EXPECT_EQ(MountsAt("target").size(), 1U);
}

TEST_F(MountTest, RemovalStopsAtAMountPoint) {
  fs::create_directories(At("target/a/mounted"));
  Write("source/precious", "x");
  ASSERT_THAT(Mount({"bind", Path("source"), {"bind"}}, Path("target/a/mounted")), Succeeds());
  const auto removed = RemoveTree(Path("target"));
  ASSERT_FALSE(removed);
  EXPECT_THAT(removed, FailsWith(EBUSY));
  EXPECT_EQ(Read("source/precious"), "x");
  EXPECT_THAT(RemoveTree(Path("target/a/mounted")), FailsWith(EBUSY));
  EXPECT_EQ(Read("source/precious"), "x");
}

TEST_F(MountTest, UsageLeavesMountsOut) {
  fs::create_directories(At("target/mounted"));
  ASSERT_THAT(Mount({"tmpfs", "tmpfs", {}}, Path("target/mounted")), Succeeds());
  Write("target/mounted/file", std::string(100'000, 'x'));
  auto usage = DiskUsage(Path("target"));
  ASSERT_THAT(usage, Succeeds());
  EXPECT_EQ(usage->inodes, 1U);
}

TEST_F(MountTest, ANetworkNamespaceHasANameUntilItIsDeleted) {
  struct stat ours {};
  ASSERT_EQ(::stat("/proc/self/ns/net", &ours), 0);
  {
    auto netns = ScopedNetns::Create(Path("run/netns/cni-1"));
    ASSERT_THAT(netns, Succeeds());
    struct stat info {};
    ASSERT_EQ(::stat(netns->path().c_str(), &info), 0);
    EXPECT_NE(info.st_ino, ours.st_ino);
    EXPECT_THAT(ScopedNetns::Create(netns->path()), FailsWith(EEXIST));

    SpawnOptions options{.program = "/bin/cat", .arguments = {"cat", "/proc/net/dev"}};
    const auto fd = netns->Open();
    ASSERT_THAT(fd, Succeeds());
    options.netns_fd = fd->get();
    auto listed = RunCommand(options);
    ASSERT_THAT(listed, Succeeds());
    EXPECT_THAT(listed->output, HasSubstr("lo:"));
    EXPECT_THAT(listed->output, ::testing::Not(HasSubstr("eth")));
  }
  EXPECT_FALSE(fs::exists(At("run/netns/cni-1")));
}

TEST_F(MountTest, AChildCanBeInACgroupFromItsFirstAct) {
  const auto mode = DetectCgroupMode();
  if (!mode || *mode == CgroupMode::kLegacy) GTEST_SKIP() << "needs cgroup v2";
  const std::string tree =
      std::string(kCgroupRoot) + (*mode == CgroupMode::kHybrid ? "/unified" : "");
  const std::string name = "/gantry-test-" + RandomHex(4);
  ASSERT_EQ(::mkdir((tree + name).c_str(), 0755), 0);
  {
    const auto procs = Open(tree + name + "/cgroup.procs", O_WRONLY);
    ASSERT_THAT(procs, Succeeds());
    SpawnOptions options{.program = "/bin/cat", .arguments = {"cat", "/proc/self/cgroup"}};
    options.cgroup_procs_fd = procs->get();
    auto shown = RunCommand(options);
    ASSERT_THAT(shown, Succeeds());
    EXPECT_THAT(shown->output, HasSubstr("0::" + name + "\n"));
  }
  EXPECT_EQ(::rmdir((tree + name).c_str()), 0);
}

// A helper in a directory of the test's own: it notes its arguments and mounts something.
class FuseTest : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    Write("bin/mount.fuse3", "#!/bin/sh\nprintf '%s\\n' \"$@\" > " + Path("arguments") +
                                 "\nexec mount -t tmpfs tmpfs \"$2\"\n");
    fs::permissions(At("bin/mount.fuse3"), fs::perms::owner_all);
    old_path_ = std::getenv("PATH");
    ::setenv("PATH", (Path("bin") + ":" + old_path_).c_str(), 1);
  }
  void TearDown() override {
    if (!old_path_.empty()) ::setenv("PATH", old_path_.c_str(), 1);
    MountTest::TearDown();
  }

  std::string old_path_;
};

TEST_F(FuseTest, FuseTypesAreMountedByTheirHelper) {
  ASSERT_THAT(Mount({"fuse3.some-fs", "the-source", {"ro", "key=value"}}, Path("target")),
              Succeeds());
  EXPECT_EQ(Read("arguments"),
            "the-source\n" + Path("target") + "\n-o\nro\n-o\nkey=value\n-t\nsome-fs\n");
  EXPECT_EQ(MountsAt("target").size(), 1U);
}

TEST_F(FuseTest, AFuseTargetInsideARootIsGivenAsARealPath) {
  fs::create_directories(At("root/etc"));
  fs::create_symlink("/etc", At("root/link"));
  const auto root = Open(Path("root"), O_PATH | O_DIRECTORY);
  ASSERT_THAT(Mount({"fuse3.fs", "s", {}}, MountTarget(root->get(), "link")), Succeeds());
  EXPECT_EQ(MountsAt("root/etc").size(), 1U);
}

TEST_F(FuseTest, AHelperThatFailsSaysWhy) {
  Write("bin/mount.fuse3", "#!/bin/sh\necho no such thing >&2\nexit 7\n");
  auto mounted = Mount({"fuse3.fs", "s", {}}, Path("target"));
  ASSERT_FALSE(mounted);
  EXPECT_THAT(mounted.error().what, HasSubstr("exited with 7: no such thing"));
  EXPECT_THAT(Mount({"fuse.fs", "s", {}}, Path("target")), FailsWith(ENOENT));
}

}  // namespace
}  // namespace gantry::kernel
