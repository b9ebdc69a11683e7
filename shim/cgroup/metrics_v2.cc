// SPDX-License-Identifier: Apache-2.0
#include "shim/cgroup/metrics_v2.h"

#include <cstdint>
#include <optional>

#include "shim/cgroup/rdma_file.h"
#include "shim/cgroup/stat_file.h"

namespace gantry::shim::cgroup {
namespace {

using namespace messages::cgroup_v2;  // NOLINT(google-build-using-namespace): every type of it

std::optional<PSIStats> ReadPressure(const std::string& path) {
  PSIStats pressure;
  const LinesFile file(path);
  for (const auto& words : file.lines()) {
    const PSIData data{.avg10 = ParseFraction(ValueOf(words, "avg10")),
                       .avg60 = ParseFraction(ValueOf(words, "avg60")),
                       .avg300 = ParseFraction(ValueOf(words, "avg300")),
                       .total = NumberOr0(ValueOf(words, "total"))};
    if (words[0] == "some") pressure.some = data;
    if (words[0] == "full") pressure.full = data;
  }
  if (!pressure.some && !pressure.full) return std::nullopt;
  return pressure;
}

CPUStat ReadCpu(const std::string& directory) {
  const KeyedFile stat(directory + "cpu.stat");
  return {.usage_usec = stat["usage_usec"],
          .user_usec = stat["user_usec"],
          .system_usec = stat["system_usec"],
          .nr_periods = stat["nr_periods"],
          .nr_throttled = stat["nr_throttled"],
          .throttled_usec = stat["throttled_usec"],
          .psi = ReadPressure(directory + "cpu.pressure"),
          .nr_bursts = stat["nr_bursts"],
          .burst_usec = stat["burst_usec"]};
}

MemoryStat ReadMemory(const std::string& directory) {
  const KeyedFile stat(directory + "memory.stat");
  return {.anon = stat["anon"],
          .file = stat["file"],
          .kernel_stack = stat["kernel_stack"],
          .slab = stat["slab"],
          .sock = stat["sock"],
          .shmem = stat["shmem"],
          .file_mapped = stat["file_mapped"],
          .file_dirty = stat["file_dirty"],
          .file_writeback = stat["file_writeback"],
          .anon_thp = stat["anon_thp"],
          .inactive_anon = stat["inactive_anon"],
          .active_anon = stat["active_anon"],
          .inactive_file = stat["inactive_file"],
          .active_file = stat["active_file"],
          .unevictable = stat["unevictable"],
          .slab_reclaimable = stat["slab_reclaimable"],
          .slab_unreclaimable = stat["slab_unreclaimable"],
          .pgfault = stat["pgfault"],
          .pgmajfault = stat["pgmajfault"],
          .workingset_refault = stat["workingset_refault"],
          .workingset_activate = stat["workingset_activate"],
          .workingset_nodereclaim = stat["workingset_nodereclaim"],
          .pgrefill = stat["pgrefill"],
          .pgscan = stat["pgscan"],
          .pgsteal = stat["pgsteal"],
          .pgactivate = stat["pgactivate"],
          .pgdeactivate = stat["pgdeactivate"],
          .pglazyfree = stat["pglazyfree"],
          .pglazyfreed = stat["pglazyfreed"],
          .thp_fault_alloc = stat["thp_fault_alloc"],
          .thp_collapse_alloc = stat["thp_collapse_alloc"],
          .usage = ReadNumber(directory + "memory.current"),
          .usage_limit = ReadNumber(directory + "memory.max"),
          .swap_usage = ReadNumber(directory + "memory.swap.current"),
          .swap_limit = ReadNumber(directory + "memory.swap.max"),
          .max_usage = ReadNumber(directory + "memory.peak"),
          .swap_max_usage = ReadNumber(directory + "memory.swap.peak"),
          .psi = ReadPressure(directory + "memory.pressure")};
}

std::optional<MemoryEvents> ReadMemoryEvents(const std::string& directory) {
  const KeyedFile events(directory + "memory.events");
  if (!events.exists()) return std::nullopt;
  return MemoryEvents{.low = events["low"],
                      .high = events["high"],
                      .max = events["max"],
                      .oom = events["oom"],
                      .oom_kill = events["oom_kill"],
                      .oom_group_kill = events["oom_group_kill"]};
}

IOStat ReadIo(const std::string& directory) {
  IOStat io{.usage = {}, .psi = ReadPressure(directory + "io.pressure")};
  const LinesFile file(directory + "io.stat");
  for (const auto& words : file.lines()) {
    const auto device = Split(words[0], ":");
    if (device.size() != 2 || words.size() < 2) continue;
    io.usage.push_back({.major = NumberOr0(device[0]),
                        .minor = NumberOr0(device[1]),
                        .rbytes = NumberOr0(ValueOf(words, "rbytes")),
                        .wbytes = NumberOr0(ValueOf(words, "wbytes")),
                        .rios = NumberOr0(ValueOf(words, "rios")),
                        .wios = NumberOr0(ValueOf(words, "wios"))});
  }
  return io;
}

std::vector<HugeTlbStat> ReadHugePages(const std::string& directory,
                                       const std::vector<std::string>& sizes) {
  std::vector<HugeTlbStat> entries;
  for (const std::string& size : sizes) {
    const std::string file = directory + "hugetlb." + size;
    entries.push_back({.current = ReadNumber(file + ".current"),
                       .max = ReadNumber(file + ".max"),
                       .pagesize = size,
                       .failcnt = KeyedFile(file + ".events")["max"]});
  }
  return entries;
}

}  // namespace

Metrics ReadMetricsV2(const std::string& directory,
                      const std::vector<std::string>& huge_page_sizes) {
  const std::string in = directory + "/";
  Metrics metrics;
  metrics.pids =
      PidsStat{.current = ReadNumber(in + "pids.current"), .limit = ReadNumber(in + "pids.max")};
  metrics.cpu = ReadCpu(in);
  metrics.memory = ReadMemory(in);
  metrics.rdma = RdmaStat{.current = ReadRdmaFile<RdmaEntry>(in + "rdma.current"),
                          .limit = ReadRdmaFile<RdmaEntry>(in + "rdma.max")};
  metrics.io = ReadIo(in);
  metrics.hugetlb = ReadHugePages(in, huge_page_sizes);
  metrics.memory_events = ReadMemoryEvents(in);
  return metrics;
}

}  // namespace gantry::shim::cgroup
