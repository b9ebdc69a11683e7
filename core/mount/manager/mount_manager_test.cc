// SPDX-License-Identifier: Apache-2.0
#include "core/mount/manager/mount_manager.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "core/base/status.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/kernel/command.h"
#include "core/kernel/file.h"
#include "core/kernel/mount.h"
#include "core/kernel/mountinfo.h"
#include "core/kernel/testing/matchers.h"
#include "core/kernel/testing/require.h"
#include "core/mount/manager/erofs_handler.h"
#include "core/mount/manager/loop_handler.h"
#include "core/mount/manager/testing/fake_activation_store.h"
#include "core/mount/mounting.h"

namespace gantry::mount {
namespace {

namespace fs = std::filesystem;
using gantry::testing::IsOk;
using gantry::testing::StatusIs;
using gantry::testing::Succeeds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Code = absl::StatusCode;

class MountManagerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    gantry::testing::RequirePrivateMounts();
    if (IsSkipped() || HasFatalFailure()) return;
    ASSERT_THAT(kernel::Mount({"tmpfs", "tmpfs", {}}, dir_.path().string()), Succeeds());
    for (const char* name : {"root", "a", "b", "c", "outside"}) fs::create_directory(At(name));
    for (const char* name : {"a/from-a", "b/from-b", "c/from-c"}) std::ofstream(At(name)) << name;
    Restart();
  }
  void TearDown() override {
    manager_.reset();
    if (IsSkipped()) return;
    EXPECT_THAT(kernel::UnmountTree(dir_.path().string(), MNT_DETACH), Succeeds());
  }

  void Restart() {
    auto manager = MountManager::Open(
        store_, {.targets = At("state/t"),
                 .boot_file = At("state/boot-id"),
                 .roots = {At("root")},
                 .handlers = {{"loop", &loop_handler_}, {"erofs", &erofs_handler_}}});
    ASSERT_THAT(manager, IsOk());
    manager_ = *std::move(manager);
    ASSERT_THAT(manager_->Recover(ctx_), IsOk());
  }

  fs::path At(const fs::path& name) const { return dir_.path() / name; }
  std::string Path(const fs::path& name) const { return At(name).string(); }

  Mount Bind(const std::string& name) const { return {"bind", Path(name), "", {"rbind", "rw"}}; }
  static Mount Formatted(const std::string& source) {
    return {"format/bind", source, "", {"rbind", "ro"}};
  }

  absl::StatusOr<ActivationInfo> Activate(Mounts mounts, ActivateOptions options = {},
                                          const std::string& name = "name") {
    return manager_->Activate(ctx_, name, std::move(mounts), options);
  }
  absl::Status Deactivate(const std::string& name = "name") {
    return manager_->Deactivate(ctx_, name);
  }

  size_t MountCount() const {
    auto table = kernel::ReadMountInfo();
    return table ? kernel::MountsAtOrBelow(*table, Path("state")).size() : 999;
  }
  size_t TargetCount() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(At("state/t")), {}));
  }
  void ExpectNothingLeft() {
    EXPECT_EQ(MountCount(), 0U);
    EXPECT_EQ(TargetCount(), 0U);
    EXPECT_THAT(manager_->Info(ctx_, "name"), StatusIs(Code::kNotFound));
  }

  gantry::testing::TempDir dir_;
  gantry::testing::FakeActivationStore store_;
  LoopHandler loop_handler_;
  ErofsHandler erofs_handler_;
  std::unique_ptr<MountManager> manager_;
  const Context ctx_{.ns = "ns", .lease = "", .stop = {}};
};

TEST_F(MountManagerTest, APlainListIsTheCallersAndLeavesNoTrace) {
  EXPECT_FALSE(manager_->Needs({Bind("a")}, {}));
  EXPECT_THAT(Activate({Bind("a")}), StatusIs(Code::kUnimplemented));
  ExpectNothingLeft();
}

