// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shim/loop/co.h"
#include "shim/messages/fast.h"
#include "shim/messages/task_requests.h"
#include "shim/messages/task_responses.h"
#include "shim/server/call.h"
#include "shim/task/reply.h"
#include "shim/task/task_context.h"
#include "shim/task/task_service.h"

namespace gantry::shim {

// The service gantry.shim.v1.Fast, for daemons that know it: what takes several calls of the task
// service, in one. Its containers are those of the task service.
class FastService {
 public:
  FastService(TaskContext& context, TaskService& tasks);
  FastService(const FastService&) = delete;

  const Methods& methods() const { return methods_; }
  const StreamMethods& streams() const { return streams_; }

 private:
  template <typename T>
  using Answered = Co<Reply<T>>;
  // What a method wants to know of its call.
  struct Circumstances {
    Time deadline;
    std::shared_ptr<Caller> caller;
  };

  Answered<messages::ExecSyncResponse> ExecSync(messages::ExecSyncRequest request,
                                                Circumstances call);
  Answered<messages::Empty> CancelExec(messages::CancelExecRequest request, Circumstances call);
  Answered<messages::StartResponse> CreateStart(messages::CreateTaskRequest request,
                                                Circumstances call);
  Answered<messages::StatsBatchResponse> StatsBatch(messages::StatsBatchRequest request,
                                                    Circumstances call);

  Answered<messages::Empty> ReopenLog(messages::ReopenLogRequest request, Circumstances call);
  static Co<wire::RpcStatus> Attach(FastService* service, Call call, MessageStream& stream);

  template <typename Request, typename Response>
  void Register(const char* name,
                Answered<Response> (FastService::*method)(Request, Circumstances));
  template <typename Request, typename Response>
  static Co<Answer> Serve(FastService* service,
                          Answered<Response> (FastService::*method)(Request, Circumstances),
                          Call call);

  TaskContext& context_;
  TaskService& tasks_;
  Methods methods_;
  StreamMethods streams_;
  size_t readers_ = 0;  // that are attached
};

}  // namespace gantry::shim
