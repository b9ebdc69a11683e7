// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <memory>
#include <set>
#include <utility>

#include "cmd/gctr/client/client.h"
#include "core/base/mutex.h"

namespace gantry::gctr {

// Calls that nobody waits for. At the end what is still under way is cancelled.
//
// Threads: any; answers come on gRPC's.
class BackgroundCalls {
 public:
  explicit BackgroundCalls(const Client& client) : client_(client) {}
  BackgroundCalls(const BackgroundCalls&) = delete;
  BackgroundCalls& operator=(const BackgroundCalls&) = delete;
  ~BackgroundCalls();

  // `start` is given context, request, response and callback for a method of a stub's async().
  template <typename Response, typename Request, typename Start>
  void Add(Request request, const Start& start,
           std::function<void(const grpc::Status&, const Response&)> done) {
    struct Call {
      grpc::ClientContext context;
      Request request;
      Response response;
    };
    auto call = std::make_shared<Call>();
    call->request = std::move(request);
    client_.Prepare(call->context);
    Begin(call->context);
    start(&call->context, &call->request, &call->response,
          [this, call, done = std::move(done)](const grpc::Status& status) {
            done(status, call->response);
            End(call->context);
          });
  }

 private:
  void Begin(grpc::ClientContext& context);
  void End(grpc::ClientContext& context);

  const Client& client_;
  base::Mutex mutex_;
  base::CondVar ended_;
  std::set<grpc::ClientContext*> running_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gantry::gctr
