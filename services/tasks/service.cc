// SPDX-License-Identifier: Apache-2.0
#include "services/tasks/service.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/filters/filter.h"
#include "proto/services/tasks/v1/tasks.grpc.pb.h"
#include "services/rpc/service.h"
#include "services/rpc/unary.h"
#include "services/tasks/convert.h"
#include "services/tasks/frontend.h"

namespace gantry::tasks {
namespace {

namespace pb = ::containerd::services::tasks::v1;
using google::protobuf::Empty;
using rpc::RunAsync;
using runtime::Nothing;
using Call = grpc::CallbackServerContext*;
using Reactor = grpc::ServerUnaryReactor*;

// Hands a core value on as the response that `encode` makes of it.
template <typename Response, typename Value, typename Encode>
runtime::Done<Value> Encoded(rpc::Done<Response> done, Encode encode) {
  return [done = std::move(done), encode = std::move(encode)](absl::StatusOr<Value> value) mutable {
    if (!value.ok()) return done(value.status());
    done(encode(*std::move(value)));
  };
}

runtime::Done<Nothing> AsEmpty(rpc::Done<Empty> done) {
  return Encoded<Empty, Nothing>(std::move(done), [](Nothing) { return Empty(); });
}

class TasksService final : public rpc::Service, public pb::Tasks::CallbackService {
 public:
  explicit TasksService(Frontend& frontend) : frontend_(frontend), tasks_(frontend.tasks()) {}

  grpc::Service& grpc() override { return *this; }

  Reactor Create(Call call, const pb::CreateTaskRequest* request,
                 pb::CreateTaskResponse* response) override {
    return RunAsync(call, response,
                    [this, request](const Context& ctx, rpc::Done<pb::CreateTaskResponse> done) {
                      frontend_.Create(
                          ctx, *request,
                          Encoded<pb::CreateTaskResponse, uint32_t>(
                              std::move(done), [id = request->container_id()](uint32_t pid) {
                                pb::CreateTaskResponse created;
                                created.set_container_id(id);
                                created.set_pid(pid);
                                return created;
                              }));
                    });
  }

  Reactor Start(Call call, const pb::StartRequest* request, pb::StartResponse* response) override {
    return RunAsync(
        call, response, [this, request](const Context& ctx, rpc::Done<pb::StartResponse> done) {
          tasks_.Start(ctx, request->container_id(), request->exec_id(),
                       Encoded<pb::StartResponse, uint32_t>(std::move(done), [](uint32_t pid) {
                         pb::StartResponse started;
                         started.set_pid(pid);
                         return started;
                       }));
        });
  }

  Reactor Delete(Call call, const pb::DeleteTaskRequest* request,
                 pb::DeleteResponse* response) override {
    return RunAsync(
        call, response, [this, request](const Context& ctx, rpc::Done<pb::DeleteResponse> done) {
          frontend_.Delete(
              ctx, request->container_id(),
              Encoded<pb::DeleteResponse, runtime::Exit>(
                  std::move(done), [](const runtime::Exit& exit) { return ToProto(exit); }));
        });
  }

  Reactor DeleteProcess(Call call, const pb::DeleteProcessRequest* request,
                        pb::DeleteResponse* response) override {
    return RunAsync(
        call, response, [this, request](const Context& ctx, rpc::Done<pb::DeleteResponse> done) {
          tasks_.DeleteExec(
              ctx, request->container_id(), request->exec_id(),
              Encoded<pb::DeleteResponse, runtime::Exit>(
                  std::move(done), [id = request->exec_id()](const runtime::Exit& exit) {
                    pb::DeleteResponse deleted = ToProto(exit);
                    deleted.set_id(id);
                    return deleted;
                  }));
        });
  }

  Reactor Get(Call call, const pb::GetRequest* request, pb::GetResponse* response) override {
    return RunAsync(call, response,
                    [this, request](const Context& ctx, rpc::Done<pb::GetResponse> done) {
                      tasks_.Get(ctx, request->container_id(), request->exec_id(),
                                 Encoded<pb::GetResponse, runtime::ProcessState>(
                                     std::move(done), [](const runtime::ProcessState& state) {
                                       pb::GetResponse got;
                                       ToProto(state, got.mutable_process());
                                       return got;
                                     }));
                    });
  }

  Reactor List(Call call, const pb::ListTasksRequest*, pb::ListTasksResponse* response) override {
    using States = std::vector<runtime::ProcessState>;
    return RunAsync(call, response,
                    [this](const Context& ctx, rpc::Done<pb::ListTasksResponse> done) {
                      tasks_.List(ctx, Encoded<pb::ListTasksResponse, States>(
                                           std::move(done), [](const States& states) {
                                             pb::ListTasksResponse list;
                                             for (const auto& state : states)
                                               ToProto(state, list.add_tasks());
                                             return list;
                                           }));
                    });
  }

  Reactor Kill(Call call, const pb::KillRequest* request, Empty* response) override {
    return RunAsync(call, response, [this, request](const Context& ctx, rpc::Done<Empty> done) {
      tasks_.Kill(
          ctx, request->container_id(),
          {.exec_id = request->exec_id(), .signal = request->signal(), .all = request->all()},
          AsEmpty(std::move(done)));
    });
  }

