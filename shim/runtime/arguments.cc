// SPDX-License-Identifier: Apache-2.0
#include "shim/runtime/arguments.h"

namespace gantry::shim {
namespace {

void AddIf(Arguments& arguments, bool wanted, const char* flag) {
  if (wanted) arguments.emplace_back(flag);
}

void AddValue(Arguments& arguments, const char* flag, const std::string& value) {
  if (value.empty()) return;
  arguments.emplace_back(flag);
  arguments.push_back(value);
}

}  // namespace

Arguments GlobalArguments(const RuntimeGlobals& options) {
  Arguments arguments = {"--root", options.root};
  AddIf(arguments, options.debug, "--debug");
  AddValue(arguments, "--log", options.log);
  arguments.insert(arguments.end(), {"--log-format", "json"});
  AddIf(arguments, options.systemd_cgroup, "--systemd-cgroup");
  return arguments;
}

Arguments CreateArguments(const CreateCommand& options, const std::string& id) {
  Arguments arguments = {"create", "--bundle", options.bundle};
  AddValue(arguments, "--pid-file", options.pid_file);
  AddValue(arguments, "--console-socket", options.console_socket);
  AddIf(arguments, options.no_pivot_root, "--no-pivot");
  AddIf(arguments, options.no_new_keyring, "--no-new-keyring");
  arguments.push_back(id);
  return arguments;
}

Arguments ExecArguments(const ExecCommand& options, const std::string& id) {
  Arguments arguments = {"exec", "--process", options.process_file};
  AddValue(arguments, "--console-socket", options.console_socket);
  arguments.emplace_back("--detach");
  AddValue(arguments, "--pid-file", options.pid_file);
  arguments.push_back(id);
  return arguments;
}

Arguments StartArguments(const std::string& id) { return {"start", id}; }

Arguments PauseArguments(const std::string& id) { return {"pause", id}; }

Arguments ResumeArguments(const std::string& id) { return {"resume", id}; }

Arguments KillArguments(const std::string& id, int signal, bool all) {
  Arguments arguments = {"kill"};
  AddIf(arguments, all, "--all");
  arguments.insert(arguments.end(), {id, std::to_string(signal)});
  return arguments;
}

Arguments DeleteArguments(const std::string& id, bool force) {
  Arguments arguments = {"delete"};
  AddIf(arguments, force, "--force");
  arguments.push_back(id);
  return arguments;
}

Arguments UpdateArguments(const std::string& id) { return {"update", "--resources=-", id}; }

Arguments CheckpointArguments(const CheckpointCommand& options, const std::string& id) {
  Arguments arguments = {"checkpoint", "--image-path", options.image_path, "--work-path",
                         options.work_path};
  AddValue(arguments, "--parent-path", options.parent_path);
  AddIf(arguments, options.open_tcp, "--tcp-established");
  AddIf(arguments, options.external_unix_sockets, "--ext-unix-sk");
  AddIf(arguments, options.terminal, "--shell-job");
  AddIf(arguments, options.file_locks, "--file-locks");
  for (const std::string& kind : options.empty_namespaces) AddValue(arguments, "--empty-ns", kind);
  AddValue(arguments, "--manage-cgroups-mode", options.cgroups_mode);
  AddIf(arguments, options.leave_running, "--leave-running");
  arguments.push_back(id);
  return arguments;
}

Arguments RestoreArguments(const RestoreCommand& options, const std::string& id,
                           RuntimeFamily family) {
  Arguments arguments = {"restore",     "--image-path",    options.image_path,
                         "--work-path", options.work_path, "--detach"};
  AddValue(arguments, "--pid-file", options.create.pid_file);
  AddValue(arguments, "--console-socket", options.create.console_socket);
  AddIf(arguments, options.create.no_pivot_root && family != RuntimeFamily::kCrun, "--no-pivot");
  AddIf(arguments, family != RuntimeFamily::kCrun, "--no-subreaper");
  AddValue(arguments, "--bundle", options.create.bundle);
  arguments.push_back(id);
  return arguments;
}

}  // namespace gantry::shim
