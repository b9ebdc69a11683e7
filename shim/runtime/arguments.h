// SPDX-License-Identifier: Apache-2.0
// The command lines of OCI runtimes: what every command begins with, then one function for each
// command. The first argument, the program's name, is not part of them.
#pragma once

#include <string>
#include <vector>

#include "shim/runtime/binary.h"

namespace gantry::shim {

using Arguments = std::vector<std::string>;

struct RuntimeGlobals {
  std::string root;  // of this namespace; the runtime makes a directory for each container in it
  std::string log;   // JSON records
  bool debug = false;
  bool systemd_cgroup = false;
};
Arguments GlobalArguments(const RuntimeGlobals& options);

struct CreateCommand {
  std::string bundle;
  std::string pid_file;        // absolute
  std::string console_socket;  // empty: no terminal
  bool no_pivot_root = false;
  bool no_new_keyring = false;
};
Arguments CreateArguments(const CreateCommand& options, const std::string& id);

struct ExecCommand {
  std::string process_file;
  std::string pid_file;
  std::string console_socket;
};
Arguments ExecArguments(const ExecCommand& options, const std::string& id);

Arguments StartArguments(const std::string& id);
Arguments PauseArguments(const std::string& id);
Arguments ResumeArguments(const std::string& id);
Arguments KillArguments(const std::string& id, int signal, bool all);
Arguments DeleteArguments(const std::string& id, bool force);
// Reads LinuxResources from its input.
Arguments UpdateArguments(const std::string& id);

struct CheckpointCommand {
  std::string image_path;
  std::string work_path;
  std::string parent_path;  // empty: none
  bool open_tcp = false;
  bool external_unix_sockets = false;
  bool terminal = false;
  bool file_locks = false;
  std::vector<std::string> empty_namespaces;
  std::string cgroups_mode;  // empty: the runtime's own
  bool leave_running = true;
};
Arguments CheckpointArguments(const CheckpointCommand& options, const std::string& id);

struct RestoreCommand {
  CreateCommand create;
  std::string image_path;
  std::string work_path;
};
// crun refuses the flags that it has no use for.
Arguments RestoreArguments(const RestoreCommand& options, const std::string& id,
                           RuntimeFamily family);

}  // namespace gantry::shim
