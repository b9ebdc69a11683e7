// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/client/session.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "proto/services/introspection/v1/introspection.grpc.pb.h"

namespace gantry::gctr {
namespace {

namespace introspection = containerd::services::introspection::v1;

std::string Variable(const char* name, std::string fallback = "") {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? std::string(value) : std::move(fallback);
}

bool IsTrue(const std::string& text) {
  return text == "1" || text == "t" || text == "T" || text == "true" || text == "True" ||
         text == "TRUE";
}

}  // namespace

Environment Environment::Read() {
  return {.snapshotter = Variable("CONTAINERD_SNAPSHOTTER"),
          .editor = Variable("VISUAL", Variable("EDITOR")),
          .source_date_epoch = Variable("SOURCE_DATE_EPOCH"),
          .temporary_directory = Variable("XDG_RUNTIME_DIR", "/tmp"),
          .suppress_deprecations = IsTrue(Variable("CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS"))};
}

absl::StatusOr<Client*> Session::Connect() {
  if (client_ == nullptr) {
    absl::StatusOr<std::unique_ptr<Client>> client = Client::Connect(options_);
    if (!client.ok()) return client.status();
    client_ = *std::move(client);
    if (!environment_.suppress_deprecations) WarnOfDeprecations();
  }
  return client_.get();
}

void Session::WarnOfDeprecations() {
  const auto server = Service<introspection::Introspection>(*client_).Call(
      &introspection::Introspection::Stub::Server, google::protobuf::Empty());
  if (!server.ok()) {
    Warn("cannot ask for deprecations: " + std::string(server.status().message()));
    return;
  }
  for (const auto& deprecation : server->deprecations()) {
    Warn("DEPRECATION: " + deprecation.message());
  }
}

void Session::Warn(std::string_view text) const {
  std::fputs(fmt::format("gctr: warning: {}\n", text).c_str(), stderr);
}

void Session::Debug(std::string_view text) const {
  if (debug_) std::fputs(fmt::format("gctr: debug: {}\n", text).c_str(), stderr);
}

void Session::Report(const absl::Status& status) const {
  const auto message = status.message();
  std::string text(message.data(), message.size());
  if (text.empty()) text = absl::StatusCodeToString(status.code());
  std::fputs(fmt::format("gctr: {}\n", text).c_str(), stderr);
}

}  // namespace gantry::gctr
