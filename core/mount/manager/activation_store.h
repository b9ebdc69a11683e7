// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/context.h"
#include "core/mount/manager/activation.h"

namespace gantry::mount {

// The records of activations. A record is on disk when the call that made it returns.
//
// To the collector an unfinished record is a root: its mounts are under way. A finished one is kept
// by the lease it was made under and by what its labels name.
// Threads: any.
class ActivationStore {
 public:
  virtual ~ActivationStore() = default;

  struct Begun {
    uint64_t id = 0;
    std::optional<uint64_t> replaced;  // the id of an unfinished record of that name
  };

  // Makes an unfinished record in `ctx.ns`, under `ctx.lease` if that is set. AlreadyExists when a
  // finished one has the name.
  virtual absl::StatusOr<Begun> Begin(const Context& ctx, const std::string& name,
                                      const Labels& labels) = 0;

  // Finishes the record `id` with the mounts of `info`. NotFound when it is no longer there.
  virtual absl::Status Complete(const Context& ctx, uint64_t id, const ActivationInfo& info) = 0;

  // Takes a record away and gives it. NotFound.
  virtual absl::StatusOr<ActivationRecord> Remove(const Context& ctx, const std::string& name) = 0;

  virtual absl::StatusOr<ActivationRecord> Get(const Context& ctx,
                                               const std::string& name) const = 0;

  // Calls `visit` for each record of namespace `ns`, or of all when that is empty, in the order of
  // names. An error of `visit` ends it.
  virtual absl::Status ForEach(
      const Context& ctx, std::string_view ns,
      absl::FunctionRef<absl::Status(const ActivationRecord&)> visit) const = 0;
};

}  // namespace gantry::mount
