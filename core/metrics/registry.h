// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/metrics/family.h"

namespace gantry::metrics {

// Adds families, with the values of now. Must not block, nor take long.
using Source = std::function<void(std::vector<Family>& families)>;

// Who has something to measure.
//
// Threads: all methods from any thread; sources are called one at a time.
class Registry {
 public:
  // Keeps a source registered. The registry outlives it; once it is gone the source is not called.
  class [[nodiscard]] Registration {
   public:
    Registration() = default;
    Registration(Registration&& other) noexcept
        : registry_(std::exchange(other.registry_, nullptr)), id_(other.id_) {}
    Registration& operator=(Registration&& other) noexcept {
      std::swap(registry_, other.registry_);
      std::swap(id_, other.id_);
      return *this;
    }
    ~Registration() {
      if (registry_ != nullptr) registry_->Remove(id_);
    }

   private:
    friend class Registry;
    Registration(Registry* registry, uint64_t id) : registry_(registry), id_(id) {}
    Registry* registry_ = nullptr;
    uint64_t id_ = 0;
  };

  Registration Add(Source source);

  // Families in the order of their names; those that several sources have are joined.
  std::vector<Family> Collect() const;

 private:
  void Remove(uint64_t id);

  mutable base::Mutex mutex_;
  std::map<uint64_t, Source> sources_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Prometheus' text format, version 0.0.4.
std::string Render(std::span<const Family> families);

}  // namespace gantry::metrics
