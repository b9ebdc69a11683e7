// SPDX-License-Identifier: Apache-2.0
#include "shim/task/container_exits.h"

namespace gantry::shim {

void ContainerExits::InitEnded(const Exit& exit) {
  if (init_exit_) return;
  init_exit_ = exit;
  hooks_.kill_leftovers();
  Check();
}

void ContainerExits::InitStartDone() {
  starting_ = false;
  Check();
}

void ContainerExits::ExecDone() {
  --running_execs_;
  Check();
}

void ContainerExits::Check() {
  if (!init_exit_ || starting_ || running_execs_ > 0 || announced_) return;
  announced_ = true;
  hooks_.announce_init(*init_exit_);
}

}  // namespace gantry::shim
