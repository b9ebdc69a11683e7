// SPDX-License-Identifier: Apache-2.0
// Options of runtimes as they travel in a google.protobuf.Any, and details that runtimes report.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gantry::shim::messages {

namespace runc_v1 {

// How the shim drives the OCI runtime for one container.
struct Options {
  static constexpr std::string_view kTypeName = "containerd.runc.v1.Options";

  bool no_pivot_root = false;
  bool no_new_keyring = false;
  std::string shim_cgroup;
  // Owner of the container's pipes, for user namespaces.
  uint32_t io_uid = 0;
  uint32_t io_gid = 0;
  // The OCI runtime: a name to look up in PATH, or a path.
  std::string binary_name;
  // Where the OCI runtime keeps its state.
  std::string root;
  bool systemd_cgroup = false;
  std::string criu_image_path;
  std::string criu_work_path;
  std::string task_api_address;
  uint32_t task_api_version = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.no_pivot_root);
    field(2, m.no_new_keyring);
    field(3, m.shim_cgroup);
    field(4, m.io_uid);
    field(5, m.io_gid);
    field(6, m.binary_name);
    field(7, m.root);
    field(9, m.systemd_cgroup);
    field(10, m.criu_image_path);
    field(11, m.criu_work_path);
    field(12, m.task_api_address);
    field(13, m.task_api_version);
  }
};

// How a process tree is dumped or restored by CRIU.
struct CheckpointOptions {
  static constexpr std::string_view kTypeName = "containerd.runc.v1.CheckpointOptions";

  bool exit = false;
  bool open_tcp = false;
  bool external_unix_sockets = false;
  bool terminal = false;
  bool file_locks = false;
  std::vector<std::string> empty_namespaces;
  std::string cgroups_mode;
  std::string image_path;
  std::string work_path;
  std::string parent_path;

  static void Fields(auto& m, auto& field) {
    field(1, m.exit);
    field(2, m.open_tcp);
    field(3, m.external_unix_sockets);
    field(4, m.terminal);
    field(5, m.file_locks);
    field(6, m.empty_namespaces);
    field(7, m.cgroups_mode);
    field(8, m.image_path);
    field(9, m.work_path);
    field(10, m.parent_path);
  }
};

// Which exec a listed process belongs to.
struct ProcessDetails {
  static constexpr std::string_view kTypeName = "containerd.runc.v1.ProcessDetails";

  std::string exec_id;

  static void Fields(auto& m, auto& field) { field(1, m.exec_id); }
};

}  // namespace runc_v1

namespace runtimeoptions_v1 {

// Points at a configuration, either a file or its body.
struct Options {
  static constexpr std::string_view kTypeName = "runtimeoptions.v1.Options";

  // Names the type of the configuration.
  std::string type_url;
  std::string config_path;
  std::string config_body;

  static void Fields(auto& m, auto& field) {
    field(1, m.type_url);
    field(2, m.config_path);
    field(3, m.config_body);
  }
};

}  // namespace runtimeoptions_v1

namespace linux_runc {

// How clients of the first generation of shims drive the OCI runtime for one container.
struct CreateOptions {
  static constexpr std::string_view kTypeName = "containerd.linux.runc.CreateOptions";

  bool no_pivot_root = false;
  bool open_tcp = false;
  bool external_unix_sockets = false;
  bool terminal = false;
  bool file_locks = false;
  std::vector<std::string> empty_namespaces;
  std::string cgroups_mode;
  bool no_new_keyring = false;
  std::string shim_cgroup;
  uint32_t io_uid = 0;
  uint32_t io_gid = 0;
  std::string criu_work_path;
  std::string criu_image_path;

  static void Fields(auto& m, auto& field) {
    field(1, m.no_pivot_root);
    field(2, m.open_tcp);
    field(3, m.external_unix_sockets);
    field(4, m.terminal);
    field(5, m.file_locks);
    field(6, m.empty_namespaces);
    field(7, m.cgroups_mode);
    field(8, m.no_new_keyring);
    field(9, m.shim_cgroup);
    field(10, m.io_uid);
    field(11, m.io_gid);
    field(12, m.criu_work_path);
    field(13, m.criu_image_path);
  }
};

}  // namespace linux_runc

}  // namespace gantry::shim::messages
