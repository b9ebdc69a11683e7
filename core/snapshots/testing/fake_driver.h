// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/snapshots/local_driver.h"

namespace gantry::snapshots {

// What a driver's folder would hold, in memory and shared between drivers, so that it survives a
// "restart". Its mount lists tell what they were made of.
struct FakeFolder {
  base::Mutex mutex;
  std::map<uint64_t, FoundDirectory::State> directories ABSL_GUARDED_BY(mutex);
};

class FakeDriver final : public LocalDriver {
 public:
  using State = FoundDirectory::State;
  // Called before each step with its name; an error is the step's.
  using Hook = std::function<absl::Status(const std::string& step, uint64_t id)>;

  explicit FakeDriver(std::shared_ptr<FakeFolder> folder, bool can_rebase = true)
      : folder_(std::move(folder)), can_rebase_(can_rebase) {}

  void SetHook(Hook hook) { hook_ = std::move(hook); }

  absl::Status Prepare(const Context&, const Layer& layer) override {
    RETURN_IF_ERROR(Before("prepare", layer.id));
    base::MutexLock lock(folder_->mutex);
    seen_labels_ = layer.labels;
    folder_->directories[layer.id] = State::kProvisional;
    return absl::OkStatus();
  }
  absl::Status Publish(uint64_t id) override {
    RETURN_IF_ERROR(Before("publish", id));
    base::MutexLock lock(folder_->mutex);
    const auto found = folder_->directories.find(id);
    if (found == folder_->directories.end()) return Internal("publish {}: no such directory", id);
    found->second = State::kPublished;
    return absl::OkStatus();
  }
  absl::Status Discard(const Context&, uint64_t id) override {
    RETURN_IF_ERROR(Before("discard", id));
    base::MutexLock lock(folder_->mutex);
    folder_->directories.erase(id);
    return absl::OkStatus();
  }
  absl::StatusOr<Usage> Freeze(const Context&, const Layer& layer, bool durable) override {
    RETURN_IF_ERROR(Before(durable ? "freeze durably" : "freeze", layer.id));
    return Usage{.size_bytes = 4096, .inodes = static_cast<int64_t>(layer.id)};
  }
  absl::StatusOr<Usage> Measure(const Context&, const Layer& layer) override {
    RETURN_IF_ERROR(Before("measure", layer.id));
    return Usage{.size_bytes = 512, .inodes = static_cast<int64_t>(layer.id)};
  }
  mount::Mounts MountsOf(const Layer& layer) const override {
    mount::Mount mount{.type = std::string(KindName(layer.kind)),
                       .source = std::to_string(layer.id)};
    for (const uint64_t parent : layer.parents) mount.options.push_back(std::to_string(parent));
    return {mount};
  }
  absl::Status CheckLabels(const Labels& labels) const override {
    return labels.contains(kUidMappingLabel) ? InvalidArgument("uid map") : absl::OkStatus();
  }
  bool can_rebase() const override { return can_rebase_; }
  const std::filesystem::path& root() const override { return root_; }
  absl::StatusOr<std::vector<FoundDirectory>> Scan() const override {
    base::MutexLock lock(folder_->mutex);
    std::vector<FoundDirectory> found;
    for (const auto& [id, state] : folder_->directories) found.push_back({id, state});
    return found;
  }
  absl::Status SyncNames() override { return Before("sync", 0); }

  // The labels that the last Prepare saw.
  Labels seen_labels() const {
    base::MutexLock lock(folder_->mutex);
    return seen_labels_;
  }

 private:
  absl::Status Before(const std::string& step, uint64_t id) {
    const Hook hook = hook_;  // A hook may replace itself.
    return hook ? hook(step, id) : absl::OkStatus();
  }

  const std::shared_ptr<FakeFolder> folder_;
  const bool can_rebase_;
  const std::filesystem::path root_ = "/fake";
  Hook hook_;
  Labels seen_labels_;
};

}  // namespace gantry::snapshots
