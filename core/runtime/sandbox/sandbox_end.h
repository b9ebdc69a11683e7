// SPDX-License-Identifier: Apache-2.0
// The ways in which a sandbox and its shim come to an end.
#pragma once

#include <filesystem>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "core/base/status.h"
#include "core/runtime/sandbox/sandbox_shim.h"

namespace gantry::runtime {

// Shuts the sandbox down, which must be in phase kEnding, removes its bundle and frees its id. If
// its shim refuses, all stays as it is, the sandbox goes back to kReady, and `then` gets the error.
void ShutDownSandbox(SandboxEnv& env, const std::shared_ptr<SandboxShim>& sandbox,
                     absl::AnyInvocable<void(absl::Status)> then);

// The same for a sandbox that has failed, whose phase stays what it is: a shim that refuses is
// tried again in the background, with id and bundle kept. `then` is called when all is undone, or
// after the first attempt.
void UndoSandbox(SandboxEnv& env, const std::shared_ptr<SandboxShim>& sandbox,
                 absl::AnyInvocable<void()> then);

// For a sandbox whose shim is gone, or was never reached: its program cleans up, the bundle is
// removed and the id freed.
void BurySandbox(SandboxEnv& env, const std::shared_ptr<SandboxShim>& sandbox,
                 const std::filesystem::path& program, absl::AnyInvocable<void()> then);

// Removes the bundle and frees the id.
void DiscardSandbox(SandboxEnv& env, const std::shared_ptr<SandboxShim>& sandbox,
                    absl::AnyInvocable<void()> then);

// What happens when the connection of a sandbox's shim breaks. `program` is the shim's.
void OnSandboxLost(SandboxEnv& env, const std::weak_ptr<SandboxShim>& lost,
                   const std::filesystem::path& program);

}  // namespace gantry::runtime
