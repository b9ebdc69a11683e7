// SPDX-License-Identifier: Apache-2.0
#include "shim/cgroup/metrics_v1.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include "shim/cgroup/rdma_file.h"
#include "shim/cgroup/stat_file.h"

namespace gantry::shim::cgroup {
namespace {

using namespace messages::cgroup_v1;  // NOLINT(google-build-using-namespace): every type of it

constexpr uint64_t kNanosecondsPerTick = 10'000'000;  // user space always sees 100 ticks a second

CPUStat ReadCpu(const std::string& cpu, const std::string& cpuacct) {
  CPUStat stat{.usage = CPUUsage(), .throttling = Throttle()};
  if (!cpuacct.empty()) {
    const KeyedFile ticks(cpuacct + "/cpuacct.stat");
    stat.usage->total = ReadNumber(cpuacct + "/cpuacct.usage");
    stat.usage->kernel = ticks["system"] * kNanosecondsPerTick;
    stat.usage->user = ticks["user"] * kNanosecondsPerTick;
    const LinesFile per_cpu(cpuacct + "/cpuacct.usage_percpu");
    for (const auto& words : per_cpu.lines()) {
      for (const auto word : words) stat.usage->per_cpu.push_back(NumberOr0(word));
    }
  }
  if (!cpu.empty()) {
    const KeyedFile throttling(cpu + "/cpu.stat");
    stat.throttling = Throttle{.periods = throttling["nr_periods"],
                               .throttled_periods = throttling["nr_throttled"],
                               .throttled_time = throttling["throttled_time"]};
  }
  return stat;
}

// `prefix` as in "memory.kmem".
MemoryEntry ReadMemoryEntry(const std::string& prefix) {
  return {.limit = ReadNumber(prefix + ".limit_in_bytes"),
          .usage = ReadNumber(prefix + ".usage_in_bytes"),
          .max = ReadNumber(prefix + ".max_usage_in_bytes"),
          .failcnt = ReadNumber(prefix + ".failcnt")};
}

MemoryStat ReadMemory(const std::string& directory) {
  const KeyedFile stat(directory + "/memory.stat");
  return {.cache = stat["cache"],
          .rss = stat["rss"],
          .rss_huge = stat["rss_huge"],
          .mapped_file = stat["mapped_file"],
          .dirty = stat["dirty"],
          .writeback = stat["writeback"],
          .pg_pg_in = stat["pgpgin"],
          .pg_pg_out = stat["pgpgout"],
          .pg_fault = stat["pgfault"],
          .pg_maj_fault = stat["pgmajfault"],
          .inactive_anon = stat["inactive_anon"],
          .active_anon = stat["active_anon"],
          .inactive_file = stat["inactive_file"],
          .active_file = stat["active_file"],
          .unevictable = stat["unevictable"],
          .hierarchical_memory_limit = stat["hierarchical_memory_limit"],
          .hierarchical_swap_limit = stat["hierarchical_memsw_limit"],
          .total_cache = stat["total_cache"],
          .total_rss = stat["total_rss"],
          .total_rss_huge = stat["total_rss_huge"],
          .total_mapped_file = stat["total_mapped_file"],
          .total_dirty = stat["total_dirty"],
          .total_writeback = stat["total_writeback"],
          .total_pg_pg_in = stat["total_pgpgin"],
          .total_pg_pg_out = stat["total_pgpgout"],
          .total_pg_fault = stat["total_pgfault"],
          .total_pg_maj_fault = stat["total_pgmajfault"],
          .total_inactive_anon = stat["total_inactive_anon"],
          .total_active_anon = stat["total_active_anon"],
          .total_inactive_file = stat["total_inactive_file"],
          .total_active_file = stat["total_active_file"],
          .total_unevictable = stat["total_unevictable"],
          .usage = ReadMemoryEntry(directory + "/memory"),
          .swap = ReadMemoryEntry(directory + "/memory.memsw"),
          .kernel = ReadMemoryEntry(directory + "/memory.kmem"),
          .kernel_tcp = ReadMemoryEntry(directory + "/memory.kmem.tcp")};
}

MemoryOomControl ReadOomControl(const std::string& directory) {
  const KeyedFile control(directory + "/memory.oom_control");
  return {.oom_kill_disable = control["oom_kill_disable"],
          .under_oom = control["under_oom"],
          .oom_kill = control["oom_kill"]};
}

// Block devices by number.
class DeviceNames {
 public:
  explicit DeviceNames(const std::string& partitions) {
    const LinesFile file(partitions);
    for (const auto& words : file.lines()) {  // major, minor, blocks, name
      if (words.size() != 4 || !ParseNumber(words[0])) continue;
      names_[{NumberOr0(words[0]), NumberOr0(words[1])}] = "/dev/" + std::string(words[3]);
    }
  }

