// SPDX-License-Identifier: Apache-2.0
// What tests with a real shim need: an OCI bundle's parts, and a look at what is left behind.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace gantry::runtime::testing {

inline std::string ReadAllOf(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// A root file system with busybox in it.
inline void MakeRootfs(const std::filesystem::path& rootfs) {
  namespace fs = std::filesystem;
  for (const char* folder : {"bin", "proc", "sys", "dev", "tmp", "etc"}) {
    fs::create_directories(rootfs / folder);
  }
  fs::copy_file("/bin/busybox", rootfs / "bin/busybox", fs::copy_options::overwrite_existing);
  for (const char* applet : {"sh", "sleep", "cat", "echo", "true", "kill", "ls"}) {
    fs::create_symlink("busybox", rootfs / "bin" / applet);
  }
}

struct ContainerSpec {
  std::vector<std::string> args;
  std::string root = "rootfs";  // a path, or relative to the bundle
  std::string cgroup;
};

inline nlohmann::json ProcessSpec(const std::vector<std::string>& args) {
  return {{"user", {{"uid", 0}, {"gid", 0}}},
          {"args", args},
          {"env", {"PATH=/bin"}},
          {"cwd", "/"},
          {"noNewPrivileges", true}};
}

inline std::string MakeSpec(const ContainerSpec& spec) {
  const nlohmann::json json = {
      {"ociVersion", "1.0.2"},
      {"process", ProcessSpec(spec.args)},
      {"root", {{"path", spec.root}}},
      {"mounts", {{{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}}}},
      {"linux",
       {{"cgroupsPath", spec.cgroup},
        {"namespaces",
         {{{"type", "pid"}}, {{"type", "ipc"}}, {{"type", "uts"}}, {{"type", "mount"}}}}}}};
  return json.dump();
}

// The parent of a process; 0 when it is gone.
inline pid_t ParentOf(pid_t pid) {
  const std::string stat = ReadAllOf("/proc/" + std::to_string(pid) + "/stat");
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos || name_end + 4 >= stat.size()) return 0;
  pid_t parent = 0;
  std::from_chars(stat.data() + name_end + 4, stat.data() + stat.size(), parent);
  return parent;
}

// Gone, or dead and only not reaped yet.
inline bool IsDead(pid_t pid) {
  const std::string stat = ReadAllOf("/proc/" + std::to_string(pid) + "/stat");
  const size_t name_end = stat.rfind(')');
  return name_end == std::string::npos || stat.compare(name_end + 2, 1, "Z") == 0;
}

// Processes whose command line holds `word`.
inline std::vector<pid_t> ProcessesWith(const std::string& word) {
  std::vector<pid_t> pids;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    pid_t pid = 0;
    const std::string name = entry.path().filename().string();
    std::from_chars(name.data(), name.data() + name.size(), pid);
    if (pid <= 0 || pid == ::getpid()) continue;
    if (ReadAllOf(entry.path() / "cmdline").find(word) != std::string::npos) pids.push_back(pid);
  }
  return pids;
}

inline bool AnyMountBelow(const std::filesystem::path& folder) {
  return ReadAllOf("/proc/self/mountinfo").find(folder.string()) != std::string::npos;
}

// Directories of this name in any cgroup tree.
inline bool AnyCgroup(const std::string& path) {
  std::error_code error;
  if (std::filesystem::exists("/sys/fs/cgroup" + path, error)) return true;
  for (const auto& tree : std::filesystem::directory_iterator("/sys/fs/cgroup", error)) {
    if (std::filesystem::exists(tree.path().string() + path, error)) return true;
  }
  return false;
}

}  // namespace gantry::runtime::testing
