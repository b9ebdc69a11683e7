// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "shim/loop/co.h"
#include "shim/loop/event.h"
#include "shim/messages/sandbox.h"
#include "shim/server/call.h"
#include "shim/task/reply.h"
#include "shim/task/task_context.h"
#include "shim/task/task_service.h"

namespace gantry::shim {

class Holder;

// The service containerd.runtime.sandbox.v1.Sandbox: the one sandbox of a shim. It has namespaces,
// which a process of its own keeps, and no container; those that join it come by the Task service.
//
// Threads: one.
class SandboxService {
 public:
  // Both outlive it.
  SandboxService(TaskContext& context, TaskService& tasks);
  SandboxService(const SandboxService&) = delete;
  ~SandboxService();

  const Methods& methods() const { return methods_; }

  // From the creation to the shutdown.
  bool exists() const { return sandbox_ != nullptr; }

 private:
  struct Sandbox;
  using Shared = std::shared_ptr<Sandbox>;
  template <typename T>
  using Answered = Co<Reply<T>>;

  Answered<messages::Empty> CreateSandbox(messages::CreateSandboxRequest request, Time deadline);
  Answered<messages::StartSandboxResponse> StartSandbox(messages::StartSandboxRequest request,
                                                        Time deadline);
  Answered<messages::PlatformResponse> Platform(messages::PlatformRequest request, Time deadline);
  Answered<messages::Empty> StopSandbox(messages::StopSandboxRequest request, Time deadline);
  Answered<messages::WaitSandboxResponse> WaitSandbox(messages::WaitSandboxRequest request,
                                                      Time deadline);
  Answered<messages::SandboxStatusResponse> SandboxStatus(messages::SandboxStatusRequest request,
                                                          Time deadline);
  Answered<messages::Empty> PingSandbox(messages::PingRequest request, Time deadline);
  Answered<messages::Empty> ShutdownSandbox(messages::ShutdownSandboxRequest request,
                                            Time deadline);
  Answered<messages::SandboxMetricsResponse> SandboxMetrics(messages::SandboxMetricsRequest request,
                                                            Time deadline);

  template <typename Request, typename Response>
  void Register(const char* name, Answered<Response> (SandboxService::*method)(Request, Time));
  template <typename Request, typename Response>
  static Co<Answer> Serve(SandboxService* service,
                          Answered<Response> (SandboxService::*method)(Request, Time), Call call);

  Shared Find(const std::string& id) const;
  static wire::RpcStatus NotFound(const std::string& id);
  Co<wire::RpcStatus> Stop(Shared sandbox, Clock::duration grace);

  TaskContext& context_;
  TaskService& tasks_;
  Methods methods_;
  Shared sandbox_;
};

}  // namespace gantry::shim
