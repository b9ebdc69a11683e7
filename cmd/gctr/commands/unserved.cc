// SPDX-License-Identifier: Apache-2.0
// Commands of containerd's client that are known by name alone.
#include "cmd/gctr/commands/commands.h"

namespace gantry::gctr {

void AddUnserved(CommandGroup root) {
  root.AddUnserved({.names = {"install"}, .help = "Install a new package"});
  root.AddUnserved({.names = {"pprof"}, .help = "Profiles of the daemon"});
}

}  // namespace gantry::gctr
