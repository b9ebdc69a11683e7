// SPDX-License-Identifier: Apache-2.0
// Files of cgroups, version 1: kernel documentation, admin-guide/cgroup-v1.
#include <charconv>

#include "core/runtime/cgroup_files.h"
#include "core/runtime/cgroup_metrics.h"
#include "proto/cgroups/v1/metrics.pb.h"

namespace gantry::runtime {
namespace {

namespace pb = ::io::containerd::cgroups::v1;

constexpr uint64_t kNanosPerTick = 10'000'000;  // of USER_HZ, which is 100 everywhere

// In version 1, containerd has always reported "no limit" as 0 where the file has a word for it.
constexpr uint64_t kMax = 0;

struct MemoryField {
  const char* key;
  void (pb::MemoryStat::*set)(uint64_t);
};
constexpr MemoryField kMemoryFields[] = {
    {"cache", &pb::MemoryStat::set_cache},
    {"rss", &pb::MemoryStat::set_rss},
    {"rss_huge", &pb::MemoryStat::set_rss_huge},
    {"mapped_file", &pb::MemoryStat::set_mapped_file},
    {"dirty", &pb::MemoryStat::set_dirty},
    {"writeback", &pb::MemoryStat::set_writeback},
    {"pgpgin", &pb::MemoryStat::set_pg_pg_in},
    {"pgpgout", &pb::MemoryStat::set_pg_pg_out},
    {"pgfault", &pb::MemoryStat::set_pg_fault},
    {"pgmajfault", &pb::MemoryStat::set_pg_maj_fault},
    {"inactive_anon", &pb::MemoryStat::set_inactive_anon},
    {"active_anon", &pb::MemoryStat::set_active_anon},
    {"inactive_file", &pb::MemoryStat::set_inactive_file},
    {"active_file", &pb::MemoryStat::set_active_file},
    {"unevictable", &pb::MemoryStat::set_unevictable},
    {"hierarchical_memory_limit", &pb::MemoryStat::set_hierarchical_memory_limit},
    {"hierarchical_memsw_limit", &pb::MemoryStat::set_hierarchical_swap_limit},
    {"total_cache", &pb::MemoryStat::set_total_cache},
    {"total_rss", &pb::MemoryStat::set_total_rss},
    {"total_rss_huge", &pb::MemoryStat::set_total_rss_huge},
    {"total_mapped_file", &pb::MemoryStat::set_total_mapped_file},
    {"total_dirty", &pb::MemoryStat::set_total_dirty},
    {"total_writeback", &pb::MemoryStat::set_total_writeback},
    {"total_pgpgin", &pb::MemoryStat::set_total_pg_pg_in},
    {"total_pgpgout", &pb::MemoryStat::set_total_pg_pg_out},
    {"total_pgfault", &pb::MemoryStat::set_total_pg_fault},
    {"total_pgmajfault", &pb::MemoryStat::set_total_pg_maj_fault},
    {"total_inactive_anon", &pb::MemoryStat::set_total_inactive_anon},
    {"total_active_anon", &pb::MemoryStat::set_total_active_anon},
    {"total_inactive_file", &pb::MemoryStat::set_total_inactive_file},
    {"total_active_file", &pb::MemoryStat::set_total_active_file},
    {"total_unevictable", &pb::MemoryStat::set_total_unevictable},
};

void ReadMemoryEntry(const std::string& directory, const std::string& prefix,
                     pb::MemoryEntry* entry) {
  entry->set_usage(ReadNumber(directory, prefix + "usage_in_bytes", kMax));
  entry->set_max(ReadNumber(directory, prefix + "max_usage_in_bytes", kMax));
  entry->set_failcnt(ReadNumber(directory, prefix + "failcnt", kMax));
  entry->set_limit(ReadNumber(directory, prefix + "limit_in_bytes", kMax));
}

void ReadMemory(const std::string& directory, pb::Metrics& metrics) {
  if (!CgroupFileExists(directory, "memory.stat")) return;
  pb::MemoryStat* memory = metrics.mutable_memory();
  const Numbers stat = ReadNumbers(directory, "memory.stat");
  for (const MemoryField& field : kMemoryFields) (memory->*field.set)(Get(stat, field.key));
  ReadMemoryEntry(directory, "memory.", memory->mutable_usage());
  ReadMemoryEntry(directory, "memory.memsw.", memory->mutable_swap());
  ReadMemoryEntry(directory, "memory.kmem.", memory->mutable_kernel());
  ReadMemoryEntry(directory, "memory.kmem.tcp.", memory->mutable_kernel_tcp());
  const Numbers oom = ReadNumbers(directory, "memory.oom_control");
  pb::MemoryOomControl* control = metrics.mutable_memory_oom_control();
  control->set_oom_kill_disable(Get(oom, "oom_kill_disable"));
  control->set_under_oom(Get(oom, "under_oom"));
  control->set_oom_kill(Get(oom, "oom_kill"));
}

void ReadCpu(const std::string& cpu, const std::string& cpuacct, pb::Metrics& metrics) {
  const Numbers stat = ReadNumbers(cpu, "cpu.stat");
  pb::Throttle* throttling = metrics.mutable_cpu()->mutable_throttling();
  throttling->set_periods(Get(stat, "nr_periods"));
  throttling->set_throttled_periods(Get(stat, "nr_throttled"));
  throttling->set_throttled_time(Get(stat, "throttled_time"));
  const Numbers ticks = ReadNumbers(cpuacct, "cpuacct.stat");
  pb::CPUUsage* usage = metrics.mutable_cpu()->mutable_usage();
  usage->set_total(ReadNumber(cpuacct, "cpuacct.usage", kMax));
  usage->set_user(Get(ticks, "user") * kNanosPerTick);
  usage->set_kernel(Get(ticks, "system") * kNanosPerTick);
  const std::string per_cpu = ReadCgroupFile(cpuacct, "cpuacct.usage_percpu");
  for (const std::string_view word : SplitWords(per_cpu, " \n")) {
    usage->add_per_cpu(ParseNumber(word, kMax).value_or(0));
  }
}

void ReadPids(const std::string& directory, pb::Metrics& metrics) {
  if (!CgroupFileExists(directory, "pids.current")) return;
  metrics.mutable_pids()->set_current(ReadNumber(directory, "pids.current", kMax));
  metrics.mutable_pids()->set_limit(ReadNumber(directory, "pids.max", kMax));
}

void ReadHugetlb(const std::string& directory, pb::Metrics& metrics) {
  if (directory.empty()) return;
  for (const std::string& size : HugePageSizes()) {
    pb::HugetlbStat* stat = metrics.add_hugetlb();
    const std::string prefix = "hugetlb." + size + ".";
    stat->set_usage(ReadNumber(directory, prefix + "usage_in_bytes", kMax));
    stat->set_max(ReadNumber(directory, prefix + "max_usage_in_bytes", kMax));
    stat->set_failcnt(ReadNumber(directory, prefix + "failcnt", kMax));
    stat->set_pagesize(size);
  }
}

using Entries = google::protobuf::RepeatedPtrField<pb::BlkIOEntry>;
using Devices = std::map<std::pair<uint64_t, uint64_t>, std::string>;

// Names of block devices by their numbers.
Devices ReadDevices() {
  Devices devices;
  const std::string text = ReadCgroupFile("/proc", "partitions");
  for (const std::string_view line : SplitLines(text)) {
    const std::vector<std::string_view> words = SplitWords(line);
    if (words.size() != 4) continue;
    const auto major = ParseNumber(words[0], kMax);
    const auto minor = ParseNumber(words[1], kMax);
    if (major && minor) devices[{*major, *minor}] = "/dev/" + std::string(words[3]);
  }
  return devices;
}

// Lines of the form "8:0 Read 4096"; the word in the middle may be missing.
void ReadBlockEntries(const std::string& directory, const std::string& name, const Devices& devices,
                      Entries* entries) {
  const std::string text = ReadCgroupFile(directory, "blkio." + name);
  for (const std::string_view line : SplitLines(text)) {
    const std::vector<std::string_view> words = SplitWords(line, " :");
    if (words.size() < 3) continue;  // the sum over all devices
    const auto major = ParseNumber(words[0], kMax);
    const auto minor = ParseNumber(words[1], kMax);
    const auto value = ParseNumber(words.back(), kMax);
    if (!major || !minor || !value) continue;
    pb::BlkIOEntry* entry = entries->Add();
    entry->set_major(*major);
    entry->set_minor(*minor);
    entry->set_value(*value);
    if (words.size() == 4) entry->set_op(std::string(words[2]));
    if (const auto device = devices.find({*major, *minor}); device != devices.end()) {
      entry->set_device(device->second);
    }
  }
}

void ReadBlockIo(const std::string& directory, pb::Metrics& metrics) {
  if (directory.empty()) return;
  pb::BlkIOStat* stat = metrics.mutable_blkio();
  const Devices devices = ReadDevices();
  const std::pair<const char*, Entries*> kOfScheduler[] = {
      {"sectors_recursive", stat->mutable_sectors_recursive()},
      {"io_service_bytes_recursive", stat->mutable_io_service_bytes_recursive()},
      {"io_serviced_recursive", stat->mutable_io_serviced_recursive()},
      {"io_queued_recursive", stat->mutable_io_queued_recursive()},
      {"io_service_time_recursive", stat->mutable_io_service_time_recursive()},
      {"io_wait_time_recursive", stat->mutable_io_wait_time_recursive()},
      {"io_merged_recursive", stat->mutable_io_merged_recursive()},
      {"time_recursive", stat->mutable_io_time_recursive()},
  };
  int found = 0;
  for (const auto& [name, entries] : kOfScheduler) {
    ReadBlockEntries(directory, name, devices, entries);
    found += entries->size();
  }
  if (found > 0) return;
  // A scheduler that counts by cgroup is rare; what is throttled is always counted.
  ReadBlockEntries(directory, "throttle.io_serviced", devices,
                   stat->mutable_io_serviced_recursive());
  ReadBlockEntries(directory, "throttle.io_service_bytes", devices,
                   stat->mutable_io_service_bytes_recursive());
}

using RdmaEntries = google::protobuf::RepeatedPtrField<pb::RdmaEntry>;

// Lines of the form "mlx4_0 hca_handle=2 hca_object=max".
void ReadRdmaEntries(const std::string& directory, std::string_view name, RdmaEntries* entries) {
  const std::string text = ReadCgroupFile(directory, name);
  for (const std::string_view line : SplitLines(text)) {
    const std::vector<std::string_view> words = SplitWords(line, " =");
    if (words.size() != 5) continue;
    pb::RdmaEntry* entry = entries->Add();
    entry->set_device(std::string(words[0]));
    const auto number = [&](size_t i) {
      return static_cast<uint32_t>(ParseNumber(words[i], UINT32_MAX).value_or(0));
    };
    entry->set_hca_handles(number(2));
    entry->set_hca_objects(number(4));
  }
}

void ReadRdma(const std::string& directory, pb::Metrics& metrics) {
  if (directory.empty()) return;
  pb::RdmaStat* rdma = metrics.mutable_rdma();
  ReadRdmaEntries(directory, "rdma.current", rdma->mutable_current());
  ReadRdmaEntries(directory, "rdma.max", rdma->mutable_limit());
}

}  // namespace

pb::Metrics ReadCgroupV1(const CgroupPlace& place) {
  pb::Metrics metrics;
  ReadHugetlb(place.Of("hugetlb"), metrics);
  ReadPids(place.Of("pids"), metrics);
  ReadCpu(place.Of("cpu"), place.Of("cpuacct"), metrics);
  ReadMemory(place.Of("memory"), metrics);
  ReadBlockIo(place.Of("blkio"), metrics);
  ReadRdma(place.Of("rdma"), metrics);
  return metrics;
}

}  // namespace gantry::runtime
