// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/container/flags.h"

#include <string_view>

#include "cmd/gctr/cli/command_line.h"
#include "core/base/status.h"

namespace gantry::gctr {
namespace {

void AddRuntimeFlags(CLI::App& app, ContainerFlags& flags) {
  app.add_option("--runtime", flags.runtime, "Runtime name or absolute path to runtime binary")
      ->capture_default_str();
  app.add_option("--runtime-config-path", flags.runtime_config_path,
                 "Optional runtime config path");
  app.add_option("--runc-binary", flags.runc_binary, "Specify runc-compatible binary");
  app.add_option("--runc-root", flags.runc_root, "Specify runc-compatible root");
  app.add_flag("--runc-systemd-cgroup", flags.runc_systemd_cgroup,
               "Start runc with systemd cgroup manager");
  app.add_flag("--no-pivot", flags.no_pivot, "Disable use of pivot-root");
}

void AddRootfsFlags(CLI::App& app, ContainerFlags& flags) {
  app.add_option("--platform", flags.platform, "Run image for specific platform");
  app.add_option("--snapshotter", flags.snapshotter, "Snapshotter name; empty: the default");
  AddList(app, "--snapshotter-label", flags.snapshotter_labels, "Labels of the new snapshot");
  app.add_flag("--rootfs", flags.rootfs, "Use a folder as root file system instead of an image");
  app.add_flag("--read-only", flags.read_only, "Set the container's file system as read-only");
  app.add_option("--rootfs-propagation", flags.rootfs_propagation,
                 "Set the propagation of the container's root file system");
  app.add_flag("--sync-fs", flags.sync_fs, "Write layers to disk when they are unpacked");
  AddList(app, "--uidmap", flags.uidmap, "User namespace: container-uid:host-uid:length");
  AddList(app, "--gidmap", flags.gidmap, "User namespace: container-gid:host-gid:length");
  app.add_flag("--remap-labels", flags.remap_labels,
               "Have the snapshotter shift owners, instead of changing them in a copy");
}

void AddProcessFlags(CLI::App& app, ContainerFlags& flags) {
  app.add_option("-c,--config", flags.config, "Runtime spec to use as it is");
  app.add_option("--cwd", flags.cwd, "Working directory of the process");
  AddList(app, "--env", flags.env, "Environment variable, as FOO=bar");
  app.add_option("--env-file", flags.env_file, "File with environment variables, one a line");
  app.add_flag("-t,--tty", flags.tty, "Allocate a terminal for the container");
  app.add_option("-u,--user", flags.user, "User, as <name|uid>[:<group|gid>]");
  app.add_option("--rlimit-nofile", flags.rlimit_nofile, "Set RLIMIT_NOFILE, as soft:hard");
  app.add_flag("--allow-new-privs", flags.allow_new_privs, "Let the process gain privileges");
  AddList(app, "--cap-add", flags.cap_add, "Add a capability, as CAP_SYS_ADMIN");
  AddList(app, "--cap-drop", flags.cap_drop, "Drop a capability");
  app.add_flag("--privileged", flags.privileged, "Run privileged container");
  app.add_flag("--privileged-without-host-devices", flags.privileged_without_host_devices,
               "Do not pass all host devices to a privileged container");
  app.add_flag("--seccomp", flags.seccomp, "Enable the default seccomp profile");
  app.add_option("--seccomp-profile", flags.seccomp_profile, "File with a seccomp profile");
  app.add_option("--apparmor-profile", flags.apparmor_profile, "AppArmor profile that is loaded");
  app.add_option("--apparmor-default-profile", flags.apparmor_default_profile,
                 "Default AppArmor profile under this name");
}

void AddEnvironmentFlags(CLI::App& app, ContainerFlags& flags) {
  AddList(app, "--label", flags.labels, "Label, as foo=bar");
  AddList(app, "--annotation", flags.annotations, "OCI annotation, as foo=bar");
  AddList(app, "--mount", flags.mounts, "Mount, as type=bind,src=/tmp,dst=/host,options=rbind:ro");
  AddList(app, "--device", flags.devices, "A device, or a folder of devices, to add");
  AddList(app, "--with-ns", flags.with_ns, "Namespace to join, as <type>:<path>");
  app.add_flag("--net-host", flags.net_host, "Use the host's network");
  app.add_option("--hostname", flags.hostname, "Set the container's host name");
  app.add_option("--sandbox", flags.sandbox, "Create the container in the given sandbox");
  AddList(app, "--gpus", flags.gpus, "Add GPUs (not served yet)");
  app.add_flag("--cni", flags.cni, "Enable CNI networking (not served yet)");
}

void AddResourceFlags(CLI::App& app, ContainerFlags& flags) {
  // Not bound to the optional: CLI11 takes an empty value for none.
  app.add_option_function<std::string>(
      "--cgroup", [&flags](const std::string& path) { flags.cgroup = path; },
      "Cgroup path; empty: the runtime's choice");
  app.add_option("--memory-limit", flags.memory_limit, "Memory limit in bytes");
  app.add_option("--cpus", flags.cpus, "CPU time, in CPUs");
  app.add_option("--cpu-shares", flags.cpu_shares, "CPU shares")->capture_default_str();
  app.add_option("--cpu-quota", flags.cpu_quota, "CFS quota in microseconds");
  app.add_option("--cpu-period", flags.cpu_period, "CFS period in microseconds");
  app.add_option("--cpuset-cpus", flags.cpuset_cpus, "CPUs to run on, as 1-2,4");
  app.add_option("--cpuset-mems", flags.cpuset_mems, "Memory nodes to use, as 0,1");
  app.add_option("--rdt-class", flags.rdt_class, "RDT class");
  app.add_option("--blockio-class", flags.blockio_class, "Block IO class (not served yet)");
  app.add_option("--blockio-config-file", flags.blockio_config_file,
                 "Definitions of block IO classes (not served yet)");
}

absl::Status CheckServed(const ContainerFlags& flags) {
  if (!flags.gpus.empty()) return Unimplemented("--gpus: not served yet");
  if (flags.cni) return Unimplemented("--cni: not served yet");
  if (!flags.blockio_class.empty() || !flags.blockio_config_file.empty()) {
    return Unimplemented("--blockio-class: not served yet");
  }
  if (!flags.apparmor_default_profile.empty()) {
    return Unimplemented("--apparmor-default-profile: not served yet");
  }
  return absl::OkStatus();
}

}  // namespace

void AddContainerFlags(CLI::App& app, ContainerFlags& flags, const std::string& snapshotter) {
  flags.snapshotter = snapshotter;
  AddRuntimeFlags(app, flags);
  AddRootfsFlags(app, flags);
  AddProcessFlags(app, flags);
  AddEnvironmentFlags(app, flags);
  AddResourceFlags(app, flags);
}

absl::Status CheckContainerFlags(const ContainerFlags& flags) {
  if (flags.privileged_without_host_devices && !flags.privileged) {
    return InvalidArgument(
        "can't use 'privileged-without-host-devices' without 'privileged' specified");
  }
  if (!flags.seccomp && !flags.seccomp_profile.empty()) {
    return InvalidArgument("seccomp must be set to true, if using a custom seccomp-profile");
  }
  for (const std::vector<std::string>* names : {&flags.cap_add, &flags.cap_drop}) {
    for (const std::string& name : *names) {
      if (!name.starts_with("CAP_")) {
        return InvalidArgument("capabilities must be specified with 'CAP_' prefix");
      }
    }
  }
  if ((flags.cpu_quota != -1 || flags.cpu_period != 0) && flags.cpus > 0) {
    return InvalidArgument("cpus and quota/period should be used separately");
  }
  if (flags.uidmap.empty() != flags.gidmap.empty()) {
    return InvalidArgument("uidmap and gidmap must be used together");
  }
  if (flags.runc_systemd_cgroup && flags.cgroup.value_or("").empty()) {
    return InvalidArgument(
        "option --runc-systemd-cgroup requires --cgroup to be set, e.g. "
        "\"machine.slice:foo:deadbeef\"");
  }
  return CheckServed(flags);
}

}  // namespace gantry::gctr
