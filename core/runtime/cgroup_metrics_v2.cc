// SPDX-License-Identifier: Apache-2.0
// Files of cgroups, version 2: kernel documentation, admin-guide/cgroup-v2.
#include <charconv>

#include "core/runtime/cgroup_files.h"
#include "core/runtime/cgroup_metrics.h"
#include "proto/cgroups/v2/metrics.pb.h"

namespace gantry::runtime {
namespace {

namespace pb = ::io::containerd::cgroups::v2;

constexpr uint64_t kMax = UINT64_MAX;

template <typename Message>
struct Field {
  const char* key;
  void (Message::*set)(uint64_t);
};

constexpr Field<pb::MemoryStat> kMemoryFields[] = {
    {"anon", &pb::MemoryStat::set_anon},
    {"file", &pb::MemoryStat::set_file},
    {"kernel_stack", &pb::MemoryStat::set_kernel_stack},
    {"slab", &pb::MemoryStat::set_slab},
    {"sock", &pb::MemoryStat::set_sock},
    {"shmem", &pb::MemoryStat::set_shmem},
    {"file_mapped", &pb::MemoryStat::set_file_mapped},
    {"file_dirty", &pb::MemoryStat::set_file_dirty},
    {"file_writeback", &pb::MemoryStat::set_file_writeback},
    {"anon_thp", &pb::MemoryStat::set_anon_thp},
    {"inactive_anon", &pb::MemoryStat::set_inactive_anon},
    {"active_anon", &pb::MemoryStat::set_active_anon},
    {"inactive_file", &pb::MemoryStat::set_inactive_file},
    {"active_file", &pb::MemoryStat::set_active_file},
    {"unevictable", &pb::MemoryStat::set_unevictable},
    {"slab_reclaimable", &pb::MemoryStat::set_slab_reclaimable},
    {"slab_unreclaimable", &pb::MemoryStat::set_slab_unreclaimable},
    {"pgfault", &pb::MemoryStat::set_pgfault},
    {"pgmajfault", &pb::MemoryStat::set_pgmajfault},
    {"workingset_refault", &pb::MemoryStat::set_workingset_refault},
    {"workingset_activate", &pb::MemoryStat::set_workingset_activate},
    {"workingset_nodereclaim", &pb::MemoryStat::set_workingset_nodereclaim},
    {"pgrefill", &pb::MemoryStat::set_pgrefill},
    {"pgscan", &pb::MemoryStat::set_pgscan},
    {"pgsteal", &pb::MemoryStat::set_pgsteal},
    {"pgactivate", &pb::MemoryStat::set_pgactivate},
    {"pgdeactivate", &pb::MemoryStat::set_pgdeactivate},
    {"pglazyfree", &pb::MemoryStat::set_pglazyfree},
    {"pglazyfreed", &pb::MemoryStat::set_pglazyfreed},
    {"thp_fault_alloc", &pb::MemoryStat::set_thp_fault_alloc},
    {"thp_collapse_alloc", &pb::MemoryStat::set_thp_collapse_alloc},
};

constexpr Field<pb::CPUStat> kCpuFields[] = {
    {"usage_usec", &pb::CPUStat::set_usage_usec},
    {"user_usec", &pb::CPUStat::set_user_usec},
    {"system_usec", &pb::CPUStat::set_system_usec},
    {"nr_periods", &pb::CPUStat::set_nr_periods},
    {"nr_throttled", &pb::CPUStat::set_nr_throttled},
    {"throttled_usec", &pb::CPUStat::set_throttled_usec},
    {"nr_bursts", &pb::CPUStat::set_nr_bursts},
    {"burst_usec", &pb::CPUStat::set_burst_usec},
};

constexpr Field<pb::MemoryEvents> kEventFields[] = {
    {"low", &pb::MemoryEvents::set_low},
    {"high", &pb::MemoryEvents::set_high},
    {"max", &pb::MemoryEvents::set_max},
    {"oom", &pb::MemoryEvents::set_oom},
    {"oom_kill", &pb::MemoryEvents::set_oom_kill},
    {"oom_group_kill", &pb::MemoryEvents::set_oom_group_kill},
};

constexpr Field<pb::IOEntry> kIoFields[] = {
    {"rbytes", &pb::IOEntry::set_rbytes},
    {"wbytes", &pb::IOEntry::set_wbytes},
    {"rios", &pb::IOEntry::set_rios},
    {"wios", &pb::IOEntry::set_wios},
};

template <typename Message, size_t n>
void Fill(const Numbers& numbers, const Field<Message> (&fields)[n], Message* message) {
  for (const Field<Message>& field : fields) (message->*field.set)(Get(numbers, field.key));
}

// "key=value" apart; an empty value for a word without '='.
std::pair<std::string_view, std::string_view> SplitPair(std::string_view word) {
  const size_t equals = word.find('=');
  if (equals == std::string_view::npos) return {word, {}};
  return {word.substr(0, equals), word.substr(equals + 1)};
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=0"
void ReadPressureLine(const std::vector<std::string_view>& words, pb::PSIData* data) {
  for (const std::string_view word : words) {
    const auto [key, value] = SplitPair(word);
    double number = 0;
    std::from_chars(value.data(), value.data() + value.size(), number);
    if (key == "avg10") data->set_avg10(number);
    if (key == "avg60") data->set_avg60(number);
    if (key == "avg300") data->set_avg300(number);
    if (key == "total") data->set_total(ParseNumber(value, kMax).value_or(0));
  }
}

// Nothing for a kernel without pressure accounting, whose file cannot be read.
std::optional<pb::PSIStats> ReadPressure(const std::string& directory, std::string_view name) {
  const std::string text = ReadCgroupFile(directory, name);
  if (text.empty()) return std::nullopt;
  pb::PSIStats stats;
  for (const std::string_view line : SplitLines(text)) {
    const std::vector<std::string_view> words = SplitWords(line);
    if (words[0] == "some") ReadPressureLine(words, stats.mutable_some());
    if (words[0] == "full") ReadPressureLine(words, stats.mutable_full());
  }
  return stats;
}

void ReadMemory(const std::string& directory, pb::Metrics& metrics) {
  pb::MemoryStat* memory = metrics.mutable_memory();
  Fill(ReadNumbers(directory, "memory.stat"), kMemoryFields, memory);
  memory->set_usage(ReadNumber(directory, "memory.current", kMax));
  memory->set_usage_limit(ReadNumber(directory, "memory.max", kMax));
  memory->set_swap_usage(ReadNumber(directory, "memory.swap.current", kMax));
  memory->set_swap_limit(ReadNumber(directory, "memory.swap.max", kMax));
  memory->set_max_usage(ReadNumber(directory, "memory.peak", kMax));
  memory->set_swap_max_usage(ReadNumber(directory, "memory.swap.peak", kMax));
  if (auto psi = ReadPressure(directory, "memory.pressure")) *memory->mutable_psi() = *psi;
  if (CgroupFileExists(directory, "memory.events")) {
    Fill(ReadNumbers(directory, "memory.events"), kEventFields, metrics.mutable_memory_events());
  }
}

// "8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0"
void ReadIo(const std::string& directory, pb::Metrics& metrics) {
  pb::IOStat* io = metrics.mutable_io();
  const std::string text = ReadCgroupFile(directory, "io.stat");
  for (const std::string_view line : SplitLines(text)) {
    const std::vector<std::string_view> words = SplitWords(line);
    const std::vector<std::string_view> device = SplitWords(words[0], ":");
    if (words.size() < 2 || device.size() != 2) continue;
    Numbers numbers;
    for (size_t i = 1; i < words.size(); ++i) {
      const auto [key, value] = SplitPair(words[i]);
      numbers.emplace(std::string(key), ParseNumber(value, kMax).value_or(0));
    }
    pb::IOEntry* entry = io->add_usage();
    entry->set_major(ParseNumber(device[0], kMax).value_or(0));
    entry->set_minor(ParseNumber(device[1], kMax).value_or(0));
    Fill(numbers, kIoFields, entry);
  }
  if (auto psi = ReadPressure(directory, "io.pressure")) *io->mutable_psi() = *psi;
}

void ReadHugetlb(const std::string& directory, pb::Metrics& metrics) {
  for (const std::string& size : HugePageSizes()) {
    const std::string prefix = "hugetlb." + size + ".";
    if (!CgroupFileExists(directory, prefix + "current")) continue;
    pb::HugeTlbStat* stat = metrics.add_hugetlb();
    stat->set_current(ReadNumber(directory, prefix + "current", kMax));
    stat->set_max(ReadNumber(directory, prefix + "max", kMax));
    stat->set_failcnt(Get(ReadNumbers(directory, prefix + "events"), "max"));
    stat->set_pagesize(size);
  }
}

using RdmaEntries = google::protobuf::RepeatedPtrField<pb::RdmaEntry>;

void ReadRdma(const std::string& directory, std::string_view name, RdmaEntries* entries) {
  const std::string text = ReadCgroupFile(directory, name);
  for (const std::string_view line : SplitLines(text)) {
    const std::vector<std::string_view> words = SplitWords(line);
    pb::RdmaEntry* entry = entries->Add();
    entry->set_device(std::string(words[0]));
    for (size_t i = 1; i < words.size(); ++i) {
      const auto [key, value] = SplitPair(words[i]);
      const auto number = static_cast<uint32_t>(ParseNumber(value, UINT32_MAX).value_or(0));
      if (key == "hca_handle") entry->set_hca_handles(number);
      if (key == "hca_object") entry->set_hca_objects(number);
    }
  }
}

}  // namespace

pb::Metrics ReadCgroupV2(const std::string& directory) {
  pb::Metrics metrics;
  metrics.mutable_pids()->set_current(ReadNumber(directory, "pids.current", kMax));
  metrics.mutable_pids()->set_limit(ReadNumber(directory, "pids.max", kMax));
  Fill(ReadNumbers(directory, "cpu.stat"), kCpuFields, metrics.mutable_cpu());
  if (auto psi = ReadPressure(directory, "cpu.pressure"))
    *metrics.mutable_cpu()->mutable_psi() = *psi;
  ReadMemory(directory, metrics);
  ReadIo(directory, metrics);
  ReadRdma(directory, "rdma.current", metrics.mutable_rdma()->mutable_current());
  ReadRdma(directory, "rdma.max", metrics.mutable_rdma()->mutable_limit());
  ReadHugetlb(directory, metrics);
  return metrics;
}

}  // namespace gantry::runtime
