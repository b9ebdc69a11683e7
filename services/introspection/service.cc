// SPDX-License-Identifier: Apache-2.0
#include "services/introspection/service.h"

#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "core/base/mutex.h"
#include "core/deprecation/warnings.h"
#include "core/filters/filter.h"
#include "proto/services/introspection/v1/introspection.grpc.pb.h"
#include "services/introspection/server_id.h"
#include "services/rpc/convert.h"
#include "services/rpc/service.h"
#include "services/rpc/unary.h"

namespace gantry::introspection {
namespace {

namespace pb = ::containerd::services::introspection::v1;
using google::protobuf::Empty;

// The host's platform as OCI names it.
containerd::types::Platform HostPlatform() {
  containerd::types::Platform platform;
  platform.set_os("linux");
  utsname host{};
  ::uname(&host);
  const std::string machine = host.machine;
  if (machine == "x86_64") {
    platform.set_architecture("amd64");
  } else if (machine == "aarch64") {
    platform.set_architecture("arm64");
    platform.set_variant("v8");
  } else {
    platform.set_architecture(machine);
  }
  return platform;
}

// "os/architecture[/variant]" apart; the host's for an empty text.
containerd::types::Platform PlatformOf(const std::string& text) {
  if (text.empty()) return HostPlatform();
  const std::vector<std::string> parts = absl::StrSplit(text, absl::MaxSplits('/', 2));
  containerd::types::Platform platform;
  platform.set_os(parts[0]);
  if (parts.size() > 1) platform.set_architecture(parts[1]);
  if (parts.size() > 2) platform.set_variant(parts[2]);
  return platform;
}

void ToProto(const plugin::Entry& entry, pb::Plugin* out) {
  out->set_type(entry.type);
  out->set_id(entry.id);
  for (const std::string& need : entry.needs) out->add_requires(need);
  if (entry.meta.has_platform) *out->add_platforms() = PlatformOf(entry.meta.platform);
  out->mutable_exports()->insert(entry.meta.exports.begin(), entry.meta.exports.end());
  for (const std::string& capability : entry.meta.capabilities) out->add_capabilities(capability);
  if (!entry.status.ok()) {
    out->mutable_init_err()->set_code(static_cast<int>(entry.status.code()));
    out->mutable_init_err()->set_message(WireMessage(entry.status));
  }
}

bool Matches(const filters::Filter& filter, const plugin::Entry& entry) {
  return filter.Matches([&](filters::FieldPath path) -> std::optional<std::string> {
    if (path[0] == "type") return filters::NonEmpty(entry.type);
    if (path[0] == "id") return filters::NonEmpty(entry.id);
    return std::nullopt;
  });
}

absl::StatusOr<uint64_t> PidNamespace() {
  struct stat attributes {};
  if (::stat("/proc/self/ns/pid", &attributes) != 0)
    return FromErrno(errno, "stat /proc/self/ns/pid");
  return attributes.st_ino;
}

class IntrospectionService final : public rpc::Service, public pb::Introspection::CallbackService {
 public:
  // `warnings` may be null: then nothing is deprecated.
  IntrospectionService(const plugin::Graph& graph, const deprecation::Warnings* warnings,
                       std::filesystem::path root, base::WorkerPool& workers)
      : graph_(graph), warnings_(warnings), root_(std::move(root)), workers_(workers) {}

  grpc::Service& grpc() override { return *this; }

  grpc::ServerUnaryReactor* Plugins(grpc::CallbackServerContext* call,
                                    const pb::PluginsRequest* request,
                                    pb::PluginsResponse* response) override {
    return rpc::RunUnary(
        call, workers_, response,
        [this, request](const Context&) -> absl::StatusOr<pb::PluginsResponse> {
          ASSIGN_OR_RETURN(const filters::Filter filter, filters::Parse(request->filters()));
          pb::PluginsResponse list;
          for (const auto& entry : graph_.entries()) {
            if (Matches(filter, *entry)) ToProto(*entry, list.add_plugins());
          }
          return list;
        },
        rpc::Namespace::kIgnored);
  }