TEST_F(MountManagerTest, TemplatesNameWhereEarlierMountsAre) {
  Mount overlay{"format/overlay",
                "{{ source 1 }}",
                "{{ target 0 }}x",
                {"lowerdir={{ overlay 0 1 }}", "other={{ overlay 1 0 }}", "plain"}};
  auto info = Activate({Bind("a"), Bind("b"), overlay}, {.labels = {{"k", "v"}, {"gone", ""}}});
  ASSERT_THAT(info, IsOk());
  ASSERT_THAT(info->active, SizeIs(2));
  const std::string first = info->active[0].mount_point;
  const std::string second = info->active[1].mount_point;
  EXPECT_GT(first, second) << "ascending names are the order of unmounting";
  EXPECT_TRUE(fs::exists(first + "/from-a"));
  EXPECT_TRUE(fs::exists(second + "/from-b"));
  EXPECT_EQ(*kernel::ReadFile(first + "-type", 100), "bind");
  ASSERT_THAT(info->system, SizeIs(1));
  EXPECT_EQ(info->system[0].type, "overlay");
  EXPECT_EQ(info->system[0].source, Path("b"));
  EXPECT_EQ(info->system[0].target, "x");
  EXPECT_THAT(info->system[0].options, ElementsAre("lowerdir=" + first + ":" + second,
                                                   "other=" + second + ":" + first, "plain"));
  EXPECT_THAT(info->labels, ElementsAre(::testing::Pair("k", "v")));

  auto again = manager_->Info(ctx_, "name");
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->active[1].mount_point, second);
  EXPECT_EQ(again->active[1].mount, Bind("b"));
  EXPECT_EQ(again->system, info->system);
  ASSERT_THAT(Deactivate(), IsOk());
  ExpectNothingLeft();
  EXPECT_THAT(Deactivate(), StatusIs(Code::kNotFound));
}

TEST_F(MountManagerTest, NamesBelongToNamespaces) {
  ASSERT_THAT(Activate({Bind("a"), Formatted("{{ mount 0 }}")}), IsOk());
  EXPECT_THAT(Activate({Bind("a"), Formatted("{{ mount 0 }}")}), StatusIs(Code::kAlreadyExists));
  const Context other = ctx_.InNamespace("other");
  ASSERT_THAT(manager_->Activate(other, "name", {Bind("b"), Formatted("{{ mount 0 }}")}, {}),
              IsOk());
  EXPECT_THAT(manager_->Deactivate(other, "name"), IsOk());
  EXPECT_THAT(manager_->Info(ctx_, "name"), IsOk());
  EXPECT_THAT(manager_->Activate({}, "name", {}, {}),
              StatusIs(Code::kFailedPrecondition, "namespace is required"));
  EXPECT_THAT(Activate({Bind("a")}, {}, ""), StatusIs(Code::kInvalidArgument));
  EXPECT_THAT(Deactivate(), IsOk());
}

TEST_F(MountManagerTest, ListsAreFilteredByNameAndLabels) {
  for (const std::string name : {"a", "b"}) {
    ASSERT_THAT(Activate({Bind(name), Formatted("{{ mount 0 }}")}, {.labels = {{"k", name}}}, name),
                IsOk());
  }
  const auto listed = [&](const std::vector<std::string>& filters) {
    std::vector<std::string> names;
    EXPECT_THAT(manager_->List(ctx_, *filters::Parse(filters),
                               [&](const ActivationInfo& info) {
                                 names.push_back(info.name);
                                 return absl::OkStatus();
                               }),
                IsOk());
    return names;
  };
  EXPECT_THAT(listed({}), ElementsAre("a", "b"));
  EXPECT_THAT(listed({"name==a"}), ElementsAre("a"));
  EXPECT_THAT(listed({"labels.k==b"}), ElementsAre("b"));
  EXPECT_THAT(listed({"name==c"}), IsEmpty());
  for (const char* name : {"a", "b"}) EXPECT_THAT(Deactivate(name), IsOk());
}

TEST_F(MountManagerTest, TemporaryGivesOneBindOfTheLastMount) {
  auto info = Activate({Bind("a"), Bind("b")}, {.temporary = true});
  ASSERT_THAT(info, IsOk());
  ASSERT_THAT(info->active, SizeIs(2));
  ASSERT_THAT(info->system, SizeIs(1));
  EXPECT_EQ(info->system[0], (Mount{"bind", info->active[1].mount_point, "", {"rbind"}}));
  EXPECT_THAT(Deactivate(), IsOk());

  info = Activate({Bind("a"), Formatted("{{ mount 0 }}")}, {.temporary = true});
  ASSERT_THAT(info, IsOk());
  EXPECT_TRUE(fs::exists(info->system[0].source + "/from-a"));
  EXPECT_THAT(Deactivate(), IsOk());
  ExpectNothingLeft();
}

