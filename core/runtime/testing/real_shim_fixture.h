// SPDX-License-Identifier: Apache-2.0
// A task manager over a real shim, a real OCI runtime and busybox, and a look at what they leave.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/kernel/testing/require.h"
#include "core/runtime/testing/real_container.h"
#include "core/runtime/testing/task_fixture.h"
#include "core/ttrpc/server.h"
#include "proto/services/ttrpc/events/v1/events.pb.h"
#include "proto/types/runc/options/oci.pb.h"

namespace gantry::runtime::testing {

// A shim program: what `variable` names, else `program`; empty: that of this build.
struct ShimKind {
  const char* name;
  const char* variable;
  const char* program;

  bool ours() const { return *program == '\0'; }
  std::filesystem::path Find() const {
    if (const char* named = std::getenv(variable)) return named;
    if (!ours()) return program;
    return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin" /
           "containerd-shim-gantry-v2";
  }
};

inline constexpr ShimKind kOldStockShim{"containerd16", "GANTRY_SHIM_RUNC_V2_OLD",
                                        "/usr/bin/containerd-shim-runc-v2"};
inline constexpr ShimKind kStockShim{"containerd24", "GANTRY_SHIM_RUNC_V2", "/nonexistent"};
inline constexpr ShimKind kGantryShim{"gantry", "GANTRY_SHIM_GANTRY_V2", ""};

class RealShimFixture : public TaskFixture {
 protected:
  RealShimFixture(const ShimKind& shim, std::string oci_runtime)
      : shim_(shim), oci_runtime_(std::move(oci_runtime)) {}

  void SetUp() override {
    program_ = shim_.Find();
    ::gantry::testing::RequireRoot();
    if (IsSkipped() || HasFatalFailure()) return;
    if (!std::filesystem::exists(program_)) {
      return ::gantry::testing::SkipFor("a shim: set " + std::string(shim_.variable));
    }
    ::gantry::testing::RequireProgram("/bin/busybox");
    if (IsSkipped() || HasFatalFailure()) return;
    if (shim_.ours()) {
      launcher_.socket_dir = (dir_.path() / "s").string();
      RestartManager();
    }
    MakeRootfs(dir_.path() / "image");
    ListenForEvents();
  }

  void TearDown() override {
    for (const pid_t shim : stopped_) ::kill(shim, SIGCONT);
    if (tasks_ != nullptr) {
      for (const ProcessState& state : List()) {
        Kill(state.id, SIGKILL).IgnoreError();
        Wait(state.id).wait_for(std::chrono::seconds(20));
        Delete(state.id).IgnoreError();
      }
    }
    EXPECT_TRUE(Eventually([&] { return NoBundles(); }));
    EXPECT_TRUE(Eventually([&] { return ProcessesWith(Address()).empty(); }));
    EXPECT_FALSE(AnyMountBelow(dir_.path()));
    for (const std::string& cgroup : cgroups_) {
      EXPECT_TRUE(Eventually([&] { return !AnyCgroup(cgroup); })) << cgroup;
    }
    events_server_.reset();
    if (shim_.ours()) {
      std::error_code error;
      EXPECT_TRUE(!std::filesystem::exists(launcher_.socket_dir) ||
                  std::filesystem::is_empty(launcher_.socket_dir, error))
          << "a socket is left";
    }
  }

  std::string Address() const { return (dir_.path() / "g.sock").string(); }

  // The daemon's end for what shims announce.
  void ListenForEvents() {
    ttrpc::Services services;
    services["containerd.services.events.ttrpc.v1.Events"]["Forward"] =
        [this](const ttrpc::ServerCall&, const std::string& payload, ttrpc::Responder respond) {
          ::containerd::services::events::ttrpc::v1::ForwardRequest request;
          request.ParseFromString(payload);
          const absl::Status forwarded = exchange_.Forward(request.envelope());
          respond(forwarded.ok() ? absl::StatusOr<std::string>(std::string())
                                 : absl::StatusOr<std::string>(forwarded));
        };
    auto server = ttrpc::Server::Listen(*events_loop_, Address() + ".ttrpc", std::move(services));
    ASSERT_THAT(server, gantry::testing::IsOk());
    events_server_ = *std::move(server);
  }

  CreateOptions Options(const std::string& id, std::vector<std::string> args,
                        std::string root = "") {
    const std::string cgroup = "/gantry-test-" + std::to_string(::getpid()) + "-" + id;
    cgroups_.push_back(cgroup);
    ::containerd::runc::v1::Options runc;
    runc.set_root((dir_.path() / "runc").string());
    runc.set_binary_name(oci_runtime_);
    CreateOptions options;
    options.spec.emplace();
    options.spec->set_type_url("types.containerd.io/opencontainers/runtime-spec/1/Spec");
    options.spec->set_value(
        MakeSpec({.args = std::move(args),
                  .root = root.empty() ? (dir_.path() / "image").string() : std::move(root),
                  .cgroup = cgroup}));
    options.runtime = program_.string();
    options.runtime_options.emplace();
    options.runtime_options->set_type_url("containerd.runc.v1.Options");
    options.runtime_options->set_value(runc.SerializeAsString());
    return options;
  }

  absl::Status ExecIn(const std::string& id, const std::string& exec_id,
                      const std::vector<std::string>& args) {
    ExecOptions options{.exec_id = exec_id};
    options.spec.set_type_url("types.containerd.io/opencontainers/runtime-spec/1/Process");
    options.spec.set_value(ProcessSpec(args).dump());
    return Exec(id, std::move(options));
  }

  void CreateAndStart(const std::string& id, std::vector<std::string> args) {
    ASSERT_THAT(Create(id, Options(id, std::move(args))), gantry::testing::IsOk());
    ASSERT_THAT(Start(id), gantry::testing::IsOk());
  }

  pid_t ShimOf(const std::string& id) { return ParentOf(static_cast<pid_t>(Get(id)->pid)); }
  void StopShim(pid_t shim) {
    stopped_.push_back(shim);
    ASSERT_EQ(::kill(shim, SIGSTOP), 0);
  }

  const ShimKind shim_;
  const std::string oci_runtime_;  // a name or a path; empty: the shim's own choice
  std::filesystem::path program_;
  std::vector<std::string> cgroups_;
  std::vector<pid_t> stopped_;
  std::unique_ptr<ttrpc::Loop> events_loop_ = *ttrpc::Loop::Start("events");
  std::unique_ptr<ttrpc::Server> events_server_;
};

}  // namespace gantry::runtime::testing
