// SPDX-License-Identifier: Apache-2.0
#include "shim/launch/main.h"

#include <string>

#include "shim/cgroup/placement.h"
#include "shim/serve/serve.h"

int main(int argc, char** argv) {
  return gantry::shim::Main(argc, argv,
                            {.version = GANTRY_VERSION,
                             .revision = GANTRY_REVISION,
                             .serve = gantry::shim::ServeTasks,
                             .join_cgroup = [](const std::string& cgroup, pid_t pid) {
                               return gantry::shim::cgroup::JoinCgroup(pid, cgroup);
                             }});
}
