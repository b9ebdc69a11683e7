// SPDX-License-Identifier: Apache-2.0
#include "core/oci/seccomp.h"

#include <sched.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/oci/seccomp_syscalls.h"

namespace gantry::oci {
namespace {

constexpr std::string_view kEqual = "SCMP_CMP_EQ";
constexpr std::string_view kLess = "SCMP_CMP_LT";
constexpr std::string_view kMaskedEqual = "SCMP_CMP_MASKED_EQ";

constexpr uint64_t kNewNamespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                    CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;

template <typename Names>
Json Allow(const Names& names) {
  Json list = Json::array();
  for (const std::string_view name : names) list.push_back(name);
  return {{"names", std::move(list)}, {"action", "SCMP_ACT_ALLOW"}};
}

Json AllowOne(std::string_view name) { return Allow(std::vector<std::string_view>{name}); }

// Allowed when the first argument compares so.
Json AllowIf(std::string_view name, uint64_t value, std::string_view comparison) {
  Json rule = AllowOne(name);
  rule["args"] = Json::array({{{"index", 0}, {"value", value}, {"op", comparison}}});
  return rule;
}

// The unbroken run from 1 is one comparison; runtimes cannot tell "between" from "either".
void AppendSocketRules(Json& rules) {
  const std::span<const uint32_t> families = SocketFamilies();
  size_t run = 0;
  while (run < families.size() && families[run] == run + 1) ++run;
  rules.push_back(AllowIf("socket", run + 1, kLess));
  for (const uint32_t family : families.subspan(run)) {
    rules.push_back(AllowIf("socket", family, kEqual));
  }
}

void AppendPersonalityRules(Json& rules) {
  for (const uint64_t persona : {0x0UL, 0x8UL, 0x20000UL, 0x20008UL, 0xffffffffUL}) {
    rules.push_back(AllowIf("personality", persona, kEqual));
  }
}

// True with CAP_SYS_ADMIN.
bool AppendCapabilityRules(const Json& spec, Json& rules) {
  bool admin = false;
  const Json* process = Member(spec, "process");
  const Json* capabilities = process == nullptr ? nullptr : Member(*process, "capabilities");
  if (capabilities == nullptr) return admin;
  for (const std::string& capability : StringsMember(*capabilities, "bounding")) {
    const std::vector<std::string_view> syscalls = SyscallsOfCapability(capability);
    if (!syscalls.empty()) rules.push_back(Allow(syscalls));
    admin = admin || capability == "CAP_SYS_ADMIN";
  }
  return admin;
}

// Threads and processes, but no namespaces. clone3 hides its flags behind a pointer, so it does not
// exist: C libraries then use clone.
void AppendCloneRules(Json& rules) {
  rules.push_back(AllowIf("clone", kNewNamespaces, kMaskedEqual));
  rules.push_back(
      {{"names", Json::array({"clone3"})}, {"action", "SCMP_ACT_ERRNO"}, {"errnoRet", ENOSYS}});
}

}  // namespace

Json DefaultSeccompProfile(const Json& spec) {
  Json rules = Json::array();
  rules.push_back(Allow(CommonSyscalls()));
  AppendSocketRules(rules);
  AppendPersonalityRules(rules);
  rules.push_back(
      Allow(std::vector<std::string_view>{"process_vm_readv", "process_vm_writev", "ptrace"}));
  if (const auto own = ArchitectureSyscalls(); !own.empty()) rules.push_back(Allow(own));
  if (!AppendCapabilityRules(spec, rules)) AppendCloneRules(rules);
  Json architectures = Json::array();
  for (const std::string_view name : SeccompArchitectures()) architectures.push_back(name);
  return {{"defaultAction", "SCMP_ACT_ERRNO"},
          {"architectures", std::move(architectures)},
          {"syscalls", std::move(rules)}};
}

}  // namespace gantry::oci
