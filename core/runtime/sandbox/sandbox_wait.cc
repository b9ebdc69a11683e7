// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/sandbox/sandbox_wait.h"

#include <utility>

#include "core/runtime/convert.h"
#include "proto/runtime/sandbox/v1/sandbox.pb.h"

namespace gantry::runtime {

namespace pb = ::containerd::runtime::sandbox::v1;

void WaitForSandbox(const std::shared_ptr<SandboxShim>& sandbox,
                    const std::shared_ptr<Caller<sandbox::SandboxExit>>& caller) {
  const absl::StatusOr<bool> first = sandbox->AddWaiting(caller);
  if (!first.ok()) {
    caller->Answer(first.status());
    return;
  }
  if (!*first) return;
  pb::WaitSandboxRequest request;
  request.set_sandbox_id(sandbox->id());
  CallSandbox<pb::WaitSandboxResponse>(
      *sandbox->shim(), "WaitSandbox", request, absl::InfiniteFuture(),
      [sandbox](const absl::StatusOr<pb::WaitSandboxResponse>& waited) {
        absl::StatusOr<sandbox::SandboxExit> exit;
        if (waited.ok()) {
          exit = sandbox::SandboxExit{.status = waited->exit_status(),
                                      .exited_at = TimeFromProto(waited->exited_at())};
        } else {
          exit = Annotate(waited.status(), "failed to wait sandbox " + sandbox->id());
        }
        for (const auto& waiting : sandbox->TakeWaiting()) waiting->Answer(exit);
      },
      /*waits=*/true);
}

}  // namespace gantry::runtime
