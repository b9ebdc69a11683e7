// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace gantry::gctr {

// How a container is made: what "run" and "containers create" have in common. Names are those of
// the flags.
struct ContainerFlags {
  std::string platform;
  std::string runtime = "io.containerd.runc.v2";
  std::string runtime_config_path;
  std::string runc_binary;
  std::string runc_root;
  bool runc_systemd_cgroup = false;
  std::string snapshotter;
  std::vector<std::string> snapshotter_labels;

  std::string config;
  std::string cwd;
  std::vector<std::string> env;
  std::string env_file;
  std::vector<std::string> labels;
  std::vector<std::string> annotations;
  std::vector<std::string> mounts;
  bool net_host = false;
  bool privileged = false;
  bool privileged_without_host_devices = false;
  bool read_only = false;
  std::string sandbox;
  bool tty = false;
  std::vector<std::string> with_ns;
  bool allow_new_privs = false;
  std::string hostname;
  std::string user;
  bool rootfs = false;
  bool no_pivot = false;
  std::string rootfs_propagation;
  std::vector<std::string> devices;

  std::optional<std::string> cgroup;  // given but empty: the runtime's choice
  uint64_t memory_limit = 0;
  double cpus = 0;
  int64_t cpu_shares = 0;  // 0: the kernel's default
  int64_t cpu_quota = -1;
  uint64_t cpu_period = 0;
  std::string cpuset_cpus;
  std::string cpuset_mems;
  std::string rlimit_nofile;
  std::string rdt_class;

  std::vector<std::string> cap_add;
  std::vector<std::string> cap_drop;
  bool seccomp = false;
  std::string seccomp_profile;
  std::string apparmor_profile;
  std::string apparmor_default_profile;

  std::vector<std::string> uidmap;
  std::vector<std::string> gidmap;
  bool remap_labels = false;
  bool sync_fs = false;

  // Accepted so that a clear refusal can be given.
  std::vector<std::string> gpus;
  bool cni = false;
  std::string blockio_class;
  std::string blockio_config_file;
};

void AddContainerFlags(CLI::App& app, ContainerFlags& flags, const std::string& snapshotter);

// Those that exclude each other or need another, and those that are not served yet.
absl::Status CheckContainerFlags(const ContainerFlags& flags);

}  // namespace gantry::gctr
