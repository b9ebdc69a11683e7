// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shim/messages/options.h"

namespace gantry::shim {

// How the OCI runtime is driven for one container. As made, the defaults.
using RuncOptions = messages::runc_v1::Options;

// Calls `visit(name, member)` for each option that is kept in a bundle and may be set by
// configuration text, under the name and in the order that Go's JSON gives it.
void VisitRuncOptions(auto& options, auto&& visit) {
  visit("no_pivot_root", options.no_pivot_root);
  visit("no_new_keyring", options.no_new_keyring);
  visit("shim_cgroup", options.shim_cgroup);
  visit("io_uid", options.io_uid);
  visit("io_gid", options.io_gid);
  visit("binary_name", options.binary_name);
  visit("root", options.root);
  visit("systemd_cgroup", options.systemd_cgroup);
  visit("criu_image_path", options.criu_image_path);
  visit("criu_work_path", options.criu_work_path);
}

}  // namespace gantry::shim
