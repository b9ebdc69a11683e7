// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/runtime/caller.h"
#include "core/runtime/sandbox/sandbox_shim.h"
#include "core/sandbox/controller.h"

namespace gantry::runtime {

// Sandboxes that shims keep: one shim for each, which serves containerd.runtime.sandbox.v1.Sandbox
// and, for the containers that join, the Task service.
//
// A shim that ends by itself takes its sandbox with it: what is left is cleaned up, and the sandbox
// is then unknown. One that an earlier daemon started and that cannot be reached for now:
// Unavailable.
//
// Threads: as the interface says. Destroyed when no call comes any more; then nothing runs on.
class ShimController final : public sandbox::Controller {
 public:
  // Takes up what runs below `roots`. `shims` outlives it.
  static absl::StatusOr<std::unique_ptr<ShimController>> Create(ShimManager& shims,
                                                                BundleRoots roots);
  ~ShimController() override { env_.shims.Stop(); }

  // The shim has the sandbox's spec as its config.json, if there is one.
  void Create(const Context& ctx, sandbox::Sandbox sandbox, sandbox::CreateOptions options,
              Finished done) override;
  // One that fails is shut down.
  void Start(const Context& ctx, const std::string& id, Done<sandbox::Started> done) override;
  void GetPlatform(const Context& ctx, const std::string& id,
                   Done<sandbox::Platform> done) override;
  void Stop(const Context& ctx, const std::string& id, absl::Duration grace,
            Finished done) override;
  // Unknown when the shim goes away meanwhile.
  void Wait(const Context& ctx, const std::string& id, Done<sandbox::SandboxExit> done) override;
  // One that is unknown has no state, and has just ended.
  void GetStatus(const Context& ctx, const std::string& id, bool verbose,
                 Done<sandbox::SandboxStatus> done) override;
  void Shutdown(const Context& ctx, const std::string& id, Finished done) override;
  void GetMetrics(const Context& ctx, const std::string& id,
                  Done<sandbox::SandboxMetrics> done) override;
  // Success also where the shim knows no updates.
  void Update(const Context& ctx, const sandbox::Sandbox& sandbox,
              const metadata::FieldMask& fields, Finished done) override;

 private:
  ShimController(ShimManager& shims, BundleRoots roots)
      : env_{.shims = shims, .roots = std::move(roots), .sandboxes = {}} {}

  // NotFound, Unavailable.
  absl::StatusOr<std::shared_ptr<SandboxShim>> Find(const Context& ctx,
                                                    const std::string& id) const;
  std::shared_ptr<Caller<Nothing>> CallerOf(const Context& ctx, Finished done);
  // When somebody else ends the sandbox: true, and calls `again` with a way to answer once the
  // outcome is known. Whoever repeats a call must not be told that all is done before it is.
  bool WaitForEnd(const Context& ctx, const std::string& id, Finished& done,
                  std::function<void(Finished)> again);

  template <typename Response, typename Result, typename Convert>
  void Forward(const Context& ctx, const SandboxShim& sandbox, std::string_view method,
               const google::protobuf::MessageLite& request, absl::Time deadline, Done<Result> done,
               Convert convert);

  SandboxEnv env_;
};

}  // namespace gantry::runtime
