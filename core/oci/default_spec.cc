// SPDX-License-Identifier: Apache-2.0
#include "core/oci/default_spec.h"

#include <sys/stat.h>
#include <unistd.h>

#include <charconv>

#include "core/kernel/file.h"
#include "core/oci/capabilities.h"

namespace gantry::oci {
namespace {

constexpr size_t kMaxCpuListBytes = 4096;
constexpr int kMaxCpus = 1 << 16;

// "0-3,8" of /sys/devices/system/cpu; empty when it does not parse.
std::vector<int> ParseCpuList(std::string_view text) {
  std::vector<int> cpus;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  while (at < end) {
    int first = 0;
    auto [next, error] = std::from_chars(at, end, first);
    int last = first;
    if (error == std::errc() && next < end && *next == '-') {
      const auto range = std::from_chars(next + 1, end, last);
      next = range.ptr;
      error = range.ec;
    }
    const bool separated = next == end || *next == ',';
    if (error != std::errc() || !separated || first < 0 || last < first || last >= kMaxCpus) {
      return {};
    }
    for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
    at = next == end ? end : next + 1;
  }
  return cpus;
}

std::vector<int> PossibleCpus() {
  std::vector<int> cpus;
  const auto text = kernel::ReadFile("/sys/devices/system/cpu/possible", kMaxCpuListBytes);
  if (text.ok()) cpus = ParseCpuList(*text);
  if (!cpus.empty()) return cpus;
  const int64_t count = ::sysconf(_SC_NPROCESSORS_ONLN);
  for (int cpu = 0; cpu < count; ++cpu) cpus.push_back(cpu);
  return cpus;
}

Json MountOf(std::string_view destination, std::string_view type, std::string_view source,
             std::vector<std::string> options) {
  return {{"destination", destination}, {"type", type}, {"source", source}, {"options", options}};
}

Json DefaultMounts() {
  return Json::array({
      MountOf("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}),
      MountOf("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
      MountOf("/dev/pts", "devpts", "devpts",
              {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}),
      MountOf("/dev/shm", "tmpfs", "shm",
              {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}),
      MountOf("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
      MountOf("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}),
      MountOf("/run", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
  });
}

Json DefaultProcess() {
  const std::vector<std::string> capabilities = DefaultCapabilities();
  return {{"user", {{"uid", 0}, {"gid", 0}}},
          {"cwd", "/"},
          {"capabilities",
           {{"bounding", capabilities}, {"effective", capabilities}, {"permitted", capabilities}}},
          {"rlimits", Json::array({{{"type", "RLIMIT_NOFILE"}, {"hard", 1024}, {"soft", 1024}}})},
          {"noNewPrivileges", true}};
}

Json DefaultLinux(std::string_view ns, std::string_view id) {
  Json namespaces = Json::array();
  for (const char* type : {"pid", "ipc", "uts", "mount", "network"}) {
    namespaces.push_back({{"type", type}});
  }
  return {{"resources", {{"devices", Json::array({{{"allow", false}, {"access", "rwm"}}})}}},
          {"cgroupsPath", "/" + std::string(ns) + (id.empty() ? "" : "/") + std::string(id)},
          {"namespaces", namespaces},
          {"maskedPaths", DefaultMaskedPaths()},
          {"readonlyPaths", DefaultReadonlyPaths()}};
}

}  // namespace

Json DefaultSpec(std::string_view ns, std::string_view id) {
  return {{"ociVersion", kRuntimeSpecVersion},
          {"process", DefaultProcess()},
          {"root", {{"path", "rootfs"}}},
          {"mounts", DefaultMounts()},
          {"linux", DefaultLinux(ns, id)}};
}

std::string_view DefaultPath() {
  return "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

std::vector<std::string> DefaultMaskedPaths() {
  std::vector<std::string> paths = {"/proc/acpi",
                                    "/proc/asound",
                                    "/proc/interrupts",
                                    "/proc/kcore",
                                    "/proc/keys",
                                    "/proc/latency_stats",
                                    "/proc/timer_list",
                                    "/proc/timer_stats",
                                    "/proc/sched_debug",
                                    "/sys/firmware",
                                    "/sys/devices/virtual/powercap",
                                    "/proc/scsi"};
  for (const int cpu : PossibleCpus()) {
    std::string path = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/thermal_throttle";
    if (::access(path.c_str(), F_OK) == 0) paths.push_back(std::move(path));
  }
  return paths;
}

std::vector<std::string> DefaultReadonlyPaths() {
  return {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
}

}  // namespace gantry::oci
