// SPDX-License-Identifier: Apache-2.0
// Deletions that may wait for a collection.
#pragma once

#include <google/protobuf/empty.pb.h>

#include <memory>
#include <utility>

#include "core/gc/scheduler.h"
#include "services/rpc/first_answer.h"
#include "services/rpc/unary.h"

namespace gantry::rpc {

// Runs `remove(const Context&)` on the pool; then, if `sync`, answers once a collection that starts
// after it is over. The wait holds no thread, and a cancelled call ends only the waiting: it is
// answered at once.
template <typename Remove>
grpc::ServerUnaryReactor* RunThenCollect(grpc::CallbackServerContext* call,
                                         base::WorkerPool& workers, gc::Scheduler& scheduler,
                                         bool sync, google::protobuf::Empty* response,
                                         Remove remove) {
  using Empty = google::protobuf::Empty;
  return RunAsync<Empty>(call, response, [&](const Context& ctx, Done<Empty> done) {
    Post<Empty>(workers, std::move(done),
                [ctx, &scheduler, sync, remove = std::move(remove)](Done<Empty> answer) {
                  const absl::Status removed = remove(ctx);
                  if (!removed.ok()) return std::move(answer)(removed);
                  if (!sync) return std::move(answer)(Empty());
                  scheduler.Collect([first = FirstAnswer<Empty>::Until(ctx, std::move(answer))](
                                        absl::Status collected) mutable {
                    if (collected.ok()) {
                      std::move(first)(Empty());
                    } else {
                      std::move(first)(std::move(collected));
                    }
                  });
                });
  });
}

}  // namespace gantry::rpc
