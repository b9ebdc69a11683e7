// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/container/spec.h"

#include <unistd.h>

#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"
#include "core/oci/capabilities.h"
#include "core/oci/default_spec.h"
#include "core/oci/devices.h"
#include "core/oci/environment.h"
#include "core/oci/process.h"
#include "core/oci/resources.h"
#include "core/oci/seccomp.h"
#include "core/oci/spec.h"
#include "core/oci/user.h"

namespace gantry::gctr {
namespace {

constexpr uint64_t kCfsPeriod = 100'000;

absl::StatusOr<std::string> HostName() {
  std::array<char, 256> name = {};
  if (::gethostname(name.data(), name.size() - 1) != 0) return FromErrno(errno, "get hostname");
  return std::string(name.data());
}

absl::Status ApplyMounts(Json& spec, const ContainerFlags& flags) {
  std::vector<oci::SpecMount> mounts;
  for (const std::string& text : flags.mounts) {
    ASSIGN_OR_RETURN(oci::SpecMount mount, oci::ParseMountFlag(text));
    mounts.push_back(std::move(mount));
  }
  oci::AddMounts(spec, mounts);
  return absl::OkStatus();
}

absl::Status ApplyEnvironment(Json& spec, const ContainerFlags& flags) {
  if (!flags.env_file.empty()) {
    ASSIGN_OR_RETURN(const std::vector<std::string> entries,
                     oci::ReadEnvironmentFile(flags.env_file));
    oci::AddEnvironment(spec, entries);
  }
  oci::AddEnvironment(spec, flags.env);
  return absl::OkStatus();
}

absl::Status ApplyIdMappings(Json& spec, const ContainerFlags& flags) {
  std::array<std::vector<oci::IdMapping>, 2> mappings;
  const std::array<const std::vector<std::string>*, 2> texts = {&flags.uidmap, &flags.gidmap};
  for (size_t i = 0; i < texts.size(); ++i) {
    for (const std::string& text : *texts[i]) {
      ASSIGN_OR_RETURN(const oci::IdMapping mapping, oci::ParseIdMapping(text));
      mappings[i].push_back(mapping);
    }
  }
  if (!mappings[0].empty()) oci::AddUserNamespace(spec, mappings[0], mappings[1]);
  return absl::OkStatus();
}

// The image's user, then the one asked for.
absl::Status ApplyUsers(Json& spec, const ContainerFlags& flags, const SpecInput& input) {
  if (!input.image && flags.user.empty()) return absl::OkStatus();
  if (!input.image && !oci::NeedsUserDatabase(flags.user)) {
    return oci::SetUser(spec, flags.user, oci::UserDatabase(-1));
  }
  ASSIGN_OR_RETURN(const Rootfs root, input.open_root());
  const oci::UserDatabase database(root.fd());
  if (input.image) RETURN_IF_ERROR(oci::SetImageUser(spec, input.image->user, database));
  if (flags.user.empty()) return absl::OkStatus();
  return oci::SetUser(spec, flags.user, database);
}

absl::Status ApplyPrivileges(Json& spec, const ContainerFlags& flags) {
  if (!flags.privileged) return absl::OkStatus();
  RETURN_IF_ERROR(oci::SetPrivileged(spec));
  if (flags.privileged_without_host_devices) return absl::OkStatus();
  oci::AllowAllDevices(spec);
  ASSIGN_OR_RETURN(const std::vector<oci::Device> devices, oci::DevicesBelow("/dev"));
  oci::AddDeviceNodes(spec, devices);
  return absl::OkStatus();
}

absl::Status ApplyHostNetwork(Json& spec) {
  ASSIGN_OR_RETURN(const std::string name, HostName());
  oci::ShareHostNamespace(spec, "network");
  oci::AddHostFile(spec, "/etc/hosts");
  oci::AddHostFile(spec, "/etc/resolv.conf");
  oci::AddEnvironment(spec, {"HOSTNAME=" + name});
  return absl::OkStatus();
}

absl::Status ApplyAnnotations(Json& spec, const ContainerFlags& flags) {
  Labels annotations;
  for (const std::string& text : flags.annotations) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos) {
      return InvalidArgument("invalid key=value format annotation: {}", text);
    }
    annotations[text.substr(0, equals)] = text.substr(equals + 1);
  }
  oci::AddAnnotations(spec, annotations);
  return absl::OkStatus();
}

