// SPDX-License-Identifier: Apache-2.0
#include "core/oci/resources.h"

namespace gantry::oci {
namespace {

Json& Linux(Json& spec) { return ObjectMember(spec, "linux"); }

Json& Cpu(Json& spec) { return ObjectMember(ObjectMember(Linux(spec), "resources"), "cpu"); }

}  // namespace

void SetCgroupsPath(Json& spec, const std::string& path) {
  if (path.empty()) {
    Linux(spec).erase("cgroupsPath");
  } else {
    Linux(spec)["cgroupsPath"] = path;
  }
}

void SetMemoryLimit(Json& spec, int64_t bytes) {
  ObjectMember(ObjectMember(Linux(spec), "resources"), "memory")["limit"] = bytes;
}

void SetCpuShares(Json& spec, uint64_t shares) { Cpu(spec)["shares"] = shares; }

void SetCpuBandwidth(Json& spec, int64_t quota, uint64_t period) {
  Cpu(spec)["quota"] = quota;
  Cpu(spec)["period"] = period;
}

void SetCpus(Json& spec, const std::string& list) { Cpu(spec)["cpus"] = list; }

void SetMemoryNodes(Json& spec, const std::string& list) { Cpu(spec)["mems"] = list; }

void SetRdtClass(Json& spec, const std::string& name) {
  Linux(spec)["intelRdt"] = {{"closID", name}};
}

}  // namespace gantry::oci