TEST_F(MountManagerTest, AFailedActivationLeavesNothingAndAFreeName) {
  for (const Mounts& mounts : {Mounts{Bind("a"), Bind("none"), Formatted("{{ mount 0 }}")},
                               Mounts{Bind("a"), Formatted("{{ mount 5 }}")}}) {
    EXPECT_FALSE(Activate(mounts).ok());
    ExpectNothingLeft();
  }
  store_.FailComplete(ResourceExhausted("disk full"));
  EXPECT_THAT(Activate({Bind("a"), Formatted("{{ mount 0 }}")}),
              StatusIs(Code::kResourceExhausted));
  ExpectNothingLeft();
  store_.FailComplete(absl::OkStatus());
  EXPECT_THAT(Activate({Bind("a"), Formatted("{{ mount 0 }}")}), IsOk());
  EXPECT_THAT(Deactivate(), IsOk());
}

TEST_F(MountManagerTest, ACallerThatLeftGetsNoMounts) {
  std::stop_source source;
  source.request_stop();
  Context gone = ctx_;
  gone.stop = source.get_token();
  EXPECT_THAT(manager_->Activate(gone, "name", {Bind("a"), Formatted("{{ mount 0 }}")}, {}),
              StatusIs(Code::kCancelled));
  ExpectNothingLeft();
}

TEST_F(MountManagerTest, ManyMountsAreUndoneInOrder) {
  Mounts mounts;
  for (int i = 0; i < 11; ++i) mounts.push_back(Bind("a"));
  // Each lies on the one before, so that only the right order can undo them.
  for (int i = 0; i < 11; ++i) {
    mounts.push_back({"format/bind", "{{ mount " + std::to_string(i) + " }}", "", {"bind"}});
  }
  auto info = Activate(mounts, {.temporary = true});
  ASSERT_THAT(info, IsOk());
  EXPECT_EQ(fs::path(info->active.front().mount_point).filename(), "22");
  EXPECT_EQ(fs::path(info->active.back().mount_point).filename(), "01");
  EXPECT_THAT(Deactivate(), IsOk());
  ExpectNothingLeft();
  EXPECT_THAT(Activate(Mounts(256, Bind("a")), {.temporary = true}),
              StatusIs(Code::kInvalidArgument));
}

TEST_F(MountManagerTest, ABusyMountFailsTheCallAndIsCleanedUpLater) {
  auto info = Activate({Bind("a"), Formatted("{{ mount 0 }}")});
  ASSERT_THAT(info, IsOk());
  {
    const auto user = kernel::Open(info->active[0].mount_point, O_RDONLY);
    EXPECT_THAT(Deactivate(),
                StatusIs(Code::kFailedPrecondition, HasSubstr("deactivate mount name")));
    EXPECT_THAT(manager_->Info(ctx_, "name"), StatusIs(Code::kNotFound));
    EXPECT_EQ(MountCount(), 1U);
  }
  EXPECT_THAT(manager_->CleanUp(ctx_), IsOk());
  ExpectNothingLeft();
  EXPECT_TRUE(fs::exists(At("a/from-a")));
}

TEST_F(MountManagerTest, CleanUpTakesWhatHasNoRecordAndNothingElse) {
  ASSERT_THAT(Activate({Bind("a"), Formatted("{{ mount 0 }}")}, {}, "kept"), IsOk());
  ASSERT_THAT(Activate({Bind("b"), Formatted("{{ mount 0 }}")}), IsOk());
  ASSERT_THAT(store_.Remove(ctx_, "name"), IsOk());
  ASSERT_THAT(manager_->CleanUp(ctx_), IsOk());
  EXPECT_EQ(MountCount(), 1U);
  EXPECT_EQ(TargetCount(), 1U);
  EXPECT_THAT(Deactivate("kept"), IsOk());
}

