// SPDX-License-Identifier: Apache-2.0
#include "core/process/opt.h"

#include <stdlib.h>

#include <cstdlib>
#include <memory>

#include "core/base/kernel_status.h"
#include "core/kernel/file.h"

namespace gantry::process {
namespace {

constexpr mode_t kMode = 0711;
constexpr plugin::Kind<plugin::Marker> kInternal{"io.containerd.internal.v1"};

void Prepend(const char* variable, const std::string& folder) {
  const char* before = std::getenv(variable);
  const std::string rest = before != nullptr ? before : "";
  const std::string value = rest.empty() ? folder : folder + ":" + rest;
  ::setenv(variable, value.c_str(), 1);
}

absl::StatusOr<std::unique_ptr<plugin::Marker>> Start(plugin::InitContext& init) {
  ASSIGN_OR_RETURN(const std::string path, DecodeOpt(init.config()));
  if (path.empty()) return plugin::Skip("no path is set");
  for (const char* folder : {"/bin", "/lib"}) {
    RETURN_IF_ERROR(ToStatus(kernel::MakeDirectories(path + folder, kMode)));
  }
  init.meta().exports["path"] = path;
  return std::make_unique<plugin::Marker>();
}

}  // namespace

absl::StatusOr<std::string> DecodeOpt(config::Section& section) {
  return section.Get<std::string>("path", "/opt/gantry");
}

void AddOptToEnvironment(const std::string& path) {
  Prepend("PATH", path + "/bin");
  Prepend("LD_LIBRARY_PATH", path + "/lib");
}

plugin::Registration OptPlugin() {
  return plugin::Provide(
      kInternal,
      plugin::Spec<plugin::Marker>{
          .id = "opt",
          .configure = [](config::Section& section) { return DecodeOpt(section).status(); },
          .init = Start});
}

}  // namespace gantry::process
