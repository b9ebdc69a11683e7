// SPDX-License-Identifier: Apache-2.0
#include "core/oci/capabilities.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"

namespace gantry::oci {
namespace {

constexpr std::array<std::string_view, 41> kNames = {"CHOWN",
                                                     "DAC_OVERRIDE",
                                                     "DAC_READ_SEARCH",
                                                     "FOWNER",
                                                     "FSETID",
                                                     "KILL",
                                                     "SETGID",
                                                     "SETUID",
                                                     "SETPCAP",
                                                     "LINUX_IMMUTABLE",
                                                     "NET_BIND_SERVICE",
                                                     "NET_BROADCAST",
                                                     "NET_ADMIN",
                                                     "NET_RAW",
                                                     "IPC_LOCK",
                                                     "IPC_OWNER",
                                                     "SYS_MODULE",
                                                     "SYS_RAWIO",
                                                     "SYS_CHROOT",
                                                     "SYS_PTRACE",
                                                     "SYS_PACCT",
                                                     "SYS_ADMIN",
                                                     "SYS_BOOT",
                                                     "SYS_NICE",
                                                     "SYS_RESOURCE",
                                                     "SYS_TIME",
                                                     "SYS_TTY_CONFIG",
                                                     "MKNOD",
                                                     "LEASE",
                                                     "AUDIT_WRITE",
                                                     "AUDIT_CONTROL",
                                                     "SETFCAP",
                                                     "MAC_OVERRIDE",
                                                     "MAC_ADMIN",
                                                     "SYSLOG",
                                                     "WAKE_ALARM",
                                                     "BLOCK_SUSPEND",
                                                     "AUDIT_READ",
                                                     "PERFMON",
                                                     "BPF",
                                                     "CHECKPOINT_RESTORE"};

constexpr std::array<std::string_view, 3> kSets = {"bounding", "effective", "permitted"};
constexpr size_t kMaxStatusBytes = size_t{1} << 16;
constexpr std::string_view kEffectiveLine = "\nCapEff:\t";

Json& Capabilities(Json& spec) {
  return ObjectMember(ObjectMember(spec, "process"), "capabilities");
}

}  // namespace

std::vector<std::string> DefaultCapabilities() {
  return {"CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
          "CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
          "CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
          "CAP_KILL",    "CAP_AUDIT_WRITE"};
}

std::vector<std::string> KnownCapabilities() {
  std::vector<std::string> names;
  names.reserve(kNames.size());
  for (const std::string_view name : kNames) names.push_back("CAP_" + std::string(name));
  return names;
}

absl::StatusOr<std::vector<std::string>> CurrentCapabilities() {
  ASSIGN_OR_RETURN(const std::string status,
                   ToStatusOr(kernel::ReadFile("/proc/self/status", kMaxStatusBytes)));
  const size_t line = status.find(kEffectiveLine);
  uint64_t mask = 0;
  if (line == std::string::npos) return Internal("/proc/self/status: no CapEff");
  const char* digits = status.data() + line + kEffectiveLine.size();
  if (std::from_chars(digits, status.data() + status.size(), mask, 16).ec != std::errc()) {
    return Internal("/proc/self/status: CapEff is no number");
  }
  std::vector<std::string> names;
  for (size_t bit = 0; bit < kNames.size(); ++bit) {
    if ((mask >> bit & 1) != 0) names.push_back("CAP_" + std::string(kNames[bit]));
  }
  return names;
}

void SetCapabilities(Json& spec, const std::vector<std::string>& names) {
  for (const std::string_view set : kSets) ArrayMember(Capabilities(spec), set) = names;
}

void AddCapabilities(Json& spec, const std::vector<std::string>& names) {
  for (const std::string_view set : kSets) {
    Json& list = ArrayMember(Capabilities(spec), set);
    for (const std::string& name : names) {
      if (std::ranges::find(list, Json(name)) == list.end()) list.push_back(name);
    }
  }
}

void DropCapabilities(Json& spec, const std::vector<std::string>& names) {
  for (const std::string_view set : kSets) {
    Json& list = ArrayMember(Capabilities(spec), set);
    Json kept = Json::array();
    for (Json& name : list) {
      const bool dropped = std::ranges::any_of(
          names, [&](const std::string& unwanted) { return name == Json(unwanted); });
      if (!dropped) kept.push_back(std::move(name));
    }
    if (kept.empty()) {
      Capabilities(spec).erase(std::string(set));  // as containerd's client writes an empty set
    } else {
      list = std::move(kept);
    }
  }
}

}  // namespace gantry::oci
