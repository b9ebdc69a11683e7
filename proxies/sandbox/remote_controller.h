// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <stop_token>
#include <string>

#include "core/base/gate.h"
#include "core/sandbox/controller.h"
#include "proto/services/sandbox/v1/sandbox.grpc.pb.h"

namespace gantry::proxies {

// A sandbox controller in another process, which serves containerd.services.sandbox.v1.Controller.
// It is asked for the sandboxer of this controller's name.
//
// Threads: all methods from any thread; none blocks. Answers come on gRPC's threads. The destructor
//          cancels what is under way and waits for its answers.
// Errors:  with the codes and messages of the other process; Unavailable while it cannot be
//          reached, but for Wait(): that asks again, with growing pauses, for as long as its
//          context lasts, so that a restart there is not taken for the end of a sandbox.
class RemoteController final : public sandbox::Controller {
 public:
  // `address` is the path of a unix socket.
  RemoteController(std::string name, const std::string& address);
  ~RemoteController() override;

  void Create(const Context& ctx, sandbox::Sandbox sandbox, sandbox::CreateOptions options,
              Finished done) override;
  void Start(const Context& ctx, const std::string& id, Done<sandbox::Started> done) override;
  // The host's where the other process does not say.
  void GetPlatform(const Context& ctx, const std::string& id,
                   Done<sandbox::Platform> done) override;
  void Stop(const Context& ctx, const std::string& id, absl::Duration grace,
            Finished done) override;
  void Wait(const Context& ctx, const std::string& id, Done<sandbox::SandboxExit> done) override;
  void GetStatus(const Context& ctx, const std::string& id, bool verbose,
                 Done<sandbox::SandboxStatus> done) override;
  void Shutdown(const Context& ctx, const std::string& id, Finished done) override;
  void GetMetrics(const Context& ctx, const std::string& id,
                  Done<sandbox::SandboxMetrics> done) override;
  void Update(const Context& ctx, const sandbox::Sandbox& sandbox,
              const metadata::FieldMask& fields, Finished done) override;

 private:
  template <typename Request, typename Response>
  struct Call;
  class WaitCall;

  template <typename Request>
  Request RequestFor(const std::string& id) const;
  // Starts the call that `invoke` names; `done` gets what `convert` makes of its answer.
  template <typename Response, typename T, typename Request, typename Invoke, typename Convert>
  void Ask(const Context& ctx, Request request, Invoke invoke, Done<T> done, Convert convert);

  const std::string name_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<::containerd::services::sandbox::v1::Controller::Stub> stub_;
  std::stop_source closing_;
  base::Gate gate_;
};

}  // namespace gantry::proxies
