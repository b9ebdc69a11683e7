// SPDX-License-Identifier: Apache-2.0
// The groups of commands, one file each. Each function adds its group to the command line.
#pragma once

#include <string>

#include "cmd/gctr/cli/command_line.h"
#include "cmd/gctr/client/session.h"

namespace gantry::gctr {

void AddContainers(CommandGroup root, const Environment& environment);
void AddContent(CommandGroup root, const Environment& environment);
void AddEvents(CommandGroup root);
void AddExec(CommandGroup root);  // short for "tasks exec"
void AddImages(CommandGroup root, const Environment& environment);
void AddImageMounts(CommandGroup& images, const Environment& environment);
void AddImageTransfers(CommandGroup& images, const Environment& environment);
void AddInfo(CommandGroup root);  // info, version, deprecations
void AddLeases(CommandGroup root);
void AddNamespaces(CommandGroup root);
void AddOci(CommandGroup root);
void AddPlugins(CommandGroup root);
void AddRun(CommandGroup root, const Environment& environment);
void AddSandboxes(CommandGroup root);
void AddShim(CommandGroup root);
void AddSnapshots(CommandGroup root, const Environment& environment);
void AddTaskProcesses(CommandGroup& tasks);  // what starts processes or attaches to them
void AddTasks(CommandGroup root);
void AddUnserved(CommandGroup root);

}  // namespace gantry::gctr
