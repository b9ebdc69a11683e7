// SPDX-License-Identifier: Apache-2.0
// A snapshotter over a real database and a driver whose folder is in memory.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/testing/fake_clock.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/db/key.h"
#include "core/events/testing/recording_publisher.h"
#include "core/metadata/metadata.h"
#include "core/snapshots/await.h"
#include "core/snapshots/local_snapshotter.h"
#include "core/snapshots/testing/fake_driver.h"

namespace gantry::snapshots {

class LocalFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    auto metadata = metadata::Metadata::Open(
        {.db = {.path = dir_.path() / "db", .map_size_bytes = uint64_t{1} << 28, .no_sync = true}},
        clock_);
    ASSERT_THAT(metadata, testing::IsOk());
    metadata_ = *std::move(metadata);
    ASSERT_THAT(Start(), testing::IsOk());
  }

  // A daemon's start on what the last one left.
  absl::Status Start(LocalSnapshotter::Options options = {}, bool can_rebase = true,
                     FakeDriver::Hook hook = nullptr) {
    snapshotter_.reset();
    auto driver = std::make_unique<FakeDriver>(folder_, can_rebase);
    driver->SetHook(std::move(hook));
    driver_ = driver.get();
    ASSIGN_OR_RETURN(snapshotter_, LocalSnapshotter::Open(*metadata_, publisher_, "fake",
                                                          std::move(driver), options));
    return absl::OkStatus();
  }

  absl::StatusOr<mount::Mounts> Prepare(std::string key, std::string parent = {},
                                        Labels labels = {}, std::string lease = {}) {
    return Await<mount::Mounts>([&](auto done) {
      snapshotter_->Prepare(Ctx(lease), {std::move(key), std::move(parent), std::move(labels)},
                            std::move(done));
    });
  }
  absl::StatusOr<mount::Mounts> View(std::string key, std::string parent = {}) {
    return Await<mount::Mounts>([&](auto done) {
      snapshotter_->View(Ctx(), {std::move(key), std::move(parent)}, std::move(done));
    });
  }
  absl::Status Commit(std::string name, std::string key, std::string parent = {},
                      Labels labels = {}, std::string lease = {}) {
    return Await<absl::Status>([&](auto done) {
      snapshotter_->Commit(Ctx(lease),
                           {.name = std::move(name),
                            .key = std::move(key),
                            .labels = std::move(labels),
                            .parent = std::move(parent)},
                           std::move(done));
    });
  }
  absl::Status Layer(const std::string& name, const std::string& parent = {}) {
    RETURN_IF_ERROR(Prepare(name + "-key", parent).status());
    return Commit(name, name + "-key");
  }
  absl::Status Remove(std::string key, std::string lease = {}) {
    return Await<absl::Status>(
        [&](auto done) { snapshotter_->Remove(Ctx(lease), std::move(key), std::move(done)); });
  }
  absl::StatusOr<Info> Stat(std::string key, std::string ns = "ns") {
    return Await<Info>([&](auto done) {
      snapshotter_->Stat({.ns = std::move(ns)}, std::move(key), std::move(done));
    });
  }
  absl::StatusOr<mount::Mounts> Mounts(std::string key) {
    return Await<mount::Mounts>(
        [&](auto done) { snapshotter_->Mounts(Ctx(), std::move(key), std::move(done)); });
  }
  absl::StatusOr<Usage> UsageOf(std::string key) {
    return Await<Usage>(
        [&](auto done) { snapshotter_->GetUsage(Ctx(), std::move(key), std::move(done)); });
  }
  absl::StatusOr<Info> Update(Info info, metadata::FieldMask mask) {
    return Await<Info>([&](auto done) {
      snapshotter_->Update(Ctx(), std::move(info), std::move(mask), std::move(done));
    });
  }
  absl::StatusOr<ListPage> List(ListRequest request) {
    return Await<ListPage>(
        [&](auto done) { snapshotter_->List(Ctx(), std::move(request), std::move(done)); });
  }
  absl::Status Cleanup() {
    return Await<absl::Status>([&](auto done) { snapshotter_->Cleanup(Ctx(), std::move(done)); });
  }

  static Context Ctx(std::string lease = {}) { return {.ns = "ns", .lease = std::move(lease)}; }

  void MakeLease(std::string_view id) {
    ASSERT_THAT(
        metadata_->Write({},
                         [&](metadata::WriteTxn& txn) {
                           return txn.Put(metadata::TableId::kLeases, db::JoinKey({"ns", id}), "x");
                         }),
        testing::IsOk());
  }
  // The keys that a lease holds.
  std::vector<std::string> Leased(std::string_view id) {
    return Keys(metadata::TableId::kLeaseMembers, db::KeyPrefix({"ns", id, "snapshots/fake"}));
  }
  // Keys of a table behind a prefix.
  std::vector<std::string> Keys(metadata::TableId table, const std::string& prefix = {}) {
    std::vector<std::string> keys;
    const auto txn = metadata_->Read();
    EXPECT_THAT(
        txn->raw().ForEach(txn->table(table), prefix,
                           [&](std::string_view key, std::string_view) -> absl::StatusOr<db::Scan> {
                             keys.emplace_back(key.substr(prefix.size()));
                             return db::Scan::kContinue;
                           }),
        testing::IsOk());
    return keys;
  }
  std::map<uint64_t, FoundDirectory::State> Directories() {
    base::MutexLock lock(folder_->mutex);
    return folder_->directories;
  }
  void PlantDirectory(uint64_t id, FoundDirectory::State state) {
    base::MutexLock lock(folder_->mutex);
    folder_->directories[id] = state;
  }
  void LoseDirectory(uint64_t id) {
    base::MutexLock lock(folder_->mutex);
    folder_->directories.erase(id);
  }

  testing::TempDir dir_;
  base::FakeClock clock_;
  events::RecordingPublisher publisher_;
  std::shared_ptr<FakeFolder> folder_ = std::make_shared<FakeFolder>();
  std::unique_ptr<metadata::Metadata> metadata_;
  std::unique_ptr<LocalSnapshotter> snapshotter_;
  FakeDriver* driver_ = nullptr;  // of snapshotter_
};

}  // namespace gantry::snapshots
