// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <utility>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/mount/manager/activation_store.h"

namespace gantry::testing {

// Activation records in memory. Leases are not looked at.
class FakeActivationStore final : public mount::ActivationStore {
 public:
  absl::StatusOr<Begun> Begin(const Context& ctx, const std::string& name,
                              const Labels& labels) override {
    base::MutexLock lock(mutex_);
    mount::ActivationRecord& record = records_[{ctx.ns, name}];
    if (record.complete) return AlreadyExists("mount {}", name);
    Begun begun{.id = ++last_id_, .replaced = std::nullopt};
    if (record.id != 0) begun.replaced = record.id;
    record = {.ns = ctx.ns, .id = begun.id, .complete = false, .info = {}};
    record.info.name = name;
    record.info.labels = labels;
    return begun;
  }

  absl::Status Complete(const Context& ctx, uint64_t id,
                        const mount::ActivationInfo& info) override {
    base::MutexLock lock(mutex_);
    const auto found = records_.find({ctx.ns, info.name});
    if (found == records_.end() || found->second.id != id) return NotFound("mount {}", info.name);
    if (!fail_complete_.ok()) return fail_complete_;
    found->second.info = info;
    found->second.complete = true;
    return absl::OkStatus();
  }

  absl::StatusOr<mount::ActivationRecord> Remove(const Context& ctx,
                                                 const std::string& name) override {
    base::MutexLock lock(mutex_);
    auto node = records_.extract({ctx.ns, name});
    if (node.empty()) return NotFound("mount {}", name);
    return std::move(node.mapped());
  }

  absl::StatusOr<mount::ActivationRecord> Get(const Context& ctx,
                                              const std::string& name) const override {
    base::MutexLock lock(mutex_);
    const auto found = records_.find({ctx.ns, name});
    if (found == records_.end()) return NotFound("mount {}", name);
    return found->second;
  }

  absl::Status ForEach(
      const Context&, std::string_view ns,
      absl::FunctionRef<absl::Status(const mount::ActivationRecord&)> visit) const override {
    std::map<std::pair<std::string, std::string>, mount::ActivationRecord> records;
    {
      base::MutexLock lock(mutex_);
      records = records_;
    }
    for (const auto& [key, record] : records) {
      if (ns.empty() || ns == record.ns) RETURN_IF_ERROR(visit(record));
    }
    return absl::OkStatus();
  }

  // What Complete() answers instead of success.
  void FailComplete(absl::Status status) {
    base::MutexLock lock(mutex_);
    fail_complete_ = std::move(status);
  }

 private:
  mutable base::Mutex mutex_;
  uint64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status fail_complete_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<std::string, std::string>, mount::ActivationRecord> records_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace gantry::testing