absl::Status ApplySeccomp(Json& spec, const ContainerFlags& flags) {
  if (!flags.seccomp) return absl::OkStatus();
  Json& linux_section = ObjectMember(spec, "linux");
  if (flags.seccomp_profile.empty()) {
    linux_section["seccomp"] = oci::DefaultSeccompProfile(spec);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::string text,
                   ToStatusOr(kernel::ReadFile(flags.seccomp_profile, oci::kMaxSpecBytes)));
  ASSIGN_OR_RETURN(linux_section["seccomp"],
                   ParseJson(text, "seccomp profile " + flags.seccomp_profile));
  return absl::OkStatus();
}

absl::Status ApplyConfinement(Json& spec, const ContainerFlags& flags) {
  if (!flags.cap_add.empty()) oci::AddCapabilities(spec, flags.cap_add);
  if (!flags.cap_drop.empty()) oci::DropCapabilities(spec, flags.cap_drop);
  RETURN_IF_ERROR(ApplySeccomp(spec, flags));
  if (!flags.apparmor_profile.empty()) oci::SetApparmorProfile(spec, flags.apparmor_profile);
  return absl::OkStatus();
}

void ApplyCpu(Json& spec, const ContainerFlags& flags) {
  if (flags.cpus > 0) {
    const auto quota = static_cast<int64_t>(flags.cpus * static_cast<double>(kCfsPeriod));
    oci::SetCpuBandwidth(spec, quota, kCfsPeriod);
  }
  if (!flags.cpuset_cpus.empty()) oci::SetCpus(spec, flags.cpuset_cpus);
  if (!flags.cpuset_mems.empty()) oci::SetMemoryNodes(spec, flags.cpuset_mems);
  if (flags.cpu_shares > 0) oci::SetCpuShares(spec, static_cast<uint64_t>(flags.cpu_shares));
  if (flags.cpu_quota != -1 || flags.cpu_period != 0) {
    oci::SetCpuBandwidth(spec, flags.cpu_quota, flags.cpu_period);
  }
}

absl::Status ApplyNamespaces(Json& spec, const ContainerFlags& flags) {
  for (const std::string& text : flags.with_ns) {
    const size_t colon = text.find(':');
    if (colon == std::string::npos) {
      return InvalidArgument(
          "joining a Linux namespace using --with-ns requires the format 'nstype:path'");
    }
    const std::string type = text.substr(0, colon);
    if (!oci::IsNamespaceType(type)) {
      return InvalidArgument("the Linux namespace type specified in --with-ns is not valid: {}",
                             type);
    }
    oci::SetNamespace(spec, type, text.substr(colon + 1));
  }
  return absl::OkStatus();
}

absl::Status ApplyRlimit(Json& spec, const std::string& text) {
  if (text.empty()) return absl::OkStatus();
  const size_t colon = text.find(':');
  std::array<std::string, 2> parts = {text.substr(0, colon), text};
  if (colon != std::string::npos) parts[1] = text.substr(colon + 1);
  std::array<uint64_t, 2> limits = {};
  for (size_t i = 0; i < parts.size(); ++i) {
    const char* end = parts[i].data() + parts[i].size();
    const auto result = std::from_chars(parts[i].data(), end, limits[i]);
    if (result.ec != std::errc() || result.ptr != end) {
      return InvalidArgument("rlimit-nofile {:?}: not of the form soft:hard", text);
    }
  }
  oci::SetRlimit(spec, "RLIMIT_NOFILE", limits[0], limits[1]);
  return absl::OkStatus();
}

