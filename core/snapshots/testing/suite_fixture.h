// SPDX-License-Identifier: Apache-2.0
// What the cases of snapshotter_suite.h stand on.
#pragma once

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/kernel_status.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/kernel/command.h"
#include "core/kernel/mount.h"
#include "core/kernel/testing/require.h"
#include "core/snapshots/await.h"
#include "core/snapshots/snapshotter.h"
#include "core/snapshots/testing/tree.h"

namespace gantry::snapshots {

// A snapshotter and what it needs to live. Destroyed and made again on the same root, it must find
// what it had.
class TestBed {
 public:
  virtual ~TestBed() = default;
  virtual Snapshotter& snapshotter() = 0;
};

struct SuiteParam {
  std::string name;
  // What the root lies on: "tmpfs", or "ext4" in a loop file.
  std::string file_system = "tmpfs";
  std::function<absl::StatusOr<std::unique_ptr<TestBed>>(const std::filesystem::path& root)> make;
  // Whether a directory of a parent can be renamed: not on an overlay without redirect_dir.
  bool renames_directories = true;
};

inline void PrintTo(const SuiteParam& param, std::ostream* out) {
  *out << param.name << " on " << param.file_system;
}

class SnapshotterSuite : public ::testing::TestWithParam<SuiteParam> {
 protected:
  using Change = std::function<void(const testing::Tree&)>;

  void SetUp() override {
    testing::RequirePrivateMounts();
    if (IsSkipped() || HasFatalFailure()) return;
    work_ = dir_.path() / "work";
    std::filesystem::create_directory(work_);
    ASSERT_THAT(MountFileSystem(), testing::IsOk());
    std::filesystem::create_directory(work_ / "root");
    std::filesystem::create_directory(work_ / "flat");
    ASSERT_THAT(Open(), testing::IsOk());
  }

  void TearDown() override {
    bed_.reset();
    kernel::UnmountTree(dir_.path()).Ignore();  // What is left of a failed test.
  }

  absl::Status MountFileSystem() {
    if (GetParam().file_system == "tmpfs")
      return ToStatus(kernel::Mount({"tmpfs", "tmpfs", {"size=512m"}}, work_.string()));
    const std::string image = dir_.path() / "image";
    std::ofstream(image).close();
    std::filesystem::resize_file(image, uint64_t{256} << 20);
    const auto made =
        kernel::RunCommand({.program = "/sbin/mkfs.ext4", .arguments = {"mkfs.ext4", "-q", image}});
    if (!made) return ToStatus(made.error());
    if (!made->status.success()) return Internal("mkfs.ext4: {}", made->errors);
    return ToStatus(kernel::Mount({"ext4", image, {"loop"}}, work_.string()));
  }

  absl::Status Open() {
    bed_.reset();
    ASSIGN_OR_RETURN(bed_, GetParam().make(work_ / "root"));
    return absl::OkStatus();
  }

  Snapshotter& sn() { return bed_->snapshotter(); }