TEST_F(MountManagerTest, ActivationsSurviveARestart) {
  ASSERT_THAT(Activate({Bind("a"), Formatted("{{ mount 0 }}")}), IsOk());
  Restart();
  auto info = manager_->Info(ctx_, "name");
  ASSERT_THAT(info, IsOk());
  EXPECT_TRUE(fs::exists(info->active[0].mount_point + "/from-a"));
  EXPECT_THAT(Activate({Bind("a"), Formatted("{{ mount 0 }}")}), StatusIs(Code::kAlreadyExists));
  EXPECT_THAT(Deactivate(), IsOk());
}

TEST_F(MountManagerTest, AnInterruptedActivationIsUndoneAtTheNextStart) {
  auto begun = store_.Begin(ctx_, "name", {});
  ASSERT_THAT(begun, IsOk());
  const fs::path target = At("state/t") / std::to_string(begun->id);
  fs::create_directories(target / "2");
  fs::create_directories(target / "1");
  std::ofstream(target / "2-type") << "bind";
  ASSERT_THAT(MountOne(Bind("a"), (target / "2").string()), IsOk());
  std::ofstream(target / "1-type") << "loop";  // reserved, not mounted
  fs::remove(target / "1");
  Restart();
  ExpectNothingLeft();
}

// A file system that takes as long to unmount as the test wants.
class HangingHandler final : public MountHandler {
 public:
  absl::StatusOr<ActiveMount> MountAt(const Context&, const Mount&, const std::string&,
                                      std::span<const ActiveMount>) override {
    return Unimplemented("mount");
  }
  absl::Status UnmountAt(const Context&, const std::string& mount_point) override {
    asked_.set_value();
    answers_.get_future().wait();
    return fs::remove(mount_point) ? absl::OkStatus() : NotFound("mount point");
  }
  void WaitUntilAsked() { asked_.get_future().wait(); }
  void Answer() { answers_.set_value(); }

 private:
  std::promise<void> asked_;
  std::promise<void> answers_;
};

TEST_F(MountManagerTest, AFileSystemThatHangsDelaysNeitherTheStartNorACollection) {
  auto begun = store_.Begin(ctx_, "name", {});
  ASSERT_THAT(begun, IsOk());
  const fs::path target = At("state/t") / std::to_string(begun->id);
  fs::create_directories(target / "1");
  std::ofstream(target / "1-type") << "hanging";
  HangingHandler hanging;
  auto manager = MountManager::Open(store_, {.targets = At("state/t"),
                                             .boot_file = {},
                                             .roots = {},
                                             .handlers = {{"hanging", &hanging}},
                                             .patience = absl::Milliseconds(20)});
  ASSERT_THAT(manager, IsOk());
  manager_ = *std::move(manager);
  ASSERT_THAT(manager_->Recover(ctx_), IsOk());
  hanging.WaitUntilAsked();
  EXPECT_EQ(TargetCount(), 1U);
  EXPECT_THAT(manager_->CleanUp(ctx_), IsOk());
  EXPECT_THAT(manager_->CleanUp(ctx_), StatusIs(Code::kUnavailable));
  hanging.Answer();
  manager_.reset();  // waits for it
  EXPECT_EQ(TargetCount(), 0U);
  Restart();
}

TEST_F(MountManagerTest, AnInterruptedActivationIsReplacedByTheNextOfItsName) {
  auto begun = store_.Begin(ctx_, "name", {});
  ASSERT_THAT(begun, IsOk());
  const fs::path target = At("state/t") / std::to_string(begun->id);
  fs::create_directories(target / "1");
  std::ofstream(target / "1-type") << "bind";
  ASSERT_THAT(MountOne(Bind("a"), (target / "1").string()), IsOk());
  EXPECT_THAT(Activate({Bind("b"), Formatted("{{ mount 0 }}")}), IsOk());
  EXPECT_EQ(MountCount(), 1U);
  EXPECT_EQ(TargetCount(), 1U);
  EXPECT_THAT(Deactivate(), IsOk());
}

TEST_F(MountManagerTest, RecordsWhoseMountsARebootTookAreForgotten) {
  ASSERT_THAT(Activate({Bind("a"), Formatted("{{ mount 0 }}")}), IsOk());
  ASSERT_THAT(kernel::UnmountTree(Path("state")), Succeeds());
  fs::remove_all(At("state"));
  Restart();
  ExpectNothingLeft();
}