absl::Status ApplyDevices(Json& spec, const ContainerFlags& flags) {
  for (const std::string& path : flags.devices) {
    if (!path.starts_with('/')) {
      return Unimplemented("--device {}: CDI devices are not served yet", path);
    }
    ASSIGN_OR_RETURN(const std::vector<oci::Device> devices, oci::DevicesBelow(path));
    oci::AddDevices(spec, devices, "rwm");
  }
  return absl::OkStatus();
}

absl::Status ApplyProcess(Json& spec, const ContainerFlags& flags, const SpecInput& input) {
  RETURN_IF_ERROR(ApplyEnvironment(spec, flags));
  RETURN_IF_ERROR(ApplyMounts(spec, flags));
  if (input.image) oci::ApplyImageConfig(spec, *input.image);
  if (!input.root_folder.empty()) oci::SetRootPath(spec, input.root_folder);
  RETURN_IF_ERROR(ApplyIdMappings(spec, flags));
  if (flags.read_only) oci::SetRootReadonly(spec);
  if (!input.arguments.empty()) oci::SetArgs(spec, input.arguments);
  if (!flags.cwd.empty()) oci::SetCwd(spec, flags.cwd);
  RETURN_IF_ERROR(ApplyUsers(spec, flags, input));
  if (flags.tty) oci::SetTerminal(spec);
  return absl::OkStatus();
}

absl::Status ApplySurroundings(Json& spec, const ContainerFlags& flags) {
  RETURN_IF_ERROR(ApplyPrivileges(spec, flags));
  if (flags.net_host) RETURN_IF_ERROR(ApplyHostNetwork(spec));
  RETURN_IF_ERROR(ApplyAnnotations(spec, flags));
  RETURN_IF_ERROR(ApplyConfinement(spec, flags));
  ApplyCpu(spec, flags);
  RETURN_IF_ERROR(ApplyNamespaces(spec, flags));
  if (flags.allow_new_privs) oci::SetNoNewPrivileges(spec, false);
  if (flags.cgroup) oci::SetCgroupsPath(spec, *flags.cgroup);
  if (flags.memory_limit != 0) {
    oci::SetMemoryLimit(spec, static_cast<int64_t>(flags.memory_limit));
  }
  RETURN_IF_ERROR(ApplyDevices(spec, flags));
  if (!flags.rootfs_propagation.empty()) {
    oci::SetRootfsPropagation(spec, flags.rootfs_propagation);
  }
  if (!flags.rdt_class.empty()) oci::SetRdtClass(spec, flags.rdt_class);
  if (!flags.hostname.empty()) oci::SetHostname(spec, flags.hostname);
  return ApplyRlimit(spec, flags.rlimit_nofile);
}

}  // namespace

Labels ParseLabels(const std::vector<std::string>& words) {
  Labels labels;
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    labels[word.substr(0, equals)] = equals == std::string::npos ? "true" : word.substr(equals + 1);
  }
  return labels;
}

absl::StatusOr<Json> BuildSpec(const ContainerFlags& flags, const SpecInput& input) {
  Json spec;
  if (!flags.config.empty()) {
    ASSIGN_OR_RETURN(const std::string text,
                     ToStatusOr(kernel::ReadFile(flags.config, oci::kMaxSpecBytes)));
    ASSIGN_OR_RETURN(spec, oci::ParseSpec(text));
  } else {
    spec = oci::DefaultSpec(input.ns, input.id);
    oci::AllowDefaultDevices(spec);
    RETURN_IF_ERROR(ApplyProcess(spec, flags, input));
    RETURN_IF_ERROR(ApplySurroundings(spec, flags));
  }
  oci::AddAnnotations(spec, ParseLabels(flags.labels));
  return spec;
}

}  // namespace gantry::gctr
