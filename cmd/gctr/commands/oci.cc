// SPDX-License-Identifier: Apache-2.0
// gctr oci: what needs no daemon.
#include <memory>
#include <string>
#include <vector>

#include "cmd/gctr/cli/list_format.h"
#include "cmd/gctr/commands/commands.h"
#include "core/base/status.h"
#include "core/oci/default_spec.h"
#include "core/platform/platform.h"

namespace gantry::gctr {
namespace {

struct Options {
  std::vector<std::string> arguments;
  std::string platform;
};

absl::StatusOr<int> PrintSpec(const Session& session, const Options& options) {
  if (!options.platform.empty()) {
    ASSIGN_OR_RETURN(const Platform platform, ParsePlatform(options.platform));
    if (platform.os != "linux") {
      return Unimplemented("runtime spec for {}: not served", platform.os);
    }
  }
  PrintJson(oci::DefaultSpec(session.options().ns, ""));
  return 0;
}

}  // namespace

void AddOci(CommandGroup root) {
  auto options = std::make_shared<Options>();
  CommandGroup group = root.AddGroup({.names = {"oci"}, .help = "OCI tools"});
  CLI::App& spec = group.Add({.names = {"spec"}, .help = "See the output of the default OCI spec"},
                             options->arguments,
                             [options](Session& session) { return PrintSpec(session, *options); });
  spec.add_option("--platform", options->platform, "Platform of the spec to print");
}

}  // namespace gantry::gctr