TEST_F(MountManagerTest, AfterARebootNothingIsUndoneThatHasAnOldName) {
  ASSERT_THAT(Activate({Bind("a"), Formatted("{{ mount 0 }}")}), IsOk());
  manager_.reset();
  // As a state directory that survived a reboot: another boot's id, no mounts, and a device's name
  // that may be somebody else's by now.
  ASSERT_THAT(kernel::UnmountTree(Path("state"), 0), Succeeds());
  const fs::path target = fs::directory_iterator(At("state/t"))->path();
  std::ofstream(target / "0-type") << "loop";
  fs::create_symlink(At("outside") / "device", target / "0");
  ASSERT_TRUE(
      kernel::WriteFileAtomic(Path("state/boot-id"), "another", 0600, kernel::Durability::kNone));
  Restart();
  ExpectNothingLeft();
  EXPECT_NE(*kernel::ReadFile(Path("state/boot-id"), 100), "another");
}

TEST_F(MountManagerTest, ScopedMountsAreNobodysToSeeAndEndWithTheScope) {
  {
    auto plain = manager_->ActivateScoped(ctx_, {Bind("a")});
    ASSERT_THAT(plain, IsOk());
    EXPECT_THAT(plain->mounts(), ElementsAre(Bind("a")));
    EXPECT_EQ(TargetCount(), 0U);

    auto scoped = manager_->ActivateScoped(ctx_, {Bind("a"), Formatted("{{ mount 0 }}")});
    ASSERT_THAT(scoped, IsOk());
    ASSERT_THAT(scoped->mounts(), SizeIs(1));
    EXPECT_TRUE(fs::exists(scoped->mounts()[0].source + "/from-a"));
    std::string name;
    ASSERT_THAT(store_.ForEach(ctx_, "",
                               [&](const ActivationRecord& record) {
                                 name = record.info.name;
                                 return absl::OkStatus();
                               }),
                IsOk());
    EXPECT_THAT(manager_->Info(ctx_, name), StatusIs(Code::kNotFound));
    EXPECT_THAT(Deactivate(name), StatusIs(Code::kNotFound));
    EXPECT_THAT(Activate({Bind("b"), Formatted("{{ mount 0 }}")}, {}, name),
                StatusIs(Code::kInvalidArgument));
    EXPECT_THAT(manager_->List(ctx_, {}, [](const ActivationInfo&) { return Internal("listed"); }),
                IsOk());
    ASSERT_THAT(manager_->CleanUp(ctx_), IsOk());
    EXPECT_EQ(MountCount(), 1U);
  }
  ExpectNothingLeft();
  EXPECT_THAT(manager_->ActivateScoped(ctx_, {Bind("a"), Formatted("{{ mount 5 }}")}),
              StatusIs(Code::kInvalidArgument));
  ExpectNothingLeft();
}

TEST_F(MountManagerTest, CallsForOneNameWaitForOneAnother) {
  std::vector<std::future<absl::Status>> calls;
  for (int i = 0; i < 8; ++i) {
    calls.push_back(std::async(std::launch::async, [this] {
      return Activate({Bind("a"), Formatted("{{ mount 0 }}")}).status();
    }));
  }
  int made = 0;
  for (auto& call : calls) {
    const absl::Status status = call.get();
    if (status.ok()) {
      ++made;
    } else {
      EXPECT_THAT(status, StatusIs(Code::kAlreadyExists));
    }
  }
  EXPECT_EQ(made, 1);
  EXPECT_EQ(MountCount(), 1U);
  EXPECT_THAT(Deactivate(), IsOk());
}

class MkdirTest : public MountManagerTest {
 protected:
  absl::StatusOr<ActivationInfo> Mkdir(const std::string& option) {
    return Activate({{"mkdir/bind", "/", "", {"rbind", "X-containerd.mkdir." + option}}});
  }
  struct stat StatOf(const std::string& name) const {
    struct stat info {};
    EXPECT_EQ(::stat(Path(name).c_str(), &info), 0);
    return info;
  }
};

