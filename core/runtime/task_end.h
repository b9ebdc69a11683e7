// SPDX-License-Identifier: Apache-2.0
// The ways in which a task and its shim come to an end.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "absl/functional/any_invocable.h"
#include "core/base/status.h"
#include "core/runtime/task.h"
#include "core/runtime/task_env.h"

namespace gantry::runtime {

using Then = absl::AnyInvocable<void()>;

// Asks the shim to end if it serves nobody else, and lets go of it whatever it answers.
void ShutDown(TaskEnv& env, const std::shared_ptr<Shim>& shim, Then then);

// Takes the bundle away, waiting for what is mounted there to be unmounted, and then what the root
// file system was made of.
void RemoveBundle(TaskEnv& env, const Bundle& bundle, Then then);

// Whether it is known how the shim's Create ended. One that was cut short may have left what the
// shim itself does not know of: its OCI runtime was killed half-way.
enum class CreateOutcome { kKnown, kUnknown };

// Undoes a create that got as far as a shim: deletes the container there, ends the shim, removes
// the bundle and frees the id. A shim that does neither is tried again in the background, with id
// and bundle kept; `then` is called when all is undone, or after the first attempt.
void RollBack(TaskEnv& env, const std::shared_ptr<Task>& task, CreateOutcome outcome, Then then);

// The same where no shim runs, or none that answers: its program cleans up.
void CleanUpWithoutShim(TaskEnv& env, const std::shared_ptr<Task>& task,
                        const std::filesystem::path& program,
                        absl::AnyInvocable<void(absl::StatusOr<Exit>)> then);

// For a task whose shim is gone: cleans up, announces how it ended and that it is no more, and
// answers all who wait. The task must be in phase kDead.
void BuryTask(TaskEnv& env, const std::shared_ptr<Task>& task, const std::filesystem::path& program,
              Then then);

// What the manager does when the connection of a task's shim breaks. `program` is the shim's.
void OnShimLost(TaskEnv& env, const std::weak_ptr<Task>& lost,
                const std::filesystem::path& program);

}  // namespace gantry::runtime