  std::string Of(uint64_t major, uint64_t minor) const {
    const auto found = names_.find({major, minor});
    return found == names_.end() ? std::string() : found->second;
  }

 private:
  std::map<std::pair<uint64_t, uint64_t>, std::string> names_;
};

// Lines "8:0 Read 123" and "8:0 123"; a line of totals has no device.
std::vector<BlkIOEntry> ReadBlkIoEntries(const std::string& path, const DeviceNames& devices) {
  std::vector<BlkIOEntry> entries;
  const LinesFile file(path, " :");
  for (const auto& words : file.lines()) {
    if (words.size() != 3 && words.size() != 4) continue;
    const auto major = ParseNumber(words[0]);
    const auto minor = ParseNumber(words[1]);
    if (!major || !minor) continue;
    entries.push_back({.op = words.size() == 4 ? std::string(words[2]) : std::string(),
                       .device = devices.Of(*major, *minor),
                       .major = *major,
                       .minor = *minor,
                       .value = NumberOr0(words.back())});
  }
  return entries;
}

BlkIOStat ReadBlkIo(const std::string& directory, const std::string& partitions) {
  struct List {
    std::vector<BlkIOEntry> BlkIOStat::*entries;
    const char* file;
  };
  constexpr List kScheduler[] = {
      {&BlkIOStat::io_service_bytes_recursive, "io_service_bytes_recursive"},
      {&BlkIOStat::io_serviced_recursive, "io_serviced_recursive"},
      {&BlkIOStat::io_queued_recursive, "io_queued_recursive"},
      {&BlkIOStat::io_service_time_recursive, "io_service_time_recursive"},
      {&BlkIOStat::io_wait_time_recursive, "io_wait_time_recursive"},
      {&BlkIOStat::io_merged_recursive, "io_merged_recursive"},
      {&BlkIOStat::io_time_recursive, "time_recursive"},
      {&BlkIOStat::sectors_recursive, "sectors_recursive"}};
  constexpr List kThrottle[] = {
      {&BlkIOStat::io_service_bytes_recursive, "throttle.io_service_bytes"},
      {&BlkIOStat::io_serviced_recursive, "throttle.io_serviced"}};

  const DeviceNames devices(partitions);
  BlkIOStat stat;
  const auto fill = [&](const List& list) {
    stat.*list.entries = ReadBlkIoEntries(directory + "/blkio." + list.file, devices);
    return (stat.*list.entries).empty();
  };
  // Only one I/O scheduler fills the first set; throttling counts whatever the scheduler.
  const auto empty = std::count_if(std::begin(kScheduler), std::end(kScheduler), fill);
  if (empty == std::ssize(kScheduler)) {
    std::for_each(std::begin(kThrottle), std::end(kThrottle), fill);
  }
  return stat;
}

std::vector<HugetlbStat> ReadHugePages(const std::string& directory,
                                       const std::vector<std::string>& sizes) {
  std::vector<HugetlbStat> entries;
  for (const std::string& size : sizes) {
    const std::string file = directory + "/hugetlb." + size;
    entries.push_back({.usage = ReadNumber(file + ".usage_in_bytes"),
                       .max = ReadNumber(file + ".max_usage_in_bytes"),
                       .failcnt = ReadNumber(file + ".failcnt"),
                       .pagesize = size});
  }
  return entries;
}

}  // namespace

Metrics ReadMetricsV1(const SourcesV1& sources) {
  const auto& directory_of = sources.directory_of;
  Metrics metrics;
  metrics.cpu = ReadCpu(directory_of("cpu"), directory_of("cpuacct"));
  if (const auto in = directory_of("hugetlb"); !in.empty()) {
    metrics.hugetlb = ReadHugePages(in, sources.huge_page_sizes);
  }
  if (const auto in = directory_of("pids"); !in.empty()) {
    // Clients know a limit that is not set as 0 here, and as the largest number from version 2.
    const uint64_t limit = ReadNumber(in + "/pids.max");
    metrics.pids = PidsStat{.current = ReadNumber(in + "/pids.current"),
                            .limit = limit == kUnlimited ? 0 : limit};
  }
  if (const auto in = directory_of("memory"); !in.empty()) {
    metrics.memory = ReadMemory(in);
    metrics.memory_oom_control = ReadOomControl(in);
  }
  if (const auto in = directory_of("blkio"); !in.empty()) {
    metrics.blkio = ReadBlkIo(in, sources.partitions);
  }
  if (const auto in = directory_of("rdma"); !in.empty()) {
    metrics.rdma = RdmaStat{.current = ReadRdmaFile<RdmaEntry>(in + "/rdma.current"),
                            .limit = ReadRdmaFile<RdmaEntry>(in + "/rdma.max")};
  }
  return metrics;
}

}  // namespace gantry::shim::cgroup
