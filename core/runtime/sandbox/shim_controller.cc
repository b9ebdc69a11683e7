// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/sandbox/shim_controller.h"

#include <algorithm>
#include <utility>

#include "core/base/identifiers.h"
#include "core/log/log.h"
#include "core/runtime/convert.h"
#include "core/runtime/sandbox/sandbox_create.h"
#include "core/runtime/sandbox/sandbox_end.h"
#include "core/runtime/sandbox/sandbox_load.h"
#include "core/runtime/sandbox/sandbox_wait.h"
#include "core/sandbox/sandbox_message.h"
#include "proto/runtime/sandbox/v1/sandbox.pb.h"

namespace gantry::runtime {
namespace {

namespace pb = ::containerd::runtime::sandbox::v1;
using Phase = SandboxShim::Phase;

absl::Time Within(const Context& ctx, absl::Duration budget) {
  return std::min(ctx.deadline, absl::Now() + budget);
}

template <typename Request>
Request RequestFor(const std::string& id) {
  Request request;
  request.set_sandbox_id(id);
  return request;
}

std::string AddressOf(const Endpoint& endpoint) {
  return endpoint.protocol + "+" + endpoint.address;
}

// A sandbox that is stopped, or whose shim is gone, needs no stopping.
bool HasStopped(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsUnavailable(status) || IsClosed(status);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ShimController>> ShimController::Create(ShimManager& shims,
                                                                       BundleRoots roots) {
  std::unique_ptr<ShimController> controller(new ShimController(shims, std::move(roots)));
  // New ones can be made all the same; and tasks, which share the shim manager, have to be served.
  if (const absl::Status loaded = LoadSandboxes(controller->env_); !loaded.ok()) {
    log::Error("sandboxes of before cannot be taken up", {{"error", loaded}});
  }
  return controller;
}

absl::StatusOr<std::shared_ptr<SandboxShim>> ShimController::Find(const Context& ctx,
                                                                  const std::string& id) const {
  std::shared_ptr<SandboxShim> sandbox = env_.sandboxes.Find(ctx.ns, id);
  const Phase phase = sandbox == nullptr ? Phase::kEnding : sandbox->phase();
  if (phase == Phase::kLoading) {
    return Unavailable("shim of sandbox {:?} cannot be reached since the restart", id);
  }
  if (phase != Phase::kReady) return NotFound("sandbox {:?}", id);
  return sandbox;
}

std::shared_ptr<Caller<Nothing>> ShimController::CallerOf(const Context& ctx, Finished done) {
  return Caller<Nothing>::Make(
      env_.shims.loop(), ctx,
      [done = std::move(done)](const absl::StatusOr<Nothing>& result) mutable {
        done(result.status());
      });
}

bool ShimController::WaitForEnd(const Context& ctx, const std::string& id, Finished& done,
                                std::function<void(Finished)> again) {
  const std::shared_ptr<SandboxShim> sandbox = env_.sandboxes.Find(ctx.ns, id);
  if (sandbox == nullptr || sandbox->phase() != Phase::kEnding) return false;
  // A shim that refuses to end is tried again without end.
  Context bounded = ctx;
  bounded.deadline = Within(ctx, env_.timeouts().runtime_signal);
  const auto caller = CallerOf(bounded, std::move(done));
  sandbox->AfterEnding([caller] { return caller->waiting(); },
                       [caller, again = std::move(again)] {
                         again([caller](const absl::Status& ended) {
                           ended.ok() ? caller->Answer(Nothing()) : caller->Answer(ended);
                         });
                       });
  return true;
}

template <typename Response, typename Result, typename Convert>
void ShimController::Forward(const Context& ctx, const SandboxShim& sandbox,
                             std::string_view method, const google::protobuf::MessageLite& request,
                             absl::Time deadline, Done<Result> done, Convert convert) {
  auto caller = Caller<Result>::Make(env_.shims.loop(), ctx, std::move(done));
  const std::shared_ptr<Shim> shim = sandbox.shim();
  CallSandbox<Response>(
      *shim, method, request, deadline,
      [caller, shim, convert = std::move(convert)](absl::StatusOr<Response> response) mutable {
        caller->Answer(convert(*shim, std::move(response)));
      });
}

void ShimController::Create(const Context& ctx, sandbox::Sandbox sandbox,
                            sandbox::CreateOptions options, Finished done) {
  auto caller = CallerOf(ctx, std::move(done));
  if (const absl::Status valid = ValidateIdentifier(sandbox.id); !valid.ok()) {
    caller->Answer(Annotate(valid, "sandbox id"));
    return;
  }
  if (sandbox.runtime_name.empty()) {
    caller->Answer(InvalidArgument("sandbox {:?} names no runtime", sandbox.id));
    return;
  }
  absl::StatusOr<std::shared_ptr<SandboxShim>> reserved =
      env_.sandboxes.Reserve(Bundle(env_.roots, ctx.ns, sandbox.id), Phase::kCreating);
  if (!reserved.ok()) {
    caller->Answer(reserved.status());
    return;
  }
  RunSandboxCreate(env_, *std::move(reserved), std::move(sandbox), std::move(options),
                   std::move(caller));
}

void ShimController::Start(const Context& ctx, const std::string& id, Done<sandbox::Started> done) {
  const auto sandbox = Find(ctx, id);
  if (!sandbox.ok()) return done(sandbox.status());
  auto caller = Caller<sandbox::Started>::Make(env_.shims.loop(), ctx, std::move(done));
  const std::shared_ptr<Shim> shim = (*sandbox)->shim();
  auto started = [&env = env_, caller, shim,
                  sandbox = *sandbox](absl::StatusOr<pb::StartSandboxResponse> response) {
    if (response.ok()) {
      sandbox::Started out{.pid = response->pid(),
                           .created_at = TimeFromProto(response->created_at()),
                           .address = AddressOf(shim->connection().endpoint()),
                           .version = static_cast<uint32_t>(shim->version())};
      if (response->has_spec()) out.spec = std::move(*response->mutable_spec());
      caller->Answer(std::move(out));
      return;
    }
    const absl::Status why =
        Annotate(response.status(), "failed to start sandbox " + sandbox->id());
    // One that runs, or has run, is not to go because somebody starts it again.
    const bool refused = absl::IsFailedPrecondition(why) || absl::IsAlreadyExists(why);
    if (refused || !sandbox->Move(Phase::kReady, Phase::kEnding)) {
      caller->Answer(why);
      return;
    }
    UndoSandbox(env, sandbox, [caller, why] { caller->Answer(why); });
  };
  CallSandbox<pb::StartSandboxResponse>(
      *shim, "StartSandbox", RequestFor<pb::StartSandboxRequest>(id),
      env_.In(env_.timeouts().runtime_command), std::move(started));
}

void ShimController::GetPlatform(const Context& ctx, const std::string& id,
                                 Done<sandbox::Platform> done) {
  const auto sandbox = Find(ctx, id);
  if (!sandbox.ok()) return done(sandbox.status());
  Forward<pb::PlatformResponse>(
      ctx, **sandbox, "Platform", RequestFor<pb::PlatformRequest>(id),
      Within(ctx, env_.timeouts().quick), std::move(done),
      [](const Shim&,
         const absl::StatusOr<pb::PlatformResponse>& got) -> absl::StatusOr<sandbox::Platform> {
        if (absl::IsUnimplemented(got.status())) return sandbox::HostSandboxPlatform();
        RETURN_IF_ERROR(got.status());
        return sandbox::Platform{.os = got->platform().os(),
                                 .architecture = got->platform().architecture(),
                                 .variant = got->platform().variant()};
      });
}

void ShimController::Stop(const Context& ctx, const std::string& id, absl::Duration grace,
                          Finished done) {
  if (WaitForEnd(ctx, id, done, [this, ctx, id, grace](Finished then) {
        Stop(ctx, id, grace, std::move(then));
      })) {
    return;
  }
  const auto sandbox = Find(ctx, id);
  if (absl::IsNotFound(sandbox.status())) return done(absl::OkStatus());
  if (!sandbox.ok()) return done(sandbox.status());
  auto request = RequestFor<pb::StopSandboxRequest>(id);
  request.set_timeout_secs(static_cast<uint32_t>(absl::ToInt64Seconds(grace)));
  Forward<pb::StopSandboxResponse>(
      ctx, **sandbox, "StopSandbox", request, Within(ctx, grace + env_.timeouts().runtime_signal),
      Done<Nothing>([done = std::move(done)](const absl::StatusOr<Nothing>& stopped) mutable {
        done(stopped.status());
      }),
      [](const Shim&,
         const absl::StatusOr<pb::StopSandboxResponse>& stopped) -> absl::StatusOr<Nothing> {
        if (stopped.ok() || HasStopped(stopped.status())) return Nothing();
        return Annotate(stopped.status(), "failed to stop sandbox");
      });
}

void ShimController::Wait(const Context& ctx, const std::string& id,
                          Done<sandbox::SandboxExit> done) {
  const auto sandbox = Find(ctx, id);
  if (!sandbox.ok()) return done(sandbox.status());
  WaitForSandbox(*sandbox,
                 Caller<sandbox::SandboxExit>::Make(env_.shims.loop(), ctx, std::move(done)));
}

void ShimController::GetStatus(const Context& ctx, const std::string& id, bool verbose,
                               Done<sandbox::SandboxStatus> done) {
  const auto sandbox = Find(ctx, id);
  if (absl::IsNotFound(sandbox.status())) {
    return done(sandbox::SandboxStatus{.exited_at = absl::Now()});
  }
  if (!sandbox.ok()) return done(sandbox.status());
  auto request = RequestFor<pb::SandboxStatusRequest>(id);
  request.set_verbose(verbose);
  Forward<pb::SandboxStatusResponse>(
      ctx, **sandbox, "SandboxStatus", request, Within(ctx, env_.timeouts().quick), std::move(done),
      [id](const Shim& shim, absl::StatusOr<pb::SandboxStatusResponse> got)
          -> absl::StatusOr<sandbox::SandboxStatus> {
        if (!got.ok()) return Annotate(got.status(), "failed to query sandbox " + id + " status");
        sandbox::SandboxStatus status{.pid = got->pid(),
                                      .state = got->state(),
                                      .info = {got->info().begin(), got->info().end()},
                                      .created_at = TimeFromProto(got->created_at()),
                                      .exited_at = TimeFromProto(got->exited_at()),
                                      .address = AddressOf(shim.connection().endpoint()),
                                      .version = static_cast<uint32_t>(shim.version())};
        if (got->has_extra()) status.extra = std::move(*got->mutable_extra());
        return status;
      });
}

void ShimController::Shutdown(const Context& ctx, const std::string& id, Finished done) {
  if (WaitForEnd(ctx, id, done,
                 [this, ctx, id](Finished then) { Shutdown(ctx, id, std::move(then)); })) {
    return;
  }
  const auto sandbox = Find(ctx, id);
  if (absl::IsNotFound(sandbox.status())) return done(absl::OkStatus());
  if (!sandbox.ok()) return done(sandbox.status());
  // Somebody else was quicker.
  if (!(*sandbox)->Move(Phase::kReady, Phase::kEnding)) return Shutdown(ctx, id, std::move(done));
  auto caller = CallerOf(ctx, std::move(done));
  ShutDownSandbox(env_, *sandbox, [caller](const absl::Status& ended) {
    ended.ok() ? caller->Answer(Nothing()) : caller->Answer(ended);
  });
}

void ShimController::GetMetrics(const Context& ctx, const std::string& id,
                                Done<sandbox::SandboxMetrics> done) {
  const auto sandbox = Find(ctx, id);
  if (!sandbox.ok()) return done(sandbox.status());
  Forward<pb::SandboxMetricsResponse>(
      ctx, **sandbox, "SandboxMetrics", RequestFor<pb::SandboxMetricsRequest>(id),
      Within(ctx, env_.timeouts().shim_stats), std::move(done),
      [](const Shim&, absl::StatusOr<pb::SandboxMetricsResponse> got)
          -> absl::StatusOr<sandbox::SandboxMetrics> {
        RETURN_IF_ERROR(got.status());
        return sandbox::SandboxMetrics{.at = TimeFromProto(got->metrics().timestamp()),
                                       .data = std::move(*got->mutable_metrics()->mutable_data())};
      });
}

void ShimController::Update(const Context& ctx, const sandbox::Sandbox& sandbox,
                            const metadata::FieldMask& fields, Finished done) {
  const auto found = Find(ctx, sandbox.id);
  if (!found.ok()) return done(found.status());
  auto request = RequestFor<pb::UpdateSandboxRequest>(sandbox.id);
  sandbox::ToProto(sandbox, request.mutable_sandbox());
  for (const std::string& field : fields) request.add_fields(field);
  Forward<pb::UpdateSandboxResponse>(
      ctx, **found, "UpdateSandbox", request, Within(ctx, env_.timeouts().quick),
      Done<Nothing>([done = std::move(done)](const absl::StatusOr<Nothing>& updated) mutable {
        done(updated.status());
      }),
      [](const Shim&,
         const absl::StatusOr<pb::UpdateSandboxResponse>& updated) -> absl::StatusOr<Nothing> {
        if (updated.ok() || absl::IsUnimplemented(updated.status())) return Nothing();
        return updated.status();
      });
}

}  // namespace gantry::runtime