TEST_F(MkdirTest, DirectoriesAreMadeWithModeAndOwner) {
  auto info = Mkdir("path=" + Path("root/made") + ":0751:12:34");
  ASSERT_THAT(info, IsOk());
  EXPECT_EQ(info->system[0], (Mount{"bind", "/", "", {"rbind"}}));
  EXPECT_THAT(info->active, IsEmpty());
  EXPECT_EQ(StatOf("root/made").st_mode & 07777, 0751U);
  EXPECT_EQ(StatOf("root/made").st_uid, 12U);
  EXPECT_EQ(StatOf("root/made").st_gid, 34U);
  ASSERT_THAT(Deactivate(), IsOk());
  EXPECT_TRUE(fs::exists(At("root/made"))) << "it belongs to the caller";

  ASSERT_THAT(Mkdir("path=" + Path("root/new/deep")), IsOk());
  EXPECT_EQ(StatOf("root/new/deep").st_mode & 07777, 0700U);
  ASSERT_THAT(Deactivate(), IsOk());
  ASSERT_THAT(Mkdir("path=" + Path("root/new/deep")), IsOk()) << "it exists with that mode";
  ASSERT_THAT(Deactivate(), IsOk());
  EXPECT_THAT(Mkdir("path=" + Path("root/new/deep") + ":0755"), StatusIs(Code::kUnimplemented));
  EXPECT_EQ(StatOf("root/new/deep").st_mode & 07777, 0700U);
}

TEST_F(MkdirTest, NothingIsMadeOutsideOfTheRoots) {
  fs::create_symlink(At("outside"), At("root/link"));
  fs::create_symlink("../outside", At("root/climbing"));
  for (const std::string& path :
       {Path("outside/x"), Path("root/../outside/x"), Path("root/link/x"), Path("root/climbing/x"),
        Path("rootless"), Path("root"), Path("root/x/../../outside/y")}) {
    const auto info = Mkdir("path=" + path);
    if (info.ok()) {
      EXPECT_THAT(Deactivate(), IsOk());
    }
    EXPECT_TRUE(fs::is_empty(At("outside"))) << path;
    EXPECT_FALSE(fs::exists(At("rootless")));
  }
  EXPECT_THAT(Mkdir("path=" + Path("outside/x")), StatusIs(Code::kUnimplemented));
}

TEST_F(MkdirTest, MalformedOptionsAreRefused) {
  const std::string path = "path=" + Path("root/bad");
  for (const std::string& option :
       {std::string("nope=x"), path + ":0755:0", path + ":9z", path + ":07777", path + ":",
        path + ":0755:x:0", path + ":0755:0:0:0"}) {
    EXPECT_THAT(Mkdir(option), StatusIs(Code::kInvalidArgument)) << option;
  }
  EXPECT_FALSE(fs::exists(At("root/bad")));
  ExpectNothingLeft();
}

class MkfsTest : public MountManagerTest {
 protected:
  void SetUp() override {
    MountManagerTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    gantry::testing::RequireProgram("/sbin/mkfs.ext4");
  }
  Mount Image(std::vector<std::string> options, const std::string& name = "root/image") const {
    options.insert(options.begin(), "loop");
    return {"mkfs/ext4", Path(name), "", std::move(options)};
  }
};

TEST_F(MkfsTest, AnImageIsMadeOnceAndKept) {
  auto info = Activate({Image({"X-containerd.mkfs.size=16MB",
                               "X-containerd.mkfs.uuid=11111111-2222-3333-4444-555555555555"}),
                        Formatted("{{ mount 0 }}")});
  ASSERT_THAT(info, IsOk());
  EXPECT_EQ(fs::file_size(At("root/image")), 16U << 20);
  EXPECT_THAT(info->active[0].mount.options, ElementsAre("loop"));
  const fs::path point = info->active[0].mount_point;
  EXPECT_TRUE(fs::exists(point / "lost+found"));
  std::ofstream(point / "kept") << "x";
  ASSERT_THAT(Deactivate(), IsOk());
  ExpectNothingLeft();

  info = Activate({Image({"X-containerd.mkfs.size=32MB"}), Formatted("{{ mount 0 }}")});
  ASSERT_THAT(info, IsOk());
  EXPECT_TRUE(fs::exists(fs::path(info->active[0].mount_point) / "kept"));
  ASSERT_THAT(Deactivate(), IsOk());
  EXPECT_EQ(std::distance(fs::directory_iterator(At("root")), {}), 1);
}