  grpc::ServerUnaryReactor* Server(grpc::CallbackServerContext* call, const Empty*,
                                   pb::ServerResponse* response) override {
    return rpc::RunUnary(
        call, workers_, response,
        [this](const Context&) -> absl::StatusOr<pb::ServerResponse> {
          pb::ServerResponse server;
          ASSIGN_OR_RETURN(*server.mutable_uuid(), Id());
          server.set_pid(static_cast<uint64_t>(::getpid()));
          ASSIGN_OR_RETURN(const uint64_t pidns, PidNamespace());
          server.set_pidns(pidns);
          AddDeprecations(server);
          return server;
        },
        rpc::Namespace::kIgnored);
  }

  grpc::ServerUnaryReactor* PluginInfo(grpc::CallbackServerContext* call,
                                       const pb::PluginInfoRequest* request,
                                       pb::PluginInfoResponse* response) override {
    return rpc::RunAsync(
        call, response,
        [this, request](const Context& ctx, rpc::Done<pb::PluginInfoResponse> done) {
          Describe(ctx, *request, std::move(done));
        },
        rpc::Namespace::kIgnored);
  }

 private:
  void AddDeprecations(pb::ServerResponse& server) const {
    if (warnings_ == nullptr) return;
    for (const deprecation::Warning& warning : warnings_->List()) {
      pb::DeprecationWarning* listed = server.add_deprecations();
      listed->set_id(warning.id);
      listed->set_message(warning.message);
      *listed->mutable_last_occurrence() = rpc::ToProto(warning.last_occurrence);
    }
  }

  void Describe(const Context& ctx, const pb::PluginInfoRequest& request,
                rpc::Done<pb::PluginInfoResponse> done) const {
    const auto& entries = graph_.entries();
    const auto found = std::ranges::find_if(entries, [&](const auto& entry) {
      return entry->type == request.type() && entry->id == request.id();
    });
    const std::string uri = request.type() + "." + request.id();
    if (found == entries.end()) return done(NotFound("plugin {} not found", uri));
    const plugin::Entry& entry = **found;
    pb::PluginInfoResponse info;
    ToProto(entry, info.mutable_plugin());
    if (!request.has_options()) return done(std::move(info));
    if (!entry.status.ok()) {
      return done(
          FailedPrecondition("plugin {} did not start: {}", uri, WireMessage(entry.status)));
    }
    if (!entry.meta.info) return done(Unimplemented("plugin {} offers no information", uri));
    entry.meta.info(ctx, {request.options().type_url(), request.options().value()},
                    [info = std::move(info),
                     done = std::move(done)](absl::StatusOr<plugin::Packed> extra) mutable {
                      if (!extra.ok()) return done(extra.status());
                      info.mutable_extra()->set_type_url(std::move(extra->type_url));
                      info.mutable_extra()->set_value(std::move(extra->value));
                      done(std::move(info));
                    });
  }

  // One call makes the id, however many ask at first.
  absl::StatusOr<std::string> Id() {
    base::MutexLock lock(mutex_);
    return ServerId(root_);
  }

  const plugin::Graph& graph_;
  const deprecation::Warnings* const warnings_;
  const std::filesystem::path root_;
  base::WorkerPool& workers_;
  base::Mutex mutex_;
};

}  // namespace

plugin::Registration ServicePlugin(const plugin::Graph& graph, base::WorkerPool& workers) {
  return plugin::Provide(
      rpc::kService,
      plugin::Spec<rpc::Service>{.id = "introspection",
                                 .needs = {deprecation::kWarnings.uri},
                                 .init = [&graph, &workers](plugin::InitContext& init)
                                     -> absl::StatusOr<std::unique_ptr<rpc::Service>> {
                                   ASSIGN_OR_RETURN(const std::filesystem::path root, init.root());
                                   const auto warnings = init.Get(deprecation::kWarnings);
                                   return std::make_unique<IntrospectionService>(
                                       graph, warnings.ok() ? *warnings : nullptr, root, workers);
                                 }});
}

}  // namespace gantry::introspection