  absl::StatusOr<mount::Mounts> Prepare(std::string key, std::string parent = {},
                                        Labels labels = {}) {
    return Await<mount::Mounts>([&](auto done) {
      sn().Prepare(Ctx(), {std::move(key), std::move(parent), std::move(labels)}, std::move(done));
    });
  }
  absl::StatusOr<mount::Mounts> View(std::string key, std::string parent = {}, Labels labels = {}) {
    return Await<mount::Mounts>([&](auto done) {
      sn().View(Ctx(), {std::move(key), std::move(parent), std::move(labels)}, std::move(done));
    });
  }
  absl::Status Commit(std::string name, std::string key, Labels labels = {}) {
    return Await<absl::Status>([&](auto done) {
      sn().Commit(Ctx(),
                  {.name = std::move(name), .key = std::move(key), .labels = std::move(labels)},
                  std::move(done));
    });
  }
  absl::Status Remove(std::string key) {
    return Await<absl::Status>(
        [&](auto done) { sn().Remove(Ctx(), std::move(key), std::move(done)); });
  }
  absl::StatusOr<Info> Stat(std::string key) {
    return Await<Info>([&](auto done) { sn().Stat(Ctx(), std::move(key), std::move(done)); });
  }
  absl::StatusOr<Usage> UsageOf(std::string key) {
    return Await<Usage>([&](auto done) { sn().GetUsage(Ctx(), std::move(key), std::move(done)); });
  }
  absl::StatusOr<mount::Mounts> Mounts(std::string key) {
    return Await<mount::Mounts>(
        [&](auto done) { sn().Mounts(Ctx(), std::move(key), std::move(done)); });
  }
  absl::StatusOr<Info> Update(Info info, metadata::FieldMask mask = {}) {
    return Await<Info>(
        [&](auto done) { sn().Update(Ctx(), std::move(info), std::move(mask), std::move(done)); });
  }
  absl::Status Cleanup() {
    return Await<absl::Status>([&](auto done) { sn().Cleanup(Ctx(), std::move(done)); });
  }
  // Names that match, of all pages.
  std::vector<std::string> List(std::function<bool(const Info&)> match = {}) {
    std::vector<std::string> names;
    ListRequest request{.limit = 3, .match = std::move(match)};
    do {
      auto page = Await<ListPage>([&](auto done) { sn().List(Ctx(), request, std::move(done)); });
      EXPECT_THAT(page, testing::IsOk());
      if (!page.ok()) return names;
      for (const Info& info : page->infos) names.push_back(info.name);
      request.after = page->next;
    } while (!request.after.empty());
    return names;
  }

  // Mounts at a place of its own, calls `body` with it, unmounts.
  void WithMounted(const absl::StatusOr<mount::Mounts>& mounts,
                   const std::function<void(const std::filesystem::path&)>& body) {
    ASSERT_THAT(mounts, testing::IsOk());
    ASSERT_FALSE(mounts->empty());
    const std::filesystem::path target = work_ / ("mnt" + std::to_string(++mounted_));
    std::filesystem::create_directory(target);
    for (const mount::Mount& mount : *mounts) {
      const auto done = kernel::Mount({mount.type, mount.source, mount.options}, target.string());
      ASSERT_TRUE(done.ok()) << done.error().Text();
    }
    body(target);
    const auto unmounted = kernel::UnmountAll(target);
    EXPECT_TRUE(unmounted.ok()) << unmounted.error().Text();
    std::filesystem::remove(target);
  }

  // A committed snapshot with what `change` does on top of `parent`.
  void Layer(const std::string& name, const std::string& parent, const Change& change) {
    WithMounted(Prepare(name + "-key", parent), [&](const auto& at) { change(testing::Tree(at)); });
    ASSERT_THAT(Commit(name, name + "-key"), testing::IsOk());
  }

  // Makes a chain of layers and does the same to a plain directory: each layer must look like the
  // directory at its time, while it is made and ever after.
  void CheckChain(const std::vector<Change>& changes) {
    const std::filesystem::path flat = work_ / "flat";
    std::vector<std::vector<std::string>> wanted;
    std::string parent;
    for (size_t i = 0; i < changes.size(); ++i) {
      const std::string key = "key" + std::to_string(i);
      WithMounted(Prepare(key, parent), [&](const auto& at) {
        EXPECT_EQ(testing::ReadTree(at), testing::ReadTree(flat)) << "layer " << i << " at first";
        changes[i](testing::Tree(at));
        changes[i](testing::Tree(flat));
        EXPECT_EQ(testing::ReadTree(at), testing::ReadTree(flat)) << "layer " << i;
      });
      if (HasFailure()) return;
      parent = "layer" + std::to_string(i);
      ASSERT_THAT(Commit(parent, key), testing::IsOk());
      wanted.push_back(testing::ReadTree(flat));
    }
    for (size_t i = 0; i < changes.size(); ++i) {
      const std::string name = "layer" + std::to_string(i);
      WithMounted(View("view of " + name, name), [&](const auto& at) {
        EXPECT_EQ(testing::ReadTree(at), wanted[i]) << "view of layer " << i;
      });
    }
  }

  static Context Ctx() { return {.ns = "suite"}; }

  testing::TempDir dir_;
  std::filesystem::path work_;  // a file system of its own
  int mounted_ = 0;
  std::unique_ptr<TestBed> bed_;
};

}  // namespace gantry::snapshots
