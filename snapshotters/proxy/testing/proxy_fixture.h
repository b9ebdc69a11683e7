// SPDX-License-Identifier: Apache-2.0
// A proxy snapshotter and, behind a socket, a backend that the test plays. Calls are made to wait.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "core/base/testing/fake_clock.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/db/key.h"
#include "core/events/testing/recording_publisher.h"
#include "core/snapshots/await.h"
#include "gtest/gtest.h"
#include "snapshotters/proxy/proxy_snapshotter.h"
#include "snapshotters/proxy/testing/fake_backend.h"

namespace gantry::proxy {

class ProxyFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    auto metadata = metadata::Metadata::Open(
        {.db = {.path = dir_.path() / "db", .map_size_bytes = uint64_t{1} << 28, .no_sync = true}},
        clock_);
    ASSERT_THAT(metadata, gantry::testing::IsOk());
    metadata_ = *std::move(metadata);
    backend_ = std::make_unique<FakeBackend>(socket_);
    Restart();
  }
  void TearDown() override {
    backend_->SetHook({});
    backend_->Unblock();
    proxy_.reset();
  }

  // A daemon's start on what the last one left.
  void Restart(ProxySnapshotter::Options options = {}) {
    proxy_.reset();
    options.address = socket_;
    options.settling.first_pause = absl::Milliseconds(5);
    options.settling.longest_pause = absl::Milliseconds(50);
    auto proxy = ProxySnapshotter::Open(*metadata_, publisher_, "proxied", options);
    ASSERT_THAT(proxy, gantry::testing::IsOk());
    proxy_ = *std::move(proxy);
  }

  static Context Ctx(std::string lease = {}, std::string ns = "ns") {
    return {.ns = std::move(ns), .lease = std::move(lease)};
  }
  absl::StatusOr<mount::Mounts> Prepare(const Context& ctx, std::string key,
                                        std::string parent = {}, Labels labels = {}) {
    return snapshots::Await<mount::Mounts>([&](auto done) {
      proxy_->Prepare(ctx, {std::move(key), std::move(parent), std::move(labels)}, std::move(done));
    });
  }
  absl::StatusOr<mount::Mounts> Prepare(std::string key, std::string parent = {},
                                        Labels labels = {}) {
    return Prepare(Ctx(), std::move(key), std::move(parent), std::move(labels));
  }
  absl::Status Commit(const Context& ctx, std::string name, std::string key,
                      std::string parent = {}, Labels labels = {}) {
    return snapshots::Await<absl::Status>([&](auto done) {
      proxy_->Commit(ctx,
                     {.name = std::move(name),
                      .key = std::move(key),
                      .labels = std::move(labels),
                      .parent = std::move(parent)},
                     std::move(done));
    });
  }
  absl::Status Commit(std::string name, std::string key, std::string parent = {}) {
    return Commit(Ctx(), std::move(name), std::move(key), std::move(parent));
  }
  absl::Status Layer(const std::string& name, const std::string& parent = {}) {
    RETURN_IF_ERROR(Prepare(name + "-key", parent).status());
    return Commit(name, name + "-key");
  }
  absl::StatusOr<snapshots::Info> Stat(std::string key, const Context& ctx = Ctx()) {
    return snapshots::Await<snapshots::Info>(
        [&](auto done) { proxy_->Stat(ctx, std::move(key), std::move(done)); });
  }
  absl::Status Remove(std::string key, const Context& ctx = Ctx()) {
    return snapshots::Await<absl::Status>(
        [&](auto done) { proxy_->Remove(ctx, std::move(key), std::move(done)); });
  }
  absl::Status Cleanup(const Context& ctx = {}) {
    return snapshots::Await<absl::Status>(
        [&](auto done) { proxy_->Cleanup(ctx, std::move(done)); });
  }
  absl::StatusOr<snapshots::ListPage> List(snapshots::ListRequest request) {
    return snapshots::Await<snapshots::ListPage>(
        [&](auto done) { proxy_->List(Ctx(), std::move(request), std::move(done)); });
  }

  void MakeLease(std::string_view id) {
    ASSERT_THAT(
        metadata_->Write({},
                         [&](metadata::WriteTxn& txn) {
                           return txn.Put(metadata::TableId::kLeases, db::JoinKey({"ns", id}), "x");
                         }),
        gantry::testing::IsOk());
  }
  std::vector<std::string> Keys(metadata::TableId table, const std::string& prefix = {}) {
    std::vector<std::string> keys;
    const auto txn = metadata_->Read();
    EXPECT_THAT(
        txn->raw().ForEach(txn->table(table), prefix,
                           [&](std::string_view key, std::string_view) -> absl::StatusOr<db::Scan> {
                             keys.emplace_back(key.substr(prefix.size()));
                             return db::Scan::kContinue;
                           }),
        gantry::testing::IsOk());
    return keys;
  }
  std::vector<std::string> Leased(std::string_view id) {
    return Keys(metadata::TableId::kLeaseMembers, db::KeyPrefix({"ns", id, "snapshots/proxied"}));
  }
  std::vector<std::string> Backend() {
    std::vector<std::string> keys;
    for (const auto& [key, snapshot] : backend_->snapshots()) keys.push_back(key);
    return keys;
  }
  bool Eventually(const std::function<bool()>& holds) {
    const absl::Time limit = absl::Now() + absl::Seconds(20);
    while (!holds()) {
      if (absl::Now() > limit) return false;
      absl::SleepFor(absl::Milliseconds(2));
    }
    return true;
  }
  bool AllSettled() {
    return Eventually([&] { return Keys(metadata::TableId::kSnapshotIntents).empty(); });
  }

  testing::TempDir dir_;
  const std::filesystem::path socket_ = dir_.path() / "sock";
  base::FakeClock clock_{absl::Now()};  // grace counts from what it says
  events::RecordingPublisher publisher_;
  std::unique_ptr<metadata::Metadata> metadata_;
  std::unique_ptr<FakeBackend> backend_;
  std::unique_ptr<ProxySnapshotter> proxy_;
};

}  // namespace gantry::proxy
