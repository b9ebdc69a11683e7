// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/any.pb.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "core/base/context.h"
#include "core/base/status.h"
#include "core/metadata/field_mask.h"
#include "core/mount/mount.h"
#include "core/plugin/plugin.h"
#include "core/sandbox/sandbox_store.h"

namespace gantry::sandbox {

struct CreateOptions {
  mount::Mounts rootfs;
  std::optional<google::protobuf::Any> options;
  std::string netns_path;
  std::map<std::string, std::string> annotations;
};

struct Started {
  uint32_t pid = 0;
  absl::Time created_at;
  std::map<std::string, std::string> labels;
  // Where containers of the sandbox find its shim ("ttrpc+unix://…"), and the version of the task
  // service there; empty for a sandbox without.
  std::string address;
  uint32_t version = 0;
  std::optional<google::protobuf::Any> spec;
};

struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;
};

// What counts where a controller does not serve the question.
Platform HostSandboxPlatform();

struct SandboxStatus {
  uint32_t pid = 0;
  std::string state;  // "SANDBOX_READY", "SANDBOX_NOTREADY"
  std::map<std::string, std::string> info;
  absl::Time created_at = absl::InfinitePast();
  absl::Time exited_at = absl::InfinitePast();
  std::optional<google::protobuf::Any> extra;
  std::string address;
  uint32_t version = 0;
};

struct SandboxExit {
  uint32_t status = 0;
  absl::Time exited_at = absl::InfinitePast();
};

struct SandboxMetrics {
  absl::Time at;
  google::protobuf::Any data;
};

// What runs sandboxes: one implementation per way of doing so, chosen by a sandbox's `sandboxer`.
//
// Threads: all methods from any thread; they return at once and answer through `done`, once, from
//          any thread. No method but Wait() may take longer than its context allows.
// Errors:  NotFound for a sandbox that the controller does not know, but where a method says
//          otherwise.
class Controller {
 public:
  template <typename T>
  using Done = absl::AnyInvocable<void(absl::StatusOr<T>)>;
  using Finished = absl::AnyInvocable<void(absl::Status)>;

  virtual ~Controller() = default;

  // Prepares a sandbox without starting it. AlreadyExists.
  virtual void Create(const Context& ctx, Sandbox sandbox, CreateOptions options,
                      Finished done) = 0;
  virtual void Start(const Context& ctx, const std::string& id, Done<Started> done) = 0;
  virtual void GetPlatform(const Context& ctx, const std::string& id, Done<Platform> done) = 0;
  // Stops it and whatever runs in it; one that is stopped or unknown is success.
  virtual void Stop(const Context& ctx, const std::string& id, absl::Duration grace,
                    Finished done) = 0;
  // Answers when the sandbox has ended.
  virtual void Wait(const Context& ctx, const std::string& id, Done<SandboxExit> done) = 0;
  virtual void GetStatus(const Context& ctx, const std::string& id, bool verbose,
                         Done<SandboxStatus> done) = 0;
  // Releases all that is left of it, the shim included; one that is unknown is success.
  virtual void Shutdown(const Context& ctx, const std::string& id, Finished done) = 0;
  virtual void GetMetrics(const Context& ctx, const std::string& id, Done<SandboxMetrics> done) = 0;
  virtual void Update(const Context& ctx, const Sandbox& sandbox, const metadata::FieldMask& fields,
                      Finished done) = 0;
};

inline constexpr plugin::Kind<Controller> kController{"io.containerd.sandbox.controller.v1"};
// Containerd keeps the controller of pods with a pause container under a kind of its own.
inline constexpr plugin::Kind<Controller> kPodController{"io.containerd.podsandbox.controller.v1"};

}  // namespace gantry::sandbox