  Reactor Exec(Call call, const pb::ExecProcessRequest* request, Empty* response) override {
    return RunAsync(call, response, [this, request](const Context& ctx, rpc::Done<Empty> done) {
      tasks_.Exec(ctx, request->container_id(), FromProto(*request), AsEmpty(std::move(done)));
    });
  }

  Reactor ResizePty(Call call, const pb::ResizePtyRequest* request, Empty* response) override {
    return RunAsync(call, response, [this, request](const Context& ctx, rpc::Done<Empty> done) {
      tasks_.ResizePty(ctx, request->container_id(), request->exec_id(),
                       {.width = request->width(), .height = request->height()},
                       AsEmpty(std::move(done)));
    });
  }

  Reactor CloseIO(Call call, const pb::CloseIORequest* request, Empty* response) override {
    return RunAsync(call, response, [this, request](const Context& ctx, rpc::Done<Empty> done) {
      if (!request->stdin()) {
        return tasks_.CheckExists(ctx, request->container_id(), request->exec_id(),
                                  AsEmpty(std::move(done)));
      }
      tasks_.CloseIo(ctx, request->container_id(), request->exec_id(), AsEmpty(std::move(done)));
    });
  }

  Reactor Pause(Call call, const pb::PauseTaskRequest* request, Empty* response) override {
    return RunAsync(call, response, [this, request](const Context& ctx, rpc::Done<Empty> done) {
      tasks_.Pause(ctx, request->container_id(), AsEmpty(std::move(done)));
    });
  }

  Reactor Resume(Call call, const pb::ResumeTaskRequest* request, Empty* response) override {
    return RunAsync(call, response, [this, request](const Context& ctx, rpc::Done<Empty> done) {
      tasks_.Resume(ctx, request->container_id(), AsEmpty(std::move(done)));
    });
  }

  Reactor ListPids(Call call, const pb::ListPidsRequest* request,
                   pb::ListPidsResponse* response) override {
    using Infos = std::vector<runtime::ProcessInfo>;
    return RunAsync(
        call, response, [this, request](const Context& ctx, rpc::Done<pb::ListPidsResponse> done) {
          tasks_.Pids(ctx, request->container_id(),
                      Encoded<pb::ListPidsResponse, Infos>(std::move(done), [](const Infos& infos) {
                        pb::ListPidsResponse list;
                        for (const auto& info : infos) ToProto(info, list.add_processes());
                        return list;
                      }));
        });
  }

  Reactor Checkpoint(Call call, const pb::CheckpointTaskRequest* request,
                     pb::CheckpointTaskResponse* response) override {
    return RunAsync(
        call, response,
        [this, request](const Context& ctx, rpc::Done<pb::CheckpointTaskResponse> done) {
          frontend_.Checkpoint(ctx, *request, std::move(done));
        });
  }

  Reactor Update(Call call, const pb::UpdateTaskRequest* request, Empty* response) override {
    return RunAsync(call, response, [this, request](const Context& ctx, rpc::Done<Empty> done) {
      if (!request->has_resources()) return done(InvalidArgument("resources must be set"));
      tasks_.Update(ctx, request->container_id(), request->resources(),
                    {request->annotations().begin(), request->annotations().end()},
                    AsEmpty(std::move(done)));
    });
  }

  Reactor Metrics(Call call, const pb::MetricsRequest* request,
                  pb::MetricsResponse* response) override {
    return RunAsync(call, response,
                    [this, request](const Context& ctx, rpc::Done<pb::MetricsResponse> done) {
                      frontend_.Metrics(ctx, *request, std::move(done));
                    });
  }

  Reactor Wait(Call call, const pb::WaitRequest* request, pb::WaitResponse* response) override {
    return RunAsync(call, response,
                    [this, request](const Context& ctx, rpc::Done<pb::WaitResponse> done) {
                      tasks_.Wait(ctx, request->container_id(), request->exec_id(),
                                  Encoded<pb::WaitResponse, runtime::Exit>(
                                      std::move(done), [](const runtime::Exit& exit) {
                                        pb::WaitResponse waited;
                                        waited.set_exit_status(exit.status);
                                        *waited.mutable_exited_at() =
                                            std::move(*ToProto(exit).mutable_exited_at());
                                        return waited;
                                      }));
                    });
  }

 private:
  Frontend& frontend_;
  runtime::TaskManager& tasks_;
};

}  // namespace

plugin::Registration ServicePlugin(base::WorkerPool&) {
  return plugin::Provide(
      rpc::kService,
      plugin::Spec<rpc::Service>{
          .id = "tasks",
          .needs = {kTasksService.uri},
          .init = [](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<rpc::Service>> {
            ASSIGN_OR_RETURN(Frontend * frontend, init.Get(kTasksService, "tasks-service"));
            return std::make_unique<TasksService>(*frontend);
          }});
}

}  // namespace gantry::tasks
