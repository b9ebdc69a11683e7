// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/process/task_process.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>

#include "core/base/status.h"

namespace gantry::gctr {
namespace {

namespace tasks = containerd::services::tasks::v1;
using Stub = tasks::Tasks::Stub;
using google::protobuf::Empty;

void Ignore(const grpc::Status&, const Empty&) {}  // the process may be gone already

}  // namespace

template <typename Request>
Request TaskProcess::Named() const {
  Request request;
  request.set_container_id(container_id_);
  request.set_exec_id(exec_id_);
  return request;
}

absl::StatusOr<uint32_t> TaskProcess::Start() {
  ASSIGN_OR_RETURN(const tasks::StartResponse response,
                   service_.Call(&Stub::Start, Named<tasks::StartRequest>()));
  return response.pid();
}

absl::Status TaskProcess::Kill(int signal, bool all) {
  auto request = Named<tasks::KillRequest>();
  request.set_signal(static_cast<uint32_t>(signal));
  request.set_all(all);
  return service_.Call(&Stub::Kill, request).status();
}

absl::StatusOr<containerd::v1::types::Process> TaskProcess::Get() {
  ASSIGN_OR_RETURN(tasks::GetResponse response,
                   service_.Call(&Stub::Get, Named<tasks::GetRequest>()));
  return std::move(*response.mutable_process());
}

absl::StatusOr<uint32_t> TaskProcess::Wait() {
  ASSIGN_OR_RETURN(const tasks::WaitResponse response,
                   service_.Call(&Stub::Wait, Named<tasks::WaitRequest>()));
  return response.exit_status();
}

absl::StatusOr<uint32_t> TaskProcess::Delete() {
  tasks::DeleteResponse response;
  if (exec_id_.empty()) {
    tasks::DeleteTaskRequest request;
    request.set_container_id(container_id_);
    ASSIGN_OR_RETURN(response, service_.Call(&Stub::Delete, request));
  } else {
    ASSIGN_OR_RETURN(response,
                     service_.Call(&Stub::DeleteProcess, Named<tasks::DeleteProcessRequest>()));
  }
  return response.exit_status();
}

absl::Status TaskProcess::KillAndDelete() {
  const absl::Status killed = Kill(SIGKILL, exec_id_.empty());
  if (killed.ok()) RETURN_IF_ERROR(Wait().status());
  const absl::Status deleted = Delete().status();
  return absl::IsNotFound(deleted) ? absl::OkStatus() : deleted;
}

void TaskProcess::KillLater(BackgroundCalls& calls, int signal) {
  auto request = Named<tasks::KillRequest>();
  request.set_signal(static_cast<uint32_t>(signal));
  calls.Add<Empty>(
      std::move(request),
      [this](auto... arguments) { service_.stub().async()->Kill(std::move(arguments)...); },
      Ignore);
}

void TaskProcess::ResizeLater(BackgroundCalls& calls, RawTerminal::Size size,
                              std::function<void()> answered) {
  auto request = Named<tasks::ResizePtyRequest>();
  request.set_width(size.width);
  request.set_height(size.height);
  calls.Add<Empty>(
      std::move(request),
      [this](auto... arguments) { service_.stub().async()->ResizePty(std::move(arguments)...); },
      [answered = std::move(answered)](auto&...) { answered(); });
}

void TaskProcess::CloseInputLater(BackgroundCalls& calls) {
  auto request = Named<tasks::CloseIORequest>();
  request.set_stdin(true);
  calls.Add<Empty>(
      std::move(request),
      [this](auto... arguments) { service_.stub().async()->CloseIO(std::move(arguments)...); },
      Ignore);
}

absl::StatusOr<std::unique_ptr<ExitWatch>> ExitWatch::Begin(TaskProcess& process,
                                                            BackgroundCalls& calls) {
  kernel::UniqueFd ended(::eventfd(0, EFD_CLOEXEC));
  if (!ended) return FromErrno(errno, "eventfd");
  std::unique_ptr<ExitWatch> watch(new ExitWatch(std::move(ended)));
  tasks::WaitRequest request;
  request.set_container_id(process.container_id());
  request.set_exec_id(process.exec_id());
  auto stub =
      std::make_shared<std::unique_ptr<Stub>>(tasks::Tasks::NewStub(process.client().channel()));
  calls.Add<tasks::WaitResponse>(
      std::move(request),
      [stub](auto... arguments) { (*stub)->async()->Wait(std::move(arguments)...); },
      [watch = watch.get(), stub](const grpc::Status& status, const tasks::WaitResponse& response) {
        {
          base::MutexLock lock(watch->mutex_);
          if (status.ok()) {
            watch->outcome_ = response.exit_status();
          } else {
            watch->outcome_ = FromGrpc(status);
          }
        }
        const uint64_t one = 1;
        if (::write(watch->ended_.get(), &one, sizeof one) < 0) {
          // The counter was at 0, so this cannot be.
        }
      });
  return watch;
}

absl::StatusOr<uint32_t> ExitWatch::outcome() {
  base::MutexLock lock(mutex_);
  return outcome_;
}

}  // namespace gantry::gctr
