// SPDX-License-Identifier: Apache-2.0
#include "shim/launch/start_input.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/kernel/file.h"
#include "shim/messages/codec.h"
#include "shim/messages/options.h"

namespace gantry::shim {
namespace {

constexpr std::array kOptionTypes = {messages::runc_v1::Options::kTypeName,
                                     messages::runtimeoptions_v1::Options::kTypeName,
                                     messages::linux_runc::CreateOptions::kTypeName};

bool IsOptions(const messages::Any& any) {
  return std::find(kOptionTypes.begin(), kOptionTypes.end(), messages::TypeName(any)) !=
         kOptionTypes.end();
}

std::optional<messages::Any> FindOptions(const messages::BootstrapParams& bootstrap) {
  for (const messages::Extension& extension : bootstrap.extensions) {
    if (extension.value && IsOptions(*extension.value)) return extension.value;
  }
  return std::nullopt;
}

}  // namespace

StartInput ParseStartInput(std::string_view input, const Flags& flags) {
  StartInput parsed;
  if (input.empty()) return parsed;
  auto bootstrap = messages::Decode<messages::BootstrapParams>(input);
  if (bootstrap && bootstrap->instance_id == flags.id && bootstrap->ns == flags.ns) {
    parsed.options = FindOptions(*bootstrap);
    parsed.bootstrap = std::move(bootstrap);
    return parsed;
  }
  auto options = messages::Decode<messages::Any>(input);
  if (options && !options->type_url.empty()) parsed.options = std::move(options);
  return parsed;
}

kernel::Result<std::string> ReadInput(int fd) {
  return kernel::ReadAll(fd, kMaxStartInputBytes, "standard input");
}

}  // namespace gantry::shim
