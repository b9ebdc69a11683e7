// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/events/publisher.h"

namespace gantry::events {

// Remembers what was published, as "<namespace> <topic>".
class RecordingPublisher final : public Publisher {
 public:
  absl::Status Publish(const Context& ctx, std::string_view topic,
                       const google::protobuf::Message&) override {
    base::MutexLock lock(mutex_);
    seen_.push_back(ctx.ns + " " + std::string(topic));
    return absl::OkStatus();
  }

  std::vector<std::string> Take() {
    base::MutexLock lock(mutex_);
    return std::exchange(seen_, {});
  }

 private:
  base::Mutex mutex_;
  std::vector<std::string> seen_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gantry::events