TEST_F(MkfsTest, WrongRequestsMakeNoFile) {
  const Mount tail = Formatted("{{ mount 0 }}");
  EXPECT_THAT(Activate({Image({}), tail}), StatusIs(Code::kInvalidArgument));
  for (const char* option : {"nope=1", "fs=nope", "size=x", "size", "fs"}) {
    EXPECT_THAT(
        Activate({Image({"X-containerd.mkfs.size=1MB", std::string("X-containerd.mkfs.") + option}),
                  tail}),
        StatusIs(Code::kInvalidArgument))
        << option;
  }
  EXPECT_THAT(Activate({Image({"X-containerd.mkfs.size=1MB"}, "outside/image"), tail}),
              StatusIs(Code::kUnimplemented));
  EXPECT_FALSE(Activate({Image({"X-containerd.mkfs.size=1"}), tail}).ok()) << "too small for ext4";
  EXPECT_TRUE(fs::is_empty(At("root")));
  ExpectNothingLeft();
}

TEST_F(MkfsTest, ALoopHandlersMountPointIsTheDevice) {
  auto info = Activate({{"mkfs/loop", Path("root/image"), "", {"X-containerd.mkfs.size=16MB"}},
                        {"format/ext4", "{{ mount 0 }}", "", {}}});
  ASSERT_THAT(info, IsOk());
  ASSERT_THAT(info->active, SizeIs(1));
  EXPECT_THAT(fs::read_symlink(info->active[0].mount_point).string(), HasSubstr("/dev/loop"));
  EXPECT_EQ(info->system[0].source, info->active[0].mount_point);
  fs::create_directory(At("target"));
  ASSERT_THAT(MountAll(info->system, Path("target")), IsOk());
  EXPECT_TRUE(fs::exists(At("target/lost+found")));
  ASSERT_THAT(UnmountAll(Path("target")), IsOk());
  const std::string device = fs::read_symlink(info->active[0].mount_point).filename().string();
  ASSERT_THAT(Deactivate(), IsOk());
  EXPECT_FALSE(fs::exists("/sys/block/" + device + "/loop/backing_file"));
  ExpectNothingLeft();
}

class ErofsTest : public MountManagerTest {
 protected:
  void SetUp() override {
    MountManagerTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    gantry::testing::RequireProgram("/usr/bin/mkfs.erofs");
    if (IsSkipped()) return;
    for (const char* name : {"a", "b"}) {
      auto made = kernel::RunCommand(
          {.program = "/usr/bin/mkfs.erofs",
           .arguments = {"mkfs.erofs", Path(std::string("image-") + name), Path(name)}});
      ASSERT_THAT(made, Succeeds());
      ASSERT_TRUE(made->status.success()) << made->errors;
    }
  }
};

TEST_F(ErofsTest, ImagesAreMountedUnderAnOverlay) {
  auto info = Activate({{"erofs", Path("image-a"), "", {"ro", "loop"}},
                        {"erofs", Path("image-b"), "", {"ro"}},
                        {"format/overlay", "overlay", "", {"lowerdir={{ overlay 1 0 }}"}}});
  ASSERT_THAT(info, IsOk());
  fs::create_directory(At("target"));
  ASSERT_THAT(MountAll(info->system, Path("target")), IsOk());
  EXPECT_TRUE(fs::exists(At("target/from-a")));
  EXPECT_TRUE(fs::exists(At("target/from-b")));
  ASSERT_THAT(UnmountAll(Path("target")), IsOk());
  ASSERT_THAT(Deactivate(), IsOk());
  ExpectNothingLeft();
}

TEST_F(ErofsTest, VerityIsNotServed) {
  EXPECT_THAT(Activate({{"erofs", Path("image-a"), "", {"X-containerd.dmverity=/x"}}}),
              StatusIs(Code::kUnimplemented, HasSubstr("X-containerd.dmverity")));
  ExpectNothingLeft();
}

}  // namespace
}  // namespace gantry::mount
