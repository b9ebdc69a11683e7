// SPDX-License-Identifier: Apache-2.0
// A task manager over real stores, for tests. Calls are made to wait.
#pragma once

#include <algorithm>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/events/exchange.h"
#include "core/mount/manager/mount_manager.h"
#include "core/runtime/task_manager.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/events/task.pb.h"
#include "proto/types/event.pb.h"

namespace gantry::runtime::testing {

class TaskFixture : public ::testing::Test {
 protected:
  TaskFixture() { StartManager(); }

  void StartManager() {
    launcher_.daemon_binary = "/bin/true";
    launcher_.grpc_address = (dir_.path() / "g.sock").string();
    launcher_.ttrpc_address = launcher_.grpc_address + ".ttrpc";
    auto shims = ShimManager::Create({.launcher = launcher_, .timeouts = timeouts_});
    ASSERT_THAT(shims, gantry::testing::IsOk());
    shims_ = *std::move(shims);
    auto tasks = TaskManager::Create(*shims_, *metadata_, exchange_, roots_, mounts_.get());
    ASSERT_THAT(tasks, gantry::testing::IsOk());
    tasks_ = *std::move(tasks);
  }

  // As a daemon ends: nothing is told to the shims.
  void StopManager() {
    tasks_.reset();
    shims_.reset();
  }
  void RestartManager() {
    StopManager();
    StartManager();
  }

  // Calls `method` of the manager and waits for its answer.
  template <typename T, typename Call>
  absl::StatusOr<T> Sync(Call call) {
    auto result = std::make_shared<std::promise<absl::StatusOr<T>>>();
    auto future = result->get_future();
    call([result](absl::StatusOr<T> value) { result->set_value(std::move(value)); });
    if (future.wait_for(std::chrono::seconds(60)) != std::future_status::ready) {
      return Unknown("no answer within a minute");
    }
    return future.get();
  }
  // Calls and gives the answer to be.
  template <typename T, typename Call>
  std::future<absl::StatusOr<T>> Async(Call call) {
    auto result = std::make_shared<std::promise<absl::StatusOr<T>>>();
    call([result](absl::StatusOr<T> value) { result->set_value(std::move(value)); });
    return result->get_future();
  }

  absl::StatusOr<uint32_t> Create(const std::string& id, CreateOptions options) {
    return Create(ctx_, id, std::move(options));
  }
  absl::StatusOr<uint32_t> Create(const Context& ctx, const std::string& id,
                                  CreateOptions options) {
    return Sync<uint32_t>([&](Done<uint32_t> done) {
      tasks_->CreateTask(ctx, id, std::move(options), std::move(done));
    });
  }
  absl::StatusOr<uint32_t> Start(const std::string& id, const std::string& exec_id = "") {
    return Sync<uint32_t>(
        [&](Done<uint32_t> done) { tasks_->Start(ctx_, id, exec_id, std::move(done)); });
  }
  absl::StatusOr<Exit> Delete(const std::string& id) {
    return Sync<Exit>([&](Done<Exit> done) { tasks_->Delete(ctx_, id, std::move(done)); });
  }
  absl::StatusOr<Exit> DeleteExec(const std::string& id, const std::string& exec_id) {
    return Sync<Exit>(
        [&](Done<Exit> done) { tasks_->DeleteExec(ctx_, id, exec_id, std::move(done)); });
  }
  absl::Status Exec(const std::string& id, ExecOptions options) {
    return Sync<Nothing>([&](Done<Nothing> done) {
             tasks_->Exec(ctx_, id, std::move(options), std::move(done));
           })
        .status();
  }
  absl::StatusOr<ProcessState> Get(const std::string& id, const std::string& exec_id = "") {
    return Sync<ProcessState>(
        [&](Done<ProcessState> done) { tasks_->Get(ctx_, id, exec_id, std::move(done)); });
  }
  std::vector<ProcessState> List() {
    auto states = Sync<std::vector<ProcessState>>(
        [&](Done<std::vector<ProcessState>> done) { tasks_->List(ctx_, std::move(done)); });
    EXPECT_THAT(states, gantry::testing::IsOk());
    return states.ok() ? *std::move(states) : std::vector<ProcessState>();
  }
  std::future<absl::StatusOr<Exit>> Wait(const std::string& id, const std::string& exec_id = "") {
    return Async<Exit>([&](Done<Exit> done) { tasks_->Wait(ctx_, id, exec_id, std::move(done)); });
  }
  absl::Status Kill(const std::string& id, uint32_t signal, const std::string& exec_id = "",
                    bool all = false) {
    return Sync<Nothing>([&](Done<Nothing> done) {
             tasks_->Kill(ctx_, id, {.exec_id = exec_id, .signal = signal, .all = all},
                          std::move(done));
           })
        .status();
  }

