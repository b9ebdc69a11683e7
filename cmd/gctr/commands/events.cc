// SPDX-License-Identifier: Apache-2.0
// gctr events.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "cmd/gctr/cli/list_format.h"
#include "cmd/gctr/commands/commands.h"
#include "cmd/gctr/output/units.h"
#include "core/base/status.h"
#include "proto/events/container.pb.h"
#include "proto/events/content.pb.h"
#include "proto/events/image.pb.h"
#include "proto/events/namespace.pb.h"
#include "proto/events/sandbox.pb.h"
#include "proto/events/snapshot.pb.h"
#include "proto/events/task.pb.h"
#include "proto/services/events/v1/events.grpc.pb.h"

namespace gantry::gctr {
namespace {

namespace events = containerd::services::events::v1;
namespace payloads = containerd::events;

struct Options {
  std::vector<std::string> arguments;
  std::string format = "text";
};

// Events are decoded by their type's name, so the linker must not think their types unused.
void KeepTypes() {
  payloads::ContainerCreate::descriptor();
  payloads::ContentDelete::descriptor();
  containerd::services::images::v1::ImageCreate::descriptor();
  payloads::NamespaceCreate::descriptor();
  payloads::SandboxCreate::descriptor();
  payloads::SnapshotPrepare::descriptor();
  payloads::TaskCreate::descriptor();
}

std::string TextOf(const containerd::types::Envelope& envelope) {
  const Json event = AnyJson(envelope.event().type_url(), envelope.event().value());
  const std::string time = absl::FormatTime("%Y-%m-%d %H:%M:%E9S +0000 UTC",
                                            ToTime(envelope.timestamp()), absl::UTCTimeZone());
  return fmt::format("{} {} {} {}", time, envelope.namespace_(), envelope.topic(), DumpJson(event));
}

std::string JsonOf(const containerd::types::Envelope& envelope) {
  return DumpJson({{"timestamp", FormatTime(envelope.timestamp())},
                   {"namespace", envelope.namespace_()},
                   {"topic", envelope.topic()},
                   {"type", envelope.event().type_url()},
                   {"event", AnyJson(envelope.event().type_url(), envelope.event().value())}});
}

absl::StatusOr<int> Events(Session& session, const Options& options) {
  KeepTypes();
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  events::SubscribeRequest request;
  request.mutable_filters()->Add(options.arguments.begin(), options.arguments.end());
  RETURN_IF_ERROR(Service<events::Events>(*client).ForEach(
      &events::Events::Stub::Subscribe, request, [&](const containerd::types::Envelope& envelope) {
        PrintLine(options.format == "json" ? JsonOf(envelope) : TextOf(envelope));
        std::fflush(stdout);
        return absl::OkStatus();
      }));
  return 0;
}

}  // namespace

void AddEvents(CommandGroup root) {
  auto options = std::make_shared<Options>();
  CLI::App& events = root.Add({.names = {"events", "event"},
                               .help = "Display events as they happen",
                               .arguments = "[<filter>...]"},
                              options->arguments,
                              [options](Session& session) { return Events(session, *options); });
  events.add_option("--format", options->format, "text or json, one line an event")
      ->check(CLI::IsMember({"text", "json"}));
}

}  // namespace gantry::gctr
