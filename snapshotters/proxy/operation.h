// SPDX-License-Identifier: Apache-2.0
// Private to the proxy snapshotter's sources.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "snapshotters/proxy/proxy_snapshotter.h"

namespace gantry::proxy {

template <typename Done>
struct ProxySnapshotter::Operation {
  Operation(Context ctx, std::unique_ptr<Admission::Permit> permit, Done done)
      : permit(std::move(permit)), ctx(std::move(ctx)), done(std::move(done)) {}

  template <typename Answer>
  void End(Answer answer) {
    std::move(done)(std::move(answer));
  }

  const std::unique_ptr<Admission::Permit> permit;  // Given back last.
  const Context ctx;
  Done done;
};

template <typename Done, typename Body>
void ProxySnapshotter::Begin(const Context& ctx, std::vector<KeyHolds::Want> wants, Done done,
                             Body body) {
  auto permit = admission_.Enter();
  if (!permit.ok()) return std::move(done)(permit.status());
  auto operation = std::make_shared<Operation<Done>>(ctx, *std::move(permit), std::move(done));
  holds_.Acquire(
      ctx, std::move(wants),
      [operation = std::move(operation), body = std::move(body)](absl::Status acquired) mutable {
        if (acquired.ok()) {
          body(std::move(operation));
        } else {
          operation->End(std::move(acquired));
        }
      });
}

template <typename Done, typename Body>
void ProxySnapshotter::BeginOn(const Context& ctx, const std::string& key, Done done, Body body) {
  if (const absl::Status valid = snapshots::CheckKey("snapshot key", key); !valid.ok())
    return std::move(done)(valid);
  Begin(ctx, {{.key = {ctx.ns, key}}}, std::move(done),
        [this, key, body = std::move(body)](Ptr<Done> operation) mutable {
          absl::StatusOr<snapshots::Snapshot> snapshot = records_.Get(operation->ctx, key);
          if (!snapshot.ok()) return operation->End(snapshot.status());
          body(std::move(operation), *std::move(snapshot));
        });
}

}  // namespace gantry::proxy