  // The first event of this topic that was not asked for yet, or nothing within the time. Events of
  // other topics wait for their turn.
  template <typename Event>
  std::optional<Event> NextEvent(std::string_view topic,
                                 absl::Duration budget = absl::Seconds(30)) {
    const absl::Time deadline = absl::Now() + budget;
    while (true) {
      const auto found = std::find_if(seen_.begin(), seen_.end(),
                                      [&](const auto& event) { return event->topic() == topic; });
      if (found != seen_.end()) {
        Event message;
        EXPECT_TRUE(message.ParseFromString((*found)->event().value()));
        seen_.erase(found);
        return message;
      }
      auto wake = std::make_shared<std::promise<void>>();
      auto woken = wake->get_future();
      auto polled = events_->Poll([wake] { wake->set_value(); });
      if (polled && !polled->ok()) return std::nullopt;
      if (polled) {
        seen_.push_back(**std::move(polled));
        continue;
      }
      const auto left = absl::ToChronoMilliseconds(deadline - absl::Now());
      if (left.count() <= 0 || woken.wait_for(left) != std::future_status::ready) {
        return std::nullopt;
      }
    }
  }
  absl::Status Forward(std::string_view topic, const google::protobuf::Message& event) {
    events::Envelope envelope;
    envelope.set_namespace_(ctx_.ns);
    envelope.set_topic(std::string(topic));
    envelope.mutable_timestamp()->set_seconds(1);
    envelope.mutable_event()->set_type_url(event.GetTypeName());
    envelope.mutable_event()->set_value(event.SerializeAsString());
    return exchange_.Forward(envelope);
  }

  std::filesystem::path BundlePath(const std::string& id) const {
    return roots_.state / ctx_.ns / id;
  }
  bool NoBundles() const {
    const auto state = ListBundles(roots_.state);
    const auto root = ListBundles(roots_.root);
    return state.ok() && root.ok() && state->bundles.empty() && state->remains.empty() &&
           root->bundles.empty() && root->remains.empty();
  }

  // Waits until it holds; tests have nothing better to wait for where a clean-up is not announced.
  static bool Eventually(const std::function<bool()>& holds,
                         absl::Duration budget = absl::Seconds(30)) {
    const absl::Time deadline = absl::Now() + budget;
    while (!holds()) {
      if (absl::Now() > deadline) return false;
      absl::SleepFor(absl::Milliseconds(5));
    }
    return true;
  }

  gantry::testing::TempDir dir_;
  const Context ctx_{.ns = "ns"};
  base::SystemClock clock_;
  std::unique_ptr<metadata::Metadata> metadata_ = *metadata::Metadata::Open(
      {.db = {.path = dir_.path() / "db", .map_size_bytes = 16 << 20, .no_sync = true}}, clock_);
  events::Exchange exchange_{clock_};
  std::vector<events::SharedEnvelope> seen_;
  std::unique_ptr<events::Subscription> events_ = exchange_.Subscribe({});
  BundleRoots roots_{.state = dir_.path() / "state", .root = dir_.path() / "root"};
  Launcher::Options launcher_;
  Timeouts timeouts_;
  std::unique_ptr<mount::MountManager> mounts_;  // null unless a test sets it and restarts
  std::unique_ptr<ShimManager> shims_;
  std::unique_ptr<TaskManager> tasks_;
};

}  // namespace gantry::runtime::testing
