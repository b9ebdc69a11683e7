// SPDX-License-Identifier: Apache-2.0
#include "shim/launch/info.h"

#include <optional>
#include <utility>

#include "shim/group/connected_start.h"
#include "shim/launch/runtime_command.h"
#include "shim/messages/codec.h"
#include "shim/messages/runtime_info.h"
#include "shim/messages/types.h"
#include "shim/options/resolve_options.h"
#include "shim/runtime/binary.h"

namespace gantry::shim {
namespace {

constexpr std::string_view kBinaryPrefix = "containerd-shim-";
constexpr char kFeaturesType[] =
    "types.containerd.io/opencontainers/runtime-spec/1/features/Features";
constexpr int kFeaturesLimitMs = 5000;

std::string_view BaseName(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::optional<messages::Any> FeaturesOf(const std::string& runtime) {
  auto ran = RunRuntime(runtime, {"features"}, kFeaturesLimitMs);
  if (!ran || !ran->status.success()) return std::nullopt;
  return messages::Any{.type_url = kFeaturesType, .value = std::move(ran->output)};
}

}  // namespace

std::string RuntimeNameOf(std::string_view binary) {
  std::string_view name = BaseName(binary);
  if (!name.starts_with(kBinaryPrefix)) return {};
  name.remove_prefix(kBinaryPrefix.size());
  const size_t dash = name.rfind('-');
  if (dash == std::string_view::npos) return {};
  return "io.containerd." + std::string(name.substr(0, dash)) + "." +
         std::string(name.substr(dash + 1));
}

kernel::Result<std::string> DescribeRuntime(std::string_view binary, const std::string& input,
                                            const Program& program) {
  std::optional<messages::Any> options;
  if (!input.empty()) {
    options = messages::Decode<messages::Any>(input);
    if (!options) return kernel::Error{EINVAL, "decode the options"};
  }
  const auto resolved = ResolveOptions(options);
  if (!resolved) return resolved.error();
  const auto runtime = FindBinary(resolved->options.binary_name);
  if (!runtime) return runtime.error();
  const messages::RuntimeInfo info{
      .name = RuntimeNameOf(binary),
      .version = messages::RuntimeVersion{.version = program.version, .revision = program.revision},
      .options = std::move(options),
      .features = FeaturesOf(*runtime),
      .annotations = {}};
  return messages::Encode(info);
}

std::string DescribeVersion(std::string_view binary, const Program& program) {
  return std::string(BaseName(binary)) + ":\n  Version:  " + program.version +
         "\n  Revision: " + program.revision + "\n" + kConnectedStartLine;
}

}  // namespace gantry::shim
